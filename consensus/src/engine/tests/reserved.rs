//! A view is reserved before it begins, so that its proposal waits for no disk; what was reserved and is not in the log
//! may have been said.

use super::*;

fn reserved(records: &[Record]) -> Vec<View> {
    let view = |record: &Record| match record {
        Record::Reserved(view) => Some(*view),
        _ => None,
    };
    records.iter().filter_map(view).collect()
}

fn asks_for_a_block(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Propose { .. }))
}

/// In the view before one that we lead, which has just nullified; and the view that we lead.
fn before_leading(from: u64) -> (World, u64) {
    let mut world = World::new(0);
    let view = world.view_led(from, true);
    world.enter(view - 1);
    world.pass(60_000);
    assert!(votes(&world.take()).contains(&nullify(view - 1)));
    (world, view)
}

/// The same after a power cut that lost what was written since, in the view that we lead.
fn lost_since(world: &World, view: u64) -> World {
    let mut again = world.restart();
    again.answer_vote_recovery(&[]);
    again.certify(again.nullification(view - 1));
    assert_eq!(again.engine.view(), View(view));
    again
}

#[test]
fn a_vote_before_a_view_that_is_ours_reserves_it() {
    let (mut world, view) = before_leading(3);
    let all = reserved(&world.disk);
    assert_eq!(all.last(), Some(&View(view)));
    let me = world.config.me;
    assert!(all.iter().all(|view| world.engine.leader(*view) == me));
}

#[test]
fn every_view_is_reserved_once() {
    let (mut world, view) = before_leading(3);
    let block = world.block(view - 1, &genesis());
    world.certify(world.notarization(view - 1, 0, &block));
    world.pass(60_000);
    let all = reserved(&world.disk);
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once);
}

#[test]
fn both_of_two_views_in_a_row_are_reserved() {
    let mut world = World::new(0);
    let me = world.config.me;
    let first = (3..5_000)
        .find(|view| [0, 1].map(|more| world.engine.leader(View(view + more))) == [me; 2])
        .expect("whoever has stake leads twice in a row");
    world.enter(first - 1);
    world.pass(60_000);
    world.certify(world.nullification(first - 1));
    world.pass(60_000);
    let both = [View(first), View(first + 1)];
    assert!(reserved(&world.disk).ends_with(&both));
}

#[test]
fn in_a_view_that_was_reserved_and_is_not_recorded_nothing_is_proposed() {
    let (world, view) = before_leading(3);
    let mut again = lost_since(&world, view);
    again.take();
    again.pass(900);
    assert!(!asks_for_a_block(&again.take()));
    again.pass(60_000);
    assert_eq!(votes(&again.take()), [nullify(view)], "but it is given up");

    let mut other = World::restarted(world.config.clone(), restored(Vec::new()), START);
    other.answer_vote_recovery(&[]);
    for before in 1..view {
        other.certify(other.nullification(before));
    }
    other.pass(900);
    assert!(asks_for_a_block(&other.take()), "without it there is one");
}

#[test]
fn a_proposal_that_left_before_it_was_written_does_not_say_that_the_log_was_cut() {
    let (mut world, view) = before_leading(3);
    let (_, keys) = config(0);
    let me = world.config.me;
    let block = world.block(view, &genesis());
    let said = world.notarization(view, 0, &block).statement;
    let own = &keys[usize::from(me.0)];
    let mut again = world.restart();
    again.answer_vote_recovery(&[Vote::sign(said, me, own, CHAIN)]);
    assert!(again.engine.is_voting());
    assert_eq!(again.engine.floor, View::ZERO);

    let mut cut = world.restart();
    cut.answer_vote_recovery(&[Vote::sign(nullify(view), me, own, CHAIN)]);
    assert_eq!(cut.engine.floor, View(view), "every other vote was written");
}

#[test]
fn a_proposal_that_was_written_is_repeated() {
    let (mut world, view) = before_leading(3);
    world.certify(world.nullification(view - 1));
    world.pass(600);
    let (_, parent, height, at) = asked(&world.take()).expect("it is our turn");
    let block = block(parent, height.0, at.0, world.config.me);
    world.step(Event::Proposed {
        view: View(view),
        block,
    });
    let mut again = world.restart();
    assert!(!again.engine.may_have_proposed(View(view)));
    let session = again.time;
    for from in 1..4 {
        again.step(Event::VoteRecovery {
            from: ValidatorIndex(from),
            session,
            votes: Vec::new(),
            ended: None,
        });
    }
    let repeated = again.take();
    assert!(messages(&repeated).any(|message| matches!(message, Message::Proposal(_))));
}
