//! The keys of the state, all of them, and where each sits in the tree.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::hash::{Address, BlobId, Domain, Hash32, JobId};
use crate::number::{BeaconStep, ChainTime, EngineClass, Epoch};

/// A queue of what is due at a chain time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum DueQueue {
    /// Windows of live jobs that end by themselves.
    Windows,
    /// Jobs that ended and are forgotten.
    Ended,
    /// Locks on bonds that end by themselves.
    Locks,
    /// Verdicts that are paid out.
    Verdicts,
    /// Jobs that wait for a free partner, the longest first.
    Places,
}

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
    /// [`crate::snapshot::PartnerIndex`]: the newest version of each page of active partners.
    PartnerIndex,
    /// [`crate::snapshot::PartnerIndex`]: the version of each page of active partners that an epoch sees.
    PartnerSnapshot(Epoch),
    /// The record of a job, for a while also after it ended: [`crate::job::JobRecord`].
    Job(JobId),
    /// [`crate::job::JobSpec`]: a job as its customer signed it; written once.
    JobSpec(JobId),
    /// [`crate::account::LiveIndex`]: when the live jobs of each shard last changed.
    LiveIndex,
    /// [`crate::account::LiveJobs`] of a shard, below [`crate::limits::LIVE_SHARDS`]; absent if it has none.
    LiveJobs(u8),
    /// `u32`: number of live jobs of a customer; absent if it has none.
    CustomerJobs(Address),
    /// [`crate::job::JobReceipt`] of a settled job.
    Receipt(JobId),
    /// [`crate::job::Revocation`]: why the receipt of a settled job does not stand; absent while it does.
    Revocation(JobId),
    /// `Height` at which a program was banned from a class, see [`program_hash`]: referees could not agree on a result of it.
    Banned(Hash32),
    /// [`crate::job::JobVerdict`] of referees on results of a job, by its number below [`crate::job::JobRecord::verdicts`].
    Verdict(JobId, u16),
    /// Partners with unbondings that are paid at a chain time, in the order in which they began.
    Unbondings(ChainTime),
    /// `vm::due::Bucket`: what of a queue is due in one bucket of chain time; absent if nothing is.
    Due(DueQueue, u64),
    /// `vm::draws::Draws`: the jobs whose draw this step of the beacon ends; absent if there are none.
    Draws(BeaconStep),
    /// [`crate::snapshot::PartnerPage`]: bonds, keys and asks of the active partners of a page, below
    /// [`crate::limits::PARTNER_PAGES`], as epochs from this one on see them; absent if there are none.
    PartnerPage(u8, Epoch),
}

/// What names a program under a class.
#[must_use]
pub fn program_hash(class: EngineClass, module: BlobId) -> Hash32 {
    Hash32::of(Domain::PROGRAM, &(class, module))
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

/// The key as a path: its kind, and for most kinds an argument after a slash, such as `account/{address}` or `chain`.
impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => write!(f, "account/{address}"),
            Self::Chain => f.write_str("chain"),
            Self::Committee(epoch) => write!(f, "committee/{epoch}"),
            Self::Params(epoch) => write!(f, "params/{epoch}"),
            Self::Beacon => f.write_str("beacon"),
            Self::BeaconAt(step) => write!(f, "beacon-at/{step}"),
            Self::EpochSeed(epoch) => write!(f, "epoch-seed/{epoch}"),
            Self::Partner(address) => write!(f, "partner/{address}"),
            Self::PartnerIndex => f.write_str("partner-index"),
            Self::PartnerPage(page, since) => write!(f, "partner-page/{page}/{since}"),
            Self::PartnerSnapshot(epoch) => write!(f, "partner-snapshot/{epoch}"),
            Self::Job(id) => write!(f, "job/{id}"),
            Self::JobSpec(id) => write!(f, "job-spec/{id}"),
            Self::LiveIndex => f.write_str("live-index"),
            Self::LiveJobs(shard) => write!(f, "live-jobs/{shard}"),
            Self::CustomerJobs(address) => write!(f, "customer-jobs/{address}"),
            Self::Receipt(id) => write!(f, "receipt/{id}"),
            Self::Revocation(id) => write!(f, "revocation/{id}"),
            Self::Banned(program) => write!(f, "banned/{program}"),
            Self::Verdict(id, number) => write!(f, "verdict/{id}/{number}"),
            Self::Unbondings(time) => write!(f, "unbondings/{time}"),
            Self::Due(DueQueue::Windows, bucket) => write!(f, "due-windows/{bucket}"),
            Self::Due(DueQueue::Ended, bucket) => write!(f, "due-ended/{bucket}"),
            Self::Due(DueQueue::Locks, bucket) => write!(f, "due-locks/{bucket}"),
            Self::Due(DueQueue::Verdicts, bucket) => write!(f, "due-verdicts/{bucket}"),
            Self::Due(DueQueue::Places, bucket) => write!(f, "due-places/{bucket}"),
            Self::Draws(step) => write!(f, "draws/{step}"),
        }
    }
}
