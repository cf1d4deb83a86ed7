//! Partners: registration, bonds, locks and unbondings.
//!
//! A partner is *active* while its bond reaches the network's minimum and it has a place; the pages list active partners only,
//! so that their places cannot be taken for free. What locks a bond is in `locks`; locked bond cannot be unbonded. An unbonding is paid to the account by the end hook after its period, without anybody's transaction.

use state::{StateRead, read_as};
use types::codec::Bounded;
use types::hash::Address;
use types::job::PartnerProfile;
use types::number::Amount;
use types::state_key::StateKey;

use crate::{Abort, Context, Partner};

mod bond;
mod locks;
mod pages;
mod register;
mod unbond;

pub use pages::{index, index_of, newest_page, page_in, snapshot};
pub use register::check_profile;

/// The partner of an account, in any state.
pub fn read(state: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Abort> {
    Ok(read_as(state, &StateKey::Partner(*address))?)
}

impl Context<'_> {
    /// The partner of an account.
    pub fn partner(&self, address: &Address) -> Result<Option<Partner>, Abort> {
        read(&self.overlay, address)
    }

    /// Writes a partner back. Bond and profile must be those it was read with: they change by functions of this module only, which
    /// tell its page.
    pub fn put_partner(&mut self, address: &Address, partner: &Partner) {
        self.overlay.put(StateKey::Partner(*address), partner);
    }

    /// What others were paid for verifying a partner's jobs counts no more.
    // Rule C38.
    pub(crate) fn begin_probation(&mut self, address: &Address) -> Result<(), Abort> {
        if let Some(mut partner) = self.partner(address)? {
            partner.verified_fees = Amount::ZERO;
            self.put_partner(address, &partner);
        }
        Ok(())
    }

    /// Burns up to `amount` of a partner's free bond; gives what was burned. To burn locked bond, unlock it first.
    pub fn burn_bond(&mut self, address: &Address, amount: Amount) -> Result<Amount, Abort> {
        let amount = self.take_bond(address, amount)?;
        self.burn(amount)?;
        Ok(amount)
    }

    /// Takes up to `amount` of a partner's free bond; gives what was taken, which the caller puts somewhere.
    pub fn take_bond(&mut self, address: &Address, amount: Amount) -> Result<Amount, Abort> {
        let Some(mut partner) = self.partner(address)? else {
            return Ok(Amount::ZERO);
        };
        let amount = amount.min(partner.free());
        partner.bond = partner.bond.saturating_sub(amount);
        self.put_partner(address, &partner);
        self.renew_place(address, &partner)?;
        Ok(amount)
    }
}

/// A partner that did nothing yet.
pub(crate) fn new_partner(profile: PartnerProfile, bond: Amount) -> Partner {
    Partner {
        profile,
        bond,
        locks: std::collections::BTreeMap::new(),
        unbonding: Bounded::default(),
        verified_fees: Amount::ZERO,
    }
}
