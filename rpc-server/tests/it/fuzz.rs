//! What comes in bodies, paths and queries of the interface, with changed bytes.

use rpc::ProofKey;
use rpc::model::{EventPage, JobSpecView, Status, SubmitBatchRequest, SubmitRequest};
use serde::de::DeserializeOwned;
use types::codec::{decode, encode};
use types::job::JobSpec;
use types::testing::fuzz::{AnswerMark, fuzz};
use types::transaction::SignedTransaction;

use crate::samples;

fn json<T: DeserializeOwned>(target: &str, seed: &serde_json::Value) {
    fuzz(target, vec![seed.to_string().into_bytes()], |input| {
        AnswerMark::of(&serde_json::from_slice::<T>(input))
    });
}

#[test]
fn fuzz_bodies() {
    let transaction = hex::encode(encode(&samples::transaction()));
    json::<SubmitRequest>("submit", &serde_json::json!({ "transaction": transaction }));
    let batch = serde_json::json!({ "transactions": [transaction, transaction] });
    json::<SubmitBatchRequest>("batch", &batch);
    let view = serde_json::to_vec(&JobSpecView::from(&samples::spec())).unwrap();
    fuzz("job spec of the interface", vec![view], |input| {
        let view = serde_json::from_slice::<JobSpecView>(input).map_err(|error| error.to_string());
        AnswerMark::of(&view.and_then(|view| {
            let spec: Result<JobSpec, _> = view.try_into();
            spec.map_err(|error: rpc::model::SpecViewError| error.to_string())
        }))
    });
    let bytes = encode(&samples::transaction());
    fuzz("transaction of the interface", vec![bytes], |input| {
        AnswerMark::of(&decode::<SignedTransaction>(input, 1 << 20))
    });
}

#[test]
fn fuzz_paths_and_answers() {
    let seeds = [
        "account/a1a1",
        "job/05",
        "beacon",
        "partner/b0b0",
        "verdict/05/1",
    ];
    let seeds = seeds.map(|text| text.as_bytes().to_vec());
    fuzz("proof key", seeds.to_vec(), |input| {
        let text = String::from_utf8_lossy(input);
        AnswerMark::of(&text.parse::<ProofKey>())
    });
    json::<Status>(
        "status",
        &serde_json::json!({ "height": 3, "view": 4, "alarms": [] }),
    );
    json::<EventPage>("events", &serde_json::json!({ "cursor": 3, "events": [] }));
    fuzz("amount", vec![b"1.5".to_vec(), b"0".to_vec()], |input| {
        let text = String::from_utf8_lossy(input);
        AnswerMark::of(&text.parse::<types::number::Amount>())
    });
}
