//! How many verifiers the beacon appoints: the rest of the minimum, and two for each silent one.

use types::job::{Policy, Primary, Verifier};

use super::price::max_verifiers;
use super::record::Job;
use crate::{Abort, Context, Corruption};

/// How many verifiers replace a silent one.
const REPLACEMENTS: u16 = 2;

/// Verifiers that the beacon appoints in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// How many are appointed.
    pub missing: u16,
    /// How many, new and old together, must commit.
    pub needed: u16,
    /// 0 for the first verifiers of the attempt, 1 for those that replace silent ones.
    pub number: u16,
}

/// Number of verifiers, of which there are at most `MAX_VERIFIERS`.
pub(super) fn count(verifiers: &[Verifier]) -> u16 {
    u16::try_from(verifiers.len()).unwrap_or(u16::MAX)
}

/// What the customer demands, and at least one as long as what others earned by verifying the primary's jobs is below a
/// multiple of the bond that it locks.
// Rule C38.
pub(super) fn min_verifiers(
    context: &Context<'_>,
    job: &Job,
    primary: &Primary,
) -> Result<u16, Abort> {
    let partner = context
        .partner(&primary.partner)?
        .ok_or(Corruption::PartyWithoutPartner {
            job: job.id,
            partner: primary.partner,
        })?;
    let multiple = u128::from(context.rules.params.compute.probation_multiple);
    let on_probation = partner.verified_fees.0 < multiple.saturating_mul(primary.bond.0);
    Ok(job.policy.min_verifiers.max(u16::from(on_probation)))
}

/// The round that replaces silent verifiers beside so many `others`, as far as the attempt may have more. As many must commit
/// as were bound, but never more than can be bound now.
// Rule C40.
pub(super) fn replacements(policy: &Policy, others: u16, silent: u16, round: u16) -> Round {
    let max = u16::try_from(max_verifiers(policy)).unwrap_or(u16::MAX);
    let missing = REPLACEMENTS
        .saturating_mul(silent)
        .min(max.saturating_sub(others));
    Round {
        missing,
        needed: others.saturating_add(silent.min(missing)),
        number: round,
    }
}

/// How many verifiers are appointed after so many found no result: as many again, as far as an attempt may have them.
// Rule C57.
pub(super) fn second_opinions(policy: &Policy, without_result: usize) -> u16 {
    u16::try_from(without_result.min(max_verifiers(policy))).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use types::number::{Amount, Fixed64};

    use super::*;

    #[test]
    fn no_more_verifiers_are_needed_than_can_be_bound() {
        let policy = Policy {
            expected_verifiers: Fixed64(0),
            tasks_per_verifier: 1,
            expected_checks: Fixed64(0),
            detection: Fixed64(0),
            bond: Amount::ZERO,
            verifier_bond: Amount::ZERO,
            min_verifiers: 0,
            verifier_fee: Amount::ZERO,
            expected_announcements: Fixed64(1 << 64),
        };
        let max = u16::try_from(max_verifiers(&policy)).unwrap();
        for committed in 0..=max + 2 {
            for silent in 0..=max + 2 {
                let round = replacements(&policy, committed, silent, 1);
                assert!(round.missing <= max.saturating_sub(committed));
                assert!(round.needed <= committed + round.missing);
                let enough = committed + 2 * silent <= max;
                assert!(
                    !enough || (round.missing, round.needed) == (2 * silent, committed + silent)
                );
            }
        }
    }
}
