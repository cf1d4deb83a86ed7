//! What outlives a settled job: its primary's lock, until its audit window is over.

use types::account::LockReason;
use types::number::Amount;
use types::transaction::Action;

use crate::job::world::{World, demanding, number, spec};

fn audited(world: &World, n: u8) -> Amount {
    let locks = world.partner(n).locks.into_values();
    let audits = locks.filter(|lock| matches!(lock.reason, LockReason::Audit(_)));
    Amount::sum(audits.map(|lock| lock.amount)).unwrap()
}

#[test]
fn what_the_primary_of_a_settled_job_locked_stays_locked_and_is_freed_by_itself() {
    let mut world = World::new();
    let job = world.submit(&demanding(1));
    let record = world.run(&job);
    let receipt = vm::query::receipt(&world.chain.state, &job)
        .unwrap()
        .unwrap();
    let primary = number(&receipt.primary);
    assert_eq!(audited(&world, primary), record.policy.bond);
    assert_eq!(world.partner(primary).running(), 0, "its place is free");
    let all = Action::Unbond {
        amount: world.partner(primary).bond,
    };
    assert_eq!(
        world.act(primary, all.clone()),
        Some("bond_locked".to_owned())
    );
    let window_ms = world.chain.genesis.params.compute.audit_window_ms;
    world.pass(window_ms - 3_000);
    assert_eq!(audited(&world, primary), record.policy.bond);
    world.pass(3_000 + window_ms / 16);
    assert_eq!(audited(&world, primary), Amount::ZERO);
    assert_eq!(world.act(primary, all), None);
}

/// The check after every block counts the locks of each partner.
#[test]
fn many_jobs_of_one_partner_take_few_locks() {
    let mut world = World::with(|params| params.compute.ended_jobs_kept_ms = 30_000);
    let mut settled = 0;
    for _ in 0..3 {
        let jobs: Vec<_> = (0..12).map(|_| world.submit(&spec())).collect();
        while jobs.iter().any(|job| !world.record(job).stage.is_final()) {
            world.step(&jobs, 300);
        }
        settled += jobs.len();
    }
    let locks = (0..6).map(|n| world.partner(n).locks.len()).sum::<usize>();
    assert!(locks > 0 && locks < settled, "{locks} locks of {settled}");
    world.pass(40_000);
    assert!((0..6).all(|n| world.partner(n).locks.is_empty()));
}
