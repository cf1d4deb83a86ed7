//! The end of a node: one part after the other, each within a time of its own, all of them together within [`BUDGET`].
//!
//! A part that takes longer is named in the log and left alone: it ends with the process. Nothing that was promised rests on
//! it: a vote leaves only once it is synced, and a block that is not written is executed again. What has no line in
//! [`PARTS`] is not waited for: workers of referees die with this process, and blobs that are on their way come again.

use std::time::Duration;

use p2p::Handle;
use rpc_server::Server;
use store::Store;
use tokio::sync::oneshot;

use crate::error::NodeError;
use crate::shell::Shell;
use crate::threads::{HttpThreads, LoopThread};

/// What all parts may take together. Half a second of the five that a node has is left for the runtime of its command.
pub const BUDGET: Duration = Duration::from_millis(4_500);

/// A part of a node that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePart {
    /// The step that the loop is in, such as one that waits for a signer.
    Step,
    /// Requests by HTTP and gRPC whose answers are on their way; those that wait for an event are answered at once.
    Http,
    /// A request for metrics.
    Metrics,
    /// Connections to other validators.
    Network,
    /// Records of the vote log that are not synced.
    VoteLog,
    /// Blocks that are executed or written now, and those that wait for it.
    Execution,
    /// What the database has written and not synced.
    Database,
    /// The thread of the loop.
    Loop,
}

/// Every part in the order in which it ends, with what it may take.
pub const PARTS: [(NodePart, Duration); 8] = [
    (NodePart::Step, Duration::from_millis(500)),
    (NodePart::Http, Duration::from_secs(1)),
    (NodePart::Metrics, Duration::from_millis(100)),
    (NodePart::Network, Duration::from_millis(400)),
    (NodePart::VoteLog, Duration::from_millis(800)),
    (NodePart::Execution, Duration::from_secs(1)),
    (NodePart::Database, Duration::from_millis(500)),
    (NodePart::Loop, Duration::from_millis(200)),
];

impl NodePart {
    /// What it may take to end.
    #[must_use]
    pub fn limit(self) -> Duration {
        let line = PARTS.iter().find(|(part, _)| *part == self);
        line.map_or(Duration::ZERO, |(_, limit)| *limit)
    }

    /// What people read of it.
    fn name(self) -> &'static str {
        match self {
            Self::Step => "the loop's last step",
            Self::Http => "HTTP",
            Self::Metrics => "the listener of metrics",
            Self::Network => "the network",
            Self::VoteLog => "the vote log",
            Self::Execution => "execution",
            Self::Database => "the database",
            Self::Loop => "the loop's thread",
        }
    }

    /// Waits for the end of a part as long as it may take; none if it is left alone.
    pub async fn within<T>(self, end: impl Future<Output = T>) -> Option<T> {
        let limit = self.limit();
        let ended = tokio::time::timeout(limit, end).await.ok();
        if ended.is_none() {
            let limit_ms = limit.as_millis();
            tracing::warn!(
                "{} did not end within {limit_ms} ms and is left alone",
                self.name()
            );
        }
        ended
    }

    /// The same for what blocks its thread: it gets one of its own, which nobody waits for afterwards.
    pub async fn within_on_thread<T: Send + 'static>(
        self,
        end: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ending".to_owned());
        // Nobody may wait for what it sends any more.
        let spawned = thread.spawn(move || drop(done.send(end())));
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to end {}", self.name());
            return None;
        }
        // An error means that it panicked, which the panic has told.
        self.within(ended).await?.ok()
    }
}

/// The parts of a node that ran.
pub struct RunningParts {
    /// The loop with what is its own; none if its last step was left alone, with all that runs on its thread.
    pub shell: Option<Shell>,
    /// The HTTP interface.
    pub server: Server,
    /// The listener of metrics, if there is one.
    pub shown: Option<Server>,
    /// The threads of both.
    pub http: HttpThreads,
    /// The connections to other validators.
    pub network: Handle,
    /// The database.
    pub store: Store,
    /// The loop's thread.
    pub loop_thread: LoopThread,
}

impl RunningParts {
    /// Ends all of them, in the order of [`PARTS`], after a run with this outcome.
    pub async fn end(self, outcome: &Result<(), NodeError>) {
        match outcome {
            Ok(()) => tracing::info!("stopping"),
            Err(error) => tracing::error!(%error, "stopping"),
        }
        // First, so that requests that wait for the loop are answered.
        let own_threads = self.shell.map(Shell::take_apart);
        NodePart::Http.within(self.server.shutdown()).await;
        if let Some(shown) = self.shown {
            NodePart::Metrics.within(shown.shutdown()).await;
        }
        drop(self.http);
        let mut ended_loop = None;
        if let Some((log, worker)) = own_threads {
            NodePart::Network.within(self.network.shutdown()).await;
            let ended = NodePart::VoteLog.within_on_thread(log).await;
            if let Some(Err(error)) = ended {
                tracing::error!(%error, "the vote log");
            }
            NodePart::Execution.within_on_thread(worker).await;
            ended_loop = Some(self.loop_thread);
        }
        let store = self.store;
        let synced = NodePart::Database.within_on_thread(move || store.sync());
        if let Some(Err(error)) = synced.await {
            tracing::error!(%error, "the database");
        }
        if let Some(thread) = ended_loop {
            NodePart::Loop.within_on_thread(|| thread.finish()).await;
        }
        tracing::info!("stopped");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_part_has_one_line_and_all_fit_the_budget() {
        let all: Duration = PARTS.iter().map(|(_, limit)| *limit).sum();
        assert!(all <= BUDGET, "{all:?}");
        for (at, (part, _)) in PARTS.iter().enumerate() {
            assert!(!PARTS[..at].iter().any(|(other, _)| other == part));
            assert!(!part.limit().is_zero());
        }
    }

    #[tokio::test]
    async fn a_part_that_hangs_is_left_alone_and_one_that_ends_is_not() {
        let part = NodePart::Metrics;
        assert_eq!(part.within(std::future::pending::<()>()).await, None);
        assert_eq!(part.within(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn a_thread_that_hangs_is_left_alone() {
        let (held, never) = mpsc::channel::<()>();
        let hangs = NodePart::Loop.within_on_thread(move || never.recv()).await;
        assert!(hangs.is_none());
        drop(held);
        let ends = NodePart::Loop.within_on_thread(|| 7).await;
        assert_eq!(ends, Some(7));
        let panics = NodePart::Loop.within_on_thread(|| panic!("a bug in an end"));
        assert_eq!(panics.await, None::<()>);
    }
}
