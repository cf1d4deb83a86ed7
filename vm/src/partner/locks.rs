//! Locks on bonds. A lock has an amount and a reason, which says when it ends: with its job, or by itself at a chain time.
//!
//! Locks that end by themselves have round ends, so that a partner has few of them, however many jobs it has run. A queue
//! holds them by their ends, and the end hook takes them away.

use types::account::{BondLock, LockId, LockReason, Partner};
use types::hash::Address;
use types::limits::{MAX_AUDIT_LOCKS, MAX_UNLOCKED_PER_BLOCK};
use types::number::{Amount, ChainTime};
use types::state_key::DueQueue;

use crate::{Abort, ActionError, Context, Corruption, due};

/// A lock as the queue of locks has it.
type DueLock = (Address, LockId);

impl Context<'_> {
    /// The partner of an address, which must have so much free bond.
    pub(super) fn partner_with_free(
        &self,
        address: &Address,
        amount: Amount,
    ) -> Result<Partner, ActionError> {
        let partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        let free = partner.free();
        if amount > free {
            return Err(ActionError::BondLocked {
                free,
                asked: amount,
            });
        }
        Ok(partner)
    }

    /// Locks free bond for a reason, beside what is locked for it already. The lock ends with its reason.
    pub fn lock_bond(
        &mut self,
        address: &Address,
        reason: LockReason,
        amount: Amount,
    ) -> Result<(), ActionError> {
        let mut partner = self.partner_with_free(address, amount)?;
        let lock = partner.locks.entry(reason.id()).or_insert(BondLock {
            amount: Amount::ZERO,
            reason,
        });
        // The sum stays within the bond, so that it cannot overflow.
        lock.amount = Amount(lock.amount.0.saturating_add(amount.0));
        let (locked, bond) = (partner.locked(), partner.bond);
        if locked > bond {
            return Err(Corruption::LocksAboveBond {
                partner: *address,
                locked,
                bond,
            }
            .into());
        }
        self.put_partner(address, &partner);
        Ok(())
    }

    /// Ends a lock; gives how much it held. Zero if there is none.
    pub fn unlock_bond(&mut self, address: &Address, lock: LockId) -> Result<Amount, Abort> {
        let Some(mut partner) = self.partner(address)? else {
            return Ok(Amount::ZERO);
        };
        let freed = partner.locks.remove(&lock);
        if freed.is_some() {
            self.put_partner(address, &partner);
        }
        Ok(freed.map_or(Amount::ZERO, |lock| lock.amount))
    }

    /// Ends a lock, and locks what it held until the results of a job that settles now can no longer be contradicted.
    // Rule C60.
    pub(crate) fn keep_locked(&mut self, address: &Address, lock: LockReason) -> Result<(), Abort> {
        let amount = self.unlock_bond(address, lock.id())?;
        let reason = LockReason::Audit(self.audit_end());
        let known = self.partner(address)?;
        if known.is_none_or(|partner| !partner.locks.contains_key(&reason.id())) {
            let at = reason.until().unwrap_or(self.chain_time);
            due::insert::<DueLock>(self, DueQueue::Locks, at, (*address, reason.id()))?;
        }
        match self.lock_bond(address, reason, amount) {
            Ok(()) => Ok(()),
            Err(ActionError::Abort(abort)) => Err(abort),
            // What was locked just now is free.
            Err(_) => Err(Corruption::FreedBondNotFree(*address).into()),
        }
    }

    /// The end of an audit window that begins now, rounded up.
    fn audit_end(&self) -> ChainTime {
        let window_ms = self.rules.params.compute.audit_window_ms;
        let step = window_ms.div_ceil(MAX_AUDIT_LOCKS).max(1);
        let end = self.chain_time.saturating_add(window_ms);
        ChainTime(end.0.div_ceil(step).saturating_mul(step))
    }

    /// End hook: takes away the locks whose end has come.
    // Rule C60.
    pub(crate) fn end_locks(&mut self) -> Result<(), Abort> {
        let over = due::due::<DueLock>(self, DueQueue::Locks, MAX_UNLOCKED_PER_BLOCK, |_, _| true)?;
        for (at, (address, lock)) in over {
            due::remove(self, DueQueue::Locks, at, (address, lock))?;
            self.unlock_bond(&address, lock)?;
        }
        Ok(())
    }
}
