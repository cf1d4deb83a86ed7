//! Finality: a certificate, a path of headers to it, and values under the state root of the path's first header.

use types::block::Header;
use types::codec::Bounded;
use types::committee::{Committee, ValidatorSet};
use types::hash::{BlockId, ChainId, Hash32};
use types::number::{Height, Stake};
use types::proof::{FinalityProof, ValueProof};
use types::state_key::StateKey;
use types::vote::{Certificate, CertificateError, Subject};

use crate::Light;
use crate::tree::{TreeError, verify_state};

/// Why a header is not shown to be final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// No header.
    #[error("the proof holds no header")]
    NoHeader,
    /// A header of another chain.
    #[error("header {height} is of chain {found}, not of {expected}")]
    OtherChain {
        /// Its height.
        height: Height,
        /// Its chain.
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
    /// A header that hands over to another committee: certificates of this one say nothing about what follows.
    #[error("header {height} announces committee {announced}, not the one that is trusted")]
    OtherCommittee {
        /// Its height.
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

/// A value that is shown to be in state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its bytes; nothing if the key is shown absent.
    pub bytes: Option<&'a [u8]>,
    /// The height after which this is the state.
    pub height: Height,
    /// The header that names the state's root; its timestamp says how old the answer is.
    pub header: &'a Header,
}

impl Light {
    /// The first header of a proof, if it is final.
    pub fn verify_finality<'a>(
        &self,
        proof: &'a FinalityProof,
    ) -> Result<&'a Header, FinalityError> {
        let (Some(first), Some(last)) = (proof.headers.first(), proof.headers.last()) else {
            return Err(FinalityError::NoHeader);
        };
        for header in &proof.headers {
            self.check_header(header)?;
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
        self.verify_certificate(&proof.certificate)?;
        Ok(first)
    }

    /// A certificate of the committee. Signatures are verified one by one: a batch wants a secret that the maker of
    /// the certificate cannot know, and there is none here.
    pub fn verify_certificate(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        certificate.check_shape(&self.committee)?;
        let message = certificate.statement.signing_hash(self.chain);
        for (index, signature) in certificate.signers.iter().zip(&certificate.signatures) {
            let key = self
                .committee
                .member(index)
                .ok_or(CertificateError::Stranger)?
                .key;
            key.verify(&message, signature)
                .map_err(|_| CertificateError::Signature)?;
        }
        Ok(())
    }

    /// The value under a key, if a final header's state root shows it or its absence.
    pub fn verify_value<'a>(
        &self,
        proof: &'a ValueProof,
        key: &StateKey,
    ) -> Result<Value<'a>, ValueError> {
        let header = self.verify_finality(&proof.finality)?;
        let height = header.height.checked_sub(1).ok_or(ValueError::NoState)?;
        let bytes = proof.value.as_deref();
        verify_state(&header.parent_state_root, key, bytes, &proof.proof)?;
        Ok(Value {
            bytes,
            height,
            header,
        })
    }

    fn check_header(&self, header: &Header) -> Result<(), FinalityError> {
        let (height, found, expected) = (header.height, header.chain_id, self.chain);
        if found != expected {
            return Err(FinalityError::OtherChain {
                height,
                found,
                expected,
            });
        }
        let announced = header.next_committee;
        if announced != Hash32::ZERO && announced != self.committee.hash() {
            return Err(FinalityError::OtherCommittee { height, announced });
        }
        Ok(())
    }
}

/// The certificate with no more signers than a quorum needs: the heaviest first, among equals the first. So one
/// statement's certificate has one form for each set of votes that it was gathered from. One that is no quorum of
/// members with a signature each stays as it is, to be refused.
#[must_use]
pub fn minimal_certificate(certificate: &Certificate, committee: &Committee) -> Certificate {
    if certificate.check_shape(committee).is_err() {
        return certificate.clone();
    }
    let mut by_stake: Vec<_> = certificate
        .signers
        .iter()
        .filter_map(|index| Some((committee.member(index)?.stake, index)))
        .collect();
    by_stake.sort_by_key(|(stake, index)| (std::cmp::Reverse(*stake), *index));
    let quorum = committee.thresholds().quorum;
    let mut signers = ValidatorSet::default();
    let mut together = Stake::ZERO;
    for (stake, index) in by_stake {
        if together >= quorum {
            break;
        }
        together = together.saturating_add(stake.0);
        signers.insert(index);
    }
    let pairs = certificate.signers.iter().zip(&certificate.signatures);
    let signatures = pairs
        .filter(|(index, _)| signers.contains(*index))
        .map(|(_, signature)| *signature)
        .collect();
    let signatures = Bounded::new(signatures).expect("no more signatures than there were");
    Certificate {
        statement: certificate.statement,
        signers,
        signatures,
    }
}

#[cfg(test)]
mod tests;
