//! The vote log on a thread of its own: what waits while a sync runs is written and synced as one group with the next.
//! What does not bind waits for the next group that does, or for [`DEFERRED_MS`].
//!
//! A failed write or sync ends the thread; what was given to it after that is not written, and the node stops.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consensus::log::{FileStorage, Log, LogError, Record};
use tokio::sync::watch;
use types::number::View;

use crate::core::gate::{DEFERRED_MS, RecordGroup};
use crate::error::NodeError;

/// Groups of records that may wait. A node that has so many unsynced has stopped voting long before.
const WAITING_GROUPS: usize = 4_096;
/// Records from which on a group is written without waiting for more.
const FULL_GROUP: usize = 256;
const DEFERRED: Duration = Duration::from_millis(DEFERRED_MS);

/// What the thread is asked.
enum LogOrder {
    /// Write and sync.
    Append(RecordGroup, Vec<Record>),
    /// Write and sync with the next.
    Defer(RecordGroup, Vec<Record>),
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

    /// Has records written and synced with the next, or after [`DEFERRED_MS`].
    pub fn defer(&mut self, group: RecordGroup, records: Vec<Record>) -> Result<(), NodeError> {
        self.order(LogOrder::Defer(group, records))
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
    // The last group that is not written, and since when one waits.
    let mut deferred: Option<(RecordGroup, Instant)> = None;
    loop {
        let order = match deferred {
            Some((_, since)) => orders.recv_timeout(DEFERRED.saturating_sub(since.elapsed())),
            None => orders.recv().map_err(RecvTimeoutError::from),
        };
        let (group, records) = match order {
            Ok(LogOrder::Release(view)) => {
                log.release(view)?;
                continue;
            }
            Ok(LogOrder::Defer(group, records)) => {
                log.defer(records);
                deferred = Some((
                    group,
                    deferred.map_or_else(Instant::now, |(_, since)| since),
                ));
                continue;
            }
            Ok(LogOrder::Append(group, records)) => (group, records),
            Err(error) => match (deferred, error) {
                (Some((group, _)), _) => (group, Vec::new()),
                (None, RecvTimeoutError::Disconnected) => return Ok(()),
                (None, RecvTimeoutError::Timeout) => continue,
            },
        };
        deferred = None;
        write(&mut log, orders, (group, records), done, written)?;
    }
}

/// Writes and syncs a group, and with it what was given meanwhile.
fn write(
    log: &mut Log<FileStorage>,
    orders: &Receiver<LogOrder>,
    (mut last, mut records): (RecordGroup, Vec<Record>),
    done: &watch::Sender<RecordGroup>,
    written: &impl Fn(Duration),
) -> Result<(), LogError> {
    let mut released = None;
    while records.len() < FULL_GROUP && released.is_none() {
        match orders.try_recv() {
            Ok(LogOrder::Append(group, more) | LogOrder::Defer(group, more)) => {
                last = group;
                records.extend(more);
            }
            Ok(LogOrder::Release(view)) => released = Some(view),
            Err(_) => break,
        }
    }
    let begun = Instant::now();
    log.append(&records)?;
    written(begun.elapsed());
    // Nobody listens while the node stops.
    let _ = done.send(last);
    released.map_or(Ok(()), |view| log.release(view))
}

#[cfg(test)]
mod tests {
    use consensus::log::{Identity, LogStorage};
    use tempfile::TempDir;
    use types::hash::{BlockId, ChainId, Hash32};
    use types::key::SecretKey;
    use types::number::Epoch;
    use types::testing;
    use types::vote::Subject;

    use super::*;

    fn finalization(view: u64) -> Record {
        let block = BlockId(Hash32([1; 32]));
        let subject = Subject::Finalize { block };
        let mut certificate = testing::certificate(ChainId(Hash32([1; 32])), subject, &[]);
        certificate.statement.view = View(view);
        Record::Certificate(certificate)
    }

    fn open(directory: &TempDir) -> (Log<FileStorage>, Vec<Record>) {
        let identity = Identity {
            chain: ChainId(Hash32([1; 32])),
            validator: SecretKey::from_bytes(&[2; 32]).public(),
            epoch: Epoch(0),
        };
        let files = || FileStorage::new(directory.path()).unwrap();
        if files().segments().unwrap().is_empty() {
            Log::init(files(), identity).unwrap();
        }
        Log::open(files(), identity).unwrap()
    }

    #[tokio::test]
    async fn what_does_not_bind_is_written_with_the_next_group_or_after_a_while() {
        let directory = TempDir::new().unwrap();
        let (syncs, counted) = std::sync::mpsc::channel();
        let mut thread =
            LogThread::start(open(&directory).0, move |_| syncs.send(()).unwrap()).unwrap();
        thread.defer(RecordGroup(1), vec![finalization(1)]).unwrap();
        assert_eq!(thread.progress().await.unwrap(), RecordGroup(1));
        thread.defer(RecordGroup(2), vec![finalization(2)]).unwrap();
        let both = vec![finalization(3), Record::Floor(View(3))];
        thread.append(RecordGroup(3), both).unwrap();
        while thread.progress().await.unwrap() < RecordGroup(3) {}
        // Written as well, since the thread ends.
        thread.defer(RecordGroup(4), vec![finalization(4)]).unwrap();
        thread.finish().unwrap();
        let written = open(&directory).1;
        assert_eq!(written.len(), 5, "{written:?}");
        assert_eq!(written[3], Record::Floor(View(3)), "in their order");
        assert!(counted.try_iter().count() <= 4);
    }
}
