//! A bounded amount of something (requests, polls, bytes) of which no caller may hold more than its share.
//!
//! Each pool exists twice, for strangers and for parties, so that no number of strangers keeps a party waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::caller::Caller;

/// Unit in which pools count bytes.
pub(crate) const KIB: usize = 1 << 10;

/// How much there is for one class of callers.
#[derive(Debug)]
struct PoolHalf {
    capacity: usize,
    /// The most that one caller holds.
    share: usize,
    taken: Mutex<PoolTotals>,
}

#[derive(Debug, Default)]
struct PoolTotals {
    total: usize,
    by_caller: BTreeMap<Caller, usize>,
}

impl PoolHalf {
    fn new(capacity: usize, percent: u8) -> Arc<Self> {
        let share = capacity.saturating_mul(usize::from(percent.min(100))) / 100;
        Arc::new(Self {
            capacity,
            share: share.max(1),
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, PoolTotals> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most that a caller may hold. A host passes on the requests of everybody.
    fn share_of(&self, caller: Caller) -> usize {
        match caller {
            Caller::Host => self.capacity,
            Caller::At(_) | Caller::Party(_) => self.share,
        }
    }

    fn take(&self, caller: Caller, units: usize) -> bool {
        let mut taken = self.taken();
        let held = taken.by_caller.get(&caller).copied().unwrap_or_default();
        let fits = held.saturating_add(units) <= self.share_of(caller)
            && taken.total.saturating_add(units) <= self.capacity;
        if fits && units > 0 {
            taken.total += units;
            taken.by_caller.insert(caller, held + units);
        }
        fits
    }

    fn give_back(&self, caller: Caller, units: usize) {
        let mut taken = self.taken();
        taken.total = taken.total.saturating_sub(units);
        let rest = taken.by_caller.get(&caller).copied().unwrap_or_default();
        match rest.saturating_sub(units) {
            0 => drop(taken.by_caller.remove(&caller)),
            rest => drop(taken.by_caller.insert(caller, rest)),
        }
    }
}

/// A pool for strangers and one as large for parties. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    strangers: Arc<PoolHalf>,
    parties: Arc<PoolHalf>,
}

impl Pool {
    /// So much for each class, of which one caller may hold a share in percent.
    pub(crate) fn new(capacity: usize, address_percent: u8, party_percent: u8) -> Self {
        Self {
            strangers: PoolHalf::new(capacity, address_percent),
            parties: PoolHalf::new(capacity, party_percent),
        }
    }

    /// Takes some, unless the caller's share or the pool is used up. One thing that is larger than a share counts as
    /// the whole share.
    pub(crate) fn take(&self, caller: Caller, units: usize) -> Option<Taking> {
        let room = match caller {
            Caller::Party(_) => &self.parties,
            Caller::Host | Caller::At(_) => &self.strangers,
        };
        let units = units.min(room.share_of(caller));
        room.take(caller, units).then(|| Taking {
            room: Arc::clone(room),
            caller,
            units,
        })
    }
}

/// What a caller holds of a pool, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taking {
    room: Arc<PoolHalf>,
    caller: Caller,
    units: usize,
}

impl Taking {
    /// Takes more; false if there is no more.
    pub(crate) fn grow(&mut self, units: usize) -> bool {
        let fits = self.room.take(self.caller, units);
        self.units += if fits { units } else { 0 };
        fits
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.room.give_back(self.caller, self.units);
    }
}

#[cfg(test)]
mod tests {
    use types::hash::Address;

    use super::*;
    use crate::caller::ClientAddress;

    fn at(last: u8) -> Caller {
        Caller::At(ClientAddress::new([10, 0, 0, last].into()))
    }

    #[test]
    fn nobody_passes_his_share_nor_all_the_pool() {
        let pool = Pool::new(8, 50, 25);
        let held: Vec<_> = (0..9).filter_map(|_| pool.take(at(1), 1)).collect();
        assert_eq!(held.len(), 4, "half of the pool");
        let others: Vec<_> = (2..9).filter_map(|n| pool.take(at(n), 1)).collect();
        assert_eq!(others.len(), 4, "the other half");
        let party = Caller::Party(Address([7; 20]));
        let its: Vec<_> = (0..9).filter_map(|_| pool.take(party, 1)).collect();
        assert_eq!(its.len(), 2, "a quarter of the parties' own");
        drop(held);
        assert!(pool.take(at(9), 4).is_some(), "what was given back");
    }

    #[test]
    fn a_host_may_hold_all_and_a_heavy_thing_needs_no_more_than_a_share() {
        let pool = Pool::new(8, 50, 25);
        let heavy = pool.take(at(1), 100);
        assert!(heavy.is_some() && pool.take(at(1), 1).is_none());
        drop(heavy);
        let host: Vec<_> = (0..9).filter_map(|_| pool.take(Caller::Host, 1)).collect();
        assert_eq!(host.len(), 8);
    }

    #[test]
    fn what_grows_stays_within_the_share_and_is_given_back_whole() {
        let pool = Pool::new(8, 50, 25);
        let mut taking = pool.take(at(1), 0).unwrap();
        assert!(taking.grow(3) && !taking.grow(2) && taking.grow(1));
        drop(taking);
        assert_eq!(pool.strangers.taken().total, 0);
        assert!(pool.strangers.taken().by_caller.is_empty());
    }
}
