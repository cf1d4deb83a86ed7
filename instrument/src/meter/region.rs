//! Divides a function's text into regions, each charged once where it begins.
//!
//! A region begins at the function's entry, at a loop's head, at an arm of an `if` that is dearer than
//! [`MAX_FOLDED_ARM`], and behind a block whose end only branches reach. Every other operator that can be reached belongs to
//! the region that was in force where the innermost construct that holds it began. So an operator runs at most once
//! for each time that its region is charged, and what is charged is never less than what runs.

use wasmparser::Operator;

use super::price;
use crate::module::PlacedOperator;

/// An arm of an `if` that costs no more is charged with the region around it, whether it is taken or not.
pub const MAX_FOLDED_ARM: u64 = 8;

/// Where a region begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegionKind {
    Entry,
    LoopHead,
    Arm,
    Label,
}

/// A part of a function's text that is charged as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) kind: RegionKind,
    /// Place of the operator before which it is charged.
    pub(crate) before: usize,
    /// Units of its operators.
    pub(crate) cost: u64,
}

/// Place of a region in the list.
type RegionPlace = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Construct {
    Block,
    Loop,
    /// An `if` whose `else` was not seen, with its first arm.
    If(RegionPlace),
    /// An `if` after its `else`, with both arms, and whether the first one falls through.
    Else(RegionPlace, RegionPlace, bool),
}

#[derive(Debug, Clone, Copy)]
struct Scope {
    construct: Construct,
    /// The region in force where it began; nothing in text that cannot be reached.
    outer: Option<RegionPlace>,
    /// True if a branch names its label.
    is_target: bool,
}

struct Division {
    regions: Vec<Region>,
    scopes: Vec<Scope>,
    current: Option<RegionPlace>,
}

/// The regions of a function in the order of their beginnings, without those that cost nothing.
pub(crate) fn divide(operators: &[PlacedOperator<'_>]) -> Vec<Region> {
    let mut division = Division {
        regions: Vec::new(),
        scopes: Vec::new(),
        current: None,
    };
    division.current = Some(division.begin(RegionKind::Entry, 0));
    division.scopes.push(Scope {
        construct: Construct::Block,
        outer: None,
        is_target: false,
    });
    for (at, placed) in operators.iter().enumerate() {
        division.read(at, &placed.operator);
    }
    let mut regions = division.regions;
    regions.retain(|region| region.cost > 0);
    regions
}

impl Division {
    fn begin(&mut self, kind: RegionKind, before: usize) -> RegionPlace {
        self.regions.push(Region {
            kind,
            before,
            cost: 0,
        });
        self.regions.len() - 1
    }

    fn open(&mut self, construct: Construct) {
        self.scopes.push(Scope {
            construct,
            outer: self.current,
            is_target: false,
        });
    }

    fn target(&mut self, depth: u32) {
        let depth = crate::module::index(depth);
        if let Some(at) = self.scopes.len().checked_sub(depth.saturating_add(1)) {
            self.scopes[at].is_target = true;
        }
    }

    fn read(&mut self, at: usize, operator: &Operator<'_>) {
        if let Some(current) = self.current {
            self.regions[current].cost += price::constant(operator);
        }
        let is_reached = self.current.is_some();
        match operator {
            Operator::Block { .. } => self.open(Construct::Block),
            Operator::Loop { .. } => {
                self.open(Construct::Loop);
                if is_reached {
                    self.current = Some(self.begin(RegionKind::LoopHead, at + 1));
                }
            }
            Operator::If { .. } => {
                let arm = self.begin(RegionKind::Arm, at + 1);
                self.open(Construct::If(arm));
                self.current = is_reached.then_some(arm);
            }
            Operator::Else => self.other_arm(at),
            Operator::End => self.close(at),
            Operator::Br { relative_depth } if is_reached => {
                self.target(*relative_depth);
                self.current = None;
            }
            Operator::BrIf { relative_depth } if is_reached => self.target(*relative_depth),
            Operator::BrTable { targets } if is_reached => {
                self.target(targets.default());
                for depth in targets.targets().flatten() {
                    self.target(depth);
                }
                self.current = None;
            }
            Operator::Return | Operator::Unreachable => self.current = None,
            _ => {}
        }
    }

    fn other_arm(&mut self, at: usize) {
        let arm = self.begin(RegionKind::Arm, at + 1);
        let falls = self.current.is_some();
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        if let Construct::If(first) = scope.construct {
            scope.construct = Construct::Else(first, arm, falls);
        }
        self.current = scope.outer.is_some().then_some(arm);
    }

    fn close(&mut self, at: usize) {
        let Some(scope) = self.scopes.pop() else {
            return;
        };
        let Some(outer) = scope.outer else {
            self.current = None;
            return;
        };
        let falls = match scope.construct {
            Construct::Block => self.current.is_some(),
            Construct::Loop => {
                self.current = self.current.map(|_| outer);
                return;
            }
            Construct::If(arm) => {
                self.fold(arm, outer);
                true
            }
            Construct::Else(first, second, first_falls) => {
                self.fold(first, outer);
                self.fold(second, outer);
                first_falls || self.current.is_some()
            }
        };
        self.current = if falls {
            Some(outer)
        } else if scope.is_target {
            Some(self.begin(RegionKind::Label, at + 1))
        } else {
            None
        };
    }

    /// Charges a cheap arm with the region around it.
    fn fold(&mut self, arm: RegionPlace, outer: RegionPlace) {
        let cost = self.regions[arm].cost;
        if cost <= MAX_FOLDED_ARM {
            self.regions[arm].cost = 0;
            self.regions[outer].cost += cost;
        }
    }
}
