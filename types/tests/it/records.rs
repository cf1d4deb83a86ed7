//! Frozen formats of what jobs and partners leave in state: a record in each stage, the receipt, partners.

use std::collections::{BTreeMap, BTreeSet};

use types::account::{
    Account, BondLock, LiveIndex, LiveJobs, LockId, LockReason, Partner, Unbonding,
};
use types::attestation::RefereeFinding;
use types::codec::Bounded;
use types::hash::{Address, BlobId, JobId, ValidatorId, WorkloadId};
use types::job::{
    Announcing, Appointing, Assigned, Ballot, BallotPhase, CLASS_WASM_V2, Challenged, Disputed,
    Duties, EarlierVerifiers, Escrow, Failed, FailureReason, HandedOn, JobReceipt, JobRecord,
    JobRent, JobTerms, JobVerdict, Parties, Pending, Policy, Primary, PrimaryOpening,
    ReceiptVerifier, Renewals, Revealing, Revocation, Settlement, Share, SortitionBeacon, Stage,
    StageEntry, StateOutputs, Storing, TaskSet, UnrunnableReport, Verifier, VerifierOpening,
    Verifying,
};
use types::number::{
    Amount, Attempt, BeaconStep, ChainTime, Epoch, Fixed64, Fuel, Height, Nonce, TaskIndex,
    Timestamp,
};
use types::snapshot::{EpochPartner, PageVersion, PartnerIndex, PartnerPage};

use crate::golden::Vectors;
use crate::golden::values::{hash, profile, spec};

const POLICY: Policy = Policy {
    expected_verifiers: Fixed64(1 << 63),
    tasks_per_verifier: 3,
    expected_checks: Fixed64(1 << 62),
    detection: Fixed64(1 << 61),
    bond: Amount(61),
    verifier_bond: Amount(31),
    min_verifiers: 2,
    verifier_fee: Amount(5),
    expected_announcements: Fixed64(1 << 64),
};

const REASONS: [FailureReason; 11] = [
    FailureReason::NoInputs,
    FailureReason::NoPartner,
    FailureReason::Unrunnable,
    FailureReason::NoCommitment,
    FailureReason::Refuted,
    FailureReason::NonCanonical,
    FailureReason::Unverified,
    FailureReason::Unopened,
    FailureReason::NotStored,
    FailureReason::Cancelled,
    FailureReason::Revoked,
];

pub fn address(n: u8) -> Address {
    Address([n; 20])
}

fn duties() -> Duties {
    let renewals = Renewals {
        number: 3,
        at: ChainTime(80),
        height: Height(8),
    };
    Duties {
        until: ChainTime(100),
        renewals: [(address(1), renewals)].into(),
    }
}

fn verifiers() -> Vec<Verifier> {
    let verifier = |n, appointed, commitment, opening| Verifier {
        partner: address(n),
        appointed,
        tasks: vec![TaskIndex(0), TaskIndex(2)],
        bond: Amount(31),
        commitment,
        opening,
    };
    vec![
        verifier(
            2,
            false,
            Some(hash(4)),
            Some(VerifierOpening::Agreed { salt: hash(6) }),
        ),
        verifier(3, true, None, None),
    ]
}

fn lock(reason: LockReason, amount: u128) -> (LockId, BondLock) {
    let lock = BondLock {
        amount: Amount(amount),
        reason,
    };
    (reason.id(), lock)
}

fn stages() -> Vec<Stage> {
    let primary = Primary {
        partner: address(1),
        price: Amount(9),
        bond: Amount(61),
    };
    let parties = Parties {
        primary,
        commitment: hash(2),
        verifiers: verifiers(),
        no_results: vec![UnrunnableReport {
            partner: Address([4; 20]),
            cost: Amount(5),
        }],
    };
    let opening = PrimaryOpening {
        root: hash(5),
        salt: hash(6),
        leaves: Bounded::new(vec![(TaskIndex(0), hash(7))]).unwrap(),
        outcomes: BlobId::of(b"outcomes"),
    };
    let announcing = |beacon| {
        Stage::Announcing(Announcing {
            parties: parties.clone(),
            epoch: Epoch(3),
            class_bond: Amount(1_500),
            beacon,
        })
    };
    let [queued, voting, opened, decided] = phases();
    let (step, reason) = (BeaconStep(9), FailureReason::Refuted);
    vec![
        Stage::Pending(Pending {
            draw: Some(BeaconStep(4)),
        }),
        Stage::Assigned(Assigned {
            primary,
            duties: Some(duties()),
        }),
        announcing(SortitionBeacon::Awaited { step }),
        announcing(SortitionBeacon::Known { value: hash(3) }),
        Stage::Appointing(Appointing {
            parties: parties.clone(),
            missing: 2,
            needed: 3,
            draw: BeaconStep(9),
            round: 1,
        }),
        Stage::Verifying(Verifying {
            parties: parties.clone(),
            needed: 2,
            round: 1,
            duties: duties(),
        }),
        Stage::Revealing(Revealing {
            parties: parties.clone(),
            opening: Some(opening.clone()),
            unverified: true,
            spot: Some(TaskIndex(1)),
            tried: true,
        }),
        disputed(&parties, &opening, queued),
        disputed(&parties, &opening, voting),
        disputed(&parties, &opening, opened),
        disputed(&parties, &opening, decided),
        challenged(&parties),
        Stage::Storing(Storing { parties, opening }),
        Stage::Settled,
        Stage::Failed(Failed { reason }),
    ]
}

fn challenged(parties: &Parties) -> Stage {
    let parties = parties.clone();
    Stage::Challenged(Challenged { parties })
}

fn phases() -> [BallotPhase; 4] {
    let referee = |n| ValidatorId(address(n));
    let voting = BallotPhase::Voting {
        committed: BTreeMap::from([(referee(1), hash(1))]),
    };
    let (leaf, witness) = (hash(2), hash(4));
    let finding = RefereeFinding { leaf, witness };
    let opened = BallotPhase::Opening {
        committed: BTreeMap::from([(referee(1), hash(1))]),
        opened: BTreeMap::from([(referee(2), finding)]),
    };
    let decided = BallotPhase::Decided {
        leaf: hash(3),
        referees: BTreeSet::from([referee(3)]),
    };
    [BallotPhase::Queued, voting, opened, decided]
}

fn disputed(parties: &Parties, opening: &PrimaryOpening, phase: BallotPhase) -> Stage {
    let (mut parties, opening) = (parties.clone(), opening.clone());
    parties.verifiers[1].opening = Some(VerifierOpening::Differed {
        task: TaskIndex(2),
        leaf: hash(9),
    });
    Stage::Disputed(Disputed {
        parties,
        opening,
        unverified: false,
        openings_until: ChainTime(70),
        ballot: Ballot {
            number: 1,
            task: TaskIndex(2),
            committee: Epoch(3),
            is_second: true,
            witness_draw: hash(5),
            phase,
        },
    })
}

fn verdict() -> JobVerdict {
    let share = |n| Share {
        account: address(n),
        amount: Amount(n.into()),
    };
    JobVerdict {
        attempt: Attempt(1),
        task: TaskIndex(2),
        leaf: hash(3),
        primary: address(1),
        height: Height(8),
        forfeits: vec![share(4)],
        shares: vec![share(1), share(2)],
        burned: Amount(1),
        due: ChainTime(90),
        paid: false,
    }
}

fn record(stage: Stage) -> JobRecord {
    let entry = StageEntry {
        stage: stage.name().to_owned(),
        attempt: Attempt(1),
        height: Height(8),
        time: Timestamp(1_000),
    };
    JobRecord {
        id: JobId(hash(1)),
        customer: address(9),
        terms: JobTerms::of(&spec()),
        escrow: Escrow {
            execution: Amount(1),
            verification: Amount(2),
            storage: Amount(3),
            fees: Amount(4),
            rent: Amount(5),
            referees: Amount(10),
        },
        rent: JobRent {
            waiting: Amount(6),
            running: Amount(7),
            due: Amount(8),
            until: ChainTime(70),
            bytes: 9,
        },
        policy: POLICY,
        attempt: Attempt(1),
        unrunnable_reports: vec![UnrunnableReport {
            partner: address(4),
            cost: Amount(2),
        }],
        excluded: vec![address(4), address(5)],
        earlier: EarlierVerifiers {
            attempt: Attempt(0),
            verifiers: verifiers()[..1].to_vec(),
        },
        states: Some(HandedOn {
            list: BlobId::of(b"states"),
            held: true,
        }),
        deadline: Some(ChainTime(77)),
        opened: Height(8),
        draw: stage.draw(),
        verdicts: 2,
        queued: Some(ChainTime(79)),
        stage,
        burned: Amount(6),
        locked: Amount(30),
        refunded: Amount(3),
        history: vec![entry],
        settlement: Some(Settlement {
            until: ChainTime(99),
            challenges: 2,
        }),
    }
}

fn receipt() -> JobReceipt {
    JobReceipt {
        job: JobId(hash(1)),
        attempt: Attempt(1),
        customer: address(9),
        workload: WorkloadId(hash(2)),
        input_root: hash(3),
        tasks: TaskSet::all(3),
        state: StateOutputs(Bounded::new(vec![0, 3]).unwrap()),
        result_root: hash(5),
        salt: hash(6),
        outcomes: BlobId::of(b"outcomes"),
        fuel: Fuel(77),
        class: CLASS_WASM_V2,
        primary: address(1),
        price: Amount(9),
        verifiers: vec![ReceiptVerifier {
            partner: address(2),
            appointed: true,
            tasks: 2,
        }],
        verification_paid: Amount(5),
        burned: Amount(6),
        value_at_risk: Amount(100),
        task_value_at_risk: Amount(50),
        policy: POLICY,
        tasks_rerun: 2,
        height: Height(20),
        time: Timestamp(2_000),
        revocable_until: ChainTime(99),
    }
}

fn revocations() -> [Revocation; 3] {
    let height = Height(21);
    [
        Revocation::Challenged {
            challenger: address(4),
            height,
        },
        Revocation::Refuted { verdict: 1, height },
        Revocation::NonCanonical { height },
    ]
}

#[test]
fn records_in_state_are_frozen() {
    let mut v = Vectors::default();
    for stage in stages() {
        v.add(&format!("record_{}", stage.name()), &record(stage));
    }
    for reason in REASONS {
        v.add("failure_reason", &reason);
    }
    v.add("job_receipt", &receipt());
    v.add("verdict", &verdict());
    for revocation in revocations() {
        v.add("revocation", &revocation);
    }
    v.add(
        "account",
        &Account {
            balance: Amount(7),
            nonce: Nonce(2),
        },
    );
    let partner = Partner {
        profile: profile(),
        bond: Amount(500),
        locks: BTreeMap::from([
            lock(LockReason::Primary(JobId(hash(1))), 61),
            lock(LockReason::Verifier(JobId(hash(2))), 31),
            lock(LockReason::EarlierVerifier(JobId(hash(2))), 7),
            lock(LockReason::Audit(ChainTime(77)), 8),
            lock(LockReason::Contested(JobId(hash(3))), 9),
            lock(LockReason::Challenger(JobId(hash(4))), 10),
        ]),
        unbonding: Bounded::new(vec![Unbonding {
            amount: Amount(5),
            deadline: ChainTime(99),
        }])
        .unwrap(),
        verified_fees: Amount(100),
    };
    v.add("partner", &partner);
    let entry = EpochPartner {
        address: address(1),
        bond: Amount(500),
        profile: profile(),
    };
    let page = PartnerPage(Bounded::new(vec![entry]).unwrap());
    v.add("partner_page", &page);
    let mut index = PartnerIndex::default();
    index.0[0] = PageVersion::new(Epoch(2), &page);
    v.add("partner_index", &index);
    v.add(
        "live_jobs",
        &LiveJobs::from([(JobId(hash(1)), Height(3)), (JobId(hash(2)), Height(4))]),
    );
    v.add("live_index", &LiveIndex([Height(5); 64]));
    v.freeze("golden_records.txt");
}
