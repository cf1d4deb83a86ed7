//! Who is there to check: how much of a class's bond can stand behind a verifier's result, and what that bond is.

use types::number::Amount;

use super::super::fixed::{ONE, mul_down, ratio_down, ratio_up};
use super::{COALITION_SHARE, Checkers, Checks};

/// The parts of a class's bond, in percent and ascending, whose holders should be able to lock a verifier's bond, where the
/// largest bond of a primary leaves too few.
const PARTS_PERCENT: [u8; 5] = [50, 67, 75, 88, 100];

/// The bonds of a class's partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassBonds {
    /// Bonds of the class's partners, ascending, in base units.
    bonds: Vec<u128>,
    /// The sum of the bonds from each position on; one entry more than there are bonds.
    sums: Vec<u128>,
}

impl ClassBonds {
    /// The bonds, in any order.
    #[must_use]
    pub fn new(bonds: impl IntoIterator<Item = Amount>) -> Self {
        let mut bonds: Vec<_> = bonds.into_iter().map(|bond| bond.0).collect();
        bonds.sort_unstable();
        let mut sums = vec![0u128];
        sums.extend(bonds.iter().rev().scan(0u128, |sum, bond| {
            *sum = sum.saturating_add(*bond);
            Some(*sum)
        }));
        sums.reverse();
        Self { bonds, sums }
    }

    /// The least share of the others' bond, whoever is primary, whose holders can lock `bond` as verifiers, in 64.64, rounded
    /// down. They have half of their bond for that, whatever they run.
    // Rule C42.
    #[must_use]
    pub fn able(&self, bond: u128) -> u128 {
        let able = self.bonds.partition_point(|own| own - own / 2 < bond);
        let sum = |from: usize| self.sums.get(from).copied().unwrap_or_default();
        // The share of those who are able falls the more of it the primary holds: the largest bond is the worst case.
        let primary = self
            .bonds
            .get(able..)
            .and_then(|able| able.last())
            .copied()
            .unwrap_or_default();
        let (able, others) = (
            sum(able).saturating_sub(primary),
            sum(0).saturating_sub(primary),
        );
        if others == 0 {
            0
        } else {
            ratio_down(able, ONE, others)
        }
    }

    /// How many of those who can lock `bond` announce themselves in expectation, if sortition selects so many, in 64.64: nobody is
    /// selected with more than certainty. Whoever has the largest bond is left out, as if it was the primary.
    // Rule C42.
    #[must_use]
    pub fn announcements(&self, bond: u128, expected_verifiers: u128) -> u128 {
        let able = self.bonds.partition_point(|own| own - own / 2 < bond);
        let all = self.sums.first().copied().unwrap_or_default();
        let Some((primary, others)) = self.bonds.get(able..).and_then(<[u128]>::split_last) else {
            return 0;
        };
        let total = all.saturating_sub(*primary).max(1);
        let chance = |own: &u128| ratio_down(expected_verifiers, *own, total).min(ONE);
        others.iter().map(chance).fold(0, u128::saturating_add)
    }

    /// The largest verifier's bond that partners with `percent` of the class's bond can lock.
    #[must_use]
    pub fn lockable_by(&self, percent: u8) -> u128 {
        let wanted = ratio_up(
            self.sums.first().copied().unwrap_or_default(),
            u128::from(percent),
            100,
        );
        let poorest = self
            .bonds
            .iter()
            .zip(&self.sums)
            .rfind(|(_, sum)| **sum >= wanted)
            .map(|(bond, _)| *bond);
        poorest.map_or(0, |bond| bond - bond / 2)
    }

    /// 1 / max w, in 64.64, rounded down: with more verifiers in expectation the largest bond would be drawn with more than
    /// certainty, when the second largest is the primary.
    // Rule C45.
    #[must_use]
    pub fn max_verifiers(&self) -> u128 {
        let largest = |at: usize| self.bonds.iter().rev().nth(at).copied().unwrap_or_default();
        let others = self
            .sums
            .first()
            .copied()
            .unwrap_or_default()
            .saturating_sub(largest(1));
        ratio_down(others, ONE, largest(0).max(1))
    }
}

/// Who would check a job, as a function of the bond that its primary locks.
#[derive(Debug, Clone, Copy)]
pub struct Checking<'a> {
    /// Bonds of all partners of the class.
    pub bonds: &'a ClassBonds,
    /// The share of selected verifiers that announces itself, as it was measured, in 64.64, at most one.
    pub turnout: u128,
    /// The verifiers that the customer demands at least (m).
    pub min_verifiers: u16,
    /// The least that a primary locks, where it can.
    pub floor: u128,
    /// The least that a verifier locks.
    pub verifier_floor: u128,
}

impl Checking<'_> {
    /// What each verifier locks: S / max(1, m), and no less than the floor.
    // Rule C42.
    #[must_use]
    pub fn verifier_bond(&self, bond: u128) -> u128 {
        bond.div_ceil(u128::from(self.min_verifiers.max(1)))
            .max(self.verifier_floor)
    }

    /// The bonds of a primary to which partners with certain parts of the class's bond can match a verifier's, largest
    /// first.
    // Rule C47.
    #[must_use]
    pub fn matched_bonds(&self) -> Vec<u128> {
        let times = u128::from(self.min_verifiers.max(1));
        let matched = PARTS_PERCENT
            .iter()
            .map(|percent| self.bonds.lockable_by(*percent).saturating_mul(times));
        let mut matched: Vec<_> = matched.collect();
        matched.dedup();
        matched
    }

    /// Who is there to check if the primary locks `bond`; nothing if nobody honest may be, or no x reaches the confidence.
    #[must_use]
    pub fn checkers(&self, bond: u128, confidence_ppm: u32) -> Option<Checkers> {
        Checkers::new(
            self.honest(bond),
            self.bonds.max_verifiers(),
            confidence_ppm,
        )
    }

    /// How many announce themselves in expectation under these checks, if all do that are selected and can.
    // Rule C42.
    #[must_use]
    pub fn announcements(&self, checks: &Checks) -> u128 {
        let bond = self.verifier_bond(checks.bond);
        self.bonds.announcements(bond, checks.expected_verifiers)
    }

    /// phi - a if the primary locks `bond`, in 64.64, rounded down; zero where phi is below a.
    // Rule C42.
    #[must_use]
    pub fn honest(&self, bond: u128) -> u128 {
        mul_down(self.bonds.able(self.verifier_bond(bond)), self.turnout)
            .saturating_sub(COALITION_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::policy::HONEST_SHARE;

    /// phi - a where all who can announce themselves.
    fn honest(all: &[u128], bond: u128) -> u128 {
        bonds(all).able(bond).saturating_sub(COALITION_SHARE)
    }

    fn bonds(all: &[u128]) -> ClassBonds {
        ClassBonds::new(all.iter().map(|bond| Amount(*bond)))
    }

    #[test]
    fn where_everybody_can_lock_the_bond_phi_is_one() {
        assert_eq!(honest(&[100; 4], 50), HONEST_SHARE);
        assert_eq!(honest(&[100; 4], 51), 0);
        assert_eq!(honest(&[101, 7], 4), HONEST_SHARE);
    }

    #[test]
    fn who_cannot_lock_the_bond_does_not_count_and_neither_does_the_richest() {
        // 300 of the 400 that others hold when one of the rich is primary.
        assert_eq!(
            honest(&[50, 50, 100, 200, 200], 40),
            ONE / 4 * 3 - COALITION_SHARE
        );
        // 200 of 400: still above a third.
        assert_eq!(
            honest(&[50, 50, 100, 200, 200], 60),
            ONE / 2 - COALITION_SHARE
        );
        // 100 of 400, and nothing at all of the one rich partner.
        assert_eq!(honest(&[100, 100, 100, 100, 200], 60), 0);
        assert_eq!(honest(&[100, 100, 200, 200], 60), ONE / 2 - COALITION_SHARE);
    }

    #[test]
    fn the_bond_that_a_part_can_lock_is_that_of_the_poorest_in_it() {
        let some = bonds(&[50, 50, 100, 201, 200]);
        let lockable: Vec<_> = [0, 30, 34, 60, 67, 80, 84, 100]
            .iter()
            .map(|part| some.lockable_by(*part))
            .collect();
        assert_eq!(lockable, [101, 101, 100, 100, 50, 50, 25, 25]);
        assert_eq!(bonds(&[]).lockable_by(50), 0);
        let checking = Checking {
            bonds: &some,
            turnout: ONE,
            min_verifiers: 3,
            floor: 0,
            verifier_floor: 0,
        };
        assert_eq!(checking.matched_bonds(), [300, 150, 75]);
    }

    #[test]
    fn nobody_announces_itself_more_than_certainly() {
        let four = bonds(&[100; 4]);
        assert_eq!(four.announcements(50, ONE), ratio_down(100, ONE, 300) * 3);
        assert_eq!(four.announcements(50, 8 * ONE), 3 * ONE);
        assert_eq!(four.announcements(51, 8 * ONE), 0);
        // Of 300 that are not the largest bond, those of 100 can lock it.
        assert_eq!(
            bonds(&[50, 50, 100, 100, 200]).announcements(40, 3 * ONE),
            2 * ONE
        );
        assert_eq!(bonds(&[]).announcements(0, ONE), 0);
    }

    #[test]
    fn who_does_not_announce_itself_does_not_count() {
        let bonds = bonds(&[100; 4]);
        let honest = |turnout| {
            Checking {
                bonds: &bonds,
                turnout,
                min_verifiers: 0,
                floor: 0,
                verifier_floor: 0,
            }
            .honest(50)
        };
        assert_eq!(honest(ONE), HONEST_SHARE);
        assert_eq!(honest(ONE / 2), ONE / 2 - COALITION_SHARE);
        assert_eq!(honest(ONE / 3), 0);
    }

    #[test]
    fn nobody_else_is_nobody_honest() {
        assert_eq!(honest(&[], 0), 0);
        assert_eq!(honest(&[100], 1), 0);
        assert_eq!(honest(&[0, 0], 0), 0);
    }

    #[test]
    fn nobody_is_drawn_with_more_than_certainty() {
        assert_eq!(bonds(&[100; 4]).max_verifiers(), 3 * ONE);
        // The half of the bond is drawn first: with the second largest as primary it is two thirds of the rest.
        assert_eq!(bonds(&[25, 25, 100, 50]).max_verifiers(), ONE / 2 * 3);
        assert_eq!(bonds(&[100]).max_verifiers(), ONE);
        assert_eq!(bonds(&[]).max_verifiers(), 0);
    }

    #[test]
    fn a_verifier_locks_a_part_of_the_bond_and_never_less_than_the_floor() {
        let bonds = bonds(&[100; 4]);
        let checking = |min_verifiers| Checking {
            bonds: &bonds,
            turnout: ONE,
            min_verifiers,
            floor: 40,
            verifier_floor: 10,
        };
        assert_eq!(
            (checking(0).verifier_bond(90), checking(1).verifier_bond(90)),
            (90, 90)
        );
        assert_eq!(
            (
                checking(4).verifier_bond(90),
                checking(10).verifier_bond(90)
            ),
            (23, 10)
        );
        assert_eq!(checking(0).honest(60), 0);
        assert_eq!(checking(2).honest(60), HONEST_SHARE);
        assert_eq!(checking(0).checkers(60, 0), None);
    }
}
