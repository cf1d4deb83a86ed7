//! The code that metering inserts.

use wasm_encoder::{BlockType, Instruction, ValType};

use super::part::Keeping;
use super::{CounterGlobals, STOCK};
use crate::stack::StackCheck;

/// Instructions of one insertion.
pub(super) type Code = Vec<Instruction<'static>>;

/// Types of the scratch locals, in the order of [`Scratch`].
pub(super) const SCRATCH: [ValType; 3] = [ValType::I64, ValType::I64, ValType::I32];

/// The scratch locals of one function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scratch {
    /// 64 bits: the fuel that is left, or the stock of it.
    pub(super) fuel: u32,
    /// 64 bits: the slots that were left after the entry.
    pub(super) stack: u32,
    /// 32 bits: an operand that a price or a branch depends on.
    pub(super) operand: u32,
}

/// Writes code for one function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coder {
    pub(super) counters: CounterGlobals,
    pub(super) scratch: Scratch,
}

/// Ends the run if the 64 bits on the stack are negative.
const END_IF_NEGATIVE: [Instruction<'static>; 5] = [
    Instruction::I64Const(0),
    Instruction::I64LtS,
    Instruction::If(BlockType::Empty),
    Instruction::Unreachable,
    Instruction::End,
];

pub(super) fn units(cost: u64) -> Instruction<'static> {
    Instruction::I64Const(i64::try_from(cost).unwrap_or(i64::MAX))
}

impl Coder {
    fn counter(&self) -> Instruction<'static> {
        Instruction::GlobalGet(self.counters.fuel)
    }

    fn set_counter(&self) -> Instruction<'static> {
        Instruction::GlobalSet(self.counters.fuel)
    }

    fn local(&self) -> Instruction<'static> {
        Instruction::LocalGet(self.scratch.fuel)
    }

    /// Lowers the counter by what `amount` leaves on the stack.
    pub(super) fn lower(&self, keeping: Keeping, amount: &[Instruction<'static>]) -> Code {
        let mut code = vec![match keeping {
            Keeping::Global => self.counter(),
            Keeping::Both | Keeping::Stock => self.local(),
        }];
        code.extend_from_slice(amount);
        code.extend([
            Instruction::I64Sub,
            Instruction::LocalTee(self.scratch.fuel),
        ]);
        code.push(match keeping {
            Keeping::Global | Keeping::Both => self.set_counter(),
            Keeping::Stock => Instruction::Drop,
        });
        code
    }

    /// Compares the counter after [`Self::lower`] and ends the run if it is below zero.
    pub(super) fn compare(&self, keeping: Keeping) -> Code {
        let mut code = vec![self.local()];
        if keeping == Keeping::Stock {
            code.extend([
                Instruction::I64Const(0),
                Instruction::I64LtS,
                Instruction::If(BlockType::Empty),
            ]);
            code.extend(self.give_back());
            code.push(self.local());
            code.extend(END_IF_NEGATIVE);
            code.extend(self.take_stock());
            code.push(Instruction::End);
        } else {
            code.extend(END_IF_NEGATIVE);
        }
        code
    }

    /// Reads the counter into its local.
    pub(super) fn read(&self) -> Code {
        vec![self.counter(), Instruction::LocalSet(self.scratch.fuel)]
    }

    /// Takes a stock, or all that is left if that is less.
    pub(super) fn take_stock(&self) -> Code {
        vec![
            self.counter(),
            units(STOCK),
            self.counter(),
            units(STOCK),
            Instruction::I64LtS,
            Instruction::Select,
            Instruction::LocalSet(self.scratch.fuel),
            self.counter(),
            self.local(),
            Instruction::I64Sub,
            self.set_counter(),
        ]
    }

    /// Gives back what is left of the stock; counter and local are equal then.
    pub(super) fn give_back(&self) -> Code {
        vec![
            self.counter(),
            self.local(),
            Instruction::I64Add,
            Instruction::LocalTee(self.scratch.fuel),
            self.set_counter(),
        ]
    }

    /// Gives the stock back if the branch that follows is taken.
    pub(super) fn give_back_if(&self) -> Code {
        let mut code = vec![
            Instruction::LocalTee(self.scratch.operand),
            Instruction::If(BlockType::Empty),
        ];
        code.extend(self.give_back());
        code.extend([
            Instruction::End,
            Instruction::LocalGet(self.scratch.operand),
        ]);
        code
    }

    /// The function's entry: its first region, its slots of the stack, and one comparison for both.
    pub(super) fn enter(&self, cost: u64, check: Option<StackCheck>, keeping: Keeping) -> Code {
        let mut code = Vec::new();
        if cost > 0 {
            code = self.lower(Keeping::Global, &[units(cost)]);
        } else if keeping == Keeping::Both {
            code = self.read();
        }
        if let Some(check) = check {
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
            code.push(self.local());
        }
        if cost > 0 && check.is_some() {
            code.push(Instruction::I64Or);
        }
        if cost > 0 || check.is_some() {
            code.extend(END_IF_NEGATIVE);
        }
        code.extend(check.map(|check| Instruction::Block(check.block)));
        code
    }

    /// Before an operator that costs `price` for each of what its topmost operand counts.
    pub(super) fn charge_operand(&self, price: i64, keeping: Keeping) -> Code {
        let operand = self.scratch.operand;
        let amount = [
            Instruction::LocalGet(operand),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(price),
            Instruction::I64Mul,
        ];
        let mut code = vec![Instruction::LocalSet(operand)];
        code.extend(self.lower(keeping, &amount));
        code.extend(self.compare(keeping));
        code.push(Instruction::LocalGet(operand));
        code
    }
}
