//! Who can run a job, and how it is checked given who can.
//!
//! A partner stands behind each of its places for jobs with an equal part of half of its bond; the other half is
//! reserved for verification, so that no flood of jobs can lock honest partners out of checking. The policy is chosen
//! over what counts in the epoch, not over who is busy now: a job waits for a place.

use state::{StateRead, read_as};
use types::account::Partner;
use types::job::{Constraints, JobSpec, JobTerms, PartnerProfile, Policy};
use types::number::{Amount, Fixed64};
use types::params::ComputeParams;
use types::snapshot::{EpochPartner, PartnerSnapshot};
use types::state_key::StateKey;

use super::JobError;
use super::policy::{Checking, Checks, ClassBonds, Rule, Stakes, max_confidence_ppm};
use super::price::{ask_level, min_price, price, referees_fees, verifier_fee};
use crate::Abort;

/// The least bond of a primary, in fees of all referees for one of its tasks.
const REFEREES_TIMES: u128 = 4;
/// How many partners should be able to lock the bond, where there are as many: the beacon then has a choice.
const WANTED_CHOICE: usize = 3;

/// Why a partner cannot be drawn to run a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// It does not run the engine class.
    Class,
    /// It lacks an attribute that the constraints ask for.
    Attributes,
    /// It asks for more than the price cap.
    Price,
    /// The part of its bond that stands behind one job is smaller than the policy's bond.
    Bond,
    /// It has paused.
    Paused,
    /// It runs as many jobs as it has places.
    Places,
    /// Too much of its bond is locked now.
    Locked,
}

impl Exclusion {
    /// One sentence for people.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Class => "does not run the engine class",
            Self::Attributes => "lacks an attribute that the constraints ask for",
            Self::Price => "asks for more than the price cap",
            Self::Bond => "has too small a bond behind each of its places",
            Self::Paused => "has paused",
            Self::Places => "runs as many jobs as it has places",
            Self::Locked => "has too much of its bond locked by other jobs now",
        }
    }
}

/// The most that a partner can lock as primary of one job.
// Rule C32.
#[must_use]
pub fn offer(bond: Amount, places: u16) -> Amount {
    Amount(bond.0 / 2 / u128::from(places.max(1)))
}

/// How many verifications the beacon may load on a partner at the same time: its duty beside the jobs that it runs.
// Rule C33.
#[must_use]
pub fn verification_places(params: &ComputeParams, profile: &PartnerProfile) -> usize {
    usize::from(params.verifications_per_place).saturating_mul(usize::from(profile.places.max(1)))
}

/// What holds of a partner in an epoch: nothing against it, or the first reason.
// Rule C13.
fn snapshot_exclusion(
    terms: &JobTerms,
    constraints: &Constraints,
    entry: &EpochPartner,
) -> Option<Exclusion> {
    let profile = &entry.profile;
    if !profile.classes.contains(&terms.class) {
        return Some(Exclusion::Class);
    }
    if constraints
        .attributes
        .iter()
        .any(|(name, value)| profile.attributes.get(name) != Some(value))
    {
        return Some(Exclusion::Attributes);
    }
    (price(profile.ask, terms) > terms.price_cap).then_some(Exclusion::Price)
}

/// Why a partner cannot be drawn in an epoch to run a job under a policy, whatever it does now.
// Rule C32.
pub fn fixed_exclusion(
    terms: &JobTerms,
    constraints: &Constraints,
    policy: &Policy,
    entry: &EpochPartner,
) -> Option<Exclusion> {
    snapshot_exclusion(terms, constraints, entry).or_else(|| {
        let offered = offer(entry.bond, entry.profile.places);
        (offered < policy.bond).then_some(Exclusion::Bond)
    })
}

/// Why a partner that could be drawn in an epoch cannot take the job now.
// Rules C30, C32.
pub fn live_exclusion(
    state: &dyn StateRead,
    policy: &Policy,
    entry: &EpochPartner,
) -> Result<Option<Exclusion>, Abort> {
    let Some(now) = read_as::<Partner>(state, &StateKey::Partner(entry.address))? else {
        return Ok(Some(Exclusion::Locked));
    };
    if now.profile.is_paused() {
        return Ok(Some(Exclusion::Paused));
    }
    if now.running() >= usize::from(entry.profile.places) {
        return Ok(Some(Exclusion::Places));
    }
    Ok((now.free() < policy.bond).then_some(Exclusion::Locked))
}

/// The places of the partners that fit a job, whoever is busy now.
// Rule C68.
pub(super) fn places(
    terms: &JobTerms,
    constraints: &Constraints,
    snapshot: &PartnerSnapshot,
) -> u64 {
    let fits = |entry: &&EpochPartner| snapshot_exclusion(terms, constraints, entry).is_none();
    let places = snapshot.iter().filter(fits);
    places.map(|entry| u64::from(entry.profile.places)).sum()
}

/// The stakes of a job in the bond rule.
#[must_use]
pub fn stakes(spec: &JobSpec) -> Stakes {
    let asked = &spec.verification;
    Stakes {
        price: spec.price_cap.0,
        value: asked.value_at_risk.0,
        task_value: asked.task_value_at_risk.0,
        tasks: spec.workload.tasks.count(),
        confidence_ppm: asked.confidence_ppm,
    }
}

/// Chooses how a job is checked, or says why no partner of the epoch can run it. `referees` is the number of validators that
/// would vote in a dispute, `turnout` the measured share of selected verifiers that announce themselves, in 64.64.
// Rules C13, C14, C15, C47.
pub fn choose_policy(
    params: &ComputeParams,
    spec: &JobSpec,
    terms: &JobTerms,
    snapshot: &PartnerSnapshot,
    referees: usize,
    turnout: u128,
) -> Result<Policy, JobError> {
    let mut offers = offers(terms, &spec.constraints, snapshot)?;
    let floor = min_price(params, terms)?;
    if terms.price_cap < floor {
        return Err(JobError::PriceBelowFloor {
            cap: terms.price_cap,
            floor,
        });
    }
    // Where bonds begin on probation somebody must be there to check.
    let needed = spec
        .verification
        .min_verifiers
        .max(u16::from(params.probation_multiple > 0));
    let class: Vec<_> = snapshot
        .iter()
        .filter(|partner| partner.profile.classes.contains(&terms.class))
        .collect();
    let available = class.len().saturating_sub(1);
    if available < usize::from(needed) {
        return Err(JobError::NotEnoughVerifiers { available, needed });
    }
    let bonds = ClassBonds::new(class.iter().map(|partner| partner.bond));
    let level = ask_level(params, terms.class, &class)?;
    // Whoever loses a dispute can pay for it.
    let fees = referees_fees(params, terms, level, referees).0;
    let penalty = params.decline_penalty.0;
    let checking = Checking {
        bonds: &bonds,
        turnout,
        min_verifiers: spec.verification.min_verifiers,
        floor: fees.saturating_mul(REFEREES_TIMES).max(penalty),
        verifier_floor: fees.max(penalty),
    };
    let (stakes, asked) = (stakes(spec), spec.verification.tasks_per_verifier);
    let best = best_rule(&stakes, asked, &checking)?;
    offers.sort_unstable_by(|a, b| b.cmp(a));
    // The offer that most of the wanted choice can make; smaller choices with larger offers only if it must be; smaller
    // offers where those leave too few who could verify.
    let largest = offers.first().copied().unwrap_or_default();
    let smaller = checking
        .matched_bonds()
        .into_iter()
        .filter(|bond| *bond < largest.0);
    let mut tried = offers
        .iter()
        .take(WANTED_CHOICE)
        .rev()
        .map(|offer| offer.0)
        .chain(smaller)
        .filter(|offer| *offer >= checking.floor);
    let chosen = tried.find_map(|offer| stakes.choose(asked, offer, &checking));
    let Some(checks) = chosen else {
        let needed = best
            .bond_that_would_do(asked)
            .map(|needed| Amount(needed.max(checking.floor)))
            .ok_or(JobError::BondBoundless)?;
        if largest >= needed {
            return Err(JobError::TooFewCanVerify {
                bond: Amount(checking.verifier_bond(needed.0)),
            });
        }
        return Err(JobError::BondTooSmall {
            needed,
            best: largest,
        });
    };
    Ok(policy(params, terms, (&checks, &checking), level))
}

/// The rule with as many to check as there ever are, or why there is none.
// Rules C43, C45.
fn best_rule(
    stakes: &Stakes,
    asked: Option<u32>,
    checking: &Checking<'_>,
) -> Result<Rule, JobError> {
    let honest = checking.honest(0);
    if honest == 0 {
        return Err(JobError::TooFewCanVerify {
            bond: Amount(checking.verifier_bond(0)),
        });
    }
    let found = stakes.confidence_ppm;
    let unreachable = || JobError::ConfidenceTooHigh {
        found,
        max: max_confidence_ppm(honest),
    };
    let rule = Rule {
        stakes: *stakes,
        checkers: checking.checkers(0, found).ok_or_else(unreachable)?,
    };
    match asked.filter(|_| rule.candidates(asked).is_empty()) {
        Some(found) => Err(JobError::TooFewTasksPerVerifier {
            found,
            min: rule.min_tasks_per_verifier(),
        }),
        None => Ok(rule),
    }
}

/// What each partner that fits can lock for the job; an error if none fits.
// Rule C13.
fn offers(
    terms: &JobTerms,
    constraints: &Constraints,
    snapshot: &PartnerSnapshot,
) -> Result<Vec<Amount>, JobError> {
    let (mut of_class, mut lowest, mut offers) = (0, None::<Amount>, Vec::new());
    for entry in snapshot.iter() {
        match snapshot_exclusion(terms, constraints, entry) {
            Some(Exclusion::Class) => continue,
            Some(Exclusion::Price) => {
                let price = price(entry.profile.ask, terms);
                lowest = Some(lowest.map_or(price, |lowest| lowest.min(price)));
            }
            Some(_) => {}
            None => offers.push(offer(entry.bond, entry.profile.places)),
        }
        of_class += 1;
    }
    if !offers.is_empty() {
        return Ok(offers);
    }
    Err(match lowest {
        _ if of_class == 0 => JobError::NoPartnerOfClass(terms.class),
        Some(lowest) => JobError::PriceTooLow {
            cap: terms.price_cap,
            lowest,
        },
        None => JobError::ConstraintsUnmet { partners: of_class },
    })
}

fn policy(
    params: &ComputeParams,
    terms: &JobTerms,
    by: (&Checks, &Checking<'_>),
    level: Amount,
) -> Policy {
    let (checks, checking) = by;
    Policy {
        expected_verifiers: Fixed64(checks.expected_verifiers),
        tasks_per_verifier: checks.tasks_per_verifier,
        expected_checks: Fixed64(checks.expected_checks),
        detection: Fixed64(checks.detection),
        bond: Amount(checks.bond),
        verifier_bond: Amount(checking.verifier_bond(checks.bond)),
        min_verifiers: checking.min_verifiers,
        verifier_fee: verifier_fee(params, terms, checks.tasks_per_verifier, level),
        expected_announcements: Fixed64(checking.announcements(checks)),
    }
}
