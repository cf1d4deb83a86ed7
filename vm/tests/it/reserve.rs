//! Nobody keeps the actions that a job waits for out of its pool, its candidates or its blocks, whatever he pays.

use types::codec::{Bounded, Text};
use types::hash::{Hash32, JobId, TransactionId};
use types::limits::MAX_BODY_BYTES;
use types::number::{Amount, Nonce, Timestamp};
use types::transaction::{Action, JobStep, SignedTransaction};
use vm::{Mempool, MempoolError, MempoolLimits, Verified, build};

use crate::fixture::{key, square, transfer};
use crate::job::world::{CUSTOMER, PARTNERS, World, certain, demanding, parties};

/// A world whose job is in a stage.
fn at(stage: &str) -> (World, JobId) {
    let mut world = World::with(|params| params.compute.probation_multiple = 0);
    let job = world.submit(&demanding(2));
    world.run_to(&job, stage);
    (world, job)
}

/// What everybody owes the job now, signed.
fn duties(world: &World, job: &JobId) -> Vec<SignedTransaction> {
    let record = world.record(job);
    let all = (0..PARTNERS).filter_map(|n| Some(world.chain.sign(n, world.duty(n, &record)?)));
    all.collect()
}

/// Transactions of nearly 64 KiB each for more than anybody else offers, more than two bodies of them.
fn flood(world: &World, job: &JobId) -> Vec<SignedTransaction> {
    let mut spec = certain();
    let argument = Text::new("x".repeat(4_000)).unwrap();
    spec.workload.arguments = Bounded::new(vec![argument; 16]).unwrap();
    let large = |n: u8, later: u64| {
        let mut transaction = world.chain.unsigned(
            n,
            Action::SubmitJob {
                spec: Box::new(spec.clone()),
            },
        );
        (transaction.nonce, transaction.fee) = (Nonce(transaction.nonce.0 + later), square(20));
        transaction.sign(&key(n))
    };
    let (record, idle) = (world.record(job), [6, CUSTOMER]);
    let (primary, verifiers) = parties(&record.stage);
    let idle = idle
        .into_iter()
        .chain((0..PARTNERS).filter(|n| primary != Some(*n) && !verifiers.contains(n)));
    idle.take(3)
        .flat_map(|n| (0..16).map(move |later| (n, later)))
        .map(|(n, later)| large(n, later))
        .collect()
}

fn insert(
    pool: &mut Mempool,
    world: &World,
    signed: &SignedTransaction,
) -> Result<Vec<TransactionId>, MempoolError> {
    let chain = &world.chain;
    pool.insert(&chain.rules, &chain.state, chain.tip.height, signed.clone())
        .map(|inserted| inserted.evicted)
}

fn ids(all: &[Verified]) -> Vec<TransactionId> {
    all.iter().map(Verified::id).collect()
}

/// What is in the protocol queue.
fn reserved(pool: &Mempool, world: &World) -> Vec<TransactionId> {
    ids(&pool.offer(&world.chain.state, MAX_BODY_BYTES, 0).unwrap())
}

#[test]
fn a_flood_that_pays_more_does_not_keep_parties_from_a_block() {
    let (world, job) = at("revealing");
    let (mut pool, duties) = (Mempool::new(MempoolLimits::default()), duties(&world, &job));
    assert!(
        duties.len() >= 3,
        "the primary and two verifiers owe an opening"
    );
    let flood = flood(&world, &job);
    for signed in flood.iter().chain(&duties) {
        insert(&mut pool, &world, signed).unwrap();
    }
    assert!(pool.bytes() > 2 * MAX_BODY_BYTES);
    let offered = pool
        .offer(&world.chain.state, MAX_BODY_BYTES, 2 * MAX_BODY_BYTES)
        .unwrap();
    assert!(
        offered.len() < pool.len(),
        "not all of the flood is offered"
    );
    let chain = &world.chain;
    let timestamp = Timestamp(chain.tip.timestamp.0 + 100);
    let built = build(
        &chain.rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        &[],
        &offered,
    )
    .unwrap();
    for duty in &duties {
        assert!(
            built.body.transactions.contains(duty),
            "an opening is left out"
        );
    }
    assert!(
        built.body.transactions.len() > duties.len(),
        "there is room beside the reserve"
    );
    assert_eq!(built.refused, []);
}

#[test]
fn parties_are_not_evicted_by_fee() {
    let (world, job) = at("revealing");
    let (mut pool, duties) = (
        Mempool::new(MempoolLimits {
            bytes: 4 << 20,
            transactions: 16,
        }),
        duties(&world, &job),
    );
    for signed in &duties {
        insert(&mut pool, &world, signed).unwrap();
    }
    for signed in flood(&world, &job) {
        let _ = insert(&mut pool, &world, &signed);
    }
    assert!(
        duties
            .iter()
            .all(|duty| pool.transaction(&duty.id()).is_some())
    );
    assert_eq!(pool.len(), 12 + duties.len(), "the ordinary queue is full");
}

#[test]
fn only_what_the_job_expects_is_reserved_and_once() {
    let (world, job) = at("revealing");
    let mut pool = Mempool::new(MempoolLimits::default());
    let record = world.record(&job);
    let (primary, verifiers) = parties(&record.stage);
    let primary = primary.unwrap();
    let opening = world.duty(primary, &record).unwrap();
    let stranger = (0..PARTNERS)
        .find(|n| *n != primary && !verifiers.contains(n))
        .unwrap();
    // A bonded partner without a part, a party with somebody else's opening, actions of other stages.
    insert(
        &mut pool,
        &world,
        &world.chain.sign(stranger, opening.clone()),
    )
    .unwrap();
    insert(
        &mut pool,
        &world,
        &world.chain.sign(verifiers[0], opening.clone()),
    )
    .unwrap();
    let commit = JobStep::Commit {
        commitment: Hash32::ZERO,
    }
    .of(job, record.attempt);
    insert(&mut pool, &world, &world.chain.sign(verifiers[1], commit)).unwrap();
    assert_eq!(reserved(&pool, &world), []);
    let first = world.chain.sign(primary, opening.clone());
    insert(&mut pool, &world, &first).unwrap();
    insert(
        &mut pool,
        &world,
        &world.chain.sign_later(primary, 1, opening.clone()),
    )
    .unwrap();
    assert_eq!(
        reserved(&pool, &world),
        [first.id()],
        "once per job and kind"
    );
    let mut better = world.chain.unsigned(primary, opening);
    better.fee = Amount(better.fee.0 * 2);
    let better = better.sign(&key(primary));
    insert(&mut pool, &world, &better).unwrap();
    assert_eq!(
        reserved(&pool, &world),
        [better.id()],
        "what replaces it takes its place"
    );
}

#[test]
fn announcements_are_reserved_for_those_who_are_drawn() {
    let mut world = World::with(|params| params.compute.probation_multiple = 0);
    let job = world.submit(&certain());
    let record = loop {
        let record = world.run_to(&job, "announcing");
        let announced = (0..PARTNERS).any(|n| world.announcement(n, &record).is_some());
        if announced {
            break record;
        }
        world.pass(0);
    };
    let mut pool = Mempool::new(MempoolLimits::default());
    let mut drawn = (0..PARTNERS).filter(|n| parties(&record.stage).0 != Some(*n));
    let (n, m) = (drawn.next().unwrap(), drawn.next().unwrap());
    let own = world.chain.sign(n, world.announcement(n, &record).unwrap());
    insert(&mut pool, &world, &own).unwrap();
    insert(
        &mut pool,
        &world,
        &world.chain.sign(m, world.announcement(n, &record).unwrap()),
    )
    .unwrap();
    assert_eq!(reserved(&pool, &world), [own.id()]);
}

#[test]
fn what_came_before_its_stage_gets_its_place_when_the_stage_does_and_loses_it_after() {
    let (mut world, job) = at("verifying");
    let mut later = world.clone();
    let record = later.run_to(&job, "revealing");
    let n = parties(&record.stage).1[0];
    let used = later.chain.account(n).nonce;
    let opening = later.chain.sign(n, later.duty(n, &record).unwrap());
    let mut pool = Mempool::new(MempoolLimits::default());
    assert!(
        world.chain.account(n).nonce < used,
        "its commitment is still to come"
    );
    insert(&mut pool, &world, &opening).unwrap();
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push((
            world.record(&job).stage.name(),
            reserved(&pool, &world).len(),
        ));
        if world.record(&job).stage.is_final() {
            break;
        }
        // Everybody but the one whose opening waits does its part.
        let record = world.record(&job);
        let stage = record.stage.name();
        let others = if stage == "revealing" {
            vec![(n, transfer(1, Amount(1)))]
        } else {
            Vec::new()
        };
        world.step_with(&[job], 2_000, others);
        let (chain, executed) = (&world.chain, world.chain.executed.clone().unwrap());
        pool.recheck(
            &chain.rules,
            &chain.state,
            chain.tip.height,
            executed.writes.keys(),
        )
        .unwrap();
        if stage == "revealing" {
            break;
        }
    }
    assert!(
        seen.contains(&("verifying", 0)) && seen.contains(&("revealing", 1)),
        "{seen:?}"
    );
    assert!(pool.is_empty(), "its nonce was used by something else");
}

#[test]
fn what_an_undecided_block_holds_takes_no_room_from_others() {
    let (world, job) = at("revealing");
    let (mut pool, duties) = (Mempool::new(MempoolLimits::default()), duties(&world, &job));
    for signed in &duties {
        insert(&mut pool, &world, signed).unwrap();
    }
    let mut undecided = world.chain.clone();
    undecided.next(duties[..2].to_vec());
    let bytes = types::codec::encode(&duties[2]).len();
    let offered = pool.offer(&undecided.state, bytes, 0).unwrap();
    assert_eq!(ids(&offered), [duties[2].id()]);
}

#[test]
fn few_actions_are_tried_in_vain() {
    let (world, job) = at("revealing");
    let attempt = world.record(&job).attempt;
    let mut rules = world.chain.rules.clone();
    let failing = |n: u8, later| {
        world
            .chain
            .sign_later(n, later, JobStep::Acknowledge.of(job, attempt))
    };
    let paying: Vec<_> = (0..8)
        .map(|later| world.chain.sign_later(6, later, transfer(7, Amount(1))))
        .collect();
    let verified = |signed: &SignedTransaction| Verified::new(&rules, signed.clone()).unwrap();
    let mut candidates: Vec<_> = paying.iter().map(verified).collect();
    let ordinary =
        vm::gas::of_transaction(candidates[0].bytes(), &candidates[0].transaction().action).0;
    // Each of the first nonce, so that none depends on another.
    let vain: Vec<_> = (0..40u64)
        .map(|at| {
            let mut transaction = failing(u8::try_from(at % 6).unwrap(), 0).into_transaction();
            transaction.valid_until.0 += at;
            verified(&transaction.sign(&key(u8::try_from(at % 6).unwrap())))
        })
        .collect();
    candidates.extend(vain.iter().cloned());
    // The ordinary part is full with what pays; the reserve holds some actions.
    rules.params.block_gas_limit = (ordinary * 8) * 4 / 3 + 3;
    let chain = &world.chain;
    let timestamp = Timestamp(chain.tip.timestamp.0 + 100);
    let built = build(
        &rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        &[],
        &candidates,
    )
    .unwrap();
    let expected: Vec<_> = vain.iter().take(32).map(Verified::id).collect();
    assert_eq!(built.refused, expected);
    assert!(
        built
            .body
            .transactions
            .iter()
            .all(|signed| paying.contains(signed)),
        "then they must pay"
    );
}
