//! The signed messages of consensus: votes, certificates and proposals.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::block::Block;
use crate::codec::Bounded;
use crate::committee::{Committee, ValidatorSet};
use crate::hash::{BlockId, ChainId, Domain, Hash32};
use crate::key::{KeyError, SecretKey, Signature, Signed, signing_hash};
use crate::limits::{MAX_COMMITTEE, MAX_INLINE_NULLIFICATIONS};
use crate::number::{Epoch, ValidatorIndex, View};
use crate::quorum::QuorumSignatures;

pub use crate::quorum::CertificateError;

/// What a vote says about its view.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Subject {
    /// This block, whose parent is of that view, may be built upon.
    Notarize {
        /// View of the parent; 0 is genesis.
        parent_view: View,
        /// Id of the block that is voted for.
        block: BlockId,
    },
    /// The view is over without a decision.
    Nullify,
    /// This block is decided.
    Finalize {
        /// Id of the block that is voted for.
        block: BlockId,
    },
}

/// The signed part of a vote: epoch, view and subject. All signers of a certificate signed the same one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Statement {
    /// The first epoch of the term of office of the committee that votes. State holds the committee under the same
    /// number, see [`crate::state_key::StateKey::Committee`].
    pub epoch: Epoch,
    /// The view voted on.
    pub view: View,
    /// What the vote says about the view.
    pub subject: Subject,
}

impl Statement {
    /// Hash that is signed: statement and chain under a domain of their own.
    #[must_use]
    pub fn signing_hash(&self, chain: ChainId) -> Hash32 {
        let domain = match self.subject {
            Subject::Notarize { .. } => Domain::SIGN_NOTARIZE,
            Subject::Nullify => Domain::SIGN_NULLIFY,
            Subject::Finalize { .. } => Domain::SIGN_FINALIZE,
        };
        signing_hash(domain, chain, self)
    }
}

/// One validator's signed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// What the signer states.
    pub statement: Statement,
    /// The signer's position in the committee of the statement's epoch.
    pub signer: ValidatorIndex,
    /// Over the statement's signing hash.
    pub signature: Signature,
}

impl Vote {
    /// Signs a statement for a chain.
    #[must_use]
    pub fn sign(
        statement: Statement,
        signer: ValidatorIndex,
        key: &SecretKey,
        chain: ChainId,
    ) -> Self {
        Self {
            statement,
            signer,
            signature: key.sign(&statement.signing_hash(chain)),
        }
    }

    /// What is to be verified, if the signer is a member.
    #[must_use]
    pub fn signed(&self, committee: &Committee, chain: ChainId) -> Option<Signed> {
        let key = committee.member(self.signer)?.key;
        Some(Signed {
            key,
            message: self.statement.signing_hash(chain),
            signature: self.signature,
        })
    }
}

/// A quorum's signatures on one statement: a notarization, a nullification or a finalization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// What all signers state.
    pub statement: Statement,
    /// The signers' positions in the committee of the statement's epoch.
    pub signers: ValidatorSet,
    /// One signature per signer, in ascending order of position.
    pub signatures: Bounded<Signature, MAX_COMMITTEE>,
}

/// The committee of a term of office on one chain: what a certificate or a proposal is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Term<'a> {
    /// Chain that every signature must name.
    pub chain: ChainId,
    /// The first epoch of the term.
    pub epoch: Epoch,
    /// The committee that is in office from then on.
    pub committee: &'a Committee,
}

impl Certificate {
    /// Gathers votes on one statement; `votes` must be of distinct members on that statement.
    #[must_use]
    pub fn from_votes(statement: Statement, votes: &[Vote]) -> Self {
        let mut sorted: Vec<_> = votes
            .iter()
            .filter(|vote| vote.statement == statement)
            .collect();
        sorted.sort_by_key(|vote| vote.signer);
        sorted.dedup_by_key(|vote| vote.signer);
        let mut signers = ValidatorSet::default();
        for vote in &sorted {
            signers.insert(vote.signer);
        }
        let signatures = Bounded::new(sorted.iter().map(|vote| vote.signature).collect());
        Self {
            statement,
            signers,
            signatures: signatures.expect("at most one per member"),
        }
    }

    /// The rule of what a valid certificate is: it is of the term, each signer is a member and has one signature, the
    /// signers' stake decides, and every signature verifies. With a `secret` that the certificate's maker cannot know,
    /// the signatures are verified as one batch; without one, each alone. The verdict is the same.
    pub fn verify(&self, term: &Term<'_>, secret: Option<&Hash32>) -> Result<(), CertificateError> {
        self.check_epoch(term)?;
        let message = self.statement.signing_hash(term.chain);
        self.quorum().verify(term.committee, message, secret)
    }

    /// Checks all of [`Certificate::verify`] but the signatures.
    pub fn check_shape(&self, term: &Term<'_>) -> Result<(), CertificateError> {
        self.check_epoch(term)?;
        self.quorum().check_shape(term.committee)
    }

    fn quorum(&self) -> QuorumSignatures<'_> {
        QuorumSignatures {
            signers: &self.signers,
            signatures: &self.signatures,
        }
    }

    fn check_epoch(&self, term: &Term<'_>) -> Result<(), CertificateError> {
        let (found, expected) = (self.statement.epoch, term.epoch);
        if found == expected {
            Ok(())
        } else {
            Err(CertificateError::OtherEpoch { found, expected })
        }
    }

    /// The certificate with the smallest quorum of its signers, see [`Committee::smallest_quorum`]: one form for each
    /// set of votes that it was gathered from. One that does not fit the term stays as it is, to be refused.
    #[must_use]
    pub fn smallest(&self, term: &Term<'_>) -> Self {
        let quorum = term.committee.smallest_quorum(self.signers.iter());
        let (Ok(()), Some(signers)) = (self.check_shape(term), quorum) else {
            return self.clone();
        };
        let pairs = self.signers.iter().zip(&self.signatures);
        let kept = pairs.filter(|(index, _)| signers.contains(*index));
        let signatures = Bounded::new(kept.map(|(_, signature)| *signature).collect());
        Self {
            statement: self.statement,
            signers,
            signatures: signatures.expect("no more signatures than there were"),
        }
    }
}

/// A leader's block for a view, with what lets its reader build upon the parent.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// First epoch of the committee's term of office.
    pub epoch: Epoch,
    /// View in which the proposer is the leader.
    pub view: View,
    /// View of the parent; 0 is genesis.
    pub parent_view: View,
    /// The proposed block with its body.
    pub block: Block,
    /// The parent's notarization (or finalization); none for genesis.
    pub parent_certificate: Option<Certificate>,
    /// The nullifications between the parent's view and this one, ascending; what is missing here is asked for.
    pub nullifications: Bounded<Certificate, MAX_INLINE_NULLIFICATIONS>,
    /// The leader's signature over [`Proposal::signing_hash`].
    pub signature: Signature,
    /// The leader's notarize vote: its own proposal counts as one.
    pub notarize: Signature,
}

#[derive(BorshSerialize)]
struct ProposalStatement {
    epoch: Epoch,
    view: View,
    parent_view: View,
    block: BlockId,
}

impl Proposal {
    /// What the leader signs for a proposal.
    #[must_use]
    pub fn signing_hash(
        epoch: Epoch,
        view: View,
        parent_view: View,
        block: BlockId,
        chain: ChainId,
    ) -> Hash32 {
        signing_hash(
            Domain::SIGN_PROPOSE,
            chain,
            &ProposalStatement {
                epoch,
                view,
                parent_view,
                block,
            },
        )
    }

    /// The certificates that it builds on, those of the parent first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.parent_certificate.iter().chain(&self.nullifications)
    }

    /// The statement of the notarize vote that the proposal carries.
    #[must_use]
    pub fn notarize_statement(&self) -> Statement {
        let block = self.block.id();
        Statement {
            epoch: self.epoch,
            view: self.view,
            subject: Subject::Notarize {
                parent_view: self.parent_view,
                block,
            },
        }
    }

    /// The notarize vote that the proposal carries, as a vote of its leader.
    #[must_use]
    pub fn leaders_vote(&self, leader: ValidatorIndex) -> Vote {
        Vote {
            statement: self.notarize_statement(),
            signer: leader,
            signature: self.notarize,
        }
    }

    /// Verifies the epoch and the leader's two signatures.
    pub fn verify(&self, term: &Term<'_>, leader: ValidatorIndex) -> Result<(), ProposalError> {
        let (found, expected) = (self.epoch, term.epoch);
        if found != expected {
            return Err(ProposalError::OtherEpoch { found, expected });
        }
        let member = term.committee.member(leader);
        let key = member.ok_or(ProposalError::Stranger(leader))?.key;
        let (view, parent_view, block) = (self.view, self.parent_view, self.block.id());
        let message = Self::signing_hash(self.epoch, view, parent_view, block, term.chain);
        key.verify(&message, &self.signature)
            .map_err(ProposalError::Signature)?;
        let message = self.notarize_statement().signing_hash(term.chain);
        key.verify(&message, &self.notarize)
            .map_err(ProposalError::Notarize)
    }
}

/// Why a proposal is not its leader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// A proposal to another committee.
    #[error("the proposal is to the committee of epoch {found}, not of epoch {expected}")]
    OtherEpoch {
        /// The epoch that it names.
        found: Epoch,
        /// The first epoch of the committee that it was checked against.
        expected: Epoch,
    },
    /// A leader outside the committee.
    #[error("the committee has no member at position {0}")]
    Stranger(ValidatorIndex),
    /// The leader did not sign the proposal.
    #[error("the proposal is not signed by its leader: {0}")]
    Signature(KeyError),
    /// The leader did not sign the notarize vote that the proposal carries.
    #[error("the proposal's notarize vote is not signed by its leader: {0}")]
    Notarize(KeyError),
}

#[cfg(test)]
mod tests;
