//! From one committee to the next: the boundary header that announces it, finalized by the committee in office.

use types::hash::{BlockId, ChainId, Hash32};
use types::number::{Epoch, Height};
use types::params::UnknownProtocolVersion;
use types::proof::Handover;
use types::versions::known;
use types::vote::{CertificateError, Subject};

use crate::Light;

/// Why a handover proves no new committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// A header of another chain.
    #[error("header {height} is of chain {found}, not of {expected}")]
    OtherChain {
        /// Height of the offending header.
        height: Height,
        /// Chain that the header names.
        found: ChainId,
        /// The chain that is trusted.
        expected: ChainId,
    },
    /// A header that is not the last of an epoch.
    #[error("height {0} is not the last of an epoch: no committee takes office after it")]
    NoBoundary(Height),
    /// A header from before the term of the newest committee that is known.
    #[error(
        "height {height} is of epoch {epoch}, before epoch {since} in which the newest known committee took office"
    )]
    Past {
        /// Height of the offending header.
        height: Height,
        /// Epoch of that height.
        epoch: Epoch,
        /// The first epoch of the newest committee's term.
        since: Epoch,
    },
    /// The header announces another committee than the one given.
    #[error("header {height} announces committee {announced}, the one given has hash {found}")]
    OtherCommittee {
        /// Height of the offending header.
        height: Height,
        /// The hash in the header.
        announced: Hash32,
        /// The hash of the members given.
        found: Hash32,
    },
    /// The committee in office stays.
    #[error("header {0} announces the committee that is in office: nothing is handed over")]
    SameCommittee(Height),
    /// A certificate of something else.
    #[error("the certificate does not finalize block {0} itself")]
    NotFinalized(BlockId),
    /// A certificate that proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The header is final, and this program does not know the version of the protocol that it follows.
    #[error(transparent)]
    Version(#[from] UnknownProtocolVersion),
}

impl Light {
    /// Takes the committee that follows the newest one known. Nothing changes if the handover is refused.
    pub fn advance(&mut self, handover: &Handover) -> Result<(), HandoverError> {
        let (header, term) = (&handover.header, self.newest_term());
        let height = header.height;
        if header.chain_id != self.chain {
            return Err(HandoverError::OtherChain {
                height,
                found: header.chain_id,
                expected: self.chain,
            });
        }
        if !self.params.is_boundary(height) {
            return Err(HandoverError::NoBoundary(height));
        }
        let (epoch, since) = (self.params.epoch(height), term.epoch);
        if epoch < since {
            return Err(HandoverError::Past {
                height,
                epoch,
                since,
            });
        }
        let (announced, found) = (header.next_committee, handover.committee.hash());
        if announced != found {
            return Err(HandoverError::OtherCommittee {
                height,
                announced,
                found,
            });
        }
        if found == term.committee.hash() {
            return Err(HandoverError::SameCommittee(height));
        }
        let block = header.id();
        if handover.certificate.statement.subject != (Subject::Finalize { block }) {
            return Err(HandoverError::NotFinalized(block));
        }
        handover.certificate.verify(&term, None)?;
        known(header.protocol_version, height)?;
        self.committees
            .push((epoch.next(), handover.committee.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
