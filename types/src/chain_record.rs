//! The chain's own bookkeeping: the one record of the state that every block reads and writes. Whoever needs the
//! committee or the parameters in force finds here under which epoch they stand.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::ValidatorId;
use crate::number::{Amount, ChainTime, Epoch, Height};

/// The chain's own bookkeeping, under [`crate::state_key::StateKey::Chain`].
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChainRecord {
    /// Sum over blocks of min(timestamp step, 2 x idle target).
    pub chain_time: ChainTime,
    /// All money there is: genesis less what was burned.
    pub supply: Amount,
    /// All money that was burned.
    pub burned: Amount,
    /// The part of the supply that accounts hold; the rest is bonds, unbondings and escrow.
    pub liquid: Amount,
    /// True if the last block carried a transaction other than a beacon output, or a hook changed an account or job.
    pub urgent: bool,
    /// First and last chain time with an entry in the queue of unbondings, see [`crate::state_key::StateKey::Unbondings`]; `None` if it is
    /// empty.
    pub unbondings: Option<(ChainTime, ChainTime)>,
    /// The snapshots of partners of past epochs that are kept, each with the chain time at which its epoch ended.
    pub past_snapshots: Vec<(Epoch, ChainTime)>,
    /// The first epoch of the term of the committee in office, which stands under [`crate::state_key::StateKey::Committee`] of it.
    pub committee_since: Epoch,
    /// The first epoch of the parameters in force, which stand under [`crate::state_key::StateKey::Params`] of it.
    pub params_since: Epoch,
    /// The height of the last block that each member of the committee proposed; those that proposed none are absent.
    pub last_proposed: BTreeMap<ValidatorId, Height>,
}
