//! What a block costs by what is in it, as `docs/benchmarks.md` quotes it. `GRIDPROOF_COST=1 cargo test --release -p gridproof-vm
//! --test it job::cost -- --nocapture` prints it for 1,000 and 10,000 partners with 1,000 and 4,000 live jobs; without the variable
//! few of each show that it runs.

use std::time::{Duration, Instant};

use types::account::{BondLock, LockReason};
use types::codec::encode;
use types::hash::{Address, Hash32, JobId};
use types::limits::PARTNER_PAGES;
use types::number::Amount;
use types::snapshot::EpochPartner;
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction};
use vm::Partner;

use crate::fixture::{FUNDED, address, address_in, put_pages, square};
use crate::job::queue::patient;
use crate::job::world::{QUORUM, World, said};

/// Jobs that one account submits in a block here.
const BATCH: u64 = 6;
/// Draws that a block is measured with: their certificates and the beacon's output are all that validators may put into a block.
const DRAWS: usize = 63;

/// A chain with so many partners and so many jobs that wait for their inputs.
fn crowd(partners: u16, jobs: usize) -> (World, Vec<JobId>) {
    let mut world = World::with(|params| params.block_gas_limit = 1 << 40);
    put_partners(&mut world, partners, |_| {});
    let mut ids = Vec::new();
    while ids.len() < jobs {
        let signed = submissions(&world);
        ids.extend(signed.iter().map(|one| one.transaction().job_id()));
        let executed = world.chain.next(signed);
        let failed = executed.receipts.iter().find(|one| one.failure.is_some());
        assert_eq!(failed, None);
    }
    (world, ids)
}

/// What all accounts submit in one block.
fn submissions(world: &World) -> Vec<SignedTransaction> {
    let all = (0..FUNDED).flat_map(|n| (0..BATCH).map(move |later| (n, later)));
    let spec = || Box::new(patient());
    all.map(|(n, later)| {
        let action = Action::SubmitJob { spec: spec() };
        world.chain.sign_later(n, later, action)
    })
    .collect()
}

/// Puts partners with equal bonds into state, spread over all pages, and into the snapshots that there are.
fn put_partners(world: &mut World, count: u16, change: impl Fn(&mut Partner)) {
    let template = world.partner(0);
    let pages = u16::try_from(PARTNER_PAGES).unwrap();
    let others = (0..count).map(|n| address_in(u8::try_from(n % pages).unwrap(), n));
    let addresses: Vec<_> = others.chain((0..6).map(address)).collect();
    let entry = |address: &Address| EpochPartner {
        address: *address,
        bond: template.bond,
        profile: template.profile.clone(),
    };
    let state = &mut world.chain.state;
    for address in &addresses {
        let mut partner = template.clone();
        change(&mut partner);
        state.insert(StateKey::Partner(*address), Some(encode(&partner)));
    }
    put_pages(state, addresses.iter().map(entry));
}

/// The shortest of three executions of a block with these transactions.
fn cost(world: &World, transactions: &[SignedTransaction]) -> Duration {
    let block = world.chain.block(transactions.to_vec());
    let runs = (0..3).map(|_| {
        let begun = Instant::now();
        world.chain.try_execute(&block).unwrap();
        begun.elapsed()
    });
    runs.min().unwrap_or_default()
}

/// The longest of the blocks that draw for as many jobs as a block takes.
fn cost_of_draws(mut world: World, jobs: &[JobId]) -> Duration {
    let mut system = vec![world.chain.output()];
    for job in jobs.iter().take(DRAWS) {
        let record = world.record(job);
        let statement = said(&record, record.awaited_data().unwrap());
        system.extend(world.certificate(statement, &QUORUM));
    }
    let block = world.chain.block_with(100, system, Vec::new());
    world.chain.push(&block);
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        longest = longest.max(cost(&world, &[]));
        world.chain.next(Vec::new());
    }
    longest
}

/// The last block of an epoch, with nothing but the beacon.
fn cost_of_an_epochs_end(mut world: World) -> Duration {
    let epoch = |world: &World, ahead: u64| {
        let height = world.chain.tip.height.saturating_add(ahead);
        world.chain.rules.epoch(height)
    };
    while epoch(&world, 1) == epoch(&world, 2) {
        world.chain.next(Vec::new());
    }
    cost(&world, &[])
}

fn print(partners: u16, jobs: usize) {
    let (world, ids) = crowd(partners, jobs);
    let empty = cost(&world, &[]);
    let end = cost_of_an_epochs_end(world.clone());
    let over_empty = |all: &[SignedTransaction]| {
        let count = u32::try_from(all.len()).unwrap();
        cost(&world, all).saturating_sub(empty) / count
    };
    let submit = over_empty(&submissions(&world));
    let bonds = (0..6).map(|n| {
        let amount = Amount(1);
        world.chain.sign(n, Action::Bond { amount })
    });
    let bond = over_empty(&bonds.collect::<Vec<_>>());
    let free = cost_of_draws(world.clone(), &ids);
    let mut full = world.clone();
    put_partners(&mut full, partners, |partner| {
        for n in 1..=2 {
            let reason = LockReason::Primary(JobId(Hash32([n; 32])));
            let amount = square(1);
            partner
                .locks
                .insert(reason.id(), BondLock { amount, reason });
        }
    });
    let full = cost_of_draws(full, &ids);
    println!(
        "{partners} partners, {} live jobs: a block with nothing but the beacon {empty:?}, the last of an epoch {end:?}, one with \
         {} draws among free partners {free:?}, among full ones {full:?}; each job submitted {submit:?}, each bond {bond:?}",
        ids.len(),
        ids.len().min(DRAWS),
    );
}

#[test]
fn what_a_block_costs_is_printed() {
    if std::env::var_os("GRIDPROOF_COST").is_none() {
        return print(20, 10);
    }
    for (partners, jobs) in [
        (1_000, 1_000),
        (1_000, 4_000),
        (10_000, 1_000),
        (10_000, 4_000),
    ] {
        print(partners, jobs);
    }
}
