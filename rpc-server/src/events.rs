//! What happened, in a ring of bounded length, read by cursor.
//!
//! Events are numbered without gaps. A cursor is the number of the next event to read. The log lives in memory only;
//! so that a cursor of an earlier life of the node is never mistaken for one of this life, numbering starts at a
//! number that grows from life to life (see [`EventLog::new`]).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use rpc::model::{Event, EventPage};

/// Why a cursor cannot be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The events at the cursor were dropped from the ring, or are of an earlier life of the node.
    #[error("cursor {cursor} is too old: the oldest event kept is {oldest}")]
    TooOld {
        /// The cursor asked for.
        cursor: u64,
        /// The oldest one that can be read.
        oldest: u64,
    },
    /// The cursor was never given out.
    #[error("cursor {cursor} lies ahead of the newest one, {newest}")]
    Ahead {
        /// The cursor asked for.
        cursor: u64,
        /// The cursor after the newest event.
        newest: u64,
    },
}

/// A ring of the latest events.
#[derive(Debug)]
pub struct EventLog {
    capacity: usize,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    /// Number of the first event held.
    oldest: u64,
    events: VecDeque<Event>,
}

impl Ring {
    fn newest(&self) -> u64 {
        self.oldest + u64::try_from(self.events.len()).expect("a length fits 64 bits")
    }
}

impl EventLog {
    /// An empty log that keeps `capacity` events (at least 1) and numbers them from `first` on. A node passes its
    /// start time in microseconds, which stays below 2^53 and above every number of an earlier life as long as it
    /// has less than a million events per second.
    #[must_use]
    pub fn new(capacity: usize, first: u64) -> Self {
        let ring = Ring {
            oldest: first,
            events: VecDeque::new(),
        };
        Self {
            capacity: capacity.max(1),
            ring: Mutex::new(ring),
            newest: watch::Sender::new(first),
        }
    }

    /// Adds events in order and wakes everybody who waits; the oldest ones make room.
    pub fn extend(&self, events: impl IntoIterator<Item = Event>) {
        let mut ring = self.lock();
        for event in events {
            if ring.events.len() >= self.capacity {
                ring.events.pop_front();
                ring.oldest += 1;
            }
            ring.events.push_back(event);
        }
        // Sent under the lock, so that the number never goes backwards.
        self.newest.send_replace(ring.newest());
    }

    /// The cursor after the newest event.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        *self.newest.borrow()
    }

    /// At most `limit` events from `cursor` on; none if the cursor is the newest.
    pub fn read(&self, cursor: u64, limit: usize) -> Result<EventPage, CursorError> {
        let ring = self.lock();
        if cursor < ring.oldest {
            return Err(CursorError::TooOld {
                cursor,
                oldest: ring.oldest,
            });
        }
        if cursor > ring.newest() {
            return Err(CursorError::Ahead {
                cursor,
                newest: ring.newest(),
            });
        }
        let skip = usize::try_from(cursor - ring.oldest).unwrap_or(usize::MAX);
        let events: Vec<_> = ring.events.iter().skip(skip).take(limit).cloned().collect();
        let read = u64::try_from(events.len()).expect("a length fits 64 bits");
        Ok(EventPage {
            cursor: cursor + read,
            events,
        })
    }

    /// Like [`EventLog::read`], but waits until there is something to read. Never ends if nothing happens: the
    /// caller sets the deadline and may drop it at any time.
    pub async fn wait(&self, cursor: u64, limit: usize) -> Result<EventPage, CursorError> {
        let mut newest = self.newest.subscribe();
        loop {
            newest.borrow_and_update();
            let page = self.read(cursor, limit)?;
            if !page.events.is_empty() {
                return Ok(page);
            }
            newest.changed().await.expect("the sender lives in self");
        }
    }

    /// A panic while the lock is held cannot leave the ring half changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::hash::BlockId;
    use types::number::{Height, Timestamp};

    fn block(height: u64) -> Event {
        Event::Block {
            height: Height(height),
            id: BlockId::default(),
            time: Timestamp(0),
            transactions: 0,
        }
    }

    #[test]
    fn reads_in_order_and_pages_by_limit() {
        let log = EventLog::new(8, 100);
        log.extend((0..5).map(block));
        let first = log.read(100, 2).unwrap();
        assert_eq!(
            first,
            EventPage {
                cursor: 102,
                events: vec![block(0), block(1)]
            }
        );
        assert_eq!(
            log.read(first.cursor, 9).unwrap(),
            EventPage {
                cursor: 105,
                events: vec![block(2), block(3), block(4)]
            }
        );
        assert_eq!(
            log.read(105, 9).unwrap(),
            EventPage {
                cursor: 105,
                events: vec![]
            }
        );
    }

    #[test]
    fn drops_the_oldest_and_says_so() {
        let log = EventLog::new(2, 0);
        log.extend((0..3).map(block));
        assert_eq!(
            log.read(0, 9),
            Err(CursorError::TooOld {
                cursor: 0,
                oldest: 1
            })
        );
        assert_eq!(log.read(1, 9).unwrap().events, [block(1), block(2)]);
        assert_eq!(
            log.read(4, 9),
            Err(CursorError::Ahead {
                cursor: 4,
                newest: 3
            })
        );
    }

    #[tokio::test]
    async fn a_waiter_wakes_for_the_first_event() {
        let log = std::sync::Arc::new(EventLog::new(2, 7));
        let waiter = tokio::spawn({
            let log = log.clone();
            async move { log.wait(7, 10).await }
        });
        tokio::task::yield_now().await;
        log.extend([block(1)]);
        assert_eq!(
            waiter.await.unwrap().unwrap(),
            EventPage {
                cursor: 8,
                events: vec![block(1)]
            }
        );
    }
}
