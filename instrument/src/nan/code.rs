//! The code that makes the topmost operand canonical: one branch, which nothing but a NaN takes.

use wasm_encoder::{BlockType, Ieee32, Ieee64, Instruction, ValType};

use super::place::Shape;

/// Bits of the canonical NaN of 32 bits.
const NAN_32: u32 = 0x7fc0_0000;
/// Bits of the canonical NaN of 64 bits.
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// NanScratch locals of one function, one for each type that is needed.
#[derive(Debug)]
pub(crate) struct NanScratch {
    first: u32,
    kinds: Vec<ValType>,
}

impl NanScratch {
    /// None yet; the first will have this index.
    pub(crate) fn new(first: u32) -> Self {
        Self {
            first,
            kinds: Vec::new(),
        }
    }

    /// Index of the one of a type.
    fn of(&mut self, kind: ValType) -> u32 {
        let found = (self.first..)
            .zip(&self.kinds)
            .find(|(_, there)| **there == kind)
            .map(|(local, _)| local);
        found.unwrap_or_else(|| {
            let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
            self.kinds.push(kind);
            self.first.saturating_add(next)
        })
    }

    /// Their types in order.
    pub(crate) fn into_kinds(self) -> Vec<ValType> {
        self.kinds
    }
}

/// Makes the topmost operand canonical.
pub(crate) fn canonical(shape: Shape, scratch: &mut NanScratch) -> Vec<Instruction<'static>> {
    match shape {
        Shape::F32 => one(
            scratch.of(ValType::F32),
            Instruction::F32Ge,
            Instruction::F32Const(Ieee32::new(NAN_32)),
        ),
        Shape::F64 => one(
            scratch.of(ValType::F64),
            Instruction::F64Ge,
            Instruction::F64Const(Ieee64::new(NAN_64)),
        ),
        Shape::F32x4 => {
            let lane = u128::from(NAN_32);
            let nan = lane << 96 | lane << 64 | lane << 32 | lane;
            by_lanes(scratch.of(ValType::V128), Instruction::F32x4Ne, nan)
        }
        Shape::F64x2 => {
            let lane = u128::from(NAN_64);
            let nan = lane << 64 | lane;
            by_lanes(scratch.of(ValType::V128), Instruction::F64x2Ne, nan)
        }
    }
}

/// A number is at least itself, which takes a processor one branch to tell; that it differs from itself takes some two.
fn one(
    local: u32,
    is_number: Instruction<'static>,
    nan: Instruction<'static>,
) -> Vec<Instruction<'static>> {
    vec![
        Instruction::LocalTee(local),
        Instruction::LocalGet(local),
        is_number,
        Instruction::If(BlockType::Empty),
        Instruction::Else,
        nan,
        Instruction::LocalSet(local),
        Instruction::End,
        Instruction::LocalGet(local),
    ]
}

fn by_lanes(local: u32, differ: Instruction<'static>, nan: u128) -> Vec<Instruction<'static>> {
    let nan = i128::from_le_bytes(nan.to_le_bytes());
    vec![
        Instruction::LocalTee(local),
        Instruction::LocalGet(local),
        differ.clone(),
        Instruction::V128AnyTrue,
        Instruction::If(BlockType::Empty),
        Instruction::V128Const(nan),
        Instruction::LocalGet(local),
        Instruction::LocalGet(local),
        Instruction::LocalGet(local),
        differ,
        Instruction::V128Bitselect,
        Instruction::LocalSet(local),
        Instruction::End,
        Instruction::LocalGet(local),
    ]
}
