//! gridproof beside CometBFT: four validators of each on this machine, in turn, under the same open-loop load. One JSON
//! object a line and run on standard output, everything else on standard error.

mod cometbft;
mod gridproof;
mod report;
mod websocket;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::LoadProfile;
pub use gridproof::{Funded, Gridproof};
use report::PeerReport;
pub use report::rounded;

/// Load before the measured time: connections are open and databases have their files.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long after the load transactions may take to become final.
const DRAIN: Duration = Duration::from_secs(20);
/// Between two runs: what the one before wrote goes to the disk, and its ports are free again.
const PAUSE: Duration = Duration::from_secs(3);

/// The systems that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// This project's validators, with signed transfers.
    Gridproof,
    /// CometBFT's, with its key-value store in process and transactions of the same number without signatures.
    Cometbft,
}

impl std::fmt::Display for System {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Gridproof => "gridproof",
            Self::Cometbft => "cometbft",
        })
    }
}

/// Which rates are offered to which systems, for how long, and in what requests.
#[derive(Debug, clap::Args)]
pub struct PeerRuns {
    /// Transactions per second that are offered, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [500, 1_000, 2_000, 4_000, 8_000])]
    rates: Vec<u32>,
    /// Seconds of load that are measured, after 2 that are not; at most 60.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Most transactions that a request carries: above 1 those that are due when one of 4 connections to a node is
    /// free go together, with 1 each has a request of its own on one of 48.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// Least time between blocks of ours, in milliseconds; a devnet's without it.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pace_ms: Option<u64>,
    /// Systems to measure, in this order at each rate.
    #[arg(long, value_delimiter = ',', default_values_t = [System::Gridproof, System::Cometbft])]
    systems: Vec<System>,
    /// The binary of CometBFT.
    #[arg(long, value_name = "FILE")]
    cometbft: Option<PathBuf>,
}

/// Runs each rate on each system and prints a line for each.
pub fn run(runs: &PeerRuns) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut first = true;
    for rate in &runs.rates {
        for system in &runs.systems {
            if !std::mem::take(&mut first) {
                runtime.block_on(async {
                    tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
                });
            }
            let profile = LoadProfile {
                rate: *rate,
                warm_up: WARM_UP,
                length: Duration::from_secs(u64::from(runs.seconds)),
                drain: DRAIN,
                batch: usize::from(runs.batch),
            };
            let report = match system {
                System::Gridproof => gridproof::measure(&runtime, profile, runs.pace_ms),
                System::Cometbft => {
                    let binary = runs.cometbft.as_deref();
                    let binary = binary.context("--cometbft names the binary of the peer");
                    binary.and_then(|binary| cometbft::measure(&runtime, binary, profile))
                }
            };
            let report: PeerReport = report.with_context(|| format!("{system} at {rate}/s"))?;
            crate::row(&serde_json::to_string(&report)?);
        }
    }
    Ok(())
}
