//! The scenario of a seed: a committee and its liars, the faults of network and machines, and when they end.

use crate::committee::SimulatedCommittee;
use crate::random::SeededRandom;

/// One seed of so many has jobs, which take longer to simulate.
const JOBS_EVERY: u64 = 2;

/// A host: a machine that runs one node. A twin of the committee has two of them.
pub type HostId = usize;

/// The point in a step at which a host crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// After that number of effects more.
    Effects(u32),
    /// Right after its next vote or proposal has left.
    Vote,
    /// In its next write to the log, after the bytes were written and before they were synced.
    Sync,
}

/// A fault that a scenario injects at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedFault {
    /// A host stops, in the middle of a step; what was not synced is lost.
    Crash {
        /// Host that is hit.
        host: HostId,
        /// The point in its next step.
        at: CrashPoint,
    },
    /// A stopped host loses synced bytes at the end of its log.
    CutLog {
        /// The host; nothing happens while it runs.
        host: HostId,
        /// Number of bytes that are torn off the log's end.
        bytes: usize,
    },
    /// A stopped host loses its whole log, and gets a new one in its place.
    LoseLog {
        /// The host; nothing happens while it runs.
        host: HostId,
    },
    /// A host starts again from its disk.
    Restart(HostId),
    /// Every host stops at once.
    CrashAll,
    /// Every stopped host starts again.
    RestartAll,
    /// Hosts of different groups no longer reach each other; one group number per host.
    Partition(Vec<u8>),
    /// The partition ends: frames pass between all hosts again.
    Heal,
}

/// One run of the simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The seed from which everything else follows.
    pub seed: u64,
    /// Stakes of the members, and who lies.
    pub committee: SimulatedCommittee,
    /// Shortest and longest delay of a frame, in milliseconds.
    pub delay_ms: (u64, u64),
    /// Frames lost before the calm, per 1,000.
    pub loss: u64,
    /// Frames lost after the calm, per 1,000.
    pub loss_after: u64,
    /// Frames that arrive twice, per 1,000.
    pub duplicates: u64,
    /// Bytes that a host sends in a millisecond; what does not fit a queue of [`QUEUE_MS`] is dropped. 0 for no bound.
    pub bytes_per_ms: u64,
    /// Maximum time of one execution of a block, in milliseconds.
    pub execution_ms: u64,
    /// Lead of each host's clock over the virtual time, in milliseconds.
    pub skew_ms: Vec<u64>,
    /// Parts per million by which each host's clock for timers is fast; its wall clock by a twentieth of that.
    pub drift_ppm: Vec<i64>,
    /// The injected faults with their times in milliseconds, in order of time.
    pub faults: Vec<(u64, InjectedFault)>,
    /// Virtual time of the calm, from which on no fault is injected, in milliseconds.
    pub calm_at_ms: u64,
    /// Blocks that every honest host must decide after the calm.
    pub blocks_after: u64,
    /// Number of transfers that must become final.
    pub transfers: usize,
    /// True if partners run one job before the calm and one after it.
    pub jobs: bool,
    /// Maximum time after the calm until all of that has happened, in milliseconds.
    pub timeout_ms: u64,
}

/// Time that frames wait for a host's bandwidth before the next ones are dropped, in milliseconds.
pub const QUEUE_MS: u64 = 400;

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let committee = SimulatedCommittee::draw(&mut random);
        Self::with(seed, committee, &mut random)
    }

    /// The scenario of a seed with a given committee.
    #[must_use]
    pub fn with(seed: u64, committee: SimulatedCommittee, random: &mut SeededRandom) -> Self {
        let hosts = committee.host_members().len();
        let is_large = committee.stakes.len() > 10;
        let calm_at_ms = random.range(2_000, if is_large { 6_000 } else { 12_000 });
        let shortest = random.range(1, 20);
        let delay_ms = (shortest, shortest + random.range(5, 120));
        let loss = if committee.cuts_logs {
            0
        } else {
            [0, 50, 150, 300][random.index(4)]
        };
        let stays = random.chance(300);
        let faults = if committee.cuts_logs {
            cuts(hosts, calm_at_ms, delay_ms.1, random)
        } else {
            let mut faults = faults(&committee, calm_at_ms, random);
            if committee.liars.is_empty() {
                lose_a_log(&mut faults, &committee, seed, calm_at_ms);
            }
            faults
        };
        let bytes_per_ms = if committee.cuts_logs || random.chance(600) {
            0
        } else {
            random.range(2_000, 20_000)
        };
        let drift = |random: &mut SeededRandom| {
            i64::try_from(random.range(0, 20_000)).unwrap_or(0) - 10_000
        };
        Self {
            seed,
            delay_ms,
            loss,
            loss_after: if stays { loss } else { 0 },
            duplicates: random.range(0, 50),
            bytes_per_ms,
            execution_ms: random.range(1, 40),
            skew_ms: (0..hosts).map(|_| random.range(0, 400)).collect(),
            drift_ppm: (0..hosts).map(|_| drift(random)).collect(),
            faults,
            calm_at_ms,
            blocks_after: 4,
            transfers: if is_large { 4 } else { 12 },
            jobs: seed.is_multiple_of(JOBS_EVERY) && !is_large,
            timeout_ms: 240_000,
            committee,
        }
    }
}

fn faults(
    committee: &SimulatedCommittee,
    calm_at_ms: u64,
    random: &mut SeededRandom,
) -> Vec<(u64, InjectedFault)> {
    let hosts = committee.host_members().len();
    let mut faults = Vec::new();
    let mut at = random.range(200, 1_000);
    while at < calm_at_ms {
        let pause = random.range(50, 2_000);
        match random.range(0, 10) {
            kind @ 0..=2 => {
                let host = random.index(hosts);
                let at_point = if kind == 0 {
                    CrashPoint::Sync
                } else {
                    CrashPoint::Effects(up_to_eight(random))
                };
                faults.push((at, InjectedFault::Crash { host, at: at_point }));
                faults.push((at + pause, InjectedFault::Restart(host)));
            }
            3 => {
                let host = random.index(hosts);
                faults.push((
                    at,
                    InjectedFault::Crash {
                        host,
                        at: CrashPoint::Vote,
                    },
                ));
                // Tried often, so that it runs again before the last frames that it sent have arrived.
                faults.extend(
                    (1..100).map(|attempt| (at + 5 * attempt, InjectedFault::Restart(host))),
                );
            }
            4..=6 => {
                faults.push((at, InjectedFault::Partition(groups(committee, random))));
                faults.push((at + pause, InjectedFault::Heal));
            }
            7..=8 => {
                faults.push((at, InjectedFault::CrashAll));
                faults.push((at + pause, InjectedFault::RestartAll));
            }
            _ => {}
        }
        at += random.range(100, 1_500);
    }
    faults.push((calm_at_ms, InjectedFault::Heal));
    faults.push((calm_at_ms, InjectedFault::RestartAll));
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// In some runs one host stops right after it voted and loses its log, frames being lost or not. Of two the second could
/// never be confirmed: who lost its own log confirms nothing.
fn lose_a_log(
    faults: &mut Vec<(u64, InjectedFault)>,
    committee: &SimulatedCommittee,
    seed: u64,
    calm_at_ms: u64,
) {
    // Of its own, so that the other faults of a seed are what they were.
    let mut random = SeededRandom::new(seed ^ 0x1057);
    if !random.chance(500) {
        return;
    }
    let (host, at) = (
        random.index(committee.stakes.len()),
        random.range(100, calm_at_ms),
    );
    // The others must be a quorum.
    let total: u64 = committee.stakes.iter().sum();
    if committee.stakes[host] > (total - 1) / 3 {
        return;
    }
    let crash = |at| InjectedFault::Crash { host, at };
    faults.push((at, crash(CrashPoint::Vote)));
    faults.push((at + 300, crash(CrashPoint::Effects(0))));
    let mut lost = at + 320;
    for _ in 0..4 {
        faults.push((lost, InjectedFault::LoseLog { host }));
        faults.push((lost, InjectedFault::Restart(host)));
        lost += random.range(1, 400);
    }
    faults.sort_by_key(|(at, _)| *at);
}

fn up_to_eight(random: &mut SeededRandom) -> u32 {
    u32::try_from(random.range(0, 8)).expect("below 8")
}

/// One host after the other stops right after it voted, loses the end of its log, and starts again once everything
/// that it said has arrived.
fn cuts(
    hosts: usize,
    calm_at_ms: u64,
    longest_delay_ms: u64,
    random: &mut SeededRandom,
) -> Vec<(u64, InjectedFault)> {
    let mut faults = Vec::new();
    let mut at = random.range(200, 1_000);
    while at < calm_at_ms {
        let host = random.index(hosts);
        let stopped = at + 1_500;
        faults.push((
            at,
            InjectedFault::Crash {
                host,
                at: CrashPoint::Vote,
            },
        ));
        // One that had nothing to say meanwhile stops now.
        faults.push((
            stopped,
            InjectedFault::Crash {
                host,
                at: CrashPoint::Effects(0),
            },
        ));
        faults.push((
            stopped + 600,
            InjectedFault::CutLog {
                host,
                bytes: random.index(600),
            },
        ));
        let up = stopped + 600 + longest_delay_ms;
        faults.push((up, InjectedFault::Restart(host)));
        at = up + random.range(500, 2_000);
    }
    let end = at.max(calm_at_ms);
    faults.push((end, InjectedFault::RestartAll));
    faults
}

/// Two groups; the two hosts of a twin are always on different sides, so that each side has a whole liar.
pub fn groups(committee: &SimulatedCommittee, random: &mut SeededRandom) -> Vec<u8> {
    let members = committee.stakes.len();
    let mut groups: Vec<u8> = (0..members).map(|_| u8::from(random.chance(500))).collect();
    let mut seconds = Vec::new();
    for twin in committee.twins() {
        groups[twin] = 0;
        seconds.push(1);
    }
    groups.extend(seconds);
    groups
}
