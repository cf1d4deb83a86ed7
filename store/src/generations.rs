//! A bounded table whose room goes by use: there are two generations, what is read moves to the young one, and when that
//! is half of the room it becomes the old one and what was old is dropped.

#![expect(
    clippy::disallowed_types,
    reason = "looked up by name and never iterated, so that no order shows"
)]

use std::collections::HashMap;
use std::hash::Hash;

/// What a table may hold: a value that knows what it takes.
pub(crate) trait Weighed {
    /// Memory of the value, in bytes.
    fn bytes(&self) -> usize;
}

/// Memory of an entry beside its value, in bytes: name, pointer, counters and the table's spare places.
const ENTRY_BYTES: usize = 128;

/// The table.
pub(crate) struct Generations<K, V> {
    /// Most bytes of one generation.
    room: usize,
    young: HashMap<K, V>,
    young_bytes: usize,
    old: HashMap<K, V>,
}

/// A generation that became too old, to be dropped without the lock that guards the table.
pub(crate) type TooOld<K, V> = HashMap<K, V>;

impl<K: Eq + Hash + Copy, V: Weighed + Clone> Generations<K, V> {
    /// An empty table that takes at most about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            room: bytes / 2,
            young: HashMap::new(),
            young_bytes: 0,
            old: HashMap::new(),
        }
    }

    /// Adds a value, or replaces it.
    pub(crate) fn add(&mut self, key: K, value: V) -> Option<TooOld<K, V>> {
        self.young_bytes += value.bytes() + ENTRY_BYTES;
        if let Some(before) = self.young.insert(key, value) {
            self.young_bytes -= before.bytes() + ENTRY_BYTES;
        }
        self.old.remove(&key);
        if self.young_bytes <= self.room {
            return None;
        }
        self.young_bytes = 0;
        let young = std::mem::take(&mut self.young);
        Some(std::mem::replace(&mut self.old, young))
    }

    /// The value under a key, if it is held; it is young again.
    pub(crate) fn get(&mut self, key: &K) -> Option<(V, Option<TooOld<K, V>>)> {
        if let Some(value) = self.young.get(key) {
            return Some((value.clone(), None));
        }
        let value = self.old.remove(key)?;
        let too_old = self.add(*key, value.clone());
        Some((value, too_old))
    }

    /// Drops a value.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(value) = self.young.remove(key) {
            self.young_bytes -= value.bytes() + ENTRY_BYTES;
        }
        self.old.remove(key);
    }

    /// Drops all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.room * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for u8 {
        fn bytes(&self) -> usize {
            usize::from(*self)
        }
    }

    #[test]
    fn what_is_read_stays_and_what_is_not_goes_within_the_room() {
        let mut table = Generations::new(20 * (ENTRY_BYTES + 1));
        for key in 0..100u32 {
            table.add(key, 1u8);
            assert_eq!(table.get(&0).unwrap().0, 1, "read each time: {key}");
            assert!(table.young.len() + table.old.len() <= 21);
            assert!(table.young_bytes <= table.room);
        }
        assert!(table.get(&50).is_none() && table.get(&99).is_some());
        table.add(99, 7);
        assert_eq!(table.get(&99).unwrap().0, 7, "the newer one");
        table.remove(&99);
        assert!(table.get(&99).is_none());
        table.clear();
        assert!(table.get(&0).is_none() && table.young_bytes == 0);
    }

    #[test]
    fn a_newer_value_is_not_followed_by_an_older_one() {
        let mut table = Generations::new(4 * (ENTRY_BYTES + 1));
        table.add(1u32, 1u8);
        for key in 2..5 {
            table.add(key, 1);
        }
        table.add(1, 2);
        table.remove(&1);
        assert!(table.get(&1).is_none(), "no copy is left behind");
    }
}
