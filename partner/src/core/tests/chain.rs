//! A chain in one struct: nonces, expiry, and one job's life in the order of its stages, strict about every rule that
//! a partner must keep. It says what a partner did wrong by panicking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::account::{Account, Partner};
use types::attestation::{CommitmentContext, Opening, commitment, result_root_of};
use types::codec::{Bounded, Text};
use types::hash::{Address, ChainId, Hash32, JobId};
use types::job::{
    Announcing, Assigned, CLASS_WASM_V2, Duties, JobRecord, Parties, PartnerProfile, Policy,
    Primary, PrimaryOpening, Revealing, SortitionBeacon, Stage, Storing, TaskLimits, Verifier,
    VerifierOpening, Verifying, Workload,
};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Fixed64, Fuel, Height, Nonce, TaskIndex, Timestamp,
};
use types::params::Params;
use types::snapshot::{EpochPartner, PartnerPage};
use types::sortition::Sortition;
use types::transaction::{Action, JobStep, SignedTransaction};

use super::super::{PartnerIdentity, PartnerSettings, ProvenState};

pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));
pub const JOB: JobId = JobId(Hash32([8; 32]));
pub const TASKS: u32 = 5;

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
        classes: [CLASS_WASM_V2].into(),
        vrf_key: identity(n).vrf.public(),
        ask: Amount(1),
        places: 1,
        attributes: BTreeMap::new(),
    }
}

pub fn settings(n: u8) -> PartnerSettings {
    PartnerSettings {
        profile: profile(n),
        bond: Amount(1_000),
        reserve: Amount(10),
        verification_places: 1,
        blob_quota_bytes: 16 << 30,
        cores: 1,
        memory_bytes: u64::MAX,
        task_wall_ms: 1_000,
        paused: false,
    }
}

pub fn workload() -> Workload {
    Workload {
        limits: TaskLimits {
            fuel: Fuel(1),
            memory_bytes: 1,
            output_bytes: 1,
        },
        ..types::testing::workload(b"module", TASKS)
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
    let policy = Policy {
        // Every partner's share is certain to be drawn.
        expected_verifiers: Fixed64(16 << 64),
        tasks_per_verifier: 2,
        bond: Amount(100),
        verifier_bond: Amount(50),
        verifier_fee: Amount(1),
        expected_announcements: Fixed64(1 << 64),
        ..types::testing::no_policy()
    };
    let spec = types::testing::job_spec(workload());
    JobRecord {
        policy,
        ..types::testing::job_record(JOB, &spec, stage)
    }
}

pub fn assigned(n: u8, acknowledged: bool) -> Stage {
    Stage::Assigned(Assigned {
        primary: primary(n),
        duties: acknowledged.then(Duties::default),
    })
}

pub fn partner(n: u8) -> Partner {
    Partner {
        profile: profile(n),
        bond: Amount(1_000),
        locks: BTreeMap::new(),
        unbonding: Bounded::default(),
        verified_fees: Amount::ZERO,
    }
}

/// A page with so many partners, each of whom takes it for its own.
pub fn snapshot(partners: u8) -> PartnerPage {
    let counted = |n| EpochPartner {
        address: address(n),
        bond: Amount(1_000),
        profile: profile(n),
    };
    let mut all: Vec<_> = (1..=partners).map(counted).collect();
    all.sort_by_key(|partner| partner.address);
    PartnerPage(Bounded::new(all).unwrap())
}

/// A proven state with one job, as partner `n` of `partners` sees it.
pub fn proven(n: u8, partners: u8, height: u64, record: JobRecord) -> ProvenState {
    ProvenState {
        height: Height(height),
        newest: Height(height),
        time: Timestamp(height * 1_000),
        clock: (ChainTime(height * 1_000), Timestamp(height * 1_000)),
        account: Account {
            balance: Amount(100),
            nonce: Nonce(0),
        },
        partner: Some(partner(n)),
        live: BTreeSet::from([record.id]),
        workloads: BTreeMap::from([(record.id, Arc::new(workload()))]),
        jobs: BTreeMap::from([(record.id, record)]),
        params: Arc::new(params()),
        pages: BTreeMap::from([(Epoch(1), snapshot(partners))]),
    }
}

/// The parameters in force.
pub fn params() -> Params {
    Params {
        epoch_length: 1_000,
        min_fee: Amount(1),
        ..Params::devnet()
    }
}

/// A step as it is named in the one attempt: who takes it, and its kind.
type FakeStepName = (Address, &'static str);

/// One job among partners 1 to `partners`; partner 1 is its primary.
pub struct FakeChain {
    pub height: Height,
    pub partners: u8,
    pub record: JobRecord,
    pub settled: bool,
    pub uploaded: bool,
    mempool: BTreeMap<FakeStepName, SignedTransaction>,
    /// What was taken: it is sent again until its sender sees that.
    taken: BTreeSet<FakeStepName>,
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
            mempool: BTreeMap::new(),
            taken: BTreeSet::new(),
            announce_until: Height::ZERO,
        }
    }

    pub fn proven(&self, n: u8) -> ProvenState {
        let mut proven = proven(n, self.partners, self.height.0, self.record.clone());
        if self.settled {
            proven.live.clear();
            proven.jobs.clear();
        }
        proven
    }

    pub fn submit(&mut self, transaction: SignedTransaction) {
        transaction.verify().unwrap();
        let action = &transaction.transaction().action;
        assert!(action.is_step(), "{action:?} is not for the job");
        let key = (transaction.transaction().sender.address(), action.name());
        self.mempool.entry(key).or_insert(transaction);
    }

    /// One block: everything that waits, then what is due.
    pub fn block(&mut self) {
        self.height = self.height.next();
        for (name, signed) in std::mem::take(&mut self.mempool) {
            let transaction = signed.transaction();
            let (nonce, fee) = (transaction.nonce, transaction.fee);
            assert_eq!((nonce, fee), (Nonce::ZERO, Amount::ZERO));
            if transaction.valid_until >= self.height && self.taken.insert(name) {
                self.apply(name.0, &transaction.action);
            }
        }
        self.end_block();
    }

    fn apply(&mut self, sender: Address, action: &Action) {
        let Action::Job(action) = action else {
            panic!("{action:?} is not for the job")
        };
        let record = self.record.clone();
        match (&action.step, &mut self.record.stage) {
            (JobStep::Acknowledge, Stage::Assigned(assigned)) => {
                assigned.duties = Some(Duties::default());
            }
            (JobStep::Commit { commitment }, Stage::Assigned(assigned)) => {
                assert!(assigned.duties.is_some());
                assert_eq!(sender, assigned.primary.partner);
                self.announce_until = self.height.saturating_add(12);
                self.record.stage = Stage::Announcing(Announcing {
                    parties: Parties {
                        primary: assigned.primary,
                        commitment: *commitment,
                        verifiers: Vec::new(),
                        no_results: Vec::new(),
                    },
                    epoch: Epoch(1),
                    class_bond: Amount(1_000 * (u128::from(self.partners) - 1)),
                    beacon: SortitionBeacon::Known {
                        value: Hash32([5; 32]),
                    },
                });
            }
            (JobStep::Announce { proof }, Stage::Announcing(announcing)) => {
                let page = snapshot(self.partners);
                let sortition = Sortition::new(CHAIN, &record, announcing, &page).unwrap();
                let tasks = sortition.check(&sender, proof).unwrap();
                let verifiers = &mut announcing.parties.verifiers;
                assert!(
                    verifiers.iter().all(|verifier| verifier.partner != sender),
                    "announced twice"
                );
                verifiers.push(Verifier {
                    partner: sender,
                    appointed: false,
                    tasks,
                    bond: Amount(50),
                    commitment: None,
                    opening: None,
                });
            }
            (JobStep::Commit { commitment }, Stage::Verifying(verifying)) => {
                let verifier = own(&mut verifying.parties, &sender);
                let before = verifier.commitment.replace(*commitment);
                assert_eq!(before, None, "committed twice");
            }
            (JobStep::Reveal { opening }, Stage::Revealing(revealing)) => {
                reveal(revealing, sender, opening);
            }
            (JobStep::Agree { salt }, Stage::Revealing(revealing)) => {
                agree(revealing, sender, salt);
            }
            (step, stage) => panic!("{step:?} in {}", stage.name()),
        }
    }

    fn end_block(&mut self) {
        self.record.stage = match self.record.stage.clone() {
            Stage::Announcing(announcing) if self.height >= self.announce_until => {
                Stage::Verifying(Verifying {
                    parties: announcing.parties,
                    round: 0,
                    needed: 0,
                    duties: Duties::default(),
                })
            }
            Stage::Verifying(Verifying { parties, .. })
                if parties.verifiers.iter().all(|v| v.commitment.is_some()) =>
            {
                Stage::Revealing(Revealing {
                    parties,
                    opening: None,
                    unverified: false,
                    spot: None,
                    tried: false,
                })
            }
            Stage::Revealing(Revealing {
                parties,
                opening: Some(opening),
                ..
            }) if parties.all_opened() => Stage::Storing(Storing { parties, opening }),
            Stage::Storing(_) if self.uploaded => {
                self.settled = true;
                Stage::Settled
            }
            other => other,
        };
    }
}

fn own<'a>(parties: &'a mut Parties, partner: &Address) -> &'a mut Verifier {
    let mut verifiers = parties.verifiers.iter_mut();
    verifiers
        .find(|verifier| verifier.partner == *partner)
        .unwrap()
}

fn shown(sender: Address, root: &Hash32, salt: &Hash32) -> Hash32 {
    let context = CommitmentContext {
        chain: CHAIN,
        job: JOB,
        attempt: Attempt(0),
        partner: sender,
    };
    commitment(&context, root, salt)
}

fn reveal(revealing: &mut Revealing, sender: Address, opening: &Opening) {
    let parties = &revealing.parties;
    assert_eq!(sender, parties.primary.partner);
    let shown = shown(sender, &opening.root, &opening.salt);
    assert_eq!(shown, parties.commitment, "another commitment");
    let all: Vec<_> = (0..TASKS).map(TaskIndex).collect();
    assert!(opening.is_consistent(
        &all,
        &revealing.shown_tasks(&types::job::EarlierVerifiers::default())
    ));
    revealing.opening = Some(PrimaryOpening {
        root: opening.root,
        salt: opening.salt,
        leaves: opening.leaves.clone(),
        outcomes: opening.outcomes,
    });
}

fn agree(revealing: &mut Revealing, sender: Address, salt: &Hash32) {
    let opening = revealing.opening.as_ref().expect("the primary comes first");
    let verifier = own(&mut revealing.parties, &sender);
    let root = result_root_of(salt, &opening.leaves_of(&verifier.tasks).unwrap());
    let shown = shown(sender, &root, salt);
    assert_eq!(Some(shown), verifier.commitment, "another commitment");
    verifier.opening = Some(VerifierOpening::Agreed { salt: *salt });
}
