//! `Action::Bond`: moves money from the account into the bond. Draws see it from the next epoch on.

use types::hash::Address;
use types::number::Amount;
use types::state_key::StateKey;

use super::index;
use crate::{ActionError, Context, Corruption};

impl Context<'_> {
    /// Adds to the sender's bond; the partner enters the index when the bond reaches the minimum and there is a place.
    pub(crate) fn bond(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        if amount == Amount::ZERO {
            return Err(ActionError::ZeroAmount);
        }
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        self.debit(address, amount)?;
        partner.bond = partner
            .bond
            .checked_add(amount)
            .ok_or(Corruption::BondOverflow(*address))?;
        self.put_partner(address, &partner);
        if partner.bond < self.rules.params.compute.min_bond {
            return Ok(());
        }
        if index(&self.overlay)?.binary_search(address).is_ok() {
            return Ok(());
        }
        self.make_place(partner.bond)?;
        let mut index = index(&self.overlay)?;
        if let Err(at) = index.binary_search(address) {
            index.insert(at, *address);
            self.overlay.put(StateKey::PartnerIndex, &index);
        }
        Ok(())
    }
}
