//! Every operator of the class without a say in control, by the type that it gives.

use wasm_encoder::Instruction as I;
use wasm_encoder::ValType::{self, F32, F64, I32, I64, V128};

use crate::random::Random;

/// An operator and the types of its operands.
pub type Operation = (I<'static>, Vec<ValType>);

fn add(list: &mut Vec<Operation>, operands: &[ValType], operators: &[I<'static>]) {
    list.extend(operators.iter().map(|i| (i.clone(), operands.to_vec())));
}

/// One of those that give a type.
pub fn any(kind: ValType, random: &mut Random) -> Operation {
    let list = match kind {
        I32 => narrow_integers(),
        I64 => wide_integers(),
        F32 => narrow(random),
        F64 => wide(random),
        _ => vector(random),
    };
    random.pick(&list).clone()
}

/// One whose first operand has the type that it gives.
pub fn step(kind: ValType, random: &mut Random) -> Operation {
    loop {
        let operation = any(kind, random);
        if operation.1[0] == kind {
            return operation;
        }
    }
}

fn narrow(random: &mut Random) -> Vec<Operation> {
    let mut list = Vec::new();
    for _ in 0..2 {
        add(
            &mut list,
            &[F32, F32],
            &[
                I::F32Add,
                I::F32Sub,
                I::F32Mul,
                I::F32Div,
                I::F32Min,
                I::F32Max,
            ],
        );
    }
    add(&mut list, &[F32, F32], &[I::F32Copysign]);
    add(
        &mut list,
        &[F32],
        &[
            I::F32Abs,
            I::F32Neg,
            I::F32Ceil,
            I::F32Floor,
            I::F32Trunc,
            I::F32Nearest,
            I::F32Sqrt,
        ],
    );
    add(&mut list, &[F64], &[I::F32DemoteF64, I::F32DemoteF64]);
    add(
        &mut list,
        &[I32],
        &[I::F32ReinterpretI32, I::F32ConvertI32S, I::F32ConvertI32U],
    );
    add(&mut list, &[I64], &[I::F32ConvertI64S, I::F32ConvertI64U]);
    let lane = u8::try_from(random.below(4)).unwrap();
    add(&mut list, &[V128], &[I::F32x4ExtractLane(lane)]);
    list
}

fn wide(random: &mut Random) -> Vec<Operation> {
    let mut list = Vec::new();
    for _ in 0..2 {
        add(
            &mut list,
            &[F64, F64],
            &[
                I::F64Add,
                I::F64Sub,
                I::F64Mul,
                I::F64Div,
                I::F64Min,
                I::F64Max,
            ],
        );
    }
    add(&mut list, &[F64, F64], &[I::F64Copysign]);
    add(
        &mut list,
        &[F64],
        &[
            I::F64Abs,
            I::F64Neg,
            I::F64Ceil,
            I::F64Floor,
            I::F64Trunc,
            I::F64Nearest,
            I::F64Sqrt,
        ],
    );
    add(&mut list, &[F32], &[I::F64PromoteF32, I::F64PromoteF32]);
    add(&mut list, &[I32], &[I::F64ConvertI32S, I::F64ConvertI32U]);
    add(
        &mut list,
        &[I64],
        &[I::F64ReinterpretI64, I::F64ConvertI64S, I::F64ConvertI64U],
    );
    let lane = u8::try_from(random.below(2)).unwrap();
    add(&mut list, &[V128], &[I::F64x2ExtractLane(lane)]);
    list
}

fn narrow_integers() -> Vec<Operation> {
    let mut list = Vec::new();
    add(
        &mut list,
        &[F32, F32],
        &[I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge],
    );
    add(
        &mut list,
        &[F64, F64],
        &[I::F64Eq, I::F64Ne, I::F64Lt, I::F64Gt, I::F64Le, I::F64Ge],
    );
    add(
        &mut list,
        &[F32],
        &[
            I::I32ReinterpretF32,
            I::I32ReinterpretF32,
            I::I32TruncSatF32S,
            I::I32TruncSatF32U,
        ],
    );
    add(&mut list, &[F64], &[I::I32TruncSatF64S, I::I32TruncSatF64U]);
    add(
        &mut list,
        &[I32, I32],
        &[I::I32Add, I::I32Xor, I::I32Rotl, I::I32LtU],
    );
    add(&mut list, &[I32], &[I::I32Eqz, I::I32Extend8S]);
    add(&mut list, &[I64], &[I::I32WrapI64]);
    add(
        &mut list,
        &[V128],
        &[
            I::V128AnyTrue,
            I::I32x4AllTrue,
            I::I8x16Bitmask,
            I::I64x2Bitmask,
            I::I32x4ExtractLane(2),
            I::I16x8ExtractLaneS(5),
        ],
    );
    list
}

fn wide_integers() -> Vec<Operation> {
    let mut list = Vec::new();
    add(&mut list, &[F32], &[I::I64TruncSatF32S, I::I64TruncSatF32U]);
    add(
        &mut list,
        &[F64],
        &[
            I::I64ReinterpretF64,
            I::I64ReinterpretF64,
            I::I64TruncSatF64S,
            I::I64TruncSatF64U,
        ],
    );
    add(&mut list, &[I64, I64], &[I::I64Add, I::I64Xor, I::I64Rotl]);
    add(&mut list, &[I32], &[I::I64ExtendI32U]);
    add(&mut list, &[V128], &[I::I64x2ExtractLane(1)]);
    list
}

fn vector(random: &mut Random) -> Vec<Operation> {
    let mut list = vector_arithmetic();
    add(
        &mut list,
        &[V128, V128],
        &[
            I::V128And,
            I::V128Or,
            I::V128Xor,
            I::V128AndNot,
            I::I32x4Add,
            I::I8x16Swizzle,
            I::I64x2Eq,
            I::F32x4Lt,
            I::F32x4Eq,
            I::F64x2Lt,
            I::F64x2Ne,
        ],
    );
    add(
        &mut list,
        &[V128],
        &[
            I::V128Not,
            I::I32x4TruncSatF32x4S,
            I::I32x4TruncSatF32x4U,
            I::I32x4TruncSatF64x2SZero,
            I::I32x4TruncSatF64x2UZero,
            I::F32x4ConvertI32x4S,
            I::F32x4ConvertI32x4U,
            I::F64x2ConvertLowI32x4S,
            I::F64x2ConvertLowI32x4U,
            I::I32x4Neg,
        ],
    );
    add(&mut list, &[V128, V128, V128], &[I::V128Bitselect]);
    add(&mut list, &[V128, I32], &[I::I64x2ShrU, I::I8x16Shl]);
    add(&mut list, &[F32], &[I::F32x4Splat, I::F32x4Splat]);
    add(&mut list, &[F64], &[I::F64x2Splat, I::F64x2Splat]);
    add(&mut list, &[I32], &[I::I32x4Splat]);
    let lane = u8::try_from(random.below(4)).unwrap();
    add(
        &mut list,
        &[V128, F32],
        &[I::F32x4ReplaceLane(lane), I::F32x4ReplaceLane(lane)],
    );
    add(
        &mut list,
        &[V128, F64],
        &[I::F64x2ReplaceLane(lane % 2), I::F64x2ReplaceLane(lane % 2)],
    );
    add(&mut list, &[V128, I32], &[I::I32x4ReplaceLane(lane)]);
    for _ in 0..3 {
        add(
            &mut list,
            &[V128, V128],
            &[I::I8x16Shuffle(shuffle(random))],
        );
    }
    list
}

/// A shuffle that moves single bytes or whole lanes.
fn shuffle(random: &mut Random) -> [u8; 16] {
    let width = *random.pick(&[1, 4, 4, 8]);
    let mut bytes = [0u8; 16];
    for lane in bytes.chunks_exact_mut(width) {
        let from = random.below(32 / width) * width;
        for (within, byte) in lane.iter_mut().enumerate() {
            *byte = u8::try_from(from + within).unwrap();
        }
    }
    bytes
}

fn vector_arithmetic() -> Vec<Operation> {
    let mut list = Vec::new();
    add(
        &mut list,
        &[V128, V128],
        &[
            I::F32x4Add,
            I::F32x4Sub,
            I::F32x4Mul,
            I::F32x4Div,
            I::F32x4Min,
            I::F32x4Max,
            I::F32x4PMin,
            I::F32x4PMax,
            I::F64x2Add,
            I::F64x2Sub,
            I::F64x2Mul,
            I::F64x2Div,
            I::F64x2Min,
            I::F64x2Max,
            I::F64x2PMin,
            I::F64x2PMax,
        ],
    );
    add(
        &mut list,
        &[V128],
        &[
            I::F32x4Ceil,
            I::F32x4Floor,
            I::F32x4Trunc,
            I::F32x4Nearest,
            I::F32x4Sqrt,
            I::F32x4Abs,
            I::F32x4Neg,
            I::F64x2Ceil,
            I::F64x2Floor,
            I::F64x2Trunc,
            I::F64x2Nearest,
            I::F64x2Sqrt,
            I::F64x2Abs,
            I::F64x2Neg,
            I::F32x4DemoteF64x2Zero,
            I::F64x2PromoteLowF32x4,
        ],
    );
    list
}
