//! Why an action fails, and why execution as a whole cannot go on.

use state::StateError;
use types::hash::{Address, JobId};
use types::number::{Amount, BeaconStep, ChainTime, EngineClass, Epoch};
use types::params::UnknownProtocolVersion;
use types::versions::{OtherSchedule, VersionError};

mod job;

pub use job::JobError;

/// Execution cannot go on: not a verdict on a block or an action, but a node that must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A version of the protocol is in force that this build does not know.
    #[error(transparent)]
    Version(#[from] UnknownProtocolVersion),
    /// The final blocks follow another schedule of versions than this node.
    #[error(transparent)]
    Schedule(#[from] OtherSchedule),
    /// An invariant of the state does not hold.
    #[error("the state contradicts itself: {0}")]
    Corrupt(#[from] Corruption),
}

impl From<VersionError> for Abort {
    fn from(error: VersionError) -> Self {
        match error {
            VersionError::Unknown(error) => error.into(),
            VersionError::Schedule(error) => error.into(),
        }
    }
}

/// An invariant of the state that does not hold. One variant per invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// The chain's bookkeeping is missing.
    #[error("there is no chain record")]
    NoChainRecord,
    /// The parameters that the chain's record names are missing.
    #[error("there are no parameters of epoch {0}")]
    NoParams(Epoch),
    /// The committee that the chain's record names is missing.
    #[error("there is no committee of epoch {0}")]
    NoCommittee(Epoch),
    /// The beacon is missing.
    #[error("there is no beacon")]
    NoBeacon,
    /// The seed of the current epoch is missing.
    #[error("there is no seed of epoch {0}")]
    NoEpochSeed(Epoch),
    /// Accounts together hold less than one of them pays.
    #[error("an account pays {amount} base units, all accounts together hold {liquid}")]
    LiquidBelow {
        /// What all accounts hold by the chain's bookkeeping.
        liquid: Amount,
        /// What one of them pays.
        amount: Amount,
    },
    /// Accounts together would hold more than the supply.
    #[error("accounts would hold {amount} base units more than {liquid}, the supply is {supply}")]
    LiquidAbove {
        /// What all accounts hold by the chain's bookkeeping.
        liquid: Amount,
        /// What one of them receives.
        amount: Amount,
        /// All money there is.
        supply: Amount,
    },
    /// A balance beyond 128 bits.
    #[error("the balance of {0} overflows")]
    BalanceOverflow(Address),
    /// More is burned than there is, or than accounts leave.
    #[error(
        "{amount} base units are burned of a supply of {supply}, of which accounts hold {liquid}"
    )]
    BurnAboveSupply {
        /// Amount that is burned, in base units.
        amount: Amount,
        /// All money there is.
        supply: Amount,
        /// What all accounts hold.
        liquid: Amount,
    },
    /// Supply and burned money are not all money at genesis.
    #[error("a supply of {supply} and {burned} burned are not the {genesis} base units of genesis")]
    SupplyMismatch {
        /// All money there is.
        supply: Amount,
        /// All money that was burned.
        burned: Amount,
        /// All money at genesis.
        genesis: Amount,
    },
    /// A bond beyond 128 bits.
    #[error("the bond of {0} overflows")]
    BondOverflow(Address),
    /// Locks that together exceed the bond.
    #[error("partner {partner} has locked {locked} of a bond of {bond} base units")]
    LocksAboveBond {
        /// Address of the partner.
        partner: Address,
        /// Sum of all locks of the bond, in base units.
        locked: Amount,
        /// Bond on record, in base units.
        bond: Amount,
    },
    /// The index of active partners lists an account that is none.
    #[error("the index lists {0}, which is no partner")]
    IndexWithoutPartner(Address),
    /// The index of active partners is longer than allowed.
    #[error("the index lists {0} partners, which is too many")]
    TooManyPartners(usize),
    /// The queue of unbondings misses an entry that another one names.
    #[error("the queue of unbondings has no entry at chain time {0}")]
    UnbondingGap(ChainTime),
    /// The queue of unbondings names an unbonding that its partner does not have.
    #[error("partner {partner} has no unbonding that ends at chain time {deadline}")]
    UnbondingMissing {
        /// Address of the partner.
        partner: Address,
        /// When it should be paid.
        deadline: ChainTime,
    },
    /// A job that moves on has no record.
    #[error("job {0} is live and has no record")]
    LiveJobWithoutRecord(JobId),
    /// A job has a record and no spec.
    #[error("job {0} has a record and no spec")]
    JobWithoutSpec(JobId),
    /// A job that is submitted has a record, or is live, already.
    #[error("job {0} exists already")]
    JobExists(JobId),
    /// A live job holds more bytes than all of them.
    #[error("job {0} holds more bytes than all live jobs")]
    LiveBytes(JobId),
    /// A job that moves is not among the live ones.
    #[error("job {0} is not live")]
    JobNotLive(JobId),
    /// A live job's window is not in the queue in which its record says it is.
    #[error("the window of job {job}, which ends at {at}, is not in the queue")]
    NotDue {
        /// Id of the live job.
        job: JobId,
        /// Deadline in its record.
        at: ChainTime,
    },
    /// A live job's draw is not among those of the step that its record names.
    #[error("job {job} waits for beacon step {step}, which does not draw for it")]
    NoDraw {
        /// Id of the live job.
        job: JobId,
        /// Step in its record.
        step: BeaconStep,
    },
    /// A party of a live job is no partner.
    #[error("{partner} is a party of job {job} and no partner")]
    PartyWithoutPartner {
        /// Id of the job.
        job: JobId,
        /// Address of the party in the job's record.
        partner: Address,
    },
    /// A partner was drawn whose bond could not be locked.
    #[error("the bond of {partner}, which was drawn for job {job}, cannot be locked")]
    DrawnBondNotFree {
        /// Id of the job.
        job: JobId,
        /// Address of the partner.
        partner: Address,
    },
    /// A ballot ends that is not counted among those that run.
    #[error("job {0} ends a ballot that does not run")]
    NoBallot(JobId),
    /// A verdict that is due is missing.
    #[error("there is no verdict {number} on job {job}")]
    NoVerdict {
        /// Id of the job.
        job: JobId,
        /// Number of the verdict.
        number: u16,
    },
    /// A lock holds less than what it was made for.
    #[error(
        "a lock on the bond of {partner} holds less than the {amount} base units that a job locked"
    )]
    LockMissing {
        /// Address of the partner.
        partner: Address,
        /// What the job locked, in base units.
        amount: Amount,
    },
    /// A job settled, and its receipt is not in state.
    #[error("job {0} is settled without a receipt")]
    NoReceipt(JobId),
    /// A job pays more than its escrow holds.
    #[error("job {job} pays {amount} base units out of an escrow of {held}")]
    EscrowOverdrawn {
        /// Id of the job.
        job: JobId,
        /// Amount that is paid, in base units.
        amount: Amount,
        /// What the part of the escrow holds.
        held: Amount,
    },
    /// Amounts of a job, checked when it was submitted, overflow.
    #[error("the amounts of job {0} overflow")]
    JobAmountOverflow(JobId),
}

/// The rule that an action broke. The action is reverted, the fee stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The account holds less than the action moves.
    #[error("the account holds {balance} SQUARE, {needed} are needed")]
    InsufficientBalance {
        /// Balance after the fee, in base units.
        balance: Amount,
        /// Amount that the action moves, in base units.
        needed: Amount,
    },
    /// An amount of zero where one must move.
    #[error("the amount must be above zero")]
    ZeroAmount,
    /// The sender is no partner.
    #[error("the account is not registered as a partner")]
    NotRegistered,
    /// A profile with too many attributes.
    #[error("{found} attributes where at most {limit} are allowed")]
    TooManyAttributes {
        /// How many were given.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A profile with too many bytes.
    #[error(
        "the profile takes {found} bytes where at most {limit} are allowed: shorten name and attributes"
    )]
    ProfileTooLong {
        /// Encoded length of the value, in bytes.
        found: usize,
        /// Maximum length, in bytes.
        limit: usize,
    },
    /// A profile that runs no class.
    #[error("a partner must run at least one engine class")]
    NoClass,
    /// A profile that runs a class which the network does not know.
    #[error("engine class {0} is not one of this network")]
    UnknownClass(EngineClass),
    /// A VRF key that is not a valid one.
    #[error("the VRF key is not valid")]
    BadVrfKey,
    /// As many partners of a page are active as there may be, and none of them has less.
    #[error(
        "all {limit} places of this account's page of partners are taken, the smallest bond there is {smallest} SQUARE: bond more than that in all, or be a partner under another account, which lies in another page"
    )]
    TooManyPartners {
        /// Most active partners of a page.
        limit: usize,
        /// The smallest bond among them, in base units.
        smallest: Amount,
    },
    /// More is to be unbonded than is free.
    #[error("{free} SQUARE of the bond are free, {asked} were asked")]
    BondLocked {
        /// Bond that is not locked, in base units.
        free: Amount,
        /// Bond that was to be unbonded or locked, in base units.
        asked: Amount,
    },
    /// Too many unbondings are in progress.
    #[error("{0} unbondings are in progress already; the first to end makes room")]
    TooManyUnbondings(usize),
    /// A job's rule, see there.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Not a verdict on the action: execution cannot go on.
    #[error(transparent)]
    Abort(#[from] Abort),
}

impl From<StateError> for ActionError {
    fn from(error: StateError) -> Self {
        Self::Abort(Abort::State(error))
    }
}

impl From<Corruption> for ActionError {
    fn from(corruption: Corruption) -> Self {
        Self::Abort(Abort::Corrupt(corruption))
    }
}

impl ActionError {
    /// The stable short name that a receipt carries. Part of the protocol: the receipt root covers it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsufficientBalance { .. } => "insufficient_balance",
            Self::ZeroAmount => "zero_amount",
            Self::NotRegistered => "not_registered",
            Self::TooManyAttributes { .. } => "too_many_attributes",
            Self::ProfileTooLong { .. } => "profile_too_long",
            Self::NoClass => "no_class",
            Self::UnknownClass(_) => "unknown_class",
            Self::BadVrfKey => "bad_vrf_key",
            Self::TooManyPartners { .. } => "too_many_partners",
            Self::BondLocked { .. } => "bond_locked",
            Self::TooManyUnbondings(_) => "too_many_unbondings",
            Self::Job(error) => error.code(),
            Self::Abort(_) => "abort",
        }
    }
}
