//! A validator with little bandwidth: answers come late, and finality does not wait for it.

use std::collections::BTreeMap;

use super::catch_up::{asked, range};
use super::lagging::execute_all;
use super::*;
use crate::message::Request;

/// What is asked for comes that much later; a block is final every 100 ms.
const LATE_MS: u64 = 900;

#[test]
fn answers_that_come_after_finality_moved_on_are_used() {
    let mut world = World::new(3);
    let mut blocks = vec![genesis()];
    for view in 1..=180 {
        let next = world.block(view, blocks.last().unwrap());
        blocks.push(next);
    }
    let mut answers: BTreeMap<u64, Vec<(ValidatorIndex, Request)>> = BTreeMap::new();
    for height in 1..=180 {
        world.certify(world.finalization(height, &blocks[usize::try_from(height).unwrap()]));
        for _ in 0..2 {
            for (from, request) in answers.remove(&world.time).unwrap_or_default() {
                answer(&mut world, &blocks, height, from, request);
            }
            let requests = execute_all(&mut world);
            answers
                .entry(world.time + LATE_MS)
                .or_default()
                .extend(requests);
            world.pass(50);
        }
    }
    let tip = world.engine.tip().height.0;
    assert!(tip >= 150, "the tip is at height {tip} of 180");
}

fn answer(
    world: &mut World,
    blocks: &[WholeBlock],
    height: u64,
    from: ValidatorIndex,
    request: Request,
) {
    match request {
        Request::Block(id) => {
            let block = blocks.iter().find(|block| block.id() == id).cloned();
            world.step(Event::Block(block.expect("of this chain")));
        }
        Request::Range(first) => {
            let end = height.min(first.0 + 63);
            let part = usize::try_from(first.0).unwrap()..=usize::try_from(end).unwrap();
            if !part.is_empty() {
                let range = Box::new(range(world, &blocks[part], end));
                world.step(Event::Range { from, range });
            }
        }
        _ => {}
    }
}

#[test]
fn a_gap_of_nullifications_takes_a_request_for_each_answer() {
    let mut world = World::new(3);
    let view = world.view_led(160, false);
    world.certify(world.nullification(view - 1));
    let block = world.block(view, &genesis());
    world.take();
    world.propose(view, 0, &block);
    let requests = |world: &mut World| {
        let effects = world.take();
        let wanted = asked(&effects).into_iter();
        wanted.map(|(_, request)| request).collect::<Vec<_>>()
    };
    let ask = |from| Request::Certificates {
        from: View(from),
        to: View(view - 2),
    };
    assert_eq!(requests(&mut world), [ask(1)]);
    for first in [1, 65] {
        let answer = (first..first + 64).map(|view| world.nullification(view));
        world.step(Event::Certificates(answer.collect()));
        assert_eq!(requests(&mut world), [ask(first + 64)]);
    }
    let rest = (129..view - 1).map(|view| world.nullification(view));
    world.step(Event::Certificates(rest.collect()));
    let effects = world.take();
    assert_eq!(asked(&effects), []);
    assert_eq!(votes(&effects), [notarize(view, 0, &block)]);
}
