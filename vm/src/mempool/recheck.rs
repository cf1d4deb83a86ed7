//! What a block changes for the transactions that wait: some go, some change queues.

use state::StateRead;
use types::hash::{Address, JobId, TransactionId};
use types::number::Height;
use types::state_key::StateKey;

use super::{Mempool, Place, read_account};
use crate::{Abort, Rules};

impl Mempool {
    /// Looks again at what depends on the keys that a block changed, on the state after it, and drops what expired: what
    /// was included or overtaken goes, and what can no longer pay; steps that their jobs await no more go too.
    /// Gives the transactions that went because trying them panicked.
    pub fn recheck<'k>(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        changed: impl IntoIterator<Item = &'k StateKey>,
    ) -> Result<Vec<TransactionId>, Abort> {
        while let Some((_, place)) = self.expiry.first().filter(|first| first.0 <= height) {
            let place = *place;
            self.remove_at(&place);
        }
        let mut jobs = Vec::new();
        for key in changed {
            match key {
                StateKey::Account(sender) => self.recheck_sender(view, sender)?,
                StateKey::Job(job) => jobs.push(*job),
                _ => {}
            }
        }
        let mut panicked = Vec::new();
        for job in jobs {
            panicked.extend(self.recheck_job(rules, view, height, &job)?);
        }
        Ok(panicked)
    }

    fn recheck_sender(&mut self, view: &dyn StateRead, sender: &Address) -> Result<(), Abort> {
        let Some(waiting) = self.senders.get_mut(sender) else {
            return Ok(());
        };
        let account = read_account(view, sender)?;
        waiting.next = account.nonce;
        let mut left = Some(account.balance);
        let mut gone = Vec::new();
        for (nonce, pooled) in &waiting.pooled {
            if *nonce >= account.nonce {
                left = left.and_then(|left| left.checked_sub(pooled.fee()));
            }
            if *nonce < account.nonce || left.is_none() {
                gone.push(*nonce);
            }
        }
        for nonce in gone {
            self.remove(sender, nonce);
        }
        Ok(())
    }

    /// Tries the steps of a job again, since it changed.
    // Rule C52.
    fn recheck_job(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        job: &JobId,
    ) -> Result<Vec<TransactionId>, Abort> {
        let went = self.steps.recheck(rules, view, height, job)?;
        for (subject, step) in went.gone {
            self.forget(&step, Place::Step(subject));
        }
        Ok(went.panicked)
    }
}
