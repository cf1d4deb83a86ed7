//! The order in which a block is offered what waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use types::hash::Address;
use types::number::Nonce;

use super::queue::Queue;
use super::{Pooled, Rate, Waiting};
use crate::charge::Verified;

/// Less than any transaction takes: key, chain, nonce, expiry, fee and signature alone are more.
const MIN_BYTES: usize = 128;

/// Iterates over the transactions that wait, of each sender in order of nonce without gaps: what the protocol queue
/// holds first, by arrival; then by what is paid per gas, of equals the earliest.
pub struct Candidates<'p> {
    senders: &'p BTreeMap<Address, Waiting>,
    /// The next of each sender, if it is in the protocol queue: the earliest on top.
    protocol: BinaryHeap<(Reverse<u64>, Address, Nonce)>,
    /// The others: the best paying on top, of equals the earliest.
    ordinary: BinaryHeap<(Rate, Reverse<u64>, Address, Nonce)>,
}

impl<'p> Candidates<'p> {
    /// Begins with what `first` says to be a sender's next nonce, else with what its account said last.
    pub(super) fn new(
        senders: &'p BTreeMap<Address, Waiting>,
        first: &BTreeMap<Address, Nonce>,
    ) -> Self {
        let mut all = Self {
            senders,
            protocol: BinaryHeap::new(),
            ordinary: BinaryHeap::new(),
        };
        for (sender, waiting) in senders {
            all.push(*sender, first.get(sender).copied().unwrap_or(waiting.next));
        }
        all
    }

    fn pooled(&self, sender: &Address, nonce: Nonce) -> Option<&'p Pooled> {
        self.senders.get(sender)?.pooled.get(&nonce)
    }

    fn push(&mut self, sender: Address, nonce: Nonce) {
        let Some(head) = self.pooled(&sender, nonce) else {
            return;
        };
        let arrival = Reverse(head.arrival);
        match head.queue {
            Queue::Protocol => self.protocol.push((arrival, sender, nonce)),
            Queue::Ordinary => self.ordinary.push((head.rate(), arrival, sender, nonce)),
        }
    }

    fn pop(&mut self) -> Option<(Address, Nonce, &'p Pooled)> {
        let protocol = self
            .protocol
            .pop()
            .map(|(_, sender, nonce)| (sender, nonce));
        let (sender, nonce) = protocol.or_else(|| {
            self.ordinary
                .pop()
                .map(|(_, _, sender, nonce)| (sender, nonce))
        })?;
        Some((sender, nonce, self.pooled(&sender, nonce)?))
    }

    /// What fits so many bytes, counted for each queue by itself. Of a sender nothing comes after what does not fit.
    // Rule C53.
    pub(super) fn within(mut self, mut protocol: usize, mut ordinary: usize) -> Vec<&'p Verified> {
        let mut all = Vec::new();
        while let Some((sender, nonce, pooled)) = self.pop() {
            let left = match pooled.queue {
                Queue::Protocol => &mut protocol,
                Queue::Ordinary => &mut ordinary,
            };
            if pooled.transaction.bytes() <= *left {
                *left -= pooled.transaction.bytes();
                all.push(&pooled.transaction);
                self.push(sender, nonce.next());
            }
            if ordinary < MIN_BYTES {
                self.ordinary.clear();
            }
        }
        all
    }
}

impl<'p> Iterator for Candidates<'p> {
    type Item = &'p Verified;

    fn next(&mut self) -> Option<&'p Verified> {
        let (sender, nonce, pooled) = self.pop()?;
        self.push(sender, nonce.next());
        Some(&pooled.transaction)
    }
}
