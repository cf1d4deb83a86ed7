//! The signed messages of consensus: votes, certificates and proposals.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::codec::Bounded;
use crate::committee::{Committee, ValidatorSet};
use crate::hash::{BlockId, ChainId, Domain, Hash32};
use crate::key::{KeyError, SecretKey, Signature, Signed, signing_hash, verify_batch};
use crate::limits::{MAX_COMMITTEE, MAX_INLINE_NULLIFICATIONS};
use crate::number::{Epoch, ValidatorIndex, View};

/// What a vote says about its view.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// This block, whose parent is of that view, may be built upon.
    Notarize {
        /// View of the parent; 0 is genesis.
        parent_view: View,
        /// The block.
        block: BlockId,
    },
    /// The view is over without a decision.
    Nullify,
    /// This block is decided.
    Finalize {
        /// The block.
        block: BlockId,
    },
}

/// The signed part of a vote: epoch, view and subject. All signers of a certificate signed the same one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct Statement {
    /// Term of office of the committee that votes.
    pub epoch: Epoch,
    /// The view voted on.
    pub view: View,
    /// What is said.
    pub subject: Subject,
}

impl Statement {
    /// What is signed.
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
    /// What is said.
    pub statement: Statement,
    /// Who says it.
    pub signer: ValidatorIndex,
    /// Over the statement's signing hash.
    pub signature: Signature,
}

impl Vote {
    /// Signs a statement.
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
    /// What all signers said.
    pub statement: Statement,
    /// Who signed.
    pub signers: ValidatorSet,
    /// One signature per signer, in ascending order of position.
    pub signatures: Bounded<Signature, MAX_COMMITTEE>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The signatures are not one per signer.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Signers in the set.
        signers: usize,
        /// Signatures given.
        signatures: usize,
    },
    /// A signer outside the committee.
    #[error("a signer is no member of the committee")]
    Stranger,
    /// Not enough stake.
    #[error("the signers hold {found} of the {quorum} stake that decides")]
    NoQuorum {
        /// Stake of the signers, in units of stake.
        found: u64,
        /// Stake needed, in units of stake.
        quorum: u64,
    },
    /// A signature that does not verify.
    #[error("a signature does not verify")]
    Signature,
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

    /// Verifies shape, stake and all signatures against a committee.
    pub fn verify(
        &self,
        committee: &Committee,
        chain: ChainId,
        secret: &Hash32,
    ) -> Result<(), CertificateError> {
        self.check_shape(committee)?;
        let message = self.statement.signing_hash(chain);
        let mut items = Vec::with_capacity(self.signatures.len());
        for (index, signature) in self.signers.iter().zip(&self.signatures) {
            let key = committee
                .member(index)
                .ok_or(CertificateError::Stranger)?
                .key;
            items.push(Signed {
                key,
                message,
                signature: *signature,
            });
        }
        verify_batch(&items, secret)
            .then_some(())
            .ok_or(CertificateError::Signature)
    }

    /// Checks all but the signatures.
    pub fn check_shape(&self, committee: &Committee) -> Result<(), CertificateError> {
        let (signers, signatures) = (self.signers.len(), self.signatures.len());
        if signers != signatures {
            return Err(CertificateError::Count {
                signers,
                signatures,
            });
        }
        if self
            .signers
            .iter()
            .any(|index| committee.member(index).is_none())
        {
            return Err(CertificateError::Stranger);
        }
        let (found, quorum) = (
            committee.stake_of(&self.signers),
            committee.thresholds().quorum,
        );
        if found < quorum {
            return Err(CertificateError::NoQuorum {
                found: found.0,
                quorum: quorum.0,
            });
        }
        Ok(())
    }
}

/// A leader's block for a view, with what lets its reader build upon the parent.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// Term of office.
    pub epoch: Epoch,
    /// The leader's view.
    pub view: View,
    /// View of the parent; 0 is genesis.
    pub parent_view: View,
    /// The block, whole.
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

    /// Verifies the leader's two signatures.
    pub fn verify(
        &self,
        committee: &Committee,
        leader: ValidatorIndex,
        chain: ChainId,
    ) -> Result<(), KeyError> {
        let key = committee.member(leader).ok_or(KeyError::BadSignature)?.key;
        let message = Self::signing_hash(
            self.epoch,
            self.view,
            self.parent_view,
            self.block.id(),
            chain,
        );
        key.verify(&message, &self.signature)?;
        key.verify(
            &self.notarize_statement().signing_hash(chain),
            &self.notarize,
        )
    }
}
