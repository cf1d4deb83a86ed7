//! Where control meets: what flows to a label, as operands and in locals.

use std::collections::BTreeMap;

use super::budget::{Budget, TooMuch};
use super::facts::{Facts, Float};
use super::graph::{FloatNode, Graph, Operand};
use super::locals::Locals;

/// A label: the values that branches bring along, and the locals as they are behind it.
#[derive(Debug)]
pub(crate) struct Label {
    /// One for each value that a branch brings.
    operands: Vec<FloatNode>,
    locals: Option<Meeting>,
}

#[derive(Debug)]
struct Meeting {
    /// The locals behind the label, as far as its branches are known.
    met: Locals,
    /// The locals of the latest branch: what is the same since then needs no new edge.
    latest: Locals,
    /// The locals whose values differ between branches, with the values that join them.
    joins: BTreeMap<usize, FloatNode>,
}

/// A place where values of a type meet; nothing is to be known of what holds no floats.
fn meeting_of(kind: Option<Float>, graph: &mut Graph) -> FloatNode {
    kind.map_or(FloatNode::RAW, |float| graph.join(float, Facts::ANY, None))
}

/// Nodes for values of these types. Of several only the last is the topmost operand where they arise, so that the
/// others' bits must be the eager ones before.
pub(crate) fn meetings(kinds: &[Option<Float>], graph: &mut Graph) -> Vec<FloatNode> {
    let nodes: Vec<FloatNode> = kinds.iter().map(|kind| meeting_of(*kind, graph)).collect();
    for node in nodes.iter().rev().skip(1).filter(|node| !node.is_fixed()) {
        graph.must_be_bits(*node);
    }
    nodes
}

impl Label {
    /// The label of a block's end, which nothing has reached.
    pub(crate) fn forward(kinds: &[Option<Float>], graph: &mut Graph) -> Self {
        Self {
            operands: meetings(kinds, graph),
            locals: None,
        }
    }

    /// A label that nothing branches to.
    pub(crate) fn unused() -> Self {
        Self {
            operands: Vec::new(),
            locals: None,
        }
    }

    /// The label of a loop's head, whose operands are `nodes`, reached from above with these operands and locals, of which
    /// those `assigned` are so in the loop. Locals become what they are at the head.
    pub(crate) fn head(
        nodes: Vec<FloatNode>,
        operands: &[Operand],
        locals: &mut Locals,
        assigned: &[(usize, Float)],
        graph: &mut Graph,
        budget: &mut Budget,
    ) -> Result<Self, TooMuch> {
        for (node, operand) in nodes.iter().zip(operands) {
            graph.flow(*operand, *node);
        }
        let above = locals.clone();
        let mut joins = BTreeMap::new();
        for (local, float) in assigned {
            let join = graph.join(*float, Facts::ANY, None);
            graph.flow(Operand::nowhere(locals.get(*local)), join);
            locals.set(*local, join, budget)?;
            joins.insert(*local, join);
        }
        Ok(Self {
            operands: nodes,
            locals: Some(Meeting {
                met: locals.clone(),
                latest: above,
                joins,
            }),
        })
    }

    /// A branch to it with these operands and locals.
    pub(crate) fn reach(
        &mut self,
        operands: &[Operand],
        locals: &Locals,
        kind: impl Fn(usize) -> Float,
        graph: &mut Graph,
        budget: &mut Budget,
    ) -> Result<(), TooMuch> {
        budget.spend(operands.len())?;
        for (node, operand) in self.operands.iter().zip(operands) {
            graph.flow(*operand, *node);
        }
        let Some(meeting) = &mut self.locals else {
            self.locals = Some(Meeting {
                met: locals.clone(),
                latest: locals.clone(),
                joins: BTreeMap::new(),
            });
            return Ok(());
        };
        for (local, value) in locals.differences(&meeting.latest, budget)? {
            let join = if let Some(join) = meeting.joins.get(&local) {
                *join
            } else {
                // Every branch until now brought the same value.
                let join = graph.join(kind(local), Facts::ANY, None);
                graph.flow(Operand::nowhere(meeting.met.get(local)), join);
                meeting.met.set(local, join, budget)?;
                meeting.joins.insert(local, join);
                join
            };
            graph.flow(Operand::nowhere(value), join);
        }
        meeting.latest = locals.clone();
        budget.check(graph)
    }

    /// The nodes of its operands and its locals; nothing if no branch reaches it.
    pub(crate) fn end(self) -> Option<(Vec<FloatNode>, Locals)> {
        let meeting = self.locals?;
        Some((self.operands, meeting.met))
    }
}
