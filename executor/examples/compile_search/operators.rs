//! The operators that expressions are made of, by the type of what they give.

use wasm_encoder::Instruction::{self, self as I};
use wasm_encoder::ValType::{self, F32, F64, I32, I64, V128};

/// An operator without immediate, what it takes and what it gives.
pub struct Operator {
    pub code: Instruction<'static>,
    pub takes: &'static [ValType],
    pub gives: ValType,
}

macro_rules! operators {
    ($($takes:tt -> $gives:ident: $($name:ident)*;)*) => {
        &[$($(Operator { code: I::$name, takes: &$takes, gives: $gives },)*)*]
    };
}

/// All of them. Lanes have an index and are left out but for those that follow.
pub const OPERATORS: &[Operator] = operators! {
    [I32] -> I32: I32Eqz I32Clz I32Ctz I32Popcnt I32Extend8S I32Extend16S;
    [I32, I32] -> I32: I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor I32Shl I32ShrS I32Rotl I32Eq I32LtS I32GeU;
    [I64] -> I32: I64Eqz I32WrapI64;
    [I64, I64] -> I32: I64Eq I64Ne I64LtS I64GtU;
    [F32] -> I32: I32TruncF32S I32TruncF32U I32TruncSatF32S I32TruncSatF32U I32ReinterpretF32;
    [F64] -> I32: I32TruncF64S I32TruncF64U I32TruncSatF64S I32TruncSatF64U;
    [F32, F32] -> I32: F32Eq F32Ne F32Lt F32Ge;
    [F64, F64] -> I32: F64Eq F64Ne F64Lt F64Ge;
    [V128] -> I32: V128AnyTrue I8x16AllTrue I64x2AllTrue I8x16Bitmask I16x8Bitmask I64x2Bitmask;
    [I64] -> I64: I64Clz I64Ctz I64Popcnt I64Extend8S I64Extend32S;
    [I32] -> I64: I64ExtendI32S I64ExtendI32U;
    [I64, I64] -> I64: I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor I64Shl I64ShrU I64Rotr;
    [F32] -> I64: I64TruncF32S I64TruncF32U I64TruncSatF32S I64TruncSatF32U;
    [F64] -> I64: I64TruncF64S I64TruncF64U I64TruncSatF64S I64TruncSatF64U I64ReinterpretF64;
    [F32] -> F32: F32Abs F32Neg F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt;
    [F32, F32] -> F32: F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign;
    [I32] -> F32: F32ConvertI32S F32ConvertI32U F32ReinterpretI32;
    [I64] -> F32: F32ConvertI64S F32ConvertI64U;
    [F64] -> F32: F32DemoteF64;
    [F64] -> F64: F64Abs F64Neg F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt;
    [F64, F64] -> F64: F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign;
    [I32] -> F64: F64ConvertI32S F64ConvertI32U;
    [I64] -> F64: F64ConvertI64S F64ConvertI64U F64ReinterpretI64;
    [F32] -> F64: F64PromoteF32;
    [I32] -> V128: I8x16Splat I16x8Splat I32x4Splat;
    [I64] -> V128: I64x2Splat;
    [F32] -> V128: F32x4Splat;
    [F64] -> V128: F64x2Splat;
    [V128] -> V128: V128Not I8x16Abs I8x16Neg I8x16Popcnt I16x8ExtAddPairwiseI8x16S I16x8ExtendLowI8x16S I32x4ExtendHighI16x8U I64x2Abs I64x2ExtendHighI32x4U
        F32x4Ceil F32x4Nearest F32x4Abs F32x4Sqrt F64x2Floor F64x2Trunc F64x2Sqrt F64x2Neg I32x4TruncSatF32x4S I32x4TruncSatF32x4U
        F32x4ConvertI32x4S F32x4ConvertI32x4U I32x4TruncSatF64x2SZero I32x4TruncSatF64x2UZero F64x2ConvertLowI32x4S F64x2ConvertLowI32x4U
        F32x4DemoteF64x2Zero F64x2PromoteLowF32x4;
    [V128, I32] -> V128: I8x16Shl I8x16ShrS I8x16ShrU I16x8ShrS I64x2Shl I64x2ShrS;
    [V128, V128] -> V128: I8x16Swizzle I8x16Eq I8x16LtU I8x16GeU I16x8GtU I32x4Ne I64x2GeS F32x4Lt F64x2Ne V128And V128AndNot V128Xor I8x16NarrowI16x8S
        I8x16Add I8x16AddSatU I8x16SubSatS I8x16MinS I8x16MaxU I8x16AvgrU I16x8Q15MulrSatS I16x8NarrowI32x4U I16x8Mul I16x8ExtMulLowI8x16S I16x8ExtMulHighI8x16U
        I32x4Add I32x4Mul I32x4MaxU I32x4DotI16x8S I32x4ExtMulHighI16x8S I64x2Add I64x2Mul I64x2ExtMulLowI32x4S F32x4Add F32x4Mul F32x4Div F32x4Min F32x4Max
        F32x4PMin F32x4PMax F64x2Add F64x2Sub F64x2Div F64x2Min F64x2Max F64x2PMin F64x2PMax;
    [V128, V128, V128] -> V128: V128Bitselect;
};
