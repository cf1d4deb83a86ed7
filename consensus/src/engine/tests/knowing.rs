//! What the engine takes for known, and for its own.

use super::*;

/// What of three certificates of a view says nothing new: notarization, nullification, finalization.
fn known(world: &World, view: u64, block: &WholeBlock) -> [bool; 3] {
    [
        world.notarization(view, 0, block),
        world.nullification(view),
        world.finalization(view, block),
    ]
    .map(|certificate| world.engine.knows(&certificate))
}

#[test]
fn a_certificate_is_known_once_it_came_and_below_the_final_view() {
    let (mut world, view) = World::following();
    let block = world.certified(view, 0, &genesis());
    assert_eq!(known(&world, view, &block), [true, false, false]);
    assert_eq!(known(&world, view + 1, &block), [false; 3]);
    world.certify(world.finalization(view, &block));
    assert_eq!(known(&world, view, &block), [true; 3], "of the final view");
    let other = super::block(genesis().id(), 1, START + 9, ValidatorIndex(1));
    let conflict = world.finalization(view, &other);
    assert!(!world.engine.knows(&conflict), "two final blocks are news");
    assert_eq!(known(&world, view + 1, &block), [false; 3]);
    let next = world.block(view + 1, &block);
    world.certify(world.nullification(view + 1));
    assert_eq!(known(&world, view + 1, &next), [false, true, false]);
    world.certify(world.finalization(view + 2, &next));
    assert_eq!(known(&world, view, &other), [true; 3], "that view is past");
}

#[test]
fn a_block_that_is_not_what_was_asked_for_is_not_proposed() {
    let (mut world, view) = World::leading();
    world.pass(500);
    let (_, parent, height, at) = asked(&world.take()).expect("it is our turn");
    let me = world.config.me;
    let right = block(parent, height.0, at.0, me);
    let elsewhere = {
        let mut block = right.block().as_ref().clone();
        block.header.chain_id = ChainId(Hash32([77; 32]));
        WholeBlock::new(block).unwrap()
    };
    let wrong = [
        block(BlockId(Hash32([7; 32])), height.0, at.0, me),
        block(parent, height.0, at.0, ValidatorIndex(1)),
        elsewhere,
    ];
    let mut answer = |block: &WholeBlock| {
        let (view, block) = (View(view), block.clone());
        world.step(Event::Proposed { view, block });
        let effects = world.take();
        messages(&effects).any(|message| matches!(message, Message::Proposal(_)))
    };
    for block in &wrong {
        assert!(!answer(block), "{:?}", block.header);
    }
    assert!(answer(&right));
}
