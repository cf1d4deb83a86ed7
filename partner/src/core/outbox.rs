//! Transactions on their way: signed once, kept, sent again until the chain has used their nonce or they expired.
//!
//! Whether a transaction is still needed is read off the chain, never off the answer to sending it. A nonce that was
//! used while its purpose is still open means that the action failed or that another transaction took the nonce; it
//! is then signed anew, after a pause that doubles with each failure.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::Bounded;
use types::hash::{ChainId, JobId};
use types::key::SecretKey;
use types::number::{Amount, Attempt, Height, Nonce};
use types::transaction::{Action, SignedTransaction, Transaction};

/// Most transactions on their way; below what a mempool holds per sender.
pub const MAX_PENDING: usize = 12;
/// Heights for which a transaction is valid.
const VALID_HEIGHTS: u64 = 3_000;
/// Heights after which a transaction is sent again.
const SEND_AGAIN_HEIGHTS: u64 = 4;
/// Failures after which a job's transaction is given up.
pub const MAX_FAILURES: u32 = 5;
/// The pause after a failure is 2^failures heights, at most 2 to this power.
const MAX_PAUSE_POWER: u32 = 7;

/// What a transaction is for. The order is that of urgency: what is forfeit if it comes late goes first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Purpose {
    /// To reveal a commitment.
    Reveal(JobId, Attempt),
    /// To commit to a verifier's result.
    CommitAsVerifier(JobId, Attempt),
    /// To say that a verifier found no result.
    NoResult(JobId, Attempt),
    /// To commit to a primary's result.
    CommitAsPrimary(JobId, Attempt),
    /// To announce a verifier.
    Announce(JobId, Attempt),
    /// To take an assignment.
    Acknowledge(JobId, Attempt),
    /// Not to take it.
    Decline(JobId, Attempt),
    /// To register, or to change the registration.
    Register,
    /// To fill up the bond.
    Bond,
}

impl Purpose {
    /// True if it is never given up.
    fn is_lasting(self) -> bool {
        matches!(self, Self::Register | Self::Bond)
    }
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
    /// Fee of each transaction.
    pub fee: Amount,
}

/// What a reconciliation asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// True if the outbox changed and must be kept before anything is sent.
    pub changed: bool,
    /// To be sent now, by ascending nonce.
    pub transactions: Vec<SignedTransaction>,
    /// Purposes that have just been given up.
    pub given_up: Vec<(Purpose, u32)>,
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
        self.failures
            .retain(|purpose, _| purpose.is_lasting() || wanted.contains_key(purpose));
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
        let transaction = Transaction {
            chain_id: signer.chain,
            sender: signer.key.public(),
            nonce: next,
            valid_until: height.saturating_add(VALID_HEIGHTS),
            fee: signer.fee,
            action,
        };
        PendingTransaction {
            purpose,
            transaction: transaction.sign(signer.key),
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
            if failures.count == MAX_FAILURES && !pending.purpose.is_lasting() {
                sending.given_up.push((pending.purpose, failures.count));
            }
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
        self.failures.get(&purpose).is_none_or(|failures| {
            height >= failures.pause_until
                && (purpose.is_lasting() || failures.count < MAX_FAILURES)
        })
    }
}

#[cfg(test)]
mod tests;
