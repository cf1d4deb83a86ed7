//! What validators say, until a block holds it: statements on what they hold, and beacon outputs.
//!
//! Everything in it is signed or proven by a validator; what each validator can place is bounded. A statement of a job
//! that this node does not know yet waits, since its block may be on the way; one that its job no longer wants goes.

mod statements;

use std::collections::BTreeMap;

use state::StateRead;
use types::codec::encode;
use types::key::VrfProof;
use types::limits::{MAX_SYSTEM_BYTES, MAX_SYSTEM_TRANSACTIONS, OUTPUTS_PER_STEP, STEPS_AHEAD};
use types::number::BeaconStep;
use types::stored::StatementError;
use types::transaction::{SystemMessage, SystemTransaction};

use crate::beacon::BeaconError;
use crate::{Abort, Beacon, Rules};
use statements::Statements;

/// Why a validator's message is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemPoolError {
    /// It is here already.
    #[error("known")]
    Known,
    /// A beacon output that is not that of its contributor.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// A statement that is not a member's.
    #[error(transparent)]
    Statement(#[from] StatementError),
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
    /// The step has used its room.
    #[error("no room; try again later")]
    Full,
    /// State could not be read.
    #[error(transparent)]
    Abort(#[from] Abort),
}

/// What waits for a block.
#[derive(Debug, Clone, Default)]
pub struct SystemPool {
    statements: Statements,
    outputs: BTreeMap<BeaconStep, Vec<VrfProof>>,
}

impl SystemPool {
    /// Takes a validator's message in, judged on the state `view`. Success means that it is new and worth passing on.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        message: &SystemMessage,
    ) -> Result<(), SystemPoolError> {
        match message {
            SystemMessage::Stored(signed) => self.statements.insert(rules, view, signed),
            SystemMessage::Beacon { step, proof } => self.insert_output(rules, view, *step, proof),
        }
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
            beacon.check(rules, step, proof)?;
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

    /// What a block on the state `view` may hold, in the order of its body: of the certificates those first whose job is
    /// due first, so that nobody's cheap jobs keep the quorum of another one from a block.
    // Rule C61.
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
        let mut bytes = encode(&all).len();
        for one in self.statements.certificates(rules, view)? {
            let certificate = SystemTransaction::Stored(one.certificate);
            bytes += encode(&certificate).len();
            if bytes > MAX_SYSTEM_BYTES || all.len() >= MAX_SYSTEM_TRANSACTIONS {
                break;
            }
            all.push(certificate);
        }
        Ok(all)
    }

    /// True if a certificate waits that a block on the state `view` could hold.
    pub fn is_ready(&self, rules: &Rules, view: &dyn StateRead) -> Result<bool, Abort> {
        self.statements.is_ready(rules, view)
    }

    /// Drops what a newer state, which should be a decided one, has no use for.
    pub fn recheck(&mut self, view: &dyn StateRead) -> Result<(), Abort> {
        let done = Beacon::read(view)?.step;
        self.outputs = self.outputs.split_off(&done.next());
        self.statements.recheck(view)
    }

    /// Drops what a system transaction was made of, if it waits.
    pub fn drop_one(&mut self, transaction: &SystemTransaction) {
        match transaction {
            SystemTransaction::Stored(certificate) => {
                self.statements.drop_subject(&certificate.statement.subject);
            }
            SystemTransaction::Beacon { step, proof } => {
                if let Some(waiting) = self.outputs.get_mut(step) {
                    waiting.retain(|other| other != proof);
                }
            }
        }
    }

    /// Number of messages that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len() + self.outputs.values().map(Vec::len).sum::<usize>()
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
