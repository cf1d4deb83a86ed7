//! What waits for a block, and how it gets around: every transaction is passed on once by each validator that takes it
//! in, and a validator that connects is told what waits, up to a few frames.
//!
//! Frames may still be lost without a new connection: a queue that is full drops its oldest, a stream may break, and a
//! mempool that was full has room later. What was submitted here is in our own next block in any case, so this costs
//! time and no transaction. To save the time, what was submitted here is sent again until it is final: a few at a time,
//! each after pauses that double. Our own system transactions, of which there are few and for which blocks may wait,
//! are sent again at a steady pace.

use std::collections::VecDeque;

use state::{Diff, StateRead};
use types::codec::{Bounded, encode};
use types::hash::{TransactionId, ValidatorId};
use types::limits::{MAX_BODY_BYTES, ORDINARY_CANDIDATE_BODIES, PROTOCOL_CANDIDATE_BODIES};
use types::number::{BeaconStep, Height};
use types::transaction::{SignedTransaction, StoredStatement, SystemTransaction};
use vm::query::{self, Wanted};
use vm::{
    Abort, Beacon, Mempool, MempoolError, MempoolLimits, Rules, SystemPool, SystemPoolError,
    Verified,
};

use crate::gossip::{MAX_POOL_ITEMS, PoolMessage};
use crate::resend::ResendQueue;

/// Time after which a system transaction of ours is sent again, in milliseconds.
const RESEND_MS: u64 = 2_000;
/// Most encoded bytes of transactions that a validator is told when it connects.
const MAX_GREETING_BYTES: usize = 2 << 20;
/// Most encoded bytes of transactions in one frame.
const MAX_POOL_FRAME_BYTES: usize = 128 << 10;

/// Something that is sent again until it is final.
#[derive(Debug, Clone)]
struct OwnItem<T> {
    item: T,
    next_ms: u64,
}

/// The waiting transactions of accounts and of validators.
#[derive(Debug)]
pub(crate) struct Pools {
    mempool: Mempool,
    system: SystemPool,
    own_system: Vec<OwnItem<SystemTransaction>>,
    /// Transactions that were submitted here.
    submitted: ResendQueue,
    /// To be passed on, with who it came from.
    outgoing: VecDeque<(Option<ValidatorId>, SignedTransaction)>,
    outgoing_system: VecDeque<(Option<ValidatorId>, SystemTransaction)>,
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
            own_system: Vec::new(),
            submitted: ResendQueue::default(),
            outgoing: VecDeque::new(),
            outgoing_system: VecDeque::new(),
            urgent: false,
            changed: false,
            beacon_looked_at: None,
        }
    }

    /// Takes a transaction that was submitted here. One that waits already is no error.
    pub(crate) fn submit(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        height: Height,
        now_ms: u64,
        transaction: SignedTransaction,
    ) -> Result<TransactionId, MempoolError> {
        let id = match self
            .mempool
            .insert(rules, decided, height, transaction.clone())
        {
            Ok(inserted) => inserted.id,
            Err(MempoolError::Known(id)) => return Ok(id),
            Err(error) => return Err(error),
        };
        self.changed = true;
        self.outgoing.push_back((None, transaction));
        self.submitted.add(id, now_ms);
        Ok(id)
    }

    /// Takes what a validator passed on. What is not taken here is not passed on. Gives the transactions on which trying
    /// them panicked.
    pub(crate) fn receive(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        height: Height,
        from: ValidatorId,
        message: PoolMessage,
    ) -> Vec<TransactionId> {
        let mut panicked = Vec::new();
        self.changed = true;
        match message {
            PoolMessage::Transactions(transactions) => {
                for transaction in transactions.into_inner() {
                    let copy = transaction.clone();
                    match self.mempool.insert(rules, decided, height, copy) {
                        Ok(_) => self.outgoing.push_back((Some(from), transaction)),
                        Err(MempoolError::TrialPanicked(id)) => panicked.push(id),
                        Err(_) => {}
                    }
                }
            }
            PoolMessage::System(transactions) => {
                for transaction in transactions.into_inner() {
                    if self
                        .system
                        .insert(rules, decided, transaction.clone())
                        .is_ok()
                    {
                        self.outgoing_system.push_back((Some(from), transaction));
                    }
                }
            }
        }
        panicked
    }

    /// True if our statement is on its way already.
    pub(crate) fn has_own(&self, statement: &StoredStatement) -> bool {
        let is_it = |own: &OwnItem<SystemTransaction>| match &own.item {
            SystemTransaction::Stored {
                statement: other, ..
            } => other == statement,
            SystemTransaction::Beacon { .. } => false,
        };
        self.own_system.iter().any(is_it)
    }

    /// True if our output of a beacon step is on its way already.
    pub(crate) fn has_own_output(&self, step: BeaconStep) -> bool {
        let is_it = |own: &OwnItem<SystemTransaction>| match &own.item {
            SystemTransaction::Beacon { step: other, .. } => *other == step,
            SystemTransaction::Stored { .. } => false,
        };
        self.own_system.iter().any(is_it)
    }

    /// Takes a system transaction of ours.
    pub(crate) fn add_own(
        &mut self,
        rules: &Rules,
        decided: &dyn StateRead,
        now_ms: u64,
        transaction: SystemTransaction,
    ) -> Result<(), Abort> {
        self.changed = true;
        match self.system.insert(rules, decided, transaction.clone()) {
            Ok(()) | Err(SystemPoolError::Known) => {
                self.outgoing_system.push_back((None, transaction.clone()));
                self.own_system.push(OwnItem {
                    item: transaction,
                    next_ms: now_ms.saturating_add(RESEND_MS),
                });
                Ok(())
            }
            Err(SystemPoolError::Abort(abort)) => Err(abort),
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
        let mut kept = Vec::new();
        for own in std::mem::take(&mut self.own_system) {
            let useful = match &own.item {
                SystemTransaction::Beacon { step: own_step, .. } => *own_step > step,
                SystemTransaction::Stored {
                    statement,
                    validator,
                    ..
                } => query::wants_stored(decided, statement, *validator)? != Wanted::No,
            };
            if useful {
                kept.push(own);
            }
        }
        self.own_system = kept;
        let mempool = &self.mempool;
        self.submitted
            .retain(|id| mempool.transaction(id).is_some());
        Ok(panicked)
    }

    /// What a block on the state `view` is built from.
    pub(crate) fn candidates(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
    ) -> Result<(Vec<SystemTransaction>, Vec<Verified>), Abort> {
        let system = self.system.candidates(rules, view)?;
        let (protocol, ordinary) = (
            PROTOCOL_CANDIDATE_BODIES * MAX_BODY_BYTES,
            ORDINARY_CANDIDATE_BODIES * MAX_BODY_BYTES,
        );
        Ok((system, self.mempool.offer(view, protocol, ordinary)?))
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

    /// The frames that are due, each with who it came from.
    pub(crate) fn flood(&mut self, now_ms: u64) -> Vec<(PoolMessage, Option<ValidatorId>)> {
        self.queue_again(now_ms);
        let mut frames = Vec::new();
        for (from, batch) in batches(&mut self.outgoing) {
            frames.extend(
                Bounded::new(batch)
                    .ok()
                    .map(|all| (PoolMessage::Transactions(all), from)),
            );
        }
        for (from, batch) in batches(&mut self.outgoing_system) {
            frames.extend(
                Bounded::new(batch)
                    .ok()
                    .map(|all| (PoolMessage::System(all), from)),
            );
        }
        frames
    }

    fn queue_again(&mut self, now_ms: u64) {
        for own in self
            .own_system
            .iter_mut()
            .filter(|own| own.next_ms <= now_ms)
        {
            own.next_ms = now_ms.saturating_add(RESEND_MS);
            self.outgoing_system.push_back((None, own.item.clone()));
        }
        for id in self.submitted.take_round(now_ms) {
            let transaction = self.mempool.transaction(&id).cloned();
            self.outgoing
                .extend(transaction.map(|transaction| (None, transaction)));
        }
    }

    /// When something is to be sent again.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        let own = self.own_system.iter().map(|own| own.next_ms);
        own.chain(self.submitted.next_ms()).min()
    }

    /// What a validator that has just connected may have missed, the best paid first.
    pub(crate) fn greeting(&self) -> Vec<PoolMessage> {
        let mut bytes = 0;
        let fits = |candidate: &&Verified| {
            bytes += candidate.bytes();
            bytes <= MAX_GREETING_BYTES
        };
        let waiting = self.mempool.candidates().take_while(fits);
        let mut transactions: VecDeque<_> = waiting
            .map(|candidate| (None, candidate.signed().clone()))
            .collect();
        let mut system: VecDeque<_> = self
            .own_system
            .iter()
            .map(|own| (None, own.item.clone()))
            .collect();
        let mut frames = Vec::new();
        for (_, batch) in batches(&mut transactions) {
            frames.extend(Bounded::new(batch).ok().map(PoolMessage::Transactions));
        }
        for (_, batch) in batches(&mut system) {
            frames.extend(Bounded::new(batch).ok().map(PoolMessage::System));
        }
        frames
    }

    /// Whether a block should follow soon, if that changed since it was last asked.
    pub(crate) fn urgency_changed(
        &mut self,
        decided: &dyn StateRead,
    ) -> Result<Option<bool>, Abort> {
        if !std::mem::take(&mut self.changed) {
            return Ok(None);
        }
        let urgent = self.mempool.is_ready() || self.system.is_ready(decided)?;
        let changed = urgent != self.urgent;
        self.urgent = urgent;
        Ok(changed.then_some(urgent))
    }

    pub(crate) fn mempool(&self) -> &Mempool {
        &self.mempool
    }
}

/// Takes everything out in batches that fit a frame, each of what came from one validator.
fn batches<T: borsh::BorshSerialize>(
    queue: &mut VecDeque<(Option<ValidatorId>, T)>,
) -> Vec<(Option<ValidatorId>, Vec<T>)> {
    let mut done: Vec<(Option<ValidatorId>, Vec<T>)> = Vec::new();
    let mut bytes = 0;
    for (from, item) in queue.drain(..) {
        let length = encode(&item).len();
        let open = done.last_mut().filter(|(other, batch)| {
            *other == from && batch.len() < MAX_POOL_ITEMS && bytes + length <= MAX_POOL_FRAME_BYTES
        });
        if let Some((_, batch)) = open {
            bytes += length;
            batch.push(item);
        } else {
            bytes = length;
            done.push((from, vec![item]));
        }
    }
    done
}
