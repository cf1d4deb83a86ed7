//! The price of an operator: its constant part, and what its operand adds.

use wasmparser::Operator;

/// Units that growing a memory costs for each page asked for, granted or not.
pub const PER_PAGE: i64 = 255;

/// Units of an operator whatever its operands are. Those that only shape the text cost nothing.
pub(crate) fn constant(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        _ => 1,
    }
}

/// Units for each of what the topmost operand counts: bytes, elements or pages. Nothing for an operator whose work does not
/// depend on its operands.
pub(crate) fn per_operand(operator: &Operator<'_>) -> Option<i64> {
    match operator {
        Operator::MemoryCopy { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryInit { .. }
        | Operator::TableCopy { .. }
        | Operator::TableFill { .. }
        | Operator::TableInit { .. }
        | Operator::TableGrow { .. } => Some(1),
        Operator::MemoryGrow { .. } => Some(PER_PAGE),
        _ => None,
    }
}

/// True for operators that leave the function for a while: the counter may differ when they return.
pub(crate) fn is_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. } | Operator::CallIndirect { .. }
    )
}
