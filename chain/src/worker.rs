//! The worker: one thread executes and builds, one writes decided blocks, each in the order in which it was asked; the
//! second tells the event stream what a committed block changed. A third verifies signatures of transactions that came.
//!
//! So a block's writing to disk holds up nobody's vote on the next: what is executed meanwhile reads a snapshot, with
//! the decided block as a diff on top. A panic in any of it is an answer like others, see [`contain`].

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use metrics::Gauge;
use rpc::model::{Event as ApiEvent, FailureView};
use state::Decision;
use tokio::sync::mpsc;
use types::codec::decode;
use types::job::JobRecord;
use types::limits::MAX_STATE_VALUE_BYTES;
use types::state_key::StateKey;
use vm::Rules;

use crate::backend::ChainBackend;
use crate::block::{Done, Work};
use crate::contain;
use crate::event::Event;
use crate::meters::ChainMetrics;
use crate::verifier::SignatureVerifier;

/// Pieces of work that may wait. The core bounds what it asks for far below this.
const WAITING_WORK: usize = 4_096;

/// Why a piece of work cannot be queued.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The system gives no thread.
    #[error("no thread for execution: {0}")]
    Thread(std::io::Error),
    /// The queue of the worker is full: the host asked for more at once than a chain may.
    #[error("execution cannot keep up: {WAITING_WORK} pieces of work wait")]
    Full,
    /// The thread has ended.
    #[error("the execution thread has ended")]
    Ended,
}

/// The handle of the worker.
pub struct Worker {
    execution: WorkerThread,
    commit: WorkerThread,
    verifier: SignatureVerifier,
}

/// A thread and the work that waits for it.
struct WorkerThread {
    queue: SyncSender<Work>,
    waiting: Gauge,
    thread: JoinHandle<()>,
}

impl WorkerThread {
    fn start(
        name: &'static str,
        perform: impl Fn(Work) -> Event + Send + 'static,
        answers: mpsc::Sender<Event>,
        metrics: &ChainMetrics,
    ) -> Result<Self, WorkerError> {
        let (queue, work) = sync_channel(WAITING_WORK);
        let (waiting, metrics) = (metrics.queue(name), metrics.clone());
        let begun = waiting.clone();
        let measured = move |piece: Work| {
            begun.dec();
            let timer = metrics.begin(&piece);
            let event = perform(piece);
            timer.end();
            event
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&work, measured, &answers))
            .map_err(WorkerError::Thread)?;
        Ok(Self {
            queue,
            waiting,
            thread,
        })
    }

    fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("a thread of the worker panicked");
        }
    }
}

impl Worker {
    /// Starts the threads; their answers go to `answers`.
    pub fn start(
        backend: &Arc<ChainBackend>,
        answers: mpsc::Sender<Event>,
    ) -> Result<Self, WorkerError> {
        let (rules, metrics) = (Arc::clone(&backend.rules), backend.metrics.clone());
        let backend = Arc::clone(backend);
        let perform = move |work| perform(work, &backend);
        Self::with(perform, rules, answers, &metrics)
    }

    /// Starts the threads; each piece of work is done by `perform`.
    pub(crate) fn with(
        perform: impl Fn(Work) -> Event + Clone + Send + 'static,
        rules: Arc<Rules>,
        answers: mpsc::Sender<Event>,
        metrics: &ChainMetrics,
    ) -> Result<Self, WorkerError> {
        let thread = |name, perform| WorkerThread::start(name, perform, answers.clone(), metrics);
        Ok(Self {
            execution: thread("execution", perform.clone())?,
            commit: thread("commit", perform)?,
            verifier: SignatureVerifier::start(rules, answers, metrics.clone())
                .map_err(WorkerError::Thread)?,
        })
    }

    /// Queues a piece of work.
    pub fn queue(&self, work: Work) -> Result<(), WorkerError> {
        let lane = match work {
            Work::Commit { .. } => &self.commit,
            Work::Execute(_) | Work::Build(_) => &self.execution,
            Work::Verify(arrivals) => {
                let queued = self.verifier.queue(arrivals);
                return queued.then_some(()).ok_or(WorkerError::Ended);
            }
        };
        // Before the thread can take it off again.
        lane.waiting.inc();
        lane.queue.try_send(work).map_err(|error| {
            lane.waiting.dec();
            match error {
                TrySendError::Full(_) => WorkerError::Full,
                TrySendError::Disconnected(_) => WorkerError::Ended,
            }
        })
    }

    /// Finishes what waits and ends the threads.
    pub fn finish(self) {
        self.verifier.finish();
        self.execution.finish();
        self.commit.finish();
    }
}

fn run(work: &Receiver<Work>, perform: impl Fn(Work) -> Event, answers: &mpsc::Sender<Event>) {
    for piece in work {
        let event = perform(piece);
        let failed = matches!(event, Event::Failed(_));
        if answers.blocking_send(event).is_err() || failed {
            return;
        }
    }
}

fn perform(piece: Work, backend: &ChainBackend) -> Event {
    let event = contain::perform(piece, &backend.rules, &backend.store);
    if let Event::Done(Done::Committed { decision, .. }) = &event {
        publish(backend, decision);
    }
    event
}

/// Adds what a committed block changed to the event stream.
fn publish(backend: &ChainBackend, decision: &Decision) {
    let header = &decision.block.header;
    let (height, id) = (header.height, decision.diff.block);
    let transactions = u32::try_from(decision.receipts.len()).unwrap_or(u32::MAX);
    let mut events = vec![ApiEvent::Block {
        height,
        id,
        time: header.timestamp,
        transactions,
    }];
    let receipts = decision.receipts.iter();
    events.extend(receipts.map(|r| ApiEvent::Transaction {
        id: r.id,
        height,
        failure: r.failure.as_ref().map(FailureView::from),
    }));
    for (key, value) in &decision.diff.writes {
        let (StateKey::Job(job), Some(bytes)) = (key, value) else {
            continue;
        };
        let Ok(record) = decode::<JobRecord>(bytes, MAX_STATE_VALUE_BYTES) else {
            continue;
        };
        backend.metrics.job_changed(&record, height);
        if record.stage.is_final() {
            backend.recent.push(*job);
        }
        let stage = record.stage.name().to_owned();
        events.push(ApiEvent::Job {
            job: *job,
            stage,
            attempt: record.attempt,
            height,
        });
    }
    backend.metrics.decided(decision);
    backend.events.extend(events);
}
