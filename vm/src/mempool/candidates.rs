//! The order in which a block is offered what waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, btree_set};
use std::iter::{Peekable, Rev};

use types::hash::Address;
use types::number::Nonce;

use super::queue::Queue;
use super::{Mempool, Pooled, Rank};
use crate::charge::Verified;

/// Less than any transaction takes: key, chain, nonce, expiry, fee and signature alone are more.
const MIN_BYTES: usize = 128;

/// Iterates over the transactions that wait, of each sender in order of nonce without gaps: what the protocol queue
/// holds first, by arrival; then by what is paid per gas, of equals the earliest. What is not asked for costs nothing.
pub struct Candidates<'p> {
    pool: &'p Mempool,
    /// The next nonces of senders for whom it is not what the pool says.
    first: BTreeMap<Address, Nonce>,
    /// The next of each sender, if it is in the protocol queue: the earliest on top.
    protocol: BinaryHeap<(Reverse<u64>, Address, Nonce)>,
    /// All in the ordinary queue, the best paying first, of equals the earliest; a sender's first counts, what follows
    /// it comes by `followers`. None if no more is wanted.
    ordinary: Option<Peekable<Rev<btree_set::Iter<'p, Rank>>>>,
    /// The next of each sender of whom one was given, if it is in the ordinary queue.
    followers: BinaryHeap<Rank>,
}

impl<'p> Candidates<'p> {
    /// Begins with what `first` says to be a sender's next nonce, else with what its account said last.
    pub(super) fn new(pool: &'p Mempool, first: BTreeMap<Address, Nonce>) -> Self {
        let mut all = Self {
            pool,
            first,
            protocol: BinaryHeap::new(),
            ordinary: Some(pool.ordinary.ranks.iter().rev().peekable()),
            followers: BinaryHeap::new(),
        };
        let mut before = None;
        for (sender, ..) in pool.awaited.keys() {
            if before.replace(sender) != Some(sender)
                && let Some(nonce) = all.first_of(sender)
                && let Some(head) = all.pooled(sender, nonce)
                && head.queue == Queue::Protocol
            {
                all.protocol.push((Reverse(head.arrival), *sender, nonce));
            }
        }
        all
    }

    fn first_of(&self, sender: &Address) -> Option<Nonce> {
        let known = self.first.get(sender).copied();
        known.or_else(|| Some(self.pool.senders.get(sender)?.next))
    }

    fn pooled(&self, sender: &Address, nonce: Nonce) -> Option<&'p Pooled> {
        self.pool.senders.get(sender)?.pooled.get(&nonce)
    }

    /// What follows one that was given.
    fn push(&mut self, sender: Address, nonce: Nonce) {
        let Some(head) = self.pooled(&sender, nonce) else {
            return;
        };
        let arrival = Reverse(head.arrival);
        match head.queue {
            Queue::Protocol => self.protocol.push((arrival, sender, nonce)),
            Queue::Ordinary => self.followers.push((head.rate(), arrival, sender, nonce)),
        }
    }

    fn pop(&mut self) -> Option<(Address, Nonce, &'p Pooled)> {
        let protocol = self
            .protocol
            .pop()
            .map(|(_, sender, nonce)| (sender, nonce));
        let (sender, nonce) = protocol.or_else(|| self.pop_ordinary())?;
        Some((sender, nonce, self.pooled(&sender, nonce)?))
    }

    fn pop_ordinary(&mut self) -> Option<(Address, Nonce)> {
        while let Some((_, _, sender, nonce)) = self.ordinary.as_mut()?.peek().copied() {
            if self.first_of(sender) == Some(*nonce) {
                break;
            }
            self.ordinary.as_mut()?.next();
        }
        let best = self.ordinary.as_mut()?.peek().copied();
        let (_, _, sender, nonce) = match (best, self.followers.peek()) {
            (Some(best), Some(follower)) if follower > best => self.followers.pop()?,
            (Some(_), _) => *self.ordinary.as_mut()?.next()?,
            (None, _) => self.followers.pop()?,
        };
        Some((sender, nonce))
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
                self.ordinary = None;
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
