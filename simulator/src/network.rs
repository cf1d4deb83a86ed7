//! Frames under way: lost, delayed, out of order, twice, or stopped by a partition.

use crate::random::SeededRandom;
use crate::scenario::{HostId, Scenario, groups};

/// The network between hosts.
#[derive(Debug)]
pub struct SimulatedNetwork {
    random: SeededRandom,
    delay_ms: (u64, u64),
    loss: u64,
    duplicates: u64,
    /// The group of each host; frames do not leave it.
    groups: Vec<u8>,
    /// For each host the side of every liar that it talks to.
    sides: Vec<u8>,
}

impl SimulatedNetwork {
    /// The network of a scenario, whole.
    #[must_use]
    pub fn new(scenario: &Scenario, hosts: usize, mut random: SeededRandom) -> Self {
        let sides = groups(scenario.committee, &mut random);
        Self {
            random,
            delay_ms: scenario.delay_ms,
            loss: scenario.loss,
            duplicates: scenario.duplicates,
            groups: vec![0; hosts],
            sides,
        }
    }

    /// Splits the network into groups; each group talks to another side of every liar.
    pub fn split(&mut self, groups: Vec<u8>) {
        self.sides.clone_from(&groups);
        self.groups = groups;
    }

    /// Ends a partition; liars keep their two sides.
    pub fn heal(&mut self) {
        self.groups.fill(0);
    }

    /// Sets the number of frames that are lost, per 1,000.
    pub fn lose(&mut self, loss: u64) {
        self.loss = loss;
    }

    /// The side of every liar that a host talks to.
    #[must_use]
    pub fn side(&self, host: HostId) -> u8 {
        self.sides[host]
    }

    /// True if no partition lies between two hosts.
    #[must_use]
    pub fn connects(&self, from: HostId, to: HostId) -> bool {
        self.groups[from] == self.groups[to]
    }

    /// The delays after which a frame arrives: none, one or two.
    pub fn carry(&mut self, from: HostId, to: HostId) -> Vec<u64> {
        if !self.connects(from, to) || self.random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if self.random.chance(self.duplicates) {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| self.random.range(self.delay_ms.0, self.delay_ms.1))
            .collect()
    }
}
