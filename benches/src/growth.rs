//! What a validator's store grows by: rows and bytes of each family after a while of load, idle or not.

use std::time::Duration;

use anyhow::{Context, Result};
use state::{DecidedState, Writes};
use store::Store;
use types::genesis::Genesis;

use crate::network::MeasuredNetwork;
use crate::{row, transfers};

/// Rows of the past: everything but the newest state and what undoes it.
const HISTORY: [&str; 5] = [
    "blocks",
    "receipts",
    "heights",
    "certificates",
    "transactions",
];

/// Runs a devnet with so many transfers a second, or none, and prints what is in one validator's store then.
pub fn run(rate: u32, seconds: u32) -> Result<()> {
    let network = MeasuredNetwork::up(0)?;
    if rate > 0 {
        transfers::load(&network, rate, seconds)?;
    } else {
        let idle = Duration::from_secs(seconds.into());
        network.runtime.block_on(async {
            let mut end = tokio::time::interval_at(tokio::time::Instant::now() + idle, idle);
            end.tick().await;
        });
    }
    let genesis = std::fs::read(network.net.devnet.genesis())?;
    let genesis = Genesis::from_bytes(&genesis)?;
    let processes = &network.net.devnet.manifest.processes;
    let directory = &processes.first().context("a devnet has processes")?.dir;
    network.net.devnet.stop();
    let store = Store::open(&directory.join("db"), &genesis, Writes::new())?;
    let blocks = store.tip().height.0.max(1);
    let sizes = store.sizes()?;
    row(&format!(
        "growth: {rate} transfers a second for {seconds} s, {blocks} blocks"
    ));
    let mut history = 0;
    for size in &sizes {
        row(&format!(
            "  {:<14}{:>9} rows {:>12} bytes",
            size.family, size.rows, size.bytes
        ));
        if HISTORY.contains(&size.family) {
            history += size.bytes;
        }
    }
    let transfers = sizes.iter().find(|size| size.family == "transactions");
    let transfers = transfers.map_or(0, |size| size.rows);
    row(&format!(
        "  history       {history:>9} bytes for {blocks} blocks and {transfers} transfers: {} a block",
        history / blocks
    ));
    Ok(())
}
