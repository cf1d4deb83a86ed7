//! What validators say waits once per subject, and only while it has a use.

use std::collections::BTreeSet;

use types::hash::{Hash32, JobId};
use types::job::Stage;
use types::limits::{EARLY_STATEMENTS_PER_VALIDATOR, MAX_SYSTEM_TRANSACTIONS};
use types::number::{Attempt, BeaconStep, Fuel};
use types::stored::{Holding, SignedStatement, StoredStatement, StoredSubject};
use types::transaction::{SystemMessage, SystemTransaction};
use vm::{SystemPool, SystemPoolError};

use crate::fixture::{Chain, validator_id, validator_keys};
use crate::job::queue::patient;
use crate::job::world::{QUORUM, World};

fn insert(
    pool: &mut SystemPool,
    chain: &Chain,
    message: &SystemMessage,
) -> Result<(), SystemPoolError> {
    pool.insert(&chain.rules, &chain.state, message)
}

/// The beacon output that is due, as its contributor sends it and as it is in a block.
fn output(chain: &Chain) -> (SystemMessage, SystemTransaction) {
    let output = chain.output();
    let SystemTransaction::Beacon { step, proof } = output else {
        unreachable!()
    };
    (SystemMessage::Beacon { step, proof }, output)
}

/// A statement on a job that nobody knows yet.
fn early(chain: &Chain, validator: u16, job: u16) -> SignedStatement {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&job.to_be_bytes());
    let subject = StoredSubject {
        job: JobId(Hash32(id)),
        attempt: Attempt(0),
        holding: Holding::Inputs,
    };
    let key = &validator_keys()[usize::from(validator)].0;
    StoredStatement {
        subject,
        bytes: 9,
        fuel: Fuel(0),
    }
    .sign(key, chain.rules.chain_id)
}

#[test]
fn the_output_that_is_due_waits_once_until_its_step_is_over() {
    let (mut chain, mut pool) = (Chain::new(), SystemPool::default());
    let (message, output) = output(&chain);
    insert(&mut pool, &chain, &message).unwrap();
    let again = insert(&mut pool, &chain, &message);
    assert_eq!(again, Err(SystemPoolError::Known));
    let candidates = pool.candidates(&chain.rules, &chain.state);
    assert_eq!(candidates.unwrap(), [output]);
    assert!(
        !pool.is_ready(&chain.rules, &chain.state).unwrap(),
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
    let late = insert(&mut pool, &chain, &message);
    assert_eq!(late, Err(SystemPoolError::Stale));
}

#[test]
fn an_early_output_waits_for_its_turn() {
    let (chain, mut pool) = (Chain::new(), SystemPool::default());
    let mut ahead = chain.clone();
    ahead.next(Vec::new());
    let (message, early) = output(&ahead);
    insert(&mut pool, &chain, &message).unwrap();
    assert!(
        pool.candidates(&chain.rules, &chain.state)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        pool.candidates(&ahead.rules, &ahead.state).unwrap(),
        vec![early.clone()]
    );
    let SystemMessage::Beacon { proof, .. } = message else {
        unreachable!()
    };
    let far = SystemMessage::Beacon {
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
            &SystemMessage::Beacon {
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
    let forged = insert(&mut pool, &chain, &SystemMessage::Beacon { step, proof });
    assert!(matches!(forged, Err(SystemPoolError::Beacon(_))));
    for validator in [1, 9] {
        let mut forged = early(&chain, 0, 1);
        forged.validator = validator_id(validator);
        let error = insert(&mut pool, &chain, &SystemMessage::Stored(forged));
        assert!(matches!(error, Err(SystemPoolError::Statement(_))));
    }
    assert!(pool.is_empty());
}

#[test]
fn early_statements_take_the_room_of_the_oldest_of_their_validator() {
    let (chain, mut pool) = (Chain::new(), SystemPool::default());
    let mut say = |validator, job| {
        let signed = SystemMessage::Stored(early(&chain, validator, job));
        insert(&mut pool, &chain, &signed)
    };
    let most = u16::try_from(EARLY_STATEMENTS_PER_VALIDATOR).unwrap();
    for job in 0..most {
        say(0, job).unwrap();
    }
    assert_eq!(say(0, 0), Err(SystemPoolError::Known));
    say(1, 0).unwrap();
    say(0, most).unwrap();
    assert_eq!(say(0, 1), Err(SystemPoolError::Known));
    assert_eq!(say(0, 0), Ok(()), "the oldest had gone");
    assert_eq!(say(1, 0), Err(SystemPoolError::Known), "another's stays");
    let none = pool.candidates(&chain.rules, &chain.state).unwrap();
    assert_eq!(none, [], "no block could hold them yet");
    pool.recheck(&chain.state).unwrap();
    assert_eq!(pool.len(), EARLY_STATEMENTS_PER_VALIDATOR + 1);
}

#[test]
fn the_duty_names_the_contributor_and_what_it_proves() {
    let mut chain = Chain::new();
    let mut contributors = BTreeSet::new();
    for n in 0..16 {
        let duty = vm::query::beacon_duty(&chain.rules, &chain.state).unwrap();
        // A block takes what the named one proves of the named step, and of nobody else.
        for (validator, keys) in (0..).zip(validator_keys()) {
            let (step, proof) = (duty.step, keys.1.prove(&duty.input));
            let output = SystemTransaction::Beacon { step, proof };
            let block = chain.block_with(100, vec![output], Vec::new());
            let is_named = validator_id(validator) == duty.contributor;
            let executed = chain.try_execute(&block);
            assert_eq!(executed.is_ok(), is_named, "{validator} in step {n}");
        }
        contributors.insert(duty.contributor);
        chain.next(Vec::new());
    }
    assert!(contributors.len() > 1, "everybody's turn comes");
}

#[test]
fn every_statement_that_a_live_job_waits_for_has_room() {
    let (mut world, mut pool) = (World::new(), SystemPool::default());
    let most = EARLY_STATEMENTS_PER_VALIDATOR + 1;
    let jobs: Vec<_> = (0..most).map(|_| world.submit(&patient())).collect();
    for job in jobs {
        let message = world.word(job, 0);
        assert_eq!(insert(&mut pool, &world.chain, &message), Ok(()));
    }
    assert_eq!(pool.len(), most);
}

#[test]
fn the_certificate_of_the_job_that_is_due_first_is_in_the_first_block() {
    let (mut world, mut pool) = (World::new(), SystemPool::default());
    let first = world.submit(&patient());
    let others: Vec<_> = (0..70).map(|_| world.submit(&patient())).collect();
    for validator in QUORUM {
        for job in others.iter().chain([&first]) {
            let message = world.word(*job, validator);
            assert_eq!(insert(&mut pool, &world.chain, &message), Ok(()));
        }
    }
    let chain = &world.chain;
    let system = pool.candidates(&chain.rules, &chain.state).unwrap();
    assert_eq!(system.len(), MAX_SYSTEM_TRANSACTIONS, "one for each job");
    let SystemTransaction::Stored(certificate) = &system[0] else {
        unreachable!()
    };
    assert_eq!(certificate.statement.subject.job, first);
    let block = chain.block_with(100, system, Vec::new());
    world.chain.push(&block);
    let Stage::Pending(pending) = world.record(&first).stage else {
        unreachable!()
    };
    assert!(pending.draw.is_some(), "{pending:?}");
}
