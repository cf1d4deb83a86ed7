//! Every way out of every stage but the good one: deadlines, penalties, refunds, redraws. Here stand the ways out of
//! the wait for inputs and for a primary, and what all of them share.

use types::account::Partner;
use types::hash::JobId;
use types::job::{Failed, FailureReason, JobRecord, Pending, Stage};
use types::number::{Amount, ChainTime};
use types::transaction::Action;
use vm::compute::penalty::{Breach, penalty};

use crate::fixture::square;
use crate::job::rent::rent_of;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, parties, spec};

mod assignment;
mod earlier;
mod reveal;
mod verification;

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

fn now(world: &World) -> ChainTime {
    vm::chain_record(&world.chain.state).unwrap().chain_time
}

fn deadline(world: &World, job: &JobId) -> ChainTime {
    world.record(job).deadline.unwrap()
}

fn cost(world: &World, breach: Breach, locked: Amount) -> Amount {
    penalty(&world.chain.genesis.params.compute, breach, locked)
}

/// What the customer lost so far.
fn spent(world: &World) -> Amount {
    square(10_000)
        .checked_sub(world.chain.account(CUSTOMER).balance)
        .unwrap()
}

fn lost_bond(partner: &Partner) -> Amount {
    square(500).checked_sub(partner.bond).unwrap()
}

fn fee(world: &World) -> Amount {
    world.chain.charged(CUSTOMER)
}

fn everybody(world: &mut World, conduct: Conduct) {
    (0..PARTNERS).for_each(|n| world.depart(n, conduct));
}

/// Asserts that a job that never had a result cost its customer what was burned for it and no more.
fn assert_refunded(world: &World, record: &JobRecord) {
    assert_eq!(spent(world), record.burned.checked_add(fee(world)).unwrap());
}

#[test]
fn without_inputs_the_job_fails_at_its_deadline_and_not_before() {
    let mut world = World::new();
    world.holders = vec![0, 1];
    let job = world.submit(&spec());
    let deadline = deadline(&world, &job);
    while now(&world) < deadline {
        assert!(matches!(
            world.record(&job).stage,
            Stage::Pending(Pending { draw: None, .. })
        ));
        world.step(&[job], 1_000);
    }
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoInputs
        })
    );
    assert_refunded(&world, &world.record(&job));
    let opening = world.chain.genesis.params.compute.storage_fee_per_mib.0;
    let record = world.record(&job);
    assert_eq!(record.burned, Amount(opening + rent_of(&record)));
}

#[test]
fn without_a_free_partner_the_draw_is_repeated_until_the_deadline() {
    let mut world = proven();
    let job = world.submit(&spec());
    // All bonds go before the draw: the epoch's snapshot keeps them, and none of it can be locked.
    for n in 0..PARTNERS {
        assert_eq!(
            world.act(
                n,
                Action::Unbond {
                    amount: square(500)
                }
            ),
            None
        );
    }
    world.step(&[job], 500);
    let until = deadline(&world, &job);
    let mut draws = std::collections::BTreeSet::new();
    while let Stage::Pending(pending) = world.record(&job).stage {
        assert!(now(&world) < until && deadline(&world, &job) == until);
        draws.extend(pending.draw);
        world.step(&[job], 1_000);
    }
    assert!(draws.len() > 5, "{} draws", draws.len());
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoPartner
        })
    );
    assert_refunded(&world, &world.record(&job));
}

#[test]
fn a_partner_whose_bond_comes_free_is_drawn_later() {
    let mut world = proven();
    let job = world.submit(&spec());
    for n in 0..PARTNERS {
        assert_eq!(
            world.act(
                n,
                Action::Unbond {
                    amount: square(500)
                }
            ),
            None
        );
    }
    for _ in 0..10 {
        world.step(&[job], 500);
    }
    assert_eq!(world.record(&job).stage.name(), "pending");
    assert_eq!(
        world.act(
            3,
            Action::Bond {
                amount: square(500)
            }
        ),
        None
    );
    let record = world.run_to(&job, "assigned");
    assert_eq!(parties(&record.stage).0, Some(3));
}

#[test]
fn no_window_closes_before_leaders_of_more_than_f_have_proposed() {
    let mut world = proven();
    world.holders = Vec::new();
    let job = world.submit(&spec());
    let deadline = deadline(&world, &job);
    // Only validator 1, with 3 of 13, proposes: F is 4.
    for _ in 0..deadline.0 / 1_000 + 5 {
        let mut block = world.chain.block_with(1_000, Vec::new(), Vec::new());
        block.header.proposer = crate::fixture::validator_id(1);
        world.chain.push(&block);
    }
    assert!(now(&world) > deadline);
    assert!(matches!(world.record(&job).stage, Stage::Pending(_)));
    let mut block = world.chain.block_with(1, Vec::new(), Vec::new());
    block.header.proposer = crate::fixture::validator_id(2);
    world.chain.push(&block);
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoInputs
        })
    );
}
