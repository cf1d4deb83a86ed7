//! The decided state as the chain stands, though the store may be some commits ahead of it already: the worker commits
//! while the chain decides, and whoever reads twice must not read two heights.

use state::{DecidedState, StateError, StateRead, Writes};
use types::number::Height;
use types::state_key::StateKey;

/// The state after one height.
pub(crate) struct TipState<'a> {
    state: &'a dyn DecidedState,
    height: Height,
    changed: Option<&'a Writes>,
}

impl<'a> TipState<'a> {
    /// The state after the chain's last block, whose height this is.
    pub(crate) fn new(state: &'a dyn DecidedState, height: Height) -> Self {
        Self {
            state,
            height,
            changed: None,
        }
    }

    /// The state after a block that has just been committed, whose writes are at hand.
    pub(crate) fn after(state: &'a dyn DecidedState, height: Height, writes: &'a Writes) -> Self {
        Self {
            state,
            height,
            changed: Some(writes),
        }
    }
}

impl StateRead for TipState<'_> {
    /// Whoever is so far behind the store that it keeps the height no more gets the newest value: what waits is looked
    /// at again after each of the blocks between.
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(value) = self.changed.and_then(|writes| writes.get(key)) {
            return Ok(value.clone());
        }
        match self.state.read_at(self.height, key) {
            Err(StateError::NotKept { .. }) => self.state.read(key),
            read => read,
        }
    }
}
