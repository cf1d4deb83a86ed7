//! What a block changes for the transactions that wait: some go, some change queues.

use std::collections::BTreeMap;

use state::StateRead;
use types::hash::{Address, JobId, TransactionId};
use types::number::{Height, Nonce};
use types::state_key::StateKey;

use super::queue::TrialFault;
use super::{Mempool, Pooled, queue, read_account};
use crate::{Abort, Rules};

impl Mempool {
    /// Looks again at what depends on the keys that a block changed, on the state after it, and drops what expired: what
    /// was included or overtaken goes, and what can no longer pay; what a job waits for now, or no more, changes queues.
    /// Gives the transactions that went because trying them panicked.
    pub fn recheck<'k>(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        changed: impl IntoIterator<Item = &'k StateKey>,
    ) -> Result<Vec<TransactionId>, Abort> {
        while let Some((_, sender, nonce)) = self
            .expiry
            .first()
            .filter(|first| first.0 <= height)
            .copied()
        {
            self.remove(&sender, nonce);
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

    /// Puts the actions on a job into the queues where they belong since its stage changed, in order of arrival.
    // Rule C52.
    fn recheck_job(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        job: &JobId,
    ) -> Result<Vec<TransactionId>, Abort> {
        let first = (*job, Address::default(), Nonce::ZERO);
        let on_job = self
            .steps
            .range(first..)
            .take_while(|(other, ..)| other == job);
        let all: Vec<_> = on_job.map(|(_, sender, nonce)| (*sender, *nonce)).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let (snapshot, _) = queue::job_snapshot(view, job)?;
        let mut moving = BTreeMap::new();
        for (sender, nonce) in all {
            let Some(waiting) = self.senders.get(&sender) else {
                continue;
            };
            let stale = |pooled: &Pooled| pooled.step.is_some_and(|step| step.snapshot != snapshot);
            if waiting.pooled.get(&nonce).is_some_and(stale) {
                let next = waiting.next;
                moving.extend(
                    self.remove(&sender, nonce)
                        .map(|pooled| (pooled.arrival, (sender, next, pooled))),
                );
            }
        }
        let mut panicked = Vec::new();
        for (sender, next, mut pooled) in moving.into_values() {
            let transaction = pooled.transaction.transaction();
            pooled.step = match queue::try_step(rules, view, height, &sender, transaction) {
                Ok(step) => step,
                Err(TrialFault::Panicked) => {
                    panicked.push(pooled.transaction.id());
                    continue;
                }
                Err(TrialFault::Abort(_)) => continue,
            };
            pooled.queue = self.queue(&sender, &pooled.transaction, pooled.step);
            self.put(sender, next, pooled);
        }
        Ok(panicked)
    }
}
