//! A partner with a planted fault: with checks certain, the job never settles with its result.

use types::job::FailureReason;

use crate::harness::{Net, histogram};

/// Partner 0 is the only one in Sion among three, so a job that must run there has it as primary.
#[test]
fn planted_flip_of_one_byte_never_settles() {
    let net = Net::up_with(3, |name| {
        let fault = ("GRIDPROOF_PARTNER_FAULT".to_owned(), "flip-byte".to_owned());
        if name == "partner-0" {
            vec![fault]
        } else {
            Vec::new()
        }
    });
    let folder = net.scratch().join("job");
    let spec = histogram(&folder, 2, 2);
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(
        &spec,
        format!("{text}constraints: {{attributes: {{location: sion}}}}\n"),
    )
    .unwrap();
    let output = net.run_job(&spec, &folder.join("out"));
    assert_eq!(output.code, 6, "{}\n{}", output.stderr, output.json);
    let reason = serde_json::to_value(FailureReason::Unresolved).unwrap();
    assert!(
        output.json.to_string().contains(reason.as_str().unwrap()),
        "{}",
        output.json
    );
    assert!(
        !folder.join("out/receipt.json").exists(),
        "there is no receipt of a wrong result"
    );
}
