//! Frames under way: lost, delayed, out of order, twice, or stopped by a partition.

use crate::random::Random;
use crate::scenario::{HostId, Scenario, groups};

/// The network between hosts.
#[derive(Debug)]
pub struct Network {
    random: Random,
    delay_ms: (u64, u64),
    loss: u64,
    duplicates: u64,
    /// The group of each host; frames stay inside.
    groups: Vec<u8>,
    /// Which side of every liar each host talks to.
    sides: Vec<u8>,
}

impl Network {
    /// The network of a scenario, whole.
    #[must_use]
    pub fn new(scenario: &Scenario, hosts: usize, mut random: Random) -> Self {
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

    /// Splits the network; liars show each group another face.
    pub fn split(&mut self, groups: Vec<u8>) {
        self.sides.clone_from(&groups);
        self.groups = groups;
    }

    /// Ends a partition; liars go on with two faces.
    pub fn heal(&mut self) {
        self.groups.fill(0);
    }

    /// Another share of frames is lost from now on.
    pub fn lose(&mut self, loss: u64) {
        self.loss = loss;
    }

    /// Which side of a liar a host talks to.
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
