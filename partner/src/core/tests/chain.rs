//! A chain in one struct: nonces, expiry, and one job's life in the order of its stages, strict about every rule that
//! a partner must keep. It says what a partner did wrong by panicking.

use std::collections::{BTreeMap, BTreeSet};

use types::account::{Account, EpochPartner, Partner, PartnerSnapshot, is_drawn};
use types::attestation::{
    CommitmentContext, commitment, drawn_tasks, drawn_tasks_seed, leaves_hash, sortition_input,
};
use types::codec::{Bounded, Text};
use types::hash::{Address, BlobId, ChainId, Hash32, JobId};
use types::job::{
    CLASS_WASM_V1, Constraints, Escrow, JobRecord, JobSpec, PartnerProfile, Policy, Primary,
    PrimaryCommitment, PrimaryOpening, Stage, TaskLimits, Verification, Verifier, VerifierOpening,
    Workload,
};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{
    Amount, Attempt, BeaconStep, ChainTime, Epoch, Fixed64, Fuel, Height, Nonce, TaskIndex,
};
use types::params::Params;
use types::transaction::{Action, SignedTransaction};

use super::super::{PartnerIdentity, PartnerSettings, ProvenState};

pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));
pub const JOB: JobId = JobId(Hash32([8; 32]));
pub const TASKS: u32 = 5;
const NEVER: ChainTime = ChainTime(u64::MAX);

pub fn identity(n: u8) -> PartnerIdentity {
    let vrf = VrfSecretKey::from_bytes(&[n & 0x0f; 32].map(|byte| byte & 0x0f)).unwrap();
    PartnerIdentity {
        chain: CHAIN,
        key: SecretKey::from_bytes(&[n; 32]),
        vrf,
    }
}

pub fn address(n: u8) -> Address {
    identity(n).address()
}

pub fn profile(n: u8) -> PartnerProfile {
    PartnerProfile {
        name: Text::new(format!("partner {n}")).unwrap(),
        class: CLASS_WASM_V1,
        vrf_key: identity(n).vrf.public(),
        ask: Amount(1),
        capacity: 1,
        attributes: BTreeMap::new(),
    }
}

pub fn settings(n: u8) -> PartnerSettings {
    PartnerSettings {
        profile: profile(n),
        bond: Amount(1_000),
        reserve: Amount(10),
        verification_places: 1,
        task_wall_ms: 1_000,
        params: Params {
            epoch_length: 1_000,
            min_fee: Amount(1),
            ..Params::devnet()
        },
    }
}

pub fn workload() -> Workload {
    Workload {
        class: CLASS_WASM_V1,
        module: BlobId::of(b"module"),
        arguments: Bounded::default(),
        environment: BTreeMap::new(),
        stdin: None,
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks: TASKS,
        limits: TaskLimits {
            fuel: Fuel(1),
            memory_bytes: 1,
            output_bytes: 1,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    }
}

pub fn primary(n: u8) -> Primary {
    Primary {
        partner: address(n),
        price: Amount(5),
        bond: Amount(100),
    }
}

pub fn record(stage: Stage) -> JobRecord {
    let verification = Verification {
        min_verifiers: 0,
        tasks_per_verifier: None,
        value_at_risk: Amount(1),
        task_value_at_risk: Amount(1),
        confidence_ppm: 0,
    };
    let spec = JobSpec {
        name: Text::new("job").unwrap(),
        workload: workload(),
        constraints: Constraints::default(),
        verification,
        price_cap: Amount(10),
    };
    let policy = Policy {
        // Every partner's share is certain to be drawn.
        expected_verifiers: Fixed64(16 << 64),
        tasks_per_verifier: 2,
        expected_checks: Fixed64(0),
        detection: Fixed64(0),
        bond: Amount(100),
        verifier_bond: Amount(50),
        min_verifiers: 0,
        verifier_fee: Amount(1),
    };
    JobRecord {
        id: JOB,
        customer: Address::default(),
        spec,
        escrow: Escrow::default(),
        policy,
        attempt: Attempt(0),
        unrunnable_reports: Vec::new(),
        excluded: Vec::new(),
        stage,
        burned: Amount::ZERO,
        history: Vec::new(),
    }
}

pub fn assigned(n: u8, acknowledged: bool) -> Stage {
    Stage::Assigned {
        primary: primary(n),
        acknowledged,
        deadline: NEVER,
    }
}

pub fn partner(n: u8) -> Partner {
    Partner {
        profile: profile(n),
        bond: Amount(1_000),
        locks: BTreeMap::new(),
        unbonding: Bounded::default(),
        running: 0,
        verified_value: Amount::ZERO,
    }
}

pub fn snapshot(partners: u8) -> PartnerSnapshot {
    let counted = |n| EpochPartner {
        address: address(n),
        bond: Amount(1_000),
        profile: profile(n),
    };
    let mut all: Vec<_> = (1..=partners).map(counted).collect();
    all.sort_by_key(|partner| partner.address);
    PartnerSnapshot(Bounded::new(all).unwrap())
}

/// A proven state with one job, as partner `n` of `partners` sees it.
pub fn proven(n: u8, partners: u8, height: u64, record: JobRecord) -> ProvenState {
    ProvenState {
        height: Height(height),
        newest: Height(height),
        account: Account {
            balance: Amount(100),
            nonce: Nonce(0),
        },
        partner: Some(partner(n)),
        live: BTreeSet::from([record.id]),
        jobs: BTreeMap::from([(record.id, record)]),
        snapshots: BTreeMap::from([(Epoch(1), snapshot(partners))]),
    }
}

/// One job among partners 1 to `partners`; partner 1 is its primary.
pub struct FakeChain {
    pub height: Height,
    pub partners: u8,
    pub record: JobRecord,
    pub settled: bool,
    pub uploaded: bool,
    nonces: BTreeMap<Address, Nonce>,
    mempool: BTreeMap<(Address, Nonce), SignedTransaction>,
    announce_until: Height,
}

impl FakeChain {
    pub fn new(partners: u8) -> Self {
        Self {
            height: Height(1),
            partners,
            record: record(assigned(1, false)),
            settled: false,
            uploaded: false,
            nonces: BTreeMap::new(),
            mempool: BTreeMap::new(),
            announce_until: Height::ZERO,
        }
    }

    pub fn proven(&self, n: u8) -> ProvenState {
        let mut proven = proven(n, self.partners, self.height.0, self.record.clone());
        proven.account.nonce = self.nonces.get(&address(n)).copied().unwrap_or_default();
        if self.settled {
            proven.live.clear();
            proven.jobs.clear();
        }
        proven
    }

    pub fn submit(&mut self, transaction: SignedTransaction) {
        transaction.verify().unwrap();
        let key = (
            transaction.transaction.sender.address(),
            transaction.transaction.nonce,
        );
        self.mempool.entry(key).or_insert(transaction);
    }

    /// One block: everything that waits, then what is due.
    pub fn block(&mut self) {
        self.height = self.height.next();
        for ((sender, nonce), signed) in std::mem::take(&mut self.mempool) {
            let next = self.nonces.entry(sender).or_default();
            if nonce < *next || signed.transaction.valid_until < self.height {
                continue;
            }
            assert_eq!(nonce, *next, "a gap in the nonces of {sender}");
            *next = nonce.next();
            self.apply(sender, &signed.transaction.action);
        }
        self.end_block();
    }

    fn apply(&mut self, sender: Address, action: &Action) {
        match (action, &mut self.record.stage) {
            (Action::Acknowledge { .. }, Stage::Assigned { acknowledged, .. }) => {
                *acknowledged = true
            }
            (
                Action::Commit { commitment, .. },
                Stage::Assigned {
                    primary,
                    acknowledged: true,
                    ..
                },
            ) => {
                assert_eq!(sender, primary.partner);
                let primary = primary.clone();
                let committed = PrimaryCommitment {
                    commitment: *commitment,
                    height: self.height,
                    draw: BeaconStep(7),
                    beacon: Some(Hash32([5; 32])),
                };
                self.announce_until = self.height.saturating_add(12);
                self.record.stage = Stage::Announcing {
                    primary,
                    committed,
                    verifiers: Vec::new(),
                    deadline: NEVER,
                };
            }
            (
                Action::Announce { proof, .. },
                Stage::Announcing {
                    primary,
                    committed,
                    verifiers,
                    ..
                },
            ) => {
                let n = (1..=self.partners).find(|n| address(*n) == sender).unwrap();
                let (seal, beacon) = (committed.commitment, committed.beacon.unwrap());
                let input = sortition_input(CHAIN, JOB, Attempt(0), &sender, &seal, &beacon);
                let output = identity(n).vrf.public().verify(&input, proof).unwrap();
                let class_bond =
                    snapshot(self.partners).class_bond(CLASS_WASM_V1, &primary.partner);
                assert!(is_drawn(
                    &output,
                    self.record.policy.expected_verifiers,
                    Amount(1_000),
                    class_bond
                ));
                let tasks = drawn_tasks(
                    &drawn_tasks_seed(&output),
                    TASKS,
                    self.record.policy.tasks_per_verifier,
                );
                assert!(
                    verifiers.iter().all(|verifier| verifier.partner != sender),
                    "announced twice"
                );
                let verifier = Verifier {
                    partner: sender,
                    appointed: false,
                    tasks,
                    bond: Amount(50),
                    commitment: None,
                    opened: None,
                };
                verifiers.push(verifier);
            }
            (Action::Claim { commitment, .. }, Stage::Verifying { verifiers, .. }) => {
                let verifier = verifiers
                    .iter_mut()
                    .find(|verifier| verifier.partner == sender)
                    .unwrap();
                assert_eq!(
                    verifier.commitment.replace(*commitment),
                    None,
                    "claimed twice"
                );
            }
            (
                Action::Reveal { opening, .. },
                Stage::Revealing {
                    primary,
                    committed,
                    opened,
                    verifiers,
                    ..
                },
            ) => {
                let context = CommitmentContext {
                    chain: CHAIN,
                    job: JOB,
                    attempt: Attempt(0),
                    partner: sender,
                };
                let own = commitment(&context, &opening.root, &opening.salt);
                if sender == primary.partner {
                    assert_eq!(own, committed.commitment, "opens another commitment");
                    let all: BTreeSet<_> = verifiers
                        .iter()
                        .flat_map(|verifier| verifier.tasks.clone())
                        .collect();
                    let all: Vec<_> = all.into_iter().collect();
                    let claimed: Vec<_> = (0..TASKS).map(TaskIndex).collect();
                    assert!(opening.is_consistent(&claimed, &all));
                    let (root, salt, leaves) = (opening.root, opening.salt, opening.leaves.clone());
                    *opened = Some(PrimaryOpening {
                        root,
                        salt,
                        leaves,
                        outcomes: opening.outcomes,
                    });
                } else {
                    let verifier = verifiers
                        .iter_mut()
                        .find(|verifier| verifier.partner == sender)
                        .unwrap();
                    assert_eq!(Some(own), verifier.commitment, "opens another commitment");
                    assert!(opening.is_consistent(&verifier.tasks, &verifier.tasks));
                    let (root, salt, leaves) =
                        (opening.root, opening.salt, leaves_hash(&opening.leaves));
                    verifier.opened = Some(VerifierOpening { root, salt, leaves });
                }
            }
            (action, stage) => panic!("{action:?} in {}", stage.name()),
        }
    }

    fn end_block(&mut self) {
        self.record.stage = match self.record.stage.clone() {
            Stage::Announcing {
                primary,
                committed,
                verifiers,
                ..
            } if self.height >= self.announce_until => Stage::Verifying {
                primary,
                committed,
                verifiers,
                round: 0,
                needed: 0,
                deadline: NEVER,
            },
            Stage::Verifying {
                primary,
                committed,
                verifiers,
                ..
            } if verifiers.iter().all(|v| v.commitment.is_some()) => Stage::Revealing {
                primary,
                committed,
                opened: None,
                verifiers,
                unverified: false,
                deadline: NEVER,
            },
            Stage::Revealing {
                primary,
                committed,
                opened: Some(opened),
                verifiers,
                ..
            } if verifiers.iter().all(|v| v.opened.is_some()) => Stage::Storing {
                primary,
                committed,
                opened,
                verifiers,
                stored: std::collections::BTreeSet::new(),
                deadline: NEVER,
            },
            Stage::Storing { .. } if self.uploaded => {
                self.settled = true;
                Stage::Settled
            }
            other => other,
        };
    }
}
