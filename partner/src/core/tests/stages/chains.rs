//! A primary of a chain hands its states on before it commits, and a verifier begins with what the primary handed on.

use types::hash::BlobId;
use types::job::{Duties, HandedOn, JobRecord, JobTerms, Stage, Verifying, Workload};
use types::transaction::JobStep;

use super::super::super::{Core, Effect, Event, ExecutionResult, RanTask};
use super::super::chain::{assigned, proven, record, workload};
use super::{announcing, assignment, core, executed, see, steps, verifier};
use crate::assignment::AssignmentRole;

fn chain() -> Workload {
    types::testing::chain(workload())
}

fn chain_record(stage: Stage, states: Option<HandedOn>) -> JobRecord {
    JobRecord {
        terms: JobTerms::of(&types::testing::job_spec(chain())),
        states,
        ..record(stage)
    }
}

fn list() -> BlobId {
    BlobId::of(b"states")
}

/// A primary that has run all tasks.
fn ran() -> Core {
    let mut core = core(1);
    let taken = chain_record(assigned(1, true), None);
    see(&mut core, proven(1, 1, 5, taken));
    let Event::Executed(result) = executed(7) else {
        panic!("not executed")
    };
    let outcomes = result.outcomes.into_iter();
    let outcomes = outcomes.map(|ran| (ran.task, ran.outcome)).collect();
    let result = ExecutionResult {
        outcomes: RanTask::linked(&chain(), outcomes),
        workload: chain(),
        states: vec![list(), BlobId::of(b"one")],
        assignment: result.assignment,
        salt: result.salt,
        list: result.list,
    };
    let effects = core.step(Event::Executed(Box::new(result)));
    let [JobStep::HandOn { states }] = steps(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(*states, list());
    core
}

fn look(core: &mut Core, height: u64, states: HandedOn) -> Vec<Effect> {
    let record = chain_record(assigned(1, true), Some(states));
    see(core, proven(1, 1, height, record))
}

fn uploads(effects: &[Effect]) -> Vec<&[BlobId]> {
    let mut found = Vec::new();
    for effect in effects {
        if let Effect::Upload { blobs, .. } = effect {
            found.push(blobs.as_slice());
        }
    }
    found
}

fn commits(effects: &[Effect]) -> bool {
    let steps = steps(effects);
    let mut steps = steps.iter();
    steps.any(|step| matches!(step, JobStep::Commit { .. }))
}

#[test]
fn a_primary_commits_once_its_states_are_held() {
    let mut core = ran();
    let list = list();
    let waits = look(&mut core, 6, HandedOn { list, held: false });
    assert_eq!(uploads(&waits), [[list, BlobId::of(b"one")]]);
    assert!(!commits(&waits));
    let held = look(&mut core, 7, HandedOn { list, held: true });
    assert!(uploads(&held).is_empty());
    assert!(commits(&held));
}

#[test]
fn a_primary_commits_to_no_other_states() {
    let mut core = ran();
    let list = BlobId::of(b"others");
    for held in [false, true] {
        let effects = look(&mut core, 6, HandedOn { list, held });
        assert!(uploads(&effects).is_empty());
        assert!(!commits(&effects));
    }
}

#[test]
fn a_verifier_is_told_which_states_to_begin_with() {
    let mut core = core(2);
    let states = HandedOn {
        list: list(),
        held: true,
    };
    let verifying = Stage::Verifying(Verifying {
        parties: announcing(1, vec![verifier(2)]).parties,
        needed: 1,
        round: 0,
        duties: Duties::default(),
    });
    let record = chain_record(verifying, Some(states));
    let effects = see(&mut core, proven(2, 3, 5, record));
    let mut executions = effects.iter().filter_map(|effect| match effect {
        Effect::Execute(execution) => Some(execution),
        _ => None,
    });
    let execution = executions.next().unwrap();
    assert_eq!(execution.assignment, assignment(AssignmentRole::Verifier));
    assert_eq!(execution.states, Some(list()));
}
