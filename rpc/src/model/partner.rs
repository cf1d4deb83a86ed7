//! Partners in the shapes of the interface.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use types::account::{BondLock, LockReason, Partner, Unbonding};
use types::hash::{Address, JobId};
use types::job::{Name, PartnerProfile};
use types::key::VrfPublicKey;
use types::number::{Amount, Attempt, ChainTime, EngineClass, Height};

/// Active partners: `GET /v1/partners`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerList {
    /// The height that all of this is true at.
    pub height: Height,
    /// At most [`crate::limits::MAX_LISTED_PARTNERS`], sorted by address.
    pub partners: Vec<PartnerView>,
    /// The last of them, where there are more: `after` of the next request; absent if there are none.
    pub next: Option<Address>,
}

/// A partner: `GET /v1/partners/{address}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerView {
    /// Address of its account, which is its identity.
    pub address: Address,
    /// What it offers, as last registered.
    pub profile: ProfileView,
    /// Its bond without what is being unbonded, in SQUARE.
    pub bond: Amount,
    /// Bond locked by live jobs, in SQUARE.
    pub locked: Amount,
    /// Bond that is neither locked nor being unbonded, in SQUARE.
    pub free: Amount,
    /// Bond that is its draw weight in this epoch, in SQUARE; absent if it is not an epoch partner yet.
    pub epoch_bond: Option<Amount>,
    /// What the bond is locked for, the largest lock first.
    pub locks: Vec<LockView>,
    /// Bond on its way back to the account, soonest first.
    pub unbonding: Vec<UnbondingView>,
    /// Live jobs that it is primary of.
    pub running: u16,
    /// Attempts of live jobs that it is bound to verify.
    pub verifying: u16,
    /// Value of its jobs that verification confirmed, in SQUARE.
    pub verified_fees: Amount,
    /// Chain time at `height`, in milliseconds.
    pub chain_time: ChainTime,
    /// The height that all of this is true at.
    pub height: Height,
}

/// The name of a lock whose job awaits an opening in a later attempt.
const EARLIER_VERIFIER: &str = "earlier_verifier";

/// A part of a partner's bond that is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// How much is locked, in SQUARE.
    pub amount: Amount,
    /// What it is locked for: `primary`, `verifier`, `earlier_verifier`, `audit`, `contested` or `challenger`.
    pub reason: String,
    /// The job that it is locked for; absent for an audit window, which is of several jobs.
    pub job: Option<JobId>,
    /// Chain time at which it ends by itself, in milliseconds; absent if it ends with its job.
    pub until: Option<ChainTime>,
    /// What the job awaits; absent in lists of partners, and if there is none.
    pub duty: Option<DutyView>,
}

/// Where a job stands to which a partner is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyView {
    /// The attempt that it is bound to, counted from 0.
    pub attempt: Attempt,
    /// Name of the job's stage, as in [`super::JobView::stage`].
    pub stage: String,
    /// What the job awaits of this partner now: `acknowledgement`, `commitment` or `opening`; absent if nothing.
    pub awaits: Option<String>,
    /// Chain time at which the stage ends at the latest, in milliseconds; absent while it waits for the beacon.
    pub deadline: Option<ChainTime>,
    /// What it costs to miss what is awaited, in SQUARE; absent if nothing is.
    pub miss_costs: Option<Amount>,
}

/// What a partner offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    /// For people, at most 64 bytes.
    pub name: Name,
    /// The engine classes that it runs, ascending.
    pub classes: BTreeSet<EngineClass>,
    /// Key that proves its sortitions.
    pub vrf_key: VrfPublicKey,
    /// Smallest price per million units of fuel, in SQUARE.
    pub ask: Amount,
    /// Places for jobs: how many it runs as primary at the same time; 0 where it has paused.
    pub places: u16,
    /// Location, jurisdiction, hardware and whatever else jobs may ask for.
    pub attributes: BTreeMap<Name, Name>,
}

/// Bond on its way back to its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbondingView {
    /// How much is paid back, in SQUARE.
    pub amount: Amount,
    /// Chain time at which it is paid, in milliseconds.
    pub deadline: ChainTime,
}

impl PartnerView {
    /// A partner at a height and its chain time; `epoch_bond` is its bond in the snapshot of that height's epoch.
    #[must_use]
    pub fn new(
        address: Address,
        partner: &Partner,
        epoch_bond: Option<Amount>,
        chain_time: ChainTime,
        height: Height,
    ) -> Self {
        let mut locks: Vec<LockView> = partner.locks.values().map(Into::into).collect();
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.amount));
        Self {
            locks,
            chain_time,
            address,
            profile: ProfileView::from(&partner.profile),
            bond: partner.bond,
            locked: partner.locked(),
            free: partner.free(),
            epoch_bond,
            unbonding: partner.unbonding.iter().map(Into::into).collect(),
            running: u16::try_from(partner.running()).unwrap_or(u16::MAX),
            verifying: u16::try_from(partner.verifications()).unwrap_or(u16::MAX),
            verified_fees: partner.verified_fees,
            height,
        }
    }
}

impl LockView {
    /// True if what it is locked for is an opening that follows an attempt whose primary did not reveal.
    #[must_use]
    pub fn is_of_earlier_verifier(&self) -> bool {
        self.reason == EARLIER_VERIFIER
    }
}

impl From<&BondLock> for LockView {
    fn from(lock: &BondLock) -> Self {
        let reason = match lock.reason {
            LockReason::Primary(_) => "primary",
            LockReason::Verifier(_) => "verifier",
            LockReason::EarlierVerifier(_) => EARLIER_VERIFIER,
            LockReason::Audit(_) => "audit",
            LockReason::Contested(_) => "contested",
            LockReason::Challenger(_) => "challenger",
        };
        Self {
            amount: lock.amount,
            reason: reason.to_owned(),
            job: lock.reason.job(),
            until: lock.reason.until(),
            duty: None,
        }
    }
}

impl From<&PartnerProfile> for ProfileView {
    fn from(profile: &PartnerProfile) -> Self {
        Self {
            name: profile.name.clone(),
            classes: profile.classes.clone(),
            vrf_key: profile.vrf_key,
            ask: profile.ask,
            places: profile.places,
            attributes: profile.attributes.clone(),
        }
    }
}

impl From<&Unbonding> for UnbondingView {
    fn from(unbonding: &Unbonding) -> Self {
        Self {
            amount: unbonding.amount,
            deadline: unbonding.deadline,
        }
    }
}
