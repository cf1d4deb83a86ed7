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

    /// Moves so much from one lock to another, which is made if it is not there; the first one ends with its last unit.
    // Rules C60, C74.
    pub(crate) fn move_lock(
        &mut self,
        address: &Address,
        from: LockReason,
        to: LockReason,
        amount: Amount,
    ) -> Result<(), Abort> {
        let missing = Corruption::LockMissing {
            partner: *address,
            amount,
        };
        let mut partner = self.partner(address)?.ok_or(missing)?;
        let held = partner.locks.remove(&from.id());
        let held = held.map_or(Amount::ZERO, |lock| lock.amount);
        let left = held.checked_sub(amount).ok_or(missing)?;
        if left > Amount::ZERO {
            let lock = BondLock {
                amount: left,
                reason: from,
            };
            partner.locks.insert(from.id(), lock);
        } else if let Some(at) = from.until() {
            due::remove::<DueLock>(self, DueQueue::Locks, at, (*address, from.id()))?;
        }
        if let Some(at) = to.until().filter(|_| !partner.locks.contains_key(&to.id())) {
            due::insert::<DueLock>(self, DueQueue::Locks, at, (*address, to.id()))?;
        }
        let lock = partner.locks.entry(to.id()).or_insert(BondLock {
            amount: Amount::ZERO,
            reason: to,
        });
        // It was part of the same bond before.
        lock.amount = Amount(lock.amount.0.saturating_add(amount.0));
        self.put_partner(address, &partner);
        Ok(())
    }

    /// The end of an audit window that begins now, rounded up.
    pub(crate) fn audit_end(&self) -> ChainTime {
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
