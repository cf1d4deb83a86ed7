//! Statements of functions drawn at random: code that leaves nothing on the stack.

use wasm_encoder::ValType::{self, F32, F64, I32, I64};
use wasm_encoder::{BlockType, Instruction as I};

use crate::body::Body;

impl Body<'_> {
    /// Code that leaves nothing.
    pub fn statement(&mut self, depth: usize) {
        if self.budget == 0 {
            return;
        }
        let kind = self.float();
        match self.random.below(if depth == 0 { 10 } else { 16 }) {
            0..4 => {
                self.expression(kind, depth);
                let local = self.local(kind);
                self.emit([I::LocalSet(local)]);
            }
            4..6 => self.store(kind, depth),
            6 => {
                self.expression(kind, depth);
                let global = self.global(kind);
                self.emit([I::GlobalSet(global)]);
            }
            7 => {
                self.expression(kind, depth);
                self.emit([I::Drop]);
            }
            8 => self.branch(depth),
            9 => {
                self.call(depth);
            }
            10 | 11 => self.condition_statement(depth),
            12 | 13 => self.counted_loop(depth),
            14 => self.switch(depth),
            _ => self.block_statement(depth),
        }
    }

    fn store(&mut self, kind: ValType, depth: usize) {
        let address = self.address();
        let place = i32::try_from(self.random.below(16) * 16).unwrap();
        self.emit([I::I32Const(place)]);
        self.expression(kind, depth);
        let by_lane = self.random.in_hundred(33);
        self.emit([match kind {
            I32 => I::I32Store(address),
            I64 => I::I64Store(address),
            F32 => I::F32Store(address),
            F64 => I::F64Store(address),
            _ if by_lane => I::V128Store64Lane {
                memarg: address,
                lane: 1,
            },
            _ => I::V128Store(address),
        }]);
    }

    /// Leaves to a label, or from the function, if a condition holds.
    fn branch(&mut self, depth: usize) {
        self.condition();
        self.emit([I::If(BlockType::Empty)]);
        self.labels.push(Vec::new());
        if self.random.in_hundred(20) {
            for kind in self.results.clone() {
                self.expression(kind, depth.saturating_sub(1));
            }
            self.emit([I::Return]);
        } else {
            let outwards = self.random.below(self.labels.len());
            let brought = self.labels[self.labels.len() - 1 - outwards].clone();
            for kind in brought {
                self.expression(kind, depth.saturating_sub(1));
            }
            self.emit([I::Br(u32::try_from(outwards).unwrap())]);
        }
        if self.random.in_hundred(20) {
            // No control reaches it.
            self.statement(0);
        }
        self.labels.pop();
        self.emit([I::End]);
    }

    fn condition_statement(&mut self, depth: usize) {
        self.condition();
        self.emit([I::If(BlockType::Empty)]);
        self.labels.push(Vec::new());
        self.statement(depth - 1);
        if self.random.in_hundred(60) {
            self.emit([I::Else]);
            self.statement(depth - 1);
        }
        self.labels.pop();
        self.emit([I::End]);
    }

    fn counted_loop(&mut self, depth: usize) {
        let counter = self.fresh(I32);
        self.counters.push(counter);
        let times = 1 + i32::try_from(self.random.below(4)).unwrap();
        self.emit([
            I::I32Const(times),
            I::LocalSet(counter),
            I::Block(BlockType::Empty),
            I::Loop(BlockType::Empty),
        ]);
        self.burn();
        self.emit([
            I::LocalGet(counter),
            I::I32Eqz,
            I::BrIf(1),
            I::LocalGet(counter),
            I::I32Const(1),
            I::I32Sub,
            I::LocalSet(counter),
        ]);
        self.labels.push(Vec::new());
        self.labels.push(Vec::new());
        for _ in 0..=self.random.below(4) {
            self.statement(depth - 1);
        }
        self.emit([I::Br(0), I::End, I::End]);
        self.labels.truncate(self.labels.len() - 2);
    }

    /// A branch table over three blocks.
    fn switch(&mut self, depth: usize) {
        self.emit([const { I::Block(BlockType::Empty) }; 3]);
        self.labels.extend([const { Vec::new() }; 3]);
        self.statement(depth - 1);
        self.condition();
        self.emit([I::BrTable(vec![0, 1].into(), 2), I::End]);
        for _ in 0..2 {
            self.labels.pop();
            self.statement(depth - 1);
            self.emit([I::End]);
        }
        self.labels.pop();
    }

    /// A block that gives values, by its end or by a branch.
    fn block_statement(&mut self, depth: usize) {
        let mut results = vec![self.float()];
        if self.shared.several {
            results.push(self.float());
        }
        let block = self.block_type(&[], &results);
        self.emit([I::Block(block)]);
        self.labels.push(results.clone());
        for _ in 0..2 {
            self.statement(depth - 1);
            for kind in results.clone() {
                self.expression(kind, depth - 1);
            }
            self.condition();
            self.emit([I::BrIf(0)]);
            for _ in 0..results.len() {
                self.emit([I::Drop]);
            }
        }
        for kind in results.clone() {
            self.expression(kind, depth - 1);
        }
        self.labels.pop();
        self.emit([I::End]);
        for kind in results.iter().rev() {
            let local = self.local(*kind);
            self.emit([I::LocalSet(local)]);
        }
    }
}
