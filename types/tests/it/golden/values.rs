//! One value of each larger type, made of fixed keys and hashes: what the golden vectors encode.

use std::collections::BTreeMap;

use types::attestation::{Exit, Outcome, Trap};
use types::block::{Body, Header};
use types::codec::{Bounded, Text};
use types::committee::Validator;
use types::genesis::{
    EntryOffice, Genesis, GenesisAccount, GenesisEntry, GenesisPartner, SignedEntry,
};
use types::hash::{BlobId, BlockId, ChainId, Hash32};
use types::job::{
    CLASS_WASM_V2, Constraints, Input, JobSpec, Output, PartnerProfile, StateOutputs, TaskLimits,
    TaskSet, TaskState, Verification, Workload,
};
use types::key::{SecretKey, Signature, VrfProof, VrfSecretKey};
use types::number::{
    Amount, EngineClass, Epoch, Fuel, Gas, Height, Nonce, ProtocolVersion, SQUARE, Stake,
    TaskIndex, Timestamp, ValidatorIndex, View,
};
use types::params::{ClassParams, Params};
use types::transaction::{Action, Transaction};
use types::vote::{Certificate, Statement, Subject, Vote};

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

pub fn vrf(n: u8) -> VrfSecretKey {
    VrfSecretKey::from_bytes(&[n; 32]).unwrap()
}

pub fn hash(n: u8) -> Hash32 {
    Hash32([n; 32])
}

pub fn text<const N: usize, const LINES: bool>(value: &str) -> Text<N, LINES> {
    Text::new(value).unwrap()
}

pub fn workload() -> Workload {
    Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(b"module"),
        arguments: Bounded::new(vec![text("--bins"), text("8")]).unwrap(),
        environment: BTreeMap::from([(text("LANG"), text("C"))]),
        stdin: None,
        inputs: Bounded::new(vec![Input {
            blob: BlobId::of(b"data"),
            target: text("/in/data"),
        }])
        .unwrap(),
        outputs: Bounded::new(vec![Output {
            name: text("hist"),
            path: text("/out/hist.csv"),
        }])
        .unwrap(),
        tasks: TaskSet::named(9, &[TaskIndex(0), TaskIndex(4), TaskIndex(8)]).unwrap(),
        state: StateOutputs(Bounded::new(vec![0]).unwrap()),
        limits: TaskLimits {
            fuel: Fuel(1 << 30),
            memory_bytes: 1 << 26,
            output_bytes: 1 << 20,
        },
        clock_start_ns: 1,
        random_seed: hash(4),
    }
}

pub fn spec() -> JobSpec {
    JobSpec {
        name: text("golden"),
        workload: workload(),
        constraints: Constraints {
            attributes: BTreeMap::from([(text("location"), text("sion"))]),
        },
        verification: Verification {
            min_verifiers: 2,
            tasks_per_verifier: Some(u32::MAX),
            value_at_risk: SQUARE,
            task_value_at_risk: SQUARE,
            confidence_ppm: 950_000,
        },
        price_cap: SQUARE,
        max_wait_ms: 78,
    }
}

pub fn before() -> TaskState {
    Bounded::new(vec![Some(BlobId::of(b"state")), None]).unwrap()
}

pub fn outcome() -> Outcome {
    Outcome {
        exit: Exit::Trap {
            trap: Trap::StackOverflow,
        },
        fuel: Fuel(77),
        stdout: BlobId::of(b"out"),
        stderr: BlobId::of(b""),
        outputs: Bounded::new(vec![Some(BlobId::of(b"csv")), None]).unwrap(),
    }
}

pub fn profile() -> PartnerProfile {
    PartnerProfile {
        name: text("site"),
        classes: [CLASS_WASM_V2].into(),
        vrf_key: vrf(7).public(),
        ask: Amount(5),
        places: 2,
        attributes: BTreeMap::from([(text("pue"), text("1.2"))]),
    }
}

/// A class that takes jobs at the heights 5 to 8.
pub fn ending_class() -> ClassParams {
    ClassParams {
        class: EngineClass(3),
        from_height: Height(5),
        until_height: Some(Height(9)),
        ..Params::devnet().compute.classes[0].clone()
    }
}

/// A validator's entry of a genesis, with signatures of threes.
pub fn entry() -> SignedEntry {
    SignedEntry {
        signatures: vec![Signature([3; 64]); 2],
        vrf_proof: VrfProof([4; 80]),
        entry: GenesisEntry {
            network: text("net"),
            owner: text("owner"),
            balance: Amount(7),
            office: EntryOffice::Validator {
                address: text("/ip4/192.0.2.1/tcp/26600"),
                member: genesis().validators[0].clone(),
            },
        },
    }
}

pub fn genesis() -> Genesis {
    let validator = Validator {
        key: key(1).public(),
        vrf_key: vrf(2).public(),
        node_key: key(3).public(),
        stake: Stake(4),
    };
    let partner = key(5).public().address();
    Genesis {
        name: text("golden"),
        time: Timestamp(1_000),
        params: Params::devnet(),
        accounts: vec![GenesisAccount {
            address: key(4).public().address(),
            balance: SQUARE,
        }],
        validators: vec![validator],
        partners: vec![GenesisPartner {
            address: partner,
            bond: SQUARE,
            profile: profile(),
        }],
    }
}

pub fn transaction(action: Action) -> Transaction {
    Transaction {
        chain_id: ChainId(hash(1)),
        sender: key(4).public(),
        nonce: Nonce(3),
        valid_until: Height(100),
        fee: Amount(9),
        action,
    }
}

pub fn header() -> Header {
    Header {
        protocol_version: ProtocolVersion(1),
        chain_id: ChainId(hash(1)),
        height: Height(5),
        parent: BlockId(hash(2)),
        timestamp: Timestamp(123),
        proposer: key(1).public().validator_id(),
        transaction_root: Body::default().root(),
        base_fee: Amount(1),
        next_committee: Hash32::ZERO,
        parent_state_root: hash(3),
        parent_receipt_root: hash(4),
        parent_gas_used: Gas(6),
    }
}

pub fn statement(subject: Subject) -> Statement {
    Statement {
        epoch: Epoch::FIRST,
        view: View(8),
        subject,
    }
}

pub fn certificate(subject: Subject) -> Certificate {
    let chain = ChainId(hash(1));
    let votes: Vec<_> = (1..4u8)
        .map(|n| {
            Vote::sign(
                statement(subject),
                ValidatorIndex(u16::from(n)),
                &key(n),
                chain,
            )
        })
        .collect();
    Certificate::from_votes(statement(subject), &votes)
}
