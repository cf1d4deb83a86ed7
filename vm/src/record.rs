//! The chain's own bookkeeping: the one record of the state that every block reads and writes.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::hash::ValidatorId;
use types::number::{Amount, ChainTime, Epoch, Height};
use types::state_key::StateKey;

use crate::{Abort, Corruption};

/// The chain's own bookkeeping, under [`StateKey::Chain`].
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
    /// First and last chain time with an entry in the queue of unbondings, see [`StateKey::Unbondings`]; `None` if it is
    /// empty.
    pub unbondings: Option<(ChainTime, ChainTime)>,
    /// The snapshots of partners of past epochs that are kept, each with the chain time at which its epoch ended.
    pub past_snapshots: Vec<(Epoch, ChainTime)>,
    /// The first epoch of the term of the committee in office, which stands under [`StateKey::Committee`] of it.
    pub committee_since: Epoch,
    /// The first epoch of the parameters in force, which stand under [`StateKey::Params`] of it.
    pub params_since: Epoch,
    /// The height of the last block that each member of the committee proposed; those that proposed none are absent.
    pub last_proposed: BTreeMap<ValidatorId, Height>,
}

impl ChainRecord {
    /// The record in any state.
    pub fn read(state: &dyn StateRead) -> Result<Self, Abort> {
        let record = read_as(state, &StateKey::Chain)?;
        Ok(record.ok_or(Corruption::NoChainRecord)?)
    }
}
