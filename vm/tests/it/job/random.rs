//! Random conduct of everybody on many jobs at once, against the simple model: checks, disputes, challenges of settled results,
//! chains of tasks and their broken links, rent, penalties. A seed replays with `GRIDPROOF_SEED=n scripts/test vm`; `GRIDPROOF_SEEDS=n` runs the first n, and
//! `GRIDPROOF_MODEL_OPERATIONS=n` as many as take n transactions. Every other seed has the parameters of a network that is no devnet.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::JobId;
use types::job::{JobSpec, Stage};
use types::number::{Amount, Fuel};
use types::params::Params;
use types::transaction::Action;

use crate::fixture::{REFEREES, address, square};
use crate::job::model::{Model, Sent};
use crate::job::network::network;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, chain, spec};
use types::testing::Random;

/// Seeds of an ordinary run.
const SEEDS: u64 = 6;
/// Blocks that each seed runs for.
const BLOCKS: u32 = 200;
/// Most jobs that are live at the same time.
const JOBS: usize = 5;

const CONDUCTS: [Conduct; 10] = [
    Conduct::Dies,
    Conduct::NeverAcknowledges,
    Conduct::Declines,
    Conduct::SaysUnrunnable,
    Conduct::NeverCommits,
    Conduct::NeverAnnounces,
    Conduct::NeverChecks,
    Conduct::NeverOpens,
    Conduct::NeverChecks,
    Conduct::FindsNoResult,
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_conduct_moves_money_as_the_model_says() {
    let seeds = match number("GRIDPROOF_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("GRIDPROOF_SEEDS").unwrap_or(SEEDS),
    };
    let operations = number("GRIDPROOF_MODEL_OPERATIONS");
    let seeds = operations.map_or(seeds, |_| 1..=u64::MAX);
    let (mut ends, mut done) = (BTreeMap::new(), 0);
    for seed in seeds.clone() {
        let (all, operations_of_seed) = run(seed);
        println!("seed {seed}: {operations_of_seed} operations");
        for (end, count) in all {
            *ends.entry(end).or_insert(0) += count;
        }
        done += operations_of_seed;
        if operations.is_some_and(|wanted| done >= wanted) {
            break;
        }
    }
    println!("{done} operations: {ends:?}");
    if seeds.count() >= 4 {
        assert!(
            ["None", "chain None", "verdict"]
                .iter()
                .all(|end| ends.contains_key(*end))
                && ends.len() >= 6,
            "the seeds reach too few ends: {ends:?}"
        );
    }
}

fn devnet(params: &mut Params) {
    params.compute.probation_multiple = 2;
    params.compute.open_window_ms = 6_000;
    params.compute.acknowledge_window_ms = 3_000;
    params.compute.execute_window_ms = 4_000;
    params.compute.renewal_interval_ms = 1_500;
    params.compute.reveal_window_ms = 3_000;
    params.compute.store_window_ms = 4_000;
    params.compute.classes[0].min_fuel_per_ms = 1_000_000;
    params.compute.unbonding_ms = 10_000;
    params.compute.appeal_window_ms = 2_000;
}

/// Runs a seed; gives how jobs ended and how many transactions were in blocks.
fn run(seed: u64) -> (BTreeMap<String, u32>, u64) {
    let mut random = Random::new(seed);
    let is_devnet = seed % 2 == 1;
    let mut world = World::with(if is_devnet { devnet } else { network });
    let params = &world.chain.genesis.params;
    assert!(is_devnet || (!params.devnet && params.check().is_ok()));
    let longest_ms = if is_devnet { 1_200 } else { 24_000 };
    let mut operations = 0;
    let mut wrong = BTreeMap::new();
    if random.below(2) == 0 {
        wrong.insert(
            u8::try_from(random.below(u64::from(PARTNERS))).unwrap(),
            match random.below(6) {
                task @ 0..4 => Conduct::Wrong(u32::try_from(task).unwrap()),
                _ => Conduct::BreaksLink,
            },
        );
    }
    let mut model = Model::new(&world);
    let (mut live, mut settled, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        if random.below(20) == 0 {
            shuffle_conduct(&mut world, &wrong, &mut random);
        }
        let (sent, submitted) = step(&mut world, &live, &settled, longest_ms, &mut random);
        operations += u64::try_from(sent.len()).unwrap();
        all.extend(submitted);
        model.follow(&world, &all, &sent);
        let now = vm::chain_record(&world.chain.state).unwrap().chain_time;
        let is_live = |job: &JobId| !world.record(job).stage.is_final();
        let is_settled = |job: &JobId| {
            let record = world.record(job);
            record.stage == Stage::Settled && record.settlement.unwrap().until > now
        };
        all.retain(|job| is_live(job) || is_settled(job));
        live = all.iter().copied().filter(is_live).collect();
        settled = all.iter().copied().filter(is_settled).collect();
    }
    (model.ends, operations)
}

/// Everybody gets a new conduct; who is wrong stays wrong, at the same task, and who breaks links goes on with it.
fn shuffle_conduct(world: &mut World, wrong: &BTreeMap<u8, Conduct>, random: &mut Random) {
    world.conduct = wrong
        .iter()
        .map(|(n, conduct)| (*n, BTreeSet::from([*conduct])))
        .collect();
    let mut conduct = || CONDUCTS[usize::try_from(random.below(10)).unwrap()];
    let (first, mut others): (Conduct, Vec<_>) =
        (conduct(), (0..PARTNERS).map(|_| conduct()).collect());
    if random.below(6) == 0 {
        others.fill(first);
    }
    for (n, conduct) in (0..PARTNERS).zip(others) {
        if random.below(2) == 0 {
            world.depart(n, conduct);
        }
    }
    if random.below(4) == 0 {
        // Without a quorum of referees no dispute has a verdict.
        world.depart(REFEREES + 1, Conduct::NeverChecks);
        world.depart(REFEREES + 2, Conduct::NeverOpens);
    }
    world.holders = if random.below(5) == 0 {
        vec![0]
    } else {
        vec![0, 1, 2]
    };
}

fn random_spec(random: &mut Random) -> JobSpec {
    let mut spec = if random.below(3) == 0 {
        chain(0, 1)
    } else {
        spec()
    };
    let value = Amount(square(1).0 / 10 * u128::from(1 + random.below(400)));
    spec.verification.value_at_risk = value;
    let is_whole = random.below(2) == 0 || spec.workload.state.is_chain();
    spec.verification.task_value_at_risk = if is_whole {
        value
    } else {
        Amount(value.0.div_ceil(4))
    };
    spec.verification.min_verifiers = u16::try_from(random.below(4)).unwrap();
    spec.verification.tasks_per_verifier =
        (random.below(3) == 0).then(|| u32::try_from(1 + random.below(4)).unwrap());
    spec.workload.limits.fuel = Fuel(10_000_000 * (1 + random.below(10)));
    spec
}

/// What others than the parties do in a block.
fn other_action(
    world: &World,
    live: &[JobId],
    settled: &[JobId],
    random: &mut Random,
) -> Option<(u8, Action)> {
    let n = u8::try_from(random.below(7)).unwrap();
    if let Some(job) = settled.first().filter(|_| random.below(12) == 0) {
        return Some((n, world.challenge(n, job)));
    }
    if let Some(job) = live.first().filter(|_| random.below(40) == 0) {
        return Some((CUSTOMER, Action::CancelJob { job: *job }));
    }
    if let Some(job) = live.first().filter(|_| random.below(3) == 0) {
        // Anything from anybody: mostly refused, and where it is not its sender will have to live with it.
        let mut all = crate::job::refusals::all_actions(&world.record(job));
        let at = usize::try_from(random.below(8)).unwrap();
        return Some((n, all.swap_remove(at).1));
    }
    let amount = Amount(square(1).0 / 7 * u128::from(1 + random.below(900)));
    let action = match random.below(8) {
        0 => Action::Transfer {
            to: address(u8::try_from(random.below(8)).unwrap()),
            amount,
        },
        1 if n < PARTNERS => Action::Bond { amount },
        2 if n < PARTNERS => Action::Unbond {
            amount: Amount(amount.0.min(world.partner(n).free().0 / 3)),
        },
        _ => return None,
    };
    Some((n, action))
}

fn step(
    world: &mut World,
    live: &[JobId],
    settled: &[JobId],
    longest_ms: u64,
    random: &mut Random,
) -> (Sent, Option<JobId>) {
    let other = other_action(world, live, settled, random);
    let mut extra: Vec<(u8, Action)> = other.into_iter().collect();
    if live.len() < JOBS && random.below(3) == 0 {
        extra.push((
            CUSTOMER,
            Action::SubmitJob {
                spec: Box::new(random_spec(random)),
            },
        ));
    }
    let sent = world.step_with(live, 1 + random.below(longest_ms), extra);
    let receipts = &world.chain.executed.as_ref().unwrap().receipts;
    let sent: Sent = sent
        .into_iter()
        .zip(receipts)
        .map(|((n, action), receipt)| (n, action, receipt.failure.is_none()))
        .collect();
    let submitted = sent
        .iter()
        .zip(receipts)
        .find_map(|((_, action, ok), receipt)| {
            let job = JobId(types::hash::Hash32::of(
                types::hash::Domain::JOB,
                &receipt.id,
            ));
            (matches!(action, Action::SubmitJob { .. }) && *ok).then_some(job)
        });
    (sent, submitted)
}

#[test]
fn jobs_in_a_crowd_of_honest_partners_all_settle() {
    let mut random = Random::new(77);
    let mut world = World::new();
    let jobs: Vec<_> = (0..12)
        .map(|_| world.submit(&random_spec(&mut random)))
        .collect();
    for _ in 0..400 {
        world.step(&jobs, 700);
        if jobs.iter().all(|job| world.record(job).stage.is_final()) {
            break;
        }
    }
    for job in jobs {
        assert_eq!(world.record(&job).stage, Stage::Settled);
    }
}
