//! The flow of floats through a module: values, the joins where they meet, and who looks at their bits.
//!
//! Built function by function ([`super::walk`]), solved for the whole module at once. It knows nothing of operators.

use super::facts::{Facts, Float, Lanes};

/// A value of the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloatNode(u32);

/// A place after an operator where a value is the topmost operand. Operators are counted through all functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site(pub(crate) u32);

impl Site {
    /// No such place.
    pub(crate) const NOWHERE: Self = Self(u32::MAX);
}

impl FloatNode {
    /// Any value whose bits stay, and every value that is no float.
    pub(crate) const RAW: Self = Self(0);
    /// Any value that is no NaN but the canonical one.
    pub(crate) const ANY: Self = Self(1);
    /// Any vector whose lanes of `f32` are.
    pub(crate) const CANONICAL_32: Self = Self(2);
    /// Any vector whose lanes of `f64` are.
    pub(crate) const CANONICAL_64: Self = Self(3);
    const FIXED: u32 = 4;

    /// Whether it is one of the four above: its bits are known to be the same.
    pub(crate) fn is_fixed(self) -> bool {
        self.0 < Self::FIXED
    }

    /// As an index of lists by node.
    pub(crate) fn at(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeOrigin {
    /// One of the four fixed nodes.
    Fixed,
    /// An operator that may choose a NaN's bits.
    Arithmetic {
        /// Lanes that it computes.
        lanes: Lanes,
        /// The place after it.
        site: Site,
        /// Number of loops around it.
        depth: u16,
    },
    /// Values that meet or are moved, by the edges that lead here.
    Join,
}

/// What the module does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Looks at its bits.
    Bits,
    /// Computes with its lanes.
    Numbers(Lanes),
}

/// A value on its way, as an operand or in a local.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    pub(crate) node: FloatNode,
    /// The place where it was pushed, at which it is the topmost operand (or its bits must be the eager ones anyway);
    /// nowhere for one in a local.
    pub(crate) site: Site,
    /// Number of loops around that place.
    pub(crate) depth: u16,
}

impl Operand {
    /// A value that is at no place the topmost operand: in a local, or under another one where it arises.
    pub(crate) fn nowhere(node: FloatNode) -> Self {
        Self {
            node,
            site: Site::NOWHERE,
            depth: 0,
        }
    }
}

/// A use of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation {
    pub(crate) operand: Operand,
    pub(crate) need: Need,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    origin: NodeOrigin,
    float: Float,
    /// What can hold at most.
    most: Facts,
    /// Lanes that the operator itself computes with, so that it needs them to be numbers.
    reads: Option<Lanes>,
    must_be_bits: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    /// It can be made canonical at its place.
    pub(crate) from: Operand,
    pub(crate) to: FloatNode,
}

/// Sizes of a graph, to return to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    values: usize,
    edges: usize,
    observations: usize,
}

/// The graph.
#[derive(Debug)]
pub(crate) struct Graph {
    values: Vec<Value>,
    edges: Vec<Edge>,
    observations: Vec<Observation>,
}

/// What is made canonical.
#[derive(Debug)]
pub(crate) struct Choice {
    /// By node: an arithmetic value, where it arises.
    pub(crate) arithmetic: Vec<bool>,
    /// By edge: a value on its way.
    pub(crate) edges: Vec<bool>,
}

impl Graph {
    pub(crate) fn new() -> Self {
        let fixed = [
            Facts::RAW,
            Facts::ANY,
            Facts::canonical(Lanes::F32),
            Facts::canonical(Lanes::F64),
        ];
        let values = fixed.map(|most| Value {
            origin: NodeOrigin::Fixed,
            float: Float::V128,
            most,
            reads: None,
            must_be_bits: false,
        });
        Self {
            values: values.to_vec(),
            edges: Vec::new(),
            observations: Vec::new(),
        }
    }

    /// Number of its parts.
    pub(crate) fn size(&self) -> usize {
        self.values.len() + self.edges.len() + self.observations.len()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            values: self.values.len(),
            edges: self.edges.len(),
            observations: self.observations.len(),
        }
    }

    /// Forgets what was added since `mark`.
    pub(crate) fn return_to(&mut self, mark: Mark) {
        self.values.truncate(mark.values);
        self.edges.truncate(mark.edges);
        self.observations.truncate(mark.observations);
    }

    fn add(&mut self, value: Value) -> FloatNode {
        let node = FloatNode(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        self.values.push(value);
        node
    }

    /// The result of an operator that may choose a NaN's bits.
    pub(crate) fn arithmetic(
        &mut self,
        float: Float,
        lanes: Lanes,
        site: Site,
        depth: u16,
    ) -> FloatNode {
        self.add(Value {
            origin: NodeOrigin::Arithmetic { lanes, site, depth },
            float,
            most: Facts::arithmetic(lanes),
            reads: None,
            must_be_bits: false,
        })
    }

    /// A place where values meet, of which at most `most` can hold. The operator there computes with the lanes `reads`.
    pub(crate) fn join(&mut self, float: Float, most: Facts, reads: Option<Lanes>) -> FloatNode {
        self.add(Value {
            origin: NodeOrigin::Join,
            float,
            most,
            reads,
            must_be_bits: false,
        })
    }

    /// The value flows on.
    pub(crate) fn flow(&mut self, from: Operand, to: FloatNode) {
        if !to.is_fixed() && from.node != to {
            self.edges.push(Edge { from, to });
        }
    }

    /// The module uses the value.
    pub(crate) fn observe(&mut self, operand: Operand, need: Need) {
        if !operand.node.is_fixed() {
            self.observations.push(Observation { operand, need });
        }
    }

    /// Its bits must be the eager ones where it arises.
    pub(crate) fn must_be_bits(&mut self, node: FloatNode) {
        self.values[node.at()].must_be_bits = true;
    }

    /// Raw values flow there too, from where nobody follows them.
    pub(crate) fn also_raw(&mut self, node: FloatNode) {
        let value = &mut self.values[node.at()];
        value.most = value.most.and(Facts::RAW);
    }

    /// Its values are raw ones, whatever flows there.
    pub(crate) fn becomes_raw(&mut self, node: FloatNode) {
        let value = &mut self.values[node.at()];
        value.origin = NodeOrigin::Fixed;
        value.most = Facts::RAW;
        value.must_be_bits = false;
    }

    pub(crate) fn float(&self, node: FloatNode) -> Float {
        self.values[node.at()].float
    }

    pub(crate) fn origin(&self, node: FloatNode) -> NodeOrigin {
        self.values[node.at()].origin
    }

    pub(crate) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    pub(crate) fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = FloatNode> + use<> {
        (0..u32::try_from(self.values.len()).unwrap_or(u32::MAX)).map(FloatNode)
    }

    /// The values whose place in the module needs more than `facts` say.
    pub(crate) fn unmet<'a>(&'a self, facts: &'a Solution) -> impl Iterator<Item = FloatNode> + 'a {
        self.nodes()
            .zip(&self.values)
            .filter(|(node, value)| {
                let known = facts.of(*node);
                value.must_be_bits && !known.are_bits()
                    || value.reads.is_some_and(|lanes| !known.are_numbers(lanes))
            })
            .map(|(node, _)| node)
    }

    /// Nothing made canonical.
    pub(crate) fn nothing(&self) -> Choice {
        Choice {
            arithmetic: vec![false; self.values.len()],
            edges: vec![false; self.edges.len()],
        }
    }

    /// By node, the edges that begin there, or (`Edge::to`) those that end there.
    pub(crate) fn edges_by(&self, end: fn(&Edge) -> FloatNode) -> EdgesBy {
        let mut starts = vec![0u32; self.values.len() + 1];
        for edge in &self.edges {
            starts[end(edge).at() + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0u32; self.edges.len()];
        for (number, edge) in (0u32..).zip(&self.edges) {
            let place = &mut next[end(edge).at()];
            order[usize::try_from(*place).unwrap_or(usize::MAX)] = number;
            *place += 1;
        }
        EdgesBy { starts, order }
    }

    /// What holds for each value if `choice` is made canonical: the most that no edge contradicts. Each value changes at
    /// most five times, so that the work is linear in the number of edges.
    pub(crate) fn solve(&self, choice: &Choice) -> Solution {
        let mut facts: Vec<Facts> = self.values.iter().map(|value| value.most).collect();
        for ((known, value), chosen) in facts.iter_mut().zip(&self.values).zip(&choice.arithmetic) {
            if let (NodeOrigin::Arithmetic { lanes, .. }, true) = (value.origin, *chosen) {
                *known = Facts::canonical(lanes);
            }
        }
        let users = self.edges_by(|edge| edge.from.node);
        let mut waiting: Vec<usize> = (0..self.edges.len()).rev().collect();
        let mut work = 0;
        while let Some(number) = waiting.pop() {
            work += 1;
            let edge = self.edges[number];
            let mut given = facts[edge.from.node.at()];
            if choice.edges[number] {
                given = given.or(Facts::RAW);
            }
            let known = &mut facts[edge.to.at()];
            let less = known.and(given);
            if less != *known && self.values[edge.to.at()].origin == NodeOrigin::Join {
                *known = less;
                waiting.extend(users.of(edge.to));
            }
        }
        Solution { facts, work }
    }
}

/// Edges sorted by one of their ends.
#[derive(Debug)]
pub(crate) struct EdgesBy {
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl EdgesBy {
    /// Numbers of the node's edges.
    pub(crate) fn of(&self, node: FloatNode) -> impl Iterator<Item = usize> + '_ {
        let bound = |at: usize| usize::try_from(self.starts[at]).unwrap_or(usize::MAX);
        self.order[bound(node.at())..bound(node.at() + 1)]
            .iter()
            .map(|number| usize::try_from(*number).unwrap_or(usize::MAX))
    }
}

/// What is known of every value.
#[derive(Debug)]
pub(crate) struct Solution {
    facts: Vec<Facts>,
    /// Number of edges that were looked at.
    pub(crate) work: usize,
}

impl Solution {
    pub(crate) fn of(&self, node: FloatNode) -> Facts {
        self.facts[node.at()]
    }
}

impl Choice {
    /// Whether the arithmetic value is made canonical where it arises.
    pub(crate) fn has(&self, node: FloatNode) -> bool {
        self.arithmetic[node.at()]
    }

    /// Makes it so.
    pub(crate) fn take(&mut self, node: FloatNode) {
        self.arithmetic[node.at()] = true;
    }
}

/// Whether a value of which `facts` hold may be used so.
pub(crate) fn meets(facts: Facts, need: Need) -> bool {
    match need {
        Need::Bits => facts.are_bits(),
        Need::Numbers(lanes) => facts.are_numbers(lanes),
    }
}
