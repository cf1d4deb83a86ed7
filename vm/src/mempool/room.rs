//! The room of the mempool: a part for steps, the rest for what is charged, and what a transaction evicts when there is none
//! left.

use std::collections::BTreeSet;

use types::hash::{Address, TransactionId};
use types::number::{Amount, Nonce};

use super::{Mempool, MempoolError, MempoolLimits, gas_of, rate};
use crate::charge::Verified;

impl Mempool {
    /// Bytes and number of what is charged once it holds `new` instead of what has its nonce now.
    fn with(&self, sender: &Address, new: &Verified) -> (usize, usize) {
        let taken = &self.ordinary;
        let (bytes, count) = (taken.bytes + new.bytes(), taken.ranks.len() + 1);
        let waiting = self.senders.get(sender);
        let old = waiting.and_then(|waiting| waiting.pooled.get(&new.transaction().nonce));
        match old {
            Some(old) => (bytes.saturating_sub(old.transaction.bytes()), count - 1),
            None => (bytes, count),
        }
    }

    /// Evicts what pays less until `new` fits, or changes nothing and says that there is no room.
    pub(super) fn make_room(
        &mut self,
        sender: &Address,
        new: &Verified,
    ) -> Result<Vec<TransactionId>, MempoolError> {
        let limits = self.ordinary_limits();
        let (mut bytes, mut count) = self.with(sender, new);
        let (offered, gas) = (rate(new), gas_of(new));
        let mut victims: BTreeSet<(Address, Nonce)> = BTreeSet::new();
        for (least, _, victim, from) in &self.ordinary.ranks {
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
                if victims.insert((*victim, *nonce)) {
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

    /// A quarter is the steps'.
    pub(super) fn step_limits(&self) -> MempoolLimits {
        MempoolLimits {
            bytes: self.limits.bytes / 4,
            transactions: self.limits.transactions / 4,
        }
    }

    fn ordinary_limits(&self) -> MempoolLimits {
        let steps = self.step_limits();
        MempoolLimits {
            bytes: self.limits.bytes - steps.bytes,
            transactions: self.limits.transactions - steps.transactions,
        }
    }
}
