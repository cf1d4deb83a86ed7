//! What a draw depends on, and how much of all that is due one block does.

use types::codec::encode;
use types::hash::JobId;
use types::job::{Failed, FailureReason, Pending, Stage};
use types::limits::{
    DRAW_RECORD_COST, MAX_DRAW_COST_PER_BLOCK, MAX_MOVED_PER_BLOCK, MAX_PARTNERS, PARTNER_PAGES,
};
use types::number::{Amount, Attempt, BeaconStep, Epoch};
use types::snapshot::EpochPartner;
use types::state_key::StateKey;
use types::transaction::Action;
use vm::query;

use crate::fixture::{address, address_in, put_pages, square};
use crate::job::queue::patient;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, demanding, number, parties, spec};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

/// Steps until the next block ends the beacon step that draws for the job.
fn to_the_eve_of_the_draw(world: &mut World, job: &JobId) {
    loop {
        let draw = world.record(job).stage.draw();
        if draw
            .is_some_and(|draw| vm::Beacon::read(&world.chain.state).unwrap().step.next() >= draw)
        {
            return;
        }
        world.step(&[*job], 500);
    }
}

/// The job after the block that draws, where some partners unbond all they can in that very block.
fn drawn(world: &World, job: &JobId, unbonding: &[u8]) -> Stage {
    let mut world = world.clone();
    let signed = |n: &u8| {
        world.chain.sign(
            *n,
            Action::Unbond {
                amount: world.partner(*n).free(),
            },
        )
    };
    let block = world.chain.block(unbonding.iter().map(signed).collect());
    assert!(
        world
            .chain
            .push(&block)
            .receipts
            .iter()
            .all(|receipt| receipt.failure.is_none())
    );
    world.check();
    world.record(job).stage
}

#[test]
fn who_takes_itself_out_when_the_beacon_is_known_does_not_change_who_else_is_drawn() {
    let mut world = proven();
    for _ in 0..4 {
        let job = world.submit(&spec());
        to_the_eve_of_the_draw(&mut world, &job);
        let Some(primary) = parties(&drawn(&world, &job, &[])).0 else {
            panic!("nobody is drawn")
        };
        let others: Vec<_> = (0..PARTNERS).filter(|n| *n != primary).collect();
        for n in &others {
            assert_eq!(
                parties(&drawn(&world, &job, &[*n])).0,
                Some(primary),
                "without {n}"
            );
        }
        assert_eq!(parties(&drawn(&world, &job, &others)).0, Some(primary));
        let next = parties(&drawn(&world, &job, &[primary])).0;
        assert!(
            next.is_some() && next != Some(primary),
            "the next one in the order"
        );
        world.run(&job);
    }
}

#[test]
fn appointments_follow_an_order_that_the_block_of_the_draw_cannot_change() {
    let mut world = proven();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverAnnounces));
    for _ in 0..4 {
        let job = world.submit(&demanding(2));
        world.run_to(&job, "appointing");
        to_the_eve_of_the_draw(&mut world, &job);
        let (primary, verifiers) = parties(&drawn(&world, &job, &[]));
        for n in (0..PARTNERS).filter(|n| primary != Some(*n) && !verifiers.contains(n)) {
            assert_eq!(
                parties(&drawn(&world, &job, &[n])).1,
                verifiers,
                "without {n}"
            );
        }
        let second = parties(&drawn(&world, &job, &verifiers[..1])).1;
        assert_eq!(second[0], verifiers[1], "everybody moves up by one");
        world.run(&job);
    }
}

/// One that has nearly all of the bond takes all tries, so that the other one is drawn by turns.
#[test]
fn turns_follow_an_order_that_does_not_depend_on_whom_tries_found() {
    let mut world = proven();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverAnnounces));
    for _ in 0..4 {
        let job = world.submit(&demanding(2));
        let record = world.run_to(&job, "appointing");
        let primary = parties(&record.stage).0;
        let large = (0..PARTNERS).find(|n| primary != Some(*n)).unwrap();
        let entries = query::active_partners(&world.chain.state).unwrap();
        let mut changed = world.clone();
        let heavier = entries.into_iter().map(|mut entry| {
            if entry.address == address(large) {
                entry.bond.0 *= 1 << 30;
            }
            entry
        });
        put_pages(&mut changed.chain.state, heavier);
        to_the_eve_of_the_draw(&mut changed, &job);
        let (_, verifiers) = parties(&drawn(&changed, &job, &[]));
        assert_eq!((verifiers.len(), verifiers[0]), (2, large));
        let (_, without) = parties(&drawn(&changed, &job, &[large]));
        assert_eq!(without[0], verifiers[1], "everybody moves up by one");
        world.run(&job);
    }
}

#[test]
fn a_draw_sees_the_snapshot_of_the_epoch_in_which_it_was_fixed() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.epoch_length = 6;
    });
    let set_ask = |world: &mut World, n: u8, ask: Amount| {
        let mut profile = world.partner(n).profile;
        profile.ask = ask;
        assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
    };
    // Everybody but partner 0 asks more than the cap; partner 0 does from the next epoch on.
    let dear = Amount(square(1).0 / 300);
    (1..PARTNERS).for_each(|n| set_ask(&mut world, n, dear));
    while world.chain.tip.height.0 % 6 != 3 {
        world.step(&[], 500);
    }
    set_ask(&mut world, 0, dear);
    let job = world.submit(&spec());
    world.step(&[job], 500);
    let epoch = |world: &World| world.chain.rules.epoch(world.chain.tip.height);
    let fixed = epoch(&world);
    assert!(matches!(
        world.record(&job).stage,
        Stage::Pending(Pending { draw: Some(_), .. })
    ));
    to_the_eve_of_the_draw(&mut world, &job);
    world.step(&[], 500);
    assert!(epoch(&world) > fixed, "the draw falls into the next epoch");
    assert_eq!(parties(&world.record(&job).stage).0, Some(0));
}

#[test]
fn a_draw_whose_beacon_is_not_kept_any_more_draws_again_later() {
    let mut world = proven();
    let job = world.submit(&spec());
    to_the_eve_of_the_draw(&mut world, &job);
    // The draw was left over for so long that the beacon of its step is gone.
    let step = BeaconStep(1);
    let mut record = world.record(&job);
    let Stage::Pending(pending) = &mut record.stage else {
        panic!()
    };
    let fixed = pending.draw.replace(step).unwrap();
    record.draw = Some(step);
    let mut chain = vm::chain_record(&world.chain.state).unwrap();
    chain.first_draw = step;
    let state = &mut world.chain.state;
    let draws = state.remove(&StateKey::Draws(fixed)).unwrap();
    state.insert(StateKey::Draws(step), draws);
    state.insert(StateKey::Job(job), Some(encode(&record)));
    state.insert(StateKey::Chain, Some(encode(&chain)));
    state.remove(&StateKey::BeaconAt(step));
    world.step(&[], 500);
    let Stage::Pending(Pending {
        draw: Some(draw), ..
    }) = world.record(&job).stage
    else {
        panic!("drawn with a beacon that its proposer knew")
    };
    let now = vm::Beacon::read(&world.chain.state).unwrap().step;
    assert!(draw > now, "{draw} at {now}");
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_partner_has_no_more_verifications_loaded_on_it_than_it_has_places() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.compute.verifications_per_place = 1;
        params.compute.execute_window_ms = 600_000;
    });
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverChecks));
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverAnnounces));
    // Two places each: twelve verifications, while three jobs ask for five each.
    let jobs: Vec<_> = (0..3).map(|_| world.submit(&demanding(5))).collect();
    for _ in 0..60 {
        world.step(&jobs, 500);
        assert!((0..PARTNERS).all(|n| world.partner(n).verifications() <= 2));
    }
    let bound: Vec<_> = jobs
        .iter()
        .map(|job| parties(&world.record(job).stage).1.len())
        .collect();
    let all = bound.iter().sum::<usize>();
    assert!((10..=12).contains(&all), "{bound:?}");
}

#[test]
fn a_block_moves_a_bounded_number_of_jobs_and_those_first_that_are_ready_the_longest() {
    let mut world = World::with(|params| params.block_gas_limit = 1 << 30);
    world.holders = Vec::new();
    let first = world.submit(&patient());
    let more = MAX_MOVED_PER_BLOCK + 5;
    let action = || Action::SubmitJob {
        spec: Box::new(patient()),
    };
    let signed: Vec<_> = (0u64..)
        .take(more)
        .map(|n| world.chain.sign_later(CUSTOMER, n, action()))
        .collect();
    let mut jobs: Vec<_> = signed
        .iter()
        .map(|signed| signed.transaction().job_id())
        .collect();
    let executed = world.chain.next(signed);
    assert!(
        executed
            .receipts
            .iter()
            .all(|receipt| receipt.failure.is_none())
    );
    jobs.push(first);
    let over = |world: &World| {
        jobs.iter()
            .filter(|job| world.record(job).stage.is_final())
            .count()
    };
    let mut last = 0;
    while over(&world) < jobs.len() {
        let before = over(&world);
        world.step(&[], 1_000);
        last = over(&world);
        assert!(last - before <= MAX_MOVED_PER_BLOCK);
        assert!(
            last == 0 || world.record(&first).stage.is_final(),
            "the oldest comes first"
        );
    }
    assert_eq!(last, jobs.len());
    for job in &jobs {
        assert_eq!(
            world.record(job).stage,
            Stage::Failed(Failed {
                reason: FailureReason::NoInputs
            })
        );
    }
}

#[test]
fn a_customer_has_only_so_many_jobs_at_once() {
    let mut world = World::with(|params| params.compute.live_jobs_per_customer = 2);
    let first = world.submit(&spec());
    world.submit(&spec());
    assert_eq!(
        world.try_submit(&spec()),
        Err("too_many_jobs_of_customer".into())
    );
    assert_eq!(
        world.act(
            6,
            Action::SubmitJob {
                spec: Box::new(spec())
            }
        ),
        None,
        "another customer's turn"
    );
    world.run(&first);
    world.submit(&spec());
}

#[test]
fn a_replaced_primary_is_not_drawn_again() {
    let mut world = proven();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Declines));
    let job = world.submit(&spec());
    let mut seen = Vec::new();
    for attempt in 0..4 {
        let record = world.run_to(&job, "assigned");
        assert_eq!(record.attempt, Attempt(attempt));
        let primary = parties(&record.stage).0.unwrap();
        assert!(!seen.contains(&primary));
        seen.push(primary);
        world.step(&[job], 100);
    }
    assert!(
        query::job(&world.chain.state, &job)
            .unwrap()
            .unwrap()
            .stage
            .is_final()
    );
    assert!(
        world
            .record(&job)
            .excluded
            .iter()
            .map(number)
            .eq(seen[..3].iter().copied())
    );
    assert_eq!(address(seen[0]), world.record(&job).excluded[0]);
}

/// Jobs that no partner can take are drawn for over the largest snapshot: what a block does for them is bounded by what draws cost,
/// not by the number of jobs alone.
#[test]
fn the_draws_of_a_block_cost_no_more_than_they_may() {
    let mut world = World::new();
    world.holders = Vec::new();
    let jobs: Vec<_> = (0..30).map(|_| world.submit(&patient())).collect();
    let snapshot = query::snapshot(&world.chain.state, Epoch(1));
    let template = snapshot.unwrap().unwrap().iter().next().unwrap().clone();
    let unknown = (0..MAX_PARTNERS).map(|n| EpochPartner {
        address: address_in(
            u8::try_from(n % PARTNER_PAGES).unwrap(),
            u16::try_from(n).unwrap(),
        ),
        ..template.clone()
    });
    put_pages(&mut world.chain.state, unknown);
    world.holders = vec![0, 1, 2];
    let queued = |world: &World| {
        let is_queued = |job: &&JobId| world.record(job).queued.is_some();
        jobs.iter().filter(is_queued).count()
    };
    // Each draw has 64 tries, then looks at all partners and has 256 turns; each turn reads a record, and so may a try. The block
    // looks at a page for the first time once.
    let turns = MAX_PARTNERS + 256 * (1 + DRAW_RECORD_COST);
    let (least, most) = (turns + 64, turns + 64 * (1 + DRAW_RECORD_COST));
    let (fewest, most) = (
        (MAX_DRAW_COST_PER_BLOCK - MAX_PARTNERS).div_ceil(most),
        MAX_DRAW_COST_PER_BLOCK.div_ceil(least),
    );
    assert_eq!((fewest, most), (4, 4));
    let mut moved = Vec::new();
    while queued(&world) < jobs.len() {
        assert!(moved.len() < 40, "{moved:?}");
        let before = queued(&world);
        world.step(&jobs, 10);
        moved.push(queued(&world) - before);
    }
    moved.retain(|count| *count > 0);
    moved.pop();
    assert!(moved.len() > 5);
    assert!(
        moved.iter().all(|count| (fewest..=most).contains(count)),
        "{moved:?}"
    );
}
