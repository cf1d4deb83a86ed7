//! A corpus of small modules, one per numeric instruction and per way to misbehave, whose outcomes are frozen.
//!
//! If the frozen hash changes, the class has changed: results of this build would contradict those of others. Then
//! either the change is wrong, or it needs a new class.

use types::attestation::{Exit, Outcome};
use types::codec::encode;
use types::hash::BlobId;
use types::number::Fuel;
use wasm_encoder::ValType::{F32, F64, I32, I64, V128};
use wasm_encoder::{BlockType, HeapType, Instruction as I, InstructionSink, MemArg, ValType};

use crate::modules::{Parts, RANDOM_GET, RECURSE, module, module_from, module_of, write};
use crate::support::Job;

/// Hash over the outcomes of all modules, in order.
const FROZEN: &str = "24e570a367c161bd2bd2f13680adea2099495bac1fc5fb0c64f31dc515bfad1a";
const RESULTS_AT: i32 = 1_024;

const WHOLE: [i64; 9] = [
    0,
    1,
    -1,
    7,
    31,
    64,
    i64::MIN,
    i64::MAX,
    0x0123_4567_89ab_cdef,
];
const BITS_64: [u64; 10] = [
    0x0000_0000_0000_0000, // 0
    0x8000_0000_0000_0000, // -0
    0x0000_0000_0000_0001, // the smallest
    0x3fe0_0000_0000_0000, // 0.5
    0xbff8_0000_0000_0000, // -1.5
    0x4004_0000_0000_0000, // 2.5
    0x4330_0000_0000_0001, // the first without halves
    0x7fef_ffff_ffff_ffff, // the largest
    0xfff0_0000_0000_0000, // -infinity
    0x7ff4_0000_dead_beef, // a signalling NaN with a payload
];
const BITS_32: [u32; 10] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x3f00_0000,
    0xbfc0_0000,
    0x4020_0000,
    0x4b00_0001,
    0x7f7f_ffff,
    0xff80_0000,
    0xffa0_beef,
];

/// Puts operand number `n` of a type on the stack.
fn operand(code: &mut InstructionSink<'_>, kind: ValType, n: usize) {
    let pair = |n: usize| i128::from(BITS_64[(n + 3) % 10]) << 64 | i128::from(BITS_64[n % 10]);
    match kind {
        I32 => code.i32_const(
            i32::try_from(WHOLE[n % 9] >> 32).unwrap()
                ^ i32::try_from(WHOLE[n % 9] & 0x7fff_ffff).unwrap(),
        ),
        I64 => code.i64_const(WHOLE[n % 9]),
        F32 => code.f32_const(f32::from_bits(BITS_32[n % 10]).into()),
        F64 => code.f64_const(f64::from_bits(BITS_64[n % 10]).into()),
        _ => code.v128_const(pair(n)),
    };
}

fn store(code: &mut InstructionSink<'_>, kind: ValType) {
    let at = MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    match kind {
        I32 => code.i32_store(at),
        I64 => code.i64_store(at),
        F32 => code.f32_store(at),
        F64 => code.f64_store(at),
        _ => code.v128_store(at),
    };
}

/// Applies an instruction to all operands, or pairs of them, and writes the results to standard output.
fn numeric(instruction: &I<'_>, operands: &[ValType], result: ValType) -> Vec<u8> {
    module_from(&Parts::default(), |function| {
        let mut at = RESULTS_AT;
        for first in 0..10 {
            for second in 0..if operands.len() > 1 { 10 } else { 1 } {
                function.instructions().i32_const(at);
                for (kind, n) in operands.iter().zip([first, second, first + second]) {
                    operand(&mut function.instructions(), *kind, n);
                }
                function.instruction(instruction);
                store(&mut function.instructions(), result);
                at += 16;
            }
        }
        write(&mut function.instructions(), 1, RESULTS_AT, at - RESULTS_AT);
        function.instructions().drop();
    })
}

#[rustfmt::skip]
fn instructions() -> Vec<(I<'static>, Vec<ValType>, ValType)> {
    let mut all = Vec::new();
    let mut add = |list: &[I<'static>], operands: &[ValType], result: ValType| {
        all.extend(list.iter().map(|one| (one.clone(), operands.to_vec(), result)));
    };
    add(&[I::I32Clz, I::I32Ctz, I::I32Popcnt, I::I32Extend8S, I::I32Extend16S], &[I32], I32);
    add(&[I::I64Clz, I::I64Ctz, I::I64Popcnt, I::I64Extend8S, I::I64Extend16S, I::I64Extend32S], &[I64], I64);
    add(&[I::I32Add, I::I32Sub, I::I32Mul, I::I32And, I::I32Or, I::I32Xor, I::I32Shl, I::I32ShrS, I::I32ShrU, I::I32Rotl, I::I32Rotr,
          I::I32Eq, I::I32LtS, I::I32LtU, I::I32GeS, I::I32GeU], &[I32, I32], I32);
    add(&[I::I64Add, I::I64Sub, I::I64Mul, I::I64And, I::I64Or, I::I64Xor, I::I64Shl, I::I64ShrS, I::I64ShrU, I::I64Rotl, I::I64Rotr],
        &[I64, I64], I64);
    add(&[I::I64Eq, I::I64LtS, I::I64LtU, I::I64GeS, I::I64GeU], &[I64, I64], I32);
    add(&[I::F32Abs, I::F32Neg, I::F32Ceil, I::F32Floor, I::F32Trunc, I::F32Nearest, I::F32Sqrt], &[F32], F32);
    add(&[I::F64Abs, I::F64Neg, I::F64Ceil, I::F64Floor, I::F64Trunc, I::F64Nearest, I::F64Sqrt], &[F64], F64);
    add(&[I::F32Add, I::F32Sub, I::F32Mul, I::F32Div, I::F32Min, I::F32Max, I::F32Copysign], &[F32, F32], F32);
    add(&[I::F64Add, I::F64Sub, I::F64Mul, I::F64Div, I::F64Min, I::F64Max, I::F64Copysign], &[F64, F64], F64);
    add(&[I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge], &[F32, F32], I32);
    add(&[I::F64Eq, I::F64Ne, I::F64Lt, I::F64Gt, I::F64Le, I::F64Ge], &[F64, F64], I32);
    add(&[I::I32TruncSatF32S, I::I32TruncSatF32U, I::I32ReinterpretF32], &[F32], I32);
    add(&[I::I64TruncSatF32S, I::I64TruncSatF32U], &[F32], I64);
    add(&[I::I32TruncSatF64S, I::I32TruncSatF64U], &[F64], I32);
    add(&[I::I64TruncSatF64S, I::I64TruncSatF64U, I::I64ReinterpretF64], &[F64], I64);
    add(&[I::F32ConvertI32S, I::F32ConvertI32U, I::F32ReinterpretI32], &[I32], F32);
    add(&[I::F32ConvertI64S, I::F32ConvertI64U], &[I64], F32);
    add(&[I::F64ConvertI32S, I::F64ConvertI32U], &[I32], F64);
    add(&[I::F64ConvertI64S, I::F64ConvertI64U, I::F64ReinterpretI64], &[I64], F64);
    add(&[I::F32DemoteF64], &[F64], F32);
    add(&[I::F64PromoteF32], &[F32], F64);
    add(&[I::I32WrapI64, I::I64Eqz], &[I64], I32);
    add(&[I::I64ExtendI32S, I::I64ExtendI32U], &[I32], I64);
    add(&[I::V128Not, I::I8x16Abs, I::I8x16Neg, I::I8x16Popcnt, I::I16x8Abs, I::I16x8Neg, I::I32x4Abs, I::I32x4Neg, I::I64x2Abs, I::I64x2Neg,
          I::F32x4Abs, I::F32x4Neg, I::F32x4Sqrt, I::F32x4Ceil, I::F32x4Floor, I::F32x4Trunc, I::F32x4Nearest,
          I::F64x2Abs, I::F64x2Neg, I::F64x2Sqrt, I::F64x2Ceil, I::F64x2Floor, I::F64x2Trunc, I::F64x2Nearest,
          I::I32x4TruncSatF32x4S, I::I32x4TruncSatF32x4U, I::I32x4TruncSatF64x2SZero, I::I32x4TruncSatF64x2UZero,
          I::F32x4ConvertI32x4S, I::F32x4ConvertI32x4U, I::F64x2ConvertLowI32x4S, I::F64x2ConvertLowI32x4U, I::F32x4DemoteF64x2Zero,
          I::F64x2PromoteLowF32x4, I::I16x8ExtAddPairwiseI8x16S, I::I32x4ExtAddPairwiseI16x8U], &[V128], V128);
    add(&[I::I8x16Swizzle, I::I8x16Add, I::I8x16AddSatS, I::I8x16SubSatU, I::I8x16MinS, I::I8x16MaxU, I::I8x16AvgrU, I::I8x16NarrowI16x8S,
          I::I16x8Mul, I::I16x8Q15MulrSatS, I::I16x8NarrowI32x4U, I::I16x8ExtMulLowI8x16S, I::I32x4Mul, I::I32x4DotI16x8S, I::I32x4MinS,
          I::I32x4MaxU, I::I64x2Mul, I::I64x2ExtMulHighI32x4U, I::I64x2LtS, I::I32x4GtU, I::V128AndNot,
          I::F32x4Add, I::F32x4Sub, I::F32x4Mul, I::F32x4Div, I::F32x4Min, I::F32x4Max, I::F32x4PMin, I::F32x4PMax, I::F32x4Lt,
          I::F64x2Add, I::F64x2Sub, I::F64x2Mul, I::F64x2Div, I::F64x2Min, I::F64x2Max, I::F64x2PMin, I::F64x2PMax, I::F64x2Ge], &[V128, V128], V128);
    add(&[I::V128AnyTrue, I::I8x16AllTrue, I::I8x16Bitmask, I::I32x4Bitmask, I::I64x2AllTrue], &[V128], I32);
    add(&[I::I8x16Shl, I::I16x8ShrS, I::I32x4ShrU, I::I64x2ShrS], &[V128, I32], V128);
    add(&[I::V128Bitselect], &[V128, V128, V128], V128);
    all
}

/// Modules that end early or in another way than well.
fn misbehaving() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let division = [I::I32DivS, I::I32DivU, I::I32RemS, I::I32RemU];
    all.extend(division.iter().map(|one| numeric(one, &[I32, I32], I32)));
    let long = [I::I64DivS, I::I64DivU, I::I64RemS, I::I64RemU];
    all.extend(long.iter().map(|one| numeric(one, &[I64, I64], I64)));
    let narrow = [I::I32TruncF64S, I::I32TruncF64U];
    all.extend(narrow.iter().map(|one| numeric(one, &[F64], I32)));
    all.push(module(|code| {
        code.loop_(BlockType::Empty).br(0).end();
    }));
    all.push(module(|code| {
        code.i64_const(0).call(RECURSE).drop();
    }));
    all.push(module(|code| {
        code.loop_(BlockType::Empty)
            .i32_const(16)
            .memory_grow(0)
            .drop()
            .br(0)
            .end();
    }));
    all.push(module(|code| {
        code.loop_(BlockType::Empty)
            .ref_null(HeapType::FUNC)
            .i32_const(1_000)
            .table_grow(0)
            .drop()
            .br(0)
            .end();
    }));
    all.push(module(|code| {
        code.loop_(BlockType::Empty)
            .i32_const(0)
            .i32_const(60_000)
            .call(RANDOM_GET)
            .drop()
            .br(0)
            .end();
    }));
    for fd in [1, 2] {
        all.push(module(|code| {
            code.loop_(BlockType::Empty);
            write(code, fd, 0, 60_000);
            code.drop().br(0).end();
        }));
    }
    all.push(module_of(
        &Parts {
            pages: 65_536,
            ..Parts::default()
        },
        |code| {
            code.nop();
        },
    ));
    all.push(module_of(
        &Parts {
            table_elements: 10_000_000,
            ..Parts::default()
        },
        |code| {
            code.nop();
        },
    ));
    all.push(b"\0asm".to_vec());
    all
}

fn outcome(bytes: &[u8]) -> Outcome {
    let job = Job::new(bytes).with(|workload| {
        workload.limits.fuel = Fuel(20_000_000);
        workload.limits.output_bytes = 1 << 20;
    });
    let run = job.run();
    assert!(job.run() == run);
    run.outcome
}

#[test]
fn the_class_gives_what_it_always_gave() {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0;
    for (instruction, operands, result) in instructions() {
        let outcome = outcome(&numeric(&instruction, &operands, result));
        assert_eq!(outcome.exit, Exit::Code { code: 0 }, "{instruction:?}");
        assert_ne!(outcome.stdout, BlobId::of(&[]));
        hasher.update(&encode(&outcome));
        count += 1;
    }
    for (n, bytes) in misbehaving().iter().enumerate() {
        let outcome = outcome(bytes);
        assert_ne!(outcome.exit, Exit::Code { code: 0 }, "number {n}");
        hasher.update(&encode(&outcome));
        count += 1;
    }
    assert!(count >= 200, "{count} modules");
    assert_eq!(
        hasher.finalize().to_hex().as_str(),
        FROZEN,
        "over {count} modules"
    );
}
