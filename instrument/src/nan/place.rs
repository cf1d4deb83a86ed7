//! Where values are made canonical, so that no use of a float can tell the lazy run from the eager one.
//!
//! First without anything made canonical: each use that could tell demands a remedy. Then everything is solved anew with the
//! remedies in place, from nothing kept; what that solution does not show to be the same is made canonical at its use.

use super::facts::{Float, Lanes};
use super::graph::{Choice, EdgesBy, FloatNode, Graph, NodeOrigin, Operand, Site, Solution, meets};

/// What is made canonical at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One `f32`.
    F32,
    /// One `f64`.
    F64,
    /// Four `f32`.
    F32x4,
    /// Two `f64`.
    F64x2,
}

impl Shape {
    pub(crate) fn new(float: Float, lanes: Lanes) -> Self {
        match (float, lanes) {
            (Float::V128, Lanes::F32) => Self::F32x4,
            (Float::V128, Lanes::F64) => Self::F64x2,
            (Float::F32 | Float::F64, Lanes::F32) => Self::F32,
            (Float::F32 | Float::F64, Lanes::F64) => Self::F64,
        }
    }
}

/// Places of a module where the topmost operand is made canonical.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Ascending, each place once.
    pub(crate) sites: Vec<(Site, Shape)>,
    /// Edges looked at to find them.
    pub(crate) work: usize,
}

/// A use that nothing makes the same: a fault of this program, never of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uncured;

/// Finds the places.
pub(crate) fn places(graph: &Graph) -> Result<Places, Uncured> {
    let first = graph.solve(&graph.nothing());
    let mut remedies = Remedies::new(graph, &first);
    remedies.find();
    let choice = remedies.choice;
    let second = graph.solve(&choice);
    let mut found = Places {
        sites: Vec::new(),
        work: first.work + second.work,
    };
    if graph.unmet(&second).next().is_some() {
        return Err(Uncured);
    }
    for node in graph.nodes().filter(|node| choice.has(*node)) {
        if let NodeOrigin::Arithmetic { lanes, site, .. } = graph.origin(node) {
            found
                .sites
                .push((site, Shape::new(graph.float(node), lanes)));
        }
    }
    for (edge, _) in graph
        .edges()
        .iter()
        .zip(&choice.edges)
        .filter(|(_, chosen)| **chosen)
    {
        // Also where the second solution has equal bits: it may owe them to this very edge.
        found.sites.push(cured(graph, &second, edge.from)?);
    }
    for use_of in graph.observations() {
        if !meets(second.of(use_of.operand.node), use_of.need) {
            found.sites.push(cured(graph, &second, use_of.operand)?);
        }
    }
    found.sites.sort_unstable();
    found.sites.dedup_by_key(|(site, _)| *site);
    Ok(found)
}

/// The value made canonical at its place.
fn cured(graph: &Graph, solution: &Solution, operand: Operand) -> Result<(Site, Shape), Uncured> {
    match solution.of(operand.node).curable() {
        Some(lanes) if operand.site != Site::NOWHERE => {
            Ok((operand.site, Shape::new(graph.float(operand.node), lanes)))
        }
        _ => Err(Uncured),
    }
}

struct Remedies<'g> {
    graph: &'g Graph,
    known: &'g Solution,
    sources: EdgesBy,
    choice: Choice,
    /// By node: all that flows there is the same.
    demanded: Vec<bool>,
}

impl<'g> Remedies<'g> {
    fn new(graph: &'g Graph, known: &'g Solution) -> Self {
        Self {
            graph,
            known,
            sources: graph.edges_by(|edge| edge.to),
            choice: graph.nothing(),
            demanded: vec![false; graph.nodes().len()],
        }
    }

    fn find(&mut self) {
        let unmet: Vec<FloatNode> = self.graph.unmet(self.known).collect();
        for node in unmet {
            self.demand(node);
        }
        let mut seen = vec![false; self.graph.nodes().len()];
        for use_of in self.graph.observations() {
            let operand = use_of.operand;
            let known = self.known.of(operand.node);
            if meets(known, use_of.need) {
                continue;
            }
            if known.curable().is_none() || operand.site == Site::NOWHERE {
                self.demand(operand.node);
                continue;
            }
            let again = std::mem::replace(&mut seen[operand.node.at()], true);
            if self.arises_no_dearer(operand, again) {
                self.choice.take(operand.node);
            }
        }
    }

    /// Whether the operand is an arithmetic value that costs no more to make canonical where it arises than at its place,
    /// where it is to be made so; `again` if it is at another one too.
    fn arises_no_dearer(&self, operand: Operand, again: bool) -> bool {
        let NodeOrigin::Arithmetic { site, depth, .. } = self.graph.origin(operand.node) else {
            return false;
        };
        site == operand.site || depth < operand.depth || depth == operand.depth && again
    }

    /// All arithmetic values that reach the node are made canonical: on their way to a join if they can be seen there,
    /// else where they arise. What is the same already stays as it is.
    fn demand(&mut self, node: FloatNode) {
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if self.known.of(node).are_bits()
                || std::mem::replace(&mut self.demanded[node.at()], true)
            {
                continue;
            }
            if matches!(self.graph.origin(node), NodeOrigin::Arithmetic { .. }) {
                self.choice.take(node);
                continue;
            }
            for number in self.sources.of(node) {
                let edge = self.graph.edges()[number];
                let given = self.known.of(edge.from.node);
                if given.are_bits() {
                    continue;
                }
                let here = edge.from.site != Site::NOWHERE && given.curable().is_some();
                if here && !self.arises_no_dearer(edge.from, false) {
                    self.choice.edges[number] = true;
                } else {
                    waiting.push(edge.from.node);
                }
            }
        }
    }
}
