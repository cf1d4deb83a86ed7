//! A module that counts each operator when it runs: slow, and right by inspection.

use wasm_encoder::{Instruction, ValType};

use crate::emit::{AddedGlobal, Changes, emit};
use crate::insertion::{FunctionInsertions, Insertion};
use crate::meter::price;
use crate::module::{OperatorIndex, ParsedBody};
use crate::{FUEL_EXPORT, START_EXPORT, accept, nan, narrow};

/// Counts the fuel down before each operator, below zero if need be.
pub(super) fn counting(bytes: &[u8]) -> Vec<u8> {
    let (module, _) = accept::accept(bytes).unwrap();
    let counter = narrow(module.globals.len());
    let changes = Changes {
        types: vec![],
        globals: vec![AddedGlobal {
            name: FUEL_EXPORT,
            value: 0,
        }],
        start: START_EXPORT,
    };
    let nans = nan::canonicalise(&module, nan::Canonical::WhereSeen).unwrap();
    emit(&module, &changes, |at| {
        let body = &module.bodies[at];
        let nan = nans.insertions(&module, at);
        let operand = narrow(body.locals.len() + nan.locals.len());
        vec![counted(body, counter, operand), nan]
    })
    .unwrap()
}

fn counted(body: &ParsedBody<'_>, counter: u32, operand: u32) -> FunctionInsertions {
    let mut insertions = Vec::new();
    for (at, placed) in body.operators().iter().enumerate() {
        let constant = price::constant(&placed.operator);
        let mut code = vec![
            Instruction::GlobalGet(counter),
            Instruction::I64Const(i64::try_from(constant).unwrap()),
            Instruction::I64Sub,
            Instruction::GlobalSet(counter),
        ];
        if let Some(price) = price::per_operand(&placed.operator) {
            code.extend([
                Instruction::LocalTee(operand),
                Instruction::GlobalGet(counter),
                Instruction::LocalGet(operand),
                Instruction::I64ExtendI32U,
                Instruction::I64Const(price),
                Instruction::I64Mul,
                Instruction::I64Sub,
                Instruction::GlobalSet(counter),
            ]);
        }
        if constant > 0 {
            let before = OperatorIndex(at);
            insertions.push(Insertion { before, code });
        }
    }
    FunctionInsertions {
        locals: vec![ValType::I32],
        insertions,
    }
}
