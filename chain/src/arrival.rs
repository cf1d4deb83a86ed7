//! Transactions on their way into the mempool, from clients and from validators.
//!
//! What can be judged at a glance is judged when they come. Signatures are verified apart from that, many together and
//! off the loop, each once: a transaction that the mempool took is not verified again in a block.

use types::hash::{TransactionId, ValidatorId};
use types::key::KeyCache;
use vm::{MempoolError, Rules, Unverified, Verified};

use crate::caught::caught;

/// Names a submission until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Who a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client, which is answered under this name.
    Client(Ticket),
    /// A validator, which passed on what a client gave it.
    Validator(ValidatorId),
}

/// A transaction on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Its signature is to be verified.
    Unverified(Unverified),
    /// Its signature is valid.
    Verified(Verified),
    /// What became of it.
    Judged(Result<TransactionId, MempoolError>),
}

/// Transactions that came together, each in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// Where they came from.
    pub origin: Origin,
    /// The transactions.
    pub items: Vec<Arrival>,
    /// Encoded bytes of those that are to be verified.
    pub bytes: usize,
}

impl Arrivals {
    /// The number of signatures that are to be verified.
    #[must_use]
    pub fn unverified(&self) -> usize {
        let unverified = |item: &&Arrival| matches!(item, Arrival::Unverified(_));
        self.items.iter().filter(unverified).count()
    }
}

/// Verifies the signatures of all of these together. Should that panic, it costs these transactions and nobody anything
/// else.
pub fn verify(rules: &Rules, keys: &mut KeyCache, all: &mut [Arrivals]) {
    let items = || all.iter().flat_map(|arrivals| &arrivals.items);
    let unverified: Vec<_> = items()
        .filter_map(|item| match item {
            Arrival::Unverified(transaction) => Some(transaction.clone()),
            Arrival::Verified(_) | Arrival::Judged(_) => None,
        })
        .collect();
    let ids: Vec<_> = unverified.iter().map(Unverified::id).collect();
    let verdicts = if let Ok(verdicts) = caught(|| Verified::each(rules, keys, unverified)) {
        verdicts
            .into_iter()
            .map(|verdict| verdict.map_err(MempoolError::from))
            .collect()
    } else {
        let all = ids.into_iter();
        all.map(|id| Err(MempoolError::TrialPanicked(id)))
            .collect::<Vec<_>>()
    };
    let waiting = all
        .iter_mut()
        .flat_map(|arrivals| &mut arrivals.items)
        .filter(|item| matches!(item, Arrival::Unverified(_)));
    for (item, verdict) in waiting.zip(verdicts) {
        *item = match verdict {
            Ok(verified) => Arrival::Verified(verified),
            Err(error) => Arrival::Judged(Err(error)),
        };
    }
}
