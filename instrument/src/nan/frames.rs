//! The blocks around an operator, and which locals a loop assigns.

use std::collections::BTreeMap;

use wasmparser::Operator;

use super::budget::{Budget, TooMuch};
use super::facts::Float;
use super::graph::Operand;
use super::labels::Label;
use super::locals::Locals;
use crate::module::{PlacedOperator, index};

/// What opened a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// The function itself, or `block`.
    Block,
    /// `loop`.
    Loop,
    /// `if`, with or without `else`.
    If,
}

/// A block that control is in.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    pub(crate) kind: BlockKind,
    /// Operands below it.
    pub(crate) height: usize,
    /// Operands that a branch to its label brings.
    pub(crate) arity: usize,
    /// Loops around its content.
    pub(crate) loops: u16,
    pub(crate) label: Label,
    /// Of a condition whose second arm has not begun: its parameters and the locals before it.
    pub(crate) entry: Option<(Vec<Operand>, Locals)>,
}

impl OpenBlock {
    /// The function's own; branches to it leave the function.
    pub(crate) fn function(results: usize) -> Self {
        Self {
            kind: BlockKind::Block,
            height: 0,
            arity: results,
            loops: 0,
            label: Label::unused(),
            entry: None,
        }
    }
}

/// A local with floats, by its number among those, and its type.
pub(crate) type TrackedLocal = (usize, Float);

/// By loop, the locals with floats that it assigns, ascending.
#[derive(Debug, Default)]
pub(crate) struct AssignedLocals {
    by_loop: BTreeMap<usize, Vec<TrackedLocal>>,
}

impl AssignedLocals {
    /// Looks for them in a function's text.
    pub(crate) fn find(
        operators: &[PlacedOperator<'_>],
        tracked: &[Option<TrackedLocal>],
        budget: &mut Budget,
    ) -> Result<Self, TooMuch> {
        let mut found = Self::default();
        // For each block that is open: where its loop begins, if it is one, and what was assigned since.
        let mut open: Vec<(Option<usize>, Vec<TrackedLocal>)> = Vec::new();
        for (at, placed) in operators.iter().enumerate() {
            match placed.operator {
                Operator::Loop { .. } => open.push((Some(at), Vec::new())),
                Operator::Block { .. } | Operator::If { .. } => open.push((None, Vec::new())),
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    let local = tracked[index(local_index)];
                    if let (Some((_, inner)), Some(local)) = (open.last_mut(), local) {
                        inner.push(local);
                    }
                }
                Operator::End => {
                    let Some((start, mut inner)) = open.pop() else {
                        break;
                    };
                    budget.spend(inner.len() + 1)?;
                    inner.sort_unstable_by_key(|(local, _)| *local);
                    inner.dedup_by_key(|(local, _)| *local);
                    if let Some((_, outer)) = open.last_mut() {
                        outer.extend_from_slice(&inner);
                    }
                    if let Some(start) = start {
                        found.by_loop.insert(start, inner);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Those of the loop whose operator is at this place.
    pub(crate) fn of_loop(&self, at: usize) -> &[TrackedLocal] {
        self.by_loop.get(&at).map_or(&[], Vec::as_slice)
    }
}
