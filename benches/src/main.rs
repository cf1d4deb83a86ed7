//! The figures of `docs/benchmarks.md`: state commit, transfers through local validators, a job's overhead, the same load
//! on a peer, and block rates with validators away. The executor's ratio is `executor/examples/ratio.rs`. `scripts/bench`
//! runs them all in a release build.

mod away;
mod engine;
mod flood;
mod growth;
mod http;
mod job;
mod load;
mod network;
mod peer;
mod process;
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
    /// The same load on a chain that runs already, such as one inside AvalancheGo; one JSON object.
    TransfersAt {
        /// URLs of its nodes, with commas between them.
        #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
        rpc: Vec<String>,
        /// Key file of an account that pays.
        #[arg(long, value_name = "FILE")]
        key: std::path::PathBuf,
        /// Transfers per second that are offered.
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// Duration of the load, in seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u32,
    },
    /// What a validator's store grows by, in rows and bytes of each family.
    Growth {
        /// Transfers per second that are offered; none at 0.
        #[arg(long, default_value_t = 0)]
        rate: u32,
        /// Seconds of load, or of waiting.
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
    /// gridproof beside CometBFT: four validators of each in turn under the same open-loop load; one JSON object a line.
    Peer(peer::PeerRuns),
    /// Blocks per second while transactions wait, with all validators and with some killed; one JSON object.
    Away {
        /// Seconds that each rate is measured.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
        /// Transfers per second that keep blocks urgent, few enough for ten validators on two cores.
        #[arg(long, default_value_t = 100)]
        rate: u32,
    },
    /// A bonded partner's calls, block time and a validator's restart while strangers flood HTTP and p2p; one JSON object.
    Flood(flood::FloodPlan),
    /// The engine alone, without a pace, beside commonware's: all up, and one killed; one JSON object a line.
    Engine {
        /// Seconds that are measured.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
        /// Engines to measure, in this order.
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = [engine::EngineKind::Gridproof, engine::EngineKind::Commonware])]
        systems: Vec<engine::EngineKind>,
        /// The program of the peer, from `benches/peers/commonware`.
        #[arg(long, value_name = "FILE")]
        commonware: Option<std::path::PathBuf>,
    },
    /// One validator of the bench `engine`, which starts it.
    #[command(hide = true)]
    EngineValidator(engine::EngineValidator),
}

fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::State {
            keys,
            updates,
            runs,
        } => state_commit::run(keys, updates, runs),
        Bench::Growth { rate, seconds } => growth::run(rate, seconds),
        Bench::Transfers { rate, seconds } => transfers::run(rate, seconds),
        Bench::TransfersAt {
            rpc,
            key,
            rate,
            seconds,
        } => transfers::load_at(&rpc, &key, rate, seconds),
        Bench::Job { runs, module } => job::run(runs, &module),
        Bench::Peer(runs) => peer::run(&runs),
        Bench::Away { seconds, rate } => away::run(seconds, rate),
        Bench::Flood(plan) => flood::run(&plan),
        Bench::Engine {
            seconds,
            systems,
            commonware,
        } => engine::run(seconds, &systems, commonware.as_deref()),
        Bench::EngineValidator(validator) => validator.run(),
    }
}

/// A line of a result table, on standard output.
fn row(text: &str) {
    use std::io::Write;
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What goes on, on standard error.
fn progress(text: &str) {
    use std::io::Write;
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stderr().lock(), "== {text}");
}

/// The value at a share of the sorted list: 0.5 is the median.
fn quantile(sorted: &[u128], share_percent: usize) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * share_percent / 100)
        .copied()
        .unwrap_or_default()
}
