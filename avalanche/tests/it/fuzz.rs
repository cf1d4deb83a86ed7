//! Random bytes against the plugin as a process of its own, which ends at the first panic, also at one that is contained.
//! What peers can send is changed at random: blocks, also such as a committee member signs; transactions; messages, requests
//! and answers; summaries. Whatever comes, calls that must not fail do not, the process lives, and the chain goes on.
//!
//! `GRIDPROOF_FUZZ_CASES` is how much is tried, `GRIDPROOF_TEST_SEED` the seed: `scripts/fuzz-plugin`.

use chain::state_sync::request::SyncRequest;
use chain::{BlobMessage, ChunkRequest, PoolMessage};
use gridproof_avalanche::message::{
    PREFIX, SIGNATURE_PREFIX, SYNC_PREFIX, SubnetMessage, request_of,
};
use gridproof_avalanche::sync::summary_bytes;
use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::vm::{
    AppFailure, AppGossip, AppRequest, AppResponse, BatchParse, BatchParsed, BuiltBlock,
    HealthReport, HostState, ParseBlock, ParseSummary, ParsedBlock, ParsedSummary, VerifiedBlock,
    Verify,
};
use gridproof_avalanche::wire::warp::SignatureRequest;
use prost::Message;
use state::tree::NodePath;
use types::block::{Block, Body, Header};
use types::codec::{Bounded, decode, encode};
use types::gas::with_least_fee;
use types::genesis::Genesis;
use types::hash::{BlobId, Hash32};
use types::number::{Amount, Gas, Height, Nonce, ProtocolVersion, Timestamp};
use types::signed_block::SignedBlock;
use types::testing::{Random, job_spec, workload};

use types::testing::numbered::{CUSTOMER, key, transfer};
use types::transaction::{Action, SignedTransaction, Transaction};
use types::vote::{Certificate, Statement, Subject};
use types::whole::WholeBlock;

use crate::blocks::{json, recent, submit};
use crate::host::{Host, Routes, Services};

/// How much is tried without a wish.
const CASES: u64 = 600;

fn cases() -> u64 {
    let wished = std::env::var("GRIDPROOF_FUZZ_CASES").ok();
    wished.map_or(CASES, |text| text.parse().unwrap())
}

/// A plugin in a process of its own, with a block.
async fn host(genesis: &Genesis, folder: &std::path::Path) -> Host {
    let host = Host::process_of(1, Routes::default(), Services::default()).await;
    host.initialize(genesis, folder, Some(1)).await.unwrap();
    host.set_state(HostState::Bootstrapping).await;
    host.set_state(HostState::NormalOp).await;
    submit(&host, genesis, 0).await;
    host.next().await;
    host
}

/// Bytes that are like a sample.
fn changed(random: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = samples[random.index(samples.len())].clone();
    for _ in 0..random.range(1, 5) {
        let at = random.index(bytes.len());
        let length = random.index(9);
        let end = bytes.len().min(at + length);
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.splice(at..at, vec![0; length]).for_each(drop),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again).for_each(drop);
            }
            5 => bytes[at..end].fill(0xff),
            6 => random.fill(&mut bytes[at..end]),
            _ => {
                let other = &samples[random.index(samples.len())];
                let from = random.index(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

/// A number at an edge, or any.
fn number(random: &mut Random, right: u64) -> u64 {
    match random.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => right.wrapping_add(1),
        3 => right.wrapping_sub(1),
        4 => random.next_u64(),
        _ => right,
    }
}

/// A transaction of the customer's, which is signed whatever it says.
fn transaction(random: &mut Random, genesis: &Genesis) -> SignedTransaction {
    let right = transfer(genesis, CUSTOMER, 1).transaction().clone();
    let job = Transaction {
        action: Action::SubmitJob {
            spec: Box::new(job_spec(workload(b"module", 3))),
        },
        ..right.clone()
    };
    let samples = [encode(&right), encode(&job)];
    let mut found = std::iter::repeat_with(|| changed(random, &samples))
        .take(20)
        .find_map(|bytes| decode::<Transaction>(&bytes, 1 << 20).ok())
        .unwrap_or(right.clone());
    if random.chance(900) {
        found.chain_id = right.chain_id;
        found.nonce = Nonce(number(random, 1));
        found.valid_until = Height(number(random, right.valid_until.0));
        found.fee = Amount(u128::from(number(random, 0)));
        found = with_least_fee(found, genesis.params.min_fee);
    }
    found.sender = right.sender;
    found.sign(&key(CUSTOMER))
}

fn body(random: &mut Random, genesis: &Genesis, right: &Body) -> Body {
    if random.chance(300) {
        return decode(&changed(random, &[encode(right)]), 1 << 20).unwrap_or_default();
    }
    let mut body = right.clone();
    for _ in 0..random.below(4) {
        let _ = body.transactions.push(transaction(random, genesis));
    }
    body
}

/// A block that its proposer has signed, with anything in it.
fn signed_block(random: &mut Random, genesis: &Genesis, right: &Block) -> Vec<u8> {
    let body = body(random, genesis, &right.body);
    let right = &right.header;
    let mut header = Header {
        transaction_root: body.root(),
        ..right.clone()
    };
    for _ in 0..random.below(3) {
        let hash = Hash32::of(types::hash::Domain::DRAW, &random.next_u64());
        let any = number(random, 1);
        match random.below(10) {
            0 => header.height = Height(number(random, right.height.0)),
            1 => header.timestamp = Timestamp(number(random, right.timestamp.0)),
            2 => header.base_fee = Amount(u128::from(any)),
            3 => header.parent_gas_used = Gas(number(random, right.parent_gas_used.0)),
            4 => header.protocol_version = ProtocolVersion(u16::try_from(any).unwrap_or(u16::MAX)),
            5 => header.parent.0 = hash,
            6 => header.parent_state_root = hash,
            7 => header.parent_receipt_root = hash,
            8 => header.next_committee = hash,
            _ => header.chain_id.0 = hash,
        }
    }
    let block = Block { header, body };
    match WholeBlock::new(block.clone()) {
        Some(whole) => SignedBlock::sign(whole, &key(1)).to_bytes(),
        None => encode(&(block, None::<()>)),
    }
}

async fn verifies(host: &Host, bytes: Vec<u8>) -> bool {
    let question = Verify {
        bytes,
        p_chain_height: None,
    };
    let verified = host.call::<_, VerifiedBlock>("/vm.VM/BlockVerify", question);
    verified.await.is_ok()
}

/// The plugin lives, nothing of what came is in the chain, and the chain goes on.
async fn goes_on(host: Host, genesis: &Genesis, height: u64) {
    let _: HealthReport = host.call("/vm.VM/Health", Empty {}).await.unwrap();
    assert_eq!(json(&host, "v1/status").await["height"], height);
    submit(&host, genesis, 1).await;
    host.next().await;
    host.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_of_a_block_end_the_plugin() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let (host, mut random) = (host(&genesis, folder.path()).await, Random::printed(31));
    host.wanted().await;
    let built = host.build().await.bytes;
    let block = SignedBlock::from_bytes(&built).unwrap();
    let header = summary_bytes(&block.block().header);
    let samples = [built, encode(&genesis), header];
    for _ in 0..cases() {
        let bytes = changed(&mut random, &samples);
        let question = ParseSummary {
            bytes: bytes.clone(),
        };
        let parsed = host.call::<_, ParsedSummary>("/vm.VM/ParseStateSummary", question);
        assert!(parsed.await.is_ok(), "an answer, not a failure");
        let request = vec![samples[0].clone(), bytes.clone()];
        let together =
            host.call::<_, BatchParsed>("/vm.VM/BatchedParseBlock", BatchParse { request });
        let together = together.await.is_ok();
        let question = ParseBlock {
            bytes: bytes.clone(),
        };
        let parsed = host.call::<_, ParsedBlock>("/vm.VM/ParseBlock", question);
        assert_eq!(parsed.await.is_ok(), together);
        // What is like a block and is not: no signature covers it.
        if verifies(&host, bytes.clone()).await {
            assert_eq!(bytes, samples[0]);
        }
    }
    goes_on(host, &genesis, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_block_that_a_member_signs_ends_the_plugin() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let (host, mut random) = (host(&genesis, folder.path()).await, Random::printed(32));
    host.wanted().await;
    let built = host.build().await;
    let right = SignedBlock::from_bytes(&built.bytes).unwrap();
    let right = right.block().block().as_ref().clone();
    let mut valid = 0;
    for _ in 0..cases() {
        let bytes = signed_block(&mut random, &genesis, &right);
        if verifies(&host, bytes.clone()).await {
            valid += 1;
            let block = SignedBlock::from_bytes(&bytes).unwrap();
            let id = block.block().id().0.0.to_vec();
            host.reject(&BuiltBlock {
                id,
                ..built.clone()
            })
            .await;
        }
    }
    println!("{valid} of {} were valid", cases());
    assert!(valid > 0, "some get as far as execution");
    goes_on(host, &genesis, 1).await;
}

/// What nodes tell and ask each other, right.
fn messages(genesis: &Genesis) -> Vec<Vec<u8>> {
    let transactions = vec![transfer(genesis, CUSTOMER, 1)];
    let pool = PoolMessage::Transactions(Bounded::new(transactions).unwrap());
    let have = BlobMessage::Have(Bounded::new(vec![BlobId::of(b"blob")]).unwrap());
    let statement = Statement {
        epoch: types::number::Epoch::FIRST,
        view: types::number::View(1),
        subject: Subject::Finalize {
            block: genesis.header().id(),
        },
    };
    let all = [
        SubnetMessage::Pool(pool),
        SubnetMessage::Blobs(have),
        SubnetMessage::Finality(Certificate::from_votes(statement, &[])),
        SubnetMessage::WantFinality(Height(1)),
    ];
    all.iter().map(SubnetMessage::to_bytes).collect()
}

fn requests() -> Vec<Vec<u8>> {
    let chunk = ChunkRequest {
        blob: BlobId::of(b"blob"),
        chunk: 0,
    };
    let (height, path) = (Height(1), NodePath::ROOT);
    let state = [
        SyncRequest::Block(height),
        SyncRequest::Receipts(height),
        SyncRequest::Subtree { height, path },
    ];
    let signature = SignatureRequest {
        message: vec![0; 102],
        justification: Vec::new(),
    };
    let mut all = vec![
        request_of(PREFIX, &encode(&chunk)),
        request_of(SIGNATURE_PREFIX, &signature.encode_to_vec()),
    ];
    all.extend(state.map(|asked| request_of(SYNC_PREFIX, &encode(&asked))));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_fails_a_call_or_ends_the_plugin() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let (host, mut random) = (host(&genesis, folder.path()).await, Random::printed(33));
    let (messages, requests) = (messages(&genesis), requests());
    for node in 1..=3 {
        host.connect(&[node; 20]).await;
    }
    for _ in 0..cases() {
        let node_id = vec![u8::try_from(random.range(1, 6)).unwrap(); 20];
        let request_id = u32::try_from(random.below(8)).unwrap();
        let gossip = AppGossip {
            node_id: node_id.clone(),
            msg: changed(&mut random, &messages),
        };
        let _: Empty = host.call("/vm.VM/AppGossip", gossip).await.unwrap();
        let request = AppRequest {
            node_id: node_id.clone(),
            request_id,
            deadline: None,
            request: changed(&mut random, &requests),
        };
        let _: Empty = host.call("/vm.VM/AppRequest", request).await.unwrap();
        let response = AppResponse {
            node_id: node_id.clone(),
            request_id,
            response: changed(&mut random, &requests),
        };
        let _: Empty = host.call("/vm.VM/AppResponse", response).await.unwrap();
        let failure = AppFailure {
            node_id,
            request_id,
            error_code: i32::from_le_bytes(request_id.wrapping_sub(3).to_le_bytes()),
            error_message: "no".to_owned(),
        };
        let _: Empty = host.call("/vm.VM/AppRequestFailed", failure).await.unwrap();
    }
    goes_on(host, &genesis, 1).await;
}
