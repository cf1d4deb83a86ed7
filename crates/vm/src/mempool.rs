//! Transactions that wait for a block. Pure: it reads accounts from the view it is given and keeps no clock.
//!
//! It holds at most 16 nonces per sender, and caps on bytes and number. When it is full, what pays least goes if the
//! new one pays more, else the answer is [`MempoolError::Full`], which is worth a retry; nothing is dropped silently.
//! A transaction replaces the one with its nonce for a fee at least 10 % higher. Actions of bonded partners on live
//! jobs have a quarter of the room to themselves, as they have in blocks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use state::{StateRead, read_as};
use types::hash::{Address, TransactionId};
use types::job::JobRecord;
use types::number::{Amount, Height, Nonce};
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction, Transaction};

use crate::charge::{self, ChargeError, Verified};
use crate::{Account, Fault, Rules, partner};

mod candidates;

pub use candidates::Candidates;

/// Most transactions of one sender.
pub const NONCES_PER_SENDER: u64 = 16;

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
        Self { bytes: 32 << 20, transactions: 32_768 }
    }
}

/// Why a transaction is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// It is here already.
    #[error("transaction {0} is known")]
    Known(TransactionId),
    /// No block could hold it.
    #[error(transparent)]
    Charge(#[from] ChargeError),
    /// Its nonce lies too far ahead of the account's.
    #[error("the nonce {found} is too far ahead: the account is at {next}, at most {NONCES_PER_SENDER} may wait")]
    NonceTooFar {
        /// The transaction's.
        found: Nonce,
        /// The account's next.
        next: Nonce,
    },
    /// It would replace one with its nonce for too little more.
    #[error("the fee {found} SQUARE does not replace transaction {before}: at least {needed} does")]
    ReplacementFee {
        /// What would be replaced.
        before: TransactionId,
        /// The fee offered.
        found: Amount,
        /// The least fee that replaces it.
        needed: Amount,
    },
    /// The account cannot pay for all that waits.
    #[error("the account holds {balance} SQUARE, the fees of its waiting transactions come to {fees}")]
    CannotPay {
        /// What the account holds.
        balance: Amount,
        /// The fees together.
        fees: Amount,
    },
    /// No room for that fee.
    #[error("the mempool is full: try again later or with a fee above {above} SQUARE")]
    Full {
        /// The least fee among what waits.
        above: Amount,
    },
    /// State could not be read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl MempoolError {
    /// True if the same transaction may be taken later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::NonceTooFar { .. } | Self::CannotPay { .. } | Self::Fault(_))
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

/// Which part of the room a transaction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Ordinary,
    Protocol,
}

#[derive(Debug, Clone)]
struct Pooled {
    transaction: Verified,
    lane: Lane,
    arrival: u64,
}

impl Pooled {
    fn fee(&self) -> Amount {
        self.transaction.transaction().fee
    }
}

/// What waits of one sender, and the nonce its account is at.
#[derive(Debug, Clone, Default)]
struct Waiting {
    next: Nonce,
    pooled: BTreeMap<Nonce, Pooled>,
}

/// Order of eviction: the least fee first, of equals the latest.
type Rank = (Amount, Reverse<u64>, Address, Nonce);

/// Room that is taken in a lane, and who goes first.
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
        charge::check_terms(rules, &signed.transaction, height.next())?;
        let sender = signed.transaction.sender.address();
        let account = read_account(view, &sender)?;
        let replaced = self.check_place(&sender, &account, &signed.transaction)?;
        let transaction = Verified::new(rules, signed)?;
        let lane = lane(rules, view, &sender, &transaction.transaction().action)?;
        let evicted = self.make_room(&sender, &transaction, lane, replaced.is_some())?;
        let nonce = transaction.transaction().nonce;
        let before = self.remove(&sender, nonce).map(|pooled| pooled.transaction.id());
        self.arrivals += 1;
        self.put(sender, account.nonce, Pooled { transaction, lane, arrival: self.arrivals });
        Ok(Inserted { id, replaced: before, evicted })
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
            return Err(ChargeError::Nonce { found, expected: next }.into());
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
                return Err(MempoolError::ReplacementFee { before, found: transaction.fee, needed });
            }
        }
        let others = waiting.into_iter().flat_map(|waiting| &waiting.pooled);
        let fees = others.filter(|(nonce, _)| **nonce >= next && **nonce != found).map(|(_, pooled)| pooled.fee());
        let fees = Amount::sum(fees.chain([transaction.fee])).unwrap_or(Amount(u128::MAX));
        if fees > account.balance {
            return Err(MempoolError::CannotPay { balance: account.balance, fees });
        }
        Ok(before.map(|before| before.transaction.id()))
    }

    /// Evicts what pays less until `new` fits its lane, or changes nothing and says that there is no room.
    fn make_room(
        &mut self,
        sender: &Address,
        new: &Verified,
        lane: Lane,
        replaces: bool,
    ) -> Result<Vec<TransactionId>, MempoolError> {
        let limits = self.lane_limits(lane);
        let (mut bytes, mut count) = (self.taken(lane).bytes + new.bytes(), self.taken(lane).ranks.len() + 1);
        let fee = new.transaction().fee;
        let nonce = new.transaction().nonce;
        let old = self.senders.get(sender).and_then(|waiting| waiting.pooled.get(&nonce));
        if let Some(old) = old.filter(|old| replaces && old.lane == lane) {
            (bytes, count) = (bytes.saturating_sub(old.transaction.bytes()), count - 1);
        }
        let mut victims: BTreeSet<(Address, Nonce)> = BTreeSet::new();
        for (least, _, victim, from) in &self.taken(lane).ranks {
            if bytes <= limits.bytes && count <= limits.transactions {
                break;
            }
            if *least >= fee {
                return Err(MempoolError::Full { above: *least });
            }
            if victim == sender {
                continue;
            }
            // What follows a victim could not be executed without it.
            for (nonce, pooled) in self.senders.get(victim).into_iter().flat_map(|w| w.pooled.range(*from..)) {
                if victims.insert((*victim, *nonce)) && pooled.lane == lane {
                    (bytes, count) = (bytes.saturating_sub(pooled.transaction.bytes()), count.saturating_sub(1));
                }
            }
        }
        if bytes > limits.bytes || count > limits.transactions {
            return Err(MempoolError::Full { above: fee });
        }
        let gone = victims.into_iter().filter_map(|(victim, nonce)| self.remove(&victim, nonce));
        Ok(gone.map(|pooled| pooled.transaction.id()).collect())
    }

    /// Looks again at all that waits of `touched` senders on a newer state, and drops what expired: what was included
    /// or overtaken goes, and what can no longer pay.
    pub fn recheck(
        &mut self,
        view: &dyn StateRead,
        height: Height,
        touched: impl IntoIterator<Item = Address>,
    ) -> Result<(), Fault> {
        while let Some((_, sender, nonce)) = self.expiry.first().filter(|first| first.0 <= height).copied() {
            self.remove(&sender, nonce);
        }
        for sender in touched {
            let Some(waiting) = self.senders.get_mut(&sender) else { continue };
            let account = read_account(view, &sender)?;
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
                self.remove(&sender, nonce);
            }
        }
        Ok(())
    }

    /// What a block may take, in this order: the best fee among the next of each sender, of equals the earliest.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'_> {
        Candidates::new(&self.senders)
    }

    /// True if a transaction waits that a block could take.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.senders.values().any(|waiting| waiting.pooled.contains_key(&waiting.next))
    }

    /// The nonce that a sender's next transaction should have, `account` being its account: past what waits in order.
    #[must_use]
    pub fn next_nonce(&self, sender: &Address, account: &Account) -> Nonce {
        let mut next = account.nonce;
        while self.senders.get(sender).is_some_and(|waiting| waiting.pooled.contains_key(&next)) {
            next = next.next();
        }
        next
    }

    /// A transaction that waits.
    #[must_use]
    pub fn transaction(&self, id: &TransactionId) -> Option<&SignedTransaction> {
        let (sender, nonce) = self.ids.get(id)?;
        Some(self.senders.get(sender)?.pooled.get(nonce)?.transaction.signed())
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

    fn lane_limits(&self, lane: Lane) -> MempoolLimits {
        let MempoolLimits { bytes, transactions } = self.limits;
        match lane {
            Lane::Protocol => MempoolLimits { bytes: bytes / 4, transactions: transactions / 4 },
            Lane::Ordinary => MempoolLimits { bytes: bytes - bytes / 4, transactions: transactions - transactions / 4 },
        }
    }

    fn taken(&self, lane: Lane) -> &Taken {
        match lane {
            Lane::Ordinary => &self.ordinary,
            Lane::Protocol => &self.protocol,
        }
    }

    fn taken_mut(&mut self, lane: Lane) -> &mut Taken {
        match lane {
            Lane::Ordinary => &mut self.ordinary,
            Lane::Protocol => &mut self.protocol,
        }
    }

    fn put(&mut self, sender: Address, next: Nonce, pooled: Pooled) {
        let transaction = pooled.transaction.transaction();
        let nonce = transaction.nonce;
        self.ids.insert(pooled.transaction.id(), (sender, nonce));
        self.expiry.insert((transaction.valid_until, sender, nonce));
        let bytes = pooled.transaction.bytes();
        let rank = (pooled.fee(), Reverse(pooled.arrival), sender, nonce);
        let taken = self.taken_mut(pooled.lane);
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
        self.expiry.remove(&(pooled.transaction.transaction().valid_until, *sender, nonce));
        let taken = self.taken_mut(pooled.lane);
        taken.bytes -= pooled.transaction.bytes();
        taken.ranks.remove(&(pooled.fee(), Reverse(pooled.arrival), *sender, nonce));
        Some(pooled)
    }
}

fn read_account(view: &dyn StateRead, address: &Address) -> Result<Account, Fault> {
    Ok(read_as(view, &StateKey::Account(*address))?.unwrap_or_default())
}

/// The lane of an action: that of protocol actions only for a bonded partner and a live job.
fn lane(rules: &Rules, view: &dyn StateRead, sender: &Address, action: &Action) -> Result<Lane, Fault> {
    let (Action::Acknowledge { job, .. }
    | Action::Decline { job, .. }
    | Action::Commit { job, .. }
    | Action::Announce { job, .. }
    | Action::Claim { job, .. }
    | Action::Reveal { job, .. }) = action
    else {
        return Ok(Lane::Ordinary);
    };
    let minimum = rules.params.compute.minimum_bond;
    let bonded = partner::read(view, sender)?.is_some_and(|partner| partner.bond >= minimum);
    let record: Option<JobRecord> =
        if bonded { read_as(view, &StateKey::Job(*job)).map_err(Fault::from)? } else { None };
    let live = record.is_some_and(|record| !record.stage.is_final());
    Ok(if live { Lane::Protocol } else { Lane::Ordinary })
}
