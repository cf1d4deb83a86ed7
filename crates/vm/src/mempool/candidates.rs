//! The order in which a block is offered what waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use types::hash::Address;
use types::number::{Amount, Nonce};

use super::Waiting;
use crate::charge::Verified;

/// Iterates over the transactions that wait: of each sender in order of nonce without gaps, between senders by fee.
pub struct Candidates<'p> {
    senders: &'p BTreeMap<Address, Waiting>,
    /// The next of each sender: the best fee on top, of equals the earliest.
    heads: BinaryHeap<(Amount, Reverse<u64>, Address, Nonce)>,
}

impl<'p> Candidates<'p> {
    pub(super) fn new(senders: &'p BTreeMap<Address, Waiting>) -> Self {
        let heads = senders.iter().filter_map(|(sender, waiting)| {
            let head = waiting.pooled.get(&waiting.next)?;
            Some((head.fee(), Reverse(head.arrival), *sender, waiting.next))
        });
        Self { senders, heads: heads.collect() }
    }
}

impl<'p> Iterator for Candidates<'p> {
    type Item = &'p Verified;

    fn next(&mut self) -> Option<&'p Verified> {
        let (_, _, sender, nonce) = self.heads.pop()?;
        let waiting = self.senders.get(&sender)?;
        if let Some(head) = waiting.pooled.get(&nonce.next()) {
            self.heads.push((head.fee(), Reverse(head.arrival), sender, nonce.next()));
        }
        waiting.pooled.get(&nonce).map(|pooled| &pooled.transaction)
    }
}
