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

impl World {
    /// The same validator after a restart, if it had reserved nothing.
    fn clone_without_reservations(&self) -> Self {
        let is_none = |record: &&Record| !matches!(record, Record::Reserved(_));
        let records = self.disk.iter().filter(is_none).cloned().collect();
        let mut world = Self::restarted(self.config.clone(), restored(records), self.time + 10);
        world.answer_vote_recovery(&[]);
        world
    }
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
    let mut world = World::new(0);
    let me = world.config.me;
    let leads = |world: &mut World, view| world.engine.leader(View(view)) == me;
    let view = (3..300)
        .find(|view| leads(&mut world, *view) && !leads(&mut world, view - 1))
        .expect("everybody leads");
    world.enter(view - 1);
    let block = world.block(view - 1, &genesis());
    world.propose(view - 1, 0, &block);
    world.pass(60_000);
    let both = [notarize(view - 1, 0, &block), nullify(view - 1)];
    assert_eq!(votes(&world.take()), both);
    let ours = |reserved: &&View| **reserved == View(view);
    assert_eq!(reserved(&world.disk).iter().filter(ours).count(), 1);
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
    again.pass(900);
    assert!(!asks_for_a_block(&again.take()));
    again.pass(60_000);
    assert_eq!(votes(&again.take()), [nullify(view)], "but it is given up");
    let third = again.restart();
    assert!(
        third.engine.may_have_proposed(View(view)),
        "it is as true after the next start"
    );

    let mut other = world.clone_without_reservations();
    other.certify(other.nullification(view - 1));
    other.pass(900);
    assert!(asks_for_a_block(&other.take()), "without it there is one");
}

#[test]
fn what_a_leader_shows_that_lost_its_proposal_keeps_a_lost_log_from_contradicting() {
    let (leader, view) = before_leading(3);
    // It proposed in `view`; a power cut took that and the certificate by which it had come there.
    let restarted = leader.restart();
    let shown = restarted.engine.shown_entry().expect("it voted");
    assert_eq!(shown.statement.view, View(view - 2));
    // Its proposal may have been notarized, and another validator may have voted in the view after, before it lost its log.
    let (config, _) = config(3);
    let mut lost = World::restarted(config, restored(vec![Record::Lost]), START);
    for from in 0..3 {
        lost.step(Event::VoteRecovery {
            from: ValidatorIndex(from),
            session: START,
            votes: Vec::new(),
            ended: Some(shown.statement.view),
        });
    }
    assert!(lost.engine.is_voting());
    assert_eq!(lost.engine.floor, View(view + 1));
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
