//! What live jobs ask of validators and pools: stored statements while they are due, and room for their parties.

use types::codec::Bounded;
use types::committee::ValidatorSet;
use types::hash::JobId;
use types::number::{Amount, Attempt, Fuel, Nonce, Timestamp, ValidatorIndex};
use types::quorum::CertificateError;
use types::stored::{Holding, StoredStatement, StoredSubject};
use types::transaction::{Action, JobStep, SystemMessage, SystemTransaction};
use vm::{
    BlockError, Mempool, MempoolError, MempoolLimits, SystemError, SystemPool, SystemPoolError,
    Verified, Wanted,
};
use vm::{build, query};

use crate::fixture::{Chain, key, square, transfer};
use crate::job::world::{PARTNERS, QUORUM, World, said, spec};

fn inputs(job: JobId) -> StoredSubject {
    StoredSubject {
        job,
        attempt: Attempt(0),
        holding: Holding::Inputs,
    }
}

fn results(job: JobId, attempt: Attempt) -> StoredSubject {
    StoredSubject {
        job,
        attempt,
        holding: Holding::Results,
    }
}

fn wanted(chain: &Chain, subject: &StoredSubject) -> Wanted {
    query::wants_stored(&chain.state, subject).unwrap()
}

fn due(chain: &Chain) -> Vec<StoredSubject> {
    query::stored_duty(&chain.state).unwrap()
}

/// An action of a party to the job that succeeds now, with who sends it.
fn party(world: &World, job: &JobId) -> (u8, Action) {
    let record = world.record(job);
    (0..PARTNERS)
        .find_map(|n| world.duty(n, &record).map(|action| (n, action)))
        .unwrap()
}

#[test]
fn a_statement_is_owed_from_its_time_until_a_quorum_made_it_or_it_is_moot() {
    let mut world = World::new();
    let job = world.submit(&spec());
    assert_eq!(due(&world.chain), [inputs(job)]);
    let until = world.record(&job).deadline.unwrap();
    assert_eq!(
        wanted(&world.chain, &inputs(job)),
        Wanted::Yes { due: until }
    );
    let later = results(job, Attempt(0));
    assert_eq!(wanted(&world.chain, &later), Wanted::NotYet);
    let unknown = inputs(JobId::default());
    assert_eq!(wanted(&world.chain, &unknown), Wanted::NotYet);
    let record = world.record(&job);
    let certificate = world.certificate(said(&record, inputs(job)), &QUORUM);
    let system = certificate.into_iter().collect();
    let block = world.chain.block_with(100, system, Vec::new());
    assert!(world.chain.push(&block).urgent);
    assert_eq!(wanted(&world.chain, &inputs(job)), Wanted::No);
    assert_eq!(due(&world.chain), []);
    world.holders.clear();
    let record = world.run_to(&job, "storing");
    let results = results(job, record.attempt);
    assert_eq!(due(&world.chain), [results]);
    let until = record.deadline.unwrap();
    assert_eq!(wanted(&world.chain, &results), Wanted::Yes { due: until });
    world.holders = QUORUM.to_vec();
    world.run(&job);
    assert_eq!(due(&world.chain), []);
    assert_eq!(wanted(&world.chain, &results), Wanted::No);
}

#[test]
fn a_certificate_enters_a_block_once_and_only_of_a_quorum() {
    let mut world = World::new();
    let job = world.submit(&spec());
    let record = world.record(&job);
    let statement = said(&record, inputs(job));
    let refused = |system: Vec<SystemTransaction>| match world
        .chain
        .try_execute(&world.chain.block_with(100, system, Vec::new()))
    {
        Err(BlockError::System { position, error }) => (position, error),
        other => panic!("expected a refusal, got {other:?}"),
    };
    assert_eq!(world.certificate(statement, &QUORUM[..2]), None);
    let whole = world.certificate(statement, &QUORUM).unwrap();
    let (position, error) = refused(vec![whole.clone(), whole.clone()]);
    assert!(position == 1 && matches!(error, SystemError::Useless(_)));
    let SystemTransaction::Stored(certificate) = whole.clone() else {
        unreachable!()
    };
    let proof = |certificate| match refused(vec![SystemTransaction::Stored(certificate)]).1 {
        SystemError::Certificate(error) => error,
        other => panic!("expected no proof, got {other:?}"),
    };
    let mut forged = certificate.clone();
    forged.signatures = Bounded::new(vec![certificate.signatures[0]; 3]).unwrap();
    assert_eq!(proof(forged), CertificateError::Signature);
    let mut moved = certificate.clone();
    moved.statement.subject.job = JobId::default();
    assert_eq!(proof(moved), CertificateError::Signature);
    let mut few = certificate.clone();
    few.signatures = Bounded::new(certificate.signatures[1..].to_vec()).unwrap();
    assert!(matches!(proof(few), CertificateError::Count { .. }));
    let (mut signers, mut strange) = (ValidatorSet::default(), certificate.clone());
    signers.insert(ValidatorIndex(0));
    let mut light = certificate.clone();
    (light.signers, light.signatures) = (signers, Bounded::default());
    light.signatures.push(certificate.signatures[0]).unwrap();
    assert!(matches!(proof(light), CertificateError::NoQuorum { .. }));
    strange.signers.insert(ValidatorIndex(9));
    strange.signatures.push(certificate.signatures[0]).unwrap();
    let stranger = CertificateError::Stranger(ValidatorIndex(9));
    assert_eq!(proof(strange), stranger);
    let useless = |statement| {
        let certificate = world.certificate(statement, &QUORUM).unwrap();
        matches!(refused(vec![certificate]).1, SystemError::Useless(_))
    };
    assert!(useless(said(&record, results(job, Attempt(0)))), "early");
    let mut wrong = statement;
    wrong.bytes += 1;
    assert!(useless(wrong), "a wrong length");
    let fuel = Fuel(1);
    assert!(
        useless(StoredStatement { fuel, ..statement }),
        "fuel of inputs"
    );
    let output = world.chain.output();
    assert!(matches!(
        refused(vec![whole, output]),
        (1, SystemError::BeaconNotFirst)
    ));
}

#[test]
fn the_receipt_has_the_fuel_that_a_quorum_certified_within_the_job_s_limit() {
    let mut world = World::new();
    let job = world.submit(&spec());
    world.run_to(&job, "assigned");
    world.holders.clear();
    let record = world.run_to(&job, "storing");
    let (limit, statement) = (
        record.terms.total_fuel(),
        said(&record, results(job, record.attempt)),
    );
    let with = |world: &World, fuel| {
        let certificate = world.certificate(StoredStatement { fuel, ..statement }, &QUORUM);
        world
            .chain
            .block_with(100, certificate.into_iter().collect(), Vec::new())
    };
    let block = with(&world, Fuel(limit.0 + 1));
    assert!(world.chain.try_execute(&block).is_err());
    let block = with(&world, Fuel(limit.0 - 1));
    world.chain.push(&block);
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert_eq!(receipt.fuel, Fuel(limit.0 - 1));
}

#[test]
fn the_pool_offers_a_certificate_once_a_quorum_says_the_same_while_the_job_wants_it() {
    let mut world = World::new();
    let (mut pool, before) = (SystemPool::default(), world.chain.clone());
    let job = world.submit(&spec());
    let ready = |pool: &SystemPool, chain: &Chain| pool.is_ready(&chain.rules, &chain.state);
    let record = world.record(&job);
    let mut lie = said(&record, inputs(job));
    lie.bytes += 1;
    let lie = SystemMessage::Stored(world.signed(lie, 3));
    pool.insert(&before.rules, &before.state, &lie).unwrap();
    for validator in QUORUM {
        assert!(!ready(&pool, &world.chain).unwrap());
        let message = world.word(job, validator);
        pool.insert(&before.rules, &before.state, &message).unwrap();
    }
    assert!(!ready(&pool, &before).unwrap());
    assert!(ready(&pool, &world.chain).unwrap());
    let chain = &world.chain;
    let system = pool.candidates(&chain.rules, &chain.state).unwrap();
    let whole = world.certificate(said(&record, inputs(job)), &QUORUM);
    assert_eq!(system, [whole.unwrap()]);
    let body = world.build(100, &system, &[]).body;
    assert_eq!(body.system.to_vec(), system);
    let block = chain.block_with(100, system, Vec::new());
    world.chain.push(&block);
    assert!(!ready(&pool, &world.chain).unwrap());
    pool.recheck(&world.chain.state).unwrap();
    assert!(pool.is_empty());
    let late = SystemMessage::Stored(world.signed(said(&record, inputs(job)), 3));
    let refused = pool.insert(&world.chain.rules, &world.chain.state, &late);
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
