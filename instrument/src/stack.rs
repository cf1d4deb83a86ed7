//! How deep a program recurses, by its own text: the slots that a function takes, and which functions check them.
//!
//! A function takes [`FRAME_SLOTS`], a slot for each parameter, local and operand at its highest stack, and one for every
//! [`OPERATORS_PER_SLOT`] operators, because a compiler keeps what it computed once. Functions on a cycle of direct calls and those that a table may hold
//! check at their entry; so does one whose longest path through functions that do not check is long. A check takes the slots of that
//! path too. So every recursion meets a check, and what runs unchecked is short.

use wasm_encoder::{BlockType, Instruction};
use wasmparser::Operator;

use crate::accept::wide;
use crate::insertion::{FunctionInsertions, Insertion};
use crate::module::{OperatorIndex, ParsedBody, ParsedModule, PlacedOperator, index};

/// Slots that every function takes: its return address, saved registers and alignment.
pub const FRAME_SLOTS: u64 = 8;
/// Operators that take one slot together.
pub const OPERATORS_PER_SLOT: u64 = 32;
/// Slots of the longest path of functions that do not check.
pub const MAX_UNCHECKED_SLOTS: u64 = 256;
/// Slots that a program may take in all.
pub const MAX_STACK_SLOTS: u64 = 1 << 20;

/// The check of one function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackCheck {
    /// Slots that it takes at its entry and gives back at its exits.
    pub(crate) slots: u64,
    /// Type of a block that leaves the function's results.
    pub(crate) block: BlockType,
}

/// Slots that one function takes without those that it calls.
#[must_use]
pub fn own_slots(body: &ParsedBody<'_>) -> u64 {
    FRAME_SLOTS
        + wide(body.locals.len())
        + u64::from(body.height)
        + wide(body.operators).div_ceil(OPERATORS_PER_SLOT)
}

/// For each function that the module defines, the slots that it checks; nothing where it does not check.
pub(crate) fn plan(module: &ParsedModule<'_>) -> Vec<Option<u64>> {
    let (order, mut checked) = cycles(module);
    for function in &module.referenced {
        if let Some(at) = place(module, *function) {
            checked[at] = true;
        }
    }
    let mut longest = vec![0u64; module.bodies.len()];
    // Callees stand before their callers, but on cycles, whose functions all check.
    for at in order {
        let body = &module.bodies[at];
        let below = body
            .calls
            .iter()
            .filter_map(|callee| place(module, *callee))
            .filter(|callee| !checked[*callee])
            .map(|callee| longest[callee])
            .max();
        longest[at] = own_slots(body) + below.unwrap_or(0);
        checked[at] |= longest[at] > MAX_UNCHECKED_SLOTS;
    }
    let slots = checked.into_iter().zip(longest);
    slots
        .map(|(checked, slots)| checked.then_some(slots))
        .collect()
}

/// Place of a function among those that the module defines.
fn place(module: &ParsedModule<'_>, function: u32) -> Option<usize> {
    function.checked_sub(module.imported_functions).map(index)
}

/// The code that gives a function's slots back: before each `return`, and behind the block that holds its whole text. It stands
/// behind what other parts insert, so that only what fell through to the function's end meets their code. The scratch local `left` holds what
/// the counter was after the entry, so that no exit waits for what a callee wrote.
pub(crate) fn exits(
    operators: &[PlacedOperator<'_>],
    counter: u32,
    left: u32,
    check: StackCheck,
) -> FunctionInsertions {
    let give_back = [
        Instruction::LocalGet(left),
        Instruction::I64Const(i64::try_from(check.slots).unwrap_or(i64::MAX)),
        Instruction::I64Add,
        Instruction::GlobalSet(counter),
    ];
    let mut insertions = Vec::new();
    for (at, placed) in operators.iter().enumerate() {
        let before = OperatorIndex(at);
        if at + 1 == operators.len() {
            let mut code = vec![Instruction::End];
            code.extend_from_slice(&give_back);
            insertions.push(Insertion { before, code });
        } else if matches!(placed.operator, Operator::Return) {
            let code = give_back.to_vec();
            insertions.push(Insertion { before, code });
        }
    }
    FunctionInsertions {
        locals: vec![],
        insertions,
    }
}

/// A function of which the search for cycles has not seen all callees.
struct Unfinished {
    at: usize,
    next: usize,
}

/// Tarjan's search for strongly connected components, without recursion.
struct CycleSearch {
    /// When a function was first met; 0 if it was not.
    met: Vec<usize>,
    /// The earliest met function that it reaches among those that stand open.
    lowest: Vec<usize>,
    is_waiting: Vec<bool>,
    waiting: Vec<usize>,
    clock: usize,
    order: Vec<usize>,
    on_cycle: Vec<bool>,
}

/// The functions, callees first where they are not on one cycle, and which of them are on a cycle of direct calls.
fn cycles(module: &ParsedModule<'_>) -> (Vec<usize>, Vec<bool>) {
    let count = module.bodies.len();
    let mut search = CycleSearch {
        met: vec![0; count],
        lowest: vec![0; count],
        is_waiting: vec![false; count],
        waiting: Vec::new(),
        clock: 0,
        order: Vec::with_capacity(count),
        on_cycle: vec![false; count],
    };
    for root in 0..count {
        if search.met[root] == 0 {
            search.from(module, root);
        }
    }
    (search.order, search.on_cycle)
}

impl CycleSearch {
    fn meet(&mut self, at: usize) -> Unfinished {
        self.clock += 1;
        self.met[at] = self.clock;
        self.lowest[at] = self.clock;
        self.waiting.push(at);
        self.is_waiting[at] = true;
        Unfinished { at, next: 0 }
    }

    fn from(&mut self, module: &ParsedModule<'_>, root: usize) {
        let mut path = vec![self.meet(root)];
        while let Some(open) = path.last_mut() {
            let at = open.at;
            let callee = module.bodies[at].calls.get(open.next);
            open.next += 1;
            let Some(callee) = callee else {
                path.pop();
                self.leave(at);
                if let Some(caller) = path.last() {
                    self.lowest[caller.at] = self.lowest[caller.at].min(self.lowest[at]);
                }
                continue;
            };
            match place(module, *callee) {
                Some(callee) if self.met[callee] == 0 => path.push(self.meet(callee)),
                Some(callee) if self.is_waiting[callee] => {
                    self.on_cycle[at] |= callee == at;
                    self.lowest[at] = self.lowest[at].min(self.met[callee]);
                }
                _ => {}
            }
        }
    }

    /// Takes a whole component from those that wait, if `at` is the first of it that was met.
    fn leave(&mut self, at: usize) {
        if self.lowest[at] != self.met[at] {
            return;
        }
        let from = self.waiting.iter().rposition(|other| *other == at);
        let component = self.waiting.split_off(from.unwrap_or(0));
        for other in &component {
            self.is_waiting[*other] = false;
            self.on_cycle[*other] |= component.len() > 1;
        }
        self.order.extend(component);
    }
}
