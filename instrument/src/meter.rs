//! Metering: the code that charges each region of a function, and the operators whose price depends on an operand.
//!
//! The counter is a global of the module that its own text cannot name. It is compared where a function or a loop's body begins and
//! at operators priced by an operand; everywhere else it is only lowered. So a run passes its limit by at most one
//! function's text before it ends, and every cycle meets a comparison. Whoever finds the counter below zero, at whatever end, knows that the
//! fuel is used up; the code that the pass inserts ends the run with `unreachable`.
//!
//! Where nothing is called (a whole function, or a loop that is in no other), the counter is read from a scratch local and written to both, so that no
//! iteration waits for what the last one wrote.

pub(crate) mod price;
mod region;

use wasm_encoder::{BlockType, Instruction, ValType};
use wasmparser::Operator;

use crate::insertion::{FunctionInsertions, Insertion};
use crate::module::{OperatorIndex, PlacedOperator};
use crate::stack::StackCheck;
use region::{Region, RegionKind};

pub use price::PER_PAGE;
pub use region::MAX_FOLDED_ARM;

/// The globals that the inserted code counts in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CounterGlobals {
    /// Units of fuel that are left.
    pub(crate) fuel: u32,
    /// Slots of the stack that are left.
    pub(crate) stack: u32,
}

/// The scratch locals of one function.
#[derive(Debug, Clone, Copy)]
struct Scratch {
    /// 64 bits: the fuel that is left.
    fuel: u32,
    /// 64 bits: the slots that are left.
    stack: u32,
    /// 32 bits: an operand that a price depends on.
    operand: u32,
}

const SCRATCH: [ValType; 3] = [ValType::I64, ValType::I64, ValType::I32];

/// The code that meters one function. `first_local` is the index of its first scratch local.
pub(crate) fn insertions(
    operators: &[PlacedOperator<'_>],
    counters: CounterGlobals,
    check: Option<StackCheck>,
    first_local: u32,
) -> FunctionInsertions {
    let mut writing = Writing {
        counters,
        check,
        scratch: Scratch {
            fuel: first_local,
            stack: first_local + 1,
            operand: first_local + 2,
        },
        insertions: Vec::new(),
    };
    let quiet = quiet(operators);
    let mut parts = quiet.iter().peekable();
    let regions = region::divide(operators);
    let mut regions = regions.iter().peekable();
    let entry = regions.next_if(|region| region.kind == RegionKind::Entry);
    let is_quiet = quiet.first().is_some_and(|part| part.is_whole(operators));
    writing.enter(entry.map_or(0, |region| region.cost), is_quiet);
    for (at, placed) in operators.iter().enumerate() {
        parts.next_if(|part| part.end <= at);
        let part = parts.peek().filter(|part| part.first <= at);
        if let Some(region) = regions.next_if(|region| region.before == at) {
            writing.begin(region, part.is_some_and(|part| part.first < at));
        }
        if part.is_some_and(|part| part.first == at && !part.is_whole(operators)) {
            writing.insert(at, writing.read());
        }
        if let Some(price) = price::per_operand(&placed.operator) {
            writing.charge_operand(at, price, part.is_some());
        }
    }
    FunctionInsertions {
        locals: SCRATCH.to_vec(),
        insertions: writing.insertions,
    }
}

/// Operators from one place up to another during which nothing is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quiet {
    /// Before this operator the counter is read into its local.
    first: usize,
    /// The operator behind the last one.
    end: usize,
}

impl Quiet {
    fn is_whole(self, operators: &[PlacedOperator<'_>]) -> bool {
        self.first == 0 && self.end == operators.len()
    }
}

/// The parts of a function in which nothing is called: all of it, or its outermost loops.
fn quiet(operators: &[PlacedOperator<'_>]) -> Vec<Quiet> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    // The outermost loop: its place, the depth around it, and whether something in it is called.
    let mut outermost: Option<(usize, usize, bool)> = None;
    let mut calls = false;
    for (at, placed) in operators.iter().enumerate() {
        match &placed.operator {
            Operator::Loop { .. } => {
                outermost.get_or_insert((at, depth, false));
                depth += 1;
            }
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::End => {
                depth = depth.saturating_sub(1);
                if let Some((first, _, called)) = outermost.take_if(|(_, outer, _)| *outer == depth)
                    && !called
                {
                    found.push(Quiet { first, end: at + 1 });
                }
            }
            operator if price::is_call(operator) => {
                calls = true;
                if let Some((_, _, called)) = &mut outermost {
                    *called = true;
                }
            }
            _ => {}
        }
    }
    if calls {
        return found;
    }
    vec![Quiet {
        first: 0,
        end: operators.len(),
    }]
}

struct Writing {
    counters: CounterGlobals,
    check: Option<StackCheck>,
    scratch: Scratch,
    insertions: Vec<Insertion>,
}

/// Ends the run if the 64 bits on the stack are negative.
const END_IF_NEGATIVE: [Instruction<'static>; 5] = [
    Instruction::I64Const(0),
    Instruction::I64LtS,
    Instruction::If(BlockType::Empty),
    Instruction::Unreachable,
    Instruction::End,
];

impl Writing {
    fn insert(&mut self, before: usize, code: Vec<Instruction<'static>>) {
        if !code.is_empty() {
            let before = OperatorIndex(before);
            self.insertions.push(Insertion { before, code });
        }
    }

    /// Reads the counter into its local.
    fn read(&self) -> Vec<Instruction<'static>> {
        vec![
            Instruction::GlobalGet(self.counters.fuel),
            Instruction::LocalSet(self.scratch.fuel),
        ]
    }

    /// Lowers the counter by what `amount` leaves on the stack, and leaves the new value in its local.
    fn lower(&self, is_quiet: bool, amount: &[Instruction<'static>]) -> Vec<Instruction<'static>> {
        let read = if is_quiet {
            Instruction::LocalGet(self.scratch.fuel)
        } else {
            Instruction::GlobalGet(self.counters.fuel)
        };
        let mut code = vec![read];
        code.extend_from_slice(amount);
        code.extend([
            Instruction::I64Sub,
            Instruction::LocalTee(self.scratch.fuel),
            Instruction::GlobalSet(self.counters.fuel),
        ]);
        code
    }

    /// The function's entry: its first region, its slots of the stack, and one comparison for both.
    fn enter(&mut self, cost: u64, is_quiet: bool) {
        let mut code = Vec::new();
        if cost > 0 {
            code = self.lower(false, &[units(cost)]);
        } else if is_quiet {
            code = self.read();
        }
        if let Some(check) = self.check {
            code.extend([
                Instruction::GlobalGet(self.counters.stack),
                units(check.slots),
                Instruction::I64Sub,
                Instruction::LocalTee(self.scratch.stack),
                Instruction::GlobalSet(self.counters.stack),
                Instruction::LocalGet(self.scratch.stack),
            ]);
        }
        if cost > 0 {
            code.push(Instruction::LocalGet(self.scratch.fuel));
        }
        if cost > 0 && self.check.is_some() {
            code.push(Instruction::I64Or);
        }
        if cost > 0 || self.check.is_some() {
            code.extend(END_IF_NEGATIVE);
        }
        code.extend(self.check.map(|check| Instruction::Block(check.block)));
        self.insert(0, code);
    }

    /// A region other than the entry's.
    fn begin(&mut self, region: &Region, is_quiet: bool) {
        let mut code = self.lower(is_quiet, &[units(region.cost)]);
        if region.kind == RegionKind::LoopHead {
            code.push(Instruction::LocalGet(self.scratch.fuel));
            code.extend(END_IF_NEGATIVE);
        }
        self.insert(region.before, code);
    }

    /// An operator that costs `price` for each of what its topmost operand counts.
    fn charge_operand(&mut self, at: usize, price: i64, is_quiet: bool) {
        let amount = [
            Instruction::LocalGet(self.scratch.operand),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(price),
            Instruction::I64Mul,
        ];
        let mut code = vec![Instruction::LocalSet(self.scratch.operand)];
        code.extend(self.lower(is_quiet, &amount));
        code.push(Instruction::LocalGet(self.scratch.fuel));
        code.extend(END_IF_NEGATIVE);
        code.push(Instruction::LocalGet(self.scratch.operand));
        self.insert(at, code);
    }
}

fn units(cost: u64) -> Instruction<'static> {
    Instruction::I64Const(i64::try_from(cost).unwrap_or(i64::MAX))
}
