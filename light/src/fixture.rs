//! A chain of a few blocks with a settled job in it, for the tests of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{
    ChainStore, DecidedState, Decision, Durability, MemoryStore, Undecided, Writes, compute_diff,
};
use types::attestation::{Exit, Outcome, Outcomes, result_root_of};
use types::block::{Block, Body, Header};
use types::chain_record::ChainRecord;
use types::codec::{Bounded, Text, encode};
use types::committee::Validator;
use types::genesis::Genesis;
use types::hash::{Address, BlobId, Hash32, JobId};
use types::job::{
    CLASS_WASM_V2, JobReceipt, Output, Policy, ReceiptVerifier, Revocation, StateOutputs,
    TaskLimits, TaskSet, Workload,
};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{Amount, Attempt, ChainTime, Fixed64, Fuel, Height, Stake, Timestamp};
use types::params::{ComputeParams, Params};
use types::proof::{ReceiptProof, ValueProof};
use types::state_key::StateKey;
use types::vote::{Certificate, Subject};

use crate::{FileRef, Light, Stream};

pub const JOB: JobId = JobId(Hash32([0x6a; 32]));
pub const KEY: StateKey = StateKey::Receipt(JOB);

/// The secret keys of the committee, in its order.
pub fn secrets() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=4).map(|n| SecretKey::from_bytes(&[n; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// Parameters of this test's own: the golden document holds their chain's id.
fn params() -> Params {
    Params {
        devnet: true,
        protocol_versions: Params::devnet().protocol_versions,
        epoch_length: 20,
        idle_target_ms: 500,
        pace_ms: 100,
        max_clock_ahead_ms: 500,
        min_fee: Amount(1),
        block_gas_limit: 1_000,
        beacon_lag: 2,
        beacon_skip_blocks: 2,
        beacon_skip_ms: 5_000,
        beacon_skip_penalty: Amount(1),
        compute: ComputeParams {
            open_window_ms: 1,
            acknowledge_window_ms: 2,
            announce_window_ms: 3,
            execute_window_ms: 4,
            renewal_interval_ms: 4,
            reveal_window_ms: 5,
            store_window_ms: 6,
            unbonding_ms: 7,
            audit_window_ms: 7,
            appeal_window_ms: 7,
            ended_jobs_kept_ms: 7,
            min_bond: Amount(8),
            classes: Vec::new(),
            verifier_fee_percent: 100,
            verifications_per_place: 4,
            live_jobs_per_customer: 9,
            storage_fee_per_mib: Amount(1),
            place_rent: Amount(2),
            blob_rent_per_gib: Amount(3),
            bond_rent_ppb: 4,
            blob_room_bytes: 1 << 40,
            decline_penalty: Amount(1),
            max_attempts: 4,
            probation_multiple: 10,
        },
    }
}

/// Four validators of stakes 4, 3, 3 and 3: a quorum is 9.
pub fn genesis() -> Genesis {
    let vrf_key = VrfSecretKey::from_bytes(&[5; 32].map(|byte: u8| byte & 0x0f))
        .unwrap()
        .public();
    let node_key = SecretKey::from_bytes(&[99; 32]).public();
    let validator = |(key, stake): (SecretKey, u64)| Validator {
        key: key.public(),
        vrf_key,
        node_key,
        stake: Stake(stake),
    };
    Genesis {
        name: Text::new("light").unwrap(),
        time: Timestamp(1_000),
        params: params(),
        accounts: Vec::new(),
        validators: secrets()
            .into_iter()
            .zip([4, 3, 3, 3])
            .map(validator)
            .collect(),
        partners: Vec::new(),
    }
}

pub fn light() -> Light {
    Light::new(&genesis()).unwrap()
}

/// A certificate of a statement by the given members.
pub fn certificate(subject: Subject, signers: &[u16]) -> Certificate {
    let keys = secrets();
    let signers: Vec<_> = signers
        .iter()
        .map(|at| (*at, &keys[usize::from(*at)]))
        .collect();
    types::testing::certificate(genesis().chain_id(), subject, &signers)
}

/// A chain whose block 1 writes `writes`, with one more block per entry of `signers`; each such block is finalized by
/// these members, or by nobody if there are none.
pub fn chain(writes: Writes, signers: &[&[u16]]) -> MemoryStore {
    let store = MemoryStore::new(&genesis(), Writes::new()).unwrap();
    let mut content = Some(writes);
    for signers in std::iter::once::<&[u16]>(&[]).chain(signers.iter().copied()) {
        let tip = store.tip();
        let parent = store.header_at(tip.height).unwrap().unwrap();
        let timestamp = parent.timestamp.next();
        let header = Header {
            height: tip.height.next(),
            parent: tip.block,
            timestamp,
            parent_state_root: tip.root,
            ..parent
        };
        let block = Block {
            header,
            body: Body::default(),
        };
        let view = Undecided::new(tip).view(&store, tip.block).unwrap();
        let diff = compute_diff(&view, block.id(), content.take().unwrap_or_default()).unwrap();
        let finality = (!signers.is_empty())
            .then(|| certificate(Subject::Finalize { block: block.id() }, signers));
        let decision = Decision {
            block: block.into(),
            diff: Arc::new(diff),
            receipts: Vec::new(),
            finality,
            proposer: None,
        };
        store.commit(&decision, Durability::Synced).unwrap();
    }
    store
}

pub fn workload() -> Workload {
    let output = |name: &str| Output {
        name: Text::new(name).unwrap(),
        path: Text::new(format!("/out/{name}")).unwrap(),
    };
    Workload {
        outputs: Bounded::new(vec![output("log"), output("table")]).unwrap(),
        limits: TaskLimits {
            fuel: Fuel(1_000),
            memory_bytes: 65_536,
            output_bytes: 4_096,
        },
        ..types::testing::workload(b"module", 2)
    }
}

/// The files of the two tasks; the second task did not write its first output.
pub fn files() -> BTreeMap<FileRef, Vec<u8>> {
    let file = |task, stream| FileRef {
        task: types::number::TaskIndex(task),
        stream,
    };
    BTreeMap::from([
        (file(0, Stream::Stdout), b"zero\n".to_vec()),
        (file(0, Stream::Stderr), Vec::new()),
        (file(0, Stream::Output(0)), b"line".to_vec()),
        (file(0, Stream::Output(1)), b"1,2".to_vec()),
        (file(1, Stream::Stdout), b"one!\n".to_vec()),
        (file(1, Stream::Stderr), b"warning".to_vec()),
        (file(1, Stream::Output(1)), b"3,4".to_vec()),
    ])
}

pub fn outcomes() -> Outcomes {
    let files = files();
    let blob = |task, stream| {
        files
            .get(&FileRef {
                task: types::number::TaskIndex(task),
                stream,
            })
            .map(|b| BlobId::of(b))
    };
    let outcome = |task| Outcome {
        exit: Exit::Code { code: task },
        fuel: Fuel(500),
        stdout: blob(task, Stream::Stdout).unwrap(),
        stderr: blob(task, Stream::Stderr).unwrap(),
        outputs: Bounded::new(vec![
            blob(task, Stream::Output(0)),
            blob(task, Stream::Output(1)),
        ])
        .unwrap(),
    };
    Outcomes(Bounded::new(vec![outcome(0), outcome(1)]).unwrap())
}

pub fn receipt() -> JobReceipt {
    let (salt, outcomes) = (Hash32([0x5a; 32]), outcomes());
    JobReceipt {
        job: JOB,
        attempt: Attempt(0),
        customer: Address([1; 20]),
        workload: workload().id(),
        input_root: workload().input_root(),
        tasks: TaskSet::all(2),
        state: StateOutputs::default(),
        result_root: result_root_of(&salt, &outcomes.leaves(&workload())),
        salt,
        outcomes: BlobId::of(&encode(&outcomes)),
        fuel: Fuel(1_000),
        class: CLASS_WASM_V2,
        primary: Address([2; 20]),
        price: Amount(10),
        verifiers: vec![ReceiptVerifier {
            partner: Address([3; 20]),
            appointed: true,
            tasks: 2,
        }],
        verification_paid: Amount(4),
        burned: Amount(1),
        value_at_risk: Amount(100),
        task_value_at_risk: Amount(50),
        policy: Policy {
            expected_verifiers: Fixed64(3 << 64),
            tasks_per_verifier: 2,
            expected_checks: Fixed64(3 << 64),
            detection: Fixed64(u128::MAX >> 64),
            bond: Amount(200),
            verifier_bond: Amount(20),
            min_verifiers: 1,
            verifier_fee: Amount(4),
            expected_announcements: Fixed64(1 << 64),
        },
        tasks_rerun: 2,
        height: Height(1),
        time: Timestamp(1_001),
        revocable_until: ChainTime(9_000),
    }
}

/// The proof of a receipt, under a block that all members signed.
pub fn proof(receipt: &JobReceipt) -> ValueProof {
    chain(with_neighbours(receipt), &[&[0, 1, 2, 3]])
        .value_proof(&KEY)
        .unwrap()
}

/// The chain's bookkeeping at a chain time.
fn chain_record(chain_time: ChainTime) -> ChainRecord {
    ChainRecord {
        chain_time,
        burned: Amount(1),
        ..ChainRecord::at_genesis(Amount(100), Amount(50), 0)
    }
}

/// The proof that a receipt stands at a chain time, or of its revocation, under a block that all members signed.
pub fn standing_at(
    receipt: &JobReceipt,
    chain_time: ChainTime,
    revocation: Option<Revocation>,
) -> ReceiptProof {
    standing_after(receipt, chain_time, revocation, 1)
}

/// The same with so many blocks after the one that settled the job.
pub fn standing_after(
    receipt: &JobReceipt,
    chain_time: ChainTime,
    revocation: Option<Revocation>,
    blocks: usize,
) -> ReceiptProof {
    let mut writes = with_neighbours(receipt);
    writes.insert(StateKey::Chain, Some(encode(&chain_record(chain_time))));
    let key = StateKey::Revocation(receipt.job);
    let revocation = revocation.map(|revocation| encode(&revocation));
    writes.extend(revocation.map(|bytes| (key, Some(bytes))));
    let signers: Vec<&[u16]> = vec![&[0, 1, 2, 3]; blocks];
    let store = chain(writes, &signers);
    let of = |key: &StateKey| store.value_proof(key).unwrap();
    ReceiptProof {
        time: of(&StateKey::Chain),
        revocation: of(&key),
        receipt: of(&StateKey::Receipt(receipt.job)),
    }
}

/// The proof that a receipt stands some time before nobody can challenge it any more.
pub fn standing(receipt: &JobReceipt) -> ReceiptProof {
    standing_at(receipt, ChainTime(8_000), None)
}

/// A receipt in state, among some accounts.
pub fn with_neighbours(receipt: &JobReceipt) -> Writes {
    let mut writes: Writes = (0..20)
        .map(|n| (StateKey::Account(Address([n; 20])), Some(vec![n; 9])))
        .collect();
    writes.insert(StateKey::Receipt(receipt.job), Some(encode(receipt)));
    writes
}
