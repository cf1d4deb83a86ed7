//! Function bodies drawn at random: valid ones, that end.

use wasm_encoder::ValType::{self, F32, F64, I32, I64, V128};
use wasm_encoder::{BlockType, Ieee32, Ieee64, Instruction as I, MemArg};

use crate::operations;
use crate::random::Random;

pub const TYPES: [ValType; 5] = [I32, I64, F32, F64, V128];
/// Types drawn where floats are wanted.
const FLOATS: [ValType; 6] = [F64, F32, V128, F64, F32, I32];
/// Global that counts what is left to run.
pub const FUEL: u32 = 0;
/// For each type of [`TYPES`], the globals `1 + 2 * n` and the one after it.
const FIRST_GLOBAL: u32 = 1;

/// Parameters and results.
pub type Signature = (Vec<ValType>, Vec<ValType>);

/// What the functions of a module share.
pub struct Shared {
    /// By function, the imported ones first, its signature.
    pub functions: Vec<Signature>,
    /// By slot of the table, the function there.
    pub table: Vec<u32>,
    /// Whether blocks may take or give several values.
    pub several: bool,
    /// All function types; those of blocks are added.
    pub types: Vec<Signature>,
}

impl Shared {
    pub fn type_of(&mut self, signature: &Signature) -> u32 {
        let found = self.types.iter().position(|there| there == signature);
        let at = found.unwrap_or_else(|| {
            self.types.push(signature.clone());
            self.types.len() - 1
        });
        u32::try_from(at).unwrap()
    }
}

/// A body on its way.
pub struct Body<'m> {
    pub random: &'m mut Random,
    pub shared: &'m mut Shared,
    pub locals: Vec<ValType>,
    /// Locals that count loops: nothing else writes them.
    pub counters: Vec<u32>,
    pub results: Vec<ValType>,
    /// What a branch to each label brings, the innermost last.
    pub labels: Vec<Vec<ValType>>,
    pub code: Vec<I<'static>>,
    /// Instructions left to draw.
    pub budget: usize,
}

/// Draws the body of a function; its locals and its code.
pub fn draw(
    signature: &Signature,
    random: &mut Random,
    shared: &mut Shared,
) -> (Vec<ValType>, Vec<I<'static>>) {
    let mut locals = signature.0.clone();
    for _ in 0..3 + random.below(8) {
        locals.push(*random.pick(&FLOATS));
    }
    let budget = 20 + random.below(150);
    let mut body = Body {
        random,
        shared,
        locals,
        counters: Vec::new(),
        results: signature.1.clone(),
        labels: vec![signature.1.clone()],
        code: Vec::new(),
        budget,
    };
    body.burn();
    if body.random.in_hundred(2) {
        body.costly();
    }
    while body.budget > 0 {
        body.statement(3);
    }
    for kind in signature.1.clone() {
        body.expression(kind, 2);
    }
    body.code.push(I::End);
    let parameters = signature.0.len();
    (body.locals.split_off(parameters), body.code)
}

impl Body<'_> {
    pub fn emit(&mut self, instructions: impl IntoIterator<Item = I<'static>>) {
        let before = self.code.len();
        self.code.extend(instructions);
        self.budget = self.budget.saturating_sub(self.code.len() - before);
    }

    /// Ends the run when it has cost too much.
    pub fn burn(&mut self) {
        self.code.extend([
            I::GlobalGet(FUEL),
            I::I32Const(1),
            I::I32Sub,
            I::GlobalSet(FUEL),
            I::GlobalGet(FUEL),
            I::I32Eqz,
            I::If(BlockType::Empty),
            I::Unreachable,
            I::End,
        ]);
    }

    /// Text that costs so much to follow that the function is made canonical operator by operator.
    fn costly(&mut self) {
        const LOOPS: usize = 40;
        let locals: Vec<u32> = (0..100).map(|_| self.fresh(F64)).collect();
        self.code
            .extend([const { I::Loop(BlockType::Empty) }; LOOPS]);
        for pair in locals.windows(2) {
            self.code.extend([
                I::LocalGet(pair[0]),
                I::LocalGet(pair[1]),
                I::F64Add,
                I::LocalSet(pair[1]),
            ]);
        }
        self.code.extend([const { I::End }; LOOPS]);
    }

    pub fn constant(&mut self, kind: ValType) -> I<'static> {
        match kind {
            I32 => I::I32Const(self.random.narrow().cast_signed()),
            I64 => I::I64Const(self.random.wide().cast_signed()),
            F32 => I::F32Const(Ieee32::new(self.random.narrow())),
            F64 => I::F64Const(Ieee64::new(self.random.wide())),
            _ => I::V128Const(self.random.vector().cast_signed()),
        }
    }

    /// A local of the type, made if there is none.
    pub fn local(&mut self, kind: ValType) -> u32 {
        let found: Vec<u32> = (0u32..)
            .zip(&self.locals)
            .filter(|(local, there)| **there == kind && !self.counters.contains(local))
            .map(|(local, _)| local)
            .collect();
        if found.is_empty() {
            return self.fresh(kind);
        }
        *self.random.pick(&found)
    }

    pub fn fresh(&mut self, kind: ValType) -> u32 {
        self.locals.push(kind);
        u32::try_from(self.locals.len() - 1).unwrap()
    }

    pub fn global(&mut self, kind: ValType) -> u32 {
        let place = TYPES.iter().position(|there| *there == kind).unwrap();
        let second = self.random.below(2);
        FIRST_GLOBAL + u32::try_from(2 * place + second).unwrap()
    }

    pub fn address(&mut self) -> MemArg {
        MemArg {
            offset: self.random.below(12) as u64 * 4,
            align: 0,
            memory_index: 0,
        }
    }

    pub fn block_type(&mut self, parameters: &[ValType], results: &[ValType]) -> BlockType {
        match (parameters, results) {
            ([], []) => BlockType::Empty,
            ([], [one]) => BlockType::Result(*one),
            _ => {
                let signature = (parameters.to_vec(), results.to_vec());
                BlockType::FunctionType(self.shared.type_of(&signature))
            }
        }
    }

    pub fn float(&mut self) -> ValType {
        *self.random.pick(&FLOATS)
    }

    pub fn condition(&mut self) {
        self.expression(I32, 1);
    }

    fn leaf(&mut self, kind: ValType) {
        match self.random.below(4) {
            0 => {
                let constant = self.constant(kind);
                self.emit([constant]);
            }
            1 => {
                let global = self.global(kind);
                self.emit([I::GlobalGet(global)]);
            }
            _ => {
                let local = self.local(kind);
                self.emit([I::LocalGet(local)]);
            }
        }
    }

    /// Code that leaves a value of the type.
    pub fn expression(&mut self, kind: ValType, depth: usize) {
        if depth == 0 || self.budget == 0 {
            return self.leaf(kind);
        }
        match self.random.below(20) {
            0 => self.load(kind),
            1 => {
                self.expression(kind, depth - 1);
                let local = self.local(kind);
                self.emit([I::LocalTee(local)]);
            }
            2 | 3 => {
                self.expression(kind, depth - 1);
                self.expression(kind, depth - 1);
                self.condition();
                self.emit([I::TypedSelect(kind)]);
            }
            4 => self.block(kind, depth),
            5 => self.choice(kind, depth),
            6 => self.loop_with_parameters(kind, depth),
            7 => self.call_for(kind, depth),
            8 => self.leaf(kind),
            _ => {
                let (operator, operands) = operations::any(kind, self.random);
                for operand in operands {
                    self.expression(operand, depth - 1);
                }
                self.emit([operator]);
            }
        }
    }

    fn load(&mut self, kind: ValType) {
        let address = self.address();
        let place = i32::try_from(self.random.below(16) * 16).unwrap();
        let load = match kind {
            I32 => I::I32Load(address),
            I64 => I::I64Load(address),
            F32 => I::F32Load(address),
            F64 => I::F64Load(address),
            _ => match self.random.below(3) {
                0 => I::V128Load(address),
                1 => I::V128Load32Splat(address),
                _ => I::V128Load64Zero(address),
            },
        };
        self.emit([I::I32Const(place), load]);
    }

    /// A block with a value, and branches to its end from within.
    fn block(&mut self, kind: ValType, depth: usize) {
        let block = self.block_type(&[], &[kind]);
        self.emit([I::Block(block)]);
        self.labels.push(vec![kind]);
        self.statement(depth - 1);
        self.expression(kind, depth - 1);
        if self.random.in_hundred(60) {
            self.condition();
            self.emit([I::BrIf(0)]);
            if self.random.in_hundred(50) {
                self.emit([I::Drop]);
                self.expression(kind, depth - 1);
            }
        }
        self.labels.pop();
        self.emit([I::End]);
    }

    fn choice(&mut self, kind: ValType, depth: usize) {
        self.condition();
        let block = self.block_type(&[], &[kind]);
        self.emit([I::If(block)]);
        self.labels.push(vec![kind]);
        self.expression(kind, depth - 1);
        self.emit([I::Else]);
        self.expression(kind, depth - 1);
        self.labels.pop();
        self.emit([I::End]);
    }

    /// A loop that carries one value or two on the stack from run to run, of which the last has the type.
    fn loop_with_parameters(&mut self, kind: ValType, depth: usize) {
        let counter = self.fresh(I32);
        self.counters.push(counter);
        let times = 1 + i32::try_from(self.random.below(4)).unwrap();
        let mut carried = vec![kind];
        if self.shared.several && self.random.in_hundred(40) {
            carried.insert(0, self.float());
        }
        self.emit([I::I32Const(times), I::LocalSet(counter)]);
        for kind in carried.clone() {
            self.expression(kind, depth - 1);
        }
        let block = self.block_type(&carried, &carried);
        self.emit([I::Loop(block)]);
        self.labels.push(carried.clone());
        self.burn();
        self.operate(kind, depth);
        if carried.len() == 2 {
            let kept = self.fresh(kind);
            self.emit([I::LocalSet(kept)]);
            self.operate(carried[0], depth);
            self.emit([I::LocalGet(kept)]);
        }
        self.labels.pop();
        self.emit([
            I::LocalGet(counter),
            I::I32Const(1),
            I::I32Sub,
            I::LocalTee(counter),
            I::BrIf(0),
            I::End,
        ]);
        if carried.len() == 2 {
            let kept = self.local(kind);
            self.emit([I::LocalSet(kept)]);
            let first = self.local(carried[0]);
            self.emit([I::LocalSet(first), I::LocalGet(kept)]);
        }
    }

    /// An operator on the value that is there.
    fn operate(&mut self, kind: ValType, depth: usize) {
        let (operator, operands) = operations::step(kind, self.random);
        for operand in &operands[1..] {
            self.expression(*operand, depth - 1);
        }
        self.emit([operator]);
    }

    /// Calls a function, directly or by the table; its results go to locals.
    pub fn call(&mut self, depth: usize) -> Vec<ValType> {
        let by_table = !self.shared.table.is_empty() && self.random.in_hundred(30);
        let slot = self.random.below(self.shared.table.len().max(1));
        let function = if by_table {
            self.shared.table[slot]
        } else {
            u32::try_from(self.random.below(self.shared.functions.len())).unwrap()
        };
        let signature = self.shared.functions[usize::try_from(function).unwrap()].clone();
        for kind in &signature.0 {
            self.expression(*kind, depth.saturating_sub(1));
        }
        if by_table {
            let type_index = self.shared.type_of(&signature);
            let slot = i32::try_from(slot).unwrap();
            self.emit([
                I::I32Const(slot),
                I::CallIndirect {
                    type_index,
                    table_index: 0,
                },
            ]);
        } else {
            self.emit([I::Call(function)]);
        }
        for kind in signature.1.iter().rev() {
            let local = self.local(*kind);
            self.emit([I::LocalSet(local)]);
        }
        signature.1
    }

    fn call_for(&mut self, kind: ValType, depth: usize) {
        let results = self.call(depth);
        if results.len() == 1 && results[0] == kind {
            // The result is used where it is pushed.
            self.code.pop();
        } else {
            self.leaf(kind);
        }
    }
}
