//! The figures of `docs/benchmarks.md`: state commit, transfers through local validators, and a job's overhead. The
//! executor's ratio is `executor/examples/ratio.rs`. `scripts/bench` runs them all in a release build.

mod job;
mod network;
mod state_commit;
mod transfers;

use clap::Parser;

/// Measures gridproof on this machine. Medians and ratios are worth quoting, single times are not.
#[derive(Debug, Parser)]
enum Bench {
    /// State commit per 10,000 updates, and the share of the tree.
    State {
        /// Keys in state before the first commit.
        #[arg(long, default_value_t = 100_000)]
        keys: u32,
        /// State values that one commit changes, at least 1.
        #[arg(long, default_value_t = 10_000)]
        updates: u32,
        /// Commits that are timed.
        #[arg(long, default_value_t = 9)]
        runs: u32,
    },
    /// Signed transfers through 4 local validators under open-loop load.
    Transfers {
        /// Transfers per second that are offered.
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// Duration of the load, in seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u32,
    },
    /// Settled time minus execution time of a 1 ms job, by phase.
    Job {
        /// How many jobs, one after the other.
        #[arg(long, default_value_t = 5)]
        runs: u32,
        /// A WASM module that needs no input and ends at once.
        #[arg(long, value_name = "FILE")]
        module: std::path::PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::State {
            keys,
            updates,
            runs,
        } => state_commit::run(keys, updates, runs),
        Bench::Transfers { rate, seconds } => transfers::run(rate, seconds),
        Bench::Job { runs, module } => job::run(runs, &module),
    }
}

/// A line of a result table, on standard output.
fn row(text: &str) {
    use std::io::Write;
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The value at a share of the sorted list: 0.5 is the median.
fn quantile(sorted: &[u128], share_percent: usize) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * share_percent / 100)
        .copied()
        .unwrap_or_default()
}
