//! Running tasks in dispute: each in a worker process of its own, in the cage that partners use, outside the execution of
//! blocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use executor::NoResult;
use executor::worker::{WorkerHandle, WorkerJob, WorkerLimits};
use tokio::sync::{Semaphore, mpsc};
use types::attestation::{RefereeFinding, leaf};
use types::hash::BlobId;
use types::job::Workload;

use crate::event::Event;
use crate::meters::RefereeMetrics;
use crate::referee::RefereeTask;

/// Tasks that run at the same time; more disputes than that wait here, within the time that referees have.
const RUNNING: usize = 2;

/// Starts workers for tasks in dispute.
pub struct RefereeTasks {
    store: BlobStore,
    events: mpsc::Sender<Event>,
    running: Arc<Semaphore>,
    metrics: RefereeMetrics,
}

/// Why a task in dispute gave no result here.
#[derive(Debug, thiserror::Error)]
enum RefereeFault {
    /// This program cannot be found.
    #[error("the program that runs tasks: {0}")]
    Program(std::io::Error),
    /// A blob of the job is not here any more.
    #[error("blob {0} is gone")]
    BlobGone(BlobId),
    /// The worker found no result.
    #[error(transparent)]
    NoResult(#[from] NoResult),
    /// The worker ended without the task's run.
    #[error("the worker ran no task")]
    NotRun,
}

impl RefereeTasks {
    /// Over a store of blobs. Workers are this program's own command `worker`. Results go to `events`.
    #[must_use]
    pub fn new(store: BlobStore, events: mpsc::Sender<Event>, metrics: RefereeMetrics) -> Self {
        let running = Arc::new(Semaphore::new(RUNNING));
        Self {
            store,
            events,
            running,
            metrics,
        }
    }

    /// Runs a task; answered by [`Event::Refereed`].
    pub fn perform(&self, task: RefereeTask) {
        let store = self.store.clone();
        let (events, running) = (self.events.clone(), Arc::clone(&self.running));
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let Ok(_permit) = running.acquire_owned().await else {
                return;
            };
            let (job, index, witness_draw) = (task.job, task.task, task.witness_draw);
            let begun = metrics.begin();
            let ran = tokio::task::spawn_blocking(move || run(&store, task)).await;
            let found = match ran {
                Ok(Ok(found)) => {
                    tracing::info!(%job, task = %index, leaf = %found.leaf, "ran a task in dispute");
                    Some(found)
                }
                Ok(Err(fault)) => {
                    tracing::warn!(%job, task = %index, %fault, "no result of a task in dispute");
                    None
                }
                Err(error) => {
                    tracing::error!(%job, task = %index, %error, "running a task in dispute failed");
                    None
                }
            };
            metrics.ended(begun, found.is_some());
            // A closed channel means that the node stops.
            let refereed = Event::Refereed {
                job,
                draw: witness_draw,
                found,
            };
            let _ = events.send(refereed).await;
        });
    }
}

fn run(store: &BlobStore, task: RefereeTask) -> Result<RefereeFinding, RefereeFault> {
    let RefereeTask {
        workload,
        task,
        wall_ms,
        before,
        witness_draw,
        ..
    } = task;
    let mut files = BTreeMap::new();
    let state = before.iter().flatten().copied();
    for blob in workload.blobs().into_iter().chain(state) {
        let path = store.path(blob).ok_or(RefereeFault::BlobGone(blob))?;
        files.insert(blob, path);
    }
    let program = std::env::current_exe().map_err(RefereeFault::Program)?;
    let limits = limits(&workload, wall_ms);
    let handle = WorkerHandle::spawn(&program, &["worker"], limits)?;
    let job = WorkerJob {
        workload,
        tasks: vec![task],
        state: before.clone(),
        witness_draw: Some(witness_draw),
        files,
    };
    let mut found = None;
    handle.run_job(&job, |index, run| {
        let leaf = leaf(&job.workload, index, &before, &run.outcome);
        found = run.witness.map(|witness| RefereeFinding { leaf, witness });
        Ok(())
    })?;
    found.ok_or(RefereeFault::NotRun)
}

/// Room for a task that is run twice, for its leaf and for its witness, while what the first run left is held.
fn limits(workload: &Workload, wall_ms: u64) -> WorkerLimits {
    let wall = Duration::from_millis(wall_ms.saturating_mul(2));
    let limits = WorkerLimits::of(workload, wall);
    let held = workload.limits.output_bytes.saturating_mul(2);
    WorkerLimits {
        data_bytes: limits.data_bytes.saturating_add(held),
        ..limits
    }
}
