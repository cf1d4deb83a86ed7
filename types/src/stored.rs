//! What validators say about the data of jobs: that they hold it, how many bytes it is, and how much fuel the results took.
//!
//! A validator signs a statement and sends it to the others; whoever proposes a block puts a quorum's signatures on equal
//! statements together. Only such a certificate is in a block, one per subject, so that what a block carries does not grow
//! with each validator's word.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::committee::{Committee, ValidatorSet};
use crate::hash::{ChainId, Domain, Hash32, JobId, ValidatorId};
use crate::key::{KeyError, SecretKey, Signature, signing_hash};
use crate::limits::MAX_COMMITTEE;
use crate::number::{Attempt, Fuel};
use crate::quorum::{CertificateError, QuorumSignatures};

/// The part of a job's data that validators hold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Holding {
    /// The module, stdin and all inputs.
    Inputs,
    /// The list of states that the primary of a chain handed on, and everything that it names.
    States,
    /// The list of outcomes, reproducing the opened result root, and everything it names.
    Results,
}

/// What a statement is about; a job awaits one at a time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct StoredSubject {
    /// The job whose data is held.
    pub job: JobId,
    /// The attempt; inputs are stored once, under attempt 0.
    pub attempt: Attempt,
    /// Which of the job's data the statement is about.
    pub holding: Holding,
}

/// A validator's word that it holds data of a job.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct StoredStatement {
    /// Which of a job's data the validator holds.
    pub subject: StoredSubject,
    /// Length of what is held, each blob once, in bytes.
    pub bytes: u64,
    /// Fuel that all tasks used together by the list of outcomes, at most the job's limit; zero for inputs and states.
    pub fuel: Fuel,
}

/// A statement as its validator sends it to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedStatement {
    /// What the validator says.
    pub statement: StoredStatement,
    /// The validator that says so; a member of the committee.
    pub validator: ValidatorId,
    /// Over the statement, in the domain `SIGN_STORED`.
    pub signature: Signature,
}

/// A quorum's signatures on one statement.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StoredCertificate {
    /// What all signers say.
    pub statement: StoredStatement,
    /// The signers' positions in the committee in force.
    pub signers: ValidatorSet,
    /// One signature per signer, in ascending order of position.
    pub signatures: Bounded<Signature, MAX_COMMITTEE>,
}

impl StoredStatement {
    /// The hash that a validator signs.
    #[must_use]
    pub fn signing_hash(&self, chain: ChainId) -> Hash32 {
        signing_hash(Domain::SIGN_STORED, chain, self)
    }

    /// The statement signed with a validator's key.
    #[must_use]
    pub fn sign(self, key: &SecretKey, chain: ChainId) -> SignedStatement {
        SignedStatement {
            statement: self,
            validator: key.public().validator_id(),
            signature: key.sign(&self.signing_hash(chain)),
        }
    }
}

/// Why a validator's statement is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is of a validator outside the committee.
    #[error("validator {0} is no member of the committee")]
    Stranger(ValidatorId),
    /// The validator did not sign it.
    #[error("the stored statement is not signed by validator {0}: {1}")]
    Signature(ValidatorId, KeyError),
}

impl SignedStatement {
    /// Verifies that a member of the committee signed it.
    pub fn verify(&self, committee: &Committee, chain: ChainId) -> Result<(), StatementError> {
        let member = committee
            .validator(&self.validator)
            .ok_or(StatementError::Stranger(self.validator))?;
        let message = self.statement.signing_hash(chain);
        member
            .key
            .verify(&message, &self.signature)
            .map_err(|error| StatementError::Signature(self.validator, error))
    }
}

impl StoredCertificate {
    /// The certificate of the smallest quorum among those that signed a statement, see [`Committee::smallest_quorum`];
    /// nothing if all of them together are none.
    #[must_use]
    pub fn gather(
        statement: StoredStatement,
        signatures: &BTreeMap<ValidatorId, Signature>,
        committee: &Committee,
    ) -> Option<Self> {
        let positions = signatures.keys().filter_map(|id| committee.index_of(id));
        let signers = committee.smallest_quorum(positions)?;
        let ids = signers.iter().filter_map(|index| committee.id(index));
        let kept = ids.filter_map(|id| signatures.get(&id).copied());
        Some(Self {
            statement,
            signatures: Bounded::new(kept.collect()).ok()?,
            signers,
        })
    }

    /// Verifies that a quorum of the committee signed the statement; `secret` as for [`crate::vote::Certificate::verify`].
    pub fn verify(
        &self,
        committee: &Committee,
        chain: ChainId,
        secret: Option<&Hash32>,
    ) -> Result<(), CertificateError> {
        let quorum = QuorumSignatures {
            signers: &self.signers,
            signatures: &self.signatures,
        };
        quorum.verify(committee, self.statement.signing_hash(chain), secret)
    }
}
