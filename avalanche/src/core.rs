//! The subnet's chain without its surroundings: what the host asks about blocks becomes orders to the chain, and what the
//! chain finds becomes answers to the host.
//!
//! [`Subnet::step`] takes the time, the decided state and an [`Event`], and gives [`Effect`]s to be performed in their
//! order. What it promises:
//!
//! - Every [`HostCall`] is answered once. Verifying is idempotent and changes nothing that lasts; siblings live side by side;
//!   accepting commits in the order of heights, once the block is on the host's record, and is answered once it is in the
//!   store: what anybody is told of is on record, so no start takes it back.
//! - No call fails the chain for what a peer sent: it is refused, and nothing is changed.
//! - A block is wanted only when one can be built, see [`wanted`](self::pace).
//!
//! What it leaves out: time, threads, files, gRPC. The shell has one each of those.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::{BuildRequest, BuildTicket, Chain, Done, Fatal};
use state::{ChainStore, DecidedState};
use types::hash::{BlobId, BlockId};
use types::key::SecretKey;
use types::number::{Height, Timestamp};
use types::signed_block::SignedBlock;
use types::time::Now;
use vm::Rules;

use crate::effect::{CallId, CallReply, Effect, Event, HostCall, Phase, Refusal};
use crate::finality::{FinalityVotes, Office};
use crate::pace::Pace;

mod upkeep;

/// How far a block's time may lie ahead of our clock while the host agrees on it, in milliseconds: as far as the host
/// lets its own blocks. Subjective, so it holds only there and not in catching up.
pub const MAX_AHEAD_MS: u64 = 10_000;

/// A block that the host has verified here and not decided yet.
#[derive(Debug)]
struct ProcessingBlock {
    block: SignedBlock,
    /// True if the next block should follow soon.
    urgent: bool,
}

/// A block whose verification was asked for.
#[derive(Debug)]
struct VerifyingBlock {
    block: SignedBlock,
    calls: Vec<CallId>,
}

/// A chain that the host orders.
#[derive(Debug)]
pub struct Subnet {
    chain: Chain,
    key: Option<SecretKey>,
    phase: Phase,
    preferred: BlockId,
    processing: BTreeMap<BlockId, ProcessingBlock>,
    verifying: BTreeMap<BlockId, VerifyingBlock>,
    accepting: BTreeMap<BlockId, CallId>,
    building: Option<CallId>,
    votes: FinalityVotes,
    pace: Pace,
    stopped: bool,
}

impl Subnet {
    /// Starts from what is on disk: the store and the blobs.
    pub fn start(
        setup: chain::Setup,
        now: Now,
        store: &impl ChainStore,
        blobs: BTreeSet<BlobId>,
    ) -> Result<(Self, Vec<Effect>), Fatal> {
        let key = setup.own.as_ref().and_then(|own| own.signer.key().cloned());
        let chain = Chain::start(setup, now, store, blobs)?;
        let tip = chain.tip();
        let office = Office::from(chain.rules().as_ref());
        let certified = store.newest_certificate()?;
        let mut subnet = Self {
            key,
            phase: Phase::Starting,
            preferred: tip.id,
            processing: BTreeMap::new(),
            verifying: BTreeMap::new(),
            accepting: BTreeMap::new(),
            building: None,
            votes: FinalityVotes::new(office, tip.header.height, certified),
            pace: Pace::new(store)?,
            stopped: false,
            chain,
        };
        let mut out = Vec::new();
        subnet.settle(now, store, &mut out);
        Ok((subnet, out))
    }

    /// Takes one event. `state` is the decided state as the store has it now.
    pub fn step(&mut self, now: Now, state: &dyn DecidedState, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Call { id, call } => {
                if self.stopped {
                    return vec![refused(id, Refusal::Stopped)];
                }
                self.call(now, state, id, call, &mut out);
            }
            _ if self.stopped => return out,
            Event::Timer => {}
            Event::Recorded { block, written } => {
                self.recorded(now, state, block, written, &mut out);
            }
            Event::Message { from, message } => self.message(now, state, from, message, &mut out),
            Event::Chain(event) => self.tell_chain(now, state, event, &mut out),
        }
        self.settle(now, state, &mut out);
        out
    }

    fn call(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        id: CallId,
        call: HostCall,
        out: &mut Vec<Effect>,
    ) {
        match call {
            HostCall::Build => self.build(now, state, id, out),
            HostCall::Verify(block) => self.verify(now, state, id, *block, out),
            HostCall::Accept(block) => self.accept(id, block, out),
            HostCall::Reject(block) => {
                self.processing.remove(&block);
                out.push(done(id));
            }
            HostCall::Prefer(block) => {
                self.preferred = block;
                out.push(done(id));
            }
            HostCall::SetPhase(phase) => {
                self.set_phase(now, phase, out);
                out.push(done(id));
            }
        }
    }

    fn set_phase(&mut self, now: Now, phase: Phase, out: &mut Vec<Effect>) {
        self.phase = phase;
        let tip = self.chain.tip();
        let (id, height) = (tip.id, tip.header.height);
        if phase == Phase::Normal {
            self.preferred = id;
            if height > Height::ZERO {
                self.vote(now, height, id, out);
            }
        }
    }

    fn build(&mut self, now: Now, state: &dyn DecidedState, id: CallId, out: &mut Vec<Effect>) {
        let Some(key) = &self.key else {
            return out.push(refused(id, Refusal::NoKey));
        };
        let proposer = key.public().validator_id();
        if self.chain.rules().committee.validator(&proposer).is_none() {
            return out.push(refused(id, Refusal::NotInOffice(proposer)));
        }
        let parent = self.preferred;
        let Some(time) = self.time_of(&parent) else {
            return out.push(refused(id, Refusal::NotVerified(parent)));
        };
        // What the host was told may be true no more.
        if !self.wanted(now, state) {
            return out.push(refused(id, Refusal::NothingToBuild));
        }
        let request = BuildRequest {
            ticket: BuildTicket(id.0),
            parent,
            timestamp: now.unix.max(time.next()),
            proposer,
        };
        self.building = Some(id);
        let effects = self.chain.build(state, request);
        let is_work = |effect: &chain::Effect| matches!(effect, chain::Effect::Work(_));
        let begun = effects.iter().any(is_work);
        self.obey(now, state, effects, out);
        if !begun && self.building.take().is_some() {
            out.push(refused(id, Refusal::NotVerified(parent)));
        }
    }

    /// The time of a block that can be built on.
    fn time_of(&self, block: &BlockId) -> Option<Timestamp> {
        let tip = self.chain.tip();
        if tip.id == *block {
            return Some(tip.header.timestamp);
        }
        let processing = self.processing.get(block)?;
        Some(processing.block.block().header.timestamp)
    }

    fn verify(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        call: CallId,
        block: SignedBlock,
        out: &mut Vec<Effect>,
    ) {
        let (id, header) = (block.block().id(), &block.block().header);
        let timestamp = header.timestamp;
        if self.time_of(&id).is_some() {
            return out.push(answer(call, CallReply::Verified(timestamp)));
        }
        let latest = Timestamp(now.unix.0.saturating_add(MAX_AHEAD_MS));
        if self.phase == Phase::Normal && timestamp > latest {
            let block = timestamp;
            return out.push(refused(call, Refusal::TooFarAhead { block, latest }));
        }
        if let Some(verifying) = self.verifying.get_mut(&id) {
            return verifying.calls.push(call);
        }
        let whole = block.block().clone();
        let calls = vec![call];
        self.verifying.insert(id, VerifyingBlock { block, calls });
        let effects = self.chain.execute(whole);
        self.obey(now, state, effects, out);
    }

    fn accept(&mut self, call: CallId, id: BlockId, out: &mut Vec<Effect>) {
        let tip = self.chain.tip().id;
        if tip == id {
            return out.push(done(call));
        }
        let Some(processing) = self.processing.get(&id) else {
            return out.push(refused(call, Refusal::NotVerified(id)));
        };
        let header = &processing.block.block().header;
        if header.parent != tip || !self.accepting.is_empty() {
            return out.push(refused(call, Refusal::OutOfOrder { block: id, tip }));
        }
        let (height, block) = (header.height, id);
        self.accepting.insert(id, call);
        out.push(Effect::Record { height, block });
    }

    /// Commits the block that is being accepted.
    fn recorded(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        block: BlockId,
        written: bool,
        out: &mut Vec<Effect>,
    ) {
        let processing = self.processing.get(&block).filter(|_| written);
        let Some(proposer) = processing.map(|at| at.block.proposer()) else {
            let call = self.accepting.remove(&block);
            return out.extend(call.map(|call| refused(call, Refusal::Stopped)));
        };
        let effects = self.chain.decide(&block, None, proposer);
        self.obey(now, state, effects, out);
    }

    fn tell_chain(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        event: chain::Event,
        out: &mut Vec<Effect>,
    ) {
        let nothing_built = matches!(
            event,
            chain::Event::Done(Done::BuildingPanicked { built: None, .. })
        );
        let effects = self.chain.step(now, state, event);
        self.obey(now, state, effects, out);
        if nothing_built && let Some(call) = self.building.take() {
            out.push(refused(call, Refusal::Panicked));
        }
    }

    fn obey(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: Vec<chain::Effect>,
        out: &mut Vec<Effect>,
    ) {
        for effect in effects {
            match effect {
                chain::Effect::Work(work) => out.push(Effect::Work(work)),
                chain::Effect::Built { ticket, block } => {
                    let call = CallId(ticket.0);
                    if self
                        .building
                        .take_if(|building| *building == call)
                        .is_some()
                        && let Some(key) = &self.key
                    {
                        self.pace.built(now, block.header.parent);
                        let block = Box::new(SignedBlock::sign(block, key));
                        out.push(answer(call, CallReply::Built(block)));
                    }
                }
                chain::Effect::Valid { block, urgent } => self.valid(block, urgent, out),
                chain::Effect::Invalid { block } => {
                    let verifying = self.verifying.remove(&block);
                    let calls = verifying.into_iter().flat_map(|verifying| verifying.calls);
                    out.extend(calls.map(|call| refused(call, Refusal::Invalid(block))));
                }
                chain::Effect::Committed { decision, .. } => {
                    let (block, height) = (decision.diff.block, decision.diff.height);
                    if let Err(fatal) = self.committed(now, state, height, block, out) {
                        return self.stop(fatal, out);
                    }
                }
                chain::Effect::Urgent(urgent) => self.pace.waiting(urgent),
                chain::Effect::Send { to, message } => {
                    let message = message.into();
                    out.push(Effect::Send { to, message });
                }
                chain::Effect::Answer { ticket, results } => {
                    out.push(Effect::Submitted { ticket, results });
                }
                chain::Effect::Forged(peer) => out.push(Effect::Forged(peer)),
                chain::Effect::Quarantine(block) => out.push(Effect::Quarantine(block)),
                chain::Effect::Alarm(alarm) => out.push(Effect::Alarm(alarm)),
                chain::Effect::Blob(request) => out.push(Effect::Blob(request)),
                chain::Effect::Referee(task) => out.push(Effect::Referee(task)),
                chain::Effect::Stop(fatal) => return self.stop(fatal, out),
            }
        }
    }

    fn valid(&mut self, id: BlockId, urgent: bool, out: &mut Vec<Effect>) {
        let Some(VerifyingBlock { block, calls }) = self.verifying.remove(&id) else {
            return;
        };
        let timestamp = block.block().header.timestamp;
        self.processing
            .insert(id, ProcessingBlock { block, urgent });
        let replies = calls.into_iter();
        out.extend(replies.map(|call| answer(call, CallReply::Verified(timestamp))));
    }

    fn committed(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        height: Height,
        block: BlockId,
        out: &mut Vec<Effect>,
    ) -> Result<(), Fatal> {
        self.processing.remove(&block);
        // Siblings can never be accepted any more; the host will say so.
        let held = self.chain.blocks();
        self.processing.retain(|id, _| held.holds(id));
        if self.time_of(&self.preferred).is_none() {
            self.preferred = block;
        }
        self.pace.decided(state)?;
        if let Some(call) = self.accepting.remove(&block) {
            out.push(done(call));
        }
        self.vote(now, height, block, out);
        Ok(())
    }

    fn stop(&mut self, fatal: Fatal, out: &mut Vec<Effect>) {
        self.stopped = true;
        let verifying = std::mem::take(&mut self.verifying).into_values();
        let calls = verifying.flat_map(|verifying| verifying.calls);
        let calls = calls.chain(std::mem::take(&mut self.accepting).into_values());
        let calls: Vec<_> = calls.chain(self.building.take()).collect();
        let refusals = calls
            .into_iter()
            .map(|call| refused(call, Refusal::Stopped));
        out.extend(refusals);
        out.push(Effect::Stop(fatal));
    }

    /// A block that the host has verified here and not decided.
    #[must_use]
    pub fn processing(&self, block: &BlockId) -> Option<&SignedBlock> {
        self.processing.get(block).map(|at| &at.block)
    }

    /// The rules of the chain.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        self.chain.rules()
    }

    /// The transactions that wait.
    #[must_use]
    pub fn mempool(&self) -> &vm::Mempool {
        self.chain.mempool()
    }

    /// Height of the newest accepted block.
    #[must_use]
    pub fn height(&self) -> Height {
        self.chain.tip().header.height
    }

    /// Height of the newest block with a certificate.
    #[must_use]
    pub fn certified(&self) -> Option<Height> {
        self.votes.certified().map(|(height, _)| *height)
    }

    /// What the host does with the chain.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How many blocks the host has verified here and not decided.
    #[must_use]
    pub fn processing_blocks(&self) -> usize {
        self.processing.len()
    }

    /// True if a live job needs the blob.
    #[must_use]
    pub fn needs_blob(&self, blob: &BlobId) -> bool {
        self.chain.needs_blob(blob)
    }
}

fn answer(call: CallId, reply: CallReply) -> Effect {
    Effect::Answer {
        call,
        reply: Ok(reply),
    }
}

fn done(call: CallId) -> Effect {
    answer(call, CallReply::Done)
}

fn refused(call: CallId, refusal: Refusal) -> Effect {
    Effect::Answer {
        call,
        reply: Err(refusal),
    }
}

#[cfg(test)]
mod tests;
