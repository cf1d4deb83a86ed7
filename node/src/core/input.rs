//! What goes into a node's core.

use super::wire::Frame;
use types::hash::ValidatorId;

/// Something that happened: the closed list of what the node's loop waits on.
#[derive(Debug)]
pub enum Event {
    /// The time of the last [`super::Effect::SetTimer`] has come. Harmless at any other time.
    Timer,
    /// A frame of a validator, by the record that binds its connection to it.
    Frame {
        /// The validator that sent it.
        from: ValidatorId,
        /// Channel and bytes, not decoded yet.
        frame: Frame,
    },
    /// A request that was to be answered from the store was answered, or could not be.
    Served {
        /// The validator that asked.
        to: ValidatorId,
        /// Length of the answer, in bytes; 0 without one.
        bytes: usize,
    },
    /// Something that the chain is told: answers to work, peers, submissions, blobs.
    Chain(chain::Event),
}
