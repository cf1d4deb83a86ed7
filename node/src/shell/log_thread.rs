//! The vote log on a thread of its own: what waits while a sync runs is written and synced as one group with the next.
//!
//! A failed write or sync ends the thread; what was given to it after that is not written, and the node stops.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consensus::log::{FileStorage, Log, LogError, Record};
use tokio::sync::watch;
use types::number::View;

use crate::core::gate::RecordGroup;
use crate::error::NodeError;

/// Groups of records that may wait. A node that has so many unsynced has stopped voting long before.
const WAITING_GROUPS: usize = 4_096;
/// Records from which on a group is written without waiting for more.
const FULL_GROUP: usize = 256;

/// What the thread is asked.
enum LogOrder {
    /// Write and sync.
    Append(RecordGroup, Vec<Record>),
    /// Nothing of this view and below is needed any more.
    Release(View),
}

/// The handle of the thread.
pub struct LogThread {
    orders: Option<SyncSender<LogOrder>>,
    synced: watch::Receiver<RecordGroup>,
    thread: Option<JoinHandle<Result<(), LogError>>>,
}

impl LogThread {
    /// Starts the thread; the log is its own from here on. `written` is told how long each write with its sync took.
    pub fn start(
        log: Log<FileStorage>,
        written: impl Fn(Duration) + Send + 'static,
    ) -> Result<Self, NodeError> {
        let (orders, waiting) = sync_channel(WAITING_GROUPS);
        let (done, synced) = watch::channel(RecordGroup::default());
        let thread = std::thread::Builder::new()
            .name("vote-log".to_owned())
            .spawn(move || run(log, &waiting, &done, &written))
            .map_err(NodeError::LogThread)?;
        Ok(Self {
            orders: Some(orders),
            synced,
            thread: Some(thread),
        })
    }

    /// Has records written and synced.
    pub fn append(&mut self, group: RecordGroup, records: Vec<Record>) -> Result<(), NodeError> {
        self.order(LogOrder::Append(group, records))
    }

    /// Lets segments go that hold nothing above a view.
    pub fn release(&mut self, view: View) -> Result<(), NodeError> {
        self.order(LogOrder::Release(view))
    }

    /// Waits until more is synced; gives the last group that is. Can be dropped and called again.
    pub async fn progress(&mut self) -> Result<RecordGroup, NodeError> {
        if self.synced.changed().await.is_ok() {
            return Ok(*self.synced.borrow_and_update());
        }
        Err(self.end().err().unwrap_or(NodeError::LogEnded))
    }

    /// Writes what waits and ends the thread.
    pub fn finish(mut self) -> Result<(), NodeError> {
        self.end()
    }

    fn order(&mut self, order: LogOrder) -> Result<(), NodeError> {
        let sent = self.orders.as_ref().map(|orders| orders.try_send(order));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(NodeError::LogBehind(WAITING_GROUPS)),
            Some(Err(TrySendError::Disconnected(_))) | None => {
                Err(self.end().err().unwrap_or(NodeError::LogEnded))
            }
        }
    }

    fn end(&mut self) -> Result<(), NodeError> {
        self.orders = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => Ok(result?),
            Some(Err(_)) => Err(NodeError::LogEnded),
        }
    }
}

fn run(
    mut log: Log<FileStorage>,
    orders: &Receiver<LogOrder>,
    done: &watch::Sender<RecordGroup>,
    written: &impl Fn(Duration),
) -> Result<(), LogError> {
    while let Ok(first) = orders.recv() {
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                LogOrder::Release(view) => log.release(view)?,
                LogOrder::Append(mut last, mut records) => {
                    while records.len() < FULL_GROUP {
                        match orders.try_recv() {
                            Ok(LogOrder::Append(group, more)) => {
                                last = group;
                                records.extend(more);
                            }
                            Ok(release) => {
                                next = Some(release);
                                break;
                            }
                            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                        }
                    }
                    let begun = Instant::now();
                    log.append(&records)?;
                    written(begun.elapsed());
                    // Nobody listens while the node stops.
                    let _ = done.send(last);
                }
            }
        }
    }
    Ok(())
}
