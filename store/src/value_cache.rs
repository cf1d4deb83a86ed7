//! Flat values in memory, so that what many transactions read, or what the block before wrote, is not read from the disk.
//!
//! A value has the height since which it is the newest. A reader of height `H` takes it only if that is at most `H`: what
//! a later block wrote does not show. A block's writes are entered before they are in the database, so that nobody who
//! sees the block finds an older value here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::StateError;
use types::number::Height;
use types::state_key::StateKey;

use crate::generations::{Generations, Weighed};

/// Values that are entered under one lock, so that a reader waits for few.
const CHUNK: usize = 256;

/// A value, or that there is none, and the height since which this is so.
#[derive(Clone)]
struct HeldValue {
    since: Height,
    value: Option<Arc<[u8]>>,
}

impl Weighed for HeldValue {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.value.as_ref().map_or(0, |value| value.len())
    }
}

struct HeldValues {
    /// The newest block whose writes are entered, or are about to be.
    newest: Height,
    /// How often the chain was cut back: what was held before is not compared with heights after.
    cuts: u64,
    values: Generations<StateKey, HeldValue>,
}

/// A bounded set of values.
pub(crate) struct ValueCache(Mutex<HeldValues>);

/// What a reader sees: a height, on one side of a cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadHeight {
    pub(crate) height: Height,
    cuts: u64,
}

impl ValueCache {
    /// An empty cache that takes at most about so many bytes, of a store whose newest block has this height.
    pub(crate) fn new(bytes: usize, newest: Height) -> Self {
        Self(Mutex::new(HeldValues {
            newest,
            cuts: 0,
            values: Generations::new(bytes),
        }))
    }

    /// How often the chain was cut back; to be asked before the database is.
    pub(crate) fn cuts(&self) -> u64 {
        self.lock().cuts
    }

    /// The value of a key for a reader: held, or as `stored` reads it.
    pub(crate) fn read(
        &self,
        key: &StateKey,
        at: ReadHeight,
        stored: impl FnOnce() -> Result<Option<Vec<u8>>, StateError>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let held = {
            let mut held = self.lock();
            let same_side = held.cuts == at.cuts;
            same_side.then(|| held.values.get(key)).flatten()
        };
        if let Some((held, _)) = held
            && held.since <= at.height
        {
            return Ok(held.value.as_deref().map(<[u8]>::to_vec));
        }
        let value = stored()?;
        let kept = HeldValue {
            since: at.height,
            value: value.as_deref().map(Arc::from),
        };
        let mut held = self.lock();
        // A block that came meanwhile may have written the key.
        let too_old = (held.newest == at.height && held.cuts == at.cuts)
            .then(|| held.values.add(*key, kept))
            .flatten();
        drop(held);
        drop(too_old);
        Ok(value)
    }

    /// Enters what the block of a height writes; before the database has it.
    pub(crate) fn enter<'a>(
        &self,
        height: Height,
        writes: impl IntoIterator<Item = (&'a StateKey, &'a Option<Vec<u8>>)>,
    ) {
        self.lock().newest = height;
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut too_old = Vec::new();
            let mut held = self.lock();
            for (key, value) in writes.by_ref().take(CHUNK) {
                let value = HeldValue {
                    since: height,
                    value: value.as_deref().map(Arc::from),
                };
                too_old.extend(held.values.add(*key, value));
            }
        }
    }

    /// Forgets all: the chain is cut back to a height. To be called before the database is changed and again after, so
    /// that a reader who began between sees the database alone.
    pub(crate) fn cut_back(&self, newest: Height) {
        let mut held = self.lock();
        held.cuts += 1;
        held.newest = newest;
        held.values.clear();
    }

    // Under the lock nothing is left half done.
    fn lock(&self) -> MutexGuard<'_, HeldValues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadHeight {
    /// A reader of `height` that asked for `cuts` before it opened its view of the database.
    pub(crate) fn new(height: Height, cuts: u64) -> Self {
        Self { height, cuts }
    }
}

#[cfg(test)]
mod tests {
    use types::hash::Address;

    use super::*;

    fn key(n: u8) -> StateKey {
        StateKey::Account(Address([n; 20]))
    }

    fn never() -> Result<Option<Vec<u8>>, StateError> {
        panic!("it is held")
    }

    fn stored(value: u8) -> impl FnOnce() -> Result<Option<Vec<u8>>, StateError> {
        move || Ok(Some(vec![value]))
    }

    fn at(cache: &ValueCache, height: u64) -> ReadHeight {
        ReadHeight::new(Height(height), cache.cuts())
    }

    #[test]
    fn a_reader_never_sees_what_a_later_block_wrote() {
        let cache = ValueCache::new(1 << 20, Height(4));
        let old = at(&cache, 4);
        assert_eq!(cache.read(&key(1), old, stored(1)).unwrap(), Some(vec![1]));
        assert_eq!(cache.read(&key(1), old, never).unwrap(), Some(vec![1]));
        cache.enter(Height(5), [(&key(1), &Some(vec![2])), (&key(2), &None)]);
        let new = at(&cache, 5);
        assert_eq!(cache.read(&key(1), new, never).unwrap(), Some(vec![2]));
        assert_eq!(cache.read(&key(2), new, never).unwrap(), None);
        assert_eq!(cache.read(&key(1), old, stored(1)).unwrap(), Some(vec![1]));
        assert_eq!(cache.read(&key(3), old, stored(3)).unwrap(), Some(vec![3]));
        assert_eq!(
            cache.read(&key(1), new, never).unwrap(),
            Some(vec![2]),
            "the old reader left nothing"
        );
        assert_eq!(
            cache.read(&key(3), new, stored(4)).unwrap(),
            Some(vec![4]),
            "nor here"
        );
    }

    #[test]
    fn a_value_that_a_block_overtook_while_it_was_read_is_not_kept() {
        let cache = ValueCache::new(1 << 20, Height(4));
        let slow = || {
            cache.enter(Height(5), [(&key(1), &Some(vec![2]))]);
            Ok(Some(vec![1]))
        };
        assert_eq!(
            cache.read(&key(1), at(&cache, 4), slow).unwrap(),
            Some(vec![1])
        );
        assert_eq!(
            cache.read(&key(1), at(&cache, 5), never).unwrap(),
            Some(vec![2])
        );
    }

    #[test]
    fn nothing_of_before_a_cut_shows_after_it() {
        let cache = ValueCache::new(1 << 20, Height(4));
        cache.enter(Height(5), [(&key(1), &Some(vec![2]))]);
        let before = at(&cache, 5);
        cache.cut_back(Height(4));
        let between = at(&cache, 5);
        cache.cut_back(Height(4));
        let after = at(&cache, 4);
        assert_eq!(
            cache.read(&key(1), after, stored(1)).unwrap(),
            Some(vec![1])
        );
        for old in [before, between] {
            assert_eq!(cache.read(&key(1), old, stored(2)).unwrap(), Some(vec![2]));
        }
        assert_eq!(cache.read(&key(1), after, never).unwrap(), Some(vec![1]));
    }
}
