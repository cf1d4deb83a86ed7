//! The worker: one thread that executes, builds and commits in the order in which it was asked, and tells the event
//! stream what a committed block changed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rpc::model::{Event as ApiEvent, FailureView};
use state::Decision;
use tokio::sync::mpsc;
use types::codec::decode;
use types::job::JobRecord;
use types::limits::MAX_STATE_VALUE_BYTES;
use types::state_key::StateKey;

use super::Input;
use crate::backend::NodeBackend;
use crate::core::{Stop, Work};
use crate::error::NodeError;

/// Pieces of work that may wait. The core bounds what it asks for far below this.
const WAITING_WORK: usize = 4_096;

/// The handle of the worker.
pub struct Worker {
    queue: SyncSender<Work>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(
        backend: &Arc<NodeBackend>,
        inputs: mpsc::Sender<Input>,
    ) -> Result<Self, NodeError> {
        let (queue, work) = sync_channel(WAITING_WORK);
        let backend = backend.clone();
        let thread = std::thread::Builder::new()
            .name("execution".to_owned())
            .spawn(move || run(&work, &backend, &inputs))
            .map_err(|error| NodeError::Other(format!("no thread for execution: {error}")))?;
        Ok(Self { queue, thread })
    }

    /// Queues a piece of work.
    pub fn queue(&self, work: Work) -> Result<(), NodeError> {
        self.queue.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => {
                NodeError::Other("execution cannot keep up: too much work waits".to_owned())
            }
            TrySendError::Disconnected(_) => {
                NodeError::Other("the execution thread has ended".to_owned())
            }
        })
    }

    /// Finishes what waits and ends the thread.
    pub fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the execution thread panicked");
        }
    }
}

fn run(work: &Receiver<Work>, backend: &NodeBackend, inputs: &mpsc::Sender<Input>) {
    for piece in work {
        let committed = match &piece {
            Work::Commit { decision, .. } => Some(decision.clone()),
            Work::Execute(_) | Work::Build(_) => None,
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            piece.perform(&backend.rules, &backend.store)
        }));
        let input = match done {
            Ok(Ok(event)) => Input::Core(event),
            Ok(Err(error)) => Input::Failed(error.into()),
            Err(panic) => Input::Failed(Stop::Panicked(text_of(panic.as_ref())).into()),
        };
        let failed = matches!(input, Input::Failed(_));
        if let (Some(decision), false) = (&committed, failed) {
            publish(backend, decision);
        }
        if inputs.blocking_send(input).is_err() || failed {
            return;
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Adds what a committed block changed to the event stream.
fn publish(backend: &NodeBackend, decision: &Decision) {
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
    backend.events.extend(events);
}
