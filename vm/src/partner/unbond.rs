//! `Action::Unbond`, and the queue that pays it: free bond returns to the account after the unbonding period, by the
//! end hook, without anybody's transaction.

use borsh::{BorshDeserialize, BorshSerialize};
use types::account::Unbonding;
use types::codec::Bounded;
use types::hash::Address;
use types::limits::{MAX_PAID_PER_BLOCK, MAX_UNBONDINGS};
use types::number::{Amount, ChainTime};
use types::state_key::StateKey;

use crate::{Abort, ActionError, Context, Corruption};

/// The unbondings that are paid at one chain time. The entries form a queue: a new entry never comes before an older one, also
/// where the network has shortened the period in between.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct UnbondingEntry {
    /// The partners whose unbondings they are, in the order in which they began.
    pub partners: Vec<Address>,
    /// The next later chain time with an entry.
    pub next: Option<ChainTime>,
}

impl Context<'_> {
    /// Starts the way of free bond back to the account. The partner is on probation again.
    // Rule C38.
    pub(crate) fn unbond(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        if amount == Amount::ZERO {
            return Err(ActionError::ZeroAmount);
        }
        let mut partner = self.partner_with_free(address, amount)?;
        let deadline = self
            .chain_time
            .saturating_add(self.rules.params.compute.unbonding_ms);
        let deadline = self
            .chain
            .unbondings
            .map_or(deadline, |(_, last)| deadline.max(last));
        let full = |_| ActionError::TooManyUnbondings(MAX_UNBONDINGS);
        partner
            .unbonding
            .push(Unbonding { amount, deadline })
            .map_err(full)?;
        partner.bond = partner.bond.saturating_sub(amount);
        partner.verified_fees = Amount::ZERO;
        self.put_partner(address, &partner);
        self.enqueue(*address, deadline)?;
        self.renew_place(address, &partner)?;
        Ok(())
    }

    fn unbonding_entry(&self, time: ChainTime) -> Result<UnbondingEntry, Abort> {
        self.overlay
            .get(&StateKey::Unbondings(time))?
            .ok_or(Corruption::UnbondingGap(time).into())
    }

    fn enqueue(&mut self, address: Address, deadline: ChainTime) -> Result<(), Abort> {
        let (first, last) = self.chain.unbondings.unwrap_or((deadline, deadline));
        let mut entry = UnbondingEntry::default();
        if self.chain.unbondings.is_some() {
            let mut tail = self.unbonding_entry(last)?;
            if last == deadline {
                entry = tail;
            } else {
                tail.next = Some(deadline);
                self.overlay.put(StateKey::Unbondings(last), &tail);
            }
        }
        entry.partners.push(address);
        self.overlay.put(StateKey::Unbondings(deadline), &entry);
        self.chain.unbondings = Some((first, deadline));
        Ok(())
    }

    /// End hook: pays the unbondings whose period is over, oldest first.
    pub(crate) fn pay_unbondings(&mut self) -> Result<(), Abort> {
        let mut room = MAX_PAID_PER_BLOCK;
        while let Some((first, last)) = self
            .chain
            .unbondings
            .filter(|(first, _)| *first <= self.chain_time)
        {
            let mut entry = self.unbonding_entry(first)?;
            let paid: Vec<_> = entry
                .partners
                .drain(..entry.partners.len().min(room))
                .collect();
            room -= paid.len();
            for address in &paid {
                self.pay_unbonding(address, first)?;
            }
            if !entry.partners.is_empty() {
                self.overlay.put(StateKey::Unbondings(first), &entry);
                return Ok(());
            }
            self.overlay.delete(StateKey::Unbondings(first));
            self.chain.unbondings = entry.next.map(|next| (next, last));
        }
        Ok(())
    }

    fn pay_unbonding(&mut self, address: &Address, deadline: ChainTime) -> Result<(), Abort> {
        let missing = Corruption::UnbondingMissing {
            partner: *address,
            deadline,
        };
        let mut partner = self.partner(address)?.ok_or(missing)?;
        let mut unbonding = partner.unbonding.into_inner();
        let at = unbonding
            .iter()
            .position(|unbonding| unbonding.deadline == deadline);
        let paid = unbonding.remove(at.ok_or(missing)?);
        partner.unbonding = Bounded::new(unbonding).map_err(|_| missing)?;
        self.put_partner(address, &partner);
        self.credit(address, paid.amount)
    }
}
