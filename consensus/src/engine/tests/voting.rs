//! Rules 1, 3, 4, 5 and 8: entering views and voting.

use super::*;

#[test]
fn a_view_is_entered_by_each_kind_of_certificate_and_never_left_backwards() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    assert_eq!(
        world.engine.view(),
        View(view + 1),
        "by a certified notarization"
    );
    world.certify(world.nullification(view + 1));
    assert_eq!(world.engine.view(), View(view + 2), "by a nullification");
    world.certify(world.finalization(view + 20, &block));
    assert_eq!(world.engine.view(), View(view + 21), "by a finalization");
    world.certify(world.nullification(view + 3));
    assert_eq!(world.engine.view(), View(view + 21));
}

#[test]
fn a_notarization_without_its_body_does_not_let_us_in() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.certify(world.notarization(view, 0, &block));
    assert_eq!(world.engine.view(), View(view));
    world.step(Event::Block(block.clone()));
    assert_eq!(world.engine.view(), View(view), "not yet executed");
    world.executed(&block, Verdict::Valid { urgent: false });
    assert_eq!(world.engine.view(), View(view + 1));
}

#[test]
fn notarizes_the_first_proposal_only_with_its_body_written_first() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    let effects = world.take();
    assert_eq!(votes(&effects), [notarize(view, 0, &block)]);
    assert!(written_first(&effects));
    assert!(world.disk.iter().any(
        |record| matches!(record, Record::Block { block: body, .. } if body.id() == block.id())
    ));

    let other = super::block(
        genesis().id(),
        1,
        START + 7,
        position(block.header.proposer),
    );
    world.propose(view, 0, &other);
    assert_eq!(votes(&world.take()), []);
}

#[test]
fn execution_is_asked_for_before_anything_waits_for_the_disk() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    assert!(matches!(&world.take()[0], Effect::Execute(asked) if *asked == block));
}

#[test]
fn a_proposal_waits_for_the_nullifications_between_it_and_its_parent() {
    let mut world = World::new(3);
    let view = world.view_led(4, false);
    world.certify(world.nullification(view - 1));
    world.take();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    let effects = world.take();
    assert_eq!(votes(&effects), []);
    let leader = world.engine.leader(View(view));
    let asked = effects.iter().any(|effect| {
        matches!(effect, Effect::Send { to: crate::Recipients::One(to), message: Message::Request(
            crate::Request::Certificates { from, to: last }) } if *to == id(leader) && *from == View(1) && *last == View(view - 2))
    });
    assert!(asked, "the proposer is asked for what is missing");
    for gap in 1..view - 1 {
        assert_eq!(votes(&world.take()), []);
        world.certify(world.nullification(gap));
    }
    assert_eq!(votes(&world.take()), [notarize(view, 0, &block)]);
}

#[test]
fn a_timestamp_ahead_of_the_bound_is_waited_for() {
    let (mut world, view) = World::following();
    let leader = world.engine.leader(View(view));
    let ahead = block(genesis().id(), 1, world.time + 700, leader);
    world.propose(view, 0, &ahead);
    let effects = world.take();
    assert_eq!(votes(&effects), []);
    assert!(effects.contains(&Effect::SetTimer(Monotonic(world.time + 200))));
    world.pass(200);
    assert_eq!(votes(&world.take()), [notarize(view, 0, &ahead)]);
}

#[test]
fn proposals_that_break_a_rule_are_nullified() {
    let spoil: [fn(&mut World, u64) -> Event; 4] = [
        |world, view| {
            let stranger = ValidatorIndex((world.engine.leader(View(view)).0 + 1) % 4);
            let block = Some(block(genesis().id(), 1, START + 1, stranger));
            Event::Proposal {
                view: View(view),
                parent_view: View(0),
                block,
            }
        },
        |world, view| {
            let leader = world.engine.leader(View(view));
            let block = Some(block(genesis().id(), 2, START + 1, leader));
            Event::Proposal {
                view: View(view),
                parent_view: View(0),
                block,
            }
        },
        |world, view| {
            let leader = world.engine.leader(View(view));
            let block = Some(block(genesis().id(), 1, START, leader));
            Event::Proposal {
                view: View(view),
                parent_view: View(0),
                block,
            }
        },
        |_, view| Event::Proposal {
            view: View(view),
            parent_view: View(0),
            block: None,
        },
    ];
    for (number, event) in spoil.into_iter().enumerate() {
        let (mut world, view) = World::following();
        let event = event(&mut world, view);
        world.step(event);
        assert_eq!(votes(&world.take()), [nullify(view)], "case {number}");
    }
}

#[test]
fn a_block_that_fails_is_nullified_and_never_finalised_by_us() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.take();
    world.executed(&block, Verdict::Invalid);
    assert_eq!(votes(&world.take()), [nullify(view)]);
    world.certify(world.notarization(view, 0, &block));
    assert_eq!(votes(&world.take()), []);
    assert_eq!(world.engine.view(), View(view));
}

#[test]
fn finalize_rests_on_a_written_notarization_and_comes_with_the_next_view() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    let effects = world.take();
    assert_eq!(votes(&effects).last(), Some(&finalize(view, &block)));
    assert!(written_first(&effects));
    let notarization = Record::Certificate(world.notarization(view, 0, &block));
    assert!(world.disk.contains(&notarization));
    assert_eq!(world.engine.view(), View(view + 1));
}

#[test]
fn no_finalize_after_nullify_even_if_the_block_is_certified_later() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.pass(500 + 3 * 500);
    assert_eq!(votes(&world.take()).last(), Some(&nullify(view)));
    world.executed(&block, Verdict::Valid { urgent: false });
    world.certify(world.notarization(view, 0, &block));
    assert_eq!(votes(&world.take()), []);
    assert_eq!(
        world.engine.view(),
        View(view + 1),
        "it is certified all the same"
    );
}

#[test]
fn no_nullify_after_finalize() {
    let (mut world, view) = World::following();
    world.certified(view, 0, &genesis());
    world.take();
    world.pass(60_000);
    assert!(
        votes(&world.take())
            .iter()
            .all(|statement| *statement == nullify(view + 1))
    );
}

#[test]
fn without_a_proposal_the_view_is_given_up_after_two_deltas_and_with_one_after_three() {
    let (mut world, view) = World::following();
    world.pass(500 + 2 * 500 - 1);
    assert_eq!(votes(&world.take()), []);
    world.pass(1);
    assert_eq!(votes(&world.take()), [nullify(view)]);

    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.take();
    world.pass(500 + 3 * 500 - 1);
    assert_eq!(votes(&world.take()), []);
    world.pass(1);
    assert_eq!(votes(&world.take()), [nullify(view)]);
}

#[test]
fn timeouts_grow_with_views_that_are_not_final_and_shrink_with_finality() {
    let mut world = World::new(3);
    let view = world.view_led(12, false);
    world.enter(view);
    let slow = world.config.timing.delta_after(500, view - 2);
    assert!(slow > 500);
    world.pass(500 + 2 * 500);
    assert_eq!(votes(&world.take()), []);
    world.pass(2 * slow - 2 * 500);
    assert_eq!(votes(&world.take()), [nullify(view)]);

    let block = world.block(view, &genesis());
    let next = world.view_led(view + 1, false);
    world.certify(world.finalization(next - 1, &block));
    world.take();
    world.pass(500 + 2 * 500);
    assert!(votes(&world.take()).contains(&nullify(next)));
}

#[test]
fn the_leaders_own_nullify_ends_the_wait() {
    let (mut world, view) = World::following();
    world.step(Event::LeaderNullified(View(view)));
    assert_eq!(votes(&world.take()), [nullify(view)]);
}

#[test]
fn a_nullify_vote_is_sent_again_with_the_certificate_that_let_us_in() {
    let (mut world, view) = World::following();
    assert!(view > 1 || world.engine.entry.is_none());
    world.step(Event::LeaderNullified(View(view)));
    world.take();
    world.pass(499);
    assert_eq!(sent(&world.take()), []);
    world.pass(1);
    let effects = world.take();
    assert_eq!(sent(&effects), [nullify(view)]);
    let entry = world.engine.entry.clone().map(Message::Certificate);
    assert_eq!(
        messages(&effects).next().filter(|_| view > 1).cloned(),
        entry
    );
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Persist(_))),
        "nothing new is said"
    );
}

#[test]
fn a_view_nullified_by_others_is_certified_all_the_same() {
    // Half of the validators may hold only the notarization and build upon it.
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.certify(world.nullification(view));
    assert_eq!(world.engine.view(), View(view + 1));
    world.executed(&block, Verdict::Valid { urgent: false });
    world.certify(world.notarization(view, 0, &block));
    world.take();
    let next = world.view_led(view + 1, false);
    for gap in view + 1..next {
        world.certify(world.nullification(gap));
    }
    let child = world.block(next, &block);
    world.propose(next, view, &child);
    assert_eq!(votes(&world.take()), [notarize(next, view, &child)]);
}

#[test]
fn standstill_says_everything_again_in_ticks_of_at_most_64() {
    let mut world = World::new(3);
    for view in 1..=100 {
        world.certify(world.nullification(view));
    }
    // They are offered first.
    world.pass(50);
    world.take();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        world.pass(2_000);
        let effects = world.take();
        let certificates = messages(&effects).filter_map(|message| match message {
            Message::Certificate(certificate) => Some(certificate.statement.view),
            _ => None,
        });
        seen.extend(certificates);
        let items = messages(&effects)
            .filter(|message| !matches!(message, Message::Request(_)))
            .count();
        assert!(items <= 64 + 2, "a tick and one nullify retry: {items}");
    }
    assert_eq!(seen.len(), 100);
}

#[test]
fn a_proposal_over_a_view_that_was_not_nullified_is_not_notarized() {
    let mut world = World::with(config(3).0);
    let view = world.view_led(3, false);
    world.certify(world.nullification(view - 1));
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    let votes = votes(&world.take());
    assert!(
        !votes.contains(&notarize(view, 0, &block)),
        "a proposal over an open gap was notarized"
    );
}

#[test]
fn a_certificate_is_offered_a_little_later_to_those_who_did_not_show_it() {
    let (mut world, view) = World::following();
    world.pass(50);
    let block = world.certified(view, 0, &genesis());
    let offered = |effects: &[Effect]| {
        let to = |effect: &Effect| match effect {
            Effect::Send {
                to: crate::Recipients::Some(to),
                message: Message::Certificate(certificate),
            } if certificate.statement.view == View(view) => Some(to.clone()),
            _ => None,
        };
        effects.iter().find_map(to)
    };
    assert_eq!(
        offered(&world.take()),
        None,
        "most will show that they hold it"
    );
    world
        .engine
        .note_shown(ValidatorIndex(1), View(view), View::ZERO);
    world.pass(50);
    let lacking = vec![id(ValidatorIndex(0)), id(ValidatorIndex(2))];
    assert_eq!(offered(&world.take()), Some(lacking));

    let next = world.view_led(view + 1, false);
    world.enter(next);
    let child = world.certified(next, view, &block);
    world.certify(world.finalization(next, &child));
    world.take();
    world.pass(50);
    let certificates = |effects: &[Effect]| {
        let is_it = |message: &&Message| matches!(message, Message::Certificate(_));
        messages(effects).filter(is_it).count()
    };
    assert_eq!(
        certificates(&world.take()),
        1,
        "the finalization says it all"
    );
}

#[test]
fn a_clock_that_is_off_is_seen_by_the_others_timestamps() {
    let mut world = World::new(3);
    assert_eq!(world.engine.clock_ahead_ms(), None);
    for view in 1..=12 {
        world.pass(100);
        let leader = world.engine.leader(View(view));
        // Our clock is 400 ms behind theirs, but number 0 lies.
        let shown = world.time + if leader.0 == 0 { 90_000 } else { 400 };
        let block = block(genesis().id(), 1, shown, leader);
        world.propose(view, 0, &block);
        world.certify(world.nullification(view));
    }
    assert_eq!(world.engine.clock_ahead_ms(), Some(-400));
}
