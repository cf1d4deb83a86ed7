//! Which value each local holds, at one place of a function. Copies share what they have in common, and comparing two
//! skips it: a branch costs what changed since the one before it, not the number of locals.

use std::rc::Rc;

use super::budget::{Budget, TooMuch};
use super::graph::FloatNode;

/// Locals that are copied together.
const CHUNK: usize = 32;

type Chunk = [FloatNode; CHUNK];

/// The values of all locals that hold floats, which are counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Locals {
    chunks: Rc<Vec<Rc<Chunk>>>,
}

impl Locals {
    /// `values`, by local.
    pub(crate) fn new(values: &[FloatNode]) -> Self {
        let chunks = values
            .chunks(CHUNK)
            .map(|part| {
                let mut chunk = [FloatNode::RAW; CHUNK];
                chunk[..part.len()].copy_from_slice(part);
                Rc::new(chunk)
            })
            .collect();
        Self {
            chunks: Rc::new(chunks),
        }
    }

    pub(crate) fn get(&self, local: usize) -> FloatNode {
        self.chunks[local / CHUNK][local % CHUNK]
    }

    pub(crate) fn set(
        &mut self,
        local: usize,
        value: FloatNode,
        budget: &mut Budget,
    ) -> Result<(), TooMuch> {
        if self.get(local) == value {
            return budget.spend(1);
        }
        let shared = Rc::strong_count(&self.chunks) > 1;
        budget.spend(if shared { self.chunks.len() } else { 1 })?;
        let chunk = &mut Rc::make_mut(&mut self.chunks)[local / CHUNK];
        if Rc::strong_count(chunk) > 1 {
            // A copy of consecutive words: cheaper than as many comparisons.
            budget.spend(CHUNK / 8)?;
        }
        Rc::make_mut(chunk)[local % CHUNK] = value;
        Ok(())
    }

    /// The locals whose values differ, ascending, with their values in `self`.
    pub(crate) fn differences(
        &self,
        other: &Self,
        budget: &mut Budget,
    ) -> Result<Vec<(usize, FloatNode)>, TooMuch> {
        let mut found = Vec::new();
        if Rc::ptr_eq(&self.chunks, &other.chunks) {
            budget.spend(1)?;
            return Ok(found);
        }
        budget.spend(self.chunks.len())?;
        for (at, (mine, theirs)) in self.chunks.iter().zip(other.chunks.iter()).enumerate() {
            if Rc::ptr_eq(mine, theirs) {
                continue;
            }
            budget.spend(CHUNK / 8)?;
            let pairs = mine.iter().zip(theirs.iter()).enumerate();
            found.extend(
                pairs
                    .filter(|(_, (mine, theirs))| mine != theirs)
                    .map(|(within, (mine, _))| (at * CHUNK + within, *mine)),
            );
        }
        budget.spend(found.len())?;
        Ok(found)
    }
}
