//! Canonical NaNs where a program can see them: outcomes as if every operator that may choose a NaN's bits gave the canonical
//! NaN, without a check after each.
//!
//! The module's floats are followed through operands, locals, labels and the calls that only the module makes
//! (`docs/spec/executor.md` has the rules). A value whose bits nothing but arithmetic made stays as it is until its bits are
//! looked at; there, or where it meets values whose bits must stay, it is made canonical. Work is counted in steps, which are
//! linear in the text: a function that costs more is made canonical operator by operator.

mod budget;
mod calls;
mod code;
mod effect;
mod facts;
mod frames;
mod graph;
mod labels;
mod locals;
mod place;
mod walk;

use std::ops::Range;

use crate::insertion::{FunctionInsertions, Insertion};
use crate::module::{OperatorIndex, ParsedBody, ParsedModule, PlacedOperator, index};
use budget::Budget;
use calls::Calls;
use code::NanScratch;
use effect::Gives;
use graph::{Graph, Site};
use place::{Places, Shape};
use walk::{Unfollowed, Walk};
use wasmparser::Operator;

/// Where the functions of a module make NaNs canonical.
#[derive(Debug)]
pub struct CanonicalNans {
    /// Ascending.
    sites: Vec<(Site, Shape)>,
    /// By function that the module defines: number of the operator that it begins with.
    starts: Vec<u32>,
    work: NanWork,
}

/// What it cost to find the places, for tests and measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NanWork {
    /// Steps, which do not depend on the machine.
    pub steps: u64,
    /// Functions that are made canonical operator by operator, because following their floats costs too much.
    pub eager: usize,
}

/// Why no places were found. It is a fault of this program and says nothing about the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NanError {
    /// An operator that passed validation and whose effect on floats is not in the table.
    #[error("operator {operator} of function {function} has no known effect on floats")]
    Unknown {
        /// Place of the function among those that the module defines.
        function: usize,
        /// Index of the operator.
        operator: usize,
    },
}

/// How much of a module is left as it is until its bits are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonical {
    /// All that can be.
    WhereSeen,
    /// Nothing: what others must equal.
    WhereMade,
}

/// Finds the places of a module where NaNs are made canonical.
pub fn canonicalise(
    module: &ParsedModule<'_>,
    canonical: Canonical,
) -> Result<CanonicalNans, NanError> {
    let starts = starts(module);
    let lazy = match canonical {
        Canonical::WhereSeen => follow(module, &starts)?,
        Canonical::WhereMade => None,
    };
    let all = 0..module.bodies.len();
    let (mut sites, eager, work) = lazy.map_or_else(
        || {
            let (steps, eager) = (0, all.len());
            (Vec::new(), all.collect(), NanWork { steps, eager })
        },
        |followed| (followed.places.sites, followed.eager, followed.work),
    );
    for at in eager {
        each_operator(&module.bodies[at].operators(), starts[at], &mut sites);
    }
    sites.sort_unstable();
    Ok(CanonicalNans {
        sites,
        starts,
        work,
    })
}

impl CanonicalNans {
    /// What is inserted into a function, by its place among those that the module defines.
    #[must_use]
    pub fn insertions(&self, module: &ParsedModule<'_>, at: usize) -> FunctionInsertions {
        let start = self.starts[at];
        let own = u32::try_from(module.bodies[at].locals.len()).unwrap_or(u32::MAX);
        let mut scratch = NanScratch::new(own);
        let insertions = self.sites[self.range(at)]
            .iter()
            .map(|(site, shape)| Insertion {
                // What runs after an operator is inserted before the next.
                before: OperatorIndex(index(site.0 - start) + 1),
                code: code::canonical(*shape, &mut scratch),
            })
            .collect();
        FunctionInsertions {
            locals: scratch.into_kinds(),
            insertions,
        }
    }

    /// Numbers of places in a function for single floats and for vectors, by its place among those that the module defines.
    pub(crate) fn places_by_width(&self, at: usize) -> (usize, usize) {
        let all = &self.sites[self.range(at)];
        let is_single = |(_, shape): &&(Site, Shape)| matches!(shape, Shape::F32 | Shape::F64);
        let single = all.iter().filter(is_single).count();
        (single, all.len() - single)
    }

    /// Number of places in a function, by its place among those that the module defines.
    #[must_use]
    pub fn places(&self, at: usize) -> usize {
        self.range(at).len()
    }

    /// What it cost to find them.
    #[must_use]
    pub fn work(&self) -> NanWork {
        self.work
    }

    fn range(&self, at: usize) -> Range<usize> {
        let from = |start: u32| self.sites.partition_point(|(site, _)| site.0 < start);
        let end = self
            .starts
            .get(at + 1)
            .map_or(self.sites.len(), |next| from(*next));
        from(self.starts[at])..end
    }
}

/// By function, the number of operators before it. A module has fewer bytes than a site can count.
fn starts(module: &ParsedModule<'_>) -> Vec<u32> {
    let mut next = 0u32;
    let count = |body: &ParsedBody<'_>| {
        let start = next;
        let operators = u32::try_from(body.operators).unwrap_or(u32::MAX);
        next = next.saturating_add(operators);
        start
    };
    module.bodies.iter().map(count).collect()
}

struct Followed {
    places: Places,
    /// Functions whose text costs too much to follow.
    eager: Vec<usize>,
    work: NanWork,
}

/// Follows all functions; nothing if a use is found that no place serves.
fn follow(module: &ParsedModule<'_>, starts: &[u32]) -> Result<Option<Followed>, NanError> {
    let mut graph = Graph::new();
    let calls = Calls::new(module, &mut graph);
    let mut eager = Vec::new();
    let mut steps = 0u64;
    for (at, start) in starts.iter().enumerate() {
        let operators = module.bodies[at].operators();
        let before = graph.mark();
        let mut budget = Budget::new(operators.len(), module.bodies[at].locals.len(), &graph);
        let walk = Walk::new(module, &calls, &mut graph, &mut budget, (at, *start));
        match walk.run(&operators) {
            Ok(()) => {}
            Err(Unfollowed::TooMuch) => {
                graph.return_to(before);
                close(&operators, at, &calls, &mut graph);
                eager.push(at);
            }
            Err(Unfollowed::Unknown(operator)) => {
                return Err(NanError::Unknown {
                    function: at,
                    operator,
                });
            }
        }
        steps = steps.saturating_add(budget.spent());
    }
    let found = place::places(&graph);
    debug_assert!(found.is_ok(), "a use that no place serves");
    let Ok(places) = found else {
        return Ok(None);
    };
    let solved = u64::try_from(places.work).unwrap_or(u64::MAX);
    let work = NanWork {
        steps: steps.saturating_add(solved),
        eager: eager.len(),
    };
    Ok(Some(Followed {
        places,
        eager,
        work,
    }))
}

/// A function that is made canonical operator by operator takes and gives the eager values, which are raw ones to others.
fn close(operators: &[PlacedOperator<'_>], at: usize, calls: &Calls, graph: &mut Graph) {
    if let Some(own) = calls.closed_body(at) {
        for parameter in own.parameters.iter().filter(|node| !node.is_fixed()) {
            graph.must_be_bits(*parameter);
        }
        for result in own.results.iter().filter(|node| !node.is_fixed()) {
            graph.becomes_raw(*result);
        }
    }
    let mut called: Vec<u32> = operators
        .iter()
        .filter_map(|placed| match placed.operator {
            Operator::Call { function_index } => Some(function_index),
            _ => None,
        })
        .collect();
    called.sort_unstable();
    called.dedup();
    for closed in called
        .into_iter()
        .filter_map(|function| calls.closed(function))
    {
        for parameter in closed.parameters.iter().filter(|node| !node.is_fixed()) {
            graph.also_raw(*parameter);
        }
    }
}

/// A place after each operator that may choose a NaN's bits, reached or not.
fn each_operator(operators: &[PlacedOperator<'_>], start: u32, sites: &mut Vec<(Site, Shape)>) {
    for (at, placed) in (start..).zip(operators) {
        if let Some(effect) = effect::of(&placed.operator)
            && let Gives::Arithmetic(float, lanes) = effect.gives
        {
            sites.push((Site(at), Shape::new(float, lanes)));
        }
    }
}
