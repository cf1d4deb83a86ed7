//! What jobs cost those who keep the state: a step's writes do not grow with what else is live, and nothing stays for ever.

use types::codec::{Bounded, Text, encode};
use types::job::{JobSpec, Stage};
use types::number::ChainTime;
use types::state_key::StateKey;
use types::transaction::JobStep;
use vm::query;

use crate::fixture::square;
use crate::job::queue::patient;
use crate::job::world::{Conduct, PARTNERS, World, parties, spec};

/// A job whose spec takes nearly all of a transaction.
fn long() -> JobSpec {
    let mut spec = spec();
    let argument = Text::new("x".repeat(4_000)).unwrap();
    spec.workload.arguments = Bounded::new(vec![argument; 15]).unwrap();
    assert!(encode(&spec).len() > 60_000);
    spec
}

/// Bytes of all that the primary's acknowledgement writes, with the block's beacon and chain record.
fn bytes_of_a_step(world: &mut World, job: &types::hash::JobId) -> usize {
    let record = world.run_to(job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    let action = JobStep::Acknowledge.of(*job, record.attempt);
    let signed = world.chain.sign(primary, action);
    let executed = world.chain.next(vec![signed]);
    assert_eq!(executed.receipts[0].failure, None);
    let values = executed.writes.values().flatten();
    values.map(Vec::len).sum()
}

#[test]
fn a_step_writes_as_little_whatever_else_is_live() {
    let few = |params: &mut types::params::Params| params.epoch_length = 10_000;
    let mut alone = World::with(few);
    let job = alone.submit(&long());
    let alone = bytes_of_a_step(&mut alone, &job);
    assert!(alone < 4_000, "{alone} bytes: no step writes a spec");
    let mut crowd = World::with(few);
    crowd.holders.clear();
    for _ in 0..150 {
        crowd.submit(&patient());
    }
    crowd.holders = crate::job::world::QUORUM.to_vec();
    let job = crowd.submit(&patient());
    let crowded = bytes_of_a_step(&mut crowd, &job);
    // Nor does it write a list of all of them: a shard has a 64th.
    assert!(crowded < alone + 1_000, "{crowded} bytes, alone {alone}");
}

#[test]
fn a_job_that_ended_is_forgotten_with_spec_and_receipt() {
    let mut world = World::with(|params| {
        params.compute.audit_window_ms = 5_000;
        params.compute.appeal_window_ms = 5_000;
        params.compute.ended_jobs_kept_ms = 5_000;
    });
    let settled = world.submit(&spec());
    let record = world.run(&settled);
    assert_eq!(record.stage, Stage::Settled);
    let until = record.deadline.unwrap();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Declines));
    let failed = world.submit(&spec());
    let now = |world: &World| vm::chain_record(&world.chain.state).unwrap().chain_time;
    // It is there until its time, and not one block longer.
    while now(&world) < until {
        assert!(
            query::receipt(&world.chain.state, &settled)
                .unwrap()
                .is_some()
        );
        assert_eq!(world.record(&settled), record);
        world.step(&[failed], 500);
    }
    assert_eq!(query::job(&world.chain.state, &settled).unwrap(), None);
    world.run(&failed);
    world.pass(6_000);
    let left = world.chain.state.keys().filter(|key| {
        matches!(
            key,
            StateKey::Job(_)
                | StateKey::JobSpec(_)
                | StateKey::Receipt(_)
                | StateKey::LiveJobs(_)
                | StateKey::CustomerJobs(_)
                | StateKey::Due(..)
                | StateKey::Draws(_)
        ) && world.chain.state[*key].is_some()
    });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&StateKey>::new());
    assert!(now(&world) > ChainTime::ZERO && world.chain.account(7).balance < square(1_000_000));
}
