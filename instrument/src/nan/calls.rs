//! Functions that only this module's direct calls reach: what flows into their parameters and out of their results is known
//! from the module's text.

use wasmparser::{ExternalKind, FuncType};

use super::facts::{Facts, Float};
use super::graph::{FloatNode, Graph};
use crate::module::{ParsedModule, index};

/// Parameters and results of all such functions that are followed; functions past it count as reached from elsewhere.
const FOLLOWED: usize = 1 << 20;

/// Nodes of a function's parameters and results; what holds no floats has the raw one.
#[derive(Debug, Clone)]
pub(crate) struct CallNodes {
    pub(crate) parameters: Vec<FloatNode>,
    pub(crate) results: Vec<FloatNode>,
}

/// By function that the module defines: its signature, if only direct calls reach it.
#[derive(Debug)]
pub(crate) struct Calls {
    closed: Vec<Option<CallNodes>>,
    imported: u32,
}

/// Floats of the types, in order.
pub(crate) fn floats(types: &[wasmparser::ValType]) -> Vec<Option<Float>> {
    types.iter().map(|kind| Float::of(*kind)).collect()
}

impl Calls {
    /// Finds them, and adds their nodes.
    pub(crate) fn new(module: &ParsedModule<'_>, graph: &mut Graph) -> Self {
        let open = reached_from_elsewhere(module);
        let mut left = FOLLOWED;
        let closed = module
            .bodies
            .iter()
            .zip(open)
            .map(|(body, open)| {
                let kind = &module.types[index(body.type_index)];
                let size = kind.params().len() + kind.results().len();
                if open || size > left {
                    return None;
                }
                left -= size;
                Some(signature(kind, graph))
            })
            .collect();
        Self {
            closed,
            imported: module.imported_functions,
        }
    }

    /// The signature of a function, by its index in the module; nothing if anybody may call it.
    pub(crate) fn closed(&self, function: u32) -> Option<&CallNodes> {
        let at = function.checked_sub(self.imported)?;
        self.closed.get(index(at))?.as_ref()
    }

    /// The signature of a function, by its place among those that the module defines.
    pub(crate) fn closed_body(&self, at: usize) -> Option<&CallNodes> {
        self.closed[at].as_ref()
    }
}

fn signature(kind: &FuncType, graph: &mut Graph) -> CallNodes {
    let mut join = |float: Option<Float>| {
        float.map_or(FloatNode::RAW, |float| graph.join(float, Facts::ANY, None))
    };
    let parameters = floats(kind.params()).into_iter().map(&mut join).collect();
    let results: Vec<FloatNode> = floats(kind.results()).into_iter().map(&mut join).collect();
    // Of several results only the last is the topmost operand after a call.
    for node in results.iter().rev().skip(1).filter(|node| !node.is_fixed()) {
        graph.must_be_bits(*node);
    }
    CallNodes {
        parameters,
        results,
    }
}

/// By function that the module defines: whether more than direct calls may reach it.
fn reached_from_elsewhere(module: &ParsedModule<'_>) -> Vec<bool> {
    let mut open = vec![false; module.bodies.len()];
    let mut reach = |function: u32| {
        let at = function.checked_sub(module.imported_functions).map(index);
        if let Some(open) = at.and_then(|at| open.get_mut(at)) {
            *open = true;
        }
    };
    for export in &module.exports {
        if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
            reach(export.index);
        }
    }
    module.start.into_iter().for_each(&mut reach);
    module.referenced.iter().copied().for_each(&mut reach);
    open
}
