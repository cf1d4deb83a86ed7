//! What a partner remembers from one look to the next: executions, proven states and commitments, and when it lets go of them.

use types::number::Height;
use types::transaction::JobStep;

use super::super::super::outbox::TransactionOutbox;
use super::super::super::{Core, Effect, Note};
use super::super::chain::{assigned, identity, proven, record, settings};
use super::{actions, assignment, committed, core, executed, see, steps};
use crate::assignment::AssignmentRole;

#[test]
fn what_nobody_waits_for_any_more_is_cancelled() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let effects = see(&mut core, proven(1, 1, 6, record(assigned(2, false))));
    assert!(
        effects.contains(&Effect::Cancel(assignment(AssignmentRole::Primary))),
        "{effects:?}"
    );
    assert_eq!(core.running().count(), 0);
}

#[test]
fn an_older_view_changes_nothing() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let mut old = proven(1, 1, 4, record(assigned(1, true)));
    old.newest = Height(9);
    old.live.clear();
    old.jobs.clear();
    assert_eq!(see(&mut core, old), []);
    assert_eq!(core.running().count(), 1);
}

#[test]
fn a_second_result_of_a_part_is_dropped() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let effects = core.step(executed(1));
    assert!(matches!(&effects[0], Effect::Keep(_)), "{effects:?}");
    let commitment = core.commitments().next().unwrap().commitment;
    assert_eq!(core.step(executed(2)), []);
    assert_eq!(core.commitments().next().unwrap().commitment, commitment);
}

#[test]
fn nothing_is_committed_before_the_chain_has_the_acknowledgement() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, false))));
    let effects = core.step(executed(1));
    assert!(actions(&effects).is_empty(), "{effects:?}");
    let effects = see(&mut core, proven(1, 1, 6, record(assigned(1, true))));
    assert!(
        matches!(steps(&effects)[..], [JobStep::Commit { .. }]),
        "{effects:?}"
    );
}

#[test]
fn after_a_restart_a_state_older_than_a_commitment_forgets_nothing() {
    let mut before = core(1);
    let mut first = proven(1, 1, 7, record(assigned(1, true)));
    // The job came in while the proven state was read.
    first.newest = Height(9);
    see(&mut before, first);
    before.step(executed(1));
    let own: Vec<_> = before.commitments().cloned().collect();
    let mut core = Core::new(identity(1), settings(1), own, TransactionOutbox::default());
    let mut old = proven(1, 1, 8, record(assigned(1, true)));
    assert_eq!(core.height(), Height(9));
    old.live.clear();
    old.jobs.clear();
    assert_eq!(see(&mut core, old.clone()), [], "the job did not exist yet");
    (old.height, old.newest) = (Height(10), Height(10));
    let effects = see(&mut core, old);
    assert!(
        effects.contains(&Effect::Forget(assignment(AssignmentRole::Primary))),
        "{effects:?}"
    );
}

#[test]
fn a_commitment_that_is_not_on_this_disk_is_reported_and_never_revealed() {
    let effects = see(
        &mut core(1),
        proven(1, 1, 5, record(committed(1, Vec::new()))),
    );
    assert_eq!(
        effects,
        [Effect::Note(Note::ForeignCommitment(assignment(
            AssignmentRole::Primary
        )))]
    );
}
