//! Nobody keeps the actions that a job waits for out of its pool, its candidates or its blocks, whatever he pays.

use types::codec::{Bounded, Text};
use types::hash::{Hash32, JobId, TransactionId};
use types::limits::MAX_BODY_BYTES;
use types::number::{Amount, Nonce, Timestamp};
use types::transaction::{Action, JobStep, SignedTransaction};
use vm::{Mempool, MempoolError, MempoolLimits, Verified, build};

use crate::fixture::{Chain, key, square, transfer};
use crate::job::world::{CUSTOMER, PARTNERS, World, certain, demanding, parties};

/// A world whose job is in a stage.
fn at(stage: &str) -> (World, JobId) {
    let mut world = World::with(|params| params.compute.probation_multiple = 0);
    let job = world.submit(&demanding(3));
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

/// What a block is offered of a chain's state: so many bytes of steps and of other transactions.
fn offer(pool: &Mempool, chain: &Chain, steps: usize, ordinary: usize) -> Vec<Verified> {
    pool.offer(
        &chain.rules,
        &chain.state,
        chain.tip.height,
        steps,
        ordinary,
    )
    .unwrap()
}

/// The steps that wait.
fn reserved(pool: &Mempool, world: &World) -> Vec<TransactionId> {
    ids(&offer(pool, &world.chain, MAX_BODY_BYTES, 0))
}

fn is_not_awaited<T>(result: &Result<T, MempoolError>) -> bool {
    matches!(result, Err(MempoolError::NotAwaited(_)))
}

#[test]
fn a_flood_that_pays_more_does_not_keep_parties_from_a_block() {
    let (world, job) = at("verifying");
    let (mut pool, duties) = (Mempool::new(MempoolLimits::default()), duties(&world, &job));
    assert!(duties.len() >= 3, "three verifiers owe a commitment");
    let flood = flood(&world, &job);
    for signed in flood.iter().chain(&duties) {
        insert(&mut pool, &world, signed).unwrap();
    }
    assert!(pool.bytes() > 2 * MAX_BODY_BYTES);
    let offered = offer(&pool, &world.chain, MAX_BODY_BYTES, 2 * MAX_BODY_BYTES);
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
            "a commitment is left out"
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
    let (world, job) = at("verifying");
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
    // A bonded partner without a part, a party with somebody else's opening, steps of other stages.
    let commit = JobStep::Commit {
        commitment: Hash32::ZERO,
    }
    .of(job, record.attempt);
    for (n, action) in [
        (stranger, opening.clone()),
        (verifiers[0], opening.clone()),
        (verifiers[1], commit),
    ] {
        let signed = world.chain.sign(n, action);
        assert!(is_not_awaited(&insert(&mut pool, &world, &signed)));
    }
    let first = world.chain.sign(primary, opening.clone());
    insert(&mut pool, &world, &first).unwrap();
    let mut again = world.chain.unsigned(primary, opening);
    again.valid_until.0 += 1;
    let again = insert(&mut pool, &world, &again.sign(&key(primary)));
    assert_eq!(again, Err(MempoolError::StepWaits(first.id())));
    assert_eq!(reserved(&pool, &world), [first.id()]);
}

/// A stale announcement, or a bond with a nonce too high, kept an opening from every block: up to the whole lock.
#[test]
fn a_step_waits_behind_nothing_else_of_its_party() {
    let (world, job) = at("revealing");
    let mut pool = Mempool::new(MempoolLimits::default());
    let record = world.record(&job);
    let n = parties(&record.stage).0.unwrap();
    let bond = Action::Bond { amount: Amount(1) };
    let stuck = world.chain.sign_later(n, 1, bond);
    insert(&mut pool, &world, &stuck).unwrap();
    let opening = world.chain.sign(n, world.duty(n, &record).unwrap());
    insert(&mut pool, &world, &opening).unwrap();
    assert_eq!(reserved(&pool, &world), [opening.id()]);
    pool.drop_one(&stuck.id());
    assert_eq!(reserved(&pool, &world), [opening.id()]);
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
    let copied = world.chain.sign(m, world.announcement(n, &record).unwrap());
    assert!(is_not_awaited(&insert(&mut pool, &world, &copied)));
    assert_eq!(reserved(&pool, &world), [own.id()]);
}

#[test]
fn a_step_is_taken_from_its_stage_on_and_goes_with_it() {
    let (mut world, job) = at("verifying");
    let mut later = world.clone();
    let record = later.run_to(&job, "revealing");
    let n = parties(&record.stage).0.unwrap();
    let opening = later.chain.sign(n, later.duty(n, &record).unwrap());
    let mut pool = Mempool::new(MempoolLimits::default());
    assert!(
        is_not_awaited(&insert(&mut pool, &world, &opening)),
        "early"
    );
    world.run_to(&job, "revealing");
    insert(&mut pool, &world, &opening).unwrap();
    let mut seen = 0;
    while world.record(&job).stage.name() == "revealing" {
        assert_eq!(reserved(&pool, &world), [opening.id()]);
        // Everybody but the one whose opening waits does its part.
        world.step_with(&[job], 2_000, vec![(n, transfer(1, Amount(1)))]);
        let (chain, executed) = (&world.chain, world.chain.executed.clone().unwrap());
        let changed = executed.writes.keys();
        pool.recheck(&chain.rules, &chain.state, chain.tip.height, changed)
            .unwrap();
        seen += 1;
    }
    assert!(seen > 1, "it stays for as long as the window");
    assert!(pool.is_empty() && pool.bytes() == 0, "the window is over");
}

#[test]
fn what_an_undecided_block_holds_takes_no_room_from_others() {
    let (world, job) = at("verifying");
    let (mut pool, duties) = (Mempool::new(MempoolLimits::default()), duties(&world, &job));
    for signed in &duties {
        insert(&mut pool, &world, signed).unwrap();
    }
    let mut undecided = world.chain.clone();
    undecided.next(duties[..2].to_vec());
    let bytes = types::codec::encode(&duties[2]).len();
    let offered = offer(&pool, &undecided, bytes, 0);
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
        "the others are not tried"
    );
}
