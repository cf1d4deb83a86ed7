//! The work that one function may cost. It is counted in steps, so that every machine gives up at the same place.

use super::graph::Graph;

/// Steps per operator: a function for which they do not suffice is made canonical operator by operator.
const STEPS_PER_OPERATOR: u64 = 64;
/// Parts of the graph per operator.
const PARTS_PER_OPERATOR: usize = 8;
/// Parts of the graph that any function may have.
const PARTS_AT_LEAST: usize = 64;
/// Parts of the graph of all functions.
pub(crate) const PARTS_IN_ALL: usize = 1 << 23;

/// The function costs more than its text allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// What a function may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: u64,
    spent: u64,
    parts: usize,
}

impl Budget {
    /// For a function of so many operators and tracked locals, and the graph as it is before it.
    pub(crate) fn new(operators: usize, locals: usize, graph: &Graph) -> Self {
        let steps = to_steps(operators).saturating_mul(STEPS_PER_OPERATOR);
        let own = operators
            .saturating_mul(PARTS_PER_OPERATOR)
            .saturating_add(PARTS_AT_LEAST);
        Self {
            steps: steps.saturating_add(to_steps(locals).saturating_mul(2)),
            spent: 0,
            parts: graph.size().saturating_add(own).min(PARTS_IN_ALL),
        }
    }

    /// Takes steps.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.spent = self.spent.saturating_add(to_steps(steps));
        if self.spent > self.steps {
            return Err(TooMuch);
        }
        Ok(())
    }

    /// Checks that the graph has not grown too large.
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), TooMuch> {
        if graph.size() > self.parts {
            return Err(TooMuch);
        }
        Ok(())
    }

    /// Steps taken so far.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }
}

fn to_steps(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
