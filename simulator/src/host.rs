//! A host of the simulation: one node with its vote log, store and blobs, and what a crash leaves of them.

use std::collections::{BTreeMap, VecDeque};

use chain::Work;
use consensus::log::{Identity, Log, LogStorage, MemoryStorage, Record};
use node::core::{Effect, Event, GateVerdict, LogGate, Node, NodeSetup, RecordGroup};
use state::{DecidedState, MemoryStore};
use types::hash::BlobId;
use types::number::Timestamp;
use types::time::{Monotonic, Now};

use crate::genesis::BEGIN_UNIX_MS;
use crate::scenario::CrashPoint;

/// A small segment, so that segments end and go within a short run.
const SEGMENT_BYTES: u64 = 32 << 10;

/// The core of a host that is up.
#[derive(Debug)]
struct RunningNode {
    node: Node,
    log: Log<MemoryStorage>,
    gate: LogGate,
    /// Records that a sync under way will make durable.
    unsynced: Vec<Record>,
    /// The last group among them.
    last_group: RecordGroup,
    work: VecDeque<Work>,
}

/// A host: its disks, which outlive a crash, and its node while it is up.
#[derive(Debug)]
pub struct SimulatedHost {
    /// Position in the committee of the validator whose key it has.
    pub member: usize,
    /// True if another host has the same key.
    pub is_liar: bool,
    /// Number of starts and crashes, so that an event for an earlier life does not reach this one.
    pub life: u32,
    /// The node's timer, if it set one.
    pub timer: Option<Monotonic>,
    /// The point at which it crashes next.
    pub fuse: Option<CrashPoint>,
    /// Virtual time until which it is busy with work, in milliseconds.
    pub busy_until_ms: u64,
    /// The store; a crash loses what is not synced.
    pub store: MemoryStore,
    /// Blobs on its disk.
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
    setup: NodeSetup,
    skew_ms: u64,
    disk: Option<MemoryStorage>,
    running: Option<RunningNode>,
}

impl SimulatedHost {
    /// A host with a new log and the genesis in its store. It does not run yet.
    #[must_use]
    pub fn new(
        member: usize,
        is_liar: bool,
        setup: NodeSetup,
        skew_ms: u64,
        store: MemoryStore,
    ) -> Self {
        let log =
            Log::init(MemoryStorage::new(), setup.log_identity()).expect("a new disk takes a log");
        let disk = Some(log.into_storage());
        let (timer, fuse, running) = (None, None, None);
        let blobs = BTreeMap::new();
        Self {
            member,
            is_liar,
            life: 0,
            timer,
            fuse,
            busy_until_ms: 0,
            store,
            blobs,
            setup,
            skew_ms,
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

    fn now(&self, virtual_ms: u64) -> Now {
        let unix = Timestamp(BEGIN_UNIX_MS + virtual_ms + self.skew_ms);
        Now {
            monotonic: Monotonic(virtual_ms),
            unix,
        }
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
        let now = self.now(virtual_ms);
        let blobs = self.blobs.keys().copied().collect();
        let (node, effects) = Node::start(setup, now, &self.store, records, blobs)
            .map_err(|error| format!("the node does not start: {error}"))?;
        self.running = Some(RunningNode {
            node,
            log,
            gate: LogGate::default(),
            unsynced: Vec::new(),
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
    }

    /// Gives the node an event.
    pub fn step(&mut self, virtual_ms: u64, event: Event) -> Vec<Effect> {
        let now = self.now(virtual_ms);
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        running.node.step(now, &self.store, event)
    }

    /// Passes an effect through the gate of the log. Gives it back if it is to be performed now, and true if a sync is
    /// to be begun.
    pub fn pass(&mut self, effect: Effect) -> (Option<Effect>, bool) {
        let Some(running) = &mut self.running else {
            return (None, false);
        };
        match running.gate.pass(effect) {
            GateVerdict::Perform(effect) => (Some(effect), false),
            GateVerdict::Waits => (None, false),
            GateVerdict::Append(group, records) => {
                let first = running.unsynced.is_empty();
                running.unsynced.extend(records);
                running.last_group = group;
                (None, first)
            }
        }
    }

    /// A sync ends: everything that was given to the log is durable. Gives the effects that waited for it.
    pub fn sync(&mut self) -> Result<Vec<Effect>, String> {
        let Some(running) = &mut self.running else {
            return Ok(Vec::new());
        };
        let records = std::mem::take(&mut running.unsynced);
        let written = running.log.append(&records);
        written.map_err(|error| error.to_string())?;
        Ok(running.gate.synced(running.last_group))
    }

    /// Removes segments of the log that hold nothing above a view.
    pub fn release(&mut self, view: types::number::View) -> Result<(), String> {
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
