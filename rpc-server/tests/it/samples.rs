//! Values for the tests.

use std::collections::BTreeMap;

use rpc::model::{LastProposalView, LastVoteView, ValidatorList, ValidatorView};
use types::account::{BondLock, LockReason, Partner, Unbonding};
use types::block::{Block, Body, Header};
use types::codec::{Bounded, Text};
use types::committee::ValidatorSet;
use types::hash::{Address, BlobId, BlockId, ChainId, Hash32, JobId, TransactionId, ValidatorId};
use types::job::{
    CLASS_WASM_V2, Constraints, Escrow, JobReceipt, JobRecord, JobRent, JobSpec, JobTerms, Name,
    PartnerProfile, Pending, Policy, ReceiptVerifier, Stage, StageEntry, StateOutputs, TaskLimits,
    TaskSet, Verification, Workload,
};
use types::key::{SecretKey, VrfPublicKey};
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Fixed64, Fuel, Gas, Height, Nonce, ProtocolVersion, SQUARE,
    Stake, Timestamp, ValidatorIndex, View,
};
use types::proof::{FinalityProof, StateProof, ValueProof};
use types::stored::{Holding, StoredCertificate, StoredStatement, StoredSubject};
use types::transaction::{
    Action, SignedTransaction, SystemTransaction, Transaction, TransactionReceipt,
};
use types::vote::{Certificate, Statement, Subject};

pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));
pub const JOB: JobId = JobId(Hash32([5; 32]));
pub const ALICE: Address = Address([0xa1; 20]);
pub const BOB: Address = Address([0xb0; 20]);

pub fn text<const MAX: usize, const LINES: bool>(text: &str) -> Text<MAX, LINES> {
    Text::new(text).unwrap()
}

pub fn header(height: u64) -> Header {
    Header {
        protocol_version: ProtocolVersion(1),
        chain_id: CHAIN,
        height: Height(height),
        parent: BlockId(Hash32([1; 32])),
        timestamp: Timestamp(1_700_000_000_000 + height),
        proposer: ValidatorId(Address([2; 20])),
        transaction_root: Hash32([2; 32]),
        base_fee: Amount(SQUARE.0 / 1_000),
        next_committee: Hash32::ZERO,
        parent_state_root: Hash32([3; 32]),
        parent_receipt_root: Hash32([4; 32]),
        parent_gas_used: Gas(9),
    }
}

pub fn transaction() -> SignedTransaction {
    let key = SecretKey::from_bytes(&[3; 32]);
    let action = Action::Transfer {
        to: BOB,
        amount: SQUARE,
    };
    let transaction = Transaction {
        chain_id: CHAIN,
        sender: key.public(),
        nonce: Nonce(4),
        valid_until: Height(100),
        fee: Amount(SQUARE.0 / 1_000),
        action,
    };
    transaction.sign(&key)
}

/// The block at height 9: one transaction and one statement of validators.
pub fn block() -> Block {
    let key = SecretKey::from_bytes(&[4; 32]);
    let statement = StoredStatement {
        subject: StoredSubject {
            job: JOB,
            attempt: Attempt(0),
            holding: Holding::Inputs,
        },
        bytes: 1_234,
        fuel: Fuel(0),
    };
    let mut signers = ValidatorSet::default();
    signers.insert(ValidatorIndex(2));
    let signed = statement.sign(&key, CHAIN);
    let stored = SystemTransaction::Stored(StoredCertificate {
        statement,
        signers,
        signatures: Bounded::new(vec![signed.signature]).unwrap(),
    });
    let body = Body {
        system: Bounded::new(vec![stored]).unwrap(),
        transactions: Bounded::new(vec![transaction()]).unwrap(),
    };
    Block {
        header: header(9),
        body,
    }
}

pub fn receipt(id: TransactionId) -> TransactionReceipt {
    TransactionReceipt {
        id,
        fee: Amount(SQUARE.0 / 1_000),
        failure: None,
    }
}

pub fn spec() -> JobSpec {
    let blob = BlobId::of(b"module");
    JobSpec {
        name: text("histogram"),
        workload: Workload {
            class: CLASS_WASM_V2,
            module: blob,
            arguments: Bounded::new(vec![text("--bins"), text("8")]).unwrap(),
            environment: BTreeMap::from([(text("KEY"), text("value"))]),
            stdin: None,
            inputs: Bounded::default(),
            outputs: Bounded::default(),
            tasks: TaskSet::all(3),
            state: StateOutputs::default(),
            limits: TaskLimits {
                fuel: Fuel(1_000),
                memory_bytes: 1 << 20,
                output_bytes: 1 << 10,
            },
            clock_start_ns: 0,
            random_seed: Hash32::ZERO,
        },
        constraints: Constraints {
            attributes: BTreeMap::from([(text("region"), text("eu"))]),
        },
        verification: Verification {
            min_verifiers: 2,
            tasks_per_verifier: Some(u32::MAX),
            value_at_risk: Amount(10 * SQUARE.0),
            task_value_at_risk: SQUARE,
            confidence_ppm: 950_000,
        },
        price_cap: Amount(5 * SQUARE.0),
        max_wait_ms: 600_000,
    }
}

pub fn policy() -> Policy {
    Policy {
        expected_verifiers: Fixed64(u128::MAX),
        tasks_per_verifier: 3,
        expected_checks: Fixed64((1 << 64) + 1),
        detection: Fixed64(1 << 63),
        bond: Amount(40 * SQUARE.0),
        verifier_bond: SQUARE,
        min_verifiers: 2,
        verifier_fee: Amount(SQUARE.0 / 4),
        expected_announcements: Fixed64(1 << 64),
    }
}

pub fn escrow() -> Escrow {
    Escrow {
        execution: Amount(5 * SQUARE.0),
        verification: SQUARE,
        storage: Amount(1),
        fees: Amount(2),
        rent: Amount(3),
        referees: Amount(4),
    }
}

pub fn record(stage: Stage) -> JobRecord {
    let entry = StageEntry {
        stage: "pending".to_owned(),
        attempt: Attempt(0),
        height: Height(3),
        time: Timestamp(1_700_000_000_003),
    };
    JobRecord {
        id: JOB,
        customer: ALICE,
        terms: JobTerms::of(&spec()),
        escrow: escrow(),
        rent: JobRent::default(),
        policy: policy(),
        attempt: Attempt(1),
        unrunnable_reports: vec![],
        excluded: vec![BOB],
        earlier: types::job::EarlierVerifiers::default(),
        states: None,
        burned: Amount(5),
        locked: Amount(9),
        refunded: Amount(2),
        deadline: Some(ChainTime(60_000)),
        opened: Height(3),
        draw: stage.draw(),
        verdicts: 0,
        queued: None,
        stage,
        history: vec![entry],
        settlement: None,
    }
}

pub fn pending() -> Stage {
    Stage::Pending(Pending { draw: None })
}

pub fn job_receipt() -> JobReceipt {
    JobReceipt {
        job: JOB,
        attempt: Attempt(1),
        customer: ALICE,
        workload: spec().workload.id(),
        input_root: spec().workload.input_root(),
        tasks: TaskSet::all(3),
        state: StateOutputs::default(),
        result_root: Hash32([8; 32]),
        salt: Hash32([9; 32]),
        outcomes: BlobId::of(b"outcomes"),
        fuel: Fuel(4_500_000),
        class: CLASS_WASM_V2,
        primary: BOB,
        price: SQUARE,
        verifiers: vec![ReceiptVerifier {
            partner: ALICE,
            appointed: true,
            tasks: 3,
        }],
        verification_paid: Amount(2),
        burned: Amount(3),
        value_at_risk: Amount(10 * SQUARE.0),
        task_value_at_risk: SQUARE,
        policy: policy(),
        tasks_rerun: 6,
        revocable_until: ChainTime(640_000),
        height: Height(20),
        time: Timestamp(1_700_000_000_020),
    }
}

pub fn profile() -> PartnerProfile {
    PartnerProfile {
        name: Name::new("grid one").unwrap(),
        classes: [CLASS_WASM_V2].into(),
        vrf_key: VrfPublicKey([6; 32]),
        ask: Amount(10),
        places: 2,
        attributes: BTreeMap::from([(text("region"), text("eu"))]),
    }
}

pub fn partner() -> Partner {
    Partner {
        profile: profile(),
        bond: Amount(100 * SQUARE.0),
        locks: BTreeMap::from([(
            LockReason::Primary(JOB).id(),
            BondLock {
                amount: SQUARE,
                reason: LockReason::Primary(JOB),
            },
        )]),
        unbonding: Bounded::new(vec![Unbonding {
            amount: SQUARE,
            deadline: ChainTime(77),
        }])
        .unwrap(),
        verified_fees: Amount(3),
    }
}

pub fn value_proof(value: Option<Vec<u8>>) -> ValueProof {
    let statement = Statement {
        epoch: Epoch::FIRST,
        view: View(9),
        subject: Subject::Finalize {
            block: header(9).id(),
        },
    };
    ValueProof {
        value,
        proof: StateProof {
            leaf: None,
            siblings: Bounded::new(vec![Hash32([1; 32])]).unwrap(),
        },
        finality: FinalityProof {
            headers: Bounded::new(vec![header(9)]).unwrap(),
            certificate: Certificate::from_votes(statement, &[]),
        },
    }
}

/// A committee of two, the second of which is away.
pub fn validators() -> ValidatorList {
    let at = |ms: u64| Timestamp(1_700_000_000_000 + ms);
    let present = ValidatorView {
        id: ValidatorId(Address([2; 20])),
        name: Some("zurich".to_owned()),
        stake: Stake(4),
        own: true,
        connected: true,
        last_vote: Some(LastVoteView {
            view: View(11),
            at: at(12),
        }),
        last_proposal: Some(LastProposalView {
            height: Height(9),
            at: at(10),
        }),
        missed: 0,
        addresses: vec!["/ip4/192.0.2.1/tcp/26600".to_owned()],
    };
    let away = ValidatorView {
        id: ValidatorId(Address([3; 20])),
        name: None,
        stake: Stake(3),
        own: false,
        connected: false,
        last_vote: None,
        last_proposal: None,
        missed: 5,
        addresses: Vec::new(),
    };
    ValidatorList {
        height: Height(9),
        since: at(0),
        validators: vec![present, away],
    }
}
