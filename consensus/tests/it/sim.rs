//! A committee of replicas with an empty application, in virtual time on one thread.
//!
//! Everything random comes from the seed: delays, losses, duplicates, partitions, crashes. Messages travel as bytes.
//! A node's disk is a vote log and a block store that lose on a crash what was not synced. Every effect is checked by
//! the [`audit`] before it is performed, and a crash may fall between any two effects.

use std::collections::{BTreeMap, BTreeSet};

use consensus::log::{Identity, Log, MemoryStorage};
use consensus::{CommittedTip, Config, Event, Message, Replica, Restored, Timing};
use types::block::Block;
use types::committee::Committee;
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::SecretKey;
use types::number::{Epoch, Height, Timestamp, ValidatorIndex};
use types::params::Params;
use types::testing;
use types::time::{Monotonic, Now};
use types::vote::Term;

pub mod audit;
mod effects;
pub mod random;
pub mod store;

use audit::Audit;
use random::Random;
use store::Store;

pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));
const UNIX_BASE: u64 = 1_700_000_000_000;

/// What a run is.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub stakes: Vec<u64>,
    /// Validators that run twice with one key, each half knowing nothing of the other.
    pub twins: Vec<u16>,
    /// Validators that answer every request for a range with the first blocks of the chain.
    pub stale: Vec<u16>,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    /// Every message takes that long, and up to `max_delay_ms` more.
    pub min_delay_ms: u64,
    pub max_delay_ms: u64,
    /// Chance per effect list that the node crashes in the middle of it, in 1/10,000.
    pub crash_per_10_000: u64,
    /// Time between changes of partition; 0 for none.
    pub partition_every_ms: u64,
    /// Faults end then; loss and delay stay.
    pub heal_at_ms: u64,
    pub end_ms: u64,
    /// Every block makes the next one urgent.
    pub urgent: bool,
}

impl Options {
    pub fn new(seed: u64, stakes: &[u64]) -> Self {
        Self {
            seed,
            stakes: stakes.to_vec(),
            twins: Vec::new(),
            stale: Vec::new(),
            loss_percent: 0,
            duplicate_percent: 0,
            min_delay_ms: 1,
            max_delay_ms: 40,
            crash_per_10_000: 0,
            partition_every_ms: 0,
            heal_at_ms: 0,
            end_ms: 10_000,
            urgent: false,
        }
    }
}

/// Whether a message passes at a time, from one process to another.
pub type Filter = Box<dyn Fn(u64, usize, usize, &Message) -> bool>;

/// A rule that did not hold.
pub type Violation = String;

/// Something in the future.
#[derive(Debug, Clone)]
enum Item {
    Deliver { from: u16, bytes: Vec<u8> },
    Timer,
    Answer(Box<Event>),
    Served { to: ValidatorId, bytes: usize },
    Restart,
}

/// One process with its disks. The index of a twin's second half is that of its first.
pub struct Node {
    pub index: ValidatorIndex,
    pub replica: Option<Replica>,
    pub store: Store,
    /// The vote log while the node runs; its disk while it does not.
    log: Option<Log<MemoryStorage>>,
    pub disk: MemoryStorage,
    life: u64,
    timer: Option<Monotonic>,
    executed: BTreeSet<BlockId>,
    skew_ms: u64,
}

impl Node {
    /// True if everything in the log is synced.
    pub fn is_synced(&self) -> bool {
        let log = self.log.as_ref();
        log.is_none_or(|log| log.storage().is_synced())
    }
}

/// The committee and its world.
pub struct Sim {
    pub options: Options,
    pub now: u64,
    pub nodes: Vec<Node>,
    pub audit: Audit,
    random: Random,
    queue: BTreeMap<(u64, u64), (usize, u64, Item)>,
    sequence: u64,
    /// Which side of the partition each process is on.
    sides: Vec<u8>,
    next_partition: u64,
    /// Messages of this kind from here to there are lost; for scenarios.
    pub filter: Filter,
    committee: Committee,
    keys: Vec<SecretKey>,
    genesis: Block,
    pub trace: Hash32,
    /// When each block was first proposed.
    proposed: BTreeMap<BlockId, u64>,
    /// Processes that a foreign vote stopped.
    pub stopped: BTreeSet<usize>,
    /// From proposal to commit of each directly final block, at each node.
    pub latencies: Vec<u64>,
}

/// A committee with keys in its order.
pub fn committee(stakes: &[u64]) -> (Committee, Vec<SecretKey>) {
    let validators = testing::validators(stakes);
    let keys = validators.into_iter().map(|validator| validator.key);
    (testing::committee(stakes), keys.collect())
}

/// A block with an empty body.
pub fn block(parent: BlockId, height: u64, timestamp: u64, proposer: ValidatorId) -> Block {
    let (height, timestamp) = (Height(height), Timestamp(timestamp));
    testing::empty_block(CHAIN, parent, height, timestamp, proposer)
}

impl Sim {
    pub fn new(options: Options) -> Self {
        let (committee, keys) = committee(&options.stakes);
        let genesis = block(BlockId::default(), 0, UNIX_BASE, ValidatorId::ZERO);
        let mut random = Random::new(options.seed);
        let mut sim = Self {
            now: 0,
            nodes: Vec::new(),
            audit: Audit::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            sides: Vec::new(),
            next_partition: options.partition_every_ms,
            filter: Box::new(|_, _, _, _| true),
            trace: Hash32::ZERO,
            proposed: BTreeMap::new(),
            stopped: BTreeSet::new(),
            latencies: Vec::new(),
            committee,
            keys,
            genesis,
            random: random.fork(),
            options,
        };
        let members: Vec<u16> = sim.committee.indices().map(|index| index.0).collect();
        for index in members.into_iter().chain(sim.options.twins.clone()) {
            sim.add(ValidatorIndex(index), random.below(60));
        }
        sim
    }

    fn add(&mut self, index: ValidatorIndex, skew_ms: u64) {
        let log = Log::init(MemoryStorage::new(), self.identity(index))
            .unwrap()
            .with_segment_bytes(4_000);
        let node = Node {
            index,
            replica: None,
            store: Store::new(self.genesis.clone()),
            log: None,
            disk: log.into_storage(),
            life: 0,
            timer: None,
            executed: BTreeSet::new(),
            skew_ms,
        };
        self.nodes.push(node);
        self.sides.push(0);
        self.schedule(0, self.nodes.len() - 1, Item::Restart);
    }

    pub fn is_twin(&self, node: usize) -> bool {
        self.options.twins.contains(&self.nodes[node].index.0)
    }

    /// The id of the member at a position.
    fn id(&self, index: ValidatorIndex) -> ValidatorId {
        self.committee.id(index).expect("a member")
    }

    /// The committee's term.
    pub fn term(&self) -> Term<'_> {
        Term {
            chain: CHAIN,
            epoch: Epoch::FIRST,
            committee: &self.committee,
        }
    }

    fn identity(&self, index: ValidatorIndex) -> Identity {
        let validator = self.keys[usize::from(index.0)].public();
        Identity {
            chain: CHAIN,
            validator,
            epoch: Epoch::FIRST,
        }
    }

    fn clock(&self, node: usize) -> Now {
        let unix = Timestamp(UNIX_BASE + self.now + self.nodes[node].skew_ms);
        Now {
            monotonic: Monotonic(self.now),
            unix,
        }
    }

    fn schedule(&mut self, at: u64, node: usize, item: Item) {
        self.sequence += 1;
        let life = self.nodes[node].life;
        self.queue.insert((at, self.sequence), (node, life, item));
    }

    /// Puts every process on a side; messages pass only between processes of one side.
    pub fn part(&mut self, sides: &[u8]) {
        self.sides = sides.to_vec();
    }

    pub fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// Runs until `end` or the first violation.
    pub fn run_until(&mut self, end: u64) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry() {
            let (at, _) = *entry.key();
            if at > end {
                break;
            }
            let (node, life, item) = entry.remove();
            self.now = at;
            self.change_partition();
            if matches!(item, Item::Restart) {
                if self.nodes[node].replica.is_none() {
                    self.restart(node)?;
                }
            } else if self.nodes[node].life == life && self.nodes[node].replica.is_some() {
                self.happen(node, item)?;
            }
        }
        self.now = end;
        Ok(())
    }

    /// Runs the whole time that the options give, faults first.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.run_until(self.options.heal_at_ms)?;
        (
            self.options.crash_per_10_000,
            self.options.partition_every_ms,
        ) = (0, 0);
        self.heal();
        self.run_until(self.options.end_ms)
    }

    fn change_partition(&mut self) {
        if self.options.partition_every_ms == 0 || self.now < self.next_partition {
            return;
        }
        self.next_partition = self.now + self.options.partition_every_ms;
        let whole = self.random.below(3) == 0;
        for side in &mut self.sides {
            *side = if whole {
                0
            } else {
                u8::try_from(self.random.below(2)).unwrap()
            };
        }
    }

    fn happen(&mut self, node: usize, item: Item) -> Result<(), Violation> {
        let now = self.clock(node);
        let effects = match item {
            Item::Timer => {
                if self.nodes[node]
                    .timer
                    .is_none_or(|timer| timer > now.monotonic)
                {
                    return Ok(());
                }
                self.nodes[node].timer = None;
                self.replica(node).step(now, Event::Timer)
            }
            Item::Answer(event) => {
                if let Event::Executed { block, .. } = *event {
                    self.nodes[node].executed.insert(block);
                }
                self.replica(node).step(now, *event)
            }
            Item::Deliver { from, bytes } => {
                let message = Message::from_bytes(&bytes).map_err(|error| error.to_string())?;
                self.trace = Hash32::of_parts(
                    types::hash::Domain::LOG_RECORD,
                    &[
                        &self.trace.0,
                        &self.now.to_le_bytes(),
                        &from.to_le_bytes(),
                        &bytes,
                    ],
                );
                let from = self.id(ValidatorIndex(from));
                self.replica(node).receive(now, from, message)
            }
            Item::Served { to, bytes } => self.replica(node).served(now, to, bytes),
            Item::Restart => return Ok(()),
        };
        self.perform(node, effects.into_iter().collect())
    }

    fn replica(&mut self, node: usize) -> &mut Replica {
        self.nodes[node].replica.as_mut().expect("runs")
    }

    /// Stops a process at once; it starts again after a while.
    pub fn crash(&mut self, node: usize, away_ms: u64) {
        let torn = usize::try_from(self.random.below(200)).unwrap();
        let state = &mut self.nodes[node];
        state.life += 1;
        state.replica = None;
        if let Some(log) = state.log.take() {
            state.disk = log.into_storage();
        }
        state.disk = state.disk.crashed(torn);
        state.store.crash();
        let at = self.now + away_ms;
        self.schedule(at, node, Item::Restart);
    }

    /// Stops a process at once and for good, unless [`Sim::start`] is asked for.
    pub fn turn_off(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        state.life += 1;
        state.replica = None;
        if let Some(log) = state.log.take() {
            state.disk = log.into_storage();
        }
        self.stopped.insert(node);
    }

    /// Starts a process now.
    pub fn start(&mut self, node: usize) {
        self.stopped.remove(&node);
        self.schedule(self.now, node, Item::Restart);
    }

    /// Starts a process from its disks.
    fn restart(&mut self, node: usize) -> Result<(), Violation> {
        let identity = self.identity(self.nodes[node].index);
        let disk = self.nodes[node].disk.clone();
        let (log, records) = Log::open(disk, identity).map_err(|error| error.to_string())?;
        self.nodes[node].log = Some(log.with_segment_bytes(4_000));
        self.audit.reopen(node, &records);
        let restored = Restored {
            tip: self.nodes[node].store.tip(),
            finalization: self.nodes[node].store.finality(),
            records,
        };
        self.nodes[node].executed.clear();
        let config = self.config(node);
        let secret = Hash32([u8::try_from(node).unwrap(); 32]);
        let (replica, effects) = Replica::start(config, secret, self.clock(node), restored)
            .map_err(|error| error.to_string())?;
        self.nodes[node].timer = None;
        self.nodes[node].replica = Some(replica);
        self.perform(node, effects.into_iter().collect())
    }

    fn config(&self, node: usize) -> Config {
        let key = self.keys[usize::from(self.nodes[node].index.0)].clone();
        let mut timing = Timing::new(&Params::devnet());
        timing.pace_ms = 100;
        Config::new(
            CHAIN,
            Epoch::FIRST,
            self.committee.clone(),
            key,
            self.genesis.id(),
            timing,
        )
        .expect("a member")
    }

    /// Heights of the honest nodes' last committed blocks.
    pub fn heights(&self) -> Vec<u64> {
        let honest = (0..self.nodes.len()).filter(|node| !self.is_twin(*node));
        honest
            .map(|node| self.nodes[node].store.tip().height.0)
            .collect()
    }

    /// Who proposed the blocks of the first node from a height on.
    pub fn proposers(&self, from: u64) -> impl Iterator<Item = ValidatorIndex> {
        let blocks = self.nodes[0].store.blocks_from(Height(from));
        blocks.filter_map(|block| self.committee.index_of(&block.header.proposer))
    }

    /// The timestamps of the first node's blocks from a height on, in milliseconds of the run.
    pub fn timestamps(&self, from: u64) -> Vec<u64> {
        let blocks = self.nodes[0].store.blocks_from(Height(from));
        blocks
            .map(|block| block.header.timestamp.0 - UNIX_BASE)
            .collect()
    }

    /// Fails unless every honest node has committed that high.
    pub fn require_height(&self, least: u64) -> Result<(), Violation> {
        let heights = self.heights();
        if heights.iter().any(|height| *height < least) {
            return Err(format!(
                "no progress: heights {heights:?}, expected {least} at {} ms",
                self.now
            ));
        }
        Ok(())
    }
}

/// What a store says of its end.
pub fn tip_of(block: &Block) -> CommittedTip {
    CommittedTip {
        id: block.id(),
        height: block.header.height,
        timestamp: block.header.timestamp,
    }
}
