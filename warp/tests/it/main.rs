//! What AvalancheGo's own code signs, orders and accepts (`avalanche-harness warp-vectors` prints it) is signed, ordered and
//! accepted here, and nothing else.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use gridproof_warp::{
    AvalancheId, AvalancheNodeId, SignedClaim, StateClaim, WarpValidators, WeighedNode,
};
use serde::Deserialize;
use types::hash::Hash32;
use types::number::Height;
use types::testing::fuzz::{AnswerMark, fuzz};

#[derive(Deserialize)]
struct Vectors {
    network: u32,
    chain: String,
    chain_bytes: String,
    height: u64,
    root: String,
    unsigned: String,
    nodes: Vec<Node>,
    total: u64,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    weight: u64,
    key: Option<String>,
    signature: String,
}

#[derive(Deserialize)]
struct Message {
    signers: Vec<usize>,
    #[serde(rename = "message")]
    bytes: String,
    valid: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn bytes<const LENGTH: usize>(digits: &str) -> [u8; LENGTH] {
    hex::decode(digits).unwrap().try_into().unwrap()
}

fn claim(vectors: &Vectors) -> StateClaim {
    StateClaim {
        network: vectors.network,
        chain: AvalancheId::parse(&vectors.chain).unwrap(),
        height: Height(vectors.height),
        state_root: Hash32(bytes(&vectors.root)),
    }
}

fn validators(vectors: &Vectors) -> WarpValidators {
    let node = |node: &Node| WeighedNode {
        node: AvalancheNodeId::parse(&node.id).unwrap(),
        weight: node.weight,
        key: node.key.as_deref().map(bytes),
    };
    let nodes: Vec<_> = vectors.nodes.iter().map(node).collect();
    WarpValidators::new(&nodes).unwrap()
}

#[test]
fn a_claim_is_written_as_avalanchego_writes_it() {
    let vectors = vectors();
    let claim = claim(&vectors);
    assert_eq!(claim.chain.0, bytes(&vectors.chain_bytes));
    assert_eq!(claim.chain.to_string(), vectors.chain);
    assert_eq!(hex::encode(claim.to_bytes()), vectors.unsigned);
    let read = StateClaim::from_bytes(&hex::decode(&vectors.unsigned).unwrap());
    assert_eq!(read, Ok(claim));
}

#[test]
fn signed_messages_get_the_verdict_of_avalanchego() {
    let vectors = vectors();
    let (set, mut valid) = (validators(&vectors), 0);
    for message in &vectors.messages {
        let bytes = hex::decode(&message.bytes).unwrap();
        let signed = SignedClaim::from_bytes(&bytes).unwrap();
        assert_eq!(signed.claim, claim(&vectors));
        assert_eq!(signed.to_bytes(), bytes);
        let verdict = set.verify(&signed);
        assert_eq!(
            verdict.is_ok(),
            message.valid,
            "{:?}: {verdict:?}",
            message.signers
        );
        valid += usize::from(message.valid);
    }
    assert!(valid > 0 && valid < vectors.messages.len());
}

#[test]
fn the_aggregate_is_the_message_that_avalanchego_makes() {
    let vectors = vectors();
    let signatures = vectors.nodes.iter().map(|node| {
        (
            AvalancheNodeId::parse(&node.id).unwrap(),
            bytes(&node.signature),
        )
    });
    let signatures: Vec<_> = signatures.collect();
    let made = validators(&vectors).aggregate(&claim(&vectors), &signatures);
    let made = made.unwrap();
    assert_eq!(made.total, vectors.total);
    // Ten nodes, of which one has no key and two have the same.
    assert_eq!(
        (made.signers, made.signed),
        (8, vectors.total - vectors.nodes[4].weight)
    );
    let everybody = vectors
        .messages
        .iter()
        .max_by_key(|message| message.signers.len());
    assert_eq!(
        hex::encode(made.message.to_bytes()),
        everybody.unwrap().bytes
    );
}

#[test]
fn fuzz_claims() {
    let vectors = vectors();
    let set = validators(&vectors);
    fuzz("claim", vec![claim(&vectors).to_bytes()], |input| {
        let answer = StateClaim::from_bytes(input);
        if let Ok(claim) = &answer {
            assert_eq!(claim.to_bytes().as_slice(), input, "a second encoding");
        }
        AnswerMark::of(&answer)
    });
    let seeds = vectors.messages.iter();
    let seeds = seeds.map(|message| hex::decode(&message.bytes).unwrap());
    fuzz("signed claim", seeds.collect(), |input| {
        let answer = SignedClaim::from_bytes(input);
        if let Ok(signed) = &answer {
            assert_eq!(signed.to_bytes(), input, "a second encoding");
            // Whatever comes of it.
            let _ = set.verify(signed);
        }
        AnswerMark::of(&answer)
    });
    let seeds = vec![vectors.chain.clone().into_bytes()];
    fuzz("Avalanche id", seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let found = [
            AvalancheId::parse(&text).is_some(),
            AvalancheNodeId::parse(&text).is_some(),
        ];
        AnswerMark::of(&Err::<(), _>(format!("{found:?}")))
    });
}
