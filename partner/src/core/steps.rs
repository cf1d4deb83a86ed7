//! Steps of jobs on their way: sent again until the chain does not need them any more.
//!
//! A step has no nonce, so it waits for nothing and holds nothing up. It follows from the chain and from what is on disk, so
//! it need not be kept itself: after a restart the same step is signed again.

use std::collections::BTreeMap;

use types::hash::JobId;
use types::number::{Attempt, Height, Nonce};
use types::transaction::{Action, JobAction, SignedTransaction};

use super::outbox::{SEND_AGAIN_HEIGHTS, TransactionSigner, VALID_HEIGHTS};

/// What names a step of this partner: there is one of a kind in an attempt.
type StepName = (JobId, Attempt, &'static str);

#[derive(Debug, Clone)]
struct PendingStep {
    step: JobAction,
    transaction: SignedTransaction,
    sent: Height,
}

/// The steps on their way.
#[derive(Debug, Clone, Default)]
pub struct StepQueue(BTreeMap<StepName, PendingStep>);

fn name(step: &JobAction) -> StepName {
    (step.job, step.attempt, step.step.name())
}

impl StepQueue {
    /// True if an announcement for the attempt of a job is on its way.
    #[must_use]
    pub fn announces(&self, job: JobId, attempt: Attempt) -> bool {
        self.0.contains_key(&(job, attempt, "announce"))
    }

    /// Compares what is on its way with what the chain still needs at `height`; gives what is to be sent now.
    pub fn reconcile(
        &mut self,
        signer: &TransactionSigner<'_>,
        height: Height,
        wanted: Vec<JobAction>,
    ) -> Vec<SignedTransaction> {
        let mut before = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for step in wanted {
            let known = before.remove(&name(&step)).filter(|known| {
                let valid_until = known.transaction.transaction().valid_until;
                known.step == step && height < valid_until
            });
            let mut pending = known.unwrap_or_else(|| PendingStep {
                transaction: sign(signer, height, step.clone()),
                step,
                sent: Height::ZERO,
            });
            let again = pending.sent.saturating_add(SEND_AGAIN_HEIGHTS);
            if pending.sent == Height::ZERO || height >= again {
                // Height 0 marks what was never sent, so a send at genesis counts as one at height 1.
                pending.sent = height.max(Height(1));
                due.push(pending.transaction.clone());
            }
            self.0.insert(name(&pending.step), pending);
        }
        due
    }
}

fn sign(signer: &TransactionSigner<'_>, height: Height, step: JobAction) -> SignedTransaction {
    let valid_until = height.saturating_add(VALID_HEIGHTS);
    signer.sign(Nonce::ZERO, valid_until, Action::Job(step))
}

#[cfg(test)]
mod tests {
    use types::hash::{ChainId, Hash32};
    use types::key::SecretKey;
    use types::number::Amount;
    use types::transaction::JobStep;

    use super::*;

    const JOB: JobId = JobId(Hash32([1; 32]));

    fn commit(byte: u8) -> JobAction {
        let commitment = Hash32([byte; 32]);
        let (job, attempt) = (JOB, Attempt(0));
        let step = JobStep::Commit { commitment };
        JobAction { job, attempt, step }
    }

    fn reconcile(
        steps: &mut StepQueue,
        height: u64,
        wanted: &[JobAction],
    ) -> Vec<SignedTransaction> {
        let key = SecretKey::from_bytes(&[1; 32]);
        let signer = TransactionSigner {
            chain: ChainId::default(),
            key: &key,
            min_fee: Amount(1),
        };
        steps.reconcile(&signer, Height(height), wanted.to_vec())
    }

    #[test]
    fn the_same_bytes_are_sent_again_after_a_while_for_as_long_as_they_are_needed() {
        let mut steps = StepQueue::default();
        let first = reconcile(&mut steps, 10, &[commit(1)]);
        let transaction = first[0].transaction();
        assert_eq!((transaction.nonce, transaction.fee), (Nonce(0), Amount(0)));
        let early = 10 + SEND_AGAIN_HEIGHTS - 1;
        assert_eq!(reconcile(&mut steps, early, &[commit(1)]), []);
        assert_eq!(reconcile(&mut steps, early + 1, &[commit(1)]), first);
        assert_eq!(reconcile(&mut steps, early + 2, &[]), []);
        assert!(steps.0.is_empty());
    }

    #[test]
    fn what_expired_or_is_another_one_is_signed_anew() {
        let mut steps = StepQueue::default();
        let first = reconcile(&mut steps, 10, &[commit(1)]);
        let other = reconcile(&mut steps, 11, &[commit(2)]);
        assert_eq!(other.len(), 1);
        assert_ne!(other, first);
        let late = reconcile(&mut steps, 11 + VALID_HEIGHTS, &[commit(2)]);
        assert!(late[0].transaction().valid_until > other[0].transaction().valid_until);
    }
}
