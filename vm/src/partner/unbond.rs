//! `Action::Unbond`, and the queue that pays it: free bond returns to the account after the unbonding period, by the
//! end hook, without anybody's transaction.

use borsh::{BorshDeserialize, BorshSerialize};
use types::account::Unbonding;
use types::codec::Bounded;
use types::hash::Address;
use types::limits::{MAX_PAID_PER_BLOCK, MAX_UNBONDINGS};
use types::number::{Amount, ChainTime};
use types::state_key::StateKey;

use crate::{ActionError, Context, Fault};

/// The unbondings that are due at one time. The entries form a queue: the period is the same for all, so a new entry
/// is never due before an older one.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct DueEntry {
    /// Whose unbondings, in the order in which they began.
    pub partners: Vec<Address>,
    /// The next later time with an entry.
    pub next: Option<ChainTime>,
}

impl Context<'_> {
    /// Starts the way of free bond back to the account.
    pub(crate) fn unbond(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        if amount == Amount::ZERO {
            return Err(ActionError::ZeroAmount);
        }
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        let free = partner.free();
        if amount > free {
            return Err(ActionError::BondLocked {
                free,
                asked: amount,
            });
        }
        let due = self
            .chain_time
            .saturating_add(self.rules.params.compute.unbonding_ms);
        let full = |_| ActionError::TooManyUnbondings(MAX_UNBONDINGS);
        partner
            .unbonding
            .push(Unbonding { amount, due })
            .map_err(full)?;
        partner.bond = partner.bond.saturating_sub(amount);
        self.put_partner(address, &partner);
        self.enqueue_due(*address, due)?;
        self.leave_if_below_min(address, &partner)?;
        Ok(())
    }

    fn due_entry(&self, time: ChainTime) -> Result<DueEntry, Fault> {
        self.overlay
            .get(&StateKey::Due(time))?
            .ok_or(Fault::Broken("the queue of unbondings has a gap"))
    }

    fn enqueue_due(&mut self, address: Address, due: ChainTime) -> Result<(), Fault> {
        let (first, last) = self.chain.due.unwrap_or((due, due));
        let mut entry = DueEntry::default();
        if self.chain.due.is_some() {
            let mut tail = self.due_entry(last)?;
            if last == due {
                entry = tail;
            } else {
                tail.next = Some(due);
                self.overlay.put(StateKey::Due(last), &tail);
            }
        }
        entry.partners.push(address);
        self.overlay.put(StateKey::Due(due), &entry);
        self.chain.due = Some((first, due));
        Ok(())
    }

    /// End hook: pays the unbondings that are due, oldest first.
    pub(crate) fn pay_unbondings(&mut self) -> Result<(), Fault> {
        let mut room = MAX_PAID_PER_BLOCK;
        while let Some((first, last)) = self
            .chain
            .due
            .filter(|(first, _)| *first <= self.chain_time)
        {
            let mut entry = self.due_entry(first)?;
            let paid: Vec<_> = entry
                .partners
                .drain(..entry.partners.len().min(room))
                .collect();
            room -= paid.len();
            for address in &paid {
                self.pay_unbonding(address, first)?;
            }
            if !entry.partners.is_empty() {
                self.overlay.put(StateKey::Due(first), &entry);
                return Ok(());
            }
            self.overlay.delete(StateKey::Due(first));
            self.chain.due = entry.next.map(|next| (next, last));
        }
        Ok(())
    }

    fn pay_unbonding(&mut self, address: &Address, due: ChainTime) -> Result<(), Fault> {
        let mut partner = self
            .partner(address)?
            .ok_or(Fault::Broken("an unbonding of nobody"))?;
        let mut open = partner.unbonding.into_inner();
        let at = open.iter().position(|unbonding| unbonding.due == due);
        let paid = open.remove(at.ok_or(Fault::Broken(
            "a queued unbonding that the partner does not have",
        ))?);
        partner.unbonding =
            Bounded::new(open).map_err(|_| Fault::Broken("more unbondings than allowed"))?;
        self.put_partner(address, &partner);
        self.credit(address, paid.amount)
    }
}
