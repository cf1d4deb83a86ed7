//! gridproof beside CometBFT: four validators of each on this machine, in turn, under the same open-loop load. One JSON
//! object a line and run on standard output, everything else on standard error.

mod cometbft;
mod gridproof;
mod report;
mod websocket;

use std::path::Path;
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

/// Runs each rate on each system and prints a line for each.
pub fn run(
    rates: &[u32],
    seconds: u32,
    batch: usize,
    systems: &[System],
    cometbft: Option<&Path>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut first = true;
    for rate in rates {
        for system in systems {
            if !std::mem::take(&mut first) {
                runtime.block_on(async {
                    tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
                });
            }
            let profile = LoadProfile {
                rate: *rate,
                warm_up: WARM_UP,
                length: Duration::from_secs(u64::from(seconds)),
                drain: DRAIN,
                batch,
            };
            let report = match system {
                System::Gridproof => gridproof::measure(&runtime, profile),
                System::Cometbft => {
                    let binary = cometbft.context("--cometbft names the binary of the peer");
                    binary.and_then(|binary| cometbft::measure(&runtime, binary, profile))
                }
            };
            let report: PeerReport = report.with_context(|| format!("{system} at {rate}/s"))?;
            crate::row(&serde_json::to_string(&report)?);
        }
    }
    Ok(())
}
