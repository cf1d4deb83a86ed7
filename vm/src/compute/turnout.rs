//! What part of the verifiers that sortition selects announces itself, as the chain measured it.
//!
//! Who is selected may stay silent: it is off, busy with other checks, or bought. Nobody can be punished for that, since nobody else
//! knows who was selected; but the chain knows how many should have come. Where fewer do, the bond rule counts on fewer.

use types::chain_record::ClassTurnout;
use types::job::Policy;
use types::number::{EngineClass, Fixed64};

use super::fixed::{ONE, ratio_down};
use crate::Context;

/// Expected announcements from which on their number is a measurement.
const MIN_EXPECTED: u128 = 64 * ONE;
/// Expected announcements at which older ones begin to count less.
const MAX_EXPECTED: u128 = 256 * ONE;

/// The measured share, in 64.64, at most one, rounded down; one where too few were expected to tell.
// Rule C42.
#[must_use]
pub fn share(turnout: Option<&ClassTurnout>) -> u128 {
    let Some(turnout) = turnout.filter(|turnout| turnout.expected.0 >= MIN_EXPECTED) else {
        return ONE;
    };
    let announced = u128::from(turnout.announced).saturating_mul(ONE);
    ratio_down(announced, ONE, turnout.expected.0).min(ONE)
}

/// An announce window closed, in which so many announced themselves.
// Rule C42.
pub(super) fn count(
    context: &mut Context<'_>,
    class: EngineClass,
    policy: &Policy,
    announced: u16,
) {
    let none = ClassTurnout {
        expected: Fixed64(0),
        announced: 0,
        last: context.epoch,
    };
    let turnout = context.chain.turnouts.entry(class).or_insert(none);
    let expected = policy.expected_announcements.0;
    turnout.expected = Fixed64(turnout.expected.0.saturating_add(expected));
    turnout.announced = turnout.announced.saturating_add(announced.into());
    turnout.last = context.epoch;
    if turnout.expected.0 >= MAX_EXPECTED {
        halve(turnout);
    }
}

/// End hook of an epoch's last block: what was measured before counts less where nothing was measured in the epoch. So a class of
/// which nothing is taken any more, for want of announcements, is tried again.
// Rule C42.
pub(crate) fn fade(context: &mut Context<'_>) {
    let epoch = context.epoch;
    context.chain.turnouts.retain(|_, turnout| {
        if turnout.last < epoch {
            halve(turnout);
        }
        turnout.expected.0 >= ONE
    });
}

fn halve(turnout: &mut ClassTurnout) {
    turnout.expected = Fixed64(turnout.expected.0 / 2);
    turnout.announced /= 2;
}

#[cfg(test)]
mod tests {
    use types::number::Epoch;

    use super::*;

    fn turnout(expected: u128, announced: u32) -> ClassTurnout {
        ClassTurnout {
            expected: Fixed64(expected),
            announced,
            last: Epoch(1),
        }
    }

    #[test]
    fn a_share_is_measured_over_enough_and_rounded_down() {
        assert_eq!(share(None), ONE);
        assert_eq!(share(Some(&turnout(MIN_EXPECTED - 1, 0))), ONE);
        assert_eq!(share(Some(&turnout(MIN_EXPECTED, 0))), 0);
        assert_eq!(share(Some(&turnout(MIN_EXPECTED, 32))), ONE / 2);
        assert_eq!(share(Some(&turnout(96 * ONE, 32))), ONE / 3);
        assert_eq!(share(Some(&turnout(MIN_EXPECTED, 65))), ONE);
        assert_eq!(
            share(Some(&turnout(u128::MAX, u32::MAX))),
            u128::from(u32::MAX)
        );
    }
}
