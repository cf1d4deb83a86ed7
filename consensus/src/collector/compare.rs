//! Certificates that say nothing new are still compared with the votes held: a signer that told us something else is
//! found out, though we had a quorum without it. Only votes that contradict one that is held are verified.

use types::number::ValidatorIndex;
use types::vote::{Certificate, CertificateError, Vote};

use super::{Collector, Kind};
use crate::effect::Fault;
use crate::evidence::contradict;

impl Collector {
    /// Looks for contradictions between a known certificate, which nobody verified, and what its signers said before.
    /// Errors: one of its votes is forged, for which whoever sent it answers.
    pub fn compare(
        &mut self,
        certificate: &Certificate,
    ) -> Result<Vec<(ValidatorIndex, Fault)>, CertificateError> {
        let statement = certificate.statement;
        if !self.admits(&statement) {
            return Ok(Vec::new());
        }
        let pairs = certificate.signers.iter().zip(&certificate.signatures);
        let votes = pairs.map(|(signer, signature)| Vote {
            statement,
            signer,
            signature: *signature,
        });
        let second: Vec<Vote> = votes.filter(|vote| self.is_second(vote)).collect();
        if !second.is_empty() && !self.verify(&second) {
            return Err(CertificateError::Signature);
        }
        let faults = second
            .into_iter()
            .flat_map(|vote| self.insert_verified(vote).faults);
        Ok(faults.collect())
    }

    /// True if the signer said something else, and not this already.
    fn is_second(&self, vote: &Vote) -> bool {
        let slot = (
            vote.statement.view,
            Kind::of(&vote.statement.subject),
            vote.signer,
        );
        match self.slots.get(&slot).map(Vec::as_slice) {
            None => self.opposite(&slot).is_some(),
            Some([first]) => contradict(&first.vote.statement, &vote.statement),
            Some(_) => false,
        }
    }
}
