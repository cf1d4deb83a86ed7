//! What waits for a block, and how it gets around: the validator that a client gave a transaction sends it to each of the
//! others once, gathered with what came within a few milliseconds, and a validator that connects is told what waits, up
//! to a few frames. Nobody passes on what it got from another validator: all are connected to all.
//!
//! Frames may still be lost without a new connection: a queue that is full drops its oldest, a stream may break, and a
//! mempool that was full has room later. What was submitted here is in our own next block in any case, so this costs
//! time and no transaction. To save the time, what was submitted here is sent again until it is final: a few at a time,
//! each after pauses that double. What we say as a validator, of which there are few and for which blocks may wait,
//! are sent again at a steady pace.

use std::collections::{BTreeMap, VecDeque};

use state::{Diff, StateRead};
use types::codec::{Bounded, encode};
use types::hash::{TransactionId, ValidatorId};
use types::limits::{MAX_BODY_BYTES, ORDINARY_CANDIDATE_BODIES, PROTOCOL_CANDIDATE_BODIES};
use types::number::{BeaconStep, Height};
use types::stored::{StoredStatement, StoredSubject};
use types::transaction::{SignedTransaction, SystemMessage, SystemTransaction};
use vm::query::{self, Wanted};
use vm::{
    Abort, Beacon, Mempool, MempoolError, MempoolLimits, Rules, SystemPool, SystemPoolError,
    Verified,
};

use crate::arrival::{Arrival, Arrivals, Origin};
use crate::caught::caught;
use crate::gossip::{MAX_POOL_ITEMS, PoolMessage};
use crate::resend::ResendQueue;

/// Time after which what we say as a validator is sent again, in milliseconds.
const RESEND_MS: u64 = 2_000;
/// Most encoded bytes of transactions that a validator is told when it connects.
const MAX_GREETING_BYTES: usize = 2 << 20;
/// Most encoded bytes of transactions in one frame.
const MAX_POOL_FRAME_BYTES: usize = 128 << 10;
/// How long transactions are gathered for a frame, in milliseconds. Each frame costs every validator as much as verifying
/// several signatures, and a block is some ten milliseconds away.
const GATHER_MS: u64 = 3;
/// Most encoded bytes of a validator's transactions that wait to be verified.
const MAX_VERIFYING_OF_VALIDATOR: usize = 4 << 20;
/// Most encoded bytes of all clients' transactions that wait to be verified.
const MAX_VERIFYING_OF_CLIENTS: usize = 16 << 20;

/// What a message of ours is about: we say one thing on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OwnSubject {
    Stored(StoredSubject),
    Beacon(BeaconStep),
}

impl OwnSubject {
    fn of(message: &SystemMessage) -> Self {
        match message {
            SystemMessage::Stored(signed) => Self::Stored(signed.statement.subject),
            SystemMessage::Beacon { step, .. } => Self::Beacon(*step),
        }
    }
}

/// A message of ours, which is sent again until nobody waits for it.
#[derive(Debug, Clone, Copy)]
struct OwnItem {
    item: SystemMessage,
    next_ms: u64,
}

/// The waiting transactions of accounts and of validators.
#[derive(Debug)]
pub(crate) struct Pools {
    mempool: Mempool,
    system: SystemPool,
    own_system: BTreeMap<OwnSubject, OwnItem>,
    /// Transactions that were submitted here.
    submitted: ResendQueue,
    /// To be sent to all.
    outgoing: VecDeque<Verified>,
    gathered_bytes: usize,
    /// When the outgoing transactions leave; none if there are none.
    gather_until_ms: Option<u64>,
    outgoing_system: VecDeque<SystemMessage>,
    /// Bytes that wait to be verified: of each validator, and of all clients.
    verifying: BTreeMap<Option<ValidatorId>, usize>,
    urgent: bool,
    /// True if something came or went since urgency was looked at.
    changed: bool,
    /// The height whose beacon duty was looked at.
    pub(crate) beacon_looked_at: Option<Height>,
}

impl Pools {
    pub(crate) fn new(limits: MempoolLimits) -> Self {
        Self {
            mempool: Mempool::new(limits),
            system: SystemPool::default(),
            own_system: BTreeMap::new(),
            submitted: ResendQueue::default(),
            outgoing: VecDeque::new(),
            gathered_bytes: 0,
            gather_until_ms: None,
            outgoing_system: VecDeque::new(),
            verifying: BTreeMap::new(),
            urgent: false,
            changed: false,
            beacon_looked_at: None,
        }
    }

    /// Looks at transactions that came: what is known or can be refused at a glance is judged, the rest is to be verified.
    /// Of a validator's nothing is kept but what is to be verified. Whoever has so much waiting to be verified that it
    /// could hold the others up is turned away.
    pub(crate) fn arrive(
        &mut self,
        rules: &Rules,
        height: Height,
        origin: Origin,
        transactions: Vec<SignedTransaction>,
    ) -> Arrivals {
        let (who, limit) = match origin {
            Origin::Client(_) => (None, MAX_VERIFYING_OF_CLIENTS),
            Origin::Validator(from) => (Some(from), MAX_VERIFYING_OF_VALIDATOR),
        };
        let verifying = self.verifying.entry(who).or_default();
        let (mut items, mut bytes) = (Vec::with_capacity(transactions.len()), 0);
        for transaction in transactions {
            items.push(match self.mempool.check(rules, height, transaction) {
                Ok(unverified) if *verifying + bytes + unverified.bytes() > limit => {
                    Arrival::Judged(Err(MempoolError::Busy))
                }
                Ok(unverified) => {
                    bytes += unverified.bytes();
                    Arrival::Unverified(unverified)
                }
                Err(MempoolError::Known(id)) => Arrival::Judged(Ok(id)),
                Err(error) => Arrival::Judged(Err(error)),
            });
        }
        *verifying += bytes;
        if who.is_some() {
            items.retain(|item| matches!(item, Arrival::Unverified(_)));
        }
        Arrivals {
            origin,
            items,
            bytes,
        }
    }

    /// Takes what was verified into the mempool; gives what became of each. What clients gave us goes to every validator
    /// once: they are all connected, so nobody passes on what it got from another.
    pub(crate) fn take(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        height: Height,
        now_ms: u64,
        arrivals: Arrivals,
    ) -> Vec<Result<TransactionId, MempoolError>> {
        let who = match arrivals.origin {
            Origin::Client(_) => None,
            Origin::Validator(from) => Some(from),
        };
        if let Some(verifying) = self.verifying.get_mut(&who) {
            *verifying = verifying.saturating_sub(arrivals.bytes);
            if *verifying == 0 {
                self.verifying.remove(&who);
            }
        }
        let mut results = Vec::with_capacity(arrivals.items.len());
        for item in arrivals.items {
            let verified = match item {
                Arrival::Verified(verified) => Ok(verified),
                Arrival::Unverified(unverified) => Verified::verify(unverified).map_err(Into::into),
                Arrival::Judged(result) => {
                    results.push(result);
                    continue;
                }
            };
            results.push(verified.and_then(|verified| {
                let copy = verified.clone();
                match self.mempool.insert_verified(rules, decided, height, copy) {
                    Ok(inserted) => {
                        self.changed = true;
                        if who.is_none() {
                            self.send_later(now_ms, verified);
                            self.submitted.add(inserted.id, now_ms);
                        }
                        Ok(inserted.id)
                    }
                    Err(MempoolError::Known(id)) => Ok(id),
                    Err(error) => Err(error),
                }
            }));
        }
        results
    }

    fn send_later(&mut self, now_ms: u64, transaction: Verified) {
        self.gathered_bytes += transaction.bytes();
        self.outgoing.push_back(transaction);
        self.gather_until_ms
            .get_or_insert(now_ms.saturating_add(GATHER_MS));
    }

    /// Takes what a validator says.
    pub(crate) fn receive_system(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        messages: Vec<SystemMessage>,
    ) {
        for message in messages {
            // Nothing is changed before all was read, so a panic costs this one alone.
            let inserted = caught(|| self.system.insert(rules, decided, &message));
            self.changed |= matches!(inserted, Ok(Ok(())));
        }
    }

    /// True if our statement is on its way already.
    pub(crate) fn has_own(&self, statement: &StoredStatement) -> bool {
        let own = self.own_system.get(&OwnSubject::Stored(statement.subject));
        own.is_some_and(|own| match &own.item {
            SystemMessage::Stored(signed) => signed.statement == *statement,
            SystemMessage::Beacon { .. } => false,
        })
    }

    /// True if our output of a beacon step is on its way already.
    pub(crate) fn has_own_output(&self, step: BeaconStep) -> bool {
        self.own_system.contains_key(&OwnSubject::Beacon(step))
    }

    /// Takes what we say: it is on its way from now on, whatever room there is here.
    pub(crate) fn add_own(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        now_ms: u64,
        message: SystemMessage,
    ) -> Result<(), Abort> {
        self.changed = true;
        if let Err(SystemPoolError::Abort(abort)) = self.system.insert(rules, decided, &message) {
            return Err(abort);
        }
        self.outgoing_system.push_back(message);
        let own = OwnItem {
            item: message,
            next_ms: now_ms.saturating_add(RESEND_MS),
        };
        self.own_system.insert(OwnSubject::of(&message), own);
        Ok(())
    }

    /// Takes a step of ours in a job, which goes to every validator. One that the job does not await, or that waits already, is
    /// let go.
    pub(crate) fn add_own_step(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        height: Height,
        now_ms: u64,
        step: Verified,
    ) -> Result<(), Abort> {
        let copy = step.clone();
        match self.mempool.insert_verified(rules, decided, height, copy) {
            Ok(inserted) => {
                self.changed = true;
                self.send_later(now_ms, step);
                self.submitted.add(inserted.id, now_ms);
                Ok(())
            }
            Err(MempoolError::Abort(abort)) => Err(abort),
            Err(_) => Ok(()),
        }
    }

    /// A block was decided: what it holds, or makes useless, goes. Gives the transactions that went because trying them
    /// panicked.
    pub(crate) fn decided(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        diff: &Diff,
    ) -> Result<Vec<TransactionId>, Abort> {
        self.changed = true;
        let panicked = self
            .mempool
            .recheck(rules, decided, diff.height, diff.writes.keys())?;
        self.system.recheck(decided)?;
        let step = Beacon::read(decided)?.step;
        let mut gone = Vec::new();
        for subject in self.own_system.keys() {
            let useful = match subject {
                OwnSubject::Beacon(own_step) => *own_step > step,
                OwnSubject::Stored(subject) => query::wants_stored(decided, subject)? != Wanted::No,
            };
            if !useful {
                gone.push(*subject);
            }
        }
        for subject in gone {
            self.own_system.remove(&subject);
        }
        let mempool = &self.mempool;
        self.submitted
            .retain(|id| mempool.transaction(id).is_some());
        Ok(panicked)
    }

    /// What a block on the state `view` after the block of height `height` is built from.
    pub(crate) fn candidates(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
    ) -> Result<(Vec<SystemTransaction>, Vec<Verified>), Abort> {
        let system = self.system.candidates(rules, view)?;
        let (steps, ordinary) = (
            PROTOCOL_CANDIDATE_BODIES * MAX_BODY_BYTES,
            ORDINARY_CANDIDATE_BODIES * MAX_BODY_BYTES,
        );
        let offered = self.mempool.offer(rules, view, height, steps, ordinary)?;
        Ok((system, offered))
    }

    /// A block was tried with these in vain: they go, so that each is tried for nothing once.
    pub(crate) fn refused(&mut self, refused: &[TransactionId]) {
        self.changed |= !refused.is_empty();
        for id in refused {
            self.mempool.drop_one(id);
        }
    }

    /// System transactions on one of which building panicked.
    pub(crate) fn drop_system(&mut self, dropped: &[SystemTransaction]) {
        self.changed |= !dropped.is_empty();
        for transaction in dropped {
            self.system.drop_one(transaction);
        }
    }

    /// The frames that are due, each for every validator.
    pub(crate) fn flood(&mut self, now_ms: u64) -> Vec<PoolMessage> {
        self.queue_again(now_ms);
        let gathered = self.gather_until_ms.is_some_and(|until| until <= now_ms);
        let mut frames = Vec::new();
        if gathered || self.gathered_bytes >= MAX_POOL_FRAME_BYTES {
            (self.gather_until_ms, self.gathered_bytes) = (None, 0);
            frames.extend(transaction_frames(self.outgoing.drain(..)));
        }
        frames.extend(system_frames(self.outgoing_system.drain(..)));
        frames
    }

    fn queue_again(&mut self, now_ms: u64) {
        let due = self.own_system.values_mut();
        for own in due.filter(|own| own.next_ms <= now_ms) {
            own.next_ms = now_ms.saturating_add(RESEND_MS);
            self.outgoing_system.push_back(own.item);
        }
        for id in self.submitted.take_round(now_ms) {
            if let Some(transaction) = self.mempool.verified(&id).cloned() {
                self.send_later(now_ms, transaction);
            }
        }
    }

    /// When something is to be sent.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        let own = self.own_system.values().map(|own| own.next_ms);
        own.chain(self.submitted.next_ms())
            .chain(self.gather_until_ms)
            .min()
    }

    /// What a validator that has just connected may have missed, the best paid first.
    pub(crate) fn greeting(&self) -> Vec<PoolMessage> {
        let mut bytes = 0;
        let fits = |candidate: &&Verified| {
            bytes += candidate.bytes();
            bytes <= MAX_GREETING_BYTES
        };
        let waiting = self.mempool.candidates().take_while(fits).cloned();
        let own = self.own_system.values().map(|own| own.item);
        let mut frames = transaction_frames(waiting);
        frames.extend(system_frames(own));
        frames
    }

    /// Whether a block should follow soon, if that changed since it was last asked.
    pub(crate) fn urgency_changed(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
    ) -> Result<Option<bool>, Abort> {
        if !std::mem::take(&mut self.changed) {
            return Ok(None);
        }
        let urgent = self.mempool.is_ready() || self.system.is_ready(rules, decided)?;
        let changed = urgent != self.urgent;
        self.urgent = urgent;
        Ok(changed.then_some(urgent))
    }

    pub(crate) fn mempool(&self) -> &Mempool {
        &self.mempool
    }
}

fn transaction_frames(all: impl IntoIterator<Item = Verified>) -> Vec<PoolMessage> {
    let sized = all
        .into_iter()
        .map(|transaction| (transaction.bytes(), transaction.signed().clone()));
    let batches = batches(sized).into_iter();
    batches
        .filter_map(|batch| Some(PoolMessage::Transactions(Bounded::new(batch).ok()?)))
        .collect()
}

fn system_frames(all: impl IntoIterator<Item = SystemMessage>) -> Vec<PoolMessage> {
    let sized = all.into_iter().map(|item| (encode(&item).len(), item));
    let batches = batches(sized).into_iter();
    batches
        .filter_map(|batch| Some(PoolMessage::System(Bounded::new(batch).ok()?)))
        .collect()
}

/// Batches that fit a frame, of items with their lengths.
fn batches<T>(items: impl Iterator<Item = (usize, T)>) -> Vec<Vec<T>> {
    let mut done: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for (length, item) in items {
        let open = done
            .last_mut()
            .filter(|batch| batch.len() < MAX_POOL_ITEMS && bytes + length <= MAX_POOL_FRAME_BYTES);
        if let Some(batch) = open {
            bytes += length;
            batch.push(item);
        } else {
            bytes = length;
            done.push(vec![item]);
        }
    }
    done
}
