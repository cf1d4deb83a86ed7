//! One stage at a time: what is wanted, and what is left alone. Here is what the stories share, and registration.

mod chains;
mod classes;
mod memory;
mod primary;
mod renewal;
mod verifier;

use types::hash::Hash32;
use types::job::{Announcing, Parties, SortitionBeacon, Stage, Verifier};
use types::number::{Amount, Attempt, Epoch, Fuel, Height, Nonce, TaskIndex};
use types::transaction::{Action, JobStep};

use super::super::outbox::TransactionOutbox;
use super::super::{
    Cause, Core, Effect, Event, FIRST_PAUSE_HEIGHTS, LONGEST_PAUSE_HEIGHTS, Note, ProvenState,
};
use super::chain::{address, identity, primary, proven, record, settings, workload};
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
            no_results: Vec::new(),
        },
        epoch: Epoch(1),
        class_bond: Amount(2_000),
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

fn steps(effects: &[Effect]) -> Vec<&JobStep> {
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

fn executed(salt: u8) -> Event {
    let record = record(Stage::Settled);
    let outcome = types::attestation::Outcome {
        exit: types::attestation::Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: types::hash::BlobId::of(b""),
        stderr: types::hash::BlobId::of(b""),
        outputs: types::codec::Bounded::default(),
    };
    Event::Executed(Box::new(super::super::ExecutionResult {
        assignment: assignment(AssignmentRole::Primary),
        outcomes: super::super::RanTask::linked(
            &workload(),
            (0..record.terms.tasks.array())
                .map(|task| (TaskIndex(task), outcome.clone()))
                .collect(),
        ),
        workload: workload(),
        salt: Hash32([salt; 32]),
        list: Some(types::hash::BlobId::of(b"list")),
        states: Vec::new(),
    }))
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
    poor.account.nonce = Nonce(1);
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
