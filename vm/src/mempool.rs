//! Transactions that wait for a block. Pure: it reads accounts from the view it is given and keeps no clock.
//!
//! It holds at most 16 nonces per sender, and caps on bytes and number. When it is full, what pays least per gas goes
//! if the new one pays more, else the answer is [`MempoolError::Full`], which is worth a retry; nothing is dropped
//! silently. A transaction replaces the one with its nonce for a fee at least 10 % higher. Steps that their jobs await
//! have a quarter of the room to themselves, as they have in blocks, and are offered to a block first; `queue` says which
//! these are. A party's other transactions are ordinary ones, and what comes after one waits with it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use state::{StateRead, read_as};
use types::hash::{Address, JobId, TransactionId};
use types::limits::NONCES_PER_SENDER;
use types::number::{Amount, Height, Nonce};
use types::state_key::StateKey;
use types::transaction::{SignedTransaction, Transaction};

use crate::charge::{self, ChargeError, Verified};
use crate::{Abort, Account, Rules, gas};

mod candidates;
mod error;
mod queue;

pub use candidates::Candidates;
pub use error::MempoolError;
use queue::{PooledStep, Queue};

/// Caps of a mempool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolLimits {
    /// Encoded bytes of all transactions.
    pub bytes: usize,
    /// Number of transactions.
    pub transactions: usize,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            transactions: 32_768,
        }
    }
}

/// What taking a transaction in did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// Its id.
    pub id: TransactionId,
    /// The transaction of the same sender and nonce that it replaced.
    pub replaced: Option<TransactionId>,
    /// What had to make room.
    pub evicted: Vec<TransactionId>,
}

/// What is paid for a unit of gas, in units of 2^-16.
type Rate = u128;

#[derive(Debug, Clone)]
struct Pooled {
    transaction: Verified,
    queue: Queue,
    step: Option<PooledStep>,
    arrival: u64,
}

impl Pooled {
    fn fee(&self) -> Amount {
        self.transaction.transaction().fee
    }

    fn rate(&self) -> Rate {
        rate(&self.transaction)
    }
}

fn rate(transaction: &Verified) -> Rate {
    transaction.transaction().fee.0.saturating_mul(1 << 16) / gas_of(transaction)
}

fn gas_of(transaction: &Verified) -> u128 {
    u128::from(
        gas::of_transaction(transaction.bytes(), &transaction.transaction().action)
            .0
            .max(1),
    )
}

/// What waits of one sender, and the nonce its account is at.
#[derive(Debug, Clone, Default)]
struct Waiting {
    next: Nonce,
    pooled: BTreeMap<Nonce, Pooled>,
}

/// Order of eviction: who pays least first, of equals the latest.
type Rank = (Rate, Reverse<u64>, Address, Nonce);

/// Room that is taken in a queue, and who goes first.
#[derive(Debug, Clone, Default)]
struct Taken {
    bytes: usize,
    ranks: BTreeSet<Rank>,
}

/// The transactions that wait.
#[derive(Debug, Clone)]
pub struct Mempool {
    limits: MempoolLimits,
    senders: BTreeMap<Address, Waiting>,
    ids: BTreeMap<TransactionId, (Address, Nonce)>,
    expiry: BTreeSet<(Height, Address, Nonce)>,
    ordinary: Taken,
    protocol: Taken,
    /// The sender, job and step of each transaction in the protocol queue; each once.
    awaited: BTreeMap<(Address, JobId, &'static str), Nonce>,
    /// The steps of partners by the job that they are for.
    steps: BTreeSet<(JobId, Address, Nonce)>,
    arrivals: u64,
}

impl Mempool {
    /// An empty one.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            ids: BTreeMap::new(),
            expiry: BTreeSet::new(),
            ordinary: Taken::default(),
            protocol: Taken::default(),
            awaited: BTreeMap::new(),
            steps: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// Takes a transaction in, judged on the state `view` after the block of height `height`.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        signed: SignedTransaction,
    ) -> Result<Inserted, MempoolError> {
        let id = signed.id();
        if self.ids.contains_key(&id) {
            return Err(MempoolError::Known(id));
        }
        charge::check_form(rules, &signed)?;
        charge::check_terms(rules, signed.transaction(), height.next())?;
        let sender = signed.transaction().sender.address();
        let account = read_account(view, &sender)?;
        let replaced = self.check_place(&sender, &account, signed.transaction())?;
        let transaction = Verified::new(rules, signed)?;
        let step = queue::try_step(rules, view, height, &sender, transaction.transaction())?;
        let queue = self.queue(&sender, &transaction, step);
        let evicted = match queue {
            Queue::Protocol => Vec::new(),
            Queue::Ordinary => self.make_room(&sender, &transaction)?,
        };
        let nonce = transaction.transaction().nonce;
        self.remove(&sender, nonce);
        self.arrivals += 1;
        self.put(
            sender,
            account.nonce,
            Pooled {
                transaction,
                queue,
                step,
                arrival: self.arrivals,
            },
        );
        Ok(Inserted {
            id,
            replaced,
            evicted,
        })
    }

    /// The protocol queue for the first action that a job expects of a sender, if there is room in it.
    fn queue(&self, sender: &Address, new: &Verified, step: Option<PooledStep>) -> Queue {
        let Some(step) = step.filter(|step| step.awaited) else {
            return Queue::Ordinary;
        };
        let nonce = new.transaction().nonce;
        if self
            .awaited
            .get(&(*sender, step.job, step.step))
            .is_some_and(|taken| *taken != nonce)
        {
            return Queue::Ordinary;
        }
        let (limits, (bytes, count)) = (
            self.queue_limits(Queue::Protocol),
            self.with(sender, new, Queue::Protocol),
        );
        if bytes <= limits.bytes && count <= limits.transactions {
            Queue::Protocol
        } else {
            Queue::Ordinary
        }
    }

    /// Bytes and number in a queue once it holds `new` instead of what has its nonce now.
    fn with(&self, sender: &Address, new: &Verified, queue: Queue) -> (usize, usize) {
        let taken = self.taken(queue);
        let (bytes, count) = (taken.bytes + new.bytes(), taken.ranks.len() + 1);
        let waiting = self.senders.get(sender);
        let old = waiting.and_then(|waiting| waiting.pooled.get(&new.transaction().nonce));
        match old.filter(|old| old.queue == queue) {
            Some(old) => (bytes.saturating_sub(old.transaction.bytes()), count - 1),
            None => (bytes, count),
        }
    }

    /// Checks nonce, replacement and the sum of fees; gives the transaction that would be replaced.
    fn check_place(
        &self,
        sender: &Address,
        account: &Account,
        transaction: &Transaction,
    ) -> Result<Option<TransactionId>, MempoolError> {
        let (found, next) = (transaction.nonce, account.nonce);
        if found < next {
            return Err(ChargeError::Nonce {
                found,
                expected: next,
            }
            .into());
        }
        if found.0 - next.0 >= NONCES_PER_SENDER {
            return Err(MempoolError::NonceTooFar { found, next });
        }
        let waiting = self.senders.get(sender);
        let before = waiting.and_then(|waiting| waiting.pooled.get(&found));
        if let Some(before) = before {
            let tenth = Amount(before.fee().0.div_ceil(10));
            let needed = before.fee().checked_add(tenth).unwrap_or(Amount(u128::MAX));
            if transaction.fee < needed {
                let before = before.transaction.id();
                return Err(MempoolError::ReplacementFee {
                    before,
                    found: transaction.fee,
                    needed,
                });
            }
        }
        let others = waiting.into_iter().flat_map(|waiting| &waiting.pooled);
        let fees = others
            .filter(|(nonce, _)| **nonce >= next && **nonce != found)
            .map(|(_, pooled)| pooled.fee());
        let fees = Amount::sum(fees.chain([transaction.fee])).unwrap_or(Amount(u128::MAX));
        if fees > account.balance {
            return Err(MempoolError::CannotPay {
                balance: account.balance,
                fees,
            });
        }
        Ok(before.map(|before| before.transaction.id()))
    }

    /// Evicts what pays less until `new` fits the ordinary queue, or changes nothing and says that there is no room.
    fn make_room(
        &mut self,
        sender: &Address,
        new: &Verified,
    ) -> Result<Vec<TransactionId>, MempoolError> {
        let queue = Queue::Ordinary;
        let limits = self.queue_limits(queue);
        let (mut bytes, mut count) = self.with(sender, new, queue);
        let (offered, gas) = (rate(new), gas_of(new));
        let mut victims: BTreeSet<(Address, Nonce)> = BTreeSet::new();
        for (least, _, victim, from) in &self.taken(queue).ranks {
            if bytes <= limits.bytes && count <= limits.transactions {
                break;
            }
            if *least >= offered {
                return Err(MempoolError::Full {
                    above: Amount(least.saturating_mul(gas).div_ceil(1 << 16)),
                });
            }
            if victim == sender {
                continue;
            }
            // What follows a victim could not be executed without it.
            for (nonce, pooled) in self
                .senders
                .get(victim)
                .into_iter()
                .flat_map(|w| w.pooled.range(*from..))
            {
                if victims.insert((*victim, *nonce)) && pooled.queue == queue {
                    (bytes, count) = (
                        bytes.saturating_sub(pooled.transaction.bytes()),
                        count.saturating_sub(1),
                    );
                }
            }
        }
        if bytes > limits.bytes || count > limits.transactions {
            return Err(MempoolError::Full {
                above: new.transaction().fee,
            });
        }
        let gone = victims
            .into_iter()
            .filter_map(|(victim, nonce)| self.remove(&victim, nonce));
        Ok(gone.map(|pooled| pooled.transaction.id()).collect())
    }

    /// Looks again at what depends on the keys that a block changed, on the state after it, and drops what expired: what
    /// was included or overtaken goes, and what can no longer pay; what a job waits for now, or no more, changes queues.
    pub fn recheck<'k>(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        changed: impl IntoIterator<Item = &'k StateKey>,
    ) -> Result<(), Abort> {
        while let Some((_, sender, nonce)) = self
            .expiry
            .first()
            .filter(|first| first.0 <= height)
            .copied()
        {
            self.remove(&sender, nonce);
        }
        let mut jobs = Vec::new();
        for key in changed {
            match key {
                StateKey::Account(sender) => self.recheck_sender(view, sender)?,
                StateKey::Job(job) => jobs.push(*job),
                _ => {}
            }
        }
        jobs.into_iter()
            .try_for_each(|job| self.recheck_job(rules, view, height, &job))
    }

    fn recheck_sender(&mut self, view: &dyn StateRead, sender: &Address) -> Result<(), Abort> {
        let Some(waiting) = self.senders.get_mut(sender) else {
            return Ok(());
        };
        let account = read_account(view, sender)?;
        waiting.next = account.nonce;
        let mut left = Some(account.balance);
        let mut gone = Vec::new();
        for (nonce, pooled) in &waiting.pooled {
            if *nonce >= account.nonce {
                left = left.and_then(|left| left.checked_sub(pooled.fee()));
            }
            if *nonce < account.nonce || left.is_none() {
                gone.push(*nonce);
            }
        }
        for nonce in gone {
            self.remove(sender, nonce);
        }
        Ok(())
    }

    /// Puts the actions on a job into the queues where they belong since its stage changed, in order of arrival.
    fn recheck_job(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        job: &JobId,
    ) -> Result<(), Abort> {
        let first = (*job, Address::default(), Nonce::ZERO);
        let on_job = self
            .steps
            .range(first..)
            .take_while(|(other, ..)| other == job);
        let all: Vec<_> = on_job.map(|(_, sender, nonce)| (*sender, *nonce)).collect();
        if all.is_empty() {
            return Ok(());
        }
        let (snapshot, _) = queue::job_snapshot(view, job)?;
        let mut moving = BTreeMap::new();
        for (sender, nonce) in all {
            let Some(waiting) = self.senders.get(&sender) else {
                continue;
            };
            let stale = |pooled: &Pooled| pooled.step.is_some_and(|step| step.snapshot != snapshot);
            if waiting.pooled.get(&nonce).is_some_and(stale) {
                let next = waiting.next;
                moving.extend(
                    self.remove(&sender, nonce)
                        .map(|pooled| (pooled.arrival, (sender, next, pooled))),
                );
            }
        }
        for (sender, next, mut pooled) in moving.into_values() {
            pooled.step = queue::try_step(
                rules,
                view,
                height,
                &sender,
                pooled.transaction.transaction(),
            )?;
            pooled.queue = self.queue(&sender, &pooled.transaction, pooled.step);
            self.put(sender, next, pooled);
        }
        Ok(())
    }

    /// Drops a transaction, if it waits.
    pub fn drop_one(&mut self, id: &TransactionId) {
        if let Some((sender, nonce)) = self.ids.get(id).copied() {
            self.remove(&sender, nonce);
        }
    }

    /// All that a block could take, in the order in which it is offered.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'_> {
        Candidates::new(&self.senders, &BTreeMap::new())
    }

    /// The first of what a block on the state `view` could take: so many bytes of the protocol queue, so many of the
    /// ordinary one. What that state has seen of the parties' transactions already takes no room.
    pub fn offer(
        &self,
        view: &dyn StateRead,
        protocol: usize,
        ordinary: usize,
    ) -> Result<Vec<Verified>, Abort> {
        let mut first = BTreeMap::new();
        for (sender, ..) in self.awaited.keys() {
            if !first.contains_key(sender) {
                first.insert(*sender, read_account(view, sender)?.nonce);
            }
        }
        Ok(Candidates::new(&self.senders, &first)
            .within(protocol, ordinary)
            .into_iter()
            .cloned()
            .collect())
    }

    /// True if a transaction waits that a block could take.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.senders
            .values()
            .any(|waiting| waiting.pooled.contains_key(&waiting.next))
    }

    /// The nonce that a sender's next transaction should have, `account` being its account: past what waits in order.
    #[must_use]
    pub fn next_nonce(&self, sender: &Address, account: &Account) -> Nonce {
        let mut next = account.nonce;
        while self
            .senders
            .get(sender)
            .is_some_and(|waiting| waiting.pooled.contains_key(&next))
        {
            next = next.next();
        }
        next
    }

    /// A transaction that waits.
    #[must_use]
    pub fn transaction(&self, id: &TransactionId) -> Option<&SignedTransaction> {
        let (sender, nonce) = self.ids.get(id)?;
        Some(
            self.senders
                .get(sender)?
                .pooled
                .get(nonce)?
                .transaction
                .signed(),
        )
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Encoded bytes of all that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ordinary.bytes + self.protocol.bytes
    }

    fn queue_limits(&self, queue: Queue) -> MempoolLimits {
        let MempoolLimits {
            bytes,
            transactions,
        } = self.limits;
        match queue {
            Queue::Protocol => MempoolLimits {
                bytes: bytes / 4,
                transactions: transactions / 4,
            },
            Queue::Ordinary => MempoolLimits {
                bytes: bytes - bytes / 4,
                transactions: transactions - transactions / 4,
            },
        }
    }

    fn taken(&self, queue: Queue) -> &Taken {
        match queue {
            Queue::Ordinary => &self.ordinary,
            Queue::Protocol => &self.protocol,
        }
    }

    fn taken_mut(&mut self, queue: Queue) -> &mut Taken {
        match queue {
            Queue::Ordinary => &mut self.ordinary,
            Queue::Protocol => &mut self.protocol,
        }
    }

    fn put(&mut self, sender: Address, next: Nonce, pooled: Pooled) {
        let transaction = pooled.transaction.transaction();
        let nonce = transaction.nonce;
        self.ids.insert(pooled.transaction.id(), (sender, nonce));
        self.expiry.insert((transaction.valid_until, sender, nonce));
        let bytes = pooled.transaction.bytes();
        let rank = (pooled.rate(), Reverse(pooled.arrival), sender, nonce);
        if let Some(step) = pooled.step {
            self.steps.insert((step.job, sender, nonce));
            if pooled.queue == Queue::Protocol {
                self.awaited.insert((sender, step.job, step.step), nonce);
            }
        }
        let taken = self.taken_mut(pooled.queue);
        taken.bytes += bytes;
        taken.ranks.insert(rank);
        let waiting = self.senders.entry(sender).or_default();
        waiting.next = next;
        waiting.pooled.insert(nonce, pooled);
    }

    fn remove(&mut self, sender: &Address, nonce: Nonce) -> Option<Pooled> {
        let waiting = self.senders.get_mut(sender)?;
        let pooled = waiting.pooled.remove(&nonce)?;
        if waiting.pooled.is_empty() {
            self.senders.remove(sender);
        }
        self.ids.remove(&pooled.transaction.id());
        self.expiry
            .remove(&(pooled.transaction.transaction().valid_until, *sender, nonce));
        let taken = self.taken_mut(pooled.queue);
        taken.bytes -= pooled.transaction.bytes();
        taken
            .ranks
            .remove(&(pooled.rate(), Reverse(pooled.arrival), *sender, nonce));
        if let Some(step) = pooled.step {
            self.steps.remove(&(step.job, *sender, nonce));
            if pooled.queue == Queue::Protocol {
                self.awaited.remove(&(*sender, step.job, step.step));
            }
        }
        Some(pooled)
    }
}

fn read_account(view: &dyn StateRead, address: &Address) -> Result<Account, Abort> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}
