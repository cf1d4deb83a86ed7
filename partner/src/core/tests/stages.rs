//! One stage at a time: what is wanted, and what is left alone.

use types::account::{BondLock, LockReason};
use types::hash::{Hash32, JobId};
use types::job::{Announcing, Parties, SortitionBeacon, Stage, Storing, Verifier};
use types::number::{Amount, Attempt, Epoch, Fixed64, Fuel, Height, TaskIndex};
use types::transaction::{Action, JobStep};

use super::super::outbox::TransactionOutbox;
use super::super::{
    Cause, Core, Effect, Event, FIRST_PAUSE_HEIGHTS, LONGEST_PAUSE_HEIGHTS, MAX_EXECUTIONS, Note,
    ProvenState,
};
use super::chain::{address, assigned, identity, primary, proven, record, settings};
use crate::assignment::{Assignment, AssignmentRole};

fn core(n: u8) -> Core {
    Core::new(
        identity(n),
        settings(n),
        Vec::new(),
        TransactionOutbox::default(),
    )
}

fn see(core: &mut Core, proven: ProvenState) -> Vec<Effect> {
    core.step(Event::Proven(Box::new(proven)))
}

fn actions(effects: &[Effect]) -> Vec<&Action> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(signed) => Some(&signed.transaction().action),
            _ => None,
        })
        .collect()
}

fn executions(effects: &[Effect]) -> Vec<(Assignment, usize)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Execute(execution) => Some((execution.assignment, execution.tasks.len())),
            _ => None,
        })
        .collect()
}

fn assignment(role: AssignmentRole) -> Assignment {
    Assignment {
        job: record(Stage::Settled).id,
        attempt: Attempt(0),
        role,
    }
}

fn committed(by: u8, verifiers: Vec<Verifier>) -> Stage {
    Stage::Announcing(announcing(by, verifiers))
}

fn announcing(by: u8, verifiers: Vec<Verifier>) -> Announcing {
    Announcing {
        parties: Parties {
            primary: primary(by),
            commitment: Hash32([1; 32]),
            verifiers,
        },
        epoch: Epoch(1),
        beacon: SortitionBeacon::Known {
            value: Hash32([2; 32]),
        },
    }
}

/// The step that an action takes in a job.
fn step(action: &Action) -> Option<&JobStep> {
    match action {
        Action::Job(action) => Some(&action.step),
        _ => None,
    }
}

fn steps<'a>(effects: &'a [Effect]) -> Vec<&'a JobStep> {
    actions(effects).into_iter().filter_map(step).collect()
}

fn verifier(n: u8) -> Verifier {
    Verifier {
        partner: address(n),
        appointed: false,
        tasks: vec![TaskIndex(1), TaskIndex(3)],
        bond: Amount(50),
        commitment: None,
        opening: None,
    }
}

#[test]
fn it_registers_first_and_then_fills_its_bond() {
    let mut core = core(1);
    let mut unknown = proven(1, 1, 5, record(Stage::Settled));
    unknown.partner = None;
    let effects = see(&mut core, unknown);
    assert!(matches!(
        actions(&effects)[..],
        [Action::RegisterPartner { .. }]
    ));
    let Effect::KeepOutbox(_) = &effects[0] else {
        panic!("kept before it is sent: {effects:?}")
    };

    let mut poor = proven(1, 1, 6, record(Stage::Settled));
    poor.account.nonce = types::number::Nonce(1);
    poor.partner.as_mut().unwrap().bond = Amount(940);
    poor.account.balance = Amount(70);
    let effects = see(&mut core, poor.clone());
    assert!(
        matches!(actions(&effects)[..], [Action::Bond { amount: Amount(60) }]),
        "{effects:?}"
    );

    let mut core = self::core(1);
    poor.account.balance = Amount(69);
    let effects = see(&mut core, poor.clone());
    assert!(
        matches!(&effects[..], [Effect::Note(Note::BondShort { .. })]),
        "the reserve for fees stays: {effects:?}"
    );
    (poor.height, poor.newest) = (Height(7), Height(7));
    assert_eq!(see(&mut core, poor), [], "it is said once");
}

#[test]
fn an_account_that_runs_dry_is_told_of_long_before() {
    let mut core = core(1);
    let notes = |core: &mut Core, height, balance| {
        let mut proven = proven(1, 1, height, record(Stage::Settled));
        proven.account.balance = Amount(balance);
        see(core, proven)
    };
    let low = Effect::Note(Note::BalanceLow {
        balance: Amount(9),
        reserve: Amount(10),
    });
    assert_eq!(notes(&mut core, 5, 10), []);
    assert_eq!(
        notes(&mut core, 6, 9),
        std::slice::from_ref(&low),
        "the bond is full"
    );
    assert_eq!(notes(&mut core, 7, 9), [], "it is said once");
    assert_eq!(notes(&mut core, 8, 10), []);
    assert_eq!(
        notes(&mut core, 9, 9),
        [low],
        "it is said again when it is so again"
    );
}

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

/// Executions of an assignment fail for these causes, one after the other; gives the last failure's effects. Between two
/// executions there is a pause, which doubles.
fn fail(core: &mut Core, role: AssignmentRole, stage: &Stage, causes: &[Cause]) -> Vec<Effect> {
    let n = if role == AssignmentRole::Primary {
        1
    } else {
        2
    };
    let (mut height, mut pause) = (core.height().0 + 1, FIRST_PAUSE_HEIGHTS);
    let mut last = Vec::new();
    for (execution, cause) in causes.iter().enumerate() {
        let look = |core: &mut Core, height| see(core, proven(n, 3, height, record(stage.clone())));
        let effects = look(core, height);
        assert_eq!(
            executions(&effects).len(),
            1,
            "execution {execution}: {effects:?}"
        );
        last = core.step(Event::NotExecuted {
            assignment: assignment(role),
            cause: *cause,
            reason: "x".into(),
        });
        assert_eq!(executions(&last), [], "not at once");
        let early = look(core, height + pause - 1);
        assert_eq!(
            executions(&early),
            [],
            "not before the pause of {pause} is over"
        );
        (height, pause) = (height + pause, (2 * pause).min(LONGEST_PAUSE_HEIGHTS));
    }
    last
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
    let hasty = super::super::PartnerSettings {
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
fn a_bound_verifier_tries_for_as_long_as_its_seat_is_there() {
    for cause in [Cause::Machine, Cause::Tasks] {
        fail(
            &mut core(2),
            AssignmentRole::Verifier,
            &committed(1, vec![verifier(2)]),
            &[cause; 8],
        );
    }
}

#[test]
fn what_it_would_kill_too_early_it_does_not_take() {
    let mut core = core(1);
    let too_long = |stage| {
        let mut record = record(stage);
        // Three times this at 50,000 a millisecond is a unit more than a second.
        record.spec.workload.limits.fuel = Fuel(1_000 * 50_000 / 3 + 1);
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

#[test]
fn it_binds_itself_to_no_more_seats_than_it_has_slots() {
    let announced = |effects: &[Effect]| {
        let job = |action: &&Action| match action {
            Action::Job(action) if action.step.name() == "announce" => Some(action.job.0.0[0]),
            _ => None,
        };
        actions(effects).iter().filter_map(job).collect::<Vec<_>>()
    };
    let free = || committed(1, Vec::new());
    let mut core = core(2);
    let effects = see(&mut core, view_of(5, vec![(5, free()), (6, free())]));
    assert_eq!(announced(&effects), [5]);
    let effects = see(
        &mut core,
        view_of(6, vec![(4, free()), (5, free()), (6, free())]),
    );
    assert_eq!(
        announced(&effects),
        [0; 0],
        "the announcement on its way has the place"
    );
    let mut bound = view_of(20, vec![(4, free()), (5, committed(1, vec![verifier(2)]))]);
    bound.account.nonce = types::number::Nonce(1);
    assert_eq!(
        announced(&see(&mut core, bound)),
        [0; 0],
        "job 5 has the check that it was for"
    );
    // Another partner's check is none of its own, and a check that is committed needs no place any more.
    let mut claimed = verifier(2);
    claimed.commitment = Some(Hash32([1; 32]));
    let jobs = vec![
        (5, committed(1, vec![verifier(3)])),
        (6, committed(1, vec![claimed])),
        (9, free()),
    ];
    let effects = see(&mut self::core(2), view_of(5, jobs));
    assert_eq!(announced(&effects), [5]);
}

#[test]
fn only_what_is_to_be_run_needs_its_inputs() {
    let mut core = core(1);
    assert!(core.inputs().is_empty());
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let wanted: std::collections::BTreeSet<_> =
        super::chain::workload().blobs().into_iter().collect();
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
    let opening = types::job::PrimaryOpening {
        root: Hash32::ZERO,
        salt: Hash32::ZERO,
        leaves: types::codec::Bounded::default(),
        outcomes: types::hash::BlobId::of(b"list"),
    };
    let agreed = Stage::Storing(Storing {
        parties: announcing(1, Vec::new()).parties,
        opening,
        stored: std::collections::BTreeSet::new(),
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
        until: None,
    };
    let partner = locked.partner.as_mut().unwrap();
    partner.locks.insert(reason.id(), lock);
    assert_eq!(see(&mut core(2), locked), []);

    let mut unknown_epoch = proven(2, 3, 5, record(committed(1, Vec::new())));
    unknown_epoch.snapshots.clear();
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
fn verification_has_slots_of_its_own() {
    let mut core = core(2);
    let mut busy = proven(2, 3, 5, record(committed(1, vec![verifier(2)])));
    let mut own = record(assigned(2, true));
    own.id = JobId(Hash32([1; 32]));
    busy.live.insert(own.id);
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

fn executed(salt: u8) -> Event {
    let record = record(Stage::Settled);
    let outcome = types::attestation::Outcome {
        exit: types::attestation::Exit::Code { code: 0 },
        fuel: types::number::Fuel(1),
        stdout: types::hash::BlobId::of(b""),
        stderr: types::hash::BlobId::of(b""),
        outputs: types::codec::Bounded::default(),
    };
    Event::Executed(Box::new(super::super::ExecutionResult {
        assignment: assignment(AssignmentRole::Primary),
        outcomes: (0..record.spec.workload.tasks)
            .map(|task| (TaskIndex(task), outcome.clone()))
            .collect(),
        workload: record.spec.workload,
        salt: Hash32([salt; 32]),
        list: Some(types::hash::BlobId::of(b"list")),
    }))
}

#[test]
fn a_second_result_of_a_part_is_dropped() {
    let mut core = core(1);
    see(&mut core, proven(1, 1, 5, record(assigned(1, true))));
    let effects = core.step(executed(1));
    assert!(matches!(&effects[0], Effect::Keep(_)), "{effects:?}");
    let seal = core.commitments().next().unwrap().commitment;
    assert_eq!(core.step(executed(2)), []);
    assert_eq!(core.commitments().next().unwrap().commitment, seal);
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
fn after_a_restart_a_view_older_than_a_seal_forgets_nothing() {
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
fn a_seal_that_is_not_on_this_disk_is_reported_and_never_opened() {
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
