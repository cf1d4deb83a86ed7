//! Values of the state that programs outside the state machine read by proof: accounts, partners with the locks on their
//! bonds, and which jobs are live.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::{Domain, Hash32, JobId};
use crate::limits::{LIVE_SHARDS, MAX_UNBONDINGS};
use crate::number::{Amount, ChainTime, Height, Nonce};
use crate::spec::PartnerProfile;

/// An account, under `StateKey::Account`. One that nobody ever paid is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Money that it may spend, in base units.
    pub balance: Amount,
    /// Number of transactions that it sent.
    pub nonce: Nonce,
}

/// A registered partner, under `StateKey::Partner`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Partner {
    /// What it offers, as last registered.
    pub profile: PartnerProfile,
    /// Its bond in base units, locked parts included, without what is being unbonded.
    pub bond: Amount,
    /// The locks on the bond, together at most the bond.
    pub locks: BTreeMap<LockId, BondLock>,
    /// Bond on its way back to the account, the soonest first.
    pub unbonding: Bounded<Unbonding, MAX_UNBONDINGS>,
    /// Fees that others were paid for verifying its jobs that settled, in base units, since its bond began, was last reduced, or
    /// it last broke a rule.
    pub verified_fees: Amount,
}

/// Names a lock on a partner's bond: the hash of the lock's reason, so that there is one lock per reason.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct LockId(pub Hash32);

/// A part of a bond that cannot be unbonded, and that no penalty of another reason takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BondLock {
    /// Locked bond, in base units; zero is a lock too.
    pub amount: Amount,
    /// What the bond is locked for, and until when.
    pub reason: LockReason,
}

/// What a part of a bond is locked for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum LockReason {
    /// The partner is primary of the job's current attempt; ends with the attempt.
    Primary(JobId),
    /// The partner verifies the job's current attempt; ends with the attempt.
    Verifier(JobId),
    /// The partner verified an earlier attempt of the job, whose primary did not reveal; ends once a later one did, or with the
    /// job.
    EarlierVerifier(JobId),
    /// The partner was primary of jobs that settled, whose results may be contradicted until this chain time; ends by itself.
    Audit(ChainTime),
    /// The partner was primary of the job, whose receipt is challenged; ends with the challenge.
    Contested(JobId),
    /// The partner challenges the job's receipt; ends with the challenge.
    Challenger(JobId),
}

impl LockReason {
    /// The name of the lock that this reason has.
    #[must_use]
    pub fn id(&self) -> LockId {
        LockId(Hash32::of(Domain::LOCK, self))
    }

    /// The job that the lock is for, if it is for one alone.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Primary(job)
            | Self::Verifier(job)
            | Self::EarlierVerifier(job)
            | Self::Contested(job)
            | Self::Challenger(job) => Some(*job),
            Self::Audit(_) => None,
        }
    }

    /// Chain time at which the lock ends by itself; `None` if it ends with its job.
    #[must_use]
    pub fn until(&self) -> Option<ChainTime> {
        match self {
            Self::Primary(_)
            | Self::Verifier(_)
            | Self::EarlierVerifier(_)
            | Self::Contested(_)
            | Self::Challenger(_) => None,
            Self::Audit(until) => Some(*until),
        }
    }
}

/// Bond on its way back to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Unbonding {
    /// Amount in base units.
    pub amount: Amount,
    /// Chain time at which it is paid.
    pub deadline: ChainTime,
}

impl Partner {
    /// Bond that is locked, in base units.
    #[must_use]
    pub fn locked(&self) -> Amount {
        Amount::sum(self.locks.values().map(|lock| lock.amount)).unwrap_or(self.bond)
    }

    /// Number of jobs that it is primary of.
    #[must_use]
    pub fn running(&self) -> usize {
        self.count(|reason| matches!(reason, LockReason::Primary(_)))
    }

    /// Number of attempts that it is bound to verify.
    #[must_use]
    pub fn verifications(&self) -> usize {
        self.count(|reason| matches!(reason, LockReason::Verifier(_)))
    }

    /// True if a part of its bond is locked for a job.
    #[must_use]
    pub fn is_bound_to(&self, job: &JobId) -> bool {
        self.count(|reason| reason.job() == Some(*job)) > 0
    }

    /// Bond that is not locked, in base units.
    #[must_use]
    pub fn free(&self) -> Amount {
        self.bond.saturating_sub(self.locked())
    }

    /// True if another unbonding may begin.
    #[must_use]
    pub fn may_unbond(&self) -> bool {
        self.unbonding.len() < MAX_UNBONDINGS
    }

    fn count(&self, holds: impl Fn(&LockReason) -> bool) -> usize {
        self.locks
            .values()
            .filter(|lock| holds(&lock.reason))
            .count()
    }
}

/// The jobs of a shard whose stage may still change, under `StateKey::LiveJobs`: each with the height of the block that last
/// changed its record.
pub type LiveJobs = BTreeMap<JobId, Height>;

/// When the live jobs of each shard last changed, under `StateKey::LiveIndex`: whoever follows the live jobs reads this,
/// then the shards and records that changed since it read them. Zero for a shard that never had a job.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LiveIndex(pub [Height; LIVE_SHARDS]);

impl Default for LiveIndex {
    fn default() -> Self {
        Self([Height::ZERO; LIVE_SHARDS])
    }
}

/// The shard of a job: by the first bits of its id, which is a hash.
#[must_use]
pub fn live_shard(job: &JobId) -> u8 {
    let [first, ..] = job.0.0;
    let shards = u8::try_from(LIVE_SHARDS).expect("there are fewer shards than bytes");
    first % shards
}
