//! A verifier: when it announces itself, how many checks it binds itself to, and what it runs once it is bound.

use std::sync::Arc;

use types::account::{BondLock, LockReason};
use types::attestation::MerkleLeaves;
use types::hash::{Hash32, JobId};
use types::job::{EarlierVerifiers, JobRecord, PrimaryOpening, Revealing, Stage, Verifying};
use types::number::{Amount, Attempt, ChainTime, Fixed64, Fuel, Nonce};
use types::transaction::{Action, JobStep};

use super::super::super::outbox::TransactionOutbox;
use super::super::super::{Cause, Core, Effect, Event, ExecutionResult, ProvenState, RanTask};
use super::super::chain::{assigned, identity, proven, record, settings, workload};
use super::{actions, assignment, committed, core, executions, fail, see, steps, verifier};
use crate::assignment::{Assignment, AssignmentRole, OwnCommitment};

#[test]
fn a_bound_verifier_that_finds_no_result_says_so_once_answers_are_taken() {
    for cause in [Cause::Machine, Cause::Tasks] {
        let (mut core, announcing) = (core(2), committed(1, vec![verifier(2)]));
        let causes = [cause; 3];
        let effects = fail(&mut core, AssignmentRole::Verifier, &announcing, &causes);
        assert_eq!(steps(&effects), [&JobStep::NoResult; 0], "too early");
        let height = core.height().0 + 1;
        let Some(parties) = announcing.parties().cloned() else {
            panic!()
        };
        let verifying = Stage::Verifying(Verifying {
            parties,
            needed: 1,
            round: 0,
            duties: types::job::Duties::default(),
        });
        let effects = see(&mut core, proven(2, 3, height, record(verifying)));
        assert_eq!(steps(&effects), [&JobStep::NoResult]);
        assert_eq!(executions(&effects), []);
    }
}

/// A proven state with these jobs, told apart by their first byte, as partner 2 sees it.
fn view_of(height: u64, jobs: Vec<(u8, Stage)>) -> ProvenState {
    let mut all = proven(2, 3, height, record(Stage::Settled));
    all.live.clear();
    all.jobs.clear();
    for (id, stage) in jobs {
        let mut record = record(stage);
        record.id = JobId(Hash32([id; 32]));
        all.live.insert(record.id);
        all.jobs.insert(record.id, record);
    }
    all
}

/// Two tasks of a check take 20 s at the lowest speed, and the network gives them 75 s.
fn long_view(height: u64, jobs: Vec<(u8, Stage)>) -> ProvenState {
    let mut view = view_of(height, jobs);
    let speed = view.params.compute.classes[0].min_fuel_per_ms;
    for record in view.jobs.values_mut() {
        record.terms.fuel = Fuel(speed * 10_000);
        record.terms.input_bytes = 0;
        record.deadline = Some(ChainTime(height * 1_000));
        view.workloads.insert(record.id, Arc::new(workload()));
    }
    view
}

fn announced(effects: &[Effect]) -> Vec<u8> {
    let job = |action: &&Action| match action {
        Action::Job(action) if action.step.name() == "announce" => Some(action.job.0.0[0]),
        _ => None,
    };
    actions(effects).iter().filter_map(job).collect()
}

fn patient() -> Core {
    let mut settings = settings(2);
    settings.task_wall_ms = 1_000_000;
    Core::new(
        identity(2),
        settings,
        Vec::new(),
        TransactionOutbox::default(),
    )
}

#[test]
fn it_announces_what_it_can_do_in_time_beside_its_other_checks() {
    let free = || committed(1, Vec::new());
    let bound = |n| committed(1, vec![verifier(n)]);
    let mut core = patient();
    // At one place three checks take 60 s, a fourth would be over after 80.
    let all = (4..9).map(|job| (job, free())).collect();
    assert_eq!(announced(&see(&mut core, long_view(5, all))), [4, 5, 6]);
    let all = vec![(3, free()), (4, free()), (5, free()), (6, free())];
    let effects = see(&mut core, long_view(6, all));
    assert_eq!(announced(&effects), [0; 0], "three are on their way");
    let mut later = long_view(
        20,
        vec![(4, bound(2)), (5, bound(2)), (6, bound(2)), (7, free())],
    );
    later.account.nonce = Nonce(1);
    assert_eq!(announced(&see(&mut core, later)), [0; 0], "three are bound");
    // Another partner's check is none of its own, and one that is committed takes no time any more.
    let mut done = verifier(2);
    done.commitment = Some(Hash32([1; 32]));
    let jobs = vec![
        (4, bound(3)),
        (5, committed(1, vec![done])),
        (6, bound(2)),
        (7, free()),
        (8, free()),
        (9, free()),
    ];
    let effects = see(&mut patient(), long_view(5, jobs));
    assert_eq!(announced(&effects), [4, 7]);
}

/// A job of hours holds the only place; short ones are checked all the same.
#[test]
fn a_long_check_keeps_nobody_from_short_ones() {
    let mut core = patient();
    let heavy = |view: &mut ProvenState| {
        let record = view.jobs.get_mut(&JobId(Hash32([9; 32]))).unwrap();
        record.terms.fuel = Fuel(record.terms.fuel.0 * 3);
    };
    let mut view = long_view(5, vec![(9, committed(1, vec![verifier(2)]))]);
    heavy(&mut view);
    let started = |effects: &[Effect]| -> Vec<u8> {
        let all = executions(effects).into_iter();
        all.map(|(assignment, _)| assignment.job.0.0[0]).collect()
    };
    assert_eq!(started(&see(&mut core, view)), [9]);
    let mut view = long_view(
        6,
        vec![
            (4, committed(1, Vec::new())),
            (9, committed(1, vec![verifier(2)])),
        ],
    );
    heavy(&mut view);
    assert_eq!(announced(&see(&mut core, view)), [4]);
    let mut view = long_view(
        7,
        vec![
            (4, committed(1, vec![verifier(2)])),
            (5, committed(1, vec![verifier(2)])),
            (9, committed(1, vec![verifier(2)])),
        ],
    );
    heavy(&mut view);
    // Beside the one that runs, one more than there are places; the next waits.
    assert_eq!(started(&see(&mut core, view)), [4]);
}

#[test]
fn a_drawn_partner_announces_and_runs_once_it_is_bound() {
    let mut core = core(2);
    let effects = see(&mut core, proven(2, 3, 5, record(committed(1, Vec::new()))));
    assert!(matches!(steps(&effects)[..], [JobStep::Announce { .. }]));
    assert!(executions(&effects).is_empty(), "not bound yet");
    let effects = see(
        &mut core,
        proven(2, 3, 6, record(committed(1, vec![verifier(2)]))),
    );
    assert_eq!(
        executions(&effects),
        [(assignment(AssignmentRole::Verifier), 2)]
    );
}

#[test]
fn who_is_not_drawn_or_cannot_lock_the_bond_stays_away() {
    let mut undrawn = record(committed(1, Vec::new()));
    undrawn.policy.expected_verifiers = Fixed64(0);
    assert_eq!(see(&mut core(2), proven(2, 3, 5, undrawn)), []);

    let mut locked = proven(2, 3, 5, record(committed(1, Vec::new())));
    let reason = LockReason::Verifier(JobId(Hash32([4; 32])));
    let lock = BondLock {
        amount: Amount(951),
        reason,
    };
    let partner = locked.partner.as_mut().unwrap();
    partner.locks.insert(reason.id(), lock);
    assert_eq!(see(&mut core(2), locked), []);

    let mut unknown_epoch = proven(2, 3, 5, record(committed(1, Vec::new())));
    unknown_epoch.pages.clear();
    assert_eq!(see(&mut core(2), unknown_epoch), []);

    assert_eq!(
        see(
            &mut core(4),
            proven(4, 3, 5, record(committed(1, Vec::new())))
        ),
        [],
        "not in the snapshot"
    );
}

#[test]
fn verification_has_places_of_its_own() {
    let mut core = core(2);
    let mut busy = proven(2, 3, 5, record(committed(1, vec![verifier(2)])));
    let mut own = record(assigned(2, true));
    own.id = JobId(Hash32([1; 32]));
    busy.live.insert(own.id);
    busy.workloads.insert(own.id, Arc::new(workload()));
    busy.jobs.insert(own.id, own.clone());
    let effects = see(&mut core, busy);
    let own = Assignment {
        job: own.id,
        attempt: Attempt(0),
        role: AssignmentRole::Primary,
    };
    assert_eq!(
        executions(&effects),
        [(own, 5), (assignment(AssignmentRole::Verifier), 2)]
    );
}

/// Partner 2 after it ran its tasks as verifier, with what it keeps of them.
fn ran() -> (Core, OwnCommitment) {
    let mut core = core(2);
    let announcing = committed(1, vec![verifier(2)]);
    see(&mut core, proven(2, 3, 5, record(announcing)));
    let outcome = types::attestation::Outcome {
        exit: types::attestation::Exit::OutOfFuel,
        fuel: Fuel(1),
        stdout: types::hash::BlobId::of(b""),
        stderr: types::hash::BlobId::of(b""),
        outputs: types::codec::Bounded::default(),
    };
    let tasks = verifier(2).tasks.into_iter();
    let effects = core.step(Event::Executed(Box::new(ExecutionResult {
        assignment: assignment(AssignmentRole::Verifier),
        outcomes: RanTask::linked(
            &workload(),
            tasks.map(|task| (task, outcome.clone())).collect(),
        ),
        workload: workload(),
        salt: Hash32([7; 32]),
        list: None,
        states: Vec::new(),
    })));
    let Some(Effect::Keep(own)) = effects.into_iter().next() else {
        panic!("nothing was kept")
    };
    (core, *own)
}

/// The openings are awaited of a primary that found these leaves, or has not revealed.
fn revealing(own: &OwnCommitment, leaves: Option<MerkleLeaves>) -> Stage {
    let mut bound = verifier(2);
    bound.commitment = Some(own.commitment);
    let Stage::Announcing(announcing) = committed(1, vec![bound]) else {
        panic!()
    };
    let opening = leaves.map(|leaves| PrimaryOpening {
        root: Hash32([1; 32]),
        salt: Hash32([2; 32]),
        leaves,
        outcomes: types::hash::BlobId::of(b"list"),
    });
    Stage::Revealing(Revealing {
        parties: announcing.parties,
        opening,
        unverified: false,
        spot: None,
        tried: false,
    })
}

/// Rule C78: what was found before anybody knew who would run the job again.
#[test]
fn a_verifier_of_an_attempt_before_keeps_its_commitment_and_opens_when_a_primary_reveals() {
    let (mut core, own) = ran();
    let later = |stage| {
        let mut bound = verifier(2);
        bound.commitment = Some(own.commitment);
        let earlier = EarlierVerifiers {
            attempt: Attempt(0),
            verifiers: vec![bound],
        };
        JobRecord {
            attempt: Attempt(1),
            earlier,
            ..record(stage)
        }
    };
    let forgets = |effects: &[Effect]| effects.iter().any(|one| matches!(one, Effect::Forget(_)));
    let effects = see(&mut core, proven(2, 3, 10, later(assigned(1, true))));
    assert!(steps(&effects).is_empty() && !forgets(&effects));
    assert_eq!(core.open_duties().len(), 1, "it must not be stopped");
    let mut stage = revealing(&own, Some(own.leaves.clone()));
    let Stage::Revealing(revealing) = &mut stage else {
        panic!()
    };
    revealing.parties.verifiers.clear();
    let effects = see(&mut core, proven(2, 3, 20, later(stage.clone())));
    let salt = own.salt;
    let step = JobStep::Agree { salt }.of(own.assignment.job, Attempt(0));
    assert!(actions(&effects).contains(&&step));
    let opened = JobRecord {
        attempt: Attempt(1),
        ..record(stage)
    };
    let effects = see(&mut core, proven(2, 3, 30, opened));
    assert!(forgets(&effects) && core.open_duties().is_empty());
}

#[test]
fn a_verifier_opens_after_the_primary_by_its_salt_or_at_one_task_that_differs() {
    let (mut core, own) = ran();
    let look = |core: &mut Core, height, leaves| {
        let stage = revealing(&own, leaves);
        let effects = see(core, proven(2, 3, height, record(stage)));
        steps(&effects).into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(look(&mut core, 10, None), []);
    let same = Some(own.leaves.clone());
    let salt = own.salt;
    assert_eq!(look(&mut core, 20, same), [JobStep::Agree { salt }]);
    let mut other = own.leaves.clone();
    other.as_mut_slice()[1].1.0[0] ^= 1;
    let shown = look(&mut core, 30, Some(other));
    let [JobStep::Differ { divergence }] = shown.as_slice() else {
        panic!("{shown:?}")
    };
    let (task, leaf) = own.leaves[1];
    assert_eq!((divergence.task, divergence.leaf), (task, leaf));
    assert!(divergence.is_consistent(&verifier(2).tasks));
}
