//! The bond rule: how many re-executions make cheating cost more than it can earn.
//!
//! With `a` = 1/3 the share of the class's bond that a coalition may hold, `phi` = 1 the share of drawn partners that
//! announce, `mu` verifiers drawn in expectation, of `n` tasks `k` each, and x = mu k / n:
//!
//! - one wrong task is detected with q1 = 1 - exp(-x (phi - a));
//! - j wrong tasks are detected with qj = 1 - exp(-mu (phi - a) (1 - C(n-j, k) / C(n, k)));
//! - a primary that locks S may take a job of price R and value V iff q (0.6 S + R + v) >= 1.25 (v + R) for
//!   (v, q) = (V1, q1) and for (V, qj) with j = ceil(V / V1).
//!
//! The chain takes the smallest x >= 0.1 that satisfies it, in steps of 2^-16; a customer's confidence raises that floor
//! until q1 reaches it. Every rounding is against the primary: detection is rounded down, the bond that it calls for up.

use ruint::aliases::U256;
use types::limits::MAX_EXPECTED_VERIFIERS;

use super::fixed::{ONE, exp_neg_up, miss_up, mul_down, ratio_down, ratio_up};

/// phi - a: the share of the class's bond that announces and is honest, in 64.64.
pub const HONEST_SHARE: u128 = ONE / 3 * 2;
/// Steps of x per unit.
const STEPS: u128 = 1 << 16;
/// The smallest x: 0.1, in steps, rounded up.
pub const LEAST_STEPS: u128 = STEPS.div_ceil(10);

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
    /// The smallest x that will do whatever the bond, in steps: [`LEAST_STEPS`] or what a confidence calls for.
    pub least_steps: u128,
}

/// The smallest x, in steps, at which one wrong task is detected with at least a probability; nothing if none is.
#[must_use]
pub fn steps_for(confidence_ppm: u32) -> Option<u128> {
    let wanted = ratio_up(u128::from(confidence_ppm), ONE, 1_000_000);
    let detects = |steps: u128| detection_of_one(steps * (ONE / STEPS)) >= wanted;
    let (mut low, mut high) = (LEAST_STEPS, most_steps());
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

/// The largest x, in steps: a verifier of all tasks in every seat that the policy may draw.
fn most_steps() -> u128 {
    u128::from(MAX_EXPECTED_VERIFIERS) * STEPS
}

/// The largest confidence that some x reaches, in parts per million.
#[must_use]
pub fn most_confidence_ppm() -> u32 {
    let most = ratio_down(detection_of_one(most_steps() * (ONE / STEPS)), 1_000_000, ONE);
    u32::try_from(most).unwrap_or(u32::MAX)
}

/// How a job is checked: the outcome of the rule for one k and S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// k.
    pub tasks_per_verifier: u32,
    /// x, in 64.64.
    pub expected_checks: u128,
    /// mu, in 64.64, rounded up.
    pub expected_verifiers: u128,
    /// q1, in 64.64, rounded down.
    pub detection: u128,
    /// S.
    pub bond: u128,
}

/// Detection of one wrong task at x expected re-executions of it; rounded down.
#[must_use]
pub fn detection_of_one(expected_checks: u128) -> u128 {
    ONE - exp_neg_up(mul_down(expected_checks, HONEST_SHARE)).min(ONE)
}

/// Detection of `wrong` wrong tasks of `tasks` by `expected_verifiers` who draw `drawn` tasks each; rounded down.
#[must_use]
pub fn detection_of_many(expected_verifiers: u128, tasks: u32, drawn: u32, wrong: u32) -> u128 {
    let hit = ONE - miss_up(tasks, wrong, drawn).min(ONE);
    ONE - exp_neg_up(mul_down(mul_down(expected_verifiers, HONEST_SHARE), hit)).min(ONE)
}

/// True if q (0.6 S + R + v) >= 1.25 (v + R). In integers: q (12 S + 20 (R + v)) >= 25 (v + R).
#[must_use]
pub fn bond_suffices(detection: u128, bond: u128, price: u128, value: u128) -> bool {
    let stake = U256::from(price) + U256::from(value);
    let left = U256::from(detection) * (U256::from(bond) * U256::from(12u8) + stake * U256::from(20u8));
    left >= stake * U256::from(25u8) * U256::from(ONE)
}

/// The least S with q (0.6 S + R + v) >= 1.25 (v + R); nothing if no amount would do.
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
    let bond = sum.saturating_sub(stake * U256::from(20u8)).div_ceil(U256::from(12u8));
    u128::try_from(bond).ok()
}

impl Stakes {
    /// j: how many wrong tasks make up the whole loss.
    #[must_use]
    pub fn tasks_at_stake(&self) -> u32 {
        let count = if self.task_value == 0 { u128::from(self.tasks) } else { self.value.div_ceil(self.task_value) };
        u32::try_from(count).unwrap_or(u32::MAX).clamp(1, self.tasks.max(1))
    }

    /// The checks of k tasks per verifier at x steps, for whatever bond.
    fn checks(&self, tasks_per_verifier: u32, steps: u128, bond: u128) -> Checks {
        let expected_checks = steps * (ONE / STEPS);
        let expected_verifiers = ratio_up(expected_checks, u128::from(self.tasks), u128::from(tasks_per_verifier));
        let detection = detection_of_one(expected_checks);
        Checks { tasks_per_verifier, expected_checks, expected_verifiers, detection, bond }
    }

    /// Detection of as many wrong tasks as make up the whole loss.
    fn detection_of_all(&self, checks: &Checks) -> u128 {
        let wrong = self.tasks_at_stake();
        detection_of_many(checks.expected_verifiers, self.tasks, checks.tasks_per_verifier, wrong)
    }

    /// True if the bond of these checks satisfies the rule, for one wrong task and for all that is at stake.
    #[must_use]
    pub fn allow(&self, checks: &Checks) -> bool {
        bond_suffices(checks.detection, checks.bond, self.price, self.task_value)
            && bond_suffices(self.detection_of_all(checks), checks.bond, self.price, self.value)
    }

    /// The least bond that these checks call for.
    fn bond_for(&self, checks: &Checks) -> Option<u128> {
        let one = bond_needed(checks.detection, self.price, self.task_value)?;
        Some(one.max(bond_needed(self.detection_of_all(checks), self.price, self.value)?))
    }

    /// Most steps of x that k tasks per verifier allow: mu is bounded.
    fn most_steps(&self, tasks_per_verifier: u32) -> u128 {
        let (k, n) = (u128::from(tasks_per_verifier), u128::from(self.tasks.max(1)));
        ratio_down(most_steps(), k, n).min(most_steps())
    }

    /// The least k with which the smallest x is within the bound on verifiers.
    #[must_use]
    pub fn least_tasks_per_verifier(&self) -> u32 {
        u32::try_from(ratio_up(self.least_steps, u128::from(self.tasks), most_steps())).unwrap_or(u32::MAX).max(1)
    }

    /// The bond at which the smallest x is enough: more bond lowers x no further.
    #[must_use]
    pub fn ample_bond(&self, tasks_per_verifier: u32) -> Option<u128> {
        self.bond_for(&self.checks(tasks_per_verifier, self.least_steps, 0))
    }

    /// The bond below which no x would do.
    #[must_use]
    pub fn least_bond(&self, tasks_per_verifier: u32) -> Option<u128> {
        self.bond_for(&self.checks(tasks_per_verifier, self.most_steps(tasks_per_verifier), 0))
    }

    /// The checks with the smallest x that satisfy the rule for a primary that locks `bond`.
    #[must_use]
    pub fn least_checks(&self, tasks_per_verifier: u32, bond: u128) -> Option<Checks> {
        let (mut low, mut high) = (self.least_steps, self.most_steps(tasks_per_verifier));
        let allowed = |steps| Some(self.checks(tasks_per_verifier, steps, bond)).filter(|checks| self.allow(checks));
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
    #[must_use]
    pub fn candidates(&self, asked: Option<u32>) -> Vec<u32> {
        let least = self.least_tasks_per_verifier();
        if let Some(asked) = asked {
            return Some(asked.min(self.tasks)).filter(|k| *k >= least).into_iter().collect();
        }
        let mut all = vec![self.tasks];
        while let Some(next) = all.last().filter(|k| **k > 1).map(|k| k.div_ceil(2)).filter(|k| *k >= least) {
            all.push(next);
        }
        all
    }

    /// The checks with the smallest x, then the smallest bond, then the most tasks per verifier, when primaries can
    /// lock up to `offer`. `floor` is the least bond that is locked where the offer reaches it.
    #[must_use]
    pub fn choose(&self, asked: Option<u32>, offer: u128, floor: u128) -> Option<Checks> {
        let of = |k| {
            let bond = self.ample_bond(k).map_or(offer, |ample| ample.max(floor).min(offer));
            self.least_checks(k, bond)
        };
        // `min_by_key` keeps the first of equals, which has the most tasks per verifier.
        self.candidates(asked).into_iter().filter_map(of).min_by_key(|checks| (checks.expected_checks, checks.bond))
    }

    /// The least bond with which any x would do, over the k that are considered.
    #[must_use]
    pub fn bond_that_would_do(&self, asked: Option<u32>) -> Option<u128> {
        self.candidates(asked).into_iter().filter_map(|k| self.least_bond(k)).min()
    }
}

#[cfg(test)]
mod tests;
