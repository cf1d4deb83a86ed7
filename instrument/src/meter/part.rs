//! The parts of a function in which nothing is called, where the counter need not be kept in its global.
//!
//! A *part* is a loop that calls nothing and that lies in no other such loop. In one that holds another loop and no branch table a stock of units is
//! taken from the counter and counted down in a scratch local, because its iterations are short; in others, and in the whole of a function
//! that calls nothing, the counter is read from the local and written to both.

use wasmparser::Operator;

use super::price;
use crate::module::PlacedOperator;

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
    holds_table: bool,
}

#[derive(Default)]
struct PartSearch {
    /// For each open label, whether it is a loop's.
    labels: Vec<bool>,
    loops: Vec<Around>,
    parts: Vec<Part>,
    calls: bool,
}

/// The parts of a function in order, and how the counter is kept outside them.
pub(crate) fn parts(operators: &[PlacedOperator<'_>]) -> (Vec<Part>, Keeping) {
    let mut search = PartSearch {
        labels: vec![false],
        ..PartSearch::default()
    };
    for (at, placed) in operators.iter().enumerate() {
        search.read(at, &placed.operator);
    }
    let PartSearch {
        mut parts, calls, ..
    } = search;
    if calls {
        return (parts, Keeping::Global);
    }
    parts.retain(|part| part.keeping == Keeping::Stock);
    (parts, Keeping::Both)
}

impl PartSearch {
    fn read(&mut self, at: usize, operator: &Operator<'_>) {
        match operator {
            Operator::Loop { .. } => {
                self.loops.push(Around {
                    first: at,
                    labels: self.labels.len(),
                    calls: false,
                    holds_loop: false,
                    holds_table: false,
                });
                self.labels.push(true);
            }
            Operator::Block { .. } | Operator::If { .. } => self.labels.push(false),
            Operator::End => {
                let ends_loop = self.labels.pop() == Some(true);
                if ends_loop {
                    self.close(at);
                }
            }
            Operator::BrTable { .. } => {
                if let Some(inner) = self.loops.last_mut() {
                    inner.holds_table = true;
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
            outer.holds_table |= closed.holds_table;
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
        // A table may name labels outside, which leaves no place to give the stock back; and an interpreter's loop is long.
        let is_stock = closed.holds_loop && !closed.holds_table;
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
