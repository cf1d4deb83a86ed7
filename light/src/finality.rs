//! Finality: a certificate, a path of headers to it, and values under the state root of the path's first header.

use types::block::Header;
use types::hash::{BlockId, ChainId, Hash32};
use types::number::{Epoch, Height};
use types::params::UnknownProtocolVersion;
use types::proof::{FinalityProof, ValueProof};
use types::state_key::StateKey;
use types::versions::known;
use types::vote::{CertificateError, Subject, Term};

use crate::Light;
use crate::tree::{TreeError, verify_state};

/// Why a header is not shown to be final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// The path holds no header, so that it ends nowhere.
    #[error("the proof holds no header")]
    NoHeader,
    /// A header of another chain.
    #[error("header {height} is of chain {found}, not of {expected}")]
    OtherChain {
        /// Height of the foreign header.
        height: Height,
        /// Chain that the header names.
        found: ChainId,
        /// The chain that is trusted.
        expected: ChainId,
    },
    /// Two headers in a row that are not parent and child.
    #[error("header {height} is not the child of the header before it")]
    BrokenPath {
        /// The later header's height.
        height: Height,
    },
    /// A certificate of a committee that is not proven.
    #[error("the certificate is of the committee of epoch {0}, of which there is no proof here")]
    UnknownCommittee(Epoch),
    /// A header outside the term of the committee that made the certificate.
    #[error(
        "header {height} is of epoch {epoch}, outside the term of the committee of epoch {term}"
    )]
    OutsideTerm {
        /// Height of the offending header.
        height: Height,
        /// Epoch of that height.
        epoch: Epoch,
        /// The first epoch of the committee's term.
        term: Epoch,
    },
    /// A header that hands over to another committee: certificates of this one say nothing about what follows.
    #[error("header {height} announces committee {announced}, not the one that finalized it")]
    OtherCommittee {
        /// Height of the offending header.
        height: Height,
        /// The announced committee's hash.
        announced: Hash32,
    },
    /// A certificate of something else.
    #[error("the certificate does not finalize block {0}, the last of the path")]
    NotFinalized(BlockId),
    /// A certificate that proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The header is final, and this program does not know the version of the protocol that it follows.
    #[error(transparent)]
    Version(#[from] UnknownProtocolVersion),
}

/// Why a value is not shown to be in state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The header is not final.
    #[error(transparent)]
    Finality(#[from] FinalityError),
    /// The path does not show the value.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Height 0 has no parent, so its header names no state.
    #[error("the header of height 0 names no state")]
    NoState,
}

/// A value that is shown to be in state, or a key that is shown to be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenValue<'a> {
    /// Its bytes; nothing if the key is shown absent.
    pub bytes: Option<&'a [u8]>,
    /// The height after which this is the state.
    pub height: Height,
    /// The header that names the state's root; its timestamp says how old the answer is.
    pub header: &'a Header,
}

impl Light {
    /// The first header of a proof, if it is final: its descendants lead to one that the committee in office finalized.
    pub fn verify_finality<'a>(
        &self,
        proof: &'a FinalityProof,
    ) -> Result<&'a Header, FinalityError> {
        let (Some(first), Some(last)) = (proof.headers.first(), proof.headers.last()) else {
            return Err(FinalityError::NoHeader);
        };
        let epoch = proof.certificate.statement.epoch;
        let term = self
            .term(epoch)
            .ok_or(FinalityError::UnknownCommittee(epoch))?;
        for header in &proof.headers {
            self.check_header(&term, header)?;
        }
        for pair in proof.headers.windows(2) {
            let (parent, child) = (&pair[0], &pair[1]);
            if child.parent != parent.id() || child.height != parent.height.next() {
                return Err(FinalityError::BrokenPath {
                    height: child.height,
                });
            }
        }
        let block = last.id();
        if proof.certificate.statement.subject != (Subject::Finalize { block }) {
            return Err(FinalityError::NotFinalized(block));
        }
        // Each signature alone: a batch wants a secret that the certificate's maker cannot know; there is none here.
        proof.certificate.verify(&term, None)?;
        // Last: before a quorum has said so nobody is told to install a newer program.
        for header in &proof.headers {
            known(header.protocol_version, header.height)?;
        }
        Ok(first)
    }

    /// The value under a key, if a final header's state root shows it or its absence.
    pub fn verify_value<'a>(
        &self,
        proof: &'a ValueProof,
        key: &StateKey,
    ) -> Result<ProvenValue<'a>, ValueError> {
        let header = self.verify_finality(&proof.finality)?;
        let height = header.height.checked_sub(1).ok_or(ValueError::NoState)?;
        let bytes = proof.value.as_deref();
        verify_state(&header.parent_state_root, key, bytes, &proof.proof)?;
        Ok(ProvenValue {
            bytes,
            height,
            header,
        })
    }

    /// Checks what a header of a path must be, whatever its certificate: of the chain, within the committee's term, and
    /// not the one that hands over to another committee.
    fn check_header(&self, term: &Term<'_>, header: &Header) -> Result<(), FinalityError> {
        let (height, found, expected) = (header.height, header.chain_id, self.chain);
        if found != expected {
            return Err(FinalityError::OtherChain {
                height,
                found,
                expected,
            });
        }
        let epoch = self.params.epoch(height);
        let over = self.next_term(term.epoch).is_some_and(|next| epoch >= next);
        if epoch < term.epoch || over {
            return Err(FinalityError::OutsideTerm {
                height,
                epoch,
                term: term.epoch,
            });
        }
        let announced = header.next_committee;
        if announced != Hash32::ZERO && announced != term.committee.hash() {
            return Err(FinalityError::OtherCommittee { height, announced });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
