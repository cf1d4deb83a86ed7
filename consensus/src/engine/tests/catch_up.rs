//! Rules 7 and 9: committing, fetching what is missing, and keeping little.

use types::codec::Bounded;

use super::*;
use crate::effect::Halt;
use crate::input::StartError;
use crate::message::{Range, Request};

/// A chain of `length` blocks above genesis.
pub(super) fn chain(length: u64) -> Vec<WholeBlock> {
    let mut blocks = vec![genesis()];
    for height in 1..=length {
        let parent = blocks.last().unwrap().id();
        blocks.push(block(parent, height, START + height, ValidatorIndex(0)));
    }
    blocks
}

pub(super) fn range(world: &World, blocks: &[WholeBlock], last_view: u64) -> Range {
    Range {
        blocks: Bounded::new(
            blocks
                .iter()
                .map(|block| block.block().as_ref().clone())
                .collect(),
        )
        .unwrap(),
        headers: Bounded::default(),
        certificate: world.finalization(last_view, blocks.last().unwrap()),
    }
}

fn requests(effects: &[Effect]) -> Vec<Request> {
    asked(effects)
        .into_iter()
        .map(|(_, request)| request)
        .collect()
}

/// Who is asked for what.
pub(super) fn asked(effects: &[Effect]) -> Vec<(ValidatorIndex, Request)> {
    let request = |effect: &Effect| match effect {
        Effect::Send {
            to: crate::Recipients::One(to),
            message: Message::Request(request),
        } => Some((position(*to), *request)),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

#[test]
fn a_finalization_commits_the_block_and_its_ancestors_in_order() {
    let (mut world, view) = World::following();
    let first = world.certified(view, 0, &genesis());
    let second = world.certified(view + 1, view, &first);
    world.take();
    world.certify(world.finalization(view + 1, &second));
    let effects = world.take();
    assert_eq!(commits(&effects), [first.id(), second.id()]);
    assert!(
        written_first(&effects),
        "the finalization is on disk before the state changes"
    );
    let finalizations: Vec<bool> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Commit { finalization, .. } => Some(finalization.is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(finalizations, [false, true]);
    assert_eq!(world.engine.blocks_held(), 0);
}

#[test]
fn a_final_block_that_fails_stops_the_node() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    world.certify(world.finalization(view, &block));
    world.take();
    world.executed(&block, Verdict::Invalid);
    let halt = Halt::Diverged {
        block: block.id(),
        height: Height(1),
    };
    assert!(world.take().contains(&Effect::Stop(halt)));
    world.pass(60_000);
    assert_eq!(world.take(), [], "and nothing more is said");
}

#[test]
fn two_conflicting_finalizations_stop_the_node() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    world.certify(world.finalization(view, &block));
    world.take();
    let other = super::block(genesis().id(), 1, START + 99, ValidatorIndex(0));
    world.certify(world.finalization(view, &other));
    let effects = world.take();
    assert!(effects.contains(&Effect::Stop(Halt::Conflict { view: View(view) })));
    assert!(
        matches!(effects[0], Effect::Persist(_)),
        "it is written before the node stops"
    );
    for evidence in [
        world.finalization(view, &block),
        world.finalization(view, &other),
    ] {
        assert!(world.disk.contains(&Record::Certificate(evidence)));
    }
    assert_eq!(
        start(&world, world.disk.clone()),
        Some(StartError::Conflict(View(view))),
        "nor does it start again"
    );
    let record = Record::Conflict(View(view));
    let certificates: Vec<Record> = world
        .disk
        .iter()
        .filter(|written| **written != record)
        .cloned()
        .collect();
    assert_eq!(
        start(&world, certificates),
        Some(StartError::Conflict(View(view))),
        "the certificates alone say so"
    );
}

#[test]
fn a_final_block_that_does_not_descend_from_the_last_committed_one_stops_the_node_for_good() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    world.certify(world.finalization(view, &block));
    let fork = super::block(genesis().id(), 1, START + 99, ValidatorIndex(0));
    let child = super::block(fork.id(), 2, START + 100, ValidatorIndex(0));
    world.certify(world.finalization(view + 9, &child));
    world.take();
    world.step(Event::Block(child.clone()));
    let effects = world.take();
    assert!(effects.contains(&Effect::Stop(Halt::Conflict {
        view: View(view + 9)
    })));
    assert_eq!(commits(&effects), []);
    assert!(
        world
            .disk
            .contains(&Record::Certificate(world.finalization(view + 9, &child)))
    );
    assert_eq!(
        start(&world, world.disk.clone()),
        Some(StartError::Conflict(View(view + 9)))
    );
}

/// Why an engine does not start with these records.
fn start(world: &World, records: Vec<Record>) -> Option<StartError> {
    Engine::start(
        Arc::new(world.config.clone()),
        world.now(),
        restored(records),
    )
    .err()
}

#[test]
fn a_node_far_behind_is_brought_forward_by_ranges() {
    let blocks = chain(150);
    let mut world = World::new(3);
    world.certify(world.finalization(400, &blocks[150]));
    assert_eq!(
        world.engine.view(),
        View(401),
        "certificates move a node that is far behind"
    );
    assert_eq!(requests(&world.take()), [Request::Block(blocks[150].id())]);
    world.step(Event::Block(blocks[150].clone()));
    let mut committed = Vec::new();
    let mut waiting = asked(&world.take());
    while let Some((to, request)) = waiting.pop() {
        let Request::Range(from) = request else {
            panic!("{request:?}")
        };
        let first = usize::try_from(from.0).unwrap();
        let part = &blocks[first..(first + 64).min(150)];
        let answer = range(&world, part, 200 + from.0);
        world.step(Event::Range {
            from: to,
            range: Box::new(answer),
        });
        // The application executes one block after the other.
        loop {
            let effects = world.take();
            committed.extend(commits(&effects));
            waiting.extend(
                asked(&effects)
                    .into_iter()
                    .filter(|(_, request)| matches!(request, Request::Range(_))),
            );
            let Some(Effect::Execute(block)) = effects
                .into_iter()
                .find(|effect| matches!(effect, Effect::Execute(_)))
            else {
                break;
            };
            world.executed(&block, Verdict::Valid { urgent: false });
        }
    }
    assert_eq!(
        committed,
        blocks[1..].iter().map(WholeBlock::id).collect::<Vec<_>>()
    );
    assert!(world.engine.is_in_sync());
}

#[test]
fn a_range_that_does_not_lead_to_its_finalization_is_refused() {
    let blocks = chain(10);
    let spoil: [fn(&mut Vec<WholeBlock>); 3] = [
        |part| {
            part.remove(4);
        },
        |part| part.swap(2, 3),
        |part| part[9] = block(part[8].id(), 10, START + 77, ValidatorIndex(1)),
    ];
    for spoil in spoil {
        let mut world = World::new(3);
        world.certify(world.finalization(400, &blocks[10]));
        world.step(Event::Block(blocks[10].clone()));
        let mut part = blocks[1..].to_vec();
        let mut answer = range(&world, &part, 300);
        spoil(&mut part);
        answer.blocks = range(&world, &part, 300).blocks;
        world.take();
        world.step(Event::Range {
            from: ValidatorIndex(0),
            range: Box::new(answer),
        });
        let effects = world.take();
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Report { .. }))
        );
        assert!(
            !effects
                .iter()
                .any(|effect| matches!(effect, Effect::Execute(_)))
        );
    }
}

#[test]
fn blocks_that_nobody_asked_for_are_not_kept() {
    let blocks = chain(3);
    let (mut world, _) = World::following();
    world.step(Event::Block(blocks[1].clone()));
    let answer = range(&world, &blocks[1..], 300);
    world.step(Event::Range {
        from: ValidatorIndex(0),
        range: Box::new(answer),
    });
    assert_eq!(world.engine.blocks_held(), 0);
}

#[test]
fn a_proposal_of_a_view_that_is_over_is_kept_only_if_its_block_is_notarized() {
    let mut world = World::new(3);
    let view = world.view_led(2, false);
    let late = world.block(view, &genesis());
    world.enter(view + 1);
    world.propose(view, 0, &late);
    assert_eq!(
        world.engine.blocks_held(),
        0,
        "whoever leads many views could fill the memory with blocks that came late"
    );
    world.certify(world.notarization(view, 0, &late));
    world.propose(view, 0, &late);
    assert_eq!(world.engine.blocks_held(), 1);
    world.take();
    world.executed(&late, Verdict::Valid { urgent: false });
    let next = world.view_led(view + 1, false);
    for gap in view + 1..next {
        world.certify(world.nullification(gap));
    }
    let child = world.block(next, &late);
    world.propose(next, view, &child);
    assert!(
        votes(&world.take()).contains(&notarize(next, view, &child)),
        "the view's block was certified"
    );
}

#[test]
fn forks_at_one_height_are_bounded() {
    let (mut world, view) = World::following();
    for fork in 0..1_000 {
        for ahead in 0..100 {
            let leader = world.engine.leader(View(view + ahead));
            let fork = block(genesis().id(), 1, START + 1 + fork, leader);
            world.propose(view + ahead, 0, &fork);
        }
    }
    assert!(
        world.engine.blocks_held() <= 65,
        "{}",
        world.engine.blocks_held()
    );
    let last = block(genesis().id(), 1, START + 5_000, ValidatorIndex(1));
    world.certify(world.finalization(view + 90, &last));
    assert_eq!(
        world.engine.blocks_held(),
        1,
        "only the one in our log, until the path to the final block is known"
    );
    let (child, answer) = (
        block(last.id(), 2, START + 6_000, ValidatorIndex(1)),
        last.clone(),
    );
    world.step(Event::Block(answer));
    world.certify(world.finalization(view + 91, &child));
    assert_eq!(
        world.engine.blocks_held(),
        2,
        "the one in our log is no ancestor, but that is not known before it is"
    );
    world.step(Event::Block(child.clone()));
    world.executed(&last, Verdict::Valid { urgent: false });
    world.executed(&child, Verdict::Valid { urgent: false });
    assert_eq!(world.engine.blocks_held(), 0);
}

#[test]
fn a_missing_parent_is_asked_from_the_proposer_with_its_certificate() {
    let mut world = World::new(3);
    let view = world.view_led(3, false);
    let parent = world.block(view - 1, &genesis());
    world.certify(world.nullification(view - 1));
    let child = world.block(view, &parent);
    world.take();
    world.certify(world.notarization(view - 1, 0, &parent));
    world.propose(view, view - 1, &child);
    assert!(requests(&world.take()).contains(&Request::Block(parent.id())));
    world.step(Event::Block(parent.clone()));
    world.executed(&parent, Verdict::Valid { urgent: false });
    assert!(votes(&world.take()).contains(&notarize(view, view - 1, &child)));
}

#[test]
fn requests_are_sent_to_one_after_the_other() {
    let (mut world, view) = World::following();
    let block = world.block(view, &genesis());
    world.certify(world.notarization(view, 0, &block));
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..3 {
        for effect in world.take() {
            if let Effect::Send {
                to: crate::Recipients::One(to),
                message: Message::Request(_),
            } = effect
            {
                asked.insert(position(to).0);
            }
        }
        world.pass(500);
    }
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn certificates_are_answered_by_view_and_bounded() {
    let mut world = World::new(3);
    for view in 1..=90 {
        world.certify(world.nullification(view));
    }
    world.take();
    let request = Request::Certificates {
        from: View(1),
        to: View(u64::MAX),
    };
    world.step(Event::Request {
        from: ValidatorIndex(0),
        request,
    });
    let effects = world.take();
    let answer = messages(&effects).find_map(|m| {
        if let Message::Certificates(c) = m {
            Some(c)
        } else {
            None
        }
    });
    assert_eq!(answer.unwrap().len(), 64);
    let backwards = Request::Certificates {
        from: View(9),
        to: View(2),
    };
    world.step(Event::Request {
        from: ValidatorIndex(0),
        request: backwards,
    });
    assert!(!messages(&world.take()).any(|message| matches!(message, Message::Certificates(_))));
}

#[test]
fn a_view_that_is_final_is_answered_by_the_finalization() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    let finalization = world.finalization(view, &block);
    world.certify(finalization.clone());
    world.take();
    let request = Request::Certificates {
        from: View(1),
        to: View(1),
    };
    world.step(Event::Request {
        from: ValidatorIndex(0),
        request,
    });
    let expected = Message::Certificates(Bounded::new(vec![finalization]).unwrap());
    assert!(messages(&world.take()).any(|message| *message == expected));
}

#[test]
fn what_the_log_holds_below_a_missing_final_block_is_served_after_a_restart_of_all() {
    let (mut world, view) = World::following();
    let first = world.certified(view, 0, &genesis());
    let second = world.block(view + 1, &first);
    let third = world.block(view + 2, &second);
    world.certify(world.finalization(view + 2, &third));
    let mut again = world.restart();
    again.take();
    let request = Request::Block(first.id());
    again.step(Event::Request {
        from: ValidatorIndex(0),
        request,
    });
    let answer = Message::Block(Box::new(first.block().as_ref().clone()));
    assert!(
        messages(&again.take()).any(|message| *message == answer),
        "ours may be the only copy"
    );
}
