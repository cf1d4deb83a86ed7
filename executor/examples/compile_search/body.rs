//! A function's text, drawn by a genome: statements that leave the operand stack as they found it, in blocks.

use types::testing::Random;
use wasm_encoder::ValType::{self, F32, F64, I32, I64, V128};
use wasm_encoder::{BlockType, Function, MemArg};

use crate::genome::{Genome, KINDS};
use crate::operators::OPERATORS;

/// The types of values, in the order of a genome's lists.
pub const TYPES: [ValType; 5] = [I32, I64, F32, F64, V128];

/// What a module has that bodies refer to.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// The first of the functions that are drawn.
    pub first_function: u32,
    /// Globals of each type in turn; at least five.
    pub globals: u32,
    /// Imported functions, which take four numbers.
    pub imports: u32,
}

/// Type of the drawn functions.
pub const FUNCTION_TYPE: u32 = 1;
/// Type of the blocks that carry values.
pub const BLOCK_TYPE: u32 = 2;

const WORD: MemArg = MemArg {
    offset: 0,
    align: 0,
    memory_index: 0,
};

struct Frame {
    /// Values that wait in the block for its end.
    held: u32,
    /// Values that its end leaves.
    leaves: u32,
    is_loop: bool,
}

/// Draws bodies.
pub struct Drawing<'a> {
    genome: &'a Genome,
    around: Surroundings,
    random: &'a mut Random,
    /// First local of each type and how many there are.
    locals: [Vec<(u32, u32)>; 5],
    declared: Vec<(u32, ValType)>,
}

impl<'a> Drawing<'a> {
    pub fn new(genome: &'a Genome, around: Surroundings, random: &'a mut Random) -> Self {
        let mut locals: [Vec<(u32, u32)>; 5] = Default::default();
        let mut next = 0;
        let mut declared = Vec::new();
        for (list, is_parameter) in [(&genome.parameters, true), (&genome.locals, false)] {
            for (at, kind) in TYPES.into_iter().enumerate() {
                let count = u32::from(list[at]);
                if count > 0 {
                    locals[at].push((next, count));
                    next += count;
                }
                if !is_parameter && count > 0 {
                    declared.push((count, kind));
                }
            }
        }
        Self {
            genome,
            around,
            random,
            locals,
            declared,
        }
    }

    /// A body of about so many bytes.
    pub fn body(&mut self, bytes: usize) -> Function {
        let mut function = Function::new(self.declared.iter().copied());
        let mut frames = vec![Frame {
            held: 0,
            leaves: 0,
            is_loop: false,
        }];
        while function.byte_len() < bytes {
            self.statement(&mut function, &mut frames);
            if frames.len() > 1 && self.random.below(u64::from(self.genome.block) + 1) == 0 {
                Self::close(&mut function, &mut frames);
            }
        }
        while frames.len() > 1 {
            Self::close(&mut function, &mut frames);
        }
        for _ in 0..frames[0].held {
            function.instructions().drop();
        }
        self.results(&mut function);
        function.instructions().end();
        function
    }

    fn results(&mut self, code: &mut Function) {
        for _ in 0..self.genome.results {
            code.instructions().i32_const(0);
        }
    }

    fn close(code: &mut Function, frames: &mut Vec<Frame>) {
        let frame = frames.pop().expect("the function's own is not closed");
        for _ in 0..frame.held {
            code.instructions().drop();
        }
        for _ in 0..frame.leaves {
            code.instructions().i32_const(1);
        }
        code.instructions().end();
        for _ in 0..frame.leaves {
            code.instructions().drop();
        }
    }

    fn open(&mut self, code: &mut Function, frames: &mut Vec<Frame>, kind: usize) {
        if frames.len() > usize::from(self.genome.nesting) {
            return;
        }
        let carried = u32::from(self.genome.carried);
        let (has_values, is_loop) = (kind == 17 || kind == 22, kind == 6 || kind == 22);
        let block = if has_values {
            for _ in 0..carried {
                self.expression(code, 0, 1);
            }
            BlockType::FunctionType(BLOCK_TYPE)
        } else {
            BlockType::Empty
        };
        match kind {
            4 => {
                self.expression(code, 0, self.genome.depth);
                code.instructions().if_(block)
            }
            _ if is_loop => code.instructions().loop_(block),
            _ => code.instructions().block(block),
        };
        if has_values {
            for _ in 0..carried {
                code.instructions().drop();
            }
        }
        frames.push(Frame {
            held: 0,
            leaves: if has_values { carried } else { 0 },
            is_loop,
        });
    }

    /// Depth of a label that carries nothing.
    fn label(&mut self, frames: &[Frame]) -> Option<u32> {
        let depth = self.random.index(frames.len());
        let frame = &frames[frames.len() - 1 - depth];
        let is_own = depth + 1 == frames.len();
        let fits = frame.leaves == 0 && !(is_own && self.genome.results > 0);
        // An endless loop is never run.
        (fits || (frame.is_loop && frame.leaves == 0)).then(|| u32::try_from(depth).unwrap_or(0))
    }

    fn statement(&mut self, code: &mut Function, frames: &mut Vec<Frame>) {
        let kind = weighted(self.random, &self.genome.weights).unwrap_or(1);
        debug_assert!(kind < KINDS);
        let depth = self.genome.depth;
        let at = weighted(self.random, &self.genome.types).unwrap_or(0);
        match kind {
            0 => {
                self.expression(code, at, depth);
                match self.local(at) {
                    Some(local) => code.instructions().local_set(local),
                    None => code.instructions().drop(),
                };
            }
            2 => {
                self.expression(code, at, depth);
                code.instructions().global_set(self.global(at));
            }
            3 => {
                self.expression(code, at, depth);
                code.instructions().drop();
            }
            4..=6 | 17 | 22 => self.open(code, frames, kind),
            7 | 8 | 16 | 19 => self.branch(code, frames, kind),
            9 | 10 | 23 => self.call(code, kind),
            11..=13 | 21 => self.bulk(code, kind),
            14 => {
                self.expression(code, at, depth);
                let frame = frames.last_mut().expect("the function's own is open");
                frame.held += 1;
            }
            15 => {
                self.expression(code, at, depth);
                self.expression(code, at, depth);
                self.expression(code, 0, depth);
                code.instructions().select().drop();
            }
            18 => {
                self.expression(code, at, depth);
                if let Some(local) = self.local(at) {
                    code.instructions().local_tee(local);
                }
                code.instructions().drop();
            }
            20 => {
                code.instructions().i32_const(16);
                self.expression(code, 4, depth);
                self.expression(code, 4, depth);
                let lanes: [u8; 16] = std::array::from_fn(|_| self.small(32));
                code.instructions().i8x16_shuffle(lanes).v128_store(WORD);
            }
            _ => self.store(code, at),
        }
    }

    fn small(&mut self, bound: u64) -> u8 {
        u8::try_from(self.random.below(bound)).unwrap_or(0)
    }

    fn store(&mut self, code: &mut Function, at: usize) {
        if self.random.chance(500) {
            code.instructions().i32_const(self.constant());
        } else {
            self.leaf(code, 0);
        }
        self.expression(code, at, self.genome.depth);
        match TYPES[at] {
            I32 => code.instructions().i32_store(WORD),
            I64 => code.instructions().i64_store(WORD),
            F32 => code.instructions().f32_store(WORD),
            F64 => code.instructions().f64_store(WORD),
            _ => code.instructions().v128_store(WORD),
        };
    }

    fn branch(&mut self, code: &mut Function, frames: &[Frame], kind: usize) {
        let Some(label) = self.label(frames) else {
            return;
        };
        match kind {
            7 => {
                self.expression(code, 0, self.genome.depth);
                code.instructions().br_if(label);
            }
            8 => {
                let count = usize::from(self.genome.targets).min(65_000);
                let mut targets = Vec::with_capacity(count);
                for _ in 0..count {
                    targets.push(self.label(frames).unwrap_or(label) + 1);
                }
                code.instructions().block(BlockType::Empty);
                self.expression(code, 0, 1);
                code.instructions().br_table(targets, label + 1).end();
            }
            16 => {
                self.expression(code, 0, 1);
                code.instructions().if_(BlockType::Empty);
                self.results(code);
                code.instructions().return_().end();
            }
            _ => {
                self.expression(code, 0, 1);
                code.instructions()
                    .if_(BlockType::Empty)
                    .br(label + 1)
                    .end();
            }
        }
    }

    fn call(&mut self, code: &mut Function, kind: usize) {
        if kind == 23 && self.around.imports > 0 {
            for _ in 0..4 {
                self.leaf(code, 0);
            }
            let imports = u64::from(self.around.imports);
            let function = u32::try_from(self.random.below(imports)).unwrap_or(0);
            code.instructions().call(function).drop();
            return;
        }
        for at in 0..TYPES.len() {
            for _ in 0..self.genome.parameters[at] {
                self.leaf(code, at);
            }
        }
        if kind == 10 {
            self.expression(code, 0, 1);
            code.instructions().call_indirect(0, FUNCTION_TYPE);
        } else {
            let among = u64::from(self.genome.functions);
            let function = u32::try_from(self.random.below(among)).unwrap_or(0);
            code.instructions()
                .call(self.around.first_function + function);
        }
        for _ in 0..self.genome.results {
            code.instructions().drop();
        }
    }

    fn bulk(&mut self, code: &mut Function, kind: usize) {
        let which = self.random.below(3);
        if kind == 12 {
            self.leaf(code, 0);
            code.instructions().memory_grow(0).drop();
            return;
        }
        if kind == 21 {
            code.instructions()
                .ref_func(self.around.first_function)
                .drop();
            return;
        }
        for _ in 0..2 {
            self.leaf(code, 0);
        }
        if kind == 11 {
            self.leaf(code, 0);
            if which == 0 {
                code.instructions().memory_copy(0, 0);
            } else {
                code.instructions().memory_fill(0);
            }
            return;
        }
        match which {
            0 => {
                self.leaf(code, 0);
                code.instructions().table_copy(0, 0);
            }
            1 => {
                code.instructions().table_get(0).table_set(0);
            }
            _ => {
                code.instructions()
                    .drop()
                    .table_get(0)
                    .i32_const(1)
                    .table_grow(0)
                    .drop();
            }
        }
    }

    fn local(&mut self, at: usize) -> Option<u32> {
        let ranges = &self.locals[at];
        let (first, count) = *ranges.get(self.random.index(ranges.len()))?;
        let by = self.random.below(u64::from(count));
        Some(first + u32::try_from(by).unwrap_or(0))
    }

    fn global(&mut self, at: usize) -> u32 {
        let of_type = u64::from(self.around.globals / 5);
        let turn = u32::try_from(self.random.below(of_type)).unwrap_or(0);
        turn * 5 + u32::try_from(at).unwrap_or(0)
    }

    fn constant(&mut self) -> i32 {
        i32::try_from(self.random.below(60_000)).unwrap_or(0)
    }

    /// A value of a type, by the palette; a leaf where it has nothing for it.
    fn expression(&mut self, code: &mut Function, at: usize, depth: u8) {
        let kind = TYPES[at];
        let fitting = |place: &&usize| OPERATORS[**place].gives == kind;
        let candidates: Vec<usize> = self
            .genome
            .palette
            .iter()
            .filter(fitting)
            .copied()
            .collect();
        if depth == 0 || candidates.is_empty() {
            return self.leaf(code, at);
        }
        let operator = &OPERATORS[candidates[self.random.index(candidates.len())]];
        for (place, takes) in operator.takes.iter().enumerate() {
            let at = TYPES.iter().position(|kind| kind == takes).unwrap_or(0);
            // One deep operand and leaves beside it, or the other way around.
            let depth = if place == 0 || self.random.chance(100) {
                depth - 1
            } else {
                0
            };
            self.expression(code, at, depth);
        }
        code.instruction(&operator.code);
    }

    fn leaf(&mut self, code: &mut Function, at: usize) {
        let which = weighted(self.random, &self.genome.leaves).unwrap_or(4);
        match (which, self.local(at)) {
            (0, Some(local)) => {
                code.instructions().local_get(local);
            }
            (2, _) => {
                code.instructions().i32_const(self.constant());
                match TYPES[at] {
                    I32 => code.instructions().i32_load(WORD),
                    I64 => code.instructions().i64_load(WORD),
                    F32 => code.instructions().f32_load(WORD),
                    F64 => code.instructions().f64_load(WORD),
                    _ => code.instructions().v128_load(WORD),
                };
            }
            (3, _) => {
                code.instructions().global_get(self.global(at));
            }
            (4, _) => Self::number(code, at, 0),
            _ => {
                let bits = self.random.next_u64();
                Self::number(code, at, bits);
            }
        }
    }

    fn number(code: &mut Function, at: usize, bits: u64) {
        match TYPES[at] {
            I32 => code.instructions().i32_const(i32::from_le_bytes(
                [0, 1, 2, 3].map(|at| bits.to_le_bytes()[at]),
            )),
            I64 => code
                .instructions()
                .i64_const(i64::from_le_bytes(bits.to_le_bytes())),
            F32 => code
                .instructions()
                .f32_const(f32::from(u16::try_from(bits >> 48).unwrap_or(0)).into()),
            F64 => code.instructions().f64_const(f64::from_bits(bits).into()),
            _ => code.instructions().v128_const(i128::from(bits) << 32),
        };
    }
}

/// A place by weights; nothing if all are zero.
fn weighted(random: &mut Random, weights: &[u8]) -> Option<usize> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = random.below(sum);
    let mut chosen = None;
    for (at, weight) in weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0)
    {
        if left < u64::from(*weight) {
            chosen = Some(at);
            break;
        }
        left -= u64::from(*weight);
    }
    chosen
}
