//! Metering: the code that charges each region of a function, and the operators whose price depends on an operand.
//!
//! The counter is a global of the module that its own text cannot name. It is compared where a function or a loop's body begins and
//! before operators priced by an operand; everywhere else it is only lowered. So a run passes its limit by at most one
//! function's text before it ends, and every cycle meets a comparison. Whoever finds the counter below zero, at whatever end, knows that the
//! fuel is used up; the code that the pass inserts ends the run with `unreachable`.
//!
//! Where nothing is called the counter is kept in a scratch local, see [`part`].

mod code;
mod part;
pub(crate) mod price;
mod region;

use wasmparser::Operator;

use crate::insertion::{FunctionInsertions, Insertion};
use crate::module::{OperatorIndex, PlacedOperator, index};
use crate::stack::StackCheck;
use code::{Code, Coder, SCRATCH, Scratch, units};
use part::{Keeping, Part, parts};
use region::{Region, RegionKind};

pub use price::PER_PAGE;
pub use region::MAX_FOLDED_ARM;

/// Units that a loop which holds loops takes from the counter at a time. A trap in it costs what is left of them.
pub const STOCK: u64 = 1 << 16;

/// The globals that the inserted code counts in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CounterGlobals {
    /// Units of fuel that are left.
    pub(crate) fuel: u32,
    /// Slots of the stack that are left.
    pub(crate) stack: u32,
}

/// The scratch local that holds the slots that are left after the function's entry.
pub(crate) fn stack_local(first_local: u32) -> u32 {
    first_local + 1
}

/// The code that meters one function. `first_local` is the index of its first scratch local.
pub(crate) fn insertions(
    operators: &[PlacedOperator<'_>],
    counters: CounterGlobals,
    check: Option<StackCheck>,
    first_local: u32,
) -> FunctionInsertions {
    let (parts, outside) = parts(operators);
    let mut writing = Writing {
        coder: Coder {
            counters,
            scratch: Scratch {
                fuel: first_local,
                stack: stack_local(first_local),
                operand: first_local + 2,
            },
        },
        outside,
        labels: 1,
        insertions: Vec::new(),
    };
    let mut parts = parts.iter().peekable();
    let regions = region::divide(operators);
    let mut regions = regions.iter().peekable();
    let entry = regions.next_if(|region| region.kind == RegionKind::Entry);
    let cost = entry.map_or(0, |region| region.cost);
    writing.insert(0, writing.coder.enter(cost, check, outside));
    for (at, placed) in operators.iter().enumerate() {
        if let Some(left) = parts.next_if(|part| part.end == at) {
            writing.leave(left);
        }
        let part = parts.peek().copied();
        let inside = part.filter(|part| part.first < at);
        if let Some(region) = regions.next_if(|region| region.before == at) {
            writing.begin(region, inside);
        }
        if let Some(entered) = part.filter(|part| part.first == at) {
            writing.reach(entered);
        }
        writing.read(at, &placed.operator, inside);
    }
    FunctionInsertions {
        locals: SCRATCH.to_vec(),
        insertions: writing.insertions,
    }
}

struct Writing {
    coder: Coder,
    /// How the counter is kept outside all parts.
    outside: Keeping,
    /// Number of labels around the operator at hand, the function's own included.
    labels: usize,
    insertions: Vec<Insertion>,
}

impl Writing {
    fn insert(&mut self, before: usize, code: Code) {
        if !code.is_empty() {
            let before = OperatorIndex(before);
            self.insertions.push(Insertion { before, code });
        }
    }

    fn keeping(&self, inside: Option<&Part>) -> Keeping {
        inside.map_or(self.outside, |part| part.keeping)
    }

    /// Before the loop of a part.
    fn reach(&mut self, part: &Part) {
        let code = match part.keeping {
            Keeping::Stock => self.coder.take_stock(),
            _ => self.coder.read(),
        };
        self.insert(part.first, code);
    }

    /// Behind the loop of a part.
    fn leave(&mut self, part: &Part) {
        if part.keeping == Keeping::Stock {
            self.insert(part.end, self.coder.give_back());
        }
    }

    /// A region other than the entry's.
    fn begin(&mut self, region: &Region, inside: Option<&Part>) {
        let keeping = self.keeping(inside);
        let mut code = self.coder.lower(keeping, &[units(region.cost)]);
        if region.kind == RegionKind::LoopHead {
            code.extend(self.coder.compare(keeping));
        }
        self.insert(region.before, code);
    }

    fn read(&mut self, at: usize, operator: &Operator<'_>, inside: Option<&Part>) {
        if let Some(price) = price::per_operand(operator) {
            let keeping = self.keeping(inside);
            self.insert(at, self.coder.charge_operand(price, keeping));
        }
        if let Some(part) = inside.filter(|part| part.keeping == Keeping::Stock) {
            let leaves = |depth: u32| self.labels.saturating_sub(index(depth) + 1) < part.labels;
            match operator {
                Operator::Br { relative_depth } if leaves(*relative_depth) => {
                    self.insert(at, self.coder.give_back());
                }
                Operator::Return => self.insert(at, self.coder.give_back()),
                Operator::BrIf { relative_depth } if leaves(*relative_depth) => {
                    self.insert(at, self.coder.give_back_if());
                }
                _ => {}
            }
        }
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.labels += 1;
            }
            Operator::End => self.labels -= 1,
            _ => {}
        }
    }
}
