//! Each check of what peers made, beyond signatures: without it, a test of this file fails (see docs/checks.md).

use types::codec::Bounded;
use types::testing::empty_block;

use super::catch_up::{chain, range};
use super::*;
use crate::input::StartError;
use crate::message::Range;

/// A proposal of the leader of `view` as an event.
fn proposal(view: u64, parent_view: u64, block: WholeBlock) -> Event {
    Event::Proposal {
        view: View(view),
        parent_view: View(parent_view),
        block: Some(block),
    }
}

#[test]
fn a_proposal_of_another_chain_or_on_no_earlier_view_is_given_up_at_once() {
    let make: [fn(&mut World, u64) -> Event; 2] = [
        |world, view| {
            let leader = id(world.engine.leader(View(view)));
            let (height, time) = (Height(1), Timestamp(START + 1));
            let other = empty_block(
                ChainId(Hash32([8; 32])),
                genesis().id(),
                height,
                time,
                leader,
            );
            proposal(view, 0, WholeBlock::new(other).unwrap())
        },
        |world, view| {
            let block = world.block(view, &genesis());
            proposal(view, view, block)
        },
    ];
    for (number, make) in make.into_iter().enumerate() {
        let (mut world, view) = World::following();
        let event = make(&mut world, view);
        world.step(event);
        assert_eq!(votes(&world.take()), [nullify(view)], "case {number}");
        assert_eq!(world.engine.blocks_held(), 0, "case {number}");
    }
}

#[test]
fn a_leaders_nullify_far_ahead_takes_no_memory() {
    let (mut world, view) = World::following();
    let last = view + crate::collector::VIEWS_AHEAD;
    for far in [last + 1, u64::MAX] {
        world.step(Event::LeaderNullified(View(far)));
        assert!(!world.engine.rounds.contains_key(&View(far)));
    }
    world.step(Event::LeaderNullified(View(last)));
    assert!(world.engine.rounds.contains_key(&View(last)));
}

#[test]
fn nothing_is_notarized_after_nullify() {
    let (mut world, view) = World::following();
    world.step(Event::LeaderNullified(View(view)));
    assert_eq!(votes(&world.take()), [nullify(view)]);
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.pass(1);
    assert_eq!(votes(&world.take()), []);
}

#[test]
fn a_block_that_execution_refused_before_we_may_vote_is_not_notarized() {
    let mut world = World::restarted(config(3).0, restored(Vec::new()), START);
    let view = world.view_led(1, false);
    world.enter(view);
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.executed(&block, Verdict::Invalid);
    assert_eq!(votes(&world.take()), []);
    for from in 0..3 {
        world.step(Event::VoteRecovery {
            from: ValidatorIndex(from),
            session: START,
            votes: Vec::new(),
            ended: None,
        });
    }
    assert_eq!(votes(&world.take()), [nullify(view)]);
}

#[test]
fn a_proposal_on_what_finality_excludes_is_given_up_at_once() {
    let (mut world, first) = World::following();
    let block = world.certified(first, 0, &genesis());
    world.certify(world.finalization(first, &block));
    let view = world.view_led(first + 1, false);
    for gap in first + 1..view {
        world.certify(world.nullification(gap));
    }
    world.take();
    // One above what is committed, so that it is kept.
    let leader = world.engine.leader(View(view));
    let fork = super::block(genesis().id(), 2, START + 9, leader);
    world.propose(view, 0, &fork);
    assert_eq!(votes(&world.take()), [nullify(view)]);
}

#[test]
fn a_proposal_on_a_final_block_waits_until_that_is_committed() {
    let mut world = World::new(3);
    let view = world.view_led(21, false);
    let unseen = block(genesis().id(), 1, START + 1, ValidatorIndex(0));
    world.certify(world.finalization(view - 1, &unseen));
    world.take();
    let child = world.block(view, &unseen);
    world.propose(view, view - 1, &child);
    assert_eq!(votes(&world.take()), []);
}

#[test]
fn of_the_final_view_the_decided_block_alone_is_built_upon() {
    // A quorum that notarizes a block on the tip as if the tip were final in a view whose block we lack.
    let mut world = World::new(3);
    let view = world.view_led(21, false);
    let unseen = block(genesis().id(), 1, START + 50, ValidatorIndex(0));
    world.certify(world.finalization(view - 1, &unseen));
    let fork = world.block(view, &genesis());
    world.propose(view, view - 1, &fork);
    world.executed(&fork, Verdict::Valid { urgent: false });
    world.certify(world.notarization(view, view - 1, &fork));
    assert_eq!(world.engine.view(), View(view), "it is not certified");
}

#[test]
fn a_block_is_certified_once_its_parent_is() {
    let (mut world, view) = World::following();
    let parent = world.block(view, &genesis());
    world.propose(view, 0, &parent);
    world.executed(&parent, Verdict::Valid { urgent: false });
    world.certify(world.nullification(view));
    let child = world.block(view + 1, &parent);
    world.propose(view + 1, view, &child);
    world.executed(&child, Verdict::Valid { urgent: false });
    world.certify(world.notarization(view + 1, view, &child));
    assert_eq!(world.engine.view(), View(view + 1));
    world.certify(world.notarization(view, 0, &parent));
    assert_eq!(world.engine.view(), View(view + 2));
}

/// A world that asked for a range from height 1 on, of a chain that is final up to height 10.
fn asking() -> (World, Vec<WholeBlock>) {
    let blocks = chain(10);
    let mut world = World::new(3);
    world.certify(world.finalization(400, &blocks[10]));
    world.step(Event::Block(blocks[10].clone()));
    world.take();
    (world, blocks)
}

/// The answer of whoever is asked for a range.
fn answer(world: &mut World, range: Range) -> Vec<Effect> {
    let mut others = (0..3).map(ValidatorIndex);
    let asked = others.find(|from| world.engine.awaits_range(*from));
    world.step(Event::Range {
        from: asked.expect("somebody is asked"),
        range: Box::new(range),
    });
    world.take()
}

fn is_refused(effects: &[Effect]) -> bool {
    let report = |effect: &Effect| matches!(effect, Effect::Report { .. });
    let execute = |effect: &Effect| matches!(effect, Effect::Execute(_));
    effects.iter().any(report) && !effects.iter().any(execute)
}

#[test]
fn a_range_that_ends_in_a_notarization_decides_nothing() {
    let (mut world, blocks) = asking();
    let mut notarized = range(&world, &blocks[1..=5], 300);
    notarized.certificate = world.notarization(300, 299, &blocks[5]);
    assert!(is_refused(&answer(&mut world, notarized)));
    assert_eq!(world.engine.path_end().0, Height(0));
}

#[test]
fn a_range_of_another_chain_is_refused() {
    let (mut world, _) = asking();
    let (height, time) = (Height(1), Timestamp(START + 1));
    let proposer = id(ValidatorIndex(0));
    let other = empty_block(
        ChainId(Hash32([8; 32])),
        genesis().id(),
        height,
        time,
        proposer,
    );
    let other = range(&world, &[WholeBlock::new(other).unwrap()], 300);
    assert!(is_refused(&answer(&mut world, other)));
}

#[test]
fn a_range_that_does_not_follow_what_is_known_is_not_joined() {
    let first = |height, parent| block(parent, height, START + 1, ValidatorIndex(0));
    let elsewhere = BlockId(Hash32([7; 32]));
    for start in [first(2, genesis().id()), first(1, elsewhere)] {
        let (mut world, _) = asking();
        let gap = range(&world, &[start], 300);
        answer(&mut world, gap);
        assert_eq!(world.engine.path_end(), (Height(0), genesis().id()));
    }
}

#[test]
fn a_finalization_above_its_range_is_kept_for_its_own_block_alone() {
    // A quorum finalises a fork: what it proves must not be taken for a proof of the other block of that height.
    let (mut world, blocks) = asking();
    let fork = block(blocks[1].id(), 2, START + 99, ValidatorIndex(0));
    let mut above = range(&world, &blocks[1..=1], 0);
    above.headers = Bounded::new(vec![fork.header.clone()]).unwrap();
    above.certificate = world.finalization(300, &fork);
    answer(&mut world, above);
    assert_eq!(world.engine.path_end().0, Height(1));
    let rest = range(&world, &blocks[2..=10], 400);
    answer(&mut world, rest);
    assert_eq!(world.engine.path_end().0, Height(10));
    assert!(!world.engine.decided.proofs.contains_key(&fork.id()));
}

#[test]
fn a_log_with_two_votes_of_one_kind_or_finalize_without_its_notarization() {
    let (config, keys) = config(3);
    let vote = |statement| Record::Vote(Vote::sign(statement, config.me, &keys[3], CHAIN));
    let other = block(genesis().id(), 1, START + 9, ValidatorIndex(0));
    let first = &chain(1)[1];
    let now = World::new(3).now();
    let twice = vec![vote(notarize(4, 0, first)), vote(notarize(4, 0, &other))];
    let refused = Engine::start(Arc::new(config.clone()), now, restored(twice)).err();
    assert_eq!(refused, Some(StartError::Contradiction(View(4))));
    // Certificates may be cut from a log; the word stands.
    let said = vec![vote(finalize(4, first))];
    let mut world = World::restarted(config.clone(), restored(said), START);
    world.answer_vote_recovery(&[]);
    assert_eq!(world.engine.view(), View(4));
    world.pass(60_000);
    assert_eq!(votes(&world.take()), []);
}
