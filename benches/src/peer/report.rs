//! What is said of one run.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{LoadProfile, LoadResult};
use crate::quantile;

/// A line of the result.
#[derive(Debug, Serialize)]
pub struct PeerReport {
    /// System that was measured: `gridproof` or `cometbft`.
    pub system: &'static str,
    /// Transactions per second that were offered.
    pub rate: u32,
    /// Transactions per second that became final within the measured time.
    pub final_per_s: f64,
    /// Median of the time from when a transaction was due until the node that it was sent to showed its block.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// User and system time of all validators for 1,000 final transactions, in seconds.
    pub cpu_s_per_1000: f64,
    /// Most memory of each validator, summed, in MiB.
    pub rss_mb: u64,
    /// Transactions due within the measured time that no validator accepted then.
    pub refused: u64,
    /// Accepted transactions that did not become final.
    pub stranded: usize,
    /// Bytes that all validators sent to the disk in the measured time.
    pub bytes_written: u64,
    /// Blocks per second within the measured time.
    pub blocks_per_s: f64,
    /// Length of the measured time, without warm-up and drain.
    pub seconds: u64,
}

/// When the nodes showed what.
#[derive(Debug)]
pub struct Seen {
    /// For each request the time at which the node that it was sent to showed it in a final block.
    pub requests: Vec<Option<Instant>>,
    /// The times at which the first node showed blocks.
    pub blocks: Vec<Instant>,
}

impl PeerReport {
    /// Sums a run up.
    pub fn new(
        system: &'static str,
        profile: LoadProfile,
        result: &LoadResult,
        seen: &Seen,
    ) -> Result<Self> {
        let mut latencies = Vec::new();
        let (mut done, mut stranded) = (0_u32, 0);
        for (accepted, seen) in result.accepted.iter().zip(&seen.requests) {
            match (accepted, seen) {
                (Some(due), Some(seen)) => {
                    done += u32::from(result.measured.contains(seen));
                    if result.measured.contains(due) {
                        latencies.push(seen.saturating_duration_since(*due).as_micros());
                    }
                }
                (Some(_), None) => stranded += 1,
                // A refusal after all is final: its answer was lost.
                (None, _) => {}
            }
        }
        ensure!(done > 0, "no transaction became final");
        latencies.sort_unstable();
        for (reason, count) in &result.refusals {
            crate::progress(&format!(
                "{system} at {}/s: {count} refused: {reason}",
                profile.rate
            ));
        }
        let blocks = seen.blocks.iter().filter(|at| result.measured.contains(at));
        let seconds = profile.length.as_secs_f64();
        let blocks = f64::from(u32::try_from(blocks.count())?) / seconds;
        let cpu_s = f64::from(u32::try_from(result.cost.cpu_ms)?) / 1_000.0;
        Ok(Self {
            system,
            rate: profile.rate,
            final_per_s: rounded(f64::from(done) / seconds, 1),
            p50_ms: milliseconds(quantile(&latencies, 50))?,
            p99_ms: milliseconds(quantile(&latencies, 99))?,
            cpu_s_per_1000: rounded(cpu_s * 1_000.0 / f64::from(done), 3),
            rss_mb: result.peak_memory_mb,
            refused: result.refusals.values().sum(),
            stranded,
            bytes_written: result.cost.bytes_written,
            blocks_per_s: rounded(blocks, 1),
            seconds: profile.length.as_secs(),
        })
    }
}

fn milliseconds(micros: u128) -> Result<f64> {
    Ok(rounded(f64::from(u32::try_from(micros)?) / 1_000.0, 1))
}

/// So many decimals, as many as the figures are worth.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}
