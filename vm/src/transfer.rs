//! `Action::Transfer`: moves money from one account to another.

use types::hash::Address;
use types::number::Amount;

use crate::{ActionError, Context};

impl Context<'_> {
    /// Moves money between accounts, all of it or nothing.
    pub(crate) fn transfer(
        &mut self,
        from: &Address,
        to: &Address,
        amount: Amount,
    ) -> Result<(), ActionError> {
        self.debit(from, amount)?;
        Ok(self.credit(to, amount)?)
    }
}
