//! The room of the two queues: which queue takes a transaction, and what it evicts when there is none left.

use std::collections::BTreeSet;

use types::hash::{Address, TransactionId};
use types::number::{Amount, Nonce};

use super::queue::{PooledStep, Queue};
use super::{Mempool, MempoolError, MempoolLimits, Taken, gas_of, rate};
use crate::charge::Verified;

impl Mempool {
    /// The protocol queue for the first action that a job expects of a sender, if there is room in it.
    pub(super) fn queue(
        &self,
        sender: &Address,
        new: &Verified,
        step: Option<PooledStep>,
    ) -> Queue {
        let Some(step) = step.filter(|step| step.awaited) else {
            return Queue::Ordinary;
        };
        let nonce = new.transaction().nonce;
        if self
            .awaited
            .get(&(*sender, step.job, step.step))
            .is_some_and(|taken| *taken != nonce)
        {
            return Queue::Ordinary;
        }
        let (limits, (bytes, count)) = (
            self.queue_limits(Queue::Protocol),
            self.with(sender, new, Queue::Protocol),
        );
        if bytes <= limits.bytes && count <= limits.transactions {
            Queue::Protocol
        } else {
            Queue::Ordinary
        }
    }

    /// Bytes and number in a queue once it holds `new` instead of what has its nonce now.
    fn with(&self, sender: &Address, new: &Verified, queue: Queue) -> (usize, usize) {
        let taken = self.taken(queue);
        let (bytes, count) = (taken.bytes + new.bytes(), taken.ranks.len() + 1);
        let waiting = self.senders.get(sender);
        let old = waiting.and_then(|waiting| waiting.pooled.get(&new.transaction().nonce));
        match old.filter(|old| old.queue == queue) {
            Some(old) => (bytes.saturating_sub(old.transaction.bytes()), count - 1),
            None => (bytes, count),
        }
    }

    /// Evicts what pays less until `new` fits the ordinary queue, or changes nothing and says that there is no room.
    pub(super) fn make_room(
        &mut self,
        sender: &Address,
        new: &Verified,
    ) -> Result<Vec<TransactionId>, MempoolError> {
        let queue = Queue::Ordinary;
        let limits = self.queue_limits(queue);
        let (mut bytes, mut count) = self.with(sender, new, queue);
        let (offered, gas) = (rate(new), gas_of(new));
        let mut victims: BTreeSet<(Address, Nonce)> = BTreeSet::new();
        for (least, _, victim, from) in &self.taken(queue).ranks {
            if bytes <= limits.bytes && count <= limits.transactions {
                break;
            }
            if *least >= offered {
                return Err(MempoolError::Full {
                    above: Amount(least.saturating_mul(gas).div_ceil(1 << 16)),
                });
            }
            if victim == sender {
                continue;
            }
            // What follows a victim could not be executed without it.
            for (nonce, pooled) in self
                .senders
                .get(victim)
                .into_iter()
                .flat_map(|w| w.pooled.range(*from..))
            {
                if victims.insert((*victim, *nonce)) && pooled.queue == queue {
                    (bytes, count) = (
                        bytes.saturating_sub(pooled.transaction.bytes()),
                        count.saturating_sub(1),
                    );
                }
            }
        }
        if bytes > limits.bytes || count > limits.transactions {
            return Err(MempoolError::Full {
                above: new.transaction().fee,
            });
        }
        let gone = victims
            .into_iter()
            .filter_map(|(victim, nonce)| self.remove(&victim, nonce));
        Ok(gone.map(|pooled| pooled.transaction.id()).collect())
    }

    fn queue_limits(&self, queue: Queue) -> MempoolLimits {
        let MempoolLimits {
            bytes,
            transactions,
        } = self.limits;
        match queue {
            Queue::Protocol => MempoolLimits {
                bytes: bytes / 4,
                transactions: transactions / 4,
            },
            Queue::Ordinary => MempoolLimits {
                bytes: bytes - bytes / 4,
                transactions: transactions - transactions / 4,
            },
        }
    }

    fn taken(&self, queue: Queue) -> &Taken {
        match queue {
            Queue::Ordinary => &self.ordinary,
            Queue::Protocol => &self.protocol,
        }
    }

    pub(super) fn taken_mut(&mut self, queue: Queue) -> &mut Taken {
        match queue {
            Queue::Ordinary => &mut self.ordinary,
            Queue::Protocol => &mut self.protocol,
        }
    }
}
