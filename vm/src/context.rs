//! The block in execution, as actions and hooks see and change it: state, time, and money.
//!
//! Money moves in two steps, so that every unit has one place: [`Context::debit`] and the bond and escrow functions
//! take it out, [`Context::credit`], [`Context::burn`] or a record put it in. `supply = genesis - burned` holds after
//! each block and is checked.

use std::collections::BTreeSet;

use state::Overlay;
use types::hash::{Address, Hash32, ValidatorId};
use types::number::{Amount, BeaconStep, ChainTime, Epoch, Height, Timestamp};
use types::state_key::StateKey;

use crate::beacon::Beacon;
use crate::{Abort, Account, ActionError, ChainRecord, Corruption, Rules};

mod beacon;
mod seen;

pub(crate) use seen::SeenPartners;

/// One block in execution.
pub struct Context<'a> {
    /// Rules and parameters in force at this height.
    pub rules: &'a Rules,
    /// The state after the parent and what this block wrote so far.
    pub overlay: Overlay<'a>,
    /// Height of the block that is executed.
    pub height: Height,
    /// Timestamp of the block, Unix milliseconds.
    pub timestamp: Timestamp,
    /// Chain time at this block.
    pub chain_time: ChainTime,
    /// The beacon. It moves before anything else in a block, so this is the beacon after the block.
    pub beacon: Beacon,
    /// The block's epoch, whose snapshot says who counts.
    pub epoch: Epoch,
    /// The chain's bookkeeping; written back at the end of the block.
    pub chain: ChainRecord,
    /// Set by whoever changes an account or a job; read and cleared around the hooks.
    pub changed: bool,
    /// Places for jobs that came free in this block.
    pub(crate) freed_places: usize,
    /// What epochs see of partners, as far as this block has read it.
    pub(crate) seen: SeenPartners,
    /// What draws have cost and learnt in this block.
    pub(crate) draw_work: DrawWork,
}

/// What the draws of a block have cost, and what they know of partners.
#[derive(Debug, Clone, Default)]
pub(crate) struct DrawWork {
    /// Cost so far, see [`types::limits::MAX_DRAW_COST_PER_BLOCK`].
    pub cost: usize,
    /// Pages of partners that draws of this block looked at, by number and version.
    pub pages: BTreeSet<(u8, Epoch)>,
    /// Partners that can take no job however small, with the places that they had in the snapshot: until a place comes free.
    pub full: BTreeSet<(Address, u16)>,
}

impl Context<'_> {
    /// Runs `act` in a scope of its own: if it fails, everything it wrote is taken back, money bookkeeping too.
    pub fn attempt<T, E>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let (chain, changed, freed) = (self.chain.clone(), self.changed, self.freed_places);
        self.overlay.checkpoint();
        let result = act(self);
        if result.is_ok() {
            self.overlay.commit();
        } else {
            self.overlay.revert();
            (self.chain, self.changed, self.freed_places) = (chain, changed, freed);
        }
        result
    }

    /// The account at an address.
    pub fn account(&self, address: &Address) -> Result<Account, Abort> {
        Ok(self
            .overlay
            .get(&StateKey::Account(*address))?
            .unwrap_or_default())
    }

    /// Takes money out of an account; the caller puts it somewhere.
    pub fn debit(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        let account = self.account(address)?;
        let Some(left) = account.balance.checked_sub(amount) else {
            return Err(ActionError::InsufficientBalance {
                balance: account.balance,
                needed: amount,
            });
        };
        Ok(self.set_balance(address, account, left, amount)?)
    }

    /// Writes an account that a fee was taken out of, and burns the fee.
    pub(crate) fn charge(
        &mut self,
        address: &Address,
        charged: &Account,
        fee: Amount,
    ) -> Result<(), Abort> {
        self.set_balance(address, *charged, charged.balance, fee)?;
        Ok(self.burn(fee)?)
    }

    /// Refuses a supply that is not all money at genesis without what was burned.
    pub(crate) fn check_supply(&self) -> Result<(), Corruption> {
        let (supply, burned, liquid) = (self.chain.supply, self.chain.burned, self.chain.liquid);
        if supply.checked_add(burned) != Some(self.rules.supply) {
            return Err(Corruption::SupplyMismatch {
                supply,
                burned,
                genesis: self.rules.supply,
            });
        }
        if liquid > supply {
            return Err(Corruption::LiquidAbove {
                liquid,
                amount: Amount::ZERO,
                supply,
            });
        }
        Ok(())
    }

    /// Writes an account that `amount` was taken out of.
    fn set_balance(
        &mut self,
        address: &Address,
        account: Account,
        balance: Amount,
        amount: Amount,
    ) -> Result<(), Corruption> {
        let liquid = self.chain.liquid;
        self.chain.liquid = liquid
            .checked_sub(amount)
            .ok_or(Corruption::LiquidBelow { liquid, amount })?;
        self.put_account(address, &Account { balance, ..account });
        Ok(())
    }

    /// Puts money, which the caller took from somewhere, into an account.
    pub fn credit(&mut self, address: &Address, amount: Amount) -> Result<(), Abort> {
        let (liquid, supply) = (self.chain.liquid, self.chain.supply);
        self.chain.liquid = liquid
            .checked_add(amount)
            .filter(|liquid| *liquid <= supply)
            .ok_or(Corruption::LiquidAbove {
                liquid,
                amount,
                supply,
            })?;
        let mut account = self.account(address)?;
        account.balance = account
            .balance
            .checked_add(amount)
            .ok_or(Corruption::BalanceOverflow(*address))?;
        self.put_account(address, &account);
        Ok(())
    }

    /// Burns money that the caller took from somewhere.
    pub fn burn(&mut self, amount: Amount) -> Result<(), Corruption> {
        let (supply, liquid) = (self.chain.supply, self.chain.liquid);
        let above = Corruption::BurnAboveSupply {
            amount,
            supply,
            liquid,
        };
        let left = supply.checked_sub(amount).ok_or(above)?;
        if liquid > left {
            return Err(above);
        }
        self.chain.supply = left;
        self.chain.burned = self.chain.burned.checked_add(amount).ok_or(above)?;
        Ok(())
    }

    /// Burns up to `amount` of an account's balance; gives what was burned.
    pub fn burn_from(&mut self, address: &Address, amount: Amount) -> Result<Amount, Abort> {
        let account = self.account(address)?;
        let amount = amount.min(account.balance);
        if amount == Amount::ZERO {
            return Ok(amount);
        }
        let left = account.balance.saturating_sub(amount);
        self.set_balance(address, account, left, amount)?;
        self.burn(amount)?;
        Ok(amount)
    }

    pub(crate) fn put_account(&mut self, address: &Address, account: &Account) {
        self.changed = true;
        self.overlay.put(StateKey::Account(*address), account);
    }

    /// The beacon after a step; `None` before the step is over, and once it is older than draws may need.
    pub fn beacon_at(&self, step: BeaconStep) -> Result<Option<Hash32>, Abort> {
        Ok(self.overlay.get(&StateKey::BeaconAt(step))?)
    }

    /// The step that draws for what is included in this block.
    // Rule C28.
    #[must_use]
    pub fn draw_step(&self) -> BeaconStep {
        self.beacon
            .step
            .saturating_add(self.rules.params.beacon_lag)
    }

    /// True if a window that opened in the block of height `opened` may close: leaders holding more than F of the
    /// stake have proposed since, so that no coalition within F could keep a transaction out of all of it.
    // Rule C22.
    #[must_use]
    pub fn may_close(&self, opened: Height) -> bool {
        let proposed = self.chain.last_proposed.iter();
        let since: BTreeSet<ValidatorId> = proposed
            .filter(|(_, last)| **last > opened)
            .map(|(id, _)| *id)
            .collect();
        let committee = &self.rules.committee;
        committee.stake_of_ids(&since) > committee.thresholds().faulty
    }
}
