//! Writes on top of a state that is not touched, with scopes that can be taken back: an action that fails leaves
//! nothing behind, while the fee charged before it stays.

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{decode, encode};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::state_key::StateKey;

use crate::{StateError, StateRead, Writes};

/// The overlay's entry under a key before a scope changed it: `None` if there was no write, else that write.
type Before = Option<Option<Vec<u8>>>;

/// Pending writes over a state. Reads see the writes.
pub struct Overlay<'a> {
    base: &'a dyn StateRead,
    writes: Writes,
    /// Per open scope, oldest first: the entries to put back, in the order of the changes.
    scopes: Vec<Vec<(StateKey, Before)>>,
}

impl<'a> Overlay<'a> {
    /// An overlay without writes.
    #[must_use]
    pub fn new(base: &'a dyn StateRead) -> Self {
        Self {
            base,
            writes: Writes::new(),
            scopes: Vec::new(),
        }
    }

    /// The value under a key, decoded.
    pub fn get<T: BorshDeserialize>(&self, key: &StateKey) -> Result<Option<T>, StateError> {
        read_as(self, key)
    }

    /// Sets the value of a key; a later read of this overlay sees it.
    pub fn put<T: BorshSerialize + ?Sized>(&mut self, key: StateKey, value: &T) {
        self.write(key, Some(encode(value)));
    }

    /// Removes a key; that it was absent is no error.
    pub fn delete(&mut self, key: StateKey) {
        self.write(key, None);
    }

    /// Opens a scope; [`Overlay::revert`] or [`Overlay::commit`] ends the youngest one.
    pub fn checkpoint(&mut self) {
        self.scopes.push(Vec::new());
    }

    /// Takes back every write since the youngest scope was opened, and ends it. Without a scope: takes back all.
    pub fn revert(&mut self) {
        let Some(changes) = self.scopes.pop() else {
            self.writes.clear();
            return;
        };
        for (key, before) in changes.into_iter().rev() {
            match before {
                Some(write) => self.writes.insert(key, write),
                None => self.writes.remove(&key),
            };
        }
    }

    /// Ends the youngest scope and keeps its writes; they are then part of the scope around it.
    pub fn commit(&mut self) {
        if let Some(changes) = self.scopes.pop()
            && let Some(outer) = self.scopes.last_mut()
        {
            outer.extend(changes);
        }
    }

    /// How many scopes are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.scopes.len()
    }

    /// All writes, those of open scopes too.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// All writes so far.
    #[must_use]
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    fn write(&mut self, key: StateKey, value: Option<Vec<u8>>) {
        let before = self.writes.insert(key, value);
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((key, before));
        }
    }
}

impl StateRead for Overlay<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        match self.writes.get(key) {
            Some(write) => Ok(write.clone()),
            None => self.base.read(key),
        }
    }
}

/// The value under a key of any state, decoded.
pub fn read_as<T: BorshDeserialize>(
    state: &(impl StateRead + ?Sized),
    key: &StateKey,
) -> Result<Option<T>, StateError> {
    let Some(bytes) = state.read(key)? else {
        return Ok(None);
    };
    decode(&bytes, MAX_STATE_VALUE_BYTES)
        .map(Some)
        .map_err(|error| StateError::BadValue { key: *key, error })
}

#[cfg(test)]
mod tests;
