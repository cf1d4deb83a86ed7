//! `Action::Bond`: moves money from the account into the bond. Draws see it from the next epoch on.

use types::hash::Address;
use types::number::Amount;

use super::newest_page;
use crate::{ActionError, Context, Corruption};

impl Context<'_> {
    /// Adds to the sender's bond; the partner is active once the bond reaches the minimum and there is a place.
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
        if newest_page(&self.overlay, address)?
            .partner(address)
            .is_some()
        {
            return Ok(self.renew_place(address, &partner)?);
        }
        self.take_place(address, &partner)
    }
}
