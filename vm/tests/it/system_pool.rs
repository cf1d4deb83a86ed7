//! System transactions wait once per subject, and only while they have a use.

use types::hash::{Hash32, JobId};
use types::limits::STATEMENTS_PER_VALIDATOR;
use types::number::{Attempt, BeaconStep};
use types::transaction::{Holding, StoredStatement, SystemTransaction};
use vm::{Beacon, SystemError, SystemPool, SystemPoolError};

use crate::fixture::{Chain, validator_id, validator_keys};
use crate::job::world::{World, spec};

fn insert(
    pool: &mut SystemPool,
    chain: &Chain,
    transaction: &SystemTransaction,
) -> Result<(), SystemPoolError> {
    pool.insert(&chain.rules, &chain.state, transaction.clone())
}

/// A statement on a job that nobody knows yet.
fn stored(chain: &Chain, validator: u16, job: u16) -> SystemTransaction {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&job.to_be_bytes());
    let job = JobId(Hash32(id));
    let statement = StoredStatement {
        job,
        attempt: Attempt(0),
        holding: Holding::Inputs,
    };
    let key = &validator_keys()[usize::from(validator)].0;
    let signature = key.sign(&statement.signing_hash(chain.rules.chain_id));
    SystemTransaction::Stored {
        statement,
        validator: validator_id(validator),
        signature,
    }
}

#[test]
fn the_output_that_is_due_waits_once_until_its_step_is_over() {
    let (mut chain, mut pool) = (Chain::new(), SystemPool::default());
    let output = chain.output();
    insert(&mut pool, &chain, &output).unwrap();
    assert_eq!(
        insert(&mut pool, &chain, &output),
        Err(SystemPoolError::Known)
    );
    assert_eq!(
        pool.candidates(&chain.rules, &chain.state).unwrap(),
        vec![output.clone()]
    );
    assert!(
        !pool.is_ready(&chain.state).unwrap(),
        "a beacon output makes nothing urgent"
    );
    chain.next(Vec::new());
    assert!(
        pool.candidates(&chain.rules, &chain.state)
            .unwrap()
            .is_empty()
    );
    pool.recheck(&chain.state).unwrap();
    assert!(pool.is_empty());
    assert_eq!(
        insert(&mut pool, &chain, &output),
        Err(SystemPoolError::Stale)
    );
}

#[test]
fn an_early_output_waits_for_its_turn() {
    let (chain, mut pool) = (Chain::new(), SystemPool::default());
    let mut ahead = chain.clone();
    ahead.next(Vec::new());
    let early = ahead.output();
    insert(&mut pool, &chain, &early).unwrap();
    assert!(
        pool.candidates(&chain.rules, &chain.state)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        pool.candidates(&ahead.rules, &ahead.state).unwrap(),
        vec![early.clone()]
    );
    let SystemTransaction::Beacon { proof, .. } = early else {
        unreachable!()
    };
    let far = SystemTransaction::Beacon {
        step: BeaconStep(6),
        proof,
    };
    assert!(matches!(
        insert(&mut pool, &chain, &far),
        Err(SystemPoolError::TooFar { .. })
    ));
    for n in 0..4 {
        let mut other = proof;
        other.0[0] ^= n + 1;
        let result = insert(
            &mut pool,
            &chain,
            &SystemTransaction::Beacon {
                step: BeaconStep(2),
                proof: other,
            },
        );
        assert_eq!(result.is_err(), n == 3, "a step has room for four");
    }
    assert_eq!(
        pool.candidates(&ahead.rules, &ahead.state).unwrap().len(),
        1,
        "only the one that verifies"
    );
}

#[test]
fn a_forged_output_or_statement_is_refused() {
    let (chain, mut pool) = (Chain::new(), SystemPool::default());
    let SystemTransaction::Beacon { step, mut proof } = chain.output() else {
        unreachable!()
    };
    proof.0[9] ^= 1;
    let forged = SystemTransaction::Beacon { step, proof };
    assert!(matches!(
        insert(&mut pool, &chain, &forged),
        Err(SystemPoolError::System(SystemError::Beacon(_)))
    ));
    let SystemTransaction::Stored {
        statement,
        signature,
        ..
    } = stored(&chain, 0, 1)
    else {
        unreachable!()
    };
    for validator in [1, 9] {
        let forged = SystemTransaction::Stored {
            statement,
            validator: validator_id(validator),
            signature,
        };
        let error = insert(&mut pool, &chain, &forged).unwrap_err();
        assert!(matches!(
            error,
            SystemPoolError::System(SystemError::Signature(..) | SystemError::Stranger(_))
        ));
    }
    assert!(pool.is_empty());
}

#[test]
fn statements_on_unknown_jobs_wait_within_their_validators_room() {
    let (chain, mut pool) = (Chain::new(), SystemPool::default());
    for job in 0..u16::try_from(STATEMENTS_PER_VALIDATOR).unwrap() {
        insert(&mut pool, &chain, &stored(&chain, 0, job)).unwrap();
    }
    assert_eq!(
        insert(&mut pool, &chain, &stored(&chain, 0, 3)),
        Err(SystemPoolError::Known)
    );
    assert_eq!(
        insert(&mut pool, &chain, &stored(&chain, 0, 300)),
        Err(SystemPoolError::Full)
    );
    insert(&mut pool, &chain, &stored(&chain, 1, 3)).unwrap();
    assert!(
        pool.candidates(&chain.rules, &chain.state)
            .unwrap()
            .is_empty(),
        "no block could hold them yet"
    );
    pool.recheck(&chain.state).unwrap();
    assert_eq!(pool.len(), STATEMENTS_PER_VALIDATOR + 1);
}

#[test]
fn the_duty_names_the_contributor_and_what_it_proves() {
    let mut chain = Chain::new();
    for _ in 0..8 {
        let duty = vm::query::beacon_duty(&chain.rules, &chain.state).unwrap();
        assert_eq!(duty, Beacon::read(&chain.state).unwrap().duty(&chain.rules));
        let SystemTransaction::Beacon { step, .. } = chain.output() else {
            unreachable!()
        };
        assert_eq!(step, duty.step);
        chain.next(Vec::new());
    }
}

#[test]
fn a_statement_on_a_job_that_is_known_takes_the_room_of_one_on_none() {
    let (mut world, mut pool) = (World::new(), SystemPool::default());
    let job = world.submit(&spec());
    let awaited = world.statement(job, Attempt(0), Holding::Inputs, 0);
    let chain = &world.chain;
    let most = u16::try_from(STATEMENTS_PER_VALIDATOR).unwrap();
    for n in 0..most {
        insert(&mut pool, chain, &stored(chain, 0, n)).unwrap();
    }
    let more = stored(chain, 0, most);
    assert_eq!(insert(&mut pool, chain, &more), Err(SystemPoolError::Full));
    insert(&mut pool, chain, &awaited).unwrap();
    assert_eq!(pool.len(), STATEMENTS_PER_VALIDATOR);
    assert_eq!(
        pool.candidates(&chain.rules, &chain.state).unwrap(),
        [awaited]
    );
}
