//! The shell of a subnet's chain: one loop that feeds the core and performs what it says, in its order.
//!
//! Execution and commits run on the worker's threads, blobs and messages move in tasks of their own; the loop waits on
//! closed enums only. Every queue is bounded. It ends when the host shuts the VM down, or with the runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use chain::backend::{Alarms, ChainBackend, Live, Question, ValidatorList, ValidatorView};
use chain::blob_tasks::BlobTasks;
use chain::clock::Clock;
use chain::quarantine::Quarantine;
use chain::referee_tasks::RefereeTasks;
use chain::worker::Worker;
use chain::{Destination, Submission, Ticket};
use store::{ChainStore, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use types::hash::{BlockId, TransactionId, ValidatorId};
use types::number::View;
use types::signed_block::SignedBlock;
use types::time::Monotonic;
use vm::MempoolError;

use crate::core::Subnet;
use crate::effect::{CallId, CallReply, Effect, Event, HostCall, Phase, Refusal};
use crate::message::SubnetMessage;
use crate::network::SubnetNodes;
use crate::record::{AcceptedRecord, HostRecord};
use crate::report::{self, Standing};

/// Questions that are taken together.
const ASKED_TOGETHER: usize = 256;

/// What the host's calls bring to the loop.
#[derive(Debug)]
pub enum HostInput {
    /// A call for the core.
    Call(HostCall, oneshot::Sender<Result<CallReply, Refusal>>),
    /// A block that was verified here and is not decided, if it is one.
    Processing(BlockId, oneshot::Sender<Option<SignedBlock>>),
    /// A node is connected, or no more.
    Peer(ValidatorId, bool),
    /// A node's message.
    Message(ValidatorId, SubnetMessage),
    /// A node asks for a chunk of a blob; the answer goes to that node under its number.
    ChunkRequest(ValidatorId, u32, Vec<u8>),
    /// The VM ends.
    Shutdown,
}

/// The parts that a loop joins.
pub struct ShellParts {
    /// The core.
    pub subnet: Subnet,
    /// Decided blocks.
    pub store: Store,
    /// Blobs on disk.
    pub blobs: BlobStore,
    /// The other nodes.
    pub nodes: SubnetNodes,
    /// The host's record of what was accepted.
    pub record: HostRecord,
    /// The API's back end.
    pub backend: Arc<ChainBackend>,
    /// The run's time.
    pub clock: Clock,
    /// Blocks that failed in execution.
    pub quarantine: Quarantine,
    /// Where the API reads how the node is.
    pub live: watch::Sender<Live>,
    /// Where the host's calls read whether a block is wanted.
    pub wanted: watch::Sender<bool>,
    /// Where the host's calls read how the chain is.
    pub standing: watch::Sender<Standing>,
    /// Where answers of the worker and of blobs' tasks go.
    pub events: (mpsc::Sender<chain::Event>, mpsc::Receiver<chain::Event>),
}

type SubmissionAnswer = oneshot::Sender<Vec<Result<TransactionId, MempoolError>>>;
type CallAnswer = oneshot::Sender<Result<CallReply, Refusal>>;

/// A running chain: the core and everything that performs its effects.
pub struct SubnetShell {
    /// The validator whose keys are here, if there are any.
    own: Option<ValidatorId>,
    subnet: Subnet,
    store: Store,
    nodes: SubnetNodes,
    record: HostRecord,
    /// Writes of the record that are under way: the block, and whether it was written.
    recording: JoinSet<(BlockId, bool)>,
    worker: Worker,
    blobs: BlobTasks<SubnetNodes>,
    referee: RefereeTasks,
    clock: Clock,
    quarantine: Quarantine,
    alarms: Arc<Alarms>,
    live: watch::Sender<Live>,
    wanted: watch::Sender<bool>,
    standing: watch::Sender<Standing>,
    events: mpsc::Receiver<chain::Event>,
    outgoing: mpsc::Sender<(Destination, SubnetMessage)>,
    peers: BTreeSet<ValidatorId>,
    calls: BTreeMap<CallId, CallAnswer>,
    submissions: BTreeMap<Ticket, SubmissionAnswer>,
    next_number: u64,
    timer: Option<Monotonic>,
    stopped: bool,
}

/// Pause between two looks at how the chain stands.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Messages that wait to be handed to the host; more are lost, and said again.
const WAITING_MESSAGES: usize = 1_024;

impl SubnetShell {
    /// Joins the parts; needs a tokio runtime. Nothing happens before [`SubnetShell::run`].
    pub fn new(parts: ShellParts) -> Result<Self, chain::worker::WorkerError> {
        let (sender, events) = parts.events;
        let (outgoing, waiting) = mpsc::channel(WAITING_MESSAGES);
        tokio::spawn(hand_over(parts.nodes.clone(), waiting));
        Ok(Self {
            worker: Worker::start(&parts.backend, sender.clone())?,
            referee: RefereeTasks::new(
                parts.blobs.clone(),
                sender.clone(),
                parts.backend.metrics.referee.clone(),
            ),
            blobs: BlobTasks::new(parts.blobs, parts.nodes.clone(), sender),
            alarms: Arc::clone(&parts.backend.alarms),
            own: parts.backend.validator,
            subnet: parts.subnet,
            store: parts.store,
            nodes: parts.nodes,
            record: parts.record,
            recording: JoinSet::new(),
            clock: parts.clock,
            quarantine: parts.quarantine,
            live: parts.live,
            wanted: parts.wanted,
            standing: parts.standing,
            events,
            outgoing,
            peers: BTreeSet::new(),
            calls: BTreeMap::new(),
            submissions: BTreeMap::new(),
            next_number: 0,
            timer: None,
            stopped: false,
        })
    }

    /// Performs the effects of the start, then everything that follows, until the host shuts the VM down.
    pub async fn run(
        mut self,
        effects: Vec<Effect>,
        mut inputs: mpsc::Receiver<HostInput>,
        mut questions: mpsc::Receiver<Question>,
    ) {
        self.perform(effects);
        let mut asked = Vec::new();
        // What is owed for long is seen though nothing happens.
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.timer.map(|at| self.clock.instant(at));
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                input = inputs.recv() => match input {
                    None | Some(HostInput::Shutdown) => break,
                    Some(input) => self.input(input),
                },
                Some(event) = self.events.recv() => self.step(Event::Chain(event)),
                Some(Ok((block, written))) = self.recording.join_next() => {
                    self.step(Event::Recorded { block, written });
                }
                1.. = questions.recv_many(&mut asked, ASKED_TOGETHER) => {
                    self.questions(std::mem::take(&mut asked));
                }
                _ = looks.tick() => {}
                () = timer => {
                    self.timer = None;
                    self.step(Event::Timer);
                }
            }
            self.tell();
        }
        drop(self.calls);
        let worker = self.worker;
        // Its threads answer into a channel whose reader goes now.
        drop(self.events);
        tokio::task::block_in_place(|| worker.finish());
    }

    fn tell(&mut self) {
        let subnet = &self.subnet;
        let (height, mempool) = (subnet.height().0, subnet.mempool());
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let standing = self.standing_now();
        let stalled = (subnet.phase() == Phase::Normal)
            .then(|| report::not_ready(&standing, Instant::now()))
            .flatten();
        let live = Live {
            view: View(height),
            peers: u16::try_from(self.peers.len()).unwrap_or(u16::MAX),
            mempool_transactions: count(mempool.len()),
            mempool_bytes: count(mempool.bytes()),
            catching_up: subnet.phase() != Phase::Normal,
            clock_ahead_ms: None,
            stalled: stalled.map(Into::into),
        };
        self.live
            .send_if_modified(|old| std::mem::replace(old, live.clone()) != live);
        self.standing
            .send_if_modified(|old| std::mem::replace(old, standing) != standing);
    }

    /// How the chain stands. What is owed is owed anew with each block and each certificate.
    fn standing_now(&self) -> Standing {
        let subnet = &self.subnet;
        let before = *self.standing.borrow();
        let (height, certified) = (subnet.height().0, subnet.certified().map(|height| height.0));
        let (processing, wanted) = (subnet.processing_blocks(), *self.wanted.borrow());
        let is_open = processing > 0 || wanted || certified.unwrap_or_default() < height;
        let same = (before.height, before.certified) == (height, certified);
        Standing {
            height,
            certified,
            phase: subnet.phase(),
            processing,
            mempool: subnet.mempool().len(),
            peers: self.peers.len(),
            wanted,
            open_since: is_open.then(|| {
                let since = before.open_since.filter(|_| same);
                since.unwrap_or_else(Instant::now)
            }),
            stopped: self.stopped,
        }
    }

    fn input(&mut self, input: HostInput) {
        match input {
            HostInput::Call(call, answer) => {
                let id = CallId(self.number());
                self.calls.insert(id, answer);
                self.step(Event::Call { id, call });
            }
            HostInput::Processing(block, answer) => {
                let _ = answer.send(self.subnet.processing(&block).cloned());
            }
            HostInput::Peer(node, connected) => {
                let changed = if connected {
                    self.peers.insert(node)
                } else {
                    self.peers.remove(&node)
                };
                if changed {
                    let peers = self.peers.clone();
                    self.step(Event::Chain(chain::Event::Peers(peers)));
                }
            }
            HostInput::Message(from, message) => self.step(Event::Message { from, message }),
            HostInput::ChunkRequest(from, number, request) => {
                let (reply, answered) = oneshot::channel();
                self.blobs.answer(&request, reply);
                let nodes = self.nodes.clone();
                tokio::spawn(async move {
                    nodes.respond(from, number, answered.await.ok()).await;
                });
            }
            HostInput::Shutdown => {}
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Submissions that wait are taken in one step.
    fn questions(&mut self, asked: Vec<Question>) {
        let mut all = Vec::new();
        for question in asked {
            // Whoever asked may be gone: then nobody wants the answer.
            match question {
                Question::Submit {
                    transactions,
                    answer,
                } => {
                    let ticket = Ticket(self.number());
                    self.submissions.insert(ticket, answer);
                    all.push(Submission {
                        ticket,
                        transactions,
                    });
                }
                Question::NextNonce {
                    address,
                    account,
                    answer,
                } => {
                    let _ = answer.send(self.subnet.mempool().next_nonce(&address, &account));
                }
                Question::Pending { id, answer } => {
                    let waiting = self.subnet.mempool().transaction(&id);
                    let _ = answer.send(waiting.map(|signed| signed.transaction().valid_until));
                }
                Question::Validators { answer } => {
                    let _ = answer.send(self.validators());
                }
                Question::BlobStored(blob) => {
                    self.step(Event::Chain(chain::Event::BlobStored(blob)));
                }
            }
        }
        if !all.is_empty() {
            self.step(Event::Chain(chain::Event::Submit(all)));
        }
    }

    /// The committee that certifies blocks, with its stakes: the host tells who votes, not this program.
    fn validators(&self) -> ValidatorList {
        let rules = self.subnet.rules();
        let members = rules.committee.members().iter();
        let mut validators: Vec<_> = members
            .map(|member| ValidatorView {
                id: member.id(),
                name: None,
                stake: member.stake,
                own: self.own == Some(member.id()),
                connected: false,
                last_vote: None,
                last_proposal: None,
                missed: 0,
                addresses: Vec::new(),
            })
            .collect();
        validators.sort_by_key(|view| (std::cmp::Reverse(view.stake), view.id));
        ValidatorList {
            height: self.subnet.height(),
            since: self.clock.now().unix,
            validators,
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.subnet.step(self.clock.now(), &self.store, event);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(effect);
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Answer { call, reply } => {
                if let Some(answer) = self.calls.remove(&call) {
                    let _ = answer.send(reply);
                }
            }
            Effect::Record { height, block } => self.record(AcceptedRecord { height, block }),
            Effect::Certified(height, certificate) => {
                if let Err(error) = self.store.finalize(height, &certificate) {
                    tracing::error!(%error, %height, "a certificate could not be stored");
                }
            }
            Effect::Wanted(wanted) => {
                self.wanted.send_replace(wanted);
            }
            Effect::Work(work) => {
                if let Err(error) = self.worker.queue(*work) {
                    tracing::error!(%error, "the worker takes nothing");
                    self.stop();
                }
            }
            Effect::Send { to, message } => {
                if self.outgoing.try_send((to, message)).is_err() {
                    tracing::debug!("a message is lost: the host takes them too slowly");
                }
            }
            Effect::Submitted { ticket, results } => {
                if let Some(answer) = self.submissions.remove(&ticket) {
                    let _ = answer.send(results);
                }
            }
            Effect::Forged(node) => {
                tracing::warn!(node = %node.0, "a node passed on a forged transaction");
            }
            Effect::Blob(request) => self.blobs.perform(request),
            Effect::Referee(task) => self.referee.perform(*task),
            Effect::SetTimer(at) => self.timer = Some(at),
            Effect::Quarantine(block) => {
                let quarantine = &mut self.quarantine;
                if let Err(error) = tokio::task::block_in_place(|| quarantine.add(block)) {
                    tracing::error!(%error, "a block could not be put into quarantine");
                }
            }
            Effect::Alarm(alarm) => self.alarms.raise(&alarm),
            Effect::Stop(fatal) => {
                tracing::error!(%fatal, "the chain stops on this node");
                self.stop();
            }
        }
    }

    /// Puts a block that the host accepts on the host's record.
    fn record(&mut self, record: AcceptedRecord) {
        let host = self.record.clone();
        self.recording.spawn(async move {
            let written = host.write(record).await;
            if let Err(error) = &written {
                tracing::error!(%error, "an accepted block could not be put on record");
            }
            (record.block, written.is_ok())
        });
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.wanted.send_replace(false);
        for (_, answer) in std::mem::take(&mut self.calls) {
            let _ = answer.send(Err(Refusal::Stopped));
        }
    }
}

/// Hands messages to the host, one after the other, in their order.
async fn hand_over(nodes: SubnetNodes, mut waiting: mpsc::Receiver<(Destination, SubnetMessage)>) {
    while let Some((to, message)) = waiting.recv().await {
        nodes.send(to, &message).await;
    }
}
