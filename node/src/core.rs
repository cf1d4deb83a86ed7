//! A validator without its surroundings: the chain and consensus, joined in one pure step.
//!
//! [`Node::step`] takes the time, the decided state and an [`Event`], and gives [`Effect`]s to be performed in their
//! order. What it promises beyond what its parts promise:
//!
//! - A vote stands after its record in [`Effect::Persist`], and a block's commit after its finalization. A host that
//!   passes effects through [`LogGate`] lets none of them leave before the disk has what it rests on.
//! - Execution is asked for and answered; nothing here waits. Executions, buildings and commits are asked for in an
//!   order in which they can be done one after the other.
//! - A block is filled up to [`MAX_BUILD_DEPTH`](types::limits::MAX_BUILD_DEPTH) above the store's last one; deeper
//!   ones are built empty, because old blocks may need new ones to become final.
//! - A final block that does not execute, or executes to another root, ends in [`Effect::Stop`]. One on which execution
//!   panics is invalid here, is never executed again, and stops the node only once it is final.
//!
//! What it leaves out: time, threads, files, sockets. The shell and the simulator have one each of those.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::{BlobMessage, Chain, Gossip, OwnValidator, PoolMessage, RefusedVersion, Retention};
use consensus::{Fault, Replica, Restored, Timing};
use state::{ChainStore, DecidedState, StateError, StateRead};
use types::genesis::Genesis;
use types::hash::{BlobId, BlockId, Hash32, ValidatorId};
use types::key::VrfSecretKey;
use types::number::{Epoch, View};
use types::signer::Signer;
use types::time::{Monotonic, Now};
use types::versions::VersionSchedule;
use vm::Rules;

mod application;
pub mod attendance;
pub mod certificates;
pub mod effect;
pub mod gate;
pub mod input;
pub mod wire;

#[cfg(test)]
mod tests;

use attendance::Attendance;
use certificates::{CertificateTime, CertificateTimes};
pub use effect::{Effect, StopReason};
pub use gate::{GateVerdict, LogGate, RecordGroup};
pub use input::Event;
pub use wire::{Frame, FrameChannel};

/// Final views that may be on their way into the store without the node being behind.
const VIEWS_BEHIND: u64 = 4;

/// What a core is told once.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// The configuration of the chain.
    pub chain: chain::Setup,
    /// The configuration of consensus, with the validator's key.
    pub consensus: consensus::Config,
    /// Unpredictable to others: blinds the batch verification of signatures.
    pub secret: Hash32,
}

/// Why a core does not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The genesis has no committee.
    #[error(transparent)]
    Committee(#[from] types::committee::CommitteeError),
    /// The keys do not belong to the genesis.
    #[error(transparent)]
    Keys(#[from] consensus::ConfigError),
    /// The VRF key is not the one that genesis names.
    #[error(
        "the VRF key is not the one that the genesis names for this validator: check the key files"
    )]
    VrfKey,
    /// Another committee is in office than the one that the engine was set up for.
    #[error(
        "the committee in office took office in epoch {state}, consensus is set up for that of epoch {engine}"
    )]
    OtherCommittee {
        /// The first epoch of the committee in state.
        state: Epoch,
        /// The first epoch of the engine's committee.
        engine: Epoch,
    },
    /// Log and store do not fit.
    #[error(transparent)]
    Consensus(#[from] consensus::StartError),
    /// The store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The chain does not start.
    #[error(transparent)]
    Chain(#[from] chain::Fatal),
}

impl NodeSetup {
    /// The setup of a validator of a chain.
    pub fn new(
        genesis: &Genesis,
        signer: impl Into<Signer>,
        vrf_key: VrfSecretKey,
        secret: Hash32,
    ) -> Result<Self, SetupError> {
        let rules = Rules::new(genesis)?.with_batch_secret(secret);
        let signer = signer.into();
        let own = OwnValidator {
            id: signer.public().validator_id(),
            signer,
            vrf_key,
        };
        let consensus = consensus_config(&rules, &own, genesis.header().id())?;
        let chain = chain::Setup {
            rules: Arc::new(rules),
            own: Some(own),
            retention: Retention::default(),
            mempool: vm::MempoolLimits::default(),
            quarantined: BTreeSet::new(),
        };
        Ok(Self {
            chain,
            consensus,
            secret,
        })
    }

    /// The same with another schedule of protocol versions than that of genesis alone.
    #[must_use]
    pub fn with_versions(mut self, versions: VersionSchedule) -> Self {
        let rules = Rules::clone(&self.chain.rules).with_versions(versions);
        self.chain.rules = Arc::new(rules);
        self
    }

    /// The same for the committee and the parameters in force in a state, which need not be those of genesis. Whoever
    /// opens the log and starts the core must have asked the store's state first.
    pub fn in_force(mut self, state: &dyn StateRead) -> Result<Self, SetupError> {
        let rules = self.chain.rules.in_force(state);
        if let (Cow::Owned(rules), Some(own)) =
            (rules.map_err(chain::Fatal::from)?, &self.chain.own)
        {
            self.consensus = consensus_config(&rules, own, self.consensus.genesis)?;
            self.chain.rules = Arc::new(rules);
        }
        Ok(self)
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

/// The configuration of consensus for a validator under the rules in force. Errors: it is no member of the committee, or
/// the committee lists another VRF key for it.
fn consensus_config(
    rules: &Rules,
    own: &OwnValidator,
    genesis: BlockId,
) -> Result<consensus::Config, SetupError> {
    let config = consensus::Config::new(
        rules.chain_id,
        rules.committee_since,
        rules.committee.clone(),
        own.signer.clone(),
        genesis,
        Timing::new(&rules.params),
    )?;
    let member = rules.committee.validator(&own.id);
    if member.is_none_or(|member| member.vrf_key != own.vrf_key.public()) {
        return Err(SetupError::VrfKey);
    }
    Ok(config)
}

/// When somebody wants to be woken.
#[derive(Debug, Clone, Copy, Default)]
struct NodeTimers {
    consensus: Option<Monotonic>,
    /// What was last given to [`Effect::SetTimer`] and has not come yet.
    set: Option<Monotonic>,
}

/// A validator's core: chain and consensus behind one step function, without clock, disk or network.
#[derive(Debug)]
pub struct Node {
    own: ValidatorId,
    chain: Chain,
    replica: Replica,
    /// The newest finalization in the store, durable or not.
    stored_view: Option<View>,
    /// The highest view that was known to be final at the start.
    start_view: View,
    timers: NodeTimers,
    attendance: Attendance,
    certificates: CertificateTimes,
    stopped: bool,
}

/// What a running core shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreStatus {
    /// The view that consensus is in.
    pub view: View,
    /// True if final blocks are known that are not in the store yet.
    pub catching_up: bool,
    /// How far our clock is ahead of the other leaders', see [`consensus::Engine::clock_ahead_ms`].
    pub clock_ahead_ms: Option<i64>,
    /// Transactions in the mempool.
    pub mempool_transactions: usize,
    /// Encoded bytes of the transactions in the mempool.
    pub mempool_bytes: usize,
}

impl Node {
    /// Starts from what is on disk: the store, the log's records and the blobs. The effects are to be performed like
    /// those of a step.
    pub fn start(
        setup: NodeSetup,
        now: Now,
        store: &impl ChainStore,
        records: Vec<consensus::log::Record>,
        blobs: BTreeSet<BlobId>,
    ) -> Result<(Self, Vec<Effect>), SetupError> {
        let rules = setup
            .chain
            .rules
            .in_force(store)
            .map_err(chain::Fatal::from)?;
        if rules.committee_since != setup.consensus.epoch {
            return Err(SetupError::OtherCommittee {
                state: rules.committee_since,
                engine: setup.consensus.epoch,
            });
        }
        let chain = Chain::start(setup.chain, now, store, blobs)?;
        let tip = chain.tip();
        let finalization = store
            .newest_certificate()?
            .map(|(_, certificate)| certificate);
        let stored_view = finalization
            .as_ref()
            .map(|certificate| certificate.statement.view);
        let restored = Restored {
            tip: consensus::CommittedTip {
                id: tip.id,
                height: tip.header.height,
                timestamp: tip.header.timestamp,
            },
            finalization,
            records,
        };
        let own = setup.consensus.id();
        let (chain_id, epoch) = (setup.consensus.chain, setup.consensus.epoch);
        let committee = setup.consensus.committee.clone();
        let leaders = consensus::Leaders::new(chain_id, epoch, committee.clone());
        let idle_target_ms = chain.rules().params.idle_target_ms;
        let (replica, effects) = Replica::start(setup.consensus, setup.secret, now, restored)?;
        let view = replica.view();
        let attendance = Attendance::new(own, committee, leaders, view, idle_target_ms, now);
        let mut node = Self {
            own,
            chain,
            attendance,
            certificates: CertificateTimes::default(),
            start_view: replica.final_view(),
            replica,
            stored_view,
            timers: NodeTimers::default(),
            stopped: false,
        };
        let mut out = Vec::new();
        node.perform(now, store, effects, &mut out);
        node.settle(now, store, &mut out);
        Ok((node, out))
    }

    /// Takes one event. `state` is the decided state as the store has it now.
    pub fn step(&mut self, now: Now, state: &dyn DecidedState, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        if self.stopped {
            return out;
        }
        match event {
            Event::Timer => {
                self.timers.set = None;
                if self.timers.consensus.is_some_and(|at| at <= now.monotonic) {
                    self.timers.consensus = None;
                    self.consensus(now, state, consensus::Event::Timer, &mut out);
                }
            }
            Event::Frame { from, frame } => self.receive(now, state, from, &frame, &mut out),
            Event::Served { to, bytes } => {
                let effects = self.replica.served(now, to, bytes);
                self.perform(now, state, effects, &mut out);
            }
            Event::Chain(event) => self.tell_chain(now, state, event, &mut out),
        }
        self.settle(now, state, &mut out);
        out
    }

    fn receive(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        from: ValidatorId,
        frame: &Frame,
        out: &mut Vec<Effect>,
    ) {
        if self.replica.is_banned(now, &from) {
            return;
        }
        let message = match frame.channel {
            FrameChannel::Consensus => {
                match consensus::Message::from_bytes(&frame.bytes) {
                    Ok(message) => {
                        if let Some(view) = said_in(&message) {
                            self.attendance.voted(now, from, view);
                        }
                        let effects = self.replica.receive(now, from, message);
                        self.perform(now, state, effects, out);
                    }
                    Err(_) => self.blame(now, state, from, Fault::BadFrame, out),
                }
                return;
            }
            FrameChannel::Pool => PoolMessage::from_bytes(&frame.bytes).map(Gossip::Pool),
            FrameChannel::Blobs => BlobMessage::from_bytes(&frame.bytes).map(Gossip::Blobs),
        };
        match message {
            Ok(message) => {
                let event = chain::Event::Gossip { from, message };
                self.tell_chain(now, state, event, out);
            }
            Err(_) => self.blame(now, state, from, Fault::BadFrame, out),
        }
    }

    /// Counts a fault of a validator that was found outside of consensus.
    fn blame(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        by: ValidatorId,
        fault: Fault,
        out: &mut Vec<Effect>,
    ) {
        let effects = self.replica.blame(now, by, fault);
        self.perform(now, state, effects, out);
    }

    fn tell_chain(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        event: chain::Event,
        out: &mut Vec<Effect>,
    ) {
        let effects = self.chain.step(now, state, event);
        self.obey(now, state, effects, out);
    }

    /// What follows from whatever happened: forgotten blocks, the chain's upkeep, the timer.
    fn settle(&mut self, now: Now, state: &dyn DecidedState, out: &mut Vec<Effect>) {
        if self.stopped {
            return;
        }
        let engine = self.replica.engine();
        self.attendance
            .entered(engine.view(), |view| engine.is_nullified(view));
        self.certificates.entered(now.monotonic, engine.view());
        self.chain.retain(|block| engine.holds(block));
        let effects = self.chain.settle(now, state);
        self.obey(now, state, effects, out);
        if !self.stopped {
            self.set_timer(out);
        }
    }

    fn set_timer(&mut self, out: &mut Vec<Effect>) {
        let next = [self.timers.consensus, self.chain.next_wake()];
        let next = next.into_iter().flatten().min();
        if next.is_some() && next != self.timers.set {
            self.timers.set = next;
            out.extend(next.map(Effect::SetTimer));
        }
    }

    fn stop(&mut self, stop: StopReason, out: &mut Vec<Effect>) {
        self.stopped = true;
        out.push(Effect::Stop(stop));
    }

    /// Id of this validator, the address of its key.
    #[must_use]
    pub fn id(&self) -> ValidatorId {
        self.own
    }

    /// The rules of its chain.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        self.chain.rules()
    }

    /// Heights, view, peers and mempool at this moment, for status answers.
    #[must_use]
    pub fn standing(&self) -> CoreStatus {
        CoreStatus {
            view: self.replica.view(),
            catching_up: self.is_behind(),
            clock_ahead_ms: self.replica.engine().clock_ahead_ms(),
            mempool_transactions: self.chain.mempool().len(),
            mempool_bytes: self.chain.mempool().bytes(),
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
        self.chain.needs_blob(blob)
    }

    /// What was heard of each validator since the start.
    #[must_use]
    pub fn attendance(&self) -> &Attendance {
        &self.attendance
    }

    /// The certificates that consensus acted on since this was last asked, at most 256.
    pub fn take_certificates(&mut self) -> Vec<CertificateTime> {
        self.certificates.take()
    }

    /// How many transactions were refused since the start, by rule.
    #[must_use]
    pub fn refused_transactions(&self) -> &BTreeMap<&'static str, u64> {
        self.chain.refused()
    }

    /// Validators whose blocks above the newest decided one were refused for their protocol version.
    #[must_use]
    pub fn refused_versions(&self) -> &BTreeMap<ValidatorId, RefusedVersion> {
        self.chain.refused_versions()
    }

    /// True once the peers have answered what this validator voted before, so that it votes.
    #[must_use]
    pub fn is_voting(&self) -> bool {
        self.replica.engine().is_voting()
    }

    /// The transactions that wait.
    #[must_use]
    pub fn mempool(&self) -> &vm::Mempool {
        self.chain.mempool()
    }
}

/// The view in which a message shows its sender voting, if it does.
fn said_in(message: &consensus::Message) -> Option<View> {
    match message {
        consensus::Message::Vote(vote) => Some(vote.statement.view),
        consensus::Message::Proposal(proposal) => Some(proposal.view),
        _ => None,
    }
}
