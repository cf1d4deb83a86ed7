//! A host of the simulation: one node with its vote log, store and blobs, and what a crash leaves of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chain::Work;
use consensus::Message;
use consensus::log::{Identity, Log, LogStorage, MemoryStorage, Record};
use node::core::{Effect, Event, GateVerdict, LogGate, Node, NodeSetup, RecordGroup};
use state::{DecidedState, MemoryStore};
use types::hash::BlobId;
use types::number::{Timestamp, View};
use types::time::{Monotonic, Now};
use types::vote::{Proposal, Statement};

use crate::genesis::BEGIN_UNIX_MS;
use crate::liar::LiarKind;
use crate::scenario::CrashPoint;

/// A small segment, so that segments end and go within a short run.
const SEGMENT_BYTES: u64 = 32 << 10;

/// A host's clocks, which are ahead of the virtual time and run fast or slow.
#[derive(Debug, Clone, Copy)]
pub struct HostClock {
    /// Lead of the wall clock at the beginning, in milliseconds.
    pub skew_ms: u64,
    /// Parts per million by which the clock for timers is fast; the wall clock by a twentieth of that.
    pub drift_ppm: i64,
}

impl HostClock {
    fn now(self, virtual_ms: u64) -> Now {
        let wall = drifted(virtual_ms, self.drift_ppm / 20) + self.skew_ms;
        Now {
            monotonic: Monotonic(drifted(virtual_ms, self.drift_ppm)),
            unix: Timestamp(BEGIN_UNIX_MS + wall),
        }
    }

    fn due_ms(self, at: Monotonic) -> u64 {
        let mut due = drifted(at.0, -self.drift_ppm).saturating_sub(at.0 / 1_000);
        while drifted(due, self.drift_ppm) < at.0 {
            due += 1;
        }
        due
    }
}

/// A span of time as a clock shows it that is so many parts per million fast.
fn drifted(ms: u64, ppm: i64) -> u64 {
    let change = i128::from(ms) * i128::from(ppm) / 1_000_000;
    u64::try_from(i128::from(ms) + change).unwrap_or(0)
}

/// When a sync of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncBegin {
    /// Something waits for it.
    Now,
    /// Nothing that was given binds.
    Deferred,
}

/// The core of a host that is up.
#[derive(Debug)]
struct RunningNode {
    node: Node,
    log: Log<MemoryStorage>,
    gate: LogGate,
    /// Records that the next sync will make durable.
    unsynced: Vec<Record>,
    /// Views that are kept for proposals of this life, durably.
    reserved: BTreeSet<View>,
    /// True while a sync is under way.
    syncing: bool,
    /// The last group among them.
    last_group: RecordGroup,
    work: VecDeque<Work>,
}

impl RunningNode {
    /// The next sync makes these records durable as well.
    fn take(&mut self, group: RecordGroup, records: Vec<Record>) {
        self.unsynced.extend(records);
        self.last_group = group;
    }
}

/// A host: its disks, which outlive a crash, and its node while it is up.
#[derive(Debug)]
pub struct SimulatedHost {
    /// Position in the committee of the validator whose key it has.
    pub member: usize,
    /// How it lies; none if it is honest.
    pub liar: Option<LiarKind>,
    /// Number of starts and crashes, so that an event for an earlier life does not reach this one.
    pub life: u32,
    /// The node's timer, if it set one.
    pub timer: Option<Monotonic>,
    /// The point at which it crashes next.
    pub fuse: Option<CrashPoint>,
    /// True once synced bytes of its log were removed.
    pub was_cut: bool,
    /// Virtual time until which it is busy with work, in milliseconds.
    pub busy_until_ms: u64,
    /// The store; a crash loses what is not synced.
    pub store: MemoryStore,
    /// Blobs on its disk.
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
    setup: NodeSetup,
    clock: HostClock,
    disk: Option<MemoryStorage>,
    running: Option<RunningNode>,
}

impl SimulatedHost {
    /// A host with a new log and the genesis in its store. It does not run yet.
    #[must_use]
    pub fn new(
        member: usize,
        liar: Option<LiarKind>,
        setup: NodeSetup,
        clock: HostClock,
        store: MemoryStore,
    ) -> Self {
        let log =
            Log::init(MemoryStorage::new(), setup.log_identity()).expect("a new disk takes a log");
        let disk = Some(log.into_storage());
        let (timer, fuse, running) = (None, None, None);
        let blobs = BTreeMap::new();
        Self {
            member,
            liar,
            life: 0,
            timer,
            fuse,
            was_cut: false,
            busy_until_ms: 0,
            store,
            blobs,
            setup,
            clock,
            disk,
            running,
        }
    }

    /// True if the node runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The node, if it runs.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.running.as_ref().map(|running| &running.node)
    }

    /// The owner of its log.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.setup.log_identity()
    }

    /// True if it is honest.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        self.liar.is_none()
    }

    /// The virtual time at which the host's clock shows a time, in milliseconds.
    #[must_use]
    pub fn due_ms(&self, at: Monotonic) -> u64 {
        self.clock.due_ms(at)
    }

    /// Records that were given to the log and are not synced yet.
    #[must_use]
    pub fn unsynced(&self) -> &[Record] {
        let running = self.running.as_ref();
        running.map_or(&[], |running| &running.unsynced)
    }

    /// True if a vote or proposal of a running node does not wait for a sync any more: a proposal in a view that is reserved
    /// waits for the votes that it brings alone.
    #[must_use]
    pub fn is_on_disk(&self, message: &Message) -> bool {
        let running = self.running.as_ref();
        let reserved = |view| running.is_some_and(|running| running.reserved.contains(&view));
        let waits = self
            .unsynced()
            .iter()
            .any(|record| match (record, message) {
                (Record::Vote(written), Message::Vote(vote)) => written == vote,
                (Record::Vote(written), Message::Proposal(proposal)) => {
                    brings(proposal, self.member, &written.statement)
                }
                (Record::Proposal(written), Message::Proposal(proposal)) => {
                    if written.view == proposal.view {
                        !reserved(proposal.view)
                    } else {
                        brings(proposal, self.member, &written.notarize_statement())
                    }
                }
                _ => false,
            });
        !waits && running.is_none_or(|running| running.log.storage().is_synced())
    }

    /// Starts the node from the disk.
    pub fn start(&mut self, virtual_ms: u64) -> Result<Vec<Effect>, String> {
        self.life += 1;
        (self.timer, self.fuse, self.busy_until_ms) = (None, None, virtual_ms);
        let disk = self.disk.take().ok_or("the host runs already")?;
        let setup = self.setup.clone().in_force(&self.store);
        let setup = setup.map_err(|error| error.to_string())?;
        let (log, records) =
            Log::open(disk, setup.log_identity()).map_err(|error| error.to_string())?;
        let log = log.with_segment_bytes(SEGMENT_BYTES);
        let now = self.clock.now(virtual_ms);
        let blobs = self.blobs.keys().copied().collect();
        let (node, effects) = Node::start(setup, now, &self.store, records, blobs)
            .map_err(|error| format!("the node does not start: {error}"))?;
        self.running = Some(RunningNode {
            node,
            log,
            gate: LogGate::default(),
            unsynced: Vec::new(),
            reserved: BTreeSet::new(),
            syncing: false,
            last_group: RecordGroup::default(),
            work: VecDeque::new(),
        });
        Ok(effects)
    }

    /// Stops the node at once: unsynced bytes of the log and unsynced blocks of the store are lost, up to `torn`
    /// bytes of the log excepted.
    pub fn crash(&mut self, torn: usize) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.life += 1;
        (self.timer, self.fuse) = (None, None);
        self.disk = Some(running.log.into_storage().crashed(torn));
        self.store
            .crash()
            .expect("what was committed can be undone");
    }

    /// Removes synced bytes at the end of the log, if the node is stopped.
    pub fn cut_log(&mut self, bytes: usize) {
        let Some(disk) = &mut self.disk else { return };
        let Some(last) = disk
            .segments()
            .ok()
            .and_then(|segments| segments.last().copied())
        else {
            return;
        };
        if let Some(content) = disk.bytes_mut(last) {
            content.truncate(content.len().saturating_sub(bytes));
        }
        disk.sync(last).expect("a disk in memory syncs");
        self.was_cut = true;
    }

    /// Puts a new log in the place of the old one, as an operator does whose disk is lost, if the node is stopped.
    pub fn lose_log(&mut self) {
        if let Some(disk) = &mut self.disk {
            let log = Log::init_lost(MemoryStorage::new(), self.setup.log_identity());
            *disk = log.expect("a new disk takes a log").into_storage();
        }
    }

    /// Gives the node an event.
    pub fn step(&mut self, virtual_ms: u64, event: Event) -> Vec<Effect> {
        let now = self.clock.now(virtual_ms);
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        running.node.step(now, &self.store, event)
    }

    /// Makes the next sync of the log fail, as if the machine stopped before it.
    pub fn stop_before_sync(&mut self) {
        if let Some(running) = &mut self.running {
            running.log.storage_mut().fail_syncs_after(0);
        }
    }

    /// Passes an effect through the gate of the log. Gives it back if it is to be performed now, and when a sync is to be
    /// begun, if one is.
    pub fn pass(&mut self, effect: Effect) -> (Option<Effect>, Option<SyncBegin>) {
        let Some(running) = &mut self.running else {
            return (None, None);
        };
        match running.gate.pass(effect) {
            GateVerdict::Perform(effect) => (Some(effect), None),
            GateVerdict::Waits => (None, None),
            GateVerdict::Append(group, records) => {
                let begins = !std::mem::replace(&mut running.syncing, true);
                running.take(group, records);
                (None, begins.then_some(SyncBegin::Now))
            }
            GateVerdict::Defer(group, records) => {
                let begins = running.unsynced.is_empty();
                running.take(group, records);
                (None, begins.then_some(SyncBegin::Deferred))
            }
        }
    }

    /// A sync ends: everything that was given to the log is durable. Gives the effects that waited for it.
    pub fn sync(&mut self) -> Result<Vec<Effect>, String> {
        let Some(running) = &mut self.running else {
            return Ok(Vec::new());
        };
        running.syncing = false;
        let records = std::mem::take(&mut running.unsynced);
        let written = running.log.append(&records);
        written.map_err(|error| error.to_string())?;
        running
            .reserved
            .extend(records.iter().filter_map(|record| match record {
                Record::Reserved(view) => Some(*view),
                _ => None,
            }));
        Ok(running.gate.synced(running.last_group))
    }

    /// Removes segments of the log that hold nothing above a view.
    pub fn release(&mut self, view: View) -> Result<(), String> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        running.log.release(view).map_err(|error| error.to_string())
    }

    /// Queues work behind what waits already; gives the virtual time at which it is done, in milliseconds.
    pub fn queue(&mut self, virtual_ms: u64, work: Work, takes_ms: u64) -> u64 {
        if let Some(running) = &mut self.running {
            running.work.push_back(work);
        }
        self.busy_until_ms = self.busy_until_ms.max(virtual_ms) + takes_ms;
        self.busy_until_ms
    }

    /// Does the oldest piece of work; gives the event that answers it.
    pub fn work(&mut self) -> Option<Result<Event, String>> {
        let running = self.running.as_mut()?;
        let work = running.work.pop_front()?;
        Some(
            work.perform(running.node.rules(), &self.store)
                .map(|done| Event::Chain(chain::Event::Done(done)))
                .map_err(|fatal| fatal.to_string()),
        )
    }

    /// The store's height and root.
    #[must_use]
    pub fn tip(&self) -> state::Tip {
        self.store.tip()
    }
}

/// True if a certificate of a proposal holds that vote of its proposer.
fn brings(proposal: &Proposal, member: usize, said: &Statement) -> bool {
    let mut same = proposal
        .certificates()
        .filter(|certificate| certificate.statement == *said);
    let signed = |certificate: &types::vote::Certificate| {
        let mut signers = certificate.signers.iter();
        signers.any(|signer| usize::from(signer.0) == member)
    };
    same.any(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_comes_when_its_hosts_clock_shows_its_time_and_not_before() {
        for drift_ppm in [-10_000, -3, 0, 7, 10_000] {
            let clock = HostClock {
                skew_ms: 5,
                drift_ppm,
            };
            for at in [0, 1, 99, 1_000, 123_456, 240_000] {
                let due = clock.due_ms(Monotonic(at));
                assert!(clock.now(due).monotonic.0 >= at, "{drift_ppm} at {at}");
                let before = due
                    .checked_sub(1)
                    .map(|before| clock.now(before).monotonic.0);
                assert!(
                    before.is_none_or(|before| before < at),
                    "{drift_ppm} at {at}"
                );
            }
        }
    }
}
