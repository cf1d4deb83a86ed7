//! Frames under way: lost, delayed, out of order, twice, waiting for their sender's bandwidth, dropped from a full queue,
//! or stopped by a partition.

use crate::random::SeededRandom;
use crate::scenario::{HostId, QUEUE_MS, Scenario, groups};

/// The network between hosts.
#[derive(Debug)]
pub struct SimulatedNetwork {
    random: SeededRandom,
    delay_ms: (u64, u64),
    loss: u64,
    duplicates: u64,
    bytes_per_ms: u64,
    /// Virtual time at which each host has sent all that it was given, in microseconds.
    sent_at_us: Vec<u64>,
    /// The group of each host; frames do not leave it.
    groups: Vec<u8>,
    /// For each host the side of every twin that it talks to.
    sides: Vec<u8>,
}

impl SimulatedNetwork {
    /// The network of a scenario, whole.
    #[must_use]
    pub fn new(scenario: &Scenario, hosts: usize, mut random: SeededRandom) -> Self {
        let sides = groups(&scenario.committee, &mut random);
        Self {
            random,
            delay_ms: scenario.delay_ms,
            loss: scenario.loss,
            duplicates: scenario.duplicates,
            bytes_per_ms: scenario.bytes_per_ms,
            sent_at_us: vec![0; hosts],
            groups: vec![0; hosts],
            sides,
        }
    }

    /// Splits the network into groups; each group talks to another side of every twin.
    pub fn split(&mut self, groups: Vec<u8>) {
        self.sides.clone_from(&groups);
        self.groups = groups;
    }

    /// Ends a partition; twins keep their two sides.
    pub fn heal(&mut self) {
        self.groups.fill(0);
    }

    /// Sets the number of frames that are lost, per 1,000.
    pub fn lose(&mut self, loss: u64) {
        self.loss = loss;
    }

    /// The side of every twin that a host talks to.
    #[must_use]
    pub fn side(&self, host: HostId) -> u8 {
        self.sides[host]
    }

    /// True if no partition lies between two hosts.
    #[must_use]
    pub fn connects(&self, from: HostId, to: HostId) -> bool {
        self.groups[from] == self.groups[to]
    }

    /// The delays after which a frame arrives that is sent now: none, one or two.
    pub fn carry(&mut self, now_ms: u64, from: HostId, to: HostId, bytes: usize) -> Vec<u64> {
        if !self.connects(from, to) {
            return Vec::new();
        }
        let Some(queued_ms) = self.queue(now_ms, from, bytes) else {
            return Vec::new();
        };
        if self.random.chance(self.loss) {
            return Vec::new();
        }
        let copies = if self.random.chance(self.duplicates) {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| queued_ms + self.random.range(self.delay_ms.0, self.delay_ms.1))
            .collect()
    }

    /// How long a frame waits until its sender's bandwidth has carried it; none if the queue is full.
    fn queue(&mut self, now_ms: u64, from: HostId, bytes: usize) -> Option<u64> {
        if self.bytes_per_ms == 0 {
            return Some(0);
        }
        let micros = now_ms * 1_000;
        let starts_at = self.sent_at_us[from].max(micros);
        if starts_at > micros + QUEUE_MS * 1_000 {
            return None;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let end = starts_at + bytes.saturating_mul(1_000) / self.bytes_per_ms;
        self.sent_at_us[from] = end;
        Some((end - micros) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::SimulatedCommittee;

    #[test]
    fn frames_wait_for_their_senders_bandwidth_and_a_full_queue_drops_them() {
        let mut random = SeededRandom::new(1);
        let mut scenario = Scenario::with(1, SimulatedCommittee::honest(), &mut random);
        (scenario.delay_ms, scenario.loss, scenario.duplicates) = ((5, 6), 0, 0);
        scenario.bytes_per_ms = 100;
        let mut network = SimulatedNetwork::new(&scenario, 4, random);
        let mut delays = Vec::new();
        for _ in 0..100 {
            delays.push(network.carry(0, 0, 1, 1_000).first().copied());
        }
        assert_eq!(delays[..3], [Some(15), Some(25), Some(35)]);
        let fits = usize::try_from(QUEUE_MS / 10).unwrap() + 1;
        assert!(delays[..fits].iter().all(Option::is_some));
        assert!(delays[fits..].iter().all(Option::is_none));
        assert_eq!(network.carry(0, 1, 0, 1_000), [15], "each has its own");
        assert_eq!(
            network.carry(10_000, 0, 1, 1_000),
            [15],
            "later it is empty"
        );
    }
}
