//! Every penalty of a job's life, in one table. What is forfeited for silence is burned and never paid to the other side, but
//! for the fees of verifiers whose primary kept them from opening. What is forfeited for a wrong claim is divided as
//! `verdict` says. A penalty never takes more of a bond than no other job locks, and of a verifier, which the beacon may have
//! bound unasked, never more than it locked for the job.

use types::number::Amount;
use types::params::ComputeParams;

use super::fixed::ratio_up;

/// What a party did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A drawn primary said, before it acknowledged, that it does not take the job.
    Declined,
    /// A drawn primary said nothing in time.
    Ignored,
    /// A primary acknowledged, then did not commit in time or gave up.
    Uncommitted,
    /// A primary acknowledged and soon found that the module cannot be run: a flat cost, for the same reason as of
    /// [`Breach::NoResult`], and one that nobody pays back, so that who reports what is not so pays for it.
    Unrunnable,
    /// A primary committed and did not reveal: as bad as a wrong result, else it would stay silent whenever it is checked.
    PrimaryUnopened,
    /// A verifier bound itself, or was bound by the beacon, and did not commit in time.
    VerifierSilent,
    /// A verifier said in time that it found no result: a flat cost, since a job that honest machines cannot run must not
    /// cost them their bonds. Paid back if nobody else finds one either.
    NoResult,
    /// A verifier committed and did not reveal: as bad as a wrong result, else it could be bribed into silence.
    VerifierUnopened,
    /// Referees found something else than the primary.
    PrimaryWrong,
    /// Referees found something else than a verifier, or than who challenged a receipt.
    VerifierWrong,
    /// Who challenged a receipt did not show what it found: as bad as a wrong claim, else it could keep others from challenging.
    ChallengeUnopened,
}

impl Breach {
    /// True for what an honest partner does not do: its probation begins anew. To decline, to be late for an assignment, or to
    /// find no result says nothing of its work.
    // Rule C38.
    #[must_use]
    pub fn ends_trust(self) -> bool {
        !matches!(
            self,
            Self::Declined | Self::Ignored | Self::NoResult | Self::Unrunnable
        )
    }
}

/// Of what is left of forfeited bonds after fees, the part of those who claimed the verdict's leaf, in percent.
pub const HONEST_PERCENT: u128 = 50;
/// Of forfeited bonds, the most that the customer gets, in percent; never more than the job cost it.
pub const CUSTOMER_PERCENT: u128 = 20;

/// A share of the bond that the party locked for the job, in percent, and at least so many decline penalties.
struct Row(Breach, u8, u8);

/// The penalties of rule C48: share of the lock in percent, minimum in decline penalties.
const PENALTIES: [Row; 11] = [
    Row(Breach::Declined, 0, 1),
    Row(Breach::Ignored, 0, 1),
    Row(Breach::Uncommitted, 1, 2),
    Row(Breach::Unrunnable, 0, 1),
    Row(Breach::PrimaryUnopened, 100, 1),
    Row(Breach::VerifierSilent, 20, 1),
    Row(Breach::NoResult, 0, 1),
    Row(Breach::VerifierUnopened, 100, 1),
    Row(Breach::PrimaryWrong, 100, 1),
    Row(Breach::VerifierWrong, 100, 1),
    Row(Breach::ChallengeUnopened, 100, 1),
];

/// What a breach costs a party that locked `locked` for the job.
// Rule C48.
#[must_use]
pub fn penalty(params: &ComputeParams, breach: Breach, locked: Amount) -> Amount {
    let row = PENALTIES.iter().find(|row| row.0 == breach);
    let Some(Row(_, percent, declines)) = row else {
        return locked;
    };
    let share = Amount(ratio_up(locked.0, u128::from(*percent), 100));
    let amount = share.max(Amount(
        params
            .decline_penalty
            .0
            .saturating_mul(u128::from(*declines)),
    ));
    let verifies = is_of_verifier(breach);
    if verifies { amount.min(locked) } else { amount }
}

fn is_of_verifier(breach: Breach) -> bool {
    matches!(
        breach,
        Breach::VerifierSilent
            | Breach::NoResult
            | Breach::VerifierUnopened
            | Breach::VerifierWrong
            | Breach::ChallengeUnopened
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_breach_has_its_row_and_costs_something() {
        let params = types::params::Params::devnet().compute;
        let locked = Amount(1_000_000 * params.decline_penalty.0);
        let all = [
            (Breach::Declined, params.decline_penalty.0),
            (Breach::Ignored, params.decline_penalty.0),
            (Breach::Uncommitted, locked.0 / 100),
            (Breach::Unrunnable, params.decline_penalty.0),
            (Breach::PrimaryUnopened, locked.0),
            (Breach::VerifierSilent, locked.0 / 5),
            (Breach::NoResult, params.decline_penalty.0),
            (Breach::VerifierUnopened, locked.0),
            (Breach::PrimaryWrong, locked.0),
            (Breach::VerifierWrong, locked.0),
            (Breach::ChallengeUnopened, locked.0),
        ];
        assert_eq!(all.len(), PENALTIES.len());
        for (breach, cost) in all {
            assert_eq!(
                PENALTIES.iter().filter(|row| row.0 == breach).count(),
                1,
                "{breach:?}"
            );
            assert_eq!(penalty(&params, breach, locked), Amount(cost), "{breach:?}");
            let verifies = is_of_verifier(breach);
            let little = Amount(params.decline_penalty.0 / 2);
            for locked in [Amount::ZERO, little] {
                let amount = penalty(&params, breach, locked);
                assert!(
                    if verifies {
                        amount == locked
                    } else {
                        amount >= params.decline_penalty
                    },
                    "{breach:?}"
                );
            }
        }
    }
}
