//! The verifier: one thread that verifies the signatures of transactions on their way into the mempool. Whatever waits
//! while a batch is verified is the next batch, so batches grow with the load and nobody waits for one to fill. How much
//! may wait is bounded by the chain, by bytes for each origin.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use types::key::KeyCache;
use vm::Rules;

use crate::arrival::{self, Arrivals};
use crate::block::Done;
use crate::event::Event;
use crate::meters::ChainMetrics;

/// Keys of accounts that are kept at hand, in about 250 bytes each.
const CACHED_KEYS: usize = 65_536;
/// Signatures from which on a batch takes no more: it would save little, and its first would wait.
const FULL_BATCH: usize = 256;

/// The handle of the verifier.
pub(crate) struct SignatureVerifier {
    queue: Sender<Arrivals>,
    thread: JoinHandle<()>,
}

impl SignatureVerifier {
    /// Starts the thread; its answers go to `answers`.
    pub(crate) fn start(
        rules: Arc<Rules>,
        answers: mpsc::Sender<Event>,
        metrics: ChainMetrics,
    ) -> std::io::Result<Self> {
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("signatures".to_owned())
            .spawn(move || run(&rules, &waiting, &answers, &metrics))?;
        Ok(Self { queue, thread })
    }

    /// Queues arrivals; false if the thread has ended.
    pub(crate) fn queue(&self, arrivals: Arrivals) -> bool {
        self.queue.send(arrivals).is_ok()
    }

    /// Finishes what waits and ends the thread.
    pub(crate) fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the thread that verifies signatures panicked");
        }
    }
}

fn run(
    rules: &Rules,
    waiting: &Receiver<Arrivals>,
    answers: &mpsc::Sender<Event>,
    metrics: &ChainMetrics,
) {
    let mut keys = KeyCache::new(CACHED_KEYS);
    while let Ok(first) = waiting.recv() {
        let mut signatures = first.unverified();
        let mut batch = vec![first];
        while signatures < FULL_BATCH
            && let Ok(more) = waiting.try_recv()
        {
            signatures += more.unverified();
            batch.push(more);
        }
        let timer = metrics.begin_named("verify");
        arrival::verify(rules, &mut keys, &mut batch);
        timer.end();
        let done = Event::Done(Done::Verified(batch));
        if answers.blocking_send(done).is_err() {
            return;
        }
    }
}
