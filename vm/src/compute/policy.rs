//! The bond rule: how many re-executions make cheating cost more than it can earn.
//!
//! With `a` = 1/3 the share of the class's bond that a coalition may hold, `phi` the share of it whose holders can lock the
//! verifier's bond, `mu` verifiers drawn in expectation, of `n` tasks `k` each, and x = mu k / n:
//!
//! - one wrong task is detected with q1 = 1 - exp(-x (phi - a));
//! - j wrong tasks are detected with qj = 1 - exp(-mu (phi - a) (1 - C(n-j, k) / C(n, k)));
//! - a primary that locks S may take a job of price R and value V iff q (0.6 S + R + v) >= 1.25 (v + R) for
//!   (v, q) = (V1, q1) and for (V, qj) with j = ceil(V / V1).
//!
//! The chain takes the smallest x >= 0.1 that satisfies it, in steps of 2^-16; a customer's confidence raises that floor
//! until q1 reaches it. Every rounding is against the primary: detection is rounded down, the bond that it calls for up.
//!
//! A partner with share w of the bond is drawn with probability min(1, mu w). Where k < n, what is cut off there would be
//! missing from q1, so that mu is then at most 1 / max w ([`ClassBonds::max_verifiers`]). Where k = n nothing is missing:
//! whoever is certainly drawn certainly finds a wrong task, and a miss is at most exp(-mu w) for every mu.

use ruint::aliases::U256;
use types::limits::MAX_EXPECTED_VERIFIERS;

use super::fixed::{ONE, exp_neg_up, miss_up, mul_down, ratio_down, ratio_up};

mod bonds;

pub use bonds::{Checking, ClassBonds};

/// a: the share of the class's bond that a coalition may hold, in 64.64, rounded up.
const COALITION_SHARE: u128 = ONE.div_ceil(3);
/// phi - a where everybody can lock the verifier's bond: the most that it may be.
pub const HONEST_SHARE: u128 = ONE - COALITION_SHARE;
/// How often a bond grows before all of the offer is taken.
const ROUNDS: u32 = 8;
/// Steps of x per unit.
const STEPS: u128 = 1 << 16;
/// The smallest x: 0.1, in steps, rounded up.
pub const MIN_STEPS: u128 = STEPS.div_ceil(10);

/// What the rule is asked about: all amounts in units of 10^-18 SQUARE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stakes {
    /// R: the price, which stands for the cost that cheating saves.
    pub price: u128,
    /// V: the loss from a wrong result.
    pub value: u128,
    /// V1: the loss from one wrong task; at most V.
    pub task_value: u128,
    /// n: the number of tasks, at least 1.
    pub tasks: u32,
    /// The least detection of one wrong task that the customer asks for, in parts per million; 0 for none.
    pub confidence_ppm: u32,
}

/// Who is there to check, as far as the rule asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkers {
    /// phi - a: the share of the class's bond that can announce and is honest, in 64.64; above zero.
    pub honest: u128,
    /// The most that mu may be where verifiers run a part of the tasks, in 64.64.
    pub max_verifiers: u128,
    /// The smallest x that will do whatever the bond, in steps: [`MIN_STEPS`] or what a confidence calls for.
    pub min_steps: u128,
}

impl Checkers {
    /// Those of an honest share for a confidence; nothing if no x reaches it.
    #[must_use]
    pub fn new(honest: u128, max_verifiers: u128, confidence_ppm: u32) -> Option<Self> {
        let min_steps = steps_for(confidence_ppm, honest).filter(|_| honest > 0)?;
        Some(Self {
            honest,
            max_verifiers,
            min_steps,
        })
    }
}

/// The smallest x, in steps, at which one wrong task is detected with at least a probability; nothing if none is.
// Rule C45.
#[must_use]
pub fn steps_for(confidence_ppm: u32, honest: u128) -> Option<u128> {
    if confidence_ppm == 0 {
        return Some(MIN_STEPS);
    }
    let wanted = ratio_up(u128::from(confidence_ppm), ONE, 1_000_000);
    let detects = |steps: u128| detection_of_one(steps * (ONE / STEPS), honest) >= wanted;
    let (mut low, mut high) = (MIN_STEPS, max_steps());
    if !detects(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if detects(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// The largest x, in steps: every verifier that the policy may draw runs all tasks.
// Rule C45.
fn max_steps() -> u128 {
    u128::from(MAX_EXPECTED_VERIFIERS) * STEPS
}

/// The largest confidence that some x reaches, in parts per million.
#[must_use]
pub fn max_confidence_ppm(honest: u128) -> u32 {
    let most = ratio_down(
        detection_of_one(max_steps() * (ONE / STEPS), honest),
        1_000_000,
        ONE,
    );
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// How a job is checked: the outcome of the rule for one k and S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// k: tasks that each verifier runs again, 1 to n.
    pub tasks_per_verifier: u32,
    /// x: expected checks of one task, in 64.64 fixed point.
    pub expected_checks: u128,
    /// mu, in 64.64, rounded up.
    pub expected_verifiers: u128,
    /// q1, in 64.64, rounded down.
    pub detection: u128,
    /// S: bond that the primary locks, in base units.
    pub bond: u128,
}

/// Detection of one wrong task at x expected re-executions of it; rounded down.
// Rule C43.
#[must_use]
pub fn detection_of_one(expected_checks: u128, honest: u128) -> u128 {
    ONE - exp_neg_up(mul_down(expected_checks, honest)).min(ONE)
}

/// Detection of `wrong` wrong tasks of `tasks` by `expected_verifiers` who draw `drawn` tasks each; rounded down.
// Rule C43.
#[must_use]
pub fn detection_of_many(
    expected_verifiers: u128,
    honest: u128,
    tasks: u32,
    drawn: u32,
    wrong: u32,
) -> u128 {
    detection_of_hit(
        expected_verifiers,
        honest,
        ONE - miss_up(tasks, wrong, drawn).min(ONE),
    )
}

/// Detection by `expected_verifiers` each of whom comes across a wrong task with probability `hit`; rounded down.
fn detection_of_hit(expected_verifiers: u128, honest: u128, hit: u128) -> u128 {
    ONE - exp_neg_up(mul_down(mul_down(expected_verifiers, honest), hit)).min(ONE)
}

/// True if q (0.6 S + R + v) >= 1.25 (v + R). In integers: q (12 S + 20 (R + v)) >= 25 (v + R).
// Rule C44.
#[must_use]
pub fn bond_suffices(detection: u128, bond: u128, price: u128, value: u128) -> bool {
    let stake = U256::from(price) + U256::from(value);
    let left =
        U256::from(detection) * (U256::from(bond) * U256::from(12u8) + stake * U256::from(20u8));
    left >= stake * U256::from(25u8) * U256::from(ONE)
}

/// The least S with q (0.6 S + R + v) >= 1.25 (v + R); nothing if no amount would do.
// Rule C44.
#[must_use]
pub fn bond_needed(detection: u128, price: u128, value: u128) -> Option<u128> {
    let stake = U256::from(price) + U256::from(value);
    if stake.is_zero() {
        return Some(0);
    }
    if detection == 0 {
        return None;
    }
    let sum = (stake * U256::from(25u8) * U256::from(ONE)).div_ceil(U256::from(detection));
    let bond = sum
        .saturating_sub(stake * U256::from(20u8))
        .div_ceil(U256::from(12u8));
    u128::try_from(bond).ok()
}

/// The rule's questions about one job, given who is there to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What is at stake.
    pub stakes: Stakes,
    /// Who is there to check.
    pub checkers: Checkers,
}

impl Stakes {
    /// j: how many wrong tasks make up the whole loss.
    // Rule C44.
    #[must_use]
    pub fn tasks_at_stake(&self) -> u32 {
        let count = if self.task_value == 0 {
            u128::from(self.tasks)
        } else {
            self.value.div_ceil(self.task_value)
        };
        u32::try_from(count)
            .unwrap_or(u32::MAX)
            .clamp(1, self.tasks.max(1))
    }

    /// The checks with the smallest x, then the smallest bond, then the most tasks per verifier, when primaries can
    /// lock up to `offer`.
    // Rule C47.
    #[must_use]
    pub fn choose(
        &self,
        asked: Option<u32>,
        offer: u128,
        checking: &Checking<'_>,
    ) -> Option<Checks> {
        let rule = Rule {
            stakes: *self,
            checkers: checking.checkers(0, self.confidence_ppm)?,
        };
        let of = |k| self.choose_for(k, offer, checking);
        // `min_by_key` keeps the first of equals, which has the most tasks per verifier.
        rule.candidates(asked)
            .into_iter()
            .filter_map(of)
            .min_by_key(|checks| (checks.expected_checks, checks.bond))
    }

    /// The same for one k. The larger the bond, the fewer can lock the verifier's part of it, the more bond is called for:
    /// the bond grows from nothing until those who can lock their part of it are enough for it.
    // Rule C47.
    fn choose_for(
        &self,
        tasks_per_verifier: u32,
        offer: u128,
        checking: &Checking<'_>,
    ) -> Option<Checks> {
        let mut bond = 0;
        for round in 0..=ROUNDS {
            let rule = Rule {
                stakes: *self,
                checkers: checking.checkers(bond, self.confidence_ppm)?,
            };
            let ample = rule
                .ample_bond(tasks_per_verifier)
                .unwrap_or(offer)
                .max(checking.floor)
                .min(offer);
            if ample <= bond {
                return rule.min_checks(tasks_per_verifier, bond);
            }
            bond = if round + 1 < ROUNDS { ample } else { offer };
        }
        None
    }
}

impl Rule {
    /// The checks of k tasks per verifier at x steps, for whatever bond.
    fn checks(&self, tasks_per_verifier: u32, steps: u128, bond: u128) -> Checks {
        let expected_checks = steps * (ONE / STEPS);
        let expected_verifiers = ratio_up(
            expected_checks,
            u128::from(self.stakes.tasks),
            u128::from(tasks_per_verifier),
        );
        let detection = detection_of_one(expected_checks, self.checkers.honest);
        Checks {
            tasks_per_verifier,
            expected_checks,
            expected_verifiers,
            detection,
            bond,
        }
    }

    /// The chance that a verifier of k tasks comes across one of as many wrong tasks as make up the whole loss.
    fn hit(&self, tasks_per_verifier: u32) -> u128 {
        ONE - miss_up(
            self.stakes.tasks,
            self.stakes.tasks_at_stake(),
            tasks_per_verifier,
        )
        .min(ONE)
    }

    /// True if the bond of these checks satisfies the rule, for one wrong task and for all that is at stake.
    // Rule C44.
    #[must_use]
    pub fn allow(&self, checks: &Checks) -> bool {
        self.allow_hit(checks, self.hit(checks.tasks_per_verifier))
    }

    fn allow_hit(&self, checks: &Checks, hit: u128) -> bool {
        let Stakes {
            price,
            value,
            task_value,
            ..
        } = self.stakes;
        let all = detection_of_hit(checks.expected_verifiers, self.checkers.honest, hit);
        bond_suffices(checks.detection, checks.bond, price, task_value)
            && bond_suffices(all, checks.bond, price, value)
    }

    /// The least bond that these checks call for.
    fn bond_for(&self, checks: &Checks) -> Option<u128> {
        let Stakes {
            price,
            value,
            task_value,
            ..
        } = self.stakes;
        let hit = self.hit(checks.tasks_per_verifier);
        let all = detection_of_hit(checks.expected_verifiers, self.checkers.honest, hit);
        Some(bond_needed(checks.detection, price, task_value)?.max(bond_needed(all, price, value)?))
    }

    /// Most steps of x that k tasks per verifier allow: mu is bounded.
    // Rule C45.
    fn max_steps(&self, tasks_per_verifier: u32) -> u128 {
        let (k, n) = (
            u128::from(tasks_per_verifier),
            u128::from(self.stakes.tasks.max(1)),
        );
        if k >= n {
            max_steps()
        } else {
            ratio_down(self.max_steps_in_parts(), k, n)
        }
    }

    /// The bound on mu where verifiers run a part of the tasks, in steps.
    fn max_steps_in_parts(&self) -> u128 {
        max_steps().min(self.checkers.max_verifiers / (ONE / STEPS))
    }

    /// The least k with which the smallest x is within the bound on verifiers; all tasks are always few enough.
    #[must_use]
    pub fn min_tasks_per_verifier(&self) -> u32 {
        let tasks = self.stakes.tasks.max(1);
        let least = ratio_up(
            self.checkers.min_steps,
            u128::from(tasks),
            self.max_steps_in_parts(),
        );
        u32::try_from(least).unwrap_or(u32::MAX).clamp(1, tasks)
    }

    /// The bond at which the smallest x is enough: more bond lowers x no further.
    #[must_use]
    pub fn ample_bond(&self, tasks_per_verifier: u32) -> Option<u128> {
        self.bond_for(&self.checks(tasks_per_verifier, self.checkers.min_steps, 0))
    }

    /// The bond below which no x would do.
    #[must_use]
    pub fn min_bond(&self, tasks_per_verifier: u32) -> Option<u128> {
        self.bond_for(&self.checks(tasks_per_verifier, self.max_steps(tasks_per_verifier), 0))
    }

    /// The checks with the smallest x that satisfy the rule for a primary that locks `bond`.
    // Rule C45.
    #[must_use]
    pub fn min_checks(&self, tasks_per_verifier: u32, bond: u128) -> Option<Checks> {
        let (mut low, mut high) = (self.checkers.min_steps, self.max_steps(tasks_per_verifier));
        let hit = self.hit(tasks_per_verifier);
        let checks = |steps| self.checks(tasks_per_verifier, steps, bond);
        let allowed = |steps| Some(checks(steps)).filter(|checks| self.allow_hit(checks, hit));
        if low > high {
            return None;
        }
        let mut found = allowed(high)?;
        while low < high {
            let middle = low + (high - low) / 2;
            if let Some(checks) = allowed(middle) {
                (found, high) = (checks, middle);
            } else {
                low = middle + 1;
            }
        }
        Some(found)
    }

    /// The values of k that the policy considers: what the customer asks for, or n, n/2, n/4, ... as far as the
    /// smallest x stays within the bound on verifiers. Empty if the customer's k is too small.
    // Rule C47.
    #[must_use]
    pub fn candidates(&self, asked: Option<u32>) -> Vec<u32> {
        let least = self.min_tasks_per_verifier();
        if let Some(asked) = asked {
            return Some(asked.min(self.stakes.tasks))
                .filter(|k| *k >= least)
                .into_iter()
                .collect();
        }
        let mut all = vec![self.stakes.tasks];
        while let Some(next) = all
            .last()
            .filter(|k| **k > 1)
            .map(|k| k.div_ceil(2))
            .filter(|k| *k >= least)
        {
            all.push(next);
        }
        all
    }

    /// The least bond with which any x would do, over the k that are considered.
    #[must_use]
    pub fn bond_that_would_do(&self, asked: Option<u32>) -> Option<u128> {
        self.candidates(asked)
            .into_iter()
            .filter_map(|k| self.min_bond(k))
            .min()
    }
}

#[cfg(test)]
mod tests;
