//! Rule 14: what a restart is bound to.

use super::*;
use crate::Recipients;
use crate::input::StartError;
use crate::message::Request;

#[test]
fn nothing_is_voted_before_a_quorum_answered_the_vote_recovery() {
    let (config, _) = config(3);
    let mut world = World::restarted(config, restored(Vec::new()), START);
    let asked = world.take();
    assert!(
        messages(&asked)
            .any(|message| *message == Message::Request(Request::VoteRecovery { session: START }))
    );
    world.pass(60_000);
    assert_eq!(votes(&world.take()), []);
    let answer = |from, session| Event::VoteRecovery {
        from: ValidatorIndex(from),
        session,
        votes: Vec::new(),
        ended: None,
    };
    world.step(answer(0, START - 1));
    world.step(answer(1, START));
    assert!(
        !world.engine.is_voting(),
        "3 + 3 of 13, and one answer to an earlier start"
    );
    world.step(answer(0, START));
    assert!(world.engine.is_voting());
    assert_eq!(votes(&world.take()), [nullify(1)]);
}

#[test]
fn the_vote_recovery_is_asked_again_of_those_who_did_not_answer() {
    let (config, _) = config(3);
    let mut world = World::restarted(config, restored(Vec::new()), START);
    world.step(Event::VoteRecovery {
        from: ValidatorIndex(1),
        session: START,
        votes: Vec::new(),
        ended: None,
    });
    world.take();
    world.pass(500);
    let effects = world.take();
    let to = effects.iter().find_map(|effect| match effect {
        Effect::Send {
            to: Recipients::Some(to),
            message: Message::Request(Request::VoteRecovery { .. }),
        } => Some(to),
        _ => None,
    });
    assert_eq!(to.unwrap(), &[id(ValidatorIndex(0)), id(ValidatorIndex(2))]);
}

#[test]
fn a_vote_that_the_log_lost_forbids_every_view_up_to_it() {
    let (config, keys) = config(3);
    let mut world = World::restarted(config.clone(), restored(Vec::new()), START);
    let lost = Vote::sign(nullify(5), ValidatorIndex(3), &keys[3], CHAIN);
    world.answer_vote_recovery(&[lost]);
    assert!(world.disk.contains(&Record::Floor(View(5))));
    for view in 1..=5 {
        world.pass(60_000);
        assert_eq!(votes(&world.take()), [], "view {view}");
        world.certify(world.nullification(view));
    }
    world.pass(60_000);
    assert_eq!(votes(&world.take()), [nullify(6)]);

    let mut again = World::restarted(config, restored(world.disk.clone()), START + 900_000);
    again.answer_vote_recovery(&[]);
    assert_eq!(
        again.engine.floor,
        View(5),
        "the floor outlives the next crash"
    );
}

#[test]
fn a_vote_that_the_log_holds_forbids_nothing_more() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    let held: Vec<Vote> = world.engine.own_votes().copied().collect();
    let mut again = world.restart();
    again.answer_vote_recovery(&held);
    again.pass(60_000);
    assert_eq!(
        votes(&again.take()),
        [nullify(view)],
        "it may still nullify the view it stood in"
    );
}

#[test]
fn a_restart_notarizes_nothing_else_in_the_same_view() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    let mut again = world.restart();
    again.answer_vote_recovery(&[]);
    let other = super::block(
        genesis().id(),
        1,
        START + 7,
        position(block.header.proposer),
    );
    again.propose(view, 0, &other);
    assert_eq!(votes(&again.take()), []);
}

#[test]
fn a_restart_goes_on_in_the_view_it_had_entered_and_keeps_its_word() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    let mut again = world.restart();
    again.answer_vote_recovery(&[]);
    assert_eq!(again.engine.view(), View(view + 1));
    again.executed(&block, Verdict::Valid { urgent: false });
    assert_eq!(
        votes(&again.take()),
        [],
        "finalize was sent, and nothing else may be"
    );
    again.pass(2_000);
    assert!(
        sent(&again.take()).contains(&finalize(view, &block)),
        "but it is said again at standstill"
    );
}

#[test]
fn resuming_from_another_record_does_not_propose_twice() {
    let (mut world, view) = World::leading();
    world.pass(500);
    let Some(Effect::Propose {
        parent,
        height,
        timestamp,
        ..
    }) = world
        .take()
        .into_iter()
        .find(|effect| matches!(effect, Effect::Propose { .. }))
    else {
        panic!("it is our turn")
    };
    let block = block(parent, height.0, timestamp.0, world.config.me);
    world.step(Event::Proposed {
        view: View(view),
        block,
    });
    let first = messages(&world.take())
        .find(|message| matches!(message, Message::Proposal(_)))
        .cloned();
    // Later records of other kinds must not hide the proposal, nor the view that it was made in.
    world
        .disk
        .push(Record::Certificate(world.nullification(view - 1)));
    world.disk.push(Record::Floor(View(view - 1)));
    let mut again = world.restart();
    let session = again.time;
    for from in 1..4 {
        again.step(Event::VoteRecovery {
            from: ValidatorIndex(from),
            session,
            votes: Vec::new(),
            ended: None,
        });
    }
    let effects = again.take();
    let repeated: Vec<_> = messages(&effects)
        .filter(|message| matches!(message, Message::Proposal(_)))
        .collect();
    assert_eq!(
        repeated,
        first.iter().collect::<Vec<_>>(),
        "unchanged, and once"
    );
    again.pass(1_000);
    assert!(
        !again
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::Propose { .. }))
    );
}

#[test]
fn timers_run_again_after_a_restart() {
    let (mut world, view) = World::following();
    world.step(Event::LeaderNullified(View(view)));
    let mut again = world.restart();
    let timer = |effects: &[Effect]| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::SetTimer(_)))
    };
    assert!(timer(&again.take()), "the start itself arms a timer");
    again.answer_vote_recovery(&[]);
    again.pass(500);
    let effects = again.take();
    assert_eq!(
        sent(&effects),
        [nullify(view)],
        "the nullify vote is sent again"
    );
    assert!(timer(&effects));
}

#[test]
fn what_is_final_in_the_log_and_not_in_the_store_is_executed_and_committed_again() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    world.certify(world.finalization(view, &block));
    assert_eq!(commits(&world.take()), [block.id()]);
    let mut again = world.restart();
    assert!(
        again
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::Execute(asked) if *asked == block))
    );
    again.executed(&block, Verdict::Valid { urgent: false });
    assert_eq!(commits(&again.take()), [block.id()]);
}

#[test]
fn log_and_store_that_do_not_belong_together_are_refused() {
    let (config, _) = config(3);
    let config = Arc::new(config);
    let now = Now {
        monotonic: Monotonic(START),
        unix: Timestamp(START),
    };
    let tip = CommittedTip {
        id: BlockId(Hash32([4; 32])),
        height: Height(9),
        timestamp: Timestamp(START),
    };
    let start = |restored| Engine::start(Arc::clone(&config), now, restored).map(|_| ());
    let unproven = Restored {
        tip,
        finalization: None,
        records: Vec::new(),
    };
    assert_eq!(start(unproven), Err(StartError::UnprovenTip(Height(9))));

    let (world, view) = World::following();
    let sign = |statement| {
        Record::Vote(Vote::sign(
            statement,
            ValidatorIndex(3),
            &world.keys[3],
            CHAIN,
        ))
    };
    let records = vec![sign(nullify(view)), sign(finalize(view, &genesis()))];
    assert_eq!(
        start(restored(records)),
        Err(StartError::Contradiction(View(view)))
    );
}

fn ended(from: u16, view: Option<u64>) -> Event {
    Event::VoteRecovery {
        from: ValidatorIndex(from),
        session: START,
        votes: Vec::new(),
        ended: view.map(View),
    }
}

#[test]
fn after_a_lost_log_the_others_confirm_the_view_above_which_it_votes() {
    let (config, _) = config(3);
    let mut world = World::restarted(config.clone(), restored(vec![Record::Lost]), START);
    world.step(ended(0, Some(4)));
    world.step(ended(1, None));
    world.step(ended(1, None));
    world.step(ended(2, Some(7)));
    assert!(
        !world.engine.is_voting() && world.engine.awaits_confirmation(),
        "its own stake does not count, nor an answer without proof"
    );
    assert_eq!(world.disk, [Record::Lost], "nothing is confirmed by a part");
    world.step(ended(1, Some(2)));
    assert!(world.engine.is_voting() && !world.engine.awaits_confirmation());
    assert_eq!(world.engine.floor, View(10), "it may have voted in view 10");
    assert_eq!(world.disk, [Record::Lost, Record::Floor(View(10))]);
    for view in 1..=10 {
        world.pass(60_000);
        assert_eq!(votes(&world.take()), [], "view {view}");
        assert_eq!(world.engine.shown_entry(), None, "it confirms nothing");
        world.certify(world.nullification(view));
    }
    world.pass(60_000);
    assert_eq!(votes(&world.take()), [nullify(11)]);
    assert!(world.engine.shown_entry().is_some());

    let again = World::restarted(config, restored(world.disk.clone()), START + 900_000);
    assert!(
        !again.engine.awaits_confirmation(),
        "confirmed once, the log binds it as any other"
    );
    assert_eq!(again.engine.floor, View(10));
}

#[test]
fn a_lost_log_that_nobody_can_confirm_is_refused() {
    let (committee, keys) = committee(&[3, 3, 3, 6]);
    let own = keys[3].clone();
    let timing = Timing::new(&Params::devnet());
    let config = Config::new(CHAIN, EPOCH, committee, own, genesis().id(), timing).unwrap();
    let now = Now {
        monotonic: Monotonic(0),
        unix: Timestamp(START),
    };
    let refused = Engine::start(Arc::new(config), now, restored(vec![Record::Lost]));
    assert_eq!(refused.unwrap_err(), StartError::NobodyConfirms);
}
