//! Bounds and conditions that mutants showed to be untested: each test names what the changed code would do.

use super::*;
use crate::effect::Recipients;
use crate::input::StartError;
use crate::message::{MAX_CERTIFICATES, Request};

#[test]
fn a_validator_that_lacks_the_final_block_is_not_in_sync() {
    let (mut world, view) = World::following();
    assert!(world.engine.is_in_sync());
    let unseen = block(genesis().id(), 1, START + 50, ValidatorIndex(0));
    world.certify(world.finalization(view, &unseen));
    assert!(!world.engine.is_in_sync());
}

#[test]
fn a_store_is_proven_by_the_finalization_of_its_own_tip() {
    let world = World::new(3);
    let tip = block(genesis().id(), 1, START + 1, ValidatorIndex(0));
    let other = block(genesis().id(), 1, START + 2, ValidatorIndex(0));
    let start = |finalised: &WholeBlock| {
        let restored = Restored {
            tip: CommittedTip {
                id: tip.id(),
                height: Height(1),
                timestamp: tip.header.timestamp,
            },
            finalization: Some(world.finalization(5, finalised)),
            records: Vec::new(),
        };
        Engine::start(Arc::new(world.config.clone()), world.now(), restored).err()
    };
    assert_eq!(start(&tip), None);
    assert_eq!(start(&other), Some(StartError::UnprovenTip(Height(1))));
}

#[test]
fn a_finalization_that_the_log_holds_twice_is_no_conflict() {
    let world = World::new(3);
    let block = block(genesis().id(), 1, START + 1, ValidatorIndex(0));
    let twice = vec![Record::Certificate(world.finalization(5, &block)); 2];
    let config = Arc::new(world.config.clone());
    assert!(Engine::start(config, world.now(), restored(twice)).is_ok());
}

#[test]
fn a_block_of_a_committed_height_is_not_held() {
    let (mut world, view) = World::following();
    let first = world.certified(view, 0, &genesis());
    world.certify(world.finalization(view, &first));
    assert_eq!(world.engine.tip().height, Height(1));
    let next = world.view_led(view + 1, false);
    for gap in view + 1..next {
        world.certify(world.nullification(gap));
    }
    let leader = world.engine.leader(View(next));
    let fork = block(genesis().id(), 1, START + 60, leader);
    world.propose(next, 0, &fork);
    assert_eq!(world.engine.blocks_held(), 0);
}

/// Twelve views of 60 ms each that end by a block, or are given up.
fn after_views(by_block: bool) -> World {
    let mut world = World::new(3);
    let (mut parent_view, mut parent) = (0, genesis());
    for view in 1..=12 {
        world.pass(60);
        if by_block {
            parent = world.certified(view, parent_view, &parent);
            world.certify(world.finalization(view, &parent));
            parent_view = view;
        } else {
            world.certify(world.nullification(view));
        }
    }
    world.take();
    world
}

#[test]
fn views_that_end_by_a_block_are_measured_and_others_are_not() {
    assert_eq!(after_views(false).engine.measured_delta_ms(), 500);
    let measured = after_views(true).engine.measured_delta_ms();
    assert!(measured <= 100, "{measured} ms");
}

#[test]
fn a_certificate_is_offered_half_a_delay_later() {
    let mut world = after_views(true);
    world.pass(100);
    world.take();
    let half = world.engine.measured_delta_ms() / 2;
    let view = world.engine.view().0;
    world.certify(world.nullification(view));
    let offers = |world: &mut World| {
        let offer = |effect: &Effect| {
            matches!(effect, Effect::Send { to: Recipients::Some(_), message: Message::Certificate(certificate) }
                if certificate.statement.view == View(view))
        };
        world.take().iter().any(offer)
    };
    assert!(half < 50, "{half} ms");
    world.pass(half - 1);
    assert!(!offers(&mut world));
    world.pass(1);
    assert!(offers(&mut world));
}

#[test]
fn an_answer_of_certificates_is_as_long_as_it_may_be() {
    let mut world = after_views(true);
    let last = world.engine.view().0;
    for view in last..last + 100 {
        world.certify(world.nullification(view));
    }
    world.take();
    world.step(Event::Request {
        from: ValidatorIndex(1),
        request: Request::Certificates {
            from: View(1),
            to: View(last + 100),
        },
    });
    let effects = world.take();
    let answered = messages(&effects).find_map(|message| match message {
        Message::Certificates(certificates) => Some(certificates.len()),
        _ => None,
    });
    assert_eq!(answered, Some(MAX_CERTIFICATES));
}

#[test]
fn finality_ends_a_standstill() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    let standstill_ms = world.config.timing.standstill_ms;
    world.pass(standstill_ms - 1);
    world.certify(world.finalization(view, &block));
    world.take();
    let said_again = |world: &mut World| {
        let again = |effect: &Effect| {
            matches!(effect, Effect::Send { to: Recipients::All, message: Message::Certificate(certificate) }
                if matches!(certificate.statement.subject, Subject::Finalize { .. }))
        };
        world.take().iter().any(again)
    };
    world.pass(100);
    assert!(!said_again(&mut world), "finality moved just now");
    world.pass(standstill_ms);
    assert!(said_again(&mut world));
}
