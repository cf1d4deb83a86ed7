//! Partners: registration, bonds, locks and unbondings.
//!
//! A partner is *active* while its bond reaches the network's minimum; the index lists active partners only, so that
//! its places cannot be taken for free. Locks are for jobs; what is locked cannot be unbonded. An unbonding is paid to
//! the account by the end hook after its period, without anybody's transaction.

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::account::Unbonding;
use types::codec::{Bounded, encode};
use types::hash::{Address, JobId};
use types::job::PartnerProfile;
use types::limits::{MAX_ATTRIBUTES, MAX_PARTNERS, MAX_PROFILE_BYTES, MAX_UNBONDINGS};
use types::number::{Amount, ChainTime, Epoch};
use types::state_key::StateKey;

use crate::{ActionError, Context, CountedPartner, Fault, Partner, PartnerSnapshot};

/// Most unbondings that one block pays; the rest follows in the next blocks.
pub const MAX_PAID_PER_BLOCK: usize = 256;
/// Most snapshots of past epochs that are kept.
pub const MAX_PAST_SNAPSHOTS: usize = 64;

/// The partner of an account, in any state.
pub fn read(state: &dyn StateRead, address: &Address) -> Result<Option<Partner>, Fault> {
    Ok(read_as(state, &StateKey::Partner(*address))?)
}

/// The addresses of all active partners, ascending, in any state.
pub fn index(state: &dyn StateRead) -> Result<Vec<Address>, Fault> {
    Ok(read_as(state, &StateKey::PartnerIndex)?.unwrap_or_default())
}

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
    /// The partner of an account.
    pub fn partner(&self, address: &Address) -> Result<Option<Partner>, Fault> {
        read(&self.overlay, address)
    }

    /// Writes a partner back. Its bond must be the one it was read with: bonds move by the functions below only.
    pub fn put_partner(&mut self, address: &Address, partner: &Partner) {
        self.overlay.put(StateKey::Partner(*address), partner);
    }

    /// Locks free bond for a job, beside what is locked for it already.
    pub fn lock_bond(&mut self, address: &Address, job: JobId, amount: Amount) -> Result<(), ActionError> {
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        let free = partner.free();
        if amount > free {
            return Err(ActionError::BondLocked { free, asked: amount });
        }
        let lock = partner.locks.entry(job).or_default();
        *lock = lock.checked_add(amount).ok_or(Fault::Broken("a lock beyond the bond"))?;
        self.put_partner(address, &partner);
        Ok(())
    }

    /// Frees what a job locked; gives how much. Nothing if it locked nothing.
    pub fn unlock_bond(&mut self, address: &Address, job: &JobId) -> Result<Amount, Fault> {
        let Some(mut partner) = self.partner(address)? else { return Ok(Amount::ZERO) };
        let freed = partner.locks.remove(job);
        if freed.is_some() {
            self.put_partner(address, &partner);
        }
        Ok(freed.unwrap_or_default())
    }

    /// Burns up to `amount` of a partner's bond that no job locks; gives what was burned. To burn what a job locks,
    /// unlock it first.
    pub fn burn_bond(&mut self, address: &Address, amount: Amount) -> Result<Amount, Fault> {
        let Some(mut partner) = self.partner(address)? else { return Ok(Amount::ZERO) };
        let amount = amount.min(partner.free());
        partner.bond = partner.bond.saturating_sub(amount);
        self.put_partner(address, &partner);
        self.burn(amount)?;
        self.leave_if_below_minimum(address, &partner)?;
        Ok(amount)
    }

    /// `Action::RegisterPartner`: a new profile, or another one. It counts from the next epoch on.
    pub(crate) fn register_partner(&mut self, address: &Address, profile: &PartnerProfile) -> Result<(), ActionError> {
        check_profile(self.rules.params.compute.classes.iter().map(|class| class.class), profile)?;
        let partner = match self.partner(address)? {
            Some(partner) => Partner { profile: profile.clone(), ..partner },
            None => new_partner(profile.clone(), Amount::ZERO),
        };
        self.put_partner(address, &partner);
        Ok(())
    }

    /// `Action::Bond`: moves money from the account into the bond. It counts from the next epoch on.
    pub(crate) fn bond(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        if amount == Amount::ZERO {
            return Err(ActionError::ZeroAmount);
        }
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        self.debit(address, amount)?;
        partner.bond = partner.bond.checked_add(amount).ok_or(Fault::Broken("a bond beyond the supply"))?;
        self.put_partner(address, &partner);
        if partner.bond < self.rules.params.compute.minimum_bond {
            return Ok(());
        }
        let mut index = index(&self.overlay)?;
        let Err(place) = index.binary_search(address) else { return Ok(()) };
        if index.len() >= MAX_PARTNERS {
            return Err(ActionError::TooManyPartners(MAX_PARTNERS));
        }
        index.insert(place, *address);
        self.overlay.put(StateKey::PartnerIndex, &index);
        Ok(())
    }

    /// `Action::Unbond`: starts the way of free bond back to the account.
    pub(crate) fn unbond(&mut self, address: &Address, amount: Amount) -> Result<(), ActionError> {
        if amount == Amount::ZERO {
            return Err(ActionError::ZeroAmount);
        }
        let mut partner = self.partner(address)?.ok_or(ActionError::NotRegistered)?;
        let free = partner.free();
        if amount > free {
            return Err(ActionError::BondLocked { free, asked: amount });
        }
        let due = self.chain_time.saturating_add(self.rules.params.compute.unbonding_ms);
        let full = |_| ActionError::TooManyUnbondings(MAX_UNBONDINGS);
        partner.unbonding.push(Unbonding { amount, due }).map_err(full)?;
        partner.bond = partner.bond.saturating_sub(amount);
        self.put_partner(address, &partner);
        self.enqueue_due(*address, due)?;
        self.leave_if_below_minimum(address, &partner)?;
        Ok(())
    }

    fn leave_if_below_minimum(&mut self, address: &Address, partner: &Partner) -> Result<(), Fault> {
        if partner.bond >= self.rules.params.compute.minimum_bond {
            return Ok(());
        }
        let mut index = index(&self.overlay)?;
        if let Ok(place) = index.binary_search(address) {
            index.remove(place);
            self.overlay.put(StateKey::PartnerIndex, &index);
        }
        Ok(())
    }

    fn due_entry(&self, time: ChainTime) -> Result<DueEntry, Fault> {
        self.overlay.get(&StateKey::Due(time))?.ok_or(Fault::Broken("the queue of unbondings has a gap"))
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
        while let Some((first, last)) = self.chain.due.filter(|(first, _)| *first <= self.chain_time) {
            let mut entry = self.due_entry(first)?;
            let paid: Vec<_> = entry.partners.drain(..entry.partners.len().min(room)).collect();
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
        let mut partner = self.partner(address)?.ok_or(Fault::Broken("an unbonding of nobody"))?;
        let mut open = partner.unbonding.into_inner();
        let at = open.iter().position(|unbonding| unbonding.due == due);
        let paid = open.remove(at.ok_or(Fault::Broken("a queued unbonding that the partner does not have"))?);
        partner.unbonding = Bounded::new(open).map_err(|_| Fault::Broken("more unbondings than allowed"))?;
        self.put_partner(address, &partner);
        self.credit(address, paid.amount)
    }

    /// End hook of an epoch's last block: what counts of partners in the next one, and which old snapshots go.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), Fault> {
        let mut counted = Vec::new();
        for address in index(&self.overlay)? {
            let partner = self.partner(&address)?.ok_or(Fault::Broken("the index lists nobody"))?;
            counted.push(CountedPartner { address, bond: partner.bond, profile: partner.profile });
        }
        let snapshot = PartnerSnapshot(Bounded::new(counted).map_err(|_| Fault::Broken("more partners than allowed"))?);
        self.overlay.put(StateKey::PartnerSnapshot(self.epoch.next()), &snapshot);
        let window = self.rules.params.compute.announce_window_ms;
        let mut past = std::mem::take(&mut self.chain.past_snapshots);
        past.push((self.epoch, self.chain_time));
        let excess = past.len().saturating_sub(MAX_PAST_SNAPSHOTS);
        let (now, mut position) = (self.chain_time, 0);
        let mut gone: Vec<Epoch> = Vec::new();
        past.retain(|(epoch, ended)| {
            position += 1;
            let keep = position > excess && ended.saturating_add(window) >= now;
            if !keep {
                gone.push(*epoch);
            }
            keep
        });
        for epoch in gone {
            self.overlay.delete(StateKey::PartnerSnapshot(epoch));
        }
        self.chain.past_snapshots = past;
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

/// Refuses a profile that breaks a limit or names what the network does not have.
pub fn check_profile(
    mut classes: impl Iterator<Item = types::number::EngineClass>,
    profile: &PartnerProfile,
) -> Result<(), ActionError> {
    if !profile.is_bounded() {
        return Err(ActionError::TooManyAttributes { found: profile.attributes.len(), limit: MAX_ATTRIBUTES });
    }
    let found = encode(profile).len();
    if found > MAX_PROFILE_BYTES {
        return Err(ActionError::ProfileTooLong { found, limit: MAX_PROFILE_BYTES });
    }
    if !classes.any(|class| class == profile.class) {
        return Err(ActionError::UnknownClass(profile.class));
    }
    if profile.capacity == 0 {
        return Err(ActionError::NoCapacity);
    }
    profile.vrf_key.check().map_err(|_| ActionError::BadVrfKey)
}
