//! The shell of a node: one loop that feeds the core and performs what it says, in its order.
//!
//! The loop waits on closed enums only. What must be on disk before something leaves is written and synced by a thread
//! of its own; until then the gate holds back what rests on it. Execution and commits run on a worker thread each, in
//! their order; blobs move in tasks of their own. Every
//! queue is bounded, and whatever is started here ends by [`Shell::take_apart`] or with the runtime.

pub mod log_thread;
mod minute;
mod peers;
mod report;
mod roll;
mod serve;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use chain::backend::{Alarms, ChainBackend, Live, Question, label};
use chain::blob_tasks::BlobTasks;
use chain::clock::Clock;
use chain::meters::ChainMetrics;
use chain::referee_tasks::RefereeTasks;
use chain::worker::Worker;
use chain::{Destination, Fatal, Submission, Ticket};
use consensus::log::{FileStorage, Log};
use consensus::{EvidenceBook, Request};
use metrics::Heartbeat;
use p2p::PeerEvent;
use state::DecidedState as _;
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use types::hash::{TransactionId, ValidatorId};
use types::number::Timestamp;
use types::time::Monotonic;
use types::words::counted;
use vm::MempoolError;

use crate::core::{Effect, Event, Frame, FrameChannel, GateVerdict, LogGate, Node, StopReason};
use crate::error::NodeError;
use crate::meters::NodeMetrics;
use chain::quarantine::Quarantine;
use log_thread::LogThread;
use minute::MinuteLine;
use peers::Peers;
use roll::ConnectedPeers;
use serve::Serving;

/// Time between two warnings of the same clock, or of the same standstill, in milliseconds.
const WARNING_EVERY_MS: u64 = 60_000;
/// A clock that is further from the others' is warned of, in milliseconds.
const CLOCK_WARNING_MS: u64 = 200;
/// Time between two looks at what no event tells of.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Questions that are taken together.
const ASKED_TOGETHER: usize = 256;
/// Inputs that may wait for the loop.
const WAITING_INPUTS: usize = 4_096;

type Answer = oneshot::Sender<Vec<Result<TransactionId, MempoolError>>>;

/// A running node: the core and everything that performs its effects.
pub struct Shell {
    node: Node,
    log: LogThread,
    gate: LogGate,
    store: Store,
    network: p2p::Handle,
    worker: Worker,
    blobs: BlobTasks<Peers>,
    referee: RefereeTasks,
    serving: Serving,
    clock: Clock,
    live: watch::Sender<Live>,
    quarantine: Quarantine,
    evidence: EvidenceBook<FileStorage>,
    alarms: Arc<Alarms>,
    inputs: mpsc::Receiver<chain::Event>,
    tickets: BTreeMap<Ticket, Answer>,
    next_ticket: u64,
    timer: Option<Monotonic>,
    started: Timestamp,
    minute: MinuteLine,
    warnings: Warnings,
    stalled: Option<Arc<str>>,
    metrics: NodeMetrics,
    chain_metrics: ChainMetrics,
}

/// When the same may be warned of again.
#[derive(Debug, Default)]
struct Warnings {
    clock: Monotonic,
    standstill: Monotonic,
    version: Monotonic,
}

impl Shell {
    /// Joins the parts; nothing happens before [`Shell::run`].
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the parts of a node, each needed once"
    )]
    pub fn new(
        node: Node,
        log: Log<FileStorage>,
        store: Store,
        blobs: BlobStore,
        network: p2p::Handle,
        backend: &Arc<ChainBackend>,
        clock: Clock,
        live: watch::Sender<Live>,
        quarantine: Quarantine,
        evidence: EvidenceBook<FileStorage>,
        metrics: NodeMetrics,
    ) -> Result<Self, NodeError> {
        let (sender, inputs) = mpsc::channel(WAITING_INPUTS);
        let worker = Worker::start(backend, sender.clone())?;
        let chain_metrics = backend.metrics.clone();
        let referee = chain_metrics.referee.clone();
        let referee = RefereeTasks::new(blobs.clone(), sender.clone(), referee);
        let blobs = BlobTasks::new(blobs, Peers(network.clone()), sender);
        let serving = Serving::new();
        let tickets = BTreeMap::new();
        let minute = MinuteLine::new(clock.now().monotonic, store.tip().height);
        Ok(Self {
            node,
            log: LogThread::start(log, metrics.log_written())?,
            gate: LogGate::default(),
            store,
            network,
            worker,
            blobs,
            referee,
            serving,
            clock,
            live,
            quarantine,
            evidence,
            alarms: Arc::clone(&backend.alarms),
            inputs,
            tickets,
            next_ticket: 0,
            timer: None,
            minute,
            started: clock.now().unix,
            warnings: Warnings::default(),
            stalled: None,
            metrics,
            chain_metrics,
        })
    }

    /// Performs the effects of the start, then everything that follows, until `shutdown` or an error.
    pub async fn run(
        &mut self,
        effects: Vec<Effect>,
        mut peers: p2p::Events,
        mut questions: mpsc::Receiver<Question>,
        heartbeat: Heartbeat,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        tokio::pin!(shutdown);
        self.perform(effects)?;
        let mut asked = Vec::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.timer.map(|at| self.clock.instant(at));
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                group = self.log.progress() => {
                    let ready = self.gate.synced(group?);
                    ready.into_iter().try_for_each(|effect| self.perform_one(effect))?;
                }
                Some(event) = self.inputs.recv() => self.step(Event::Chain(event))?,
                Some(event) = peers.recv() => self.peer(event)?,
                Some((to, bytes)) = self.serving.done() => self.step(Event::Served { to, bytes })?,
                1.. = questions.recv_many(&mut asked, ASKED_TOGETHER) => {
                    self.questions(std::mem::take(&mut asked))?;
                }
                _ = look.tick() => {
                    heartbeat.beat();
                    self.chain_metrics.waits("questions", questions.len());
                    self.look();
                }
                () = timer => {
                    self.timer = None;
                    self.step(Event::Timer)?;
                }
            }
            self.tell();
        }
    }

    /// What ends the thread of the vote log and those of the worker, with all that waits for them; each may block. The rest
    /// goes here, so that who waits for an answer of the loop hears that there is none.
    pub fn take_apart(
        self,
    ) -> (
        impl FnOnce() -> Result<(), NodeError> + Send + use<>,
        impl FnOnce() + Send + use<>,
    ) {
        let (log, worker, answers) = (self.log, self.worker, self.inputs);
        let end_worker = move || {
            worker.finish();
            // Until then its answers find somebody.
            drop(answers);
        };
        (move || log.finish(), end_worker)
    }

    fn tell(&mut self) {
        let standing = self.node.standing();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let now = Live {
            view: standing.view,
            peers: u16::try_from(self.network.peers().len()).unwrap_or(u16::MAX),
            mempool_transactions: count(standing.mempool_transactions),
            mempool_bytes: count(standing.mempool_bytes),
            catching_up: standing.catching_up,
            clock_ahead_ms: standing.clock_ahead_ms,
            stalled: self.stalled.clone(),
        };
        for certificate in self.node.take_certificates() {
            self.metrics.certified(certificate);
        }
        self.live
            .send_if_modified(|live| std::mem::replace(live, now.clone()) != now);
    }

    /// Looks at what no event tells of: a chain that does not grow, a clock that is off.
    fn look(&mut self) {
        let now = self.clock.now();
        let pieces = self.evidence.pieces().len();
        self.metrics.look(&self.node, now, pieces);
        self.chain_metrics.waits("inputs", self.inputs.len());
        self.look_at_clock(now.monotonic);
        self.look_at_minute(now.monotonic);
        self.look_at_version(now.monotonic);
        let attendance = self.node.attendance();
        let Some(standstill) = attendance.standstill(now) else {
            if self.stalled.take().is_some() {
                self.warnings.standstill = Monotonic::default();
                tracing::info!("the chain grows again");
            }
            return;
        };
        let connected = ConnectedPeers::of(&self.network);
        let is_voting = self.node.is_voting();
        let refused = self.node.refused_versions();
        let reason = roll::reason(&standstill, attendance, &connected, is_voting, refused);
        if now.monotonic >= self.warnings.standstill {
            self.warnings.standstill = now.monotonic.after(WARNING_EVERY_MS);
            tracing::warn!("the chain stands still: {reason}");
        }
        self.stalled = Some(reason.into());
    }

    /// Says once a minute how things are.
    fn look_at_minute(&mut self, now: Monotonic) {
        let network = &self.network;
        let line = self.minute.due(
            now,
            self.store.tip().height,
            network.peers().len(),
            self.node.attendance(),
            |id| label(network.name(id).as_str(), id),
        );
        if let Some(line) = line {
            tracing::info!("{line}");
        }
    }

    /// Warns, once in a while, of a clock that is away from the others', at most half of what they tolerate.
    fn look_at_clock(&mut self, now: Monotonic) {
        let bound_ms = CLOCK_WARNING_MS.min(self.node.rules().params.max_clock_ahead_ms / 2);
        let ahead_ms = self.node.standing().clock_ahead_ms;
        let Some(ahead_ms) = ahead_ms.filter(|ahead| ahead.unsigned_abs() > bound_ms) else {
            return;
        };
        if now >= self.warnings.clock {
            self.warnings.clock = now.after(WARNING_EVERY_MS);
            tracing::warn!(
                "this clock is {}: check that the machine's time is synchronised",
                roll::clock_words(ahead_ms)
            );
        }
    }

    /// A validator for people.
    fn name(&self, id: &ValidatorId) -> String {
        label(self.network.name(id).as_str(), id)
    }

    fn step(&mut self, event: Event) -> Result<(), NodeError> {
        let effects = self.node.step(self.clock.now(), &self.store, event);
        self.perform(effects)
    }

    fn peer(&mut self, event: PeerEvent) -> Result<(), NodeError> {
        match event {
            PeerEvent::Connected { validator } | PeerEvent::Disconnected { validator } => {
                let peers: BTreeSet<_> = self.network.peers().into_iter().collect();
                let (name, count) = (self.name(&validator), counted(peers.len(), "peer"));
                if peers.contains(&validator) {
                    tracing::info!("validator {name} is connected, {count} now");
                } else {
                    tracing::info!("validator {name} is not connected any more, {count} now");
                }
                self.step(Event::Chain(chain::Event::Peers(peers)))
            }
            PeerEvent::Frame {
                from,
                channel,
                bytes,
            } => {
                let channel = match channel {
                    p2p::Channel::Consensus => FrameChannel::Consensus,
                    p2p::Channel::Transactions => FrameChannel::Pool,
                    p2p::Channel::Blobs => FrameChannel::Blobs,
                };
                self.step(Event::Frame {
                    from,
                    frame: Frame { channel, bytes },
                })
            }
            PeerEvent::Request { bytes, reply, .. } => {
                self.blobs.answer(&bytes, reply);
                Ok(())
            }
        }
    }

    /// Submissions that wait are taken in one step.
    fn questions(&mut self, asked: Vec<Question>) -> Result<(), NodeError> {
        let mut submissions = Vec::new();
        for question in asked {
            if let Question::Submit {
                transactions,
                answer,
            } = question
            {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.tickets.insert(ticket, answer);
                submissions.push(Submission {
                    ticket,
                    transactions,
                });
            } else {
                self.question(question)?;
            }
        }
        if submissions.is_empty() {
            return Ok(());
        }
        self.step(Event::Chain(chain::Event::Submit(submissions)))
    }

    fn question(&mut self, question: Question) -> Result<(), NodeError> {
        match question {
            Question::Submit { .. } => self.questions(vec![question]),
            // Whoever asked may be gone: then nobody wants the answer.
            Question::NextNonce {
                address,
                account,
                answer,
            } => {
                let _ = answer.send(self.node.mempool().next_nonce(&address, &account));
                Ok(())
            }
            Question::Pending { id, answer } => {
                let waiting = self.node.mempool().transaction(&id);
                let _ = answer.send(waiting.map(|signed| signed.transaction().valid_until));
                Ok(())
            }
            Question::Validators { answer } => {
                let _ = answer.send(roll::list(
                    self.node.attendance(),
                    self.node.id(),
                    &ConnectedPeers::of(&self.network),
                    self.store.tip().height,
                    self.started,
                ));
                Ok(())
            }
            Question::BlobStored(blob) => self.step(Event::Chain(chain::Event::BlobStored(blob))),
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), NodeError> {
        for effect in effects {
            match self.gate.pass(effect) {
                GateVerdict::Perform(effect) => self.perform_one(effect)?,
                GateVerdict::Append(group, records) => self.log.append(group, records)?,
                GateVerdict::Defer(group, records) => self.log.defer(group, records)?,
                GateVerdict::Waits => {}
            }
        }
        Ok(())
    }

    fn perform_one(&mut self, effect: Effect) -> Result<(), NodeError> {
        match effect {
            Effect::Persist(_) => unreachable!("the gate takes records"),
            Effect::Release(view) => self.log.release(view)?,
            Effect::Send { to, frame, .. } => self.send(to, &frame),
            Effect::Work(work) => self.worker.queue(*work)?,
            Effect::Serve { to, request } => self.serve(to, request),
            Effect::Answer { ticket, results } => {
                if let Some(answer) = self.tickets.remove(&ticket) {
                    let _ = answer.send(results);
                }
            }
            Effect::Blob(request) => self.blobs.perform(request),
            Effect::Referee(task) => self.referee.perform(*task),
            Effect::SetTimer(at) => self.timer = Some(at),
            Effect::Report { by, fault } => {
                self.metrics.faulted(&by, fault.name());
                let name = self.name(&by);
                report::report(&mut self.evidence, &name, fault)?;
            }
            Effect::Ban { validator, for_ms } => {
                self.metrics.banned(&validator);
                tracing::warn!(validator = %self.name(&validator), for_ms, "a validator broke too many rules: its connection is closed");
                self.network.ban(validator, Duration::from_millis(for_ms));
            }
            Effect::Quarantine(block) => {
                self.quarantine.add(block)?;
            }
            Effect::Alarm(alarm) => {
                self.metrics.alarmed();
                self.alarms.raise(&alarm);
            }
            Effect::Stop(stop) => {
                if let StopReason::Chain(Fatal::FinalQuarantined(block)) = &stop {
                    // The next run executes it: a build that mends the fault can follow the chain.
                    self.quarantine.remove(block)?;
                }
                return Err(stop.into());
            }
        }
        Ok(())
    }

    /// Frames may be lost: a peer that is away gets what it missed by the protocol's own repetition.
    fn send(&self, to: Destination, frame: &Frame) {
        let channel = match frame.channel {
            FrameChannel::Consensus => p2p::Channel::Consensus,
            FrameChannel::Pool => p2p::Channel::Transactions,
            FrameChannel::Blobs => p2p::Channel::Blobs,
        };
        // Cheap clones: all queues share the frame's bytes.
        let sent = match to {
            Destination::One(to) => self.network.send(to, channel, frame.bytes.clone()),
            Destination::All { except } => {
                let sent = self.network.broadcast(channel, frame.bytes.clone(), except);
                sent.map(|_| ())
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?channel, "frame not sent");
        }
    }

    fn serve(&self, to: ValidatorId, request: Request) {
        let (store, network) = (self.store.clone(), self.network.clone());
        self.serving
            .answer(to, move || match crate::serve::answer(&store, request) {
                Ok(Some(message)) => {
                    let frame = Frame::consensus(&message);
                    let bytes = frame.bytes.len();
                    if let Err(error) = network.send(to, p2p::Channel::Consensus, frame.bytes) {
                        tracing::debug!(%error, "answer not sent");
                    }
                    bytes
                }
                Ok(None) => 0,
                Err(error) => {
                    tracing::error!(%error, "a validator's request could not be answered");
                    0
                }
            });
    }
}
