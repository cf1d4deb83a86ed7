//! Reading state, and the set of writes that changes it.

use std::collections::BTreeMap;

use types::state_key::StateKey;

use crate::StateError;

/// The flat values that a block writes: the new value of each key, or `None` where the key is deleted.
pub type Writes = BTreeMap<StateKey, Option<Vec<u8>>>;

/// The state after one block of the chain.
pub trait StateRead {
    /// The bytes of the value under a key, or `None` where the key is absent.
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError>;
}

impl<T: StateRead + ?Sized> StateRead for &T {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        (**self).read(key)
    }
}

impl StateRead for Writes {
    /// Reads the writes as a state of their own, as on top of nothing.
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.get(key).cloned().flatten())
    }
}
