//! The part of the core that carries blocks between consensus, execution and the store.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use consensus::Verdict;
use state::{DecidedState, Decision};
use types::codec::decode;
use types::hash::BlockId;
use types::job::JobRecord;
use types::limits::{MAX_BUILD_DEPTH, MAX_STATE_VALUE_BYTES};
use types::number::{Height, Timestamp, View};
use types::state_key::StateKey;
use types::time::Now;
use types::vote::Certificate;
use types::whole::WholeBlock;
use vm::Fault;

use super::{Committing, Effect, Execute, Frame, Node, Outrun, Stop, Target, Work};
use crate::application::{Building, Executed, Execution, Invalid, Parent};

/// Blocks between two commits that are made durable at once. What lies between them is executed again after a crash
/// of the machine, from the log.
const SYNC_EVERY: u64 = 16;

impl Node {
    /// Gives consensus an event and performs what follows.
    pub(super) fn consensus(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        event: consensus::Event,
        out: &mut Vec<Effect>,
    ) {
        let effects = self.replica.step(now, event);
        self.perform(now, state, effects, out);
    }

    /// Performs effects of consensus in their order; what can be answered at once is answered after them.
    pub(super) fn perform(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: consensus::Effects,
        out: &mut Vec<Effect>,
    ) {
        let mut answers = VecDeque::new();
        self.translate(state, effects, &mut answers, out);
        while let Some(event) = answers.pop_front() {
            if self.stopped {
                return;
            }
            let effects = self.replica.step(now, event);
            self.translate(state, effects, &mut answers, out);
        }
    }

    fn translate(
        &mut self,
        state: &dyn DecidedState,
        effects: consensus::Effects,
        answers: &mut VecDeque<consensus::Event>,
        out: &mut Vec<Effect>,
    ) {
        for effect in effects {
            match effect {
                consensus::Effect::Execute(block) => answers.extend(self.execute(block, out)),
                consensus::Effect::Persist(records) => out.push(Effect::Persist(records)),
                consensus::Effect::Send { to, message } => self.send(&to, &message, out),
                consensus::Effect::Propose {
                    view,
                    parent,
                    timestamp,
                    ..
                } => {
                    if let Err(fault) = self.build(state, view, parent, timestamp, out) {
                        return self.stop(fault.into(), out);
                    }
                }
                consensus::Effect::Commit {
                    block,
                    finalization,
                } => match self.decision(&block, finalization) {
                    Ok(commit) => out.push(Effect::Work(Box::new(commit))),
                    Err(stop) => return self.stop(stop, out),
                },
                consensus::Effect::Serve { to, request } => out.push(Effect::Serve { to, request }),
                consensus::Effect::SetTimer(at) => self.timers.consensus = Some(at),
                consensus::Effect::Report { by, fault } => out.push(Effect::Report { by, fault }),
                consensus::Effect::Stop(halt) => return self.stop(Stop::Consensus(halt), out),
            }
        }
    }

    fn send(
        &self,
        to: &consensus::Recipients,
        message: &consensus::Message,
        out: &mut Vec<Effect>,
    ) {
        let frame = Frame::consensus(message);
        match to {
            consensus::Recipients::All => out.push(Effect::Send {
                to: Target::All { except: None },
                frame,
            }),
            consensus::Recipients::One(peer) => out.push(Effect::Send {
                to: Target::One(*peer),
                frame,
            }),
            consensus::Recipients::Some(peers) => {
                for peer in peers {
                    out.push(Effect::Send {
                        to: Target::One(*peer),
                        frame: frame.clone(),
                    });
                }
            }
        }
    }

    /// An executed block, or the store's last one, as its children must show it.
    fn parent(&self, id: &BlockId) -> Option<Parent> {
        if self.tip.id == *id {
            Some(self.tip.clone())
        } else {
            self.executed.get(id).map(Executed::as_parent)
        }
    }

    /// Has a block executed, or gives the verdict at once.
    fn execute(&mut self, block: WholeBlock, out: &mut Vec<Effect>) -> Option<consensus::Event> {
        let (id, parent) = (block.id(), block.header.parent);
        match self.execution(block) {
            Ok(execution) => {
                self.executing.insert(id, parent);
                out.push(Effect::Work(Box::new(Work::Execute(execution))));
                None
            }
            Err(_) => Some(consensus::Event::Executed {
                block: id,
                verdict: Verdict::Invalid,
            }),
        }
    }

    /// Has a block built, if its parent can still become final.
    fn build(
        &self,
        state: &dyn DecidedState,
        view: View,
        parent: BlockId,
        timestamp: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), Fault> {
        let building = self.building(state, view, parent, timestamp)?;
        out.extend(building.map(|building| Effect::Work(Box::new(Work::Build(building)))));
        Ok(())
    }

    /// The store went on so far that the state for a piece of work is no longer kept: it is done on what is decided
    /// now. The answers to all commits before it have come.
    pub(super) fn outrun(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        work: Outrun,
        out: &mut Vec<Effect>,
    ) {
        match work {
            Outrun::Execution(block) => {
                self.executing.remove(&block.id());
                if let Some(verdict) = self.execute(block, out) {
                    self.consensus(now, state, verdict, out);
                }
            }
            Outrun::Building {
                view,
                parent,
                timestamp,
            } => {
                if let Err(fault) = self.build(state, view, parent, timestamp, out) {
                    self.stop(fault.into(), out);
                }
            }
        }
    }

    fn execution(&self, block: WholeBlock) -> Result<Execution, Invalid> {
        let dead = Invalid::DeadBranch(block.id());
        let Some(parent) = self.parent(&block.header.parent) else {
            return Err(dead);
        };
        let Ok(branch) = self.undecided.branch(parent.id) else {
            return Err(dead);
        };
        Ok(Execution {
            block,
            parent,
            branch,
        })
    }

    fn building(
        &self,
        state: &dyn DecidedState,
        view: View,
        parent: BlockId,
        timestamp: Timestamp,
    ) -> Result<Option<Building>, Fault> {
        let Some(parent) = self.parent(&parent) else {
            return Ok(None);
        };
        let Ok(branch) = self.undecided.branch(parent.id) else {
            return Ok(None);
        };
        // Not refused: the blocks below may need this one to become final. And what is read here is surely kept: the
        // store may be ahead of us, but not of the parent.
        let deep = parent
            .header
            .height
            .0
            .saturating_sub(self.tip.header.height.0)
            >= MAX_BUILD_DEPTH;
        let (system, candidates) = if deep {
            (Vec::new(), Vec::new())
        } else {
            self.pools
                .candidates(&self.setup.rules, &branch.clone().over(state))?
        };
        Ok(Some(Building {
            view,
            parent,
            branch,
            timestamp,
            proposer: self.own,
            system,
            candidates,
        }))
    }

    fn decision(
        &mut self,
        block: &WholeBlock,
        finality: Option<Certificate>,
    ) -> Result<Work, Stop> {
        let id = block.id();
        let Some(executed) = self.executed.get(&id) else {
            return Err(Fault::Broken("a block is final but was not executed").into());
        };
        let height = block.header.height;
        let finalized = finality
            .as_ref()
            .map(|certificate| certificate.statement.view);
        let sync = finalized.is_some() && height.0 >= self.synced.0.saturating_add(SYNC_EVERY);
        if sync {
            self.synced = height;
        }
        self.committing.push_back(Committing {
            height,
            block: id,
            finalized,
        });
        let (diff, receipts) = (executed.diff.clone(), executed.receipts.clone());
        let decision = Decision {
            block: block.block().as_ref().clone(),
            diff,
            receipts,
            finality,
        };
        Ok(Work::Commit { decision, sync })
    }

    /// An execution ended.
    pub(super) fn executed(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        block: BlockId,
        result: Execute,
        out: &mut Vec<Effect>,
    ) {
        self.executing.remove(&block);
        let verdict = match result {
            Execute::Valid(executed) => {
                let urgent = executed.urgent;
                match self.keep(*executed) {
                    Ok(true) => Verdict::Valid { urgent },
                    // Decided elsewhere meanwhile: nothing that descends from it can be final.
                    Ok(false) => Verdict::Invalid,
                    Err(error) => return self.stop(error.into(), out),
                }
            }
            Execute::Invalid(_) => Verdict::Invalid,
            Execute::Failed(stop) => return self.stop(stop, out),
        };
        self.consensus(
            now,
            state,
            consensus::Event::Executed { block, verdict },
            out,
        );
    }

    /// Keeps a result; false if its parent is neither undecided nor the tip any more.
    fn keep(&mut self, mut executed: Executed) -> Result<bool, state::StateError> {
        if self.undecided.at(&executed.diff.parent).is_none() {
            return Ok(false);
        }
        let id = executed.block.id();
        self.undecided.insert(Arc::unwrap_or_clone(executed.diff))?;
        let Some(shared) = self.undecided.diff(&id) else {
            return Ok(false);
        };
        executed.diff = Arc::clone(shared);
        self.executed.insert(id, executed);
        Ok(true)
    }

    /// Drops the results of blocks that consensus has forgotten, unless they are on their way into the store or below
    /// something that is still needed.
    pub(super) fn forget(&mut self) {
        let engine = self.replica.engine();
        let needed =
            |id: &BlockId| engine.holds(id) || self.committing.iter().any(|next| next.block == *id);
        if self.executed.keys().all(needed) {
            return;
        }
        let roots = self
            .executed
            .keys()
            .filter(|id| needed(id))
            .chain(self.executing.values());
        let mut kept = BTreeSet::new();
        for root in roots {
            let mut at = *root;
            while let Some(executed) = self.executed.get(&at)
                && kept.insert(at)
            {
                at = executed.block.header.parent;
            }
        }
        self.undecided.retain(&kept);
        self.executed.retain(|id, _| kept.contains(id));
    }

    /// The store holds one more block.
    pub(super) fn committed(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        height: Height,
        synced: bool,
        out: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        let next = self
            .committing
            .pop_front()
            .filter(|next| next.height == height);
        let done = next.ok_or(Fault::Broken("the store committed a block out of turn"))?;
        let executed = self
            .executed
            .remove(&done.block)
            .ok_or(Fault::Broken("a block was committed twice"))?;
        self.undecided.decide(done.block)?;
        self.tip = executed.as_parent();
        let undecided = &self.undecided;
        self.executed.retain(|id, _| undecided.diff(id).is_some());
        self.stored_view = done.finalized.or(self.stored_view);
        if synced && let Some(view) = self.stored_view {
            out.push(Effect::Release(view));
        }
        self.pools.decided(&self.setup.rules, state, &executed)?;
        self.follow_jobs(now, &executed);
        Ok(())
    }

    /// Brings the book of blobs up to what a decided block changed of jobs.
    fn follow_jobs(&mut self, now: Now, executed: &Executed) {
        for (key, value) in &executed.diff.writes {
            let StateKey::Job(id) = key else { continue };
            match value
                .as_deref()
                .map(|bytes| decode::<JobRecord>(bytes, MAX_STATE_VALUE_BYTES))
            {
                Some(Ok(record)) => self.book.job_changed(&record, now.unix.0),
                Some(Err(_)) | None => self.book.job_gone(id, now.unix.0),
            }
        }
    }
}
