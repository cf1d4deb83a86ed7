//! One stage at a time: what is wanted, and what is left alone.

use types::hash::{Hash32, JobId};
use types::job::{Committed, Stage, Verifier};
use types::number::{Amount, Attempt, ChainTime, Fixed64, Height, TaskIndex};
use types::transaction::Action;

use super::super::outbox::Outbox;
use super::super::{Core, Effect, Event, MAX_EXECUTIONS, Note, View};
use super::chain::{address, assigned, identity, primary, record, settings, view};
use crate::part::{Part, Role};

fn core(n: u8) -> Core {
    Core::new(identity(n), settings(n), Vec::new(), Outbox::default())
}

fn see(core: &mut Core, view: View) -> Vec<Effect> {
    core.step(Event::View(Box::new(view)))
}

fn actions(effects: &[Effect]) -> Vec<&Action> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(signed) => Some(&signed.transaction.action),
            _ => None,
        })
        .collect()
}

fn executions(effects: &[Effect]) -> Vec<(Part, usize)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Execute(execution) => Some((execution.part, execution.tasks.len())),
            _ => None,
        })
        .collect()
}

fn part(role: Role) -> Part {
    Part { job: record(Stage::Settled).id, attempt: Attempt(0), role }
}

fn committed(by: u8, verifiers: Vec<Verifier>) -> Stage {
    let committed = Committed { commitment: Hash32([1; 32]), height: Height(3), beacon: Hash32([2; 32]) };
    Stage::Committed { primary: primary(by), committed, verifiers, deadline: ChainTime(9) }
}

fn seat(n: u8) -> Verifier {
    Verifier {
        partner: address(n),
        fill_up: false,
        tasks: vec![TaskIndex(1), TaskIndex(3)],
        bond: Amount(50),
        claim: None,
        opened: None,
    }
}

#[test]
fn it_registers_first_and_then_fills_its_bond() {
    let mut core = core(1);
    let mut unknown = view(1, 1, 5, record(Stage::Settled));
    unknown.partner = None;
    let effects = see(&mut core, unknown);
    assert!(matches!(actions(&effects)[..], [Action::RegisterPartner { .. }]));
    let Effect::KeepOutbox(_) = &effects[0] else { panic!("kept before it is sent: {effects:?}") };

    let mut poor = view(1, 1, 6, record(Stage::Settled));
    poor.account.nonce = types::number::Nonce(1);
    poor.partner.as_mut().unwrap().bond = Amount(940);
    poor.account.balance = Amount(70);
    let effects = see(&mut core, poor.clone());
    assert!(matches!(actions(&effects)[..], [Action::Bond { amount: Amount(60) }]), "{effects:?}");

    let mut core = self::core(1);
    poor.account.balance = Amount(69);
    let effects = see(&mut core, poor.clone());
    assert!(matches!(&effects[..], [Effect::Note(Note::BondShort { .. })]), "the reserve for fees stays: {effects:?}");
    (poor.height, poor.newest) = (Height(7), Height(7));
    assert_eq!(see(&mut core, poor), [], "it is said once");
}

#[test]
fn a_primary_acknowledges_and_runs_all_tasks_at_once() {
    let mut core = core(1);
    let effects = see(&mut core, view(1, 1, 5, record(assigned(1, false))));
    assert!(matches!(actions(&effects)[..], [Action::Acknowledge { .. }]));
    assert_eq!(executions(&effects), [(part(Role::Primary), 5)]);
    let effects = see(&mut core, view(1, 1, 6, record(assigned(1, true))));
    assert!(executions(&effects).is_empty(), "it runs already");
}

#[test]
fn somebody_elses_assignment_is_left_alone() {
    assert_eq!(see(&mut core(2), view(2, 2, 5, record(assigned(1, false)))), []);
}

#[test]
fn beyond_its_capacity_it_declines() {
    let mut core = core(1);
    let mut busy = view(1, 1, 5, record(assigned(1, true)));
    let mut second = record(assigned(1, false));
    second.id = JobId(Hash32([9; 32]));
    busy.jobs.insert(second.id, second.clone());
    busy.live.insert(second.id);
    let effects = see(&mut core, busy);
    assert_eq!(actions(&effects), [&Action::Decline { job: second.id, attempt: Attempt(0), unrunnable: false }]);
    assert_eq!(executions(&effects), [(part(Role::Primary), 5)]);
}

#[test]
fn tasks_that_never_give_a_result_are_reported() {
    let mut core = core(1);
    for execution in 0..MAX_EXECUTIONS {
        let effects = see(&mut core, view(1, 1, 5 + u64::from(execution), record(assigned(1, true))));
        assert_eq!(core.running().count(), 1, "execution {execution}: {effects:?}");
        core.step(Event::NotExecuted { part: part(Role::Primary), reason: "killed".into() });
    }
    let effects = see(&mut core, view(1, 1, 20, record(assigned(1, true))));
    assert!(executions(&effects).is_empty());
    assert!(matches!(actions(&effects)[..], [Action::Decline { unrunnable: true, .. }]), "{effects:?}");
}

#[test]
fn a_drawn_partner_announces_and_runs_once_it_is_bound() {
    let mut core = core(2);
    let effects = see(&mut core, view(2, 3, 5, record(committed(1, Vec::new()))));
    assert!(matches!(actions(&effects)[..], [Action::Announce { .. }]));
    assert!(executions(&effects).is_empty(), "not bound yet");
    let effects = see(&mut core, view(2, 3, 6, record(committed(1, vec![seat(2)]))));
    assert_eq!(executions(&effects), [(part(Role::Verifier), 2)]);
}

#[test]
fn who_is_not_drawn_or_cannot_lock_the_bond_stays_away() {
    let mut undrawn = record(committed(1, Vec::new()));
    undrawn.policy.expected_verifiers = Fixed64(0);
    assert_eq!(see(&mut core(2), view(2, 3, 5, undrawn)), []);

    let mut locked = view(2, 3, 5, record(committed(1, Vec::new())));
    locked.partner.as_mut().unwrap().locks.insert(JobId(Hash32([4; 32])), Amount(951));
    assert_eq!(see(&mut core(2), locked), []);

    let mut unknown_epoch = view(2, 3, 5, record(committed(1, Vec::new())));
    unknown_epoch.snapshots.clear();
    assert_eq!(see(&mut core(2), unknown_epoch), []);

    assert_eq!(see(&mut core(4), view(4, 3, 5, record(committed(1, Vec::new())))), [], "not in the snapshot");
}

#[test]
fn verification_has_slots_of_its_own() {
    let mut core = core(2);
    let mut busy = view(2, 3, 5, record(committed(1, vec![seat(2)])));
    let mut own = record(assigned(2, true));
    own.id = JobId(Hash32([1; 32]));
    busy.live.insert(own.id);
    busy.jobs.insert(own.id, own.clone());
    let effects = see(&mut core, busy);
    let own = Part { job: own.id, attempt: Attempt(0), role: Role::Primary };
    assert_eq!(executions(&effects), [(own, 5), (part(Role::Verifier), 2)]);
}

#[test]
fn what_nobody_waits_for_any_more_is_cancelled() {
    let mut core = core(1);
    see(&mut core, view(1, 1, 5, record(assigned(1, true))));
    let effects = see(&mut core, view(1, 1, 6, record(assigned(2, false))));
    assert!(effects.contains(&Effect::Cancel(part(Role::Primary))), "{effects:?}");
    assert_eq!(core.running().count(), 0);
}

#[test]
fn an_older_view_changes_nothing() {
    let mut core = core(1);
    see(&mut core, view(1, 1, 5, record(assigned(1, true))));
    let mut old = view(1, 1, 4, record(assigned(1, true)));
    old.newest = Height(9);
    old.live.clear();
    old.jobs.clear();
    assert_eq!(see(&mut core, old), []);
    assert_eq!(core.running().count(), 1);
}

fn executed(salt: u8) -> Event {
    let record = record(Stage::Settled);
    let outcome = types::attestation::Outcome {
        exit: types::attestation::Exit::Code { code: 0 },
        weight: types::number::Weight(1),
        stdout: types::hash::BlobId::of(b""),
        stderr: types::hash::BlobId::of(b""),
        outputs: types::codec::Bounded::default(),
    };
    Event::Executed(Box::new(super::super::Executed {
        part: part(Role::Primary),
        outcomes: (0..record.spec.workload.tasks).map(|task| (TaskIndex(task), outcome.clone())).collect(),
        workload: record.spec.workload,
        salt: Hash32([salt; 32]),
        list: Some(types::hash::BlobId::of(b"list")),
    }))
}

#[test]
fn a_second_result_of_a_part_is_dropped() {
    let mut core = core(1);
    see(&mut core, view(1, 1, 5, record(assigned(1, true))));
    let effects = core.step(executed(1));
    assert!(matches!(&effects[0], Effect::Keep(_)), "{effects:?}");
    let seal = core.sealed().next().unwrap().commitment;
    assert_eq!(core.step(executed(2)), []);
    assert_eq!(core.sealed().next().unwrap().commitment, seal);
}

#[test]
fn nothing_is_committed_before_the_chain_has_the_acknowledgement() {
    let mut core = core(1);
    see(&mut core, view(1, 1, 5, record(assigned(1, false))));
    let effects = core.step(executed(1));
    assert!(actions(&effects).is_empty(), "{effects:?}");
    let effects = see(&mut core, view(1, 1, 6, record(assigned(1, true))));
    assert!(matches!(actions(&effects)[..], [Action::Commit { .. }]), "{effects:?}");
}

#[test]
fn after_a_restart_a_view_older_than_a_seal_forgets_nothing() {
    let mut before = core(1);
    let mut first = view(1, 1, 7, record(assigned(1, true)));
    // The job came in while the view was read.
    first.newest = Height(9);
    see(&mut before, first);
    before.step(executed(1));
    let sealed: Vec<_> = before.sealed().cloned().collect();
    let mut core = Core::new(identity(1), settings(1), sealed, Outbox::default());
    let mut old = view(1, 1, 8, record(assigned(1, true)));
    assert_eq!(core.height(), Height(9));
    old.live.clear();
    old.jobs.clear();
    assert_eq!(see(&mut core, old.clone()), [], "the job did not exist yet");
    (old.height, old.newest) = (Height(10), Height(10));
    let effects = see(&mut core, old);
    assert!(effects.contains(&Effect::Forget(part(Role::Primary))), "{effects:?}");
}

#[test]
fn a_seal_that_is_not_on_this_disk_is_reported_and_never_opened() {
    let effects = see(&mut core(1), view(1, 1, 5, record(committed(1, Vec::new()))));
    assert_eq!(effects, [Effect::Note(Note::ForeignSeal(part(Role::Primary)))]);
}

/// What a faulty partner keeps back, an honest one in the same place sends.
#[cfg(feature = "planted-bugs")]
#[test]
fn faults_keep_back_what_they_are_named_after() {
    use crate::fault::Fault;
    use crate::part::Sealed;
    use types::codec::Bounded;

    let leaves = Bounded::new(vec![(TaskIndex(1), Hash32([1; 32])), (TaskIndex(3), Hash32([3; 32]))]).unwrap();
    let author = (super::chain::CHAIN, address(2));
    let sealed = Sealed::new(part(Role::Verifier), Height(4), author, Hash32([4; 32]), leaves);
    let Stage::Committed { primary, committed, .. } = committed(1, Vec::new()) else { panic!("made above") };
    let (verifying, mut bound) = (seat(2), seat(2));
    bound.claim = Some(sealed.commitment);
    let verifying = Stage::Verifying {
        primary: primary.clone(),
        committed,
        verifiers: vec![verifying],
        round: 0,
        needed: 1,
        deadline: ChainTime(9),
    };
    let revealed = Stage::Revealed { primary, committed, opened: None, verifiers: vec![bound], deadline: ChainTime(9) };
    for (stage, fault) in [(verifying, Fault::SilentVerifier), (revealed, Fault::NoOpen)] {
        let sent = |fault| {
            let settings = super::super::Settings { fault, ..settings(2) };
            let mut core = Core::new(identity(2), settings, vec![sealed.clone()], Outbox::default());
            actions(&see(&mut core, view(2, 3, 5, record(stage.clone())))).len()
        };
        assert_eq!((sent(Fault::None), sent(fault)), (1, 0), "{fault:?} in {}", stage.name());
    }
}
