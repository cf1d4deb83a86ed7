//! Block rates while transactions wait for blocks: of four validators and of ten, all there, and with as many killed as
//! the protocol bears.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rpc::client::Client;
use rustix::process::Signal;
use serde::Serialize;
use testnet::devnet::process;

use crate::load::{self, LoadProfile};
use crate::peer::rounded;
use crate::peer::{Funded, Gridproof};
use crate::progress;

/// Load before the measured time: the others note who is away.
const SETTLE: Duration = Duration::from_secs(5);
/// Nothing is waited for after the load.
const DRAIN: Duration = Duration::ZERO;

/// Blocks per second that the first validator commits.
#[derive(Debug, Serialize)]
struct BlockRates {
    four: f64,
    four_one_killed: f64,
    ten: f64,
    ten_three_killed: f64,
    seconds: u32,
}

/// Kills one of four and three of ten validators, and prints the block rates before and after as one JSON object.
pub fn run(seconds: u32, rate: u32) -> Result<()> {
    let profile = LoadProfile {
        rate,
        warm_up: SETTLE,
        length: Duration::from_secs(u64::from(seconds)),
        drain: DRAIN,
        batch: 1,
    };
    let (four, four_one_killed) = rates(4, 1, profile)?;
    let (ten, ten_three_killed) = rates(10, 3, profile)?;
    let rates = BlockRates {
        four,
        four_one_killed,
        ten,
        ten_three_killed,
        seconds,
    };
    crate::row(&serde_json::to_string(&rates)?);
    Ok(())
}

/// The rates of so many validators, and with the last so many killed.
fn rates(validators: u16, killed: usize, profile: LoadProfile) -> Result<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let funded = Funded::new();
    progress(&format!("{validators} validators"));
    let mut network = Gridproof::up(validators, &funded, None)?;
    let all = runtime.block_on(rate(&network, &funded, 0, profile))?;
    progress(&format!("{all} blocks a second; {killed} killed"));
    let living = network.addresses.len() - killed;
    for process in &network.net.devnet.manifest.processes[living..] {
        process::signal(process.pid, Signal::KILL);
    }
    network.addresses.truncate(living);
    // Other accounts than before: nothing of theirs was lost with the validators that were killed.
    let some = runtime.block_on(rate(&network, &funded, Funded::count() / 2, profile))?;
    progress(&format!("{some} blocks a second"));
    Ok((all, some))
}

/// Blocks per second at the first validator in the measured time of a load.
async fn rate(
    network: &Gridproof,
    funded: &Funded,
    first_account: usize,
    profile: LoadProfile,
) -> Result<f64> {
    let client = Client::new(&format!("http://{}", network.addresses[0]))?;
    let (_, load) = network.transfers(funded, first_account, profile.transactions());
    let start = Instant::now();
    let count = async {
        let from = height_at(&client, start + profile.warm_up).await?;
        let to = height_at(&client, start + profile.warm_up + profile.length).await?;
        anyhow::Ok((from, to))
    };
    let (result, counted) = tokio::join!(load::offer(network, load, profile), count);
    let result = result?;
    if result.accepted.iter().all(Option::is_none) {
        bail!("no transfer was accepted: {:?}", result.refusals);
    }
    let ((from_height, from), (to_height, to)) = counted?;
    let blocks = f64::from(u32::try_from(to_height - from_height).context("more blocks")?);
    Ok(rounded(blocks / (to - from).as_secs_f64(), 2))
}

/// The final height at a time, and when it was known.
async fn height_at(client: &Client, at: Instant) -> Result<(u64, Instant)> {
    tokio::time::sleep_until(at.into()).await;
    let status = client.status().await?;
    Ok((status.height.0, Instant::now()))
}
