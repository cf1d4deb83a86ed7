//! A partner with no places takes no new duty: no draw finds it, no snapshot holds it. What it has begun goes on.

use types::hash::JobId;
use types::transaction::Action;
use vm::query;

use crate::fixture::address;
use crate::job::world::{PARTNERS, World, demanding, parties, spec};

/// Registers partner `n` with so many places.
fn register(world: &mut World, n: u8, places: u16) {
    let mut profile = world.partner(n).profile;
    profile.places = places;
    assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
}

/// Goes on to the next epoch.
fn next_epoch(world: &mut World, job: &[JobId]) {
    let epoch = |world: &World| world.chain.rules.epoch(world.chain.tip.height.next());
    let before = epoch(world);
    while epoch(world) == before {
        world.step(job, 500);
    }
}

fn in_snapshot(world: &World, n: u8) -> bool {
    let epoch = world.chain.rules.epoch(world.chain.tip.height.next());
    let snapshot = query::snapshot(&world.chain.state, epoch).unwrap().unwrap();
    snapshot.partner(&address(n)).is_some()
}

#[test]
fn no_draw_finds_a_partner_that_has_paused_in_the_same_epoch() {
    let mut world = World::new();
    for n in 3..PARTNERS {
        register(&mut world, n, 0);
        assert!(in_snapshot(&world, n), "this epoch's snapshot stands");
    }
    for _ in 0..6 {
        // Two verifiers are appointed where sortition selects none.
        let job = world.submit(&demanding(2));
        let record = world.run_to(&job, "verifying");
        let (primary, _) = parties(&record.stage);
        assert!(primary.is_some_and(|primary| primary < 3), "{primary:?}");
        let appointed = record.stage.verifiers().iter().filter(|one| one.appointed);
        for verifier in appointed {
            assert!((0..3).any(|n| address(n) == verifier.partner));
        }
        world.run(&job);
    }
}

#[test]
fn a_pause_leaves_snapshots_and_a_resumed_partner_is_in_the_next_one() {
    let mut world = World::new();
    register(&mut world, 1, 0);
    next_epoch(&mut world, &[]);
    assert!(!in_snapshot(&world, 1) && in_snapshot(&world, 2));
    register(&mut world, 1, 2);
    assert!(!in_snapshot(&world, 1));
    next_epoch(&mut world, &[]);
    assert!(in_snapshot(&world, 1));
}

#[test]
fn a_duty_that_began_before_a_pause_goes_on() {
    let mut world = World::new();
    let job = world.submit(&spec());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let before = world.chain.account(primary).balance;
    register(&mut world, primary, 0);
    next_epoch(&mut world, &[job]);
    let record = world.run(&job);
    assert_eq!(record.stage.name(), "settled");
    assert!(world.chain.account(primary).balance > before);
}
