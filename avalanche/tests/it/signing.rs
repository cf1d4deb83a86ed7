//! Signatures over the state: every node signs what it has accepted, nobody anything else, and what nodes sign together is
//! a quorum's message.

use gridproof_avalanche::message::SIGNATURE_PREFIX;
use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::vm::AppRequest;
use gridproof_avalanche::wire::warp::{
    MessageSigned, SignMessage, SignatureRequest, SignatureResponse,
};
use prost::Message as _;
use serde_json::Value;
use tonic::Status;
use types::hash::Hash32;
use types::number::Height;
use warp::testing::BlsKey;
use warp::{AvalancheId, AvalancheNodeId, QuorumError, StateClaim, WarpValidators, WeighedNode};

use crate::blocks::{json, recent, submit};
use crate::host::Host;
use crate::network::{decide, folders, nodes};

/// The host's signer: as AvalancheGo's, it signs for its own network and chain only.
pub fn sign(node_id: &[u8], asked: SignMessage) -> Result<MessageSigned, Status> {
    if asked.network_id != 12_345 || asked.source_chain_id != [2; 32] {
        return Err(Status::unknown("wrong network or chain"));
    }
    let mut message = vec![0, 0];
    message.extend(asked.network_id.to_be_bytes());
    message.extend(asked.source_chain_id);
    message.extend(u32::try_from(asked.payload.len()).unwrap().to_be_bytes());
    message.extend(asked.payload);
    let signature = BlsKey::of(node_id[0]).sign(&message).to_vec();
    Ok(MessageSigned { signature })
}

/// What is claimed of the state after a height.
fn claim(height: u64, state_root: Hash32) -> StateClaim {
    StateClaim {
        network: 12_345,
        chain: AvalancheId([2; 32]),
        height: Height(height),
        state_root,
    }
}

/// The validator set of so many hosts: each of them signs with the key of its number.
fn set(count: u8) -> WarpValidators {
    let node = |number| WeighedNode {
        node: AvalancheNodeId([number; 20]),
        weight: 20,
        key: Some(BlsKey::of(number).public()),
    };
    let all: Vec<_> = (1..=count).map(node).collect();
    WarpValidators::new(&all).unwrap()
}

fn signatures(answer: &Value) -> Vec<(AvalancheNodeId, [u8; 96])> {
    let all = answer["signatures"].as_array().unwrap().iter();
    let one = |signed: &Value| {
        let text = |field: &str| digits(signed[field].as_str().unwrap());
        let node = AvalancheNodeId(text("node").try_into().unwrap());
        (node, text("signature").try_into().unwrap())
    };
    all.map(one).collect()
}

fn digits(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Sends a request of this body to a node, as node 2; gives the signature, or nothing if it is refused.
async fn ask(host: &Host, number: u32, body: Vec<u8>) -> Option<Vec<u8>> {
    let mut request = vec![SIGNATURE_PREFIX];
    request.extend(body);
    let request = AppRequest {
        node_id: vec![2; 20],
        request_id: number,
        deadline: None,
        request,
    };
    let _: Empty = host.call("/vm.VM/AppRequest", request).await.unwrap();
    if host.services.refused.lock().unwrap().contains(&number) {
        return None;
    }
    let answers = host.services.answers.lock().unwrap();
    let (_, answer) = answers.iter().find(|(asked, _)| *asked == number).unwrap();
    let answer = SignatureResponse::decode(&answer[..]).unwrap();
    Some(answer.signature)
}

fn body(claim: &StateClaim) -> Vec<u8> {
    let question = SignatureRequest {
        message: claim.to_bytes(),
        justification: Vec::new(),
    };
    question.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_sign_the_state_that_they_accepted_and_one_of_them_gathers() {
    let (genesis, folders) = (recent(4), folders(4));
    let hosts = nodes(&genesis, &folders).await;
    submit(&hosts[0], &genesis, 0).await;
    decide(&hosts, 3).await;
    decide(&hosts, 2).await;
    for height in [0, 1, 2] {
        let path = format!("v1/state-signatures/{height}");
        let answer = json(&hosts[1], &path).await;
        let root: Hash32 = serde_json::from_value(answer["state_root"].clone()).unwrap();
        let made = set(4).aggregate(&claim(height, root), &signatures(&answer));
        let made = made.unwrap();
        assert_eq!((made.signers, made.signed), (4, 80), "height {height}");
        assert_eq!(answer["network_id"], 12_345);
        // A root that nobody has signed.
        let forged = claim(height, Hash32([9; 32]));
        let made = set(4).aggregate(&forged, &signatures(&answer));
        assert!(matches!(made, Err(QuorumError::TooLight { signed: 0, .. })));
    }
    let status = json(&hosts[1], "v1/status").await;
    let newest = json(&hosts[1], "v1/state-signatures/2").await;
    assert_eq!(newest["state_root"], status["state_root"]);
    let none = hosts[1].http("GET", "v1/state-signatures/3", Vec::new());
    assert_eq!(none.await.code, 404);
    for host in hosts {
        host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_what_is_not_so() {
    let (genesis, folders) = (recent(2), folders(2));
    let hosts = nodes(&genesis, &folders).await;
    submit(&hosts[0], &genesis, 0).await;
    decide(&hosts, 1).await;
    let host = &hosts[0];
    let answer = json(host, "v1/state-signatures/1").await;
    let root: Hash32 = serde_json::from_value(answer["state_root"].clone()).unwrap();
    let good = claim(1, root);
    let signature = ask(host, 1, body(&good)).await.unwrap();
    assert_eq!(signature, BlsKey::of(1).sign(&good.to_bytes()));
    let chain = AvalancheId([3; 32]);
    let lies = [
        claim(1, Hash32([9; 32])),
        claim(0, root),
        claim(2, root),
        claim(u64::MAX, root),
        StateClaim { chain, ..good },
        StateClaim { network: 1, ..good },
    ];
    for (number, lie) in (2..).zip(lies) {
        assert_eq!(ask(host, number, body(&lie)).await, None, "{lie:?}");
    }
    let whole = body(&good);
    let mut long = good.to_bytes();
    long.resize(1 << 20, 0);
    let other = |message: Vec<u8>| {
        let justification = Vec::new();
        let question = SignatureRequest {
            message,
            justification,
        };
        question.encode_to_vec()
    };
    let garbage = [
        Vec::new(),
        vec![0xff; 9],
        whole[..whole.len() - 1].to_vec(),
        other(Vec::new()),
        other(good.to_bytes()[..50].to_vec()),
        other(long),
        vec![0; 1 << 20],
    ];
    for (number, bytes) in (20..).zip(garbage) {
        assert_eq!(ask(host, number, bytes).await, None, "garbage {number}");
    }
    for host in hosts {
        host.shutdown().await;
    }
}
