//! Follows the floats of one function through its operators, into the graph.
//!
//! It goes through the text once. Locals have values of their own between assignments (as in static single assignment), and
//! joins of values stand where control meets. Text that no control reaches is skipped.

use wasmparser::{BlockType, Operator};

use super::budget::{Budget, TooMuch};
use super::calls::{Calls, floats};
use super::effect::{self, Effect, Gives, Use};
use super::facts::{Facts, Float};
use super::frames::{AssignedLocals, BlockKind, OpenBlock};
use super::graph::{FloatNode, Graph, Need, Operand, Site};
use super::labels::{Label, meetings};
use super::locals::Locals;
use crate::module::{ParsedBody, ParsedModule, PlacedOperator, index};

/// Why a function was not followed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfollowed {
    /// It costs more than its text allows.
    TooMuch,
    /// An operator, by its index, whose effect is not known.
    Unknown(usize),
}

impl From<TooMuch> for Unfollowed {
    fn from(_: TooMuch) -> Self {
        Self::TooMuch
    }
}

/// A function on its way into the graph.
pub(crate) struct Walk<'w, 'a> {
    module: &'w ParsedModule<'a>,
    calls: &'w Calls,
    graph: &'w mut Graph,
    budget: &'w mut Budget,
    /// Place of the function among those that the module defines.
    body: usize,
    /// For each local, its number among those that hold floats, and its type.
    tracked: Vec<Option<(usize, Float)>>,
    floats: Vec<Float>,
    assigned: AssignedLocals,
    /// Operators of the functions before this one.
    base: u32,
    stack: Vec<Operand>,
    locals: Locals,
    frames: Vec<OpenBlock>,
    /// Whether control reaches the present operator.
    live: bool,
    /// Blocks that were opened since it does not.
    skipped: u32,
}

/// By parameter and by result of a block, what floats it holds.
type BlockFloats = (Vec<Option<Float>>, Vec<Option<Float>>);

impl<'w, 'a> Walk<'w, 'a> {
    /// At the beginning of a function, by its place among those that the module defines. `base` is the number of
    /// operators before it.
    pub(crate) fn new(
        module: &'w ParsedModule<'a>,
        calls: &'w Calls,
        graph: &'w mut Graph,
        budget: &'w mut Budget,
        (body, base): (usize, u32),
    ) -> Self {
        let text: &ParsedBody<'_> = &module.bodies[body];
        let mut values = Vec::new();
        let mut kinds = Vec::new();
        let mut tracked = Vec::with_capacity(text.locals.len());
        for (local, kind) in text.locals.iter().enumerate() {
            let float = Float::of(*kind);
            tracked.push(float.map(|float| (values.len(), float)));
            if let Some(float) = float {
                kinds.push(float);
                values.push(match calls.closed_body(body) {
                    _ if local >= text.parameters => FloatNode::ANY,
                    Some(closed) => closed.parameters[local],
                    None => FloatNode::RAW,
                });
            }
        }
        Self {
            module,
            calls,
            graph,
            budget,
            body,
            tracked,
            floats: kinds,
            assigned: AssignedLocals::default(),
            base,
            stack: Vec::new(),
            locals: Locals::new(&values),
            frames: Vec::new(),
            live: true,
            skipped: 0,
        }
    }

    /// Follows all operators.
    pub(crate) fn run(mut self, operators: &[PlacedOperator<'_>]) -> Result<(), Unfollowed> {
        let kind = &self.module.types[index(self.module.bodies[self.body].type_index)];
        let results = kind.results().len();
        self.assigned = AssignedLocals::find(operators, &self.tracked, self.budget)?;
        self.frames.push(OpenBlock::function(results));
        for (at, placed) in operators.iter().enumerate() {
            self.budget.spend(1)?;
            if !self.step(at, &placed.operator)? {
                return Err(Unfollowed::Unknown(at));
            }
            self.budget.check(self.graph)?;
        }
        Ok(())
    }

    fn site(&self, at: usize) -> Site {
        let within = u32::try_from(at).unwrap_or(u32::MAX);
        Site(self.base.saturating_add(within))
    }

    /// Follows one operator; false if its effect is not known.
    fn step(&mut self, at: usize, operator: &Operator<'_>) -> Result<bool, TooMuch> {
        if !self.live {
            self.skip(at, operator)?;
            return Ok(true);
        }
        match operator {
            Operator::Block { blockty } => self.enter(BlockKind::Block, *blockty)?,
            Operator::Loop { blockty } => self.enter_loop(at, *blockty)?,
            Operator::If { blockty } => {
                self.pop();
                self.enter(BlockKind::If, *blockty)?;
            }
            Operator::Else => self.turn()?,
            Operator::End => self.end(at)?,
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth)?;
                self.live = false;
            }
            Operator::BrIf { relative_depth } => {
                self.pop();
                self.branch(*relative_depth)?;
            }
            Operator::BrTable { targets } => self.branch_table(targets)?,
            Operator::Return => {
                self.leave()?;
                self.live = false;
            }
            Operator::Unreachable => self.live = false,
            Operator::Call { function_index } => self.call(at, *function_index)?,
            Operator::CallIndirect { type_index, .. } => {
                self.pop();
                let module = self.module;
                let kind = &module.types[index(*type_index)];
                self.open_call(kind.params().len(), kind.results().len())?;
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => self.select(at),
            Operator::LocalGet { local_index } => {
                let node = match self.tracked[index(*local_index)] {
                    Some((local, _)) => self.locals.get(local),
                    None => FloatNode::RAW,
                };
                self.push(node, at);
            }
            Operator::LocalSet { local_index } => {
                let operand = self.pop();
                self.assign(*local_index, operand)?;
            }
            Operator::LocalTee { local_index } => {
                let operand = self.pop();
                self.assign(*local_index, operand)?;
                self.push(operand.node, at);
            }
            _ => match effect::of(operator) {
                Some(effect) => self.apply(at, effect),
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// An operator that no control reaches; behind the end of a block it may again.
    fn skip(&mut self, at: usize, operator: &Operator<'_>) -> Result<(), TooMuch> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.skipped += 1;
            }
            Operator::Else if self.skipped == 0 => self.turn()?,
            Operator::End if self.skipped == 0 => self.end(at)?,
            Operator::End => self.skipped -= 1,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, node: FloatNode, at: usize) {
        let (site, depth) = (self.site(at), self.depth());
        self.stack.push(Operand { node, site, depth });
    }

    /// Values that arise at the same place. Only the last is the topmost operand there: the others are at no place where they
    /// could be made canonical.
    fn push_all(&mut self, nodes: &[FloatNode], at: usize) {
        let Some((last, under)) = nodes.split_last() else {
            return;
        };
        let under = under.iter().map(|node| Operand::nowhere(*node));
        self.stack.extend(under);
        self.push(*last, at);
    }

    fn pop(&mut self) -> Operand {
        self.stack.pop().unwrap_or(Operand::nowhere(FloatNode::RAW))
    }

    fn top(&self, count: usize) -> Vec<Operand> {
        self.stack[self.stack.len().saturating_sub(count)..].to_vec()
    }

    /// Number of loops around the present operator.
    fn depth(&self) -> u16 {
        self.frames.last().map_or(0, |frame| frame.loops)
    }

    fn assign(&mut self, local: u32, operand: Operand) -> Result<(), TooMuch> {
        match self.tracked[index(local)] {
            Some((local, _)) => self.locals.set(local, operand.node, self.budget),
            None => Ok(()),
        }
    }

    fn apply(&mut self, at: usize, effect: Effect) {
        let start = self.stack.len().saturating_sub(effect.operands.len());
        let operands = self.stack.split_off(start);
        for (operand, how) in operands.iter().zip(effect.operands) {
            if let Use::Needs(need) = how {
                self.graph.observe(*operand, *need);
            }
        }
        let passed = operands
            .iter()
            .zip(effect.operands)
            .filter(|(_, how)| **how == Use::Passes)
            .map(|(operand, _)| *operand);
        let node = match effect.gives {
            Gives::Nothing => return,
            Gives::Fixed(node) => node,
            Gives::Arithmetic(float, lanes) => {
                let (site, depth) = (self.site(at), self.depth());
                self.graph.arithmetic(float, lanes, site, depth)
            }
            Gives::Passed(float, facts, reads) => {
                let passed: Vec<_> = passed.collect();
                if passed.iter().all(|operand| operand.node == FloatNode::RAW) {
                    FloatNode::RAW
                } else {
                    let join = self.graph.join(float, facts, reads);
                    for operand in passed {
                        self.graph.flow(operand, join);
                    }
                    join
                }
            }
        };
        self.push(node, at);
    }

    fn select(&mut self, at: usize) {
        self.pop();
        let (second, first) = (self.pop(), self.pop());
        let node = if first.node == second.node {
            first.node
        } else if first.node.is_fixed() && second.node.is_fixed() {
            FloatNode::RAW
        } else {
            let known = if first.node.is_fixed() { second } else { first };
            let float = self.graph.float(known.node);
            let join = self.graph.join(float, Facts::ANY, None);
            for operand in [first, second] {
                self.graph.flow(operand, join);
            }
            join
        };
        self.push(node, at);
    }

    fn call(&mut self, at: usize, function: u32) -> Result<(), TooMuch> {
        let Some(closed) = self.calls.closed(function) else {
            let module = self.module;
            let kind = module.function_type(function);
            return self.open_call(kind.params().len(), kind.results().len());
        };
        self.budget
            .spend(closed.parameters.len() + closed.results.len())?;
        let start = self.stack.len().saturating_sub(closed.parameters.len());
        let arguments = self.stack.split_off(start);
        for (argument, parameter) in arguments.iter().zip(&closed.parameters) {
            self.graph.flow(*argument, *parameter);
        }
        self.push_all(&closed.results, at);
        self.budget.check(self.graph)
    }

    /// A call of which nobody knows where it leads.
    fn open_call(&mut self, parameters: usize, results: usize) -> Result<(), TooMuch> {
        self.budget.spend(parameters + results)?;
        for _ in 0..parameters {
            let argument = self.pop();
            self.graph.observe(argument, Need::Bits);
        }
        let raw = Operand::nowhere(FloatNode::RAW);
        self.stack.resize(self.stack.len() + results, raw);
        self.budget.check(self.graph)
    }

    /// Leaves the function with the topmost operands.
    fn leave(&mut self) -> Result<(), TooMuch> {
        let kind = &self.module.types[index(self.module.bodies[self.body].type_index)];
        let results = self.top(kind.results().len());
        self.budget.spend(results.len())?;
        match self.calls.closed_body(self.body) {
            Some(closed) => {
                for (result, node) in results.iter().zip(&closed.results) {
                    self.graph.flow(*result, *node);
                }
            }
            None => {
                for result in results {
                    self.graph.observe(result, Need::Bits);
                }
            }
        }
        self.budget.check(self.graph)
    }

    /// Types of a block's parameters and results.
    fn block_types(&mut self, kind: BlockType) -> Result<BlockFloats, TooMuch> {
        Ok(match kind {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(result) => (Vec::new(), vec![Float::of(result)]),
            BlockType::FuncType(number) => {
                let kind = &self.module.types[index(number)];
                self.budget
                    .spend(kind.params().len() + kind.results().len())?;
                (floats(kind.params()), floats(kind.results()))
            }
        })
    }

    fn enter(&mut self, kind: BlockKind, block: BlockType) -> Result<(), TooMuch> {
        let (parameters, results) = self.block_types(block)?;
        let entry = (kind == BlockKind::If).then(|| {
            let operands = self.top(parameters.len());
            (operands, self.locals.clone())
        });
        self.frames.push(OpenBlock {
            kind,
            height: self.stack.len().saturating_sub(parameters.len()),
            arity: results.len(),
            loops: self.depth(),
            label: Label::forward(&results, self.graph),
            entry,
        });
        self.budget.check(self.graph)
    }

    fn enter_loop(&mut self, at: usize, block: BlockType) -> Result<(), TooMuch> {
        let (parameters, _) = self.block_types(block)?;
        let height = self.stack.len().saturating_sub(parameters.len());
        let operands = self.stack.split_off(height);
        let assigned = self.assigned.of_loop(at);
        self.budget.spend(assigned.len())?;
        let nodes = meetings(&parameters, self.graph);
        let label = Label::head(
            nodes.clone(),
            &operands,
            &mut self.locals,
            assigned,
            self.graph,
            self.budget,
        )?;
        self.push_all(&nodes, at);
        self.frames.push(OpenBlock {
            kind: BlockKind::Loop,
            height,
            arity: parameters.len(),
            loops: self.depth().saturating_add(1),
            label,
            entry: None,
        });
        self.budget.check(self.graph)
    }

    /// From a condition's first arm to its second.
    fn turn(&mut self) -> Result<(), TooMuch> {
        if self.live {
            self.branch(0)?;
        }
        if let Some(frame) = self.frames.last_mut() {
            self.stack.truncate(frame.height);
            if let Some((operands, locals)) = frame.entry.take() {
                self.stack.extend(operands);
                self.locals = locals;
            }
            self.live = true;
        }
        Ok(())
    }

    fn end(&mut self, at: usize) -> Result<(), TooMuch> {
        let kind = self.frames.last().map(|frame| frame.kind);
        if kind == Some(BlockKind::Loop) {
            self.frames.pop();
            return Ok(());
        }
        if self.live {
            self.branch(0)?;
        }
        let Some(mut frame) = self.frames.pop() else {
            return Ok(());
        };
        if let Some((operands, locals)) = frame.entry.take() {
            // No second arm: what came in goes out.
            let floats = &self.floats;
            let kind = |local: usize| floats[local];
            frame
                .label
                .reach(&operands, &locals, kind, self.graph, self.budget)?;
        }
        self.stack.truncate(frame.height);
        self.live = false;
        if let Some((nodes, locals)) = frame.label.end() {
            self.live = true;
            self.locals = locals;
            self.push_all(&nodes, at);
        }
        Ok(())
    }

    fn branch(&mut self, depth: u32) -> Result<(), TooMuch> {
        let Some(target) = self.frames.len().checked_sub(index(depth) + 1) else {
            return Ok(());
        };
        if target == 0 {
            return self.leave();
        }
        let start = self.stack.len().saturating_sub(self.frames[target].arity);
        let floats = &self.floats;
        self.frames[target].label.reach(
            &self.stack[start..],
            &self.locals,
            |local| floats[local],
            self.graph,
            self.budget,
        )
    }

    fn branch_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Result<(), TooMuch> {
        self.pop();
        let mut depths = vec![targets.default()];
        for depth in targets.targets() {
            self.budget.spend(1)?;
            // The table was validated.
            depths.extend(depth.ok());
        }
        depths.sort_unstable();
        depths.dedup();
        for depth in depths {
            self.branch(depth)?;
        }
        self.live = false;
        Ok(())
    }
}
