//! System transactions that wait for a block, once per subject.
//!
//! Everything in it is signed or proven by a validator; what each validator can place is bounded. A statement of a job
//! that this node does not know yet waits, since its block may be on the way; one that its job no longer wants goes.

use std::collections::BTreeMap;

use state::StateRead;
use types::hash::{JobId, ValidatorId};
use types::key::VrfProof;
use types::limits::{
    MAX_SYSTEM_TRANSACTIONS, OUTPUTS_PER_STEP, STATEMENTS_PER_VALIDATOR, STEPS_AHEAD,
};
use types::number::{Attempt, BeaconStep};
use types::transaction::{Holding, StoredStatement, SystemTransaction};

use crate::query::{self, Wanted};
use crate::run::check_stored;
use crate::{Abort, Beacon, Rules, SystemError};

/// Why a system transaction is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemPoolError {
    /// It is here already.
    #[error("known")]
    Known,
    /// It is not valid.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Its job has no use for it, or its beacon step is over.
    #[error("no use for it any more")]
    Stale,
    /// A beacon step too far ahead.
    #[error("beacon step {found} is too far ahead of the due step {due}")]
    TooFar {
        /// Step of the beacon output.
        found: BeaconStep,
        /// The step that is due.
        due: BeaconStep,
    },
    /// The validator, or the step, has used its room.
    #[error("no room; try again later")]
    Full,
    /// State could not be read.
    #[error(transparent)]
    Abort(#[from] Abort),
}

/// Whose statement on what: by validator first, so that one validator's can be counted.
type StatementSubject = (ValidatorId, JobId, Attempt, Holding);

/// The room that a validator has for another statement.
enum StatementRoom {
    Free,
    InsteadOf(StatementSubject),
}

/// The system transactions that wait.
#[derive(Debug, Clone, Default)]
pub struct SystemPool {
    stored: BTreeMap<StatementSubject, SystemTransaction>,
    outputs: BTreeMap<BeaconStep, Vec<VrfProof>>,
}

impl SystemPool {
    /// Takes a system transaction in, judged on the state `view`. Success means that it is new and worth passing on.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        transaction: SystemTransaction,
    ) -> Result<(), SystemPoolError> {
        match &transaction {
            SystemTransaction::Stored {
                statement,
                validator,
                signature,
            } => {
                let subject = (
                    *validator,
                    statement.job,
                    statement.attempt,
                    statement.holding,
                );
                if self.stored.contains_key(&subject) {
                    return Err(SystemPoolError::Known);
                }
                if query::wants_stored(view, statement, *validator)? == Wanted::No {
                    return Err(SystemPoolError::Stale);
                }
                let room = self.room_for(view, statement, *validator)?;
                check_stored(rules, statement, *validator, signature)?;
                if let StatementRoom::InsteadOf(other) = room {
                    self.stored.remove(&other);
                }
                self.stored.insert(subject, transaction);
                Ok(())
            }
            SystemTransaction::Beacon { step, proof } => {
                self.insert_output(rules, view, *step, proof)
            }
        }
    }

    /// Where a validator has used its room, a statement on a job that is known takes that of one on a job that is not: such
    /// a job may be still to come, or have been forgotten long ago.
    fn room_for(
        &self,
        view: &dyn StateRead,
        statement: &StoredStatement,
        validator: ValidatorId,
    ) -> Result<StatementRoom, SystemPoolError> {
        let first = (validator, JobId::default(), Attempt::ZERO, Holding::Inputs);
        let own = || {
            let from = self.stored.range(first..).map(|(subject, _)| *subject);
            from.take_while(|subject| subject.0 == validator)
        };
        if own().count() < STATEMENTS_PER_VALIDATOR {
            return Ok(StatementRoom::Free);
        }
        if query::job(view, &statement.job)?.is_none() {
            return Err(SystemPoolError::Full);
        }
        for subject in own() {
            if query::job(view, &subject.1)?.is_none() {
                return Ok(StatementRoom::InsteadOf(subject));
            }
        }
        Err(SystemPoolError::Full)
    }

    fn insert_output(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        step: BeaconStep,
        proof: &VrfProof,
    ) -> Result<(), SystemPoolError> {
        let beacon = Beacon::read(view)?;
        let due = beacon.step.next();
        if step < due {
            return Err(SystemPoolError::Stale);
        }
        if step.0 - due.0 > STEPS_AHEAD {
            return Err(SystemPoolError::TooFar { found: step, due });
        }
        if self
            .outputs
            .get(&step)
            .is_some_and(|waiting| waiting.contains(proof))
        {
            return Err(SystemPoolError::Known);
        }
        if step == due {
            beacon
                .check(rules, step, proof)
                .map_err(SystemError::Beacon)?;
            // A VRF has one output but a cheating key may have many proofs: the first will do.
            let proven = self.outputs.get(&step).into_iter().flatten();
            if proven
                .into_iter()
                .any(|other| beacon.check(rules, step, other).is_ok())
            {
                return Err(SystemPoolError::Known);
            }
            self.outputs.insert(step, vec![*proof]);
            return Ok(());
        }
        let waiting = self.outputs.entry(step).or_default();
        if waiting.len() >= OUTPUTS_PER_STEP {
            return Err(SystemPoolError::Full);
        }
        waiting.push(*proof);
        Ok(())
    }

    /// What a block on the state `view` may hold, in the order of its body.
    pub fn candidates(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
    ) -> Result<Vec<SystemTransaction>, Abort> {
        let beacon = Beacon::read(view)?;
        let step = beacon.step.next();
        let due = self.outputs.get(&step).into_iter().flatten();
        let proven = due
            .into_iter()
            .find(|proof| beacon.check(rules, step, proof).is_ok());
        let mut all: Vec<_> = proven
            .into_iter()
            .map(|proof| SystemTransaction::Beacon {
                step,
                proof: *proof,
            })
            .collect();
        for transaction in self.stored.values() {
            let SystemTransaction::Stored {
                statement,
                validator,
                ..
            } = transaction
            else {
                continue;
            };
            if all.len() < MAX_SYSTEM_TRANSACTIONS
                && query::wants_stored(view, statement, *validator)? == Wanted::Yes
            {
                all.push(transaction.clone());
            }
        }
        Ok(all)
    }

    /// True if a stored statement waits that a block on the state `view` could hold.
    pub fn is_ready(&self, view: &dyn StateRead) -> Result<bool, Abort> {
        for transaction in self.stored.values() {
            let SystemTransaction::Stored {
                statement,
                validator,
                ..
            } = transaction
            else {
                continue;
            };
            if query::wants_stored(view, statement, *validator)? == Wanted::Yes {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops what a newer state, which should be a decided one, has no use for.
    pub fn recheck(&mut self, view: &dyn StateRead) -> Result<(), Abort> {
        let done = Beacon::read(view)?.step;
        self.outputs = self.outputs.split_off(&done.next());
        let mut gone = Vec::new();
        for (subject, transaction) in &self.stored {
            let SystemTransaction::Stored {
                statement,
                validator,
                ..
            } = transaction
            else {
                continue;
            };
            if query::wants_stored(view, statement, *validator)? == Wanted::No {
                gone.push(*subject);
            }
        }
        for subject in gone {
            self.stored.remove(&subject);
        }
        Ok(())
    }

    /// Drops a system transaction, if it waits.
    pub fn drop_one(&mut self, transaction: &SystemTransaction) {
        match transaction {
            SystemTransaction::Stored {
                statement,
                validator,
                ..
            } => {
                let (job, attempt) = (statement.job, statement.attempt);
                let subject = (*validator, job, attempt, statement.holding);
                self.stored.remove(&subject);
            }
            SystemTransaction::Beacon { step, proof } => {
                if let Some(waiting) = self.outputs.get_mut(step) {
                    waiting.retain(|other| other != proof);
                }
            }
        }
    }

    /// Number of system transactions that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.len() + self.outputs.values().map(Vec::len).sum::<usize>()
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
