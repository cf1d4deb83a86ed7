//! The keys of the state, all of them, and where each sits in the tree.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::hash::{Address, Domain, Hash32, JobId};
use crate::number::{BeaconStep, ChainTime, Epoch};

/// A key of the state. The value's type stands beside each; values are borsh.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum StateKey {
    /// Balance and nonce of an account: [`crate::account::Account`].
    Account(Address),
    /// The chain's own bookkeeping: [`crate::chain_record::ChainRecord`].
    Chain,
    /// [`crate::committee::Committee`]: the one whose term of office begins with this epoch. Genesis writes the first.
    Committee(Epoch),
    /// [`crate::params::Params`]: those in force from this epoch on. Genesis writes the first.
    Params(Epoch),
    /// Beacon value, next step and when it became due.
    Beacon,
    /// `Hash32`: the beacon after a step, for the steps that a live draw may still need.
    BeaconAt(BeaconStep),
    /// `Hash32`: the seed of an epoch.
    EpochSeed(Epoch),
    /// Registration and bond of a partner: [`crate::account::Partner`].
    Partner(Address),
    /// Ordered list of all registered partners.
    PartnerIndex,
    /// [`crate::account::PartnerSnapshot`]: bonds, keys and asks of all partners as they count in an epoch.
    PartnerSnapshot(Epoch),
    /// The record of a job, also after it ended: [`crate::job::JobRecord`].
    Job(JobId),
    /// [`crate::account::LiveJobs`]: those whose stage may still change, ascending.
    LiveJobs,
    /// [`crate::job::JobReceipt`] of a settled job; stays.
    Receipt(JobId),
    /// Partners with unbondings that are paid at a chain time, in the order in which they began.
    Unbondings(ChainTime),
    /// `vm::compute::JobDeadlines`: the deadline and the draw of each live job.
    JobDeadlines,
}

impl StateKey {
    /// The key's bytes, as the flat store holds them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The key's position in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        Hash32::of(Domain::STATE_KEY, self)
    }
}
