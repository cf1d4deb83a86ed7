//! Every mistake has its own message, exit code and hint.

use crate::harness::{Net, binary, gridproof, histogram};

#[test]
fn no_connection_and_bad_arguments() {
    let code = gridproof(&["node", "status", "--rpc", "http://127.0.0.1:9"]).failure(4);
    assert_eq!(code, "no_connection");
    let output = std::process::Command::new(binary()).args(["job", "frobnicate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_job_that_cannot_be_is_refused_with_the_reason() {
    let net = Net::up(27_200, 1);
    let folder = net.scratch().join("job");
    let spec = histogram(&folder, 2, 1);
    let text = std::fs::read_to_string(&spec).unwrap();
    let run = |text: &str| {
        std::fs::write(&spec, text).unwrap();
        net.run_job(&spec, &folder.join("out"))
    };
    let mut codes = vec![
        run(&text.replace("data.txt", "missing.txt")).failure(3),
        run(&text.replace("module: histogram.wasm", "module: data.txt")).failure(3),
        run(&text.replace("tasks: {array: 2}", "tasks: {array: 2000000}")).failure(3),
        run(&text.replace("outputs:", "outptus:")).failure(3),
        run(&format!("{text}constraints: {{attributes: {{location: atlantis}}}}\n")).failure(5),
        run(&format!("{text}payment: {{price: 99999999}}\n")).failure(5),
    ];
    assert!(codes.iter().all(|code| !code.is_empty()), "{codes:?}");
    codes.sort();
    codes.dedup();
    assert!(codes.len() >= 5, "mistakes are told apart: {codes:?}");
}
