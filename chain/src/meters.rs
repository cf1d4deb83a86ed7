//! The metrics of a chain on one machine: how long its work takes, what waits for it, and what decided blocks changed.
//!
//! They record what the worker did; nothing here is read by what decides.

use std::time::Instant;

use metrics::catalogue::TimeRange;
use metrics::{Catalogue, Counter, Gauge, Histogram, Labelled};
use state::{Decision, StateRead};
use types::block::Header;
use types::job::{FailureReason, JobRecord, Stage};
use types::number::Height;
use vm::Abort;

use crate::block::Work;

/// What the worker, the referee's tasks and the publisher of decided blocks record.
#[derive(Debug, Clone)]
pub struct ChainMetrics {
    work: Labelled<Histogram>,
    waiting: Labelled<Gauge>,
    transactions: Labelled<Counter>,
    gas: Counter,
    block_gas: Gauge,
    live: Labelled<Gauge>,
    entered: Labelled<Counter>,
    ended: Labelled<Counter>,
    /// What the tasks of referees record.
    pub referee: RefereeMetrics,
}

/// What the tasks of referees record.
#[derive(Debug, Clone)]
pub struct RefereeMetrics {
    running: Gauge,
    tasks: Labelled<Counter>,
    times: Histogram,
}

impl Default for ChainMetrics {
    /// Metrics that nobody sees.
    fn default() -> Self {
        Self::register(&mut Catalogue::default())
    }
}

impl ChainMetrics {
    /// Registers them.
    pub fn register(all: &mut Catalogue) -> Self {
        Self {
            work: all.histograms(
                "gridproof_chain_work_seconds",
                &["work"],
                TimeRange::Short,
                "Time of a piece of work on a block, or of a batch of signatures.",
            ),
            waiting: all.gauges(
                "gridproof_queue_depth",
                &["queue"],
                "What waits in a queue of the process; all queues are bounded.",
            ),
            transactions: all.counters(
                "gridproof_chain_transactions_total",
                &["outcome"],
                "Transactions in decided blocks, by whether their action was performed.",
            ),
            gas: all.counter(
                "gridproof_chain_gas_total",
                "Gas that decided blocks used, but the newest one.",
            ),
            block_gas: all.gauge(
                "gridproof_chain_block_gas",
                "Gas that the parent of the newest decided block used.",
            ),
            live: all.gauges(
                "gridproof_jobs_live",
                &["stage"],
                "Jobs that have not ended, by stage.",
            ),
            entered: all.counters(
                "gridproof_jobs_entered_total",
                &["stage"],
                "Stages that jobs entered in decided blocks.",
            ),
            ended: all.counters(
                "gridproof_jobs_ended_total",
                &["end"],
                "Jobs that ended in decided blocks: settled, or the reason of their failure. One that was challenged in vain counts again.",
            ),
            referee: RefereeMetrics::register(all),
        }
    }

    /// Counts the jobs that are live now; decided blocks change that from here on.
    pub fn count_live(&self, state: &dyn StateRead) -> Result<(), Abort> {
        for id in vm::query::live_jobs(state)? {
            if let Some(record) = vm::query::job(state, &id)? {
                self.live.of(&[record.stage.name()]).inc();
            }
        }
        Ok(())
    }

    /// How much waits in a queue.
    pub fn waits(&self, queue: &'static str, length: usize) {
        self.waiting.of(&[queue]).set_len(length);
    }

    /// The gauge of a queue, for whoever fills and empties it.
    pub(crate) fn queue(&self, queue: &'static str) -> Gauge {
        self.waiting.of(&[queue])
    }

    /// Begins to measure a piece of work.
    pub(crate) fn begin(&self, work: &Work) -> WorkTimer {
        let name = match work {
            Work::Execute(_) => "execute",
            Work::Build(_) => "build",
            Work::Commit { .. } => "commit",
            Work::Verify(_) => "verify",
        };
        self.begin_named(name)
    }

    pub(crate) fn begin_named(&self, name: &'static str) -> WorkTimer {
        WorkTimer {
            times: self.work.of(&[name]),
            begun: Instant::now(),
        }
    }

    /// Counts the transactions of a decided block, and the gas of its parent, which its header says.
    pub(crate) fn decided(&self, decision: &Decision) {
        self.count_gas(&decision.block.header);
        let failed = decision.receipts.iter().filter(|r| r.failure.is_some());
        let (failed, all) = (failed.count(), decision.receipts.len());
        let count = |name, number: usize| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            self.transactions.of(&[name]).add(number);
        };
        count("performed", all.saturating_sub(failed));
        count("failed", failed);
    }

    fn count_gas(&self, header: &Header) {
        self.gas.add(header.parent_gas_used.0);
        self.block_gas.set(header.parent_gas_used.0);
    }

    /// Counts the stages that a job entered in the block of a height.
    pub(crate) fn job_changed(&self, record: &JobRecord, height: Height) {
        let history = record.history.iter();
        let before = std::iter::once(None).chain(history.clone().map(Some));
        for (entry, before) in history.zip(before) {
            if entry.height != height {
                continue;
            }
            let is_live = |stage: &str| !["settled", "failed"].contains(&stage);
            if let Some(before) = before.filter(|before| is_live(&before.stage)) {
                self.live.of(&[&before.stage]).dec();
            }
            if is_live(&entry.stage) {
                self.live.of(&[&entry.stage]).inc();
            }
            self.entered.of(&[&entry.stage]).inc();
            match (entry.stage.as_str(), &record.stage) {
                ("settled", _) => self.ended.of(&["settled"]).inc(),
                (_, Stage::Failed(failed)) if entry.stage == "failed" => {
                    self.ended.of(&[failure_word(failed.reason)]).inc();
                }
                _ => {}
            }
        }
    }
}

/// Measures one piece of work.
#[derive(Debug)]
pub(crate) struct WorkTimer {
    times: Histogram,
    begun: Instant,
}

impl WorkTimer {
    pub(crate) fn end(self) {
        self.times.observe(self.begun.elapsed());
    }
}

impl RefereeMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            running: all.gauge(
                "gridproof_referee_running",
                "Tasks in dispute that this validator runs now.",
            ),
            tasks: all.counters(
                "gridproof_referee_tasks_total",
                &["result"],
                "Tasks in dispute that this validator ran as a referee, by whether they gave a leaf.",
            ),
            times: all.histogram(
                "gridproof_referee_task_seconds",
                TimeRange::Long,
                "Time of a task in dispute, its worker's start included.",
            ),
        }
    }

    /// A task begins.
    pub(crate) fn begin(&self) -> Instant {
        self.running.inc();
        Instant::now()
    }

    /// A task that began then has ended, with a leaf or without.
    pub(crate) fn ended(&self, begun: Instant, has_leaf: bool) {
        self.running.dec();
        self.times.observe(begun.elapsed());
        let result = if has_leaf { "leaf" } else { "none" };
        self.tasks.of(&[result]).inc();
    }
}

/// The word of the HTTP interface for the reason of a failure.
fn failure_word(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::NoInputs => "no_inputs",
        FailureReason::NoPartner => "no_partner",
        FailureReason::Unrunnable => "unrunnable",
        FailureReason::NoCommitment => "no_commitment",
        FailureReason::Refuted => "refuted",
        FailureReason::NonCanonical => "non_canonical",
        FailureReason::Unverified => "unverified",
        FailureReason::Unopened => "unopened",
        FailureReason::NotStored => "not_stored",
        FailureReason::Cancelled => "cancelled",
        FailureReason::Revoked => "revoked",
    }
}

#[cfg(test)]
mod tests {
    use types::number::Gas;
    use types::testing;

    use super::*;

    #[test]
    fn the_gas_of_blocks_is_summed_and_that_of_the_last_one_shown() {
        let mut all = Catalogue::default();
        let metrics = ChainMetrics::register(&mut all);
        let mut header = testing::genesis(&[1]).header();
        for gas in [700, 40] {
            header.parent_gas_used = Gas(gas);
            metrics.count_gas(&header);
        }
        let text = all.text();
        for line in [
            "gridproof_chain_gas_total 740.0",
            "gridproof_chain_block_gas 40.0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
