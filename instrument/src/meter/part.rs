//! The parts of a function in which nothing is called, where the counter need not be kept in its global.
//!
//! A *part* is a loop that calls nothing and that lies in no other such loop. In one that holds another loop a stock of units is
//! taken from the counter and counted down in a scratch local, because its iterations are short; in others, and in the whole of a function
//! that calls nothing, the counter is read from the local and written to both.

use wasmparser::Operator;

use super::price;
use crate::module::{PlacedOperator, index};

/// How the counter is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In its global alone.
    Global,
    /// In its global, and a copy in the local.
    Both,
    /// A stock of it in the local, the rest in its global.
    Stock,
}

/// A loop that calls nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Place of its `loop`.
    pub(crate) first: usize,
    /// Place behind its `end`.
    pub(crate) end: usize,
    /// Number of labels around it, the function's own included.
    pub(crate) labels: usize,
    pub(crate) keeping: Keeping,
}

/// A loop whose end was not seen.
struct Around {
    first: usize,
    labels: usize,
    calls: bool,
    holds_loop: bool,
    /// The outermost label that a branch table in it names, by the number of labels around that.
    table_target: usize,
}

#[derive(Default)]
struct Search {
    /// For each open label, whether it is a loop's.
    labels: Vec<bool>,
    loops: Vec<Around>,
    parts: Vec<Part>,
    calls: bool,
}

/// The parts of a function in order, and how the counter is kept outside them.
pub(crate) fn parts(operators: &[PlacedOperator<'_>]) -> (Vec<Part>, Keeping) {
    let mut search = Search {
        labels: vec![false],
        ..Search::default()
    };
    for (at, placed) in operators.iter().enumerate() {
        search.read(at, &placed.operator);
    }
    let Search {
        mut parts, calls, ..
    } = search;
    if calls {
        return (parts, Keeping::Global);
    }
    parts.retain(|part| part.keeping == Keeping::Stock);
    (parts, Keeping::Both)
}

impl Search {
    fn read(&mut self, at: usize, operator: &Operator<'_>) {
        match operator {
            Operator::Loop { .. } => {
                self.loops.push(Around {
                    first: at,
                    labels: self.labels.len(),
                    calls: false,
                    holds_loop: false,
                    table_target: usize::MAX,
                });
                self.labels.push(true);
            }
            Operator::Block { .. } | Operator::If { .. } => self.labels.push(false),
            Operator::End => {
                if self.labels.pop() == Some(true) {
                    self.close(at);
                }
            }
            Operator::BrTable { targets } => {
                let depths = targets.targets().flatten().chain([targets.default()]);
                let deepest = index(depths.max().unwrap_or(0));
                let target = self.labels.len().saturating_sub(deepest + 1);
                if let Some(inner) = self.loops.last_mut() {
                    inner.table_target = inner.table_target.min(target);
                }
            }
            operator if price::is_call(operator) => {
                self.calls = true;
                if let Some(inner) = self.loops.last_mut() {
                    inner.calls = true;
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, at: usize) {
        let Some(closed) = self.loops.pop() else {
            return;
        };
        if let Some(outer) = self.loops.last_mut() {
            outer.holds_loop = true;
            outer.calls |= closed.calls;
            outer.table_target = outer.table_target.min(closed.table_target);
        }
        if closed.calls {
            return;
        }
        while self
            .parts
            .last()
            .is_some_and(|part| part.first > closed.first)
        {
            self.parts.pop();
        }
        // A table of which some targets lie outside leaves no place to give the stock back.
        let is_stock = closed.holds_loop && closed.table_target >= closed.labels;
        self.parts.push(Part {
            first: closed.first,
            end: at + 1,
            labels: closed.labels,
            keeping: if is_stock {
                Keeping::Stock
            } else {
                Keeping::Both
            },
        });
    }
}
