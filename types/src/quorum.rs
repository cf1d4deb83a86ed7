//! What makes many signatures a quorum's: the one rule for certificates of votes and of statements.

use crate::committee::{Committee, ValidatorSet};
use crate::hash::Hash32;
use crate::key::{Signature, Signed, verify_batch};
use crate::number::{Epoch, Stake, ValidatorIndex};

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The signatures are not one per signer.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Signers in the set.
        signers: usize,
        /// Number of signatures in the certificate.
        signatures: usize,
    },
    /// A certificate of another committee's term of office.
    #[error("the certificate is of the committee of epoch {found}, not of epoch {expected}")]
    OtherEpoch {
        /// The epoch that it names.
        found: Epoch,
        /// The first epoch of the committee that it was checked against.
        expected: Epoch,
    },
    /// A signer outside the committee.
    #[error("the committee has no member at position {0}")]
    Stranger(ValidatorIndex),
    /// The signers hold less stake than a quorum.
    #[error("the signers hold {found} of the {quorum} stake that decides")]
    NoQuorum {
        /// Stake of the signers.
        found: Stake,
        /// Stake of a quorum of the committee.
        quorum: Stake,
    },
    /// A signature that does not verify.
    #[error("a signature does not verify")]
    Signature,
}

/// Signatures of members of a committee on one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuorumSignatures<'a> {
    /// The signers' positions.
    pub signers: &'a ValidatorSet,
    /// One signature per signer, in ascending order of position.
    pub signatures: &'a [Signature],
}

impl QuorumSignatures<'_> {
    /// Each signer is a member and has one signature, the signers' stake decides, and every signature verifies. With a
    /// `secret` that the signers cannot know they are verified as one batch; without one, each alone. The verdict is the same.
    pub fn verify(
        &self,
        committee: &Committee,
        message: Hash32,
        secret: Option<&Hash32>,
    ) -> Result<(), CertificateError> {
        self.check_shape(committee)?;
        let mut items = Vec::with_capacity(self.signatures.len());
        for (index, signature) in self.signers.iter().zip(self.signatures) {
            let member = committee.member(index);
            items.push(Signed {
                key: member.ok_or(CertificateError::Stranger(index))?.key,
                message,
                signature: *signature,
            });
        }
        let verified = match secret {
            Some(secret) => verify_batch(&items, secret),
            None => items
                .iter()
                .all(|item| item.key.verify(&item.message, &item.signature).is_ok()),
        };
        verified.then_some(()).ok_or(CertificateError::Signature)
    }

    /// Checks all of [`QuorumSignatures::verify`] but the signatures.
    pub fn check_shape(&self, committee: &Committee) -> Result<(), CertificateError> {
        let (signers, signatures) = (self.signers.len(), self.signatures.len());
        if signers != signatures {
            return Err(CertificateError::Count {
                signers,
                signatures,
            });
        }
        let stranger = |index: &ValidatorIndex| committee.member(*index).is_none();
        if let Some(stranger) = self.signers.iter().find(stranger) {
            return Err(CertificateError::Stranger(stranger));
        }
        let (found, quorum) = (
            committee.stake_of(self.signers),
            committee.thresholds().quorum,
        );
        if committee.decides(found) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { found, quorum })
        }
    }
}
