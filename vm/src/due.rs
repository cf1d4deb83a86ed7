//! What is due at a chain time, in buckets of the state: a block reads and writes what is due about now, however much is
//! due later.
//!
//! A queue's bucket holds what is due within so many milliseconds of chain time, under a key of its own. The chain's record
//! says up to which bucket all is done. Whoever is due stays in its bucket until it is taken out: what a block leaves over
//! is found again by the next one, the oldest first.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::limits::{MAX_DUE_PER_BUCKET, MAX_LIVE_JOBS, MAX_STATE_VALUE_BYTES};
use types::number::ChainTime;
use types::state_key::{DueQueue, StateKey};

use crate::{Abort, Context};

/// Milliseconds of chain time that share a bucket.
const BUCKET_MS: u64 = 1_024;
/// Maximum bytes of an entry: its time, a partner, and its lock.
const ENTRY_BYTES: usize = 8 + 20 + 32;
const _: () = assert!(
    MAX_DUE_PER_BUCKET >= MAX_LIVE_JOBS
        && MAX_DUE_PER_BUCKET * ENTRY_BYTES + 4 <= MAX_STATE_VALUE_BYTES,
    "a bucket holds all live jobs and fits a value"
);

/// What is due in one bucket, each with its chain time, ascending.
pub type Bucket<T> = BTreeSet<(ChainTime, T)>;

/// Something that can be due.
pub trait QueueEntry: Ord + Copy + BorshSerialize + BorshDeserialize {}
impl<T: Ord + Copy + BorshSerialize + BorshDeserialize> QueueEntry for T {}

/// A bucket of a queue, in any state.
pub fn bucket<T: QueueEntry>(
    state: &dyn StateRead,
    queue: DueQueue,
    number: u64,
) -> Result<Bucket<T>, Abort> {
    Ok(read_as(state, &StateKey::Due(queue, number))?.unwrap_or_default())
}

/// The number of the bucket of a chain time.
fn number(time: ChainTime) -> u64 {
    time.0 / BUCKET_MS
}

fn put<T: QueueEntry>(context: &mut Context<'_>, queue: DueQueue, number: u64, bucket: &Bucket<T>) {
    let key = StateKey::Due(queue, number);
    if bucket.is_empty() {
        context.overlay.delete(key);
    } else {
        context.overlay.put(key, bucket);
    }
}

/// Adds something that is due at a time, now or later. Gives the time at which it is due: later by a bucket or more where
/// too much is due then.
pub(crate) fn insert<T: QueueEntry>(
    context: &mut Context<'_>,
    queue: DueQueue,
    at: ChainTime,
    what: T,
) -> Result<ChainTime, Abort> {
    let mut at = at.max(context.chain_time);
    loop {
        let mut entries = bucket(&context.overlay, queue, number(at))?;
        if entries.len() < MAX_DUE_PER_BUCKET || number(at) == number(ChainTime(u64::MAX)) {
            entries.insert((at, what));
            put(context, queue, number(at), &entries);
            return Ok(at);
        }
        at = ChainTime((number(at) + 1).saturating_mul(BUCKET_MS));
    }
}

/// Takes something out that was due at a time. True if it was there.
pub(crate) fn remove<T: QueueEntry>(
    context: &mut Context<'_>,
    queue: DueQueue,
    at: ChainTime,
    what: T,
) -> Result<bool, Abort> {
    let mut entries = bucket(&context.overlay, queue, number(at))?;
    let found = entries.remove(&(at, what));
    if found {
        put(context, queue, number(at), &entries);
    }
    Ok(found)
}

/// What is due by now, the oldest first and at most `max`, of what is `ready`. It stays until it is taken out.
// Rule C56.
pub(crate) fn due<T: QueueEntry>(
    context: &mut Context<'_>,
    queue: DueQueue,
    max: usize,
    ready: impl Fn(&Context<'_>, &T) -> bool,
) -> Result<Vec<(ChainTime, T)>, Abort> {
    due_until(context, queue, context.chain_time, max, ready)
}

/// What is due by a time, which may be later than now, as for [`due`].
pub(crate) fn due_until<T: QueueEntry>(
    context: &mut Context<'_>,
    queue: DueQueue,
    until: ChainTime,
    max: usize,
    ready: impl Fn(&Context<'_>, &T) -> bool,
) -> Result<Vec<(ChainTime, T)>, Abort> {
    let (now, last) = (number(context.chain_time), number(until));
    let (mut found, mut all_done) = (Vec::new(), true);
    let mut next = *context.chain.due.first_mut(queue);
    while next <= last && found.len() < max {
        let entries = bucket::<T>(&context.overlay, queue, next)?;
        all_done &= entries.is_empty() && next < now;
        if all_done {
            *context.chain.due.first_mut(queue) = next + 1;
        }
        let ready = entries
            .into_iter()
            .filter(|(at, what)| *at <= until && ready(context, what));
        found.extend(ready);
        next += 1;
    }
    found.truncate(max);
    Ok(found)
}
