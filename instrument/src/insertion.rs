//! What the parts of the pass ask for: code to insert before operators of the original text, and scratch locals.
//!
//! Inserted code leaves the operand stack's shape as it found it, or as the next operator expects it. No part sees what another
//! inserts, and metering counts the operators of the original text only, so that inserted code is never charged.

use wasm_encoder::{Instruction, ValType};

use crate::module::OperatorIndex;

/// Code to insert before an operator. What must run after an operator is inserted before the next one; a loop's head is
/// before the operator that follows `loop`. Before an `end` only what falls through to it runs.
#[derive(Debug, Clone)]
pub struct Insertion {
    /// The operator of the original text that follows the code.
    pub before: OperatorIndex,
    /// The code; indices of types, functions, globals and locals are those of the original text.
    pub code: Vec<Instruction<'static>>,
}

/// All that one part inserts into one function.
#[derive(Debug, Clone, Default)]
pub struct FunctionInsertions {
    /// Scratch locals. Those of canonical NaNs have the indices that follow the function's own
    /// ([`ParsedBody::locals`](crate::module::ParsedBody::locals)), those of metering follow these.
    pub locals: Vec<ValType>,
    /// In ascending order of `before`; several before one operator stand in the order of the list.
    pub insertions: Vec<Insertion>,
}
