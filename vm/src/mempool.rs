//! Transactions that wait for a block. Pure: it reads accounts from the view it is given and keeps no clock.
//!
//! It holds at most 16 nonces per sender, and caps on bytes and number. When it is full, what pays least per gas goes
//! if the new one pays more, else the answer is [`MempoolError::Full`], which is worth a retry; nothing is dropped
//! silently. A transaction replaces the one with its nonce for a fee at least 10 % higher. Steps that their jobs await
//! have neither nonce nor fee: `steps` keeps them, in a quarter of the room as they have in blocks, and they are offered to
//! a block first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use state::{StateRead, read_as};
use types::hash::{Address, TransactionId};
use types::limits::NONCES_PER_SENDER;
use types::number::{Amount, Height, Nonce};
use types::state_key::StateKey;
use types::transaction::{SignedTransaction, Transaction};

use crate::charge::{self, ChargeError, Unverified, Verified};
use crate::{Abort, Account, Rules, gas};

mod candidates;
mod error;
mod recheck;
mod room;
mod steps;

pub use candidates::Candidates;
pub use error::MempoolError;
use steps::{StepSubject, Steps};

/// Caps of a mempool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolLimits {
    /// Encoded bytes of all transactions.
    pub bytes: usize,
    /// Maximum number of waiting transactions.
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
    /// Id of the transaction.
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

/// Room that is taken by what is charged, and who goes first.
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
    ids: BTreeMap<TransactionId, Place>,
    expiry: BTreeSet<(Height, Place)>,
    ordinary: Taken,
    steps: Steps,
    arrivals: u64,
}

/// Where a transaction waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Nonce(Address, Nonce),
    Step(StepSubject),
}

impl Mempool {
    /// A mempool without transactions.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            ids: BTreeMap::new(),
            expiry: BTreeSet::new(),
            ordinary: Taken::default(),
            steps: Steps::default(),
            arrivals: 0,
        }
    }

    /// Takes a transaction in, judged on the state `view` after the block of height `height`: checks its form, verifies
    /// its signature and finds its place.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        signed: SignedTransaction,
    ) -> Result<Inserted, MempoolError> {
        let unverified = self.check(rules, height, signed)?;
        self.insert_verified(rules, view, height, Verified::verify(unverified)?)
    }

    /// What can be said of a transaction before its signature is verified and without state: it is new, its form is right
    /// and so are its terms.
    pub fn check(
        &self,
        rules: &Rules,
        height: Height,
        signed: SignedTransaction,
    ) -> Result<Unverified, MempoolError> {
        let unverified = Unverified::new(rules, signed)?;
        let (id, bytes) = (unverified.id(), unverified.bytes());
        self.check_new(rules, height, (id, bytes), unverified.transaction())?;
        Ok(unverified)
    }

    /// Checks that a transaction of that id and length is new, and its terms.
    fn check_new(
        &self,
        rules: &Rules,
        height: Height,
        (id, bytes): (TransactionId, usize),
        transaction: &Transaction,
    ) -> Result<(), MempoolError> {
        if self.ids.contains_key(&id) {
            return Err(MempoolError::Known(id));
        }
        Ok(charge::check_terms(
            rules,
            transaction,
            bytes,
            height.next(),
        )?)
    }

    /// Takes a transaction in whose signature was verified, judged on the state `view` after the block of height
    /// `height`.
    pub fn insert_verified(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        transaction: Verified,
    ) -> Result<Inserted, MempoolError> {
        let id = transaction.id();
        let new = (id, transaction.bytes());
        self.check_new(rules, height, new, transaction.transaction())?;
        if transaction.transaction().action.is_step() {
            return self.insert_step(rules, view, height, transaction);
        }
        let sender = transaction.transaction().sender.address();
        let account = read_account(view, &sender)?;
        let replaced = self.check_place(&sender, &account, transaction.transaction())?;
        let evicted = self.make_room(&sender, &transaction)?;
        let nonce = transaction.transaction().nonce;
        self.remove(&sender, nonce);
        self.arrivals += 1;
        self.put(
            sender,
            account.nonce,
            Pooled {
                transaction,
                arrival: self.arrivals,
            },
        );
        Ok(Inserted {
            id,
            replaced,
            evicted,
        })
    }

    fn insert_step(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        transaction: Verified,
    ) -> Result<Inserted, MempoolError> {
        let (id, valid_until) = (transaction.id(), transaction.transaction().valid_until);
        let limits = self.step_limits();
        self.arrivals += 1;
        let new = (transaction, self.arrivals);
        let subject = self.steps.insert(rules, view, height, limits, new)?;
        self.ids.insert(id, Place::Step(subject));
        self.expiry.insert((valid_until, Place::Step(subject)));
        Ok(Inserted {
            id,
            replaced: None,
            evicted: Vec::new(),
        })
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
                    next: self.next_nonce(sender, account),
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

    /// Drops a transaction, if it waits.
    pub fn drop_one(&mut self, id: &TransactionId) {
        if let Some(place) = self.ids.get(id).copied() {
            self.remove_at(&place);
        }
    }

    /// All that a block could take, in the order in which it is offered.
    pub fn candidates(&self) -> impl Iterator<Item = &Verified> {
        self.steps.iter().chain(Candidates::new(self))
    }

    /// The first of what a block on the state `view` after the block of height `height` could take: so many bytes of steps, so
    /// many of what is charged. What that state has seen of the parties' steps already takes no room.
    // Rule C53.
    pub fn offer(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        steps: usize,
        ordinary: usize,
    ) -> Result<Vec<Verified>, Abort> {
        let mut all = self.steps.offer(rules, view, height, steps)?;
        all.extend(Candidates::new(self).within(ordinary).into_iter().cloned());
        Ok(all)
    }

    /// True if a transaction waits that a block could take.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut senders = self.senders.values();
        !self.steps.is_empty() || senders.any(|waiting| waiting.pooled.contains_key(&waiting.next))
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
        self.verified(id).map(Verified::signed)
    }

    /// A transaction that waits, with what is known of it.
    #[must_use]
    pub fn verified(&self, id: &TransactionId) -> Option<&Verified> {
        match self.ids.get(id)? {
            Place::Step(subject) => self.steps.get(subject),
            Place::Nonce(sender, nonce) => {
                let waiting = self.senders.get(sender)?;
                Some(&waiting.pooled.get(nonce)?.transaction)
            }
        }
    }

    /// True if exactly this waits, signature and all: it was verified then.
    #[must_use]
    pub fn has_verified(&self, signed: &SignedTransaction) -> bool {
        self.transaction(&signed.id())
            .is_some_and(|other| other == signed)
    }

    /// Number of transactions that wait.
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
        self.ordinary.bytes + self.steps.bytes()
    }

    fn put(&mut self, sender: Address, next: Nonce, pooled: Pooled) {
        let transaction = pooled.transaction.transaction();
        let nonce = transaction.nonce;
        let place = Place::Nonce(sender, nonce);
        self.ids.insert(pooled.transaction.id(), place);
        self.expiry.insert((transaction.valid_until, place));
        let rank = (pooled.rate(), Reverse(pooled.arrival), sender, nonce);
        self.ordinary.bytes += pooled.transaction.bytes();
        self.ordinary.ranks.insert(rank);
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
        self.forget(&pooled.transaction, Place::Nonce(*sender, nonce));
        self.ordinary.bytes -= pooled.transaction.bytes();
        let rank = (pooled.rate(), Reverse(pooled.arrival), *sender, nonce);
        self.ordinary.ranks.remove(&rank);
        Some(pooled)
    }

    fn remove_at(&mut self, place: &Place) {
        match place {
            Place::Nonce(sender, nonce) => drop(self.remove(sender, *nonce)),
            Place::Step(subject) => {
                if let Some(step) = self.steps.remove(subject) {
                    self.forget(&step, *place);
                }
            }
        }
    }

    fn forget(&mut self, transaction: &Verified, place: Place) {
        self.ids.remove(&transaction.id());
        let valid_until = transaction.transaction().valid_until;
        self.expiry.remove(&(valid_until, place));
    }
}

fn read_account(view: &dyn StateRead, address: &Address) -> Result<Account, Abort> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}
