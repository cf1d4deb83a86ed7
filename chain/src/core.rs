//! The chain's deciding half: undecided blocks, transaction pools, blob book and a validator's duties, without clock,
//! thread, file or socket.
//!
//! A host drives it in three ways, and performs the [`Effect`]s of each call in their order:
//!
//! 1. It gives orders about blocks: [`Chain::build`] on this parent, [`Chain::execute`] this block, [`Chain::decide`]
//!    that this block is final, [`Chain::retain`] only these.
//! 2. It tells what happened, with [`Chain::step`]: answers to work, gossip, submissions, blobs.
//! 3. After any number of both it calls [`Chain::settle`] once, and wakes the chain at [`Chain::next_wake`].
//!
//! What it promises: executions, buildings and commits are asked for in an order in which they can be done one after
//! the other; a block is reported as valid only if it was executed here on the state of its parent; a panic in executing
//! or building a block is an alarm and no stop; after [`Effect::Stop`] nothing is promised. What it leaves out: who orders blocks, how they are agreed on, what a network is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state::{ChainStore, DecidedState};
use types::codec::decode;
use types::hash::{BlobId, BlockId, TransactionId, ValidatorId};
use types::job::JobRecord;
use types::limits::MAX_STATE_VALUE_BYTES;
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::time::{Monotonic, Now};
use types::transaction::SignedTransaction;
use types::vote::Certificate;
use types::whole::WholeBlock;
use vm::{ChargeError, MempoolError, Rules};

use crate::alarm::Alarm;
use crate::arrival::{Arrivals, Origin};
use crate::blob_book::BlobBook;
use crate::block::{Blocks, BuildRequest, BuildingFault, Built, Done, Executed, Outrun, Work};
use crate::duty;
use crate::effect::{Destination, Effect};
use crate::error::{Fatal, Invalid};
use crate::event::Event;
use crate::gossip::{BlobMessage, Gossip, PoolMessage};
use crate::parent::Parent;
use crate::pools::Pools;
use crate::referee::RefereeBook;
use crate::schedule::{RefusedVersion, RefusedVersions, check_decided};
use crate::setup::Setup;
use crate::tip_state::TipState;

#[cfg(test)]
mod tests;

/// Most blocks that are remembered for having failed in execution.
pub const MAX_QUARANTINED: usize = 256;

/// A chain on one machine.
#[derive(Debug)]
pub struct Chain {
    setup: Setup,
    blocks: Blocks,
    pools: Pools,
    book: BlobBook,
    referee: RefereeBook,
    peers: BTreeSet<ValidatorId>,
    /// How many transactions were refused since the start, by [`MempoolError::name`].
    refused: BTreeMap<&'static str, u64>,
    refused_versions: RefusedVersions,
}

impl Chain {
    /// Starts from what is on disk: the store and the blobs. Errors also: decided blocks contradict the schedule of versions.
    pub fn start(
        setup: Setup,
        now: Now,
        store: &impl ChainStore,
        blobs: BTreeSet<BlobId>,
    ) -> Result<Self, Fatal> {
        check_decided(&setup.rules.versions, store)?;
        let own = setup.own.as_ref().map(|own| own.id);
        let mut referee = RefereeBook::default();
        let mut book = BlobBook::new(own, setup.retention, blobs, now.unix.0);
        for id in vm::query::live_jobs(store)? {
            if let Some(record) = vm::query::job(store, &id)? {
                let workload = || vm::query::spec(store, &id).map(|spec| spec.workload);
                book.job_changed(&record, workload, now.unix.0)?;
                referee.job_changed(&setup, &record);
            }
        }
        Ok(Self {
            blocks: Blocks::restore(store)?,
            pools: Pools::new(setup.mempool),
            book,
            referee,
            peers: BTreeSet::new(),
            refused: BTreeMap::new(),
            refused_versions: RefusedVersions::default(),
            setup,
        })
    }

    /// Has a block built. Nothing is asked for if its parent can never be decided.
    pub fn build(&self, state: &dyn DecidedState, request: BuildRequest) -> Vec<Effect> {
        let built = self
            .blocks
            .build(&self.setup.rules, &self.pools, state, request);
        let ordered = match built {
            Ok(Some(ordered)) => ordered,
            Ok(None) => return Vec::new(),
            Err(fatal) => return vec![Effect::Stop(fatal)],
        };
        let parent = ordered.building.parent.id;
        let alarm = ordered.panicked.map(|message| Alarm::Building {
            parent,
            message,
            dropped: Vec::new(),
        });
        let work = Effect::Work(Box::new(Work::Build(ordered.building)));
        alarm.map(Effect::Alarm).into_iter().chain([work]).collect()
    }

    /// Has a block executed; answered by [`Effect::Valid`] or [`Effect::Invalid`]. Its parent must be the store's last
    /// block or one that was executed here: on any other block it is invalid. So is a block on which execution failed
    /// before, in this run or in an earlier one: it is not tried again.
    pub fn execute(&mut self, block: WholeBlock) -> Vec<Effect> {
        let id = block.id();
        if self.is_quarantined(&id) {
            return vec![Effect::Invalid { block: id }];
        }
        let mempool = self.pools.mempool();
        let transactions = block.body.transactions.iter().enumerate();
        let verified = transactions
            .filter(|(_, signed)| mempool.has_verified(signed))
            .map(|(at, _)| at)
            .collect();
        vec![match self.blocks.execute(block, verified) {
            Ok(work) => Effect::Work(Box::new(work)),
            Err(_) => Effect::Invalid { block: id },
        }]
    }

    /// Has a decided block written; answered by [`Effect::Committed`]. Blocks are decided in the order of their
    /// heights, each after it was executed here. `finality` proves it to others, if there is a proof of its own.
    /// `proposer` is its proposer's signature, where blocks travel with one.
    pub fn decide(
        &mut self,
        block: &BlockId,
        finality: Option<Certificate>,
        proposer: Option<ProposerSignature>,
    ) -> Vec<Effect> {
        vec![match self.blocks.decide(block, finality, proposer) {
            Ok(work) => Effect::Work(Box::new(work)),
            Err(fatal) => Effect::Stop(fatal),
        }]
    }

    /// Forgets the blocks that are not needed any more: rejected ones and their siblings. Blocks on their way into the
    /// store and those below a needed one stay.
    pub fn retain(&mut self, is_needed: impl Fn(&BlockId) -> bool) {
        self.blocks.retain(is_needed);
    }

    /// Takes one event. `state` is the decided state as the store has it now.
    pub fn step(&mut self, now: Now, state: &dyn DecidedState, event: Event) -> Vec<Effect> {
        let (rules, height) = (&self.setup.rules, self.blocks.tip().header.height);
        let tip = TipState::new(state, height);
        match event {
            Event::Done(done) => return self.done(now, state, done),
            Event::Failed(fatal) => return vec![Effect::Stop(fatal)],
            Event::Peers(peers) => return self.peers_changed(peers),
            Event::Gossip { from, message } => match message {
                Gossip::Pool(PoolMessage::Transactions(transactions)) => {
                    let (origin, all) = (Origin::Validator(from), transactions.into_inner());
                    let arrivals = self.pools.arrive(rules, height, origin, all);
                    return self.verify(now, state, arrivals);
                }
                Gossip::Pool(PoolMessage::System(all)) => {
                    self.pools.receive_system(rules, &tip, all.into_inner());
                }
                Gossip::Blobs(BlobMessage::Have(blobs)) => {
                    for blob in &blobs {
                        self.book.offered(*blob, from);
                    }
                }
            },
            Event::Submit(submissions) => {
                let mut out = Vec::new();
                for submission in submissions {
                    let origin = Origin::Client(submission.ticket);
                    let (rules, all) = (&self.setup.rules, submission.transactions);
                    let arrivals = self.pools.arrive(rules, height, origin, all);
                    out.extend(self.verify(now, state, arrivals));
                }
                return out;
            }
            Event::BlobStored(blob) => {
                self.book.stored(blob, now.unix.0);
                return Effect::offer(blob).into_iter().collect();
            }
            Event::BlobLost(blob) => self.book.lost(&blob),
            Event::BlobMissing { blob, from } => {
                self.book.fetch_failed(blob, from, now.monotonic.0);
            }
            Event::Refereed { job, draw, found } => self.referee.ran(job, draw, found),
            Event::OutcomesRead { blob, outcomes } => {
                self.book.outcomes_read(blob, outcomes.as_deref());
            }
            Event::StatesRead { blob, states } => {
                self.book.states_read(blob, states.as_deref());
            }
        }
        Vec::new()
    }

    /// Has signatures verified, if any are to be.
    fn verify(&mut self, now: Now, state: &dyn DecidedState, arrivals: Arrivals) -> Vec<Effect> {
        if arrivals.unverified() == 0 {
            return self.verified(now, state, arrivals);
        }
        vec![Effect::Work(Box::new(Work::Verify(arrivals)))]
    }

    /// Takes into the mempool what was verified, and answers for it.
    fn verified(&mut self, now: Now, state: &dyn DecidedState, arrivals: Arrivals) -> Vec<Effect> {
        let height = self.blocks.tip().header.height;
        let tip = TipState::new(state, height);
        let (rules, origin) = (&self.setup.rules, arrivals.origin);
        let results = self
            .pools
            .take(rules, &tip, height, now.monotonic.0, arrivals);
        let panicked = results.iter().filter_map(|result| match result {
            Err(MempoolError::TrialPanicked(id)) => Some(*id),
            _ => None,
        });
        let mut out = Effect::trial_alarms(panicked.collect());
        for refused in results.iter().filter_map(|result| result.as_ref().err()) {
            let count = self.refused.entry(refused.name()).or_default();
            *count = count.saturating_add(1);
        }
        let is_forged = |result: &Result<_, MempoolError>| {
            matches!(result, Err(MempoolError::Charge(ChargeError::Signature(_))))
        };
        match origin {
            Origin::Client(ticket) => out.push(Effect::Answer { ticket, results }),
            Origin::Validator(from) if results.iter().any(is_forged) => {
                out.push(Effect::Forged(from));
            }
            Origin::Validator(_) => {}
        }
        out
    }

    fn done(&mut self, now: Now, state: &dyn DecidedState, done: Done) -> Vec<Effect> {
        match done {
            Done::Verified(all) => {
                let all = all.into_iter();
                all.flat_map(|arrivals| self.verified(now, state, arrivals))
                    .collect()
            }
            Done::Built(built) => {
                self.pools.refused(&built.refused);
                let (ticket, block) = self.blocks.keep_built(*built);
                vec![Effect::Built { ticket, block }]
            }
            Done::BuildingPanicked { built, fault } => self.building_panicked(built, *fault),
            Done::Executed { block, result } => self.executed(block, result),
            Done::Outrun(Outrun::Execution(block)) => {
                self.blocks.execution_ended(&block.id());
                self.execute(block)
            }
            Done::Outrun(Outrun::Building(request)) => self.build(state, request),
            Done::Committed { decision, synced } => {
                let panicked = match self.committed(now, state, &decision) {
                    Ok(panicked) => panicked,
                    Err(fatal) => return vec![Effect::Stop(fatal)],
                };
                let mut out = Effect::trial_alarms(panicked);
                out.push(Effect::Committed { decision, synced });
                out
            }
        }
    }

    /// The transaction that building panicked on goes, the empty block is proposed.
    fn building_panicked(
        &mut self,
        built: Option<Box<Built>>,
        fault: BuildingFault,
    ) -> Vec<Effect> {
        self.pools.refused(&fault.dropped);
        self.pools.drop_system(&fault.system);
        let mut out = vec![Effect::Alarm(Alarm::Building {
            parent: fault.parent,
            message: fault.message,
            dropped: fault.dropped,
        })];
        out.extend(built.map(|built| {
            let (ticket, block) = (built.ticket, built.block);
            Effect::Built { ticket, block }
        }));
        out
    }

    fn executed(&mut self, block: BlockId, result: Result<Box<Executed>, Invalid>) -> Vec<Effect> {
        let ended = self.blocks.execution_ended(&block);
        let executed = match result {
            Ok(executed) => executed,
            Err(cause) if cause.is_fault() => {
                let is_own = |proposer| {
                    self.setup
                        .own
                        .as_ref()
                        .is_some_and(|own| own.id == proposer)
                };
                if let Some(own) = ended.filter(|block| is_own(block.header.proposer)) {
                    // Our next block would hold them again. Those of others' blocks stay: whoever proposes a block on
                    // which all panic must not empty our mempool.
                    let transactions = own.body.transactions.iter();
                    let ids: Vec<_> = transactions.map(SignedTransaction::id).collect();
                    self.pools.refused(&ids);
                    self.pools.drop_system(&own.body.system);
                }
                return self.quarantine(block, cause);
            }
            Err(cause) => {
                if let Some(ended) = &ended {
                    self.refused_versions.note(&ended.header, &cause);
                }
                return vec![Effect::Invalid { block }];
            }
        };
        let urgent = executed.urgent;
        vec![match self.blocks.keep(*executed) {
            Ok(true) => Effect::Valid { block, urgent },
            Ok(false) => Effect::Invalid { block },
            Err(fatal) => Effect::Stop(fatal),
        }]
    }

    fn quarantine(&mut self, block: BlockId, cause: Invalid) -> Vec<Effect> {
        let quarantined = &mut self.setup.quarantined;
        if quarantined.len() >= MAX_QUARANTINED {
            // One that is forgotten is at worst executed once more.
            quarantined.pop_first();
        }
        quarantined.insert(block);
        let alarm = Alarm::Execution { block, cause };
        vec![
            Effect::Alarm(alarm),
            Effect::Quarantine(block),
            Effect::Invalid { block },
        ]
    }

    /// True if execution of the block failed here by a fault of this program.
    #[must_use]
    pub fn is_quarantined(&self, block: &BlockId) -> bool {
        self.setup.quarantined.contains(block)
    }

    fn committed(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        decision: &state::Decision,
    ) -> Result<Vec<TransactionId>, Fatal> {
        self.blocks.committed(decision)?;
        self.refused_versions.decided(decision.diff.height);
        let newer = match self.setup.rules.in_force(state)? {
            Cow::Borrowed(_) => None,
            Cow::Owned(rules) => Some(Arc::new(rules)),
        };
        self.setup.rules = newer.unwrap_or_else(|| Arc::clone(&self.setup.rules));
        let diff = &decision.diff;
        let after = TipState::after(state, diff.height, &diff.writes);
        let panicked = self.pools.decided(&self.setup.rules, &after, diff)?;
        for (key, value) in &decision.diff.writes {
            let StateKey::Job(id) = key else { continue };
            let record = value
                .as_deref()
                .map(|bytes| decode::<JobRecord>(bytes, MAX_STATE_VALUE_BYTES));
            if let Some(Ok(record)) = record {
                let workload = || vm::query::spec(&after, id).map(|spec| spec.workload);
                self.book.job_changed(&record, workload, now.unix.0)?;
                self.referee.job_changed(&self.setup, &record);
            } else {
                self.book.job_gone(id, now.unix.0);
                self.referee.job_gone(id);
            }
        }
        Ok(panicked)
    }

    fn peers_changed(&mut self, peers: BTreeSet<ValidatorId>) -> Vec<Effect> {
        let new: Vec<_> = peers.difference(&self.peers).copied().collect();
        self.peers = peers;
        let greetings = new.into_iter().flat_map(|peer| {
            let to = Destination::One(peer);
            let messages = self.pools.greeting().into_iter();
            messages.map(move |message| Effect::Send {
                to,
                message: Gossip::Pool(message),
            })
        });
        greetings.collect()
    }

    /// What follows from whatever happened: blob requests, duties, gossip, urgency.
    pub fn settle(&mut self, now: Now, state: &dyn DecidedState) -> Vec<Effect> {
        let mut out = Vec::new();
        let requests = self.book.settle(now.monotonic.0, now.unix.0, &self.peers);
        out.extend(requests.into_iter().map(Effect::Blob));
        let tasks = self.referee.tasks(&self.setup, &self.book).into_iter();
        out.extend(tasks.map(|task| Effect::Referee(Box::new(task))));
        if let Err(fatal) = self.follow(now, state, &mut out) {
            out.push(Effect::Stop(fatal));
        }
        out
    }

    fn follow(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        out: &mut Vec<Effect>,
    ) -> Result<(), Fatal> {
        duty::perform(&self.setup, &self.book, &mut self.pools, now, state)?;
        self.referee
            .vote(&self.setup, &mut self.pools, now, state)?;
        for message in self.pools.flood(now.monotonic.0) {
            out.push(Effect::Send {
                to: Destination::All { except: None },
                message: Gossip::Pool(message),
            });
        }
        out.extend(
            self.pools
                .urgency_changed(&self.setup.rules, state)?
                .map(Effect::Urgent),
        );
        Ok(())
    }

    /// When [`Chain::settle`] has something to do even if nothing happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Monotonic> {
        let wakes = [self.book.next_wake_ms(), self.pools.next_wake_ms()];
        wakes.into_iter().flatten().min().map(Monotonic)
    }

    /// True if something waits that a block on this one, executed here or the store's last, could hold. It looks at all
    /// that waits; false where that fails.
    #[must_use]
    pub fn has_candidates(&self, state: &dyn DecidedState, parent: &BlockId) -> bool {
        let rules = &self.setup.rules;
        self.blocks
            .has_candidates(rules, &self.pools, state, parent)
    }

    /// The rules of the chain.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.setup.rules
    }

    /// The store's last block.
    #[must_use]
    pub fn tip(&self) -> &Parent {
        self.blocks.tip()
    }

    /// Executed blocks that are not committed yet, with what each changes.
    #[must_use]
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The transactions that wait.
    #[must_use]
    pub fn mempool(&self) -> &vm::Mempool {
        self.pools.mempool()
    }

    /// How many transactions were refused since the start, by the name of the rule that they broke.
    #[must_use]
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    /// Validators whose blocks above the newest decided one were refused for their protocol version.
    #[must_use]
    pub fn refused_versions(&self) -> &BTreeMap<ValidatorId, RefusedVersion> {
        self.refused_versions.all()
    }

    /// True if a live job needs the blob.
    #[must_use]
    pub fn needs_blob(&self, blob: &BlobId) -> bool {
        self.book.needs(blob)
    }
}
