//! Engine classes: what is done about one that this build lacks, and which are registered.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::job::{CLASS_WASM_V2, Stage};
use types::number::{EngineClass, Height};
use types::transaction::{Action, JobStep};

use super::super::super::outbox::TransactionOutbox;
use super::super::super::{Core, Effect, Note, ProvenState};
use super::super::chain::{assigned, identity, proven, record, settings};
use super::{actions, assignment, committed, core, executions, see, steps, verifier};
use crate::assignment::AssignmentRole;

/// The classes of each profile that is sent.
fn classes_sent(effects: &[Effect]) -> Vec<BTreeSet<EngineClass>> {
    let classes = |action: &Action| match action {
        Action::RegisterPartner { profile } => Some(profile.classes.clone()),
        _ => None,
    };
    actions(effects).into_iter().filter_map(classes).collect()
}

#[test]
fn what_is_of_a_class_that_it_lacks_it_declines_and_says_so() {
    let class = EngineClass(9);
    let other_class = |stage| {
        let mut record = record(stage);
        record.terms.class = class;
        record
    };
    // Also what was acknowledged, as by a newer build before.
    for acknowledged in [false, true] {
        let effects = see(
            &mut core(1),
            proven(1, 2, 5, other_class(assigned(1, acknowledged))),
        );
        assert_eq!(executions(&effects), []);
        assert!(
            matches!(
                steps(&effects)[..],
                [JobStep::Decline { unrunnable: false }]
            ),
            "{effects:?}"
        );
        let assignment = assignment(AssignmentRole::Primary);
        let note = Note::ClassLacking { assignment, class };
        assert!(effects.contains(&Effect::Note(note)), "{effects:?}");
    }
    // It draws itself for no such job, and bound to one it runs nothing.
    let committed_by_other = other_class(committed(1, Vec::new()));
    assert_eq!(see(&mut core(2), proven(2, 3, 5, committed_by_other)), []);
    let bound = other_class(committed(1, vec![verifier(2)]));
    let effects = see(&mut core(2), proven(2, 3, 5, bound));
    let assignment = assignment(AssignmentRole::Verifier);
    let note = Note::ClassLacking { assignment, class };
    assert_eq!(effects, [Effect::Note(note)]);
}

/// The class of the network that this build has, and another one that is taken from height 7 to 19.
fn with_a_later_class(mut state: ProvenState) -> ProvenState {
    let mut params = (*state.params).clone();
    let mut later = params.compute.classes[0].clone();
    later.class = EngineClass(9);
    (later.from_height, later.until_height) = (Height(7), Some(Height(20)));
    params.compute.classes.push(later);
    state.params = Arc::new(params);
    state
}

#[test]
fn a_class_that_only_a_newer_build_runs_is_told_before_it_opens_and_until_it_ends() {
    let idle = || record(Stage::Settled);
    let note = Effect::Note(Note::ClassUnknown {
        class: EngineClass(9),
        from: Height(7),
    });
    for (height, is_told) in [(1, true), (7, true), (19, true), (20, false)] {
        let state = with_a_later_class(proven(1, 2, height, idle()));
        let effects = see(&mut core(1), state);
        assert_eq!(effects.contains(&note), is_told, "{height}: {effects:?}");
    }
}

#[test]
fn it_registers_the_classes_that_it_and_the_network_have() {
    let both: BTreeSet<_> = [CLASS_WASM_V2, EngineClass(9)].into();
    let with_classes = |classes: &BTreeSet<EngineClass>| {
        let mut settings = settings(1);
        settings.profile.classes.clone_from(classes);
        Core::new(
            identity(1),
            settings,
            Vec::new(),
            TransactionOutbox::default(),
        )
    };
    let registered = |classes: &BTreeSet<EngineClass>, state: ProvenState| {
        let effects = see(&mut with_classes(classes), state);
        (classes_sent(&effects), effects)
    };
    let idle = || proven(1, 2, 5, record(Stage::Settled));
    // Before its first height already: it counts from the next epoch on.
    let (profiles, _) = registered(&both, with_a_later_class(idle()));
    assert_eq!(profiles, std::slice::from_ref(&both));
    let (profiles, _) = registered(&both, idle());
    assert!(profiles.is_empty(), "the record names what both have");
    let (profiles, effects) = registered(&[EngineClass(9)].into(), idle());
    assert!(profiles.is_empty());
    assert!(
        effects.contains(&Effect::Note(Note::NoClass)),
        "{effects:?}"
    );
}
