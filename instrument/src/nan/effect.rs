//! What each operator does with floats: the table of the class.
//!
//! An operator that names a float stands in it by itself. Any other is known by its arity alone, and only if its proposal is
//! one of the class's. So an operator that was forgotten is not judged by a default: it has no effect, and a module with
//! it is not prepared.

use wasmparser::{Operator, V128};

use super::facts::{Facts, Float, Lanes};
use super::graph::{FloatNode, Need};

/// What an operator does with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Uses it so.
    Needs(Need),
    /// Computes with a single float, which is always the same number in both runs, or NaN.
    Computes,
    /// Passes it on, whole or by lanes.
    Passes,
}

/// What an operator gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Nothing.
    Nothing,
    /// A value of which this is known.
    Fixed(FloatNode),
    /// A number, or a NaN whose bits the engine may choose.
    Arithmetic(Float, Lanes),
    /// What it was passed, of which at most these facts hold. To do so it computes with these lanes.
    Passed(Float, Facts, Option<Lanes>),
}

/// What an operator without a say in control does: operands, the deepest first, and the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) operands: &'static [Use],
    pub(crate) gives: Gives,
}

const BITS: Use = Use::Needs(Need::Bits);
const BY_32: Use = Use::Needs(Need::Numbers(Lanes::F32));
const BY_64: Use = Use::Needs(Need::Numbers(Lanes::F64));
const RAW: Gives = Gives::Fixed(FloatNode::RAW);
const ANY: Gives = Gives::Fixed(FloatNode::ANY);

const fn effect(operands: &'static [Use], gives: Gives) -> Effect {
    Effect { operands, gives }
}

/// The effect of an operator that neither moves control nor names a local, a global, a function or a block.
pub(crate) fn of(operator: &Operator<'_>) -> Option<Effect> {
    constant(operator)
        .or_else(|| scalar(operator))
        .or_else(|| conversion(operator))
        .or_else(|| memory(operator))
        .or_else(|| vector_32(operator))
        .or_else(|| vector_64(operator))
        .or_else(|| lanes(operator))
        .or_else(|| without_floats(operator))
}

const EXPONENT_32: u32 = 0x7f80_0000;
const CANONICAL_32: u32 = 0x7fc0_0000;
const EXPONENT_64: u64 = 0x7ff0_0000_0000_0000;
const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;

fn is_canonical_32(bits: u32) -> bool {
    bits & 0x7fff_ffff <= EXPONENT_32 || bits == CANONICAL_32
}

fn is_canonical_64(bits: u64) -> bool {
    bits & 0x7fff_ffff_ffff_ffff <= EXPONENT_64 || bits == CANONICAL_64
}

fn vector_constant(value: V128) -> FloatNode {
    let bytes = value.bytes();
    let by_32 = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .all(|lane| is_canonical_32(u32::from_le_bytes(*lane)));
    let by_64 = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .all(|lane| is_canonical_64(u64::from_le_bytes(*lane)));
    match (by_32, by_64) {
        (true, true) => FloatNode::ANY,
        (true, false) => FloatNode::CANONICAL_32,
        (false, true) => FloatNode::CANONICAL_64,
        (false, false) => FloatNode::RAW,
    }
}

fn constant(operator: &Operator<'_>) -> Option<Effect> {
    let node = match operator {
        Operator::F32Const { value } if is_canonical_32(value.bits()) => FloatNode::ANY,
        Operator::F64Const { value } if is_canonical_64(value.bits()) => FloatNode::ANY,
        Operator::F32Const { .. } | Operator::F64Const { .. } => FloatNode::RAW,
        Operator::V128Const { value } => vector_constant(*value),
        _ => return None,
    };
    Some(effect(&[], Gives::Fixed(node)))
}

fn scalar(operator: &Operator<'_>) -> Option<Effect> {
    use Operator as O;
    const F32: Gives = Gives::Arithmetic(Float::F32, Lanes::F32);
    const F64: Gives = Gives::Arithmetic(Float::F64, Lanes::F64);
    const fn sign(float: Float, lanes: Lanes) -> Gives {
        Gives::Passed(float, Facts::by_sign(lanes), None)
    }
    const fn magnitude(float: Float, lanes: Lanes) -> Gives {
        Gives::Passed(float, Facts::by_lanes(lanes), None)
    }
    Some(match operator {
        O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Min | O::F32Max => {
            effect(&[Use::Computes; 2], F32)
        }
        O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Min | O::F64Max => {
            effect(&[Use::Computes; 2], F64)
        }
        O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest | O::F32Sqrt => {
            effect(&[Use::Computes], F32)
        }
        O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest | O::F64Sqrt => {
            effect(&[Use::Computes], F64)
        }
        O::F32DemoteF64 => effect(&[Use::Computes], F32),
        O::F64PromoteF32 => effect(&[Use::Computes], F64),
        O::F32Eq
        | O::F32Ne
        | O::F32Lt
        | O::F32Gt
        | O::F32Le
        | O::F32Ge
        | O::F64Eq
        | O::F64Ne
        | O::F64Lt
        | O::F64Gt
        | O::F64Le
        | O::F64Ge => effect(&[Use::Computes; 2], RAW),
        // The canonical NaN without its sign is itself.
        O::F32Abs => effect(&[Use::Passes], magnitude(Float::F32, Lanes::F32)),
        O::F64Abs => effect(&[Use::Passes], magnitude(Float::F64, Lanes::F64)),
        O::F32Neg => effect(&[Use::Passes], sign(Float::F32, Lanes::F32)),
        O::F64Neg => effect(&[Use::Passes], sign(Float::F64, Lanes::F64)),
        // A NaN's sign goes to a number.
        O::F32Copysign => effect(&[Use::Passes, BITS], sign(Float::F32, Lanes::F32)),
        O::F64Copysign => effect(&[Use::Passes, BITS], sign(Float::F64, Lanes::F64)),
        _ => return None,
    })
}

fn conversion(operator: &Operator<'_>) -> Option<Effect> {
    use Operator as O;
    Some(match operator {
        // A NaN traps or becomes zero, whatever its bits.
        O::I32TruncF32S
        | O::I32TruncF32U
        | O::I32TruncF64S
        | O::I32TruncF64U
        | O::I64TruncF32S
        | O::I64TruncF32U
        | O::I64TruncF64S
        | O::I64TruncF64U
        | O::I32TruncSatF32S
        | O::I32TruncSatF32U
        | O::I32TruncSatF64S
        | O::I32TruncSatF64U
        | O::I64TruncSatF32S
        | O::I64TruncSatF32U
        | O::I64TruncSatF64S
        | O::I64TruncSatF64U => effect(&[Use::Computes], RAW),
        // No integer becomes a NaN.
        O::F32ConvertI32S
        | O::F32ConvertI32U
        | O::F32ConvertI64S
        | O::F32ConvertI64U
        | O::F64ConvertI32S
        | O::F64ConvertI32U
        | O::F64ConvertI64S
        | O::F64ConvertI64U => effect(&[BITS], ANY),
        O::I32ReinterpretF32
        | O::I64ReinterpretF64
        | O::F32ReinterpretI32
        | O::F64ReinterpretI64 => effect(&[BITS], RAW),
        _ => return None,
    })
}

fn memory(operator: &Operator<'_>) -> Option<Effect> {
    Some(match operator {
        Operator::F32Load { .. } | Operator::F64Load { .. } => effect(&[BITS], RAW),
        Operator::F32Store { .. } | Operator::F64Store { .. } => {
            effect(&[BITS, BITS], Gives::Nothing)
        }
        _ => return None,
    })
}

/// A vector made of whole lanes of others; if it chooses them by their numbers, `reads` says by which.
const fn moved(lanes: Lanes, reads: Option<Lanes>) -> Gives {
    Gives::Passed(Float::V128, Facts::by_lanes(lanes), reads)
}

fn vector_32(operator: &Operator<'_>) -> Option<Effect> {
    use Operator as O;
    const LANES: Gives = Gives::Arithmetic(Float::V128, Lanes::F32);
    Some(match operator {
        O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div | O::F32x4Min | O::F32x4Max => {
            effect(&[BY_32, BY_32], LANES)
        }
        O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest | O::F32x4Sqrt => {
            effect(&[BY_32], LANES)
        }
        O::F32x4DemoteF64x2Zero => effect(&[BY_64], LANES),
        O::F32x4Eq | O::F32x4Ne | O::F32x4Lt | O::F32x4Gt | O::F32x4Le | O::F32x4Ge => {
            effect(&[BY_32, BY_32], RAW)
        }
        O::I32x4TruncSatF32x4S | O::I32x4TruncSatF32x4U => effect(&[BY_32], RAW),
        O::F32x4ConvertI32x4S | O::F32x4ConvertI32x4U => {
            effect(&[BITS], Gives::Fixed(FloatNode::CANONICAL_32))
        }
        // One of the two, by a comparison.
        O::F32x4PMin | O::F32x4PMax => {
            effect(&[Use::Passes; 2], moved(Lanes::F32, Some(Lanes::F32)))
        }
        O::F32x4Neg => effect(
            &[Use::Passes],
            Gives::Passed(Float::V128, Facts::by_sign(Lanes::F32), None),
        ),
        O::F32x4Abs | O::F32x4Splat => effect(&[Use::Passes], moved(Lanes::F32, None)),
        O::F32x4ReplaceLane { .. } => effect(&[Use::Passes; 2], moved(Lanes::F32, None)),
        O::F32x4ExtractLane { .. } => effect(
            &[Use::Passes],
            Gives::Passed(Float::F32, Facts::by_lanes(Lanes::F32), Some(Lanes::F32)),
        ),
        _ => return None,
    })
}

fn vector_64(operator: &Operator<'_>) -> Option<Effect> {
    use Operator as O;
    const LANES: Gives = Gives::Arithmetic(Float::V128, Lanes::F64);
    Some(match operator {
        O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div | O::F64x2Min | O::F64x2Max => {
            effect(&[BY_64, BY_64], LANES)
        }
        O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest | O::F64x2Sqrt => {
            effect(&[BY_64], LANES)
        }
        O::F64x2PromoteLowF32x4 => effect(&[BY_32], LANES),
        O::F64x2Eq | O::F64x2Ne | O::F64x2Lt | O::F64x2Gt | O::F64x2Le | O::F64x2Ge => {
            effect(&[BY_64, BY_64], RAW)
        }
        O::I32x4TruncSatF64x2SZero | O::I32x4TruncSatF64x2UZero => effect(&[BY_64], RAW),
        O::F64x2ConvertLowI32x4S | O::F64x2ConvertLowI32x4U => {
            effect(&[BITS], Gives::Fixed(FloatNode::CANONICAL_64))
        }
        O::F64x2PMin | O::F64x2PMax => {
            effect(&[Use::Passes; 2], moved(Lanes::F64, Some(Lanes::F64)))
        }
        O::F64x2Neg => effect(
            &[Use::Passes],
            Gives::Passed(Float::V128, Facts::by_sign(Lanes::F64), None),
        ),
        O::F64x2Abs | O::F64x2Splat => effect(&[Use::Passes], moved(Lanes::F64, None)),
        O::F64x2ReplaceLane { .. } => effect(&[Use::Passes; 2], moved(Lanes::F64, None)),
        O::F64x2ExtractLane { .. } => effect(
            &[Use::Passes],
            Gives::Passed(Float::F64, Facts::by_lanes(Lanes::F64), Some(Lanes::F64)),
        ),
        _ => return None,
    })
}

/// Shuffles: if they move whole lanes, what is known by lanes remains.
fn lanes(operator: &Operator<'_>) -> Option<Effect> {
    let Operator::I8x16Shuffle { lanes } = operator else {
        return None;
    };
    let whole = |width: usize| {
        lanes.chunks_exact(width).all(|lane| {
            usize::from(lane[0]).is_multiple_of(width)
                && lane.windows(2).all(|pair| pair[0] + 1 == pair[1])
        })
    };
    let facts = if whole(8) {
        Facts::ANY
    } else if whole(4) {
        Facts::by_lanes(Lanes::F32)
    } else {
        return Some(effect(&[BITS, BITS], RAW));
    };
    Some(effect(
        &[Use::Passes; 2],
        Gives::Passed(Float::V128, facts, None),
    ))
}

const fn contains(text: &[u8], part: &[u8]) -> bool {
    let mut start = 0;
    while start + part.len() <= text.len() {
        let mut at = 0;
        while at < part.len() && text[start + at] == part[at] {
            at += 1;
        }
        if at == part.len() {
            return true;
        }
        start += 1;
    }
    false
}

/// Whether an operator's name says that it has to do with floats.
const fn names_a_float(name: &str) -> bool {
    contains(name.as_bytes(), b"F32") || contains(name.as_bytes(), b"F64")
}

const fn by_arity(operands: usize, results: usize) -> Option<Effect> {
    let operands: &'static [Use] = match operands {
        0 => &[],
        1 => &[BITS],
        2 => &[BITS; 2],
        3 => &[BITS; 3],
        _ => return None,
    };
    match results {
        0 => Some(effect(operands, Gives::Nothing)),
        1 => Some(effect(operands, RAW)),
        _ => None,
    }
}

macro_rules! define_without_floats {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        /// Operators of the class that look at their operands' bits and give bits.
        fn without_floats(operator: &Operator<'_>) -> Option<Effect> {
            match operator {
                $(Operator::$op { .. } => {
                    const EFFECT: Option<Effect> = if names_a_float(stringify!($op)) {
                        None
                    } else {
                        define_without_floats!(of @$proposal $($arity)*)
                    };
                    EFFECT
                })*
                _ => None,
            }
        }
    };
    (of @$proposal:ident arity custom) => { None };
    (of @mvp $($arity:tt)*) => { define_without_floats!(by $($arity)*) };
    (of @sign_extension $($arity:tt)*) => { define_without_floats!(by $($arity)*) };
    (of @bulk_memory $($arity:tt)*) => { define_without_floats!(by $($arity)*) };
    (of @reference_types $($arity:tt)*) => { define_without_floats!(by $($arity)*) };
    (of @simd $($arity:tt)*) => { define_without_floats!(by $($arity)*) };
    (of @$proposal:ident $($arity:tt)*) => { None };
    (by arity $operands:literal -> $results:literal) => { by_arity($operands, $results) };
}

wasmparser::for_each_operator!(define_without_floats);

#[cfg(test)]
mod tests;
