//! What live jobs ask of validators and pools: stored statements while they are due, and room for their parties.

use types::hash::JobId;
use types::number::{Amount, Attempt, Nonce, Timestamp};
use types::transaction::{Action, Holding, JobStep, StoredStatement, SystemTransaction};
use vm::{
    BlockError, Mempool, MempoolError, MempoolLimits, SystemError, SystemPool, SystemPoolError,
    Verified, Wanted,
};
use vm::{build, query};

use crate::fixture::{Chain, key, square, transfer, validator_id};
use crate::job::world::{PARTNERS, World, spec};

fn inputs(job: JobId) -> StoredStatement {
    StoredStatement {
        job,
        attempt: Attempt(0),
        holding: Holding::Inputs,
    }
}

fn results(job: JobId, attempt: Attempt) -> StoredStatement {
    StoredStatement {
        job,
        attempt,
        holding: Holding::Results,
    }
}

fn wanted(chain: &Chain, statement: &StoredStatement, validator: u16) -> Wanted {
    query::wants_stored(&chain.state, statement, validator_id(validator)).unwrap()
}

fn due(chain: &Chain, validator: u16) -> Vec<StoredStatement> {
    query::stored_duty(&chain.state, validator_id(validator)).unwrap()
}

/// An action of a party to the job that succeeds now, with who sends it.
fn party(world: &World, job: &JobId) -> (u8, Action) {
    let record = world.record(job);
    (0..PARTNERS)
        .find_map(|n| world.duty(n, &record).map(|action| (n, action)))
        .unwrap()
}

#[test]
fn a_validator_owes_each_statement_from_its_time_until_it_is_made_or_moot() {
    let mut world = World::new();
    let job = world.submit(&spec());
    assert_eq!(due(&world.chain, 1), [inputs(job)]);
    assert_eq!(wanted(&world.chain, &inputs(job), 1), Wanted::Yes);
    assert_eq!(
        wanted(&world.chain, &results(job, Attempt(0)), 1),
        Wanted::NotYet
    );
    assert_eq!(
        wanted(&world.chain, &inputs(JobId::default()), 1),
        Wanted::NotYet
    );
    let statement = world.statement(job, Attempt(0), Holding::Inputs, 1);
    let block = world.chain.block_with(100, vec![statement], Vec::new());
    assert!(world.chain.push(&block).urgent);
    assert_eq!(wanted(&world.chain, &inputs(job), 1), Wanted::No);
    assert_eq!(due(&world.chain, 1), []);
    assert_eq!(due(&world.chain, 2), [inputs(job)]);
    world.run_to(&job, "assigned");
    assert_eq!(
        wanted(&world.chain, &inputs(job), 3),
        Wanted::No,
        "a quorum was enough"
    );
    world.holders.clear();
    let record = world.run_to(&job, "storing");
    assert_eq!(due(&world.chain, 3), [results(job, record.attempt)]);
    assert_eq!(
        wanted(&world.chain, &results(job, record.attempt), 3),
        Wanted::Yes
    );
    world.holders = vec![0, 1, 2];
    world.run(&job);
    assert_eq!(due(&world.chain, 3), []);
    assert_eq!(
        wanted(&world.chain, &results(job, record.attempt), 3),
        Wanted::No
    );
}

#[test]
fn a_statement_enters_a_block_once_and_only_by_its_signer() {
    let mut world = World::new();
    let job = world.submit(&spec());
    let statement = world.statement(job, Attempt(0), Holding::Inputs, 1);
    let refused = |world: &World, system: Vec<SystemTransaction>| match world
        .chain
        .try_execute(&world.chain.block_with(100, system, Vec::new()))
    {
        Err(BlockError::System { position, error }) => (position, error),
        other => panic!("expected a refusal, got {other:?}"),
    };
    let (position, error) = refused(&world, vec![statement.clone(), statement.clone()]);
    assert!(position == 1 && matches!(error, SystemError::Useless(_)));
    let SystemTransaction::Stored {
        statement: text,
        signature,
        ..
    } = statement.clone()
    else {
        unreachable!()
    };
    let forged = |validator| SystemTransaction::Stored {
        statement: text,
        validator,
        signature,
    };
    assert!(matches!(
        refused(&world, vec![forged(validator_id(2))]).1,
        SystemError::Signature(..)
    ));
    assert!(matches!(
        refused(&world, vec![forged(types::hash::ValidatorId::ZERO)]).1,
        SystemError::Stranger(_)
    ));
    let early = world.statement(job, Attempt(0), Holding::Results, 1);
    assert!(matches!(
        refused(&world, vec![early]).1,
        SystemError::Useless(_)
    ));
    let output = world.chain.output();
    assert!(matches!(
        refused(&world, vec![statement, output]),
        (1, SystemError::BeaconNotFirst)
    ));
}

#[test]
fn the_pool_offers_statements_while_their_job_wants_them() {
    let mut world = World::new();
    let (mut pool, before) = (SystemPool::default(), world.chain.clone());
    let job = world.submit(&spec());
    let all: Vec<_> = (0..3)
        .map(|validator| world.statement(job, Attempt(0), Holding::Inputs, validator))
        .collect();
    for statement in &all {
        pool.insert(&before.rules, &before.state, statement.clone())
            .unwrap();
    }
    assert!(!pool.is_ready(&before.state).unwrap());
    assert!(pool.is_ready(&world.chain.state).unwrap());
    assert_eq!(
        pool.candidates(&world.chain.rules, &world.chain.state)
            .unwrap(),
        all
    );
    let system = pool
        .candidates(&world.chain.rules, &world.chain.state)
        .unwrap();
    let timestamp = Timestamp(world.chain.tip.timestamp.0 + 100);
    let chain = &world.chain;
    let body = build(
        &chain.rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        &system,
        &[],
    )
    .unwrap()
    .body;
    assert_eq!(body.system.to_vec(), all);
    let block = world
        .chain
        .block_with(100, body.system.to_vec(), Vec::new());
    world.chain.push(&block);
    assert!(!pool.is_ready(&world.chain.state).unwrap());
    pool.recheck(&world.chain.state).unwrap();
    assert!(pool.is_empty());
    let late = world.statement(job, Attempt(0), Holding::Inputs, 3);
    let refused = pool.insert(&world.chain.rules, &world.chain.state, late);
    assert_eq!(refused, Err(SystemPoolError::Stale));
}

#[test]
fn parties_to_jobs_get_into_a_block_that_others_fill() {
    let mut world = World::new();
    let job = world.submit(&spec());
    world.run_to(&job, "assigned");
    let (n, action) = party(&world, &job);
    let rich = |later| {
        let mut transaction = world.chain.unsigned(6, transfer(7, Amount(1)));
        transaction.nonce = Nonce(later);
        transaction.fee = square(1);
        transaction.sign(&key(6))
    };
    let mut all: Vec<_> = (0..16).map(rich).collect();
    all.push(world.chain.sign(n, action));
    let mut rules = world.chain.rules.clone();
    let candidates: Vec<_> = all
        .iter()
        .map(|signed| Verified::new(&rules, signed.clone()).unwrap())
        .collect();
    let gas_of =
        |item: &Verified| vm::gas::of_transaction(item.bytes(), &item.transaction().action).0;
    // The reserve is a quarter: just enough for the party.
    rules.params.block_gas_limit = gas_of(&candidates[16]) * 4;
    let chain = &world.chain;
    let timestamp = Timestamp(chain.tip.timestamp.0 + 100);
    let body = build(
        &rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        &[],
        &candidates,
    )
    .unwrap()
    .body;
    let ordinary = body.transactions.len() - 1;
    assert_eq!(body.transactions.last(), Some(&all[16]));
    assert!(ordinary < 16, "the others filled their part");
    // One unit less, and the party does not fit beside them.
    rules.params.block_gas_limit =
        gas_of(&candidates[0]) * u64::try_from(ordinary).unwrap() * 4 / 3;
    let body = build(
        &rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        &[],
        &candidates,
    )
    .unwrap()
    .body;
    assert!(!body.transactions.contains(&all[16]));
}

#[test]
fn parties_to_jobs_get_into_a_pool_that_others_fill() {
    let mut world = World::new();
    let job = world.submit(&spec());
    world.run_to(&job, "assigned");
    let (n, action) = party(&world, &job);
    let chain = &world.chain;
    let mut pool = Mempool::new(MempoolLimits {
        bytes: 1 << 20,
        transactions: 8,
    });
    for later in 0..6 {
        let mut transaction = chain.unsigned(6, transfer(7, Amount(1)));
        (transaction.nonce, transaction.fee) = (Nonce(later), square(1));
        pool.insert(
            &chain.rules,
            &chain.state,
            chain.tip.height,
            transaction.sign(&key(6)),
        )
        .unwrap();
    }
    let mut insert = |signed| pool.insert(&chain.rules, &chain.state, chain.tip.height, signed);
    let pretender = chain.sign(7, action.clone());
    assert!(matches!(insert(pretender), Err(MempoolError::NoPartner(_))));
    let nothing = JobStep::Acknowledge.of(JobId::default(), Attempt(0));
    assert!(
        matches!(
            insert(chain.sign(n, nothing)),
            Err(MempoolError::NotAwaited(_))
        ),
        "no live job"
    );
    assert!(insert(chain.sign(n, action)).unwrap().evicted.is_empty());
    assert_eq!(pool.len(), 7);
}
