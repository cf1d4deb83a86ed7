//! The random beacon: who contributes to a step, and how it moves.
//!
//! Step `s` has one contributor by a stake-weighted order that depends on the epoch's seed alone. The output is a VRF
//! proof over (seed, s); `beacon_s = H(beacon_(s-1), s, output or nothing)`. Outputs enter in order, at most one per
//! block. A step that stays silent for `beacon_skip_blocks` blocks and `beacon_skip_ms` of chain time is skipped at a
//! cost to its contributor's account, never to its weight.
//!
//! A step belongs to the epoch in which it became due and keeps that epoch's seed until it is over, so that its
//! contributor never has two outputs to choose from.

use borsh::{BorshDeserialize, BorshSerialize};
use types::hash::Hash32;
use types::number::{BeaconStep, ChainTime, Height};

/// The beacon, under [`types::state_key::StateKey::Beacon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Beacon {
    /// Its value after `step`.
    pub value: Hash32,
    /// The last step that is over; the next one is due.
    pub step: BeaconStep,
    /// The seed that the next step is run over.
    pub seed: Hash32,
    /// The block that ended `step`.
    pub since_height: Height,
    /// Chain time at that block.
    pub since_time: ChainTime,
}
