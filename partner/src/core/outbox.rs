//! Charged transactions on their way: signed once, kept, sent again until the chain has used their nonce or they expired. Steps
//! of jobs are not among them.
//!
//! Whether a transaction is still needed is read off the chain, never off the answer to sending it. A nonce that was
//! used while its purpose is still open means that the action failed or that another transaction took the nonce; it
//! is then signed anew, after a pause that doubles with each failure.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::Bounded;
use types::gas::with_least_fee;
use types::hash::ChainId;
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce};
use types::transaction::{Action, SignedTransaction, Transaction};

/// Most transactions on their way: one for each purpose.
pub const MAX_PENDING: usize = 2;
/// Heights for which a transaction is valid.
pub(super) const VALID_HEIGHTS: u64 = 3_000;
/// Heights after which a transaction is sent again.
pub(super) const SEND_AGAIN_HEIGHTS: u64 = 4;
/// The pause after a failure is 2^failures heights, at most 2 to this power.
const MAX_PAUSE_POWER: u32 = 7;

/// What a transaction is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Purpose {
    /// To register, or to change the registration.
    Register,
    /// To fill up the bond.
    Bond,
}

/// A transaction on its way.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PendingTransaction {
    /// What it is for.
    pub purpose: Purpose,
    /// The same bytes each time.
    pub transaction: SignedTransaction,
    /// Height at which it was last sent.
    pub sent: Height,
}

/// How often a purpose failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct PurposeFailures {
    /// Failures of the purpose since it first was tried.
    pub count: u32,
    /// Not to be tried again below this height.
    pub pause_until: Height,
}

/// All transactions on their way, by ascending nonce.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct TransactionOutbox {
    pending: Bounded<PendingTransaction, MAX_PENDING>,
    failures: BTreeMap<Purpose, PurposeFailures>,
}

/// Signs what the outbox sends.
#[derive(Debug)]
pub struct TransactionSigner<'a> {
    /// Chain that the transactions are signed for.
    pub chain: ChainId,
    /// Key that signs the transactions.
    pub key: &'a SecretKey,
    /// The network's minimum fee; each transaction offers the least that it must.
    pub min_fee: Amount,
}

impl TransactionSigner<'_> {
    pub(super) fn sign(
        &self,
        nonce: Nonce,
        valid_until: Height,
        action: Action,
    ) -> SignedTransaction {
        let transaction = Transaction {
            chain_id: self.chain,
            sender: self.key.public(),
            nonce,
            valid_until,
            fee: Amount::ZERO,
            action,
        };
        with_least_fee(transaction, self.min_fee).sign(self.key)
    }
}

/// What a reconciliation asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// True if the outbox changed and must be kept before anything is sent.
    pub changed: bool,
    /// To be sent now, by ascending nonce.
    pub transactions: Vec<SignedTransaction>,
}

impl TransactionOutbox {
    /// The transactions on their way.
    #[must_use]
    pub fn pending(&self) -> &[PendingTransaction] {
        &self.pending
    }

    /// After a restart nothing is known to have been sent: everything goes out once more.
    #[must_use]
    pub fn resumed(mut self) -> Self {
        for pending in self.pending.as_mut_slice() {
            pending.sent = Height::ZERO;
        }
        self
    }

    /// Compares what is on its way with what the chain still needs (`wanted`), where the account has sent `nonce`
    /// transactions at `height`.
    pub fn reconcile(
        &mut self,
        signer: &TransactionSigner<'_>,
        nonce: Nonce,
        height: Height,
        wanted: BTreeMap<Purpose, Action>,
    ) -> Sending {
        let mut sending = Sending::default();
        self.drop_used(nonce, height, &wanted, &mut sending);
        self.drop_expired(height, &mut sending);
        for (purpose, action) in wanted {
            let waits = self
                .pending
                .iter()
                .any(|pending| pending.purpose == purpose);
            if waits || !self.may_try(purpose, height) {
                continue;
            }
            let pending = self.sign(signer, nonce, height, purpose, action);
            if self.pending.push(pending).is_err() {
                break;
            }
            sending.changed = true;
        }
        for pending in self.pending.as_mut_slice() {
            if pending.sent == Height::ZERO
                || height >= pending.sent.saturating_add(SEND_AGAIN_HEIGHTS)
            {
                // Height 0 marks what was never sent, so a send at genesis counts as one at height 1.
                pending.sent = height.max(Height(1));
                sending.transactions.push(pending.transaction.clone());
            }
        }
        sending
    }

    fn sign(
        &self,
        signer: &TransactionSigner<'_>,
        nonce: Nonce,
        height: Height,
        purpose: Purpose,
        action: Action,
    ) -> PendingTransaction {
        let next = self.pending.last().map_or(nonce, |last| {
            last.transaction.transaction().nonce.next().max(nonce)
        });
        let valid_until = height.saturating_add(VALID_HEIGHTS);
        PendingTransaction {
            purpose,
            transaction: signer.sign(next, valid_until, action),
            sent: Height::ZERO,
        }
    }

    /// Drops transactions whose nonce the chain has used; one whose purpose is still open has failed.
    fn drop_used(
        &mut self,
        nonce: Nonce,
        height: Height,
        wanted: &BTreeMap<Purpose, Action>,
        sending: &mut Sending,
    ) {
        for pending in &self.pending {
            if pending.transaction.transaction().nonce >= nonce {
                continue;
            }
            sending.changed = true;
            if !wanted.contains_key(&pending.purpose) {
                self.failures.remove(&pending.purpose);
                continue;
            }
            let failures = self.failures.entry(pending.purpose).or_default();
            failures.count = failures.count.saturating_add(1);
            failures.pause_until = height.saturating_add(1 << failures.count.min(MAX_PAUSE_POWER));
        }
        self.pending
            .retain(|pending| pending.transaction.transaction().nonce >= nonce);
    }

    /// Drops a transaction that can no longer be included, and all after it: their nonces wait for it.
    fn drop_expired(&mut self, height: Height, sending: &mut Sending) {
        let Some(expired) = self
            .pending
            .iter()
            .position(|p| p.transaction.transaction().valid_until <= height)
        else {
            return;
        };
        let mut position = 0;
        self.pending.retain(|_| {
            position += 1;
            position <= expired
        });
        sending.changed = true;
    }

    fn may_try(&self, purpose: Purpose, height: Height) -> bool {
        let failures = self.failures.get(&purpose);
        failures.is_none_or(|failures| height >= failures.pause_until)
    }
}

#[cfg(test)]
mod tests;
