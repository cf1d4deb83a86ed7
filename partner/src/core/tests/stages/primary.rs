//! A primary: what it takes and what it declines, when it gives up, what inputs it needs, and how it offers its results.

use std::collections::BTreeSet;

use types::hash::{BlobId, Hash32, JobId};
use types::job::{PrimaryOpening, Stage, Storing};
use types::number::{Attempt, Fuel};
use types::transaction::JobStep;

use super::super::super::outbox::TransactionOutbox;
use super::super::super::{Cause, Core, Effect, Event, MAX_EXECUTIONS, Note, PartnerSettings};
use super::super::chain::{assigned, identity, proven, record, settings, workload};
use super::{
    actions, announcing, assignment, committed, core, executed, executions, fail, see, steps,
    verifier,
};
use crate::assignment::AssignmentRole;
use crate::room::FreeRoom;

#[test]
fn a_primary_acknowledges_and_runs_all_tasks_at_once() {
    let mut core = core(1);
    let effects = see(&mut core, proven(1, 1, 5, record(assigned(1, false))));
    assert!(matches!(steps(&effects)[..], [JobStep::Acknowledge]));
    assert_eq!(
        executions(&effects),
        [(assignment(AssignmentRole::Primary), 5)]
    );
    let effects = see(&mut core, proven(1, 1, 6, record(assigned(1, true))));
    assert!(executions(&effects).is_empty(), "it runs already");
}

#[test]
fn somebody_elses_assignment_is_left_alone() {
    assert_eq!(
        see(&mut core(2), proven(2, 2, 5, record(assigned(1, false)))),
        []
    );
}

#[test]
fn beyond_its_capacity_it_declines() {
    let mut core = core(1);
    let mut busy = proven(1, 1, 5, record(assigned(1, true)));
    let mut second = record(assigned(1, false));
    second.id = JobId(Hash32([9; 32]));
    busy.jobs.insert(second.id, second.clone());
    busy.live.insert(second.id);
    let effects = see(&mut core, busy);
    assert_eq!(
        actions(&effects),
        [&JobStep::Decline { unrunnable: false }.of(second.id, Attempt(0))]
    );
    assert_eq!(
        executions(&effects),
        [(assignment(AssignmentRole::Primary), 5)]
    );
}

#[test]
fn tasks_that_never_give_a_result_are_reported() {
    let causes = [Cause::Tasks; 3];
    assert_eq!(u32::try_from(causes.len()).unwrap(), MAX_EXECUTIONS);
    let effects = fail(
        &mut core(1),
        AssignmentRole::Primary,
        &assigned(1, true),
        &causes,
    );
    assert!(
        matches!(steps(&effects)[..], [JobStep::Decline { unrunnable: true }]),
        "{effects:?}"
    );
}

#[test]
fn a_machine_that_lacks_something_says_nothing_of_the_job() {
    for causes in [
        [Cause::Machine; 3],
        [Cause::Tasks, Cause::Machine, Cause::Tasks],
    ] {
        let effects = fail(
            &mut core(1),
            AssignmentRole::Primary,
            &assigned(1, true),
            &causes,
        );
        assert!(
            matches!(
                steps(&effects)[..],
                [JobStep::Decline { unrunnable: false }]
            ),
            "{effects:?}"
        );
    }
    // What was killed too early is not known to be unrunnable either.
    let hasty = PartnerSettings {
        task_wall_ms: 0,
        ..settings(1)
    };
    let mut core = Core::new(identity(1), hasty, Vec::new(), TransactionOutbox::default());
    let effects = fail(
        &mut core,
        AssignmentRole::Primary,
        &assigned(1, true),
        &[Cause::Tasks; 3],
    );
    assert!(
        matches!(
            steps(&effects)[..],
            [JobStep::Decline { unrunnable: false }]
        ),
        "{effects:?}"
    );
}

#[test]
fn what_it_would_kill_too_early_it_does_not_take() {
    let mut core = core(1);
    let too_long = |stage| {
        let mut record = record(stage);
        // Three times this at 50,000 a millisecond is a unit more than a second.
        record.terms.fuel = Fuel(1_000 * 50_000 / 3 + 1);
        record
    };
    let effects = see(&mut core, proven(1, 2, 5, too_long(assigned(1, false))));
    assert_eq!(executions(&effects), []);
    assert!(
        matches!(
            steps(&effects)[..],
            [JobStep::Decline { unrunnable: false }]
        ),
        "{effects:?}"
    );
    let note = Note::TooLong {
        assignment: assignment(AssignmentRole::Primary),
        task_ms: 1_001,
        wall_ms: 1_000,
    };
    assert!(effects.contains(&Effect::Note(note)), "{effects:?}");
    assert_eq!(
        see(
            &mut self::core(2),
            proven(2, 3, 5, too_long(committed(1, Vec::new())))
        ),
        []
    );
    // Bound by the beacon it tries.
    let effects = see(
        &mut self::core(2),
        proven(2, 3, 5, too_long(committed(1, vec![verifier(2)]))),
    );
    assert_eq!(
        executions(&effects),
        [(assignment(AssignmentRole::Verifier), 2)]
    );
}

#[test]
fn only_what_is_to_be_run_needs_its_inputs() {
    let mut core = core(1);
    assert!(core.inputs().is_empty());
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let wanted: BTreeSet<_> = workload().blobs().into_iter().collect();
    assert_eq!(*core.inputs(), wanted);
    core.step(Event::NotExecuted {
        assignment: assignment(AssignmentRole::Primary),
        cause: Cause::Machine,
        reason: "x".into(),
    });
    assert_eq!(*core.inputs(), wanted, "it is run again after the pause");
    see(&mut core, proven(1, 1, 6, record(assigned(2, false))));
    assert!(core.inputs().is_empty());
    see(&mut core, proven(1, 1, 30, record(assigned(1, true))));
    core.step(executed(1));
    assert!(core.inputs().is_empty(), "it is committed");
}

#[test]
fn each_offer_of_the_results_begins_elsewhere() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    core.step(executed(1));
    let opening = PrimaryOpening {
        root: Hash32::ZERO,
        salt: Hash32::ZERO,
        leaves: types::codec::Bounded::default(),
        outcomes: BlobId::of(b"list"),
    };
    let agreed = Stage::Storing(Storing {
        parties: announcing(1, Vec::new()).parties,
        opening,
    });
    let offers = |core: &mut Core, height| {
        let offer = |effect: &Effect| match effect {
            Effect::Upload { offer, .. } => Some(*offer),
            _ => None,
        };
        see(core, proven(1, 1, height, record(agreed.clone())))
            .iter()
            .filter_map(offer)
            .collect::<Vec<_>>()
    };
    assert_eq!(offers(&mut core, 6), [0]);
    assert_eq!(offers(&mut core, 7), [0; 0], "under way");
    core.step(Event::Uploaded {
        assignment: assignment(AssignmentRole::Primary),
        complete: false,
    });
    assert_eq!(offers(&mut core, 8), [1], "nobody took them");
    core.step(Event::Uploaded {
        assignment: assignment(AssignmentRole::Primary),
        complete: true,
    });
    assert_eq!(offers(&mut core, 9), [0; 0]);
    assert_eq!(
        offers(&mut core, 28),
        [2],
        "somebody said to have them, and the chain still waits"
    );
}

#[test]
fn what_the_machine_has_no_room_for_it_declines_and_says_so() {
    let need = FreeRoom::of_primary(&record(assigned(1, false)).terms, &workload(), 1);
    let short_of = |disk_bytes: u64, memory_bytes: u64| FreeRoom {
        disk_bytes: need.disk_bytes - disk_bytes,
        memory_bytes: need.memory_bytes - memory_bytes,
    };
    for (room, takes) in [
        (None, true),
        (Some(need), true),
        (Some(short_of(1, 0)), false),
        (Some(short_of(0, 1)), false),
    ] {
        let mut core = core(1);
        assert_eq!(core.step(Event::Room(room)), []);
        let effects = see(&mut core, proven(1, 1, 5, record(assigned(1, false))));
        let is_note = |effect: &&Effect| matches!(effect, Effect::Note(Note::NoRoom { .. }));
        assert_eq!(effects.iter().filter(is_note).count(), usize::from(!takes));
        match steps(&effects)[..] {
            [JobStep::Acknowledge] => assert!(takes, "{room:?}"),
            [JobStep::Decline { unrunnable: false }] => assert!(!takes, "{room:?}"),
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_that_runs_keeps_its_room_until_it_has_a_result() {
    let need_of =
        |workers| FreeRoom::of_primary(&record(assigned(1, false)).terms, &workload(), workers);
    let (need, running) = (need_of(1), need_of(2));
    let settings = PartnerSettings {
        cores: 2,
        memory_bytes: u64::MAX,
        profile: types::job::PartnerProfile {
            places: 2,
            ..settings(1).profile
        },
        ..settings(1)
    };
    let mut core = Core::new(
        identity(1),
        settings,
        Vec::new(),
        TransactionOutbox::default(),
    );
    // Two tasks of the first run side by side.
    let short = FreeRoom {
        memory_bytes: need.and(running).memory_bytes - 1,
        ..need.and(running)
    };
    core.step(Event::Room(Some(short)));
    let mut busy = proven(1, 1, 5, record(assigned(1, true)));
    let mut second = record(assigned(1, false));
    second.id = JobId(Hash32([9; 32]));
    busy.workloads
        .insert(second.id, std::sync::Arc::new(workload()));
    busy.jobs.insert(second.id, second.clone());
    busy.live.insert(second.id);
    let effects = see(&mut core, busy.clone());
    assert!(
        matches!(steps(&effects)[..], [JobStep::Decline { .. }]),
        "{effects:?}"
    );
    core.step(Event::Room(Some(need.and(running))));
    busy.height = busy.height.next();
    busy.newest = busy.height;
    let effects = see(&mut core, busy);
    assert!(
        matches!(steps(&effects)[..], [JobStep::Acknowledge]),
        "{effects:?}"
    );
}

#[test]
fn a_job_beyond_the_quota_is_declined_whatever_the_disk_has() {
    let small = PartnerSettings {
        blob_quota_bytes: 1,
        ..settings(1)
    };
    let mut core = Core::new(identity(1), small, Vec::new(), TransactionOutbox::default());
    let effects = see(&mut core, proven(1, 1, 5, record(assigned(1, false))));
    assert!(
        matches!(
            steps(&effects)[..],
            [JobStep::Decline { unrunnable: false }]
        ),
        "{effects:?}"
    );
    let is_note =
        |effect: &Effect| matches!(effect, Effect::Note(Note::OverQuota { quota: 1, .. }));
    assert!(effects.iter().any(is_note), "{effects:?}");
}
