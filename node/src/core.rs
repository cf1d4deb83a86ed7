//! A validator without its surroundings: consensus, the undecided state, mempool, duties and blobs in one pure step.
//!
//! [`Node::step`] takes the time, the decided state and an [`Event`], and gives [`Effect`]s to be performed in their
//! order. What it promises beyond what its parts promise:
//!
//! - A vote leaves only after its record was given to [`Effect::Persist`], and a block is committed only after its
//!   finalization was.
//! - Execution is asked for and answered; nothing here waits. Executions, buildings and commits are asked for in an
//!   order in which they can be done one after the other.
//! - A block is filled up to [`MAX_BUILD_DEPTH`](types::limits::MAX_BUILD_DEPTH) above the store's last one; deeper
//!   ones are built empty, because old blocks may need new ones to become final.
//! - A final block that does not execute, or executes to another root, ends in [`Effect::Stop`], and so does a panic in
//!   execution, before any vote on it.
//!
//! What it leaves out: time, threads, files, sockets. The shell and the simulator have one each of those.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use consensus::{Replica, Restored, StartError, Timing};
use state::{ChainStore, DecidedState, StateError, Undecided};
use types::genesis::Genesis;
use types::hash::{BlobId, BlockId, Hash32, TransactionId, ValidatorId};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{Epoch, Height, View};
use types::time::{Monotonic, Now};
use types::transaction::SignedTransaction;
use vm::Rules;

use crate::application::{self, Executed, Parent};

pub mod blob_book;
mod chain;
mod duty;
pub mod effect;
pub mod input;
mod pools;
pub mod wire;
pub mod work;

#[cfg(test)]
mod tests;

pub use blob_book::{BlobRequest, Retention};
pub use effect::{Effect, Stop, Target};
pub use input::{Event, Execute, Outrun, Ticket};
pub use wire::{BlobMessage, Channel, ChunkRequest, Frame, PoolMessage};
pub use work::Work;

use blob_book::BlobBook;
use pools::Pools;

/// The term of office of the one committee that this version has.
pub const CONSENSUS_EPOCH: Epoch = Epoch(0);

/// Final views that may be on their way into the store without the node being behind.
const VIEWS_BEHIND: u64 = 4;

/// What a core is told once.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The chain's rules.
    pub rules: Arc<Rules>,
    /// The configuration of consensus, with the validator's key.
    pub consensus: consensus::Config,
    /// The validator's key again: it signs stored statements too.
    pub validator_key: SecretKey,
    /// Proves beacon outputs.
    pub vrf_key: VrfSecretKey,
    /// Unpredictable to others: blinds the batch verification of signatures.
    pub secret: Hash32,
    /// What is kept beyond what live jobs need.
    pub retention: Retention,
    /// Most transactions and bytes that wait.
    pub mempool: vm::MempoolLimits,
}

/// Why a core does not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The genesis has no committee.
    #[error(transparent)]
    Committee(#[from] types::committee::CommitteeError),
    /// The keys do not belong to the genesis.
    #[error(transparent)]
    Consensus(#[from] consensus::ConfigError),
    /// The VRF key is not the one that genesis names.
    #[error(
        "the VRF key is not the one that the genesis names for this validator: check the key files"
    )]
    VrfKey,
    /// Log and store do not fit.
    #[error(transparent)]
    Start(#[from] StartError),
    /// State cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// State contradicts itself.
    #[error(transparent)]
    Fault(#[from] vm::Fault),
}

impl Setup {
    /// The setup of a validator of a chain.
    pub fn new(
        genesis: &Genesis,
        validator_key: SecretKey,
        vrf_key: VrfSecretKey,
        secret: Hash32,
    ) -> Result<Self, SetupError> {
        let rules = Rules::new(genesis)?.with_batch_secret(secret);
        let timing = Timing::new(&genesis.params);
        let consensus = consensus::Config::new(
            rules.chain_id,
            CONSENSUS_EPOCH,
            rules.committee.clone(),
            validator_key.clone(),
            genesis.header().id(),
            timing,
        )?;
        let member = rules.committee.validator(&consensus.id());
        if member.is_none_or(|member| member.vrf_key != vrf_key.public()) {
            return Err(SetupError::VrfKey);
        }
        let retention = Retention {
            results_ms: 3_600_000,
            quota_bytes: 8 << 30,
        };
        let mempool = vm::MempoolLimits::default();
        Ok(Self {
            rules: Arc::new(rules),
            consensus,
            validator_key,
            vrf_key,
            secret,
            retention,
            mempool,
        })
    }

    /// Whose log it is that this validator writes.
    #[must_use]
    pub fn log_identity(&self) -> consensus::log::Identity {
        let (chain, validator) = (self.consensus.chain, self.consensus.signer.public());
        consensus::log::Identity {
            chain,
            validator,
            epoch: self.consensus.epoch,
        }
    }
}

/// A block that is final and on its way into the store.
#[derive(Debug, Clone, Copy)]
struct Committing {
    height: Height,
    block: BlockId,
    /// The view of its own finalization.
    finalized: Option<View>,
}

/// When somebody wants to be woken.
#[derive(Debug, Clone, Copy, Default)]
struct Timers {
    consensus: Option<Monotonic>,
    /// What was last given to [`Effect::SetTimer`] and has not come yet.
    set: Option<Monotonic>,
}

/// A validator's core.
#[derive(Debug)]
pub struct Node {
    setup: Setup,
    own: ValidatorId,
    replica: Replica,
    undecided: Undecided,
    /// The results of all undecided blocks.
    executed: BTreeMap<BlockId, Executed>,
    /// The blocks whose execution was asked for, with their parents.
    executing: BTreeMap<BlockId, BlockId>,
    /// The store's last block.
    tip: Parent,
    committing: VecDeque<Committing>,
    /// Height of the last commit that was asked to be durable.
    synced: Height,
    /// The newest finalization in the store, durable or not.
    stored_view: Option<View>,
    /// The highest view that was known to be final at the start.
    start_view: View,
    pools: Pools,
    book: BlobBook,
    peers: BTreeSet<ValidatorId>,
    timers: Timers,
    stopped: bool,
}

/// What a running core shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The view that consensus is in.
    pub view: View,
    /// True if final blocks are known that are not in the store yet.
    pub catching_up: bool,
    /// Transactions waiting.
    pub mempool_transactions: usize,
    /// Their bytes.
    pub mempool_bytes: usize,
}

impl Node {
    /// Starts from what is on disk: the store, the log's records and the blobs. The effects are to be performed like
    /// those of a step.
    pub fn start(
        setup: Setup,
        now: Now,
        store: &(impl ChainStore + Sized),
        records: Vec<consensus::log::Record>,
        blobs: BTreeSet<BlobId>,
    ) -> Result<(Self, Vec<Effect>), SetupError> {
        let tip = application::restore_parent(store)?;
        let finalization = store
            .newest_certificate()?
            .map(|(_, certificate)| certificate);
        let stored_view = finalization
            .as_ref()
            .map(|certificate| certificate.statement.view);
        let restored = Restored {
            tip: consensus::Tip {
                id: tip.id,
                height: tip.header.height,
                timestamp: tip.header.timestamp,
            },
            finalization,
            records,
        };
        let (replica, effects) =
            Replica::start(setup.consensus.clone(), setup.secret, now, restored)?;
        let start_view = replica.final_view();
        let own = setup.consensus.id();
        let book = BlobBook::new(Some(own), setup.retention, blobs, now.unix.0);
        let mut node = Self {
            own,
            replica,
            undecided: Undecided::new(store.tip()),
            executed: BTreeMap::new(),
            executing: BTreeMap::new(),
            synced: tip.header.height,
            tip,
            committing: VecDeque::new(),
            stored_view,
            start_view,
            pools: Pools::new(setup.mempool),
            book,
            peers: BTreeSet::new(),
            timers: Timers::default(),
            stopped: false,
            setup,
        };
        let mut out = Vec::new();
        node.restore_jobs(store, now)?;
        node.perform(now, store, effects, &mut out);
        node.settle(now, store, &mut out);
        Ok((node, out))
    }

    fn restore_jobs(&mut self, state: &dyn DecidedState, now: Now) -> Result<(), vm::Fault> {
        for id in vm::query::live_jobs(state)? {
            if let Some(record) = vm::query::job(state, &id)? {
                self.book.job_changed(&record, now.unix.0);
            }
        }
        Ok(())
    }

    /// Takes one event. `state` is the decided state as the store has it now.
    pub fn step(&mut self, now: Now, state: &dyn DecidedState, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        if self.stopped {
            return out;
        }
        self.dispatch(now, state, event, &mut out);
        self.settle(now, state, &mut out);
        out
    }

    fn dispatch(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        event: Event,
        out: &mut Vec<Effect>,
    ) {
        match event {
            Event::Timer => {
                self.timers.set = None;
                if self.timers.consensus.is_some_and(|at| at <= now.monotonic) {
                    self.timers.consensus = None;
                    self.consensus(now, state, consensus::Event::Timer, out);
                }
            }
            Event::Peers(peers) => self.peers_changed(peers, out),
            Event::Frame { from, frame } => self.receive(now, state, from, &frame, out),
            Event::Submit {
                ticket,
                transaction,
            } => {
                let result = self.submit(now, state, *transaction);
                out.push(Effect::Answer { ticket, result });
            }
            Event::Executed { block, result } => self.executed(now, state, block, result, out),
            Event::Built(Ok(built)) => {
                self.pools.refused(&built.refused);
                let event = consensus::Event::Proposed {
                    view: built.view,
                    block: built.block,
                };
                self.consensus(now, state, event, out);
            }
            Event::Built(Err(stop)) => self.stop(stop, out),
            Event::Outrun(work) => self.outrun(now, state, work, out),
            Event::Committed { height, synced } => {
                if let Err(stop) = self.committed(now, state, height, synced, out) {
                    self.stop(stop, out);
                }
            }
            Event::BlobStored(blob) => {
                self.book.stored(blob, now.unix.0);
                offer(&[blob], out);
            }
            Event::BlobLost(blob) => self.book.lost(&blob),
            Event::BlobMissing { blob, from } => {
                self.book.fetch_failed(blob, from, now.monotonic.0)
            }
            Event::OutcomesRead { blob, outcomes } => {
                self.book.outcomes_read(blob, outcomes.as_deref())
            }
        }
    }

    fn receive(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        from: ValidatorId,
        frame: &Frame,
        out: &mut Vec<Effect>,
    ) {
        match frame.channel {
            Channel::Consensus => {
                if let Ok(message) = consensus::Message::from_bytes(&frame.bytes) {
                    let effects = self.replica.receive(now, from, message);
                    self.perform(now, state, effects, out);
                }
            }
            Channel::Pool => {
                if let Ok(message) = PoolMessage::from_bytes(&frame.bytes) {
                    self.pools.receive(
                        &self.setup.rules,
                        state,
                        self.tip.header.height,
                        from,
                        message,
                    );
                }
            }
            Channel::Blobs => {
                if let Ok(BlobMessage::Have(blobs)) = BlobMessage::from_bytes(&frame.bytes) {
                    for blob in &blobs {
                        self.book.offered(*blob, from);
                    }
                }
            }
        }
    }

    fn submit(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        transaction: SignedTransaction,
    ) -> Result<TransactionId, vm::MempoolError> {
        let height = self.tip.header.height;
        self.pools.submit(
            &self.setup.rules,
            state,
            height,
            now.monotonic.0,
            transaction,
        )
    }

    /// What follows from whatever happened: duties, floods, urgency, blobs, the timer.
    fn settle(&mut self, now: Now, state: &dyn DecidedState, out: &mut Vec<Effect>) {
        if self.stopped {
            return;
        }
        self.forget();
        let requests = self.book.settle(now.monotonic.0, now.unix.0, &self.peers);
        out.extend(requests.into_iter().map(Effect::Blob));
        if let Err(fault) = self.do_duties(now, state) {
            return self.stop(fault.into(), out);
        }
        for (frame, except) in self.pools.flood(now.monotonic.0) {
            out.push(Effect::Send {
                to: Target::All { except },
                frame,
            });
        }
        match self.pools.urgency_changed(state) {
            Ok(None) => {}
            Ok(Some(urgent)) => self.consensus(now, state, consensus::Event::Urgent(urgent), out),
            Err(fault) => return self.stop(fault.into(), out),
        }
        self.set_timer(out);
    }

    fn set_timer(&mut self, out: &mut Vec<Effect>) {
        let book = self.book.next_wake_ms().map(Monotonic);
        let pools = self.pools.next_wake_ms().map(Monotonic);
        let next = [self.timers.consensus, book, pools]
            .into_iter()
            .flatten()
            .min();
        if next.is_some() && next != self.timers.set {
            self.timers.set = next;
            out.extend(next.map(Effect::SetTimer));
        }
    }

    fn peers_changed(&mut self, peers: BTreeSet<ValidatorId>, out: &mut Vec<Effect>) {
        let new: Vec<_> = peers.difference(&self.peers).copied().collect();
        self.peers = peers;
        for peer in new {
            for frame in self.pools.greeting() {
                out.push(Effect::Send {
                    to: Target::One(peer),
                    frame,
                });
            }
        }
    }

    fn stop(&mut self, stop: Stop, out: &mut Vec<Effect>) {
        self.stopped = true;
        out.push(Effect::Stop(stop));
    }

    /// The validator's id.
    #[must_use]
    pub fn id(&self) -> ValidatorId {
        self.own
    }

    /// The rules of its chain.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.setup.rules
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            view: self.replica.view(),
            catching_up: self.is_behind(),
            mempool_transactions: self.pools.mempool().len(),
            mempool_bytes: self.pools.mempool().bytes(),
        }
    }

    /// True until something was decided or seen to be decided since the start, and while more than a few views that
    /// are known to be final are not in the store.
    fn is_behind(&self) -> bool {
        let stored = self.stored_view.unwrap_or(View::ZERO);
        let heard = self.replica.final_view() > self.start_view;
        !heard || self.replica.final_view() > stored.saturating_add(VIEWS_BEHIND)
    }

    /// True if a live job needs the blob.
    #[must_use]
    pub fn needs_blob(&self, blob: &BlobId) -> bool {
        self.book.needs(blob)
    }

    /// The transactions that wait.
    #[must_use]
    pub fn mempool(&self) -> &vm::Mempool {
        self.pools.mempool()
    }
}

/// Tells the others which blobs are here now.
fn offer(blobs: &[BlobId], out: &mut Vec<Effect>) {
    if let Ok(blobs) = types::codec::Bounded::new(blobs.to_vec()) {
        let frame = Frame::blobs(&BlobMessage::Have(blobs));
        out.push(Effect::Send {
            to: Target::All { except: None },
            frame,
        });
    }
}
