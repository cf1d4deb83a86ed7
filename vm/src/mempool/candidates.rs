//! The order in which a block is offered what waits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, btree_set};
use std::iter::{Peekable, Rev};

use types::hash::Address;
use types::number::Nonce;

use super::{Mempool, Pooled, Rank};
use crate::charge::Verified;

/// Less than any transaction takes: key, chain, nonce, expiry, fee and signature alone are more.
const MIN_BYTES: usize = 128;

/// Iterates over the charged transactions that wait, of each sender in order of nonce without gaps: by what is paid per gas,
/// of equals the earliest. What is not asked for costs nothing.
pub struct Candidates<'p> {
    pool: &'p Mempool,
    /// All, the best paying first, of equals the earliest; a sender's first counts, what follows it comes by `followers`.
    /// None if no more is wanted.
    ordinary: Option<Peekable<Rev<btree_set::Iter<'p, Rank>>>>,
    /// The next of each sender of whom one was given.
    followers: BinaryHeap<Rank>,
}

impl<'p> Candidates<'p> {
    pub(super) fn new(pool: &'p Mempool) -> Self {
        Self {
            pool,
            ordinary: Some(pool.ordinary.ranks.iter().rev().peekable()),
            followers: BinaryHeap::new(),
        }
    }

    fn first_of(&self, sender: &Address) -> Option<Nonce> {
        Some(self.pool.senders.get(sender)?.next)
    }

    fn pooled(&self, sender: &Address, nonce: Nonce) -> Option<&'p Pooled> {
        self.pool.senders.get(sender)?.pooled.get(&nonce)
    }

    /// What follows one that was given.
    fn push(&mut self, sender: Address, nonce: Nonce) {
        if let Some(head) = self.pooled(&sender, nonce) {
            let arrival = Reverse(head.arrival);
            self.followers.push((head.rate(), arrival, sender, nonce));
        }
    }

    fn pop(&mut self) -> Option<(Address, Nonce, &'p Pooled)> {
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
        Some((sender, nonce, self.pooled(&sender, nonce)?))
    }

    /// What fits so many bytes. Of a sender nothing comes after what does not fit.
    // Rule C53.
    pub(super) fn within(mut self, mut bytes: usize) -> Vec<&'p Verified> {
        let mut all = Vec::new();
        while let Some((sender, nonce, pooled)) = self.pop() {
            if pooled.transaction.bytes() <= bytes {
                bytes -= pooled.transaction.bytes();
                all.push(&pooled.transaction);
                self.push(sender, nonce.next());
            }
            if bytes < MIN_BYTES {
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
