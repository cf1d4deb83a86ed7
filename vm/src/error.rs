//! Why an action fails, and why execution as a whole cannot go on.

use state::StateError;
use types::number::{Amount, EngineClass};

use crate::compute::JobError;

/// Execution cannot go on: not a verdict on a block or an action, but a node that must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// State contradicts itself.
    #[error("the state contradicts itself: {0}")]
    Broken(&'static str),
}

/// The rule that an action broke. The action is reverted, the fee stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The account holds less than the action moves.
    #[error("the account holds {balance} SQUARE, {needed} are needed")]
    InsufficientBalance {
        /// What the account holds after the fee.
        balance: Amount,
        /// What the action moves.
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
        /// Its encoded length.
        found: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A profile that runs a class which the network does not know.
    #[error("engine class {0} is not one of this network")]
    UnknownClass(EngineClass),
    /// A VRF key that is none.
    #[error("the VRF key is not valid")]
    BadVrfKey,
    /// A capacity of zero.
    #[error("the capacity must be above zero")]
    NoCapacity,
    /// The places for active partners are taken.
    #[error("all {0} places for bonded partners are taken")]
    TooManyPartners(usize),
    /// More is to be unbonded than is free.
    #[error("{free} SQUARE of the bond are free, {asked} were asked")]
    BondLocked {
        /// Bond that no job locks.
        free: Amount,
        /// What was to be unbonded or locked.
        asked: Amount,
    },
    /// Too many unbondings are in progress.
    #[error("{0} unbondings are in progress already; the first to end makes room")]
    TooManyUnbondings(usize),
    /// A job's rule, see there.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Not the action's fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StateError> for ActionError {
    fn from(error: StateError) -> Self {
        Self::Fault(Fault::State(error))
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
            Self::UnknownClass(_) => "unknown_class",
            Self::BadVrfKey => "bad_vrf_key",
            Self::NoCapacity => "no_capacity",
            Self::TooManyPartners(_) => "too_many_partners",
            Self::BondLocked { .. } => "bond_locked",
            Self::TooManyUnbondings(_) => "too_many_unbondings",
            Self::Job(error) => error.code(),
            Self::Fault(_) => "fault",
        }
    }
}
