//! Rule 2: when a leader proposes, on what, and that it never says two things.

use types::testing::filled;

use super::*;
use crate::effect::Recipients;

fn proposals<'a>(effects: &'a [Effect]) -> Vec<&'a types::vote::Proposal> {
    let proposal = |message: &'a Message| match message {
        Message::Proposal(proposal) => Some(proposal.as_ref()),
        _ => None,
    };
    messages(effects).filter_map(proposal).collect()
}

/// Answers what the engine asked for.
fn build(world: &mut World) -> WholeBlock {
    let (view, parent, height, timestamp) = asked(&world.take()).expect("it is our turn");
    let block = block(parent, height.0, timestamp.0, world.config.me);
    world.step(Event::Proposed {
        view,
        block: block.clone(),
    });
    block
}

#[test]
fn a_leader_waits_for_the_idle_target_unless_something_is_urgent() {
    let mut world = World::new(0);
    let view = world.view_led(2, true);
    for before in 1..view {
        world.certify(world.nullification(before));
    }
    assert_eq!(
        asked(&world.take()),
        None,
        "genesis is younger than the idle target"
    );
    world.pass(99);
    world.step(Event::Urgent(true));
    assert_eq!(asked(&world.take()), None);
    world.pass(1);
    assert_eq!(
        asked(&world.take()).map(|(_, _, _, at)| at),
        Some(Timestamp(START + 100))
    );

    let mut world = World::new(0);
    world.enter(view);
    world.pass(499);
    assert_eq!(asked(&world.take()), None);
    world.pass(1);
    assert_eq!(
        asked(&world.take()),
        Some((
            View(view),
            genesis().id(),
            Height(1),
            Timestamp(START + 500)
        ))
    );
}

#[test]
fn a_block_that_was_urgent_hurries_its_child() {
    let mut world = World::new(0);
    let view = world.view_led(2, true);
    world.enter(view - 1);
    let parent = world.block(view - 1, &genesis());
    world.propose(view - 1, 0, &parent);
    world.executed(&parent, Verdict::Valid { urgent: true });
    world.certify(world.notarization(view - 1, 0, &parent));
    world.take();
    world.pass(101);
    assert!(asked(&world.take()).is_some());
}

#[test]
fn a_clock_that_is_behind_does_not_cost_the_view() {
    let (config, _) = config(0);
    let behind = START - 100_000;
    let mut world = World::restarted(config, restored(Vec::new()), behind);
    world.answer_vote_recovery(&[]);
    let view = world.view_led(1, true);
    for before in 1..view {
        world.certify(world.nullification(before));
    }
    world.take();
    world.pass(500 + 500);
    assert_eq!(
        asked(&world.take()).map(|(_, _, _, at)| at),
        Some(Timestamp(START + 1)),
        "above the parent's"
    );
}

#[test]
fn a_proposal_is_written_whole_and_carries_what_its_reader_needs() {
    let (mut world, view) = World::leading();
    world.pass(500);
    let block = build(&mut world);
    let effects = world.take();
    assert!(written_first(&effects));
    let proposal = proposals(&effects)[0].clone();
    assert_eq!(proposal.block.id(), block.id());
    assert_eq!(
        proposal.nullifications.len(),
        usize::try_from(view - 1).unwrap()
    );
    assert_eq!(proposal.parent_certificate, None);
    let committee = &world.config.committee;
    let term = types::vote::Term {
        chain: CHAIN,
        epoch: EPOCH,
        committee,
    };
    assert!(proposal.verify(&term, world.config.me).is_ok());
    assert!(world.disk.contains(&Record::Proposal(Box::new(proposal))));
    assert_eq!(
        votes(&effects),
        [],
        "the proposal is the leader's notarize vote"
    );
}

#[test]
fn the_parent_is_the_highest_certified_block() {
    let mut world = World::new(0);
    let view = world.view_led(4, true);
    for before in 1..view - 2 {
        world.certify(world.nullification(before));
    }
    let parent = world.certified(view - 2, 0, &genesis());
    world.certify(world.nullification(view - 1));
    world.take();
    world.pass(600);
    let block = build(&mut world);
    assert_eq!(block.header.parent, parent.id());
    let effects = world.take();
    let proposal = proposals(&effects)[0];
    assert_eq!(proposal.parent_view, View(view - 2));
    assert_eq!(
        proposal.parent_certificate,
        Some(world.notarization(view - 2, 0, &parent))
    );
    assert_eq!(proposal.nullifications.len(), 1);
}

#[test]
fn one_proposal_per_view() {
    let (mut world, view) = World::leading();
    world.pass(500);
    build(&mut world);
    world.take();
    let other = block(genesis().id(), 1, START + 900, world.config.me);
    world.step(Event::Proposed {
        view: View(view),
        block: other,
    });
    world.pass(100);
    assert_eq!(proposals(&world.take()).len(), 0);
}

/// To whom proposals were sent.
fn proposed_to(effects: &[Effect]) -> Vec<Recipients> {
    let to = |effect: &Effect| match effect {
        Effect::Send {
            to,
            message: Message::Proposal(_),
        } => Some(to.clone()),
        _ => None,
    };
    effects.iter().filter_map(to).collect()
}

#[test]
fn a_proposal_is_sent_again_to_who_has_not_voted_while_its_view_lasts() {
    let (mut world, view) = World::leading();
    world.pass(500);
    build(&mut world);
    assert_eq!(proposed_to(&world.take()), [Recipients::All]);
    let one = ValidatorIndex(1);
    world.engine.note_voted(one, View(view - 1));
    world.pass(499);
    assert_eq!(proposed_to(&world.take()), []);
    world.pass(1);
    let others = [1, 2, 3].map(|index| id(ValidatorIndex(index)));
    let to = Recipients::Some(others.to_vec());
    assert_eq!(proposed_to(&world.take()), [to]);
    world.engine.note_voted(one, View(view));
    world.pass(500);
    let to = Recipients::Some(others[1..].to_vec());
    assert_eq!(proposed_to(&world.take()), [to], "twice the time");
    world.pass(499);
    assert_eq!(proposed_to(&world.take()), []);
    world.pass(5_000);
    let effects = world.take();
    assert!(votes(&effects).contains(&nullify(view)));
    assert_eq!(proposed_to(&effects), [], "the view is given up");
}

#[test]
fn a_large_proposal_is_given_the_time_that_sending_it_takes() {
    let (mut world, _) = World::leading();
    world.pass(500);
    let (view, parent, height, timestamp) = asked(&world.take()).unwrap();
    let empty = block(parent, height.0, timestamp.0, world.config.me);
    let large = filled(empty.block().as_ref().clone(), 960 << 10);
    world.step(Event::Proposed {
        view,
        block: WholeBlock::new(large).unwrap(),
    });
    assert_eq!(proposed_to(&world.take()), [Recipients::All]);
    // Three times 960 KiB at 32 KiB a millisecond; what stands beside the transfers is less than one.
    world.pass(500 + 89);
    assert_eq!(proposed_to(&world.take()), []);
    world.pass(2);
    assert_eq!(proposed_to(&world.take()).len(), 1);
}

#[test]
fn a_proposal_that_is_notarized_is_not_sent_again() {
    let (mut world, view) = World::leading();
    world.pass(500);
    let block = build(&mut world);
    world.certify(world.notarization(view, 0, &block));
    world.take();
    world.pass(1_000);
    assert_eq!(proposed_to(&world.take()), []);
}

#[test]
fn a_leader_that_nullified_does_not_propose() {
    let (mut world, view) = World::leading();
    world.pass(500);
    let (_, parent, height, at) = asked(&world.take()).unwrap();
    world.pass(3_000);
    assert!(votes(&world.take()).contains(&nullify(view)));
    let late = block(parent, height.0, at.0, world.config.me);
    world.step(Event::Proposed {
        view: View(view),
        block: late,
    });
    assert_eq!(proposals(&world.take()).len(), 0);
}

#[test]
fn at_most_64_nullifications_travel_inside() {
    let mut world = World::new(0);
    let view = world.view_led(80, true);
    world.enter(view);
    world.pass(500);
    build(&mut world);
    let effects = world.take();
    let proposal = proposals(&effects)[0];
    assert_eq!(proposal.nullifications.len(), 64);
    assert_eq!(
        proposal.nullifications[0].statement.view,
        View(1),
        "the oldest first"
    );
}

#[test]
fn a_leader_that_lacks_a_nullification_asks_for_it() {
    let mut world = World::new(0);
    let view = world.view_led(4, true);
    world.certify(world.nullification(view - 1));
    world.pass(600);
    let effects = world.take();
    assert_eq!(asked(&effects), None);
    let wanted = Message::Request(crate::Request::Certificates {
        from: View(1),
        to: View(view - 2),
    });
    assert!(messages(&effects).any(|message| *message == wanted));
}
