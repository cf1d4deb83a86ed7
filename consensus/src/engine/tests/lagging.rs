//! Catching up (rule 9) with liars among those who are asked. The lagging validator is number 3 and asks number 0 first.

use std::collections::BTreeMap;

use super::catch_up::{asked, chain, range};
use super::*;
use crate::engine::decide::MAX_PATH;
use crate::message::Request;

/// How a validator answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// What is asked for, up to 64 blocks.
    Honest,
    /// Gives no answer.
    Silent,
    /// With blocks that are final and known for long.
    Stale,
    /// Answers every request with one block.
    Grudging,
}

/// The first who is asked.
const MALLORY: usize = 0;

/// A validator at height 10 of a chain whose block of height h is proposed in view h, and that chain.
fn at_height_10(length: u64) -> (World, Vec<WholeBlock>) {
    let mut world = World::new(3);
    let mut blocks = vec![genesis()];
    for view in 1..=length {
        let next = world.block(view, blocks.last().unwrap());
        blocks.push(next);
    }
    for height in 1..=10 {
        live(&mut world, &blocks, height);
    }
    assert_eq!(world.engine.tip().height, Height(10));
    (world, blocks)
}

/// The block of that height is proposed and becomes final.
fn live(world: &mut World, blocks: &[WholeBlock], height: u64) {
    let block = &blocks[usize::try_from(height).unwrap()];
    world.propose(height, height - 1, block);
    world.certify(world.finalization(height, block));
    world.executed(block, Verdict::Valid { urgent: false });
}

/// A validator at height 10 that learns that the last block of its chain is final, and holds that block.
fn behind(length: u64) -> (World, Vec<WholeBlock>) {
    let (mut world, blocks) = at_height_10(length);
    world.take();
    let last = blocks.last().unwrap().clone();
    world.certify(world.finalization(length, &last));
    world.step(Event::Block(last));
    (world, blocks)
}

fn answer(
    world: &World,
    blocks: &[WholeBlock],
    server: Server,
    from: Height,
) -> Option<crate::message::Range> {
    let from = usize::try_from(from.0).unwrap();
    let count = match server {
        Server::Honest => 64,
        Server::Grudging => 1,
        Server::Stale => return Some(range(world, &blocks[1..=10], 10)),
        Server::Silent => return None,
    };
    let part = &blocks[from..(from + count).min(blocks.len())];
    (!part.is_empty()).then(|| range(world, part, part.last().unwrap().header.height.0))
}

/// Executes blocks until no more are to be. Gives the requests that were sent.
pub(super) fn execute_all(world: &mut World) -> Vec<(ValidatorIndex, Request)> {
    let mut requests = Vec::new();
    while !world.effects.is_empty() {
        let effects = world.take();
        for effect in &effects {
            if let Effect::Execute(block) = effect {
                world.executed(block, Verdict::Valid { urgent: false });
            }
        }
        requests.extend(asked(&effects));
    }
    requests
}

/// Performs what the engine wants at once: blocks are executed, requests are answered. Gives how often each validator
/// was asked for a range.
fn serve(world: &mut World, blocks: &[WholeBlock], servers: [Server; 3]) -> [usize; 3] {
    let mut turns = [0; 3];
    for _ in 0..2_000 {
        let effects = world.take();
        let executed: Vec<WholeBlock> = effects
            .iter()
            .filter_map(|effect| {
                if let Effect::Execute(block) = effect {
                    Some(block.clone())
                } else {
                    None
                }
            })
            .collect();
        let requests = asked(&effects);
        if executed.is_empty() && requests.is_empty() {
            break;
        }
        for block in &executed {
            world.executed(block, Verdict::Valid { urgent: false });
        }
        for (to, request) in requests {
            let server = servers[usize::from(to.0)];
            match request {
                Request::Range(from) => {
                    turns[usize::from(to.0)] += 1;
                    if let Some(range) = answer(world, blocks, server, from) {
                        world.step(Event::Range {
                            from: to,
                            range: Box::new(range),
                        });
                    }
                }
                Request::Block(id) if server == Server::Honest => {
                    let block = blocks
                        .iter()
                        .find(|block| block.id() == id)
                        .expect("it is of this chain");
                    world.step(Event::Block(block.clone()));
                }
                _ => {}
            }
        }
    }
    turns
}

#[test]
fn mallory_who_answers_with_old_blocks_is_passed_over() {
    let (mut world, blocks) = behind(510);
    let turns = serve(
        &mut world,
        &blocks,
        [Server::Stale, Server::Honest, Server::Honest],
    );
    assert_eq!(
        world.engine.tip().height,
        Height(510),
        "at once: no answer was waited for"
    );
    assert_eq!(turns[MALLORY], 1);
    assert!(turns[1] > 2 && turns[2] > 2, "{turns:?}");
}

#[test]
fn mallory_who_is_silent_costs_one_wait() {
    let (mut world, blocks) = behind(510);
    let servers = [Server::Silent, Server::Honest, Server::Honest];
    let first = serve(&mut world, &blocks, servers);
    assert_eq!(first, [1, 0, 0]);
    world.pass(500);
    let turns = serve(&mut world, &blocks, servers);
    assert_eq!(world.engine.tip().height, Height(510));
    assert_eq!(turns[MALLORY], 0);
}

#[test]
fn mallory_who_gives_one_block_at_a_time_gets_one_turn_among_all() {
    let (mut world, blocks) = behind(510);
    let turns = serve(
        &mut world,
        &blocks,
        [Server::Grudging, Server::Honest, Server::Honest],
    );
    assert_eq!(world.engine.tip().height, Height(510));
    assert!(turns[MALLORY] <= 4, "{turns:?}");
}

#[test]
fn mallory_who_answers_with_nothing_true_is_reported_and_passed_over() {
    let (mut world, blocks) = behind(510);
    let mut answer = range(&world, &blocks[11..40], 39);
    answer.blocks = range(&world, &blocks[12..40], 39).blocks;
    answer.certificate = world.finalization(41, &blocks[41]);
    world.take();
    let from = ValidatorIndex(0);
    world.step(Event::Range {
        from,
        range: Box::new(answer),
    });
    let effects = world.take();
    assert!(effects.contains(&Effect::Report {
        by: id(from),
        fault: crate::Fault::BadAnswer
    }));
    assert_eq!(
        asked(&effects),
        [(ValidatorIndex(1), Request::Range(Height(11)))]
    );
}

#[test]
fn ranges_that_were_not_asked_for_cause_no_requests() {
    let (mut world, blocks) = behind(510);
    assert_eq!(
        asked(&world.take()).last(),
        Some(&(ValidatorIndex(0), Request::Range(Height(11))))
    );
    let stale = range(&world, &blocks[1..=10], 10);
    let send = |world: &mut World, from| {
        world.step(Event::Range {
            from: ValidatorIndex(from),
            range: Box::new(stale.clone()),
        });
        asked(&world.take())
    };
    for _ in 0..10 {
        assert_eq!(send(&mut world, 1), [], "another was asked");
    }
    assert_eq!(
        send(&mut world, 0),
        [(ValidatorIndex(1), Request::Range(Height(11)))],
        "an answer has the next asked"
    );
    for _ in 0..10 {
        assert_eq!(send(&mut world, 0), [], "and there is one for each request");
    }
}

#[test]
fn answers_slower_than_the_wait_are_taken_and_do_not_multiply() {
    let (mut world, blocks) = behind(510);
    let mut answers: BTreeMap<u64, Vec<(ValidatorIndex, Height)>> = BTreeMap::new();
    let mut requests = 0;
    let begin = world.time;
    while !world.engine.is_in_sync() && world.time < begin + 60_000 {
        for (to, request) in execute_all(&mut world) {
            if let Request::Range(from) = request {
                requests += 1;
                answers
                    .entry(world.time + 1_200)
                    .or_default()
                    .push((to, from));
            }
        }
        world.pass(50);
        for (to, from) in answers.remove(&world.time).unwrap_or_default() {
            let range = answer(&world, &blocks, Server::Honest, from).unwrap();
            world.step(Event::Range {
                from: to,
                range: Box::new(range),
            });
        }
    }
    assert!(world.engine.is_in_sync());
    assert!(
        world.time - begin < 9 * 1_300,
        "eight ranges, one after the other: {} ms",
        world.time - begin
    );
    assert!(
        requests <= 8 + 6,
        "only until the wait fits the network: {requests}"
    );
}

#[test]
fn what_is_held_above_a_gap_is_bounded_and_comes_again() {
    let (mut world, blocks) = at_height_10(600);
    world.take();
    // Blocks 11 to 300 are missed; then the chain goes on, and nobody but Mallory answers.
    for height in 301..=600 {
        let block = &blocks[usize::try_from(height).unwrap()];
        if height == 301 {
            world.certify(world.finalization(300, &blocks[300]));
        }
        world.propose(height, height - 1, block);
        world.certify(world.finalization(height, block));
        serve(
            &mut world,
            &blocks,
            [Server::Stale, Server::Silent, Server::Silent],
        );
        world.pass(500);
        assert!(
            world.engine.blocks_held() <= MAX_PATH + 2,
            "{} at {height}",
            world.engine.blocks_held()
        );
    }
    assert_eq!(world.engine.tip().height, Height(10));
    for _ in 0..10 {
        serve(
            &mut world,
            &blocks,
            [Server::Stale, Server::Honest, Server::Honest],
        );
        world.pass(4_000);
    }
    assert_eq!(world.engine.tip().height, Height(600));
    assert_eq!(world.engine.blocks_held(), 0);
}

#[test]
fn blocks_that_nobody_gives_in_a_range_are_fetched_one_by_one_though_the_chain_goes_on() {
    // After a restart of all, what is final may lie in logs and not in stores.
    let (mut world, blocks) = at_height_10(400);
    world.take();
    world.certify(world.finalization(150, &blocks[150]));
    let (mut height, mut fetched) = (151, 0);
    for _ in 0..2_000 {
        for (_, request) in execute_all(&mut world) {
            let Request::Block(id) = request else {
                continue;
            };
            fetched += 1;
            world.step(Event::Block(
                blocks
                    .iter()
                    .find(|block| block.id() == id)
                    .unwrap()
                    .clone(),
            ));
            if fetched % 2 == 0 && height < 400 {
                live(&mut world, &blocks, height);
                height += 1;
            }
        }
        if world.engine.is_in_sync() && fetched > 100 {
            break;
        }
        world.pass(500);
    }
    assert!(
        world.engine.is_in_sync(),
        "{} of {height} after {fetched}",
        world.engine.tip().height
    );
}

/// The heights of the blocks that are committed with a finalization of their own.
fn proven(effects: &[Effect]) -> Vec<u64> {
    let height = |effect: &Effect| match effect {
        Effect::Commit {
            block,
            finalization: Some(certificate),
        } => {
            assert_eq!(
                certificate.statement.subject,
                Subject::Finalize { block: block.id() }
            );
            Some(block.header.height.0)
        }
        _ => None,
    };
    effects.iter().filter_map(height).collect()
}

#[test]
fn a_finalization_above_the_blocks_it_came_with_waits_for_its_own() {
    let blocks = chain(200);
    let mut world = World::new(3);
    world.certify(world.finalization(400, &blocks[200]));
    world.step(Event::Block(blocks[200].clone()));
    // A server whose certificates are of the heights 100, 140 and 200, and that cuts its ranges by size alone.
    let mut all = Vec::new();
    for (first, last, certified) in [
        (1, 64, 100),
        (65, 128, 140),
        (129, 192, 200),
        (193, 200, 200),
    ] {
        let mut range = range(&world, &blocks[first..=last], 0);
        let headers = blocks[last + 1..=certified]
            .iter()
            .map(|block| block.header.clone())
            .collect();
        range.headers = types::codec::Bounded::new(headers).unwrap();
        range.certificate =
            world.finalization(u64::try_from(certified).unwrap(), &blocks[certified]);
        let height = Height(u64::try_from(first).unwrap());
        let effects = world.take();
        let ranges =
            |(_, request): &&(ValidatorIndex, Request)| matches!(request, Request::Range(_));
        let &(from, request) = asked(&effects).iter().rfind(ranges).unwrap();
        assert_eq!(request, Request::Range(height));
        world.step(Event::Range {
            from,
            range: Box::new(range),
        });
        for block in &blocks[first..=last] {
            world.executed(block, Verdict::Valid { urgent: false });
        }
        all.extend(world.effects.clone());
    }
    assert_eq!(proven(&all), [100, 140, 200]);
    assert_eq!(world.engine.decided.ahead.len(), 0);
}

#[test]
fn finalizations_of_blocks_above_a_gap_wait_until_it_is_closed() {
    let (mut world, blocks) = at_height_10(40);
    world.take();
    world.certify(world.finalization(30, &blocks[30]));
    let mut all = Vec::new();
    for height in 31..=34 {
        live(&mut world, &blocks, height);
    }
    let &(from, request) = asked(&world.take())
        .iter()
        .rfind(|(_, r)| matches!(r, Request::Range(_)))
        .unwrap();
    assert_eq!(request, Request::Range(Height(11)));
    let answer = range(&world, &blocks[11..=30], 30);
    world.step(Event::Range {
        from,
        range: Box::new(answer),
    });
    for block in &blocks[11..=34] {
        world.executed(block, Verdict::Valid { urgent: false });
    }
    all.extend(world.take());
    assert_eq!(proven(&all), [30, 31, 32, 33, 34]);
}
