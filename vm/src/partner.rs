//! Partners: registration, bonds, locks and unbondings.
//!
//! A partner is *active* while its bond reaches the network's minimum; the index lists active partners only, so that
//! its places cannot be taken for free. Locks are for jobs; what is locked cannot be unbonded. An unbonding is paid to
//! the account by the end hook after its period, without anybody's transaction.

use state::{StateRead, read_as};
use types::codec::Bounded;
use types::hash::{Address, JobId};
use types::job::PartnerProfile;
use types::number::Amount;
use types::state_key::StateKey;

use crate::{ActionError, Context, Fault, Partner};

mod bond;
mod register;
mod snapshot;
mod unbond;

pub use register::check_profile;

/// The partner of an account, in any state.
pub fn read(state: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Fault> {
    Ok(read_as(state, &StateKey::Partner(*address))?)
}

/// The addresses of all active partners, ascending, in any state.
pub fn index(state: &dyn StateRead) -> Result<Vec<Address>, Fault> {
    Ok(read_as(state, &StateKey::PartnerIndex)?.unwrap_or_default())
}

impl Context<'_> {
    /// The partner of an account.
    pub fn partner(&self, address: &Address) -> Result<Option<Partner>, Fault> {
        read(&self.overlay, address)
    }

    /// Writes a partner back. Its bond must be the one it was read with: bonds move by the functions below only.
    pub fn put_partner(&mut self, address: &Address, partner: &Partner) {
        self.overlay.put(StateKey::Partner(*address), partner);
    }

    /// Locks free bond for a job, beside what is locked for it already.
    pub fn lock_bond(
        &mut self,
        address: &Address,
        job: JobId,
        amount: Amount,
    ) -> Result<(), ActionError> {
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        let free = partner.free();
        if amount > free {
            return Err(ActionError::BondLocked {
                free,
                asked: amount,
            });
        }
        let lock = partner.locks.entry(job).or_default();
        *lock = lock
            .checked_add(amount)
            .ok_or(Fault::Broken("a lock beyond the bond"))?;
        self.put_partner(address, &partner);
        Ok(())
    }

    /// Frees what a job locked; gives how much. Nothing if it locked nothing.
    pub fn unlock_bond(&mut self, address: &Address, job: &JobId) -> Result<Amount, Fault> {
        let Some(mut partner) = self.partner(address)? else {
            return Ok(Amount::ZERO);
        };
        let freed = partner.locks.remove(job);
        if freed.is_some() {
            self.put_partner(address, &partner);
        }
        Ok(freed.unwrap_or_default())
    }

    /// Burns up to `amount` of a partner's bond that no job locks; gives what was burned. To burn what a job locks,
    /// unlock it first.
    pub fn burn_bond(&mut self, address: &Address, amount: Amount) -> Result<Amount, Fault> {
        let Some(mut partner) = self.partner(address)? else {
            return Ok(Amount::ZERO);
        };
        let amount = amount.min(partner.free());
        partner.bond = partner.bond.saturating_sub(amount);
        self.put_partner(address, &partner);
        self.burn(amount)?;
        self.leave_if_below_min(address, &partner)?;
        Ok(amount)
    }

    fn leave_if_below_min(&mut self, address: &Address, partner: &Partner) -> Result<(), Fault> {
        if partner.bond >= self.rules.params.compute.min_bond {
            return Ok(());
        }
        let mut index = index(&self.overlay)?;
        if let Ok(place) = index.binary_search(address) {
            index.remove(place);
            self.overlay.put(StateKey::PartnerIndex, &index);
        }
        Ok(())
    }
}

/// A partner that did nothing yet.
pub(crate) fn new_partner(profile: PartnerProfile, bond: Amount) -> Partner {
    Partner {
        profile,
        bond,
        locks: std::collections::BTreeMap::new(),
        unbonding: Bounded::default(),
        running: 0,
        verified_value: Amount::ZERO,
    }
}
