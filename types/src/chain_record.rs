//! The chain's own bookkeeping: the one record of the state that every block reads and writes. Whoever needs the
//! committee or the parameters in force finds here under which epoch they stand.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::ValidatorId;
use crate::number::{Amount, BeaconStep, ChainTime, EngineClass, Epoch, Fixed64, Height};
use crate::state_key::DueQueue;

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
    /// How far the queues of what is due are done.
    pub due: DueQueues,
    /// Number of live jobs.
    pub live_jobs: u32,
    /// Number of live jobs of which an attempt is under way.
    pub running_jobs: u32,
    /// How long an attempt held its place, in milliseconds of chain time, as a mean over the last ones.
    pub attempt_ms: u64,
    /// Bytes that live jobs hold: their inputs, and while an attempt is under way what its results may take.
    pub live_bytes: u64,
    /// Number of live jobs that wait for a draw.
    pub draws: u32,
    /// Number of ballots of referees that run.
    pub disputes: u32,
    /// The first step of the beacon whose draws may not all be done.
    pub first_draw: BeaconStep,
    /// The snapshots of partners of past epochs that are kept, each with the chain time at which its epoch ended.
    pub past_snapshots: Vec<(Epoch, ChainTime)>,
    /// How many verifiers announced themselves of late, by class; a class without one was not measured.
    pub turnouts: BTreeMap<EngineClass, ClassTurnout>,
    /// The first epoch of the term of the committee in office, which stands under [`crate::state_key::StateKey::Committee`] of it.
    pub committee_since: Epoch,
    /// The first epoch of the parameters in force, which stand under [`crate::state_key::StateKey::Params`] of it.
    pub params_since: Epoch,
    /// The height of the last block that each member of the committee proposed; those that proposed none are absent.
    pub last_proposed: BTreeMap<ValidatorId, Height>,
}

impl ChainRecord {
    /// That of genesis: money as it is given out, nothing burned, and no job, unbonding or block yet.
    #[must_use]
    pub fn at_genesis(supply: Amount, liquid: Amount, attempt_ms: u64) -> Self {
        Self {
            chain_time: ChainTime::ZERO,
            supply,
            burned: Amount::ZERO,
            liquid,
            urgent: false,
            unbondings: None,
            due: DueQueues::default(),
            live_jobs: 0,
            running_jobs: 0,
            attempt_ms,
            live_bytes: 0,
            draws: 0,
            disputes: 0,
            first_draw: BeaconStep(0),
            past_snapshots: Vec::new(),
            turnouts: BTreeMap::new(),
            committee_since: Epoch::FIRST,
            params_since: Epoch::FIRST,
            last_proposed: BTreeMap::new(),
        }
    }
}

/// How many of the verifiers that sortition selected announced themselves, over attempts whose announce window closed of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClassTurnout {
    /// Announcements that were expected, in 64.64; below 256 and a job's.
    pub expected: Fixed64,
    /// Announcements that came.
    pub announced: u32,
    /// The epoch in which the last of these windows closed.
    pub last: Epoch,
}

/// The first bucket of each queue of what is due that may hold something, see [`crate::state_key::StateKey::Due`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct DueQueues {
    /// Of the windows of live jobs.
    pub windows: u64,
    /// Of the jobs that ended.
    pub ended: u64,
    /// Of the locks that end by themselves.
    pub locks: u64,
    /// Of the verdicts that are paid out.
    pub verdicts: u64,
    /// Of the jobs that wait for a place.
    pub places: u64,
}

impl DueQueues {
    /// The first bucket of a queue.
    pub fn first_mut(&mut self, queue: DueQueue) -> &mut u64 {
        match queue {
            DueQueue::Windows => &mut self.windows,
            DueQueue::Ended => &mut self.ended,
            DueQueue::Locks => &mut self.locks,
            DueQueue::Verdicts => &mut self.verdicts,
            DueQueue::Places => &mut self.places,
        }
    }
}
