//! Reading the chain's own bookkeeping.

use state::{StateRead, read_as};
use types::chain_record::ChainRecord;
use types::state_key::StateKey;

use crate::{Abort, Corruption};

/// The chain's record in any state. Errors: a state without one is corrupt.
pub fn chain_record(state: &dyn StateRead) -> Result<ChainRecord, Abort> {
    let record = read_as(state, &StateKey::Chain)?;
    Ok(record.ok_or(Corruption::NoChainRecord)?)
}
