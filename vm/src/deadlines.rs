//! The deadlines of live jobs, in one value of the state, so that a block touches only the jobs that are ready to move.
//!
//! A job's deadline and the beacon step that it waits for are in its record too. This index repeats them, and whoever
//! uses an entry checks that it says the same as the record.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::account::{LiveJobs, PartnerSnapshot};
use types::hash::{Address, JobId};
use types::limits::{MAX_LIVE_JOBS, MAX_STATE_VALUE_BYTES};
use types::number::{BeaconStep, ChainTime, Epoch, Height};
use types::state_key::StateKey;

use crate::Abort;

/// Maximum bytes of one entry of [`JobDeadlines`].
const ENTRY_BYTES: usize = 32 + 20 + (1 + 8) + 8 + (1 + 24);
const _: () = assert!(
    MAX_LIVE_JOBS * ENTRY_BYTES + 4 <= MAX_STATE_VALUE_BYTES,
    "the entries of all jobs fit a value"
);

/// A draw that a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Draw {
    /// The beacon step that draws.
    pub step: BeaconStep,
    /// The epoch in which the draw was fixed: it draws from that epoch's snapshot of partners.
    pub epoch: Epoch,
    /// Chain time at which the draw was fixed.
    pub since: ChainTime,
}

/// When a live job moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobDeadline {
    /// The job's customer, whose live jobs are counted.
    pub customer: Address,
    /// Chain time at which the stage ends by itself; `None` while only a draw ends it.
    pub deadline: Option<ChainTime>,
    /// Height of the block in which the stage's window opened.
    pub opened: Height,
    /// The draw that the job waits for, if it waits for one.
    pub draw: Option<Draw>,
}

/// When each live job moves on, under `StateKey::JobDeadlines`.
pub type JobDeadlines = BTreeMap<JobId, JobDeadline>;

/// What the end hook holds of all jobs while it runs: read once before the first job, written once after the last.
#[derive(Debug)]
pub(crate) struct LoadedJobs {
    pub live: LiveJobs,
    pub deadlines: JobDeadlines,
    /// True if `live` or `deadlines` differs from what is in state.
    pub changed: bool,
    /// The snapshots that draws have read so far.
    pub snapshots: BTreeMap<Epoch, Arc<PartnerSnapshot>>,
}

/// The live jobs in any state, ascending.
pub fn live_jobs(state: &dyn StateRead) -> Result<LiveJobs, Abort> {
    Ok(read_as(state, &StateKey::LiveJobs)?.unwrap_or_default())
}

/// When each live job moves on, in any state.
pub fn job_deadlines(state: &dyn StateRead) -> Result<JobDeadlines, Abort> {
    Ok(read_as(state, &StateKey::JobDeadlines)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_the_bytes_that_the_limit_is_made_of() {
        let entry = JobDeadline {
            customer: Address::default(),
            deadline: Some(ChainTime(1)),
            opened: Height(2),
            draw: Some(Draw {
                step: BeaconStep(3),
                epoch: Epoch(4),
                since: ChainTime(5),
            }),
        };
        let bytes = types::codec::encode(&JobDeadlines::from([(JobId::default(), entry)]));
        assert_eq!(bytes.len(), ENTRY_BYTES + 4);
    }
}
