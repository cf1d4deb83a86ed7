//! Strangers attack a devnet from the address of its own validators and partners, *while* a bonded partner works and a
//! validator restarts: bodies that never become whole, and sockets that connect to the validators' ports and say nothing.
//!
//! What it prints is a share, a quantile, a ratio and a time, each of the same run. Attackers, validators and partner
//! share the machine, so that on few processors the attackers' own work is a part of what is measured.

mod attack;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keys::keyfile::{self, KeyKind};
use rpc::{Client, RequestSigner};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde::Serialize;
use testnet::devnet::{Process, ProcessRole, process};
use types::genesis::Genesis;
use types::hash::Address;
use types::key::SecretKey;
use types::number::{Amount, Nonce};
use types::transaction::{Action, Transaction};

use crate::network::{MeasuredNetwork, binary};
use crate::peer::rounded;
use crate::{progress, quantile};
use attack::FloodAttack;

/// Time between two rounds of the partner's calls.
const ROUND: Duration = Duration::from_millis(100);
/// How long a call of the partner may take.
const CALL_TIME: Duration = Duration::from_secs(5);
/// Before the flood is measured.
const SWELL: Duration = Duration::from_secs(3);
/// How long the restarted validator may take to have its peers.
const RESTART_TIME: Duration = Duration::from_mins(1);
/// Descriptors that everything but the attackers' sockets needs.
const OTHER_FILES: u64 = 512;

/// How strong the flood is.
#[derive(Debug, clap::Args)]
pub struct FloodPlan {
    /// Unfinished bodies that are held at once, over all validators.
    #[arg(long, default_value_t = 10_000)]
    bodies: u32,
    /// Silent connections a second to each validator's p2p port.
    #[arg(long, default_value_t = 2_000)]
    handshakes: u32,
    /// Seconds without the flood, and then with it.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Fails unless 99 % of the partner's calls succeed and the restarted validator has its peers.
    #[arg(long)]
    check: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct FloodReport {
    bodies: u32,
    handshakes_a_second: u32,
    /// Connections that the attackers made, with bodies and silent ones.
    connections_made: [usize; 2],
    partner_calls: usize,
    partner_share: f64,
    partner_p99_ms: u128,
    quiet_p99_ms: u128,
    block_ms: [f64; 2],
    block_time_ratio: f64,
    peers_after_seconds: Option<f64>,
}

/// Runs it on a devnet of its own.
pub fn run(plan: &FloodPlan) -> Result<()> {
    let bodies = plan.bodies.min(raise_files(u64::from(plan.handshakes))?);
    let mut network = MeasuredNetwork::up(1)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut partner = WorkingPartner::of(&network)?;
    let time = Duration::from_secs(u64::from(plan.seconds));
    progress("without the flood");
    let quiet = runtime.block_on(partner.works(time))?;
    progress("the flood begins");
    let attack = FloodAttack::start(&ports(&network)?, bodies, plan.handshakes)?;
    runtime.block_on(partner.works(SWELL))?;
    let flooded = runtime.block_on(partner.works(time))?;
    progress("a validator restarts");
    let peers_after = restart(&mut network, &runtime, &partner)?;
    let made = [&attack.made.bodies, &attack.made.silent].map(|made| made.load(Ordering::Relaxed));
    drop(attack);
    let share = flooded.share();
    let report = FloodReport {
        bodies,
        handshakes_a_second: plan.handshakes,
        connections_made: made,
        partner_calls: flooded.calls,
        partner_share: rounded(share, 4),
        partner_p99_ms: flooded.p99_ms(),
        quiet_p99_ms: quiet.p99_ms(),
        block_ms: [quiet.block_ms, flooded.block_ms].map(|ms| rounded(ms, 1)),
        block_time_ratio: rounded(flooded.block_ms / quiet.block_ms, 2),
        peers_after_seconds: peers_after.map(|after| rounded(after.as_secs_f64(), 1)),
    };
    crate::row(&serde_json::to_string(&report)?);
    if plan.check {
        ensure!(
            share >= 0.99,
            "only {share} of the partner's calls succeeded"
        );
        ensure!(
            peers_after.is_some(),
            "the restarted validator has no peers"
        );
    }
    Ok(())
}

/// Raises the limit on open files as far as it may be; gives how many bodies then have a socket.
fn raise_files(silent: u64) -> Result<u32> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("the limit on open files")?;
    // Silent sockets stay until they are closed, two seconds at most on four ports.
    let taken = OTHER_FILES + silent.min(500) * 8;
    let free = limit.maximum.map(|all| all.saturating_sub(taken));
    Ok(free.map_or(u32::MAX, |free| u32::try_from(free).unwrap_or(u32::MAX)))
}

/// HTTP and p2p sockets of every validator.
fn ports(network: &MeasuredNetwork) -> Result<Vec<(SocketAddr, SocketAddr)>> {
    let validators = network.net.devnet.manifest.processes.iter();
    let validators = validators.filter(|process| process.role == ProcessRole::Validator);
    validators.map(ports_of).collect()
}

fn ports_of(validator: &Process) -> Result<(SocketAddr, SocketAddr)> {
    let text = std::fs::read_to_string(validator.dir.join("node.toml"))?;
    let config: node::config::Config = toml::from_str(&text)?;
    let listen = config.p2p.listen.first().context("a p2p address")?;
    let parts: Vec<_> = listen.split('/').collect();
    let (ip, port) = (parts.get(2), parts.get(4));
    let p2p = format!("{}:{}", ip.context("an IP")?, port.context("a port")?);
    Ok((config.rpc.listen, p2p.parse()?))
}

/// A bonded partner that signs what it asks.
struct WorkingPartner {
    urls: Vec<String>,
    signer: RequestSigner,
    address: Address,
    /// Pays for the transfers that keep blocks coming.
    payer: SecretKey,
    nonce: Option<Nonce>,
}

/// What came of the partner's calls within a time.
struct PartnerCalls {
    calls: usize,
    succeeded: usize,
    /// In microseconds, ascending.
    times: Vec<u128>,
    block_ms: f64,
}

impl PartnerCalls {
    fn share(&self) -> f64 {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        count(self.succeeded) / count(self.calls.max(1))
    }

    fn p99_ms(&self) -> u128 {
        quantile(&self.times, 99) / 1_000
    }
}

impl WorkingPartner {
    fn of(network: &MeasuredNetwork) -> Result<Self> {
        let manifest = &network.net.devnet.manifest;
        let mut processes = manifest.processes.iter();
        let partner = processes.find(|process| process.role == ProcessRole::Partner);
        let dir = &partner.context("a partner")?.dir;
        let key = keyfile::read_secret(
            &dir.join("keys/account.key"),
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )?;
        let genesis = Genesis::from_bytes(&std::fs::read(network.net.devnet.genesis())?)?;
        Ok(Self {
            // The last validator is the one that restarts.
            urls: manifest.rpc[..3].to_vec(),
            address: key.public().address(),
            signer: RequestSigner::new(key, genesis.chain_id()),
            payer: network.customer()?,
            nonce: None,
        })
    }

    /// A client on connections of its own.
    fn client(&self, url: &str) -> Result<Client> {
        let client = Client::with_timeout(url, CALL_TIME)?;
        Ok(client.signed_by(self.signer.clone()))
    }

    /// Calls one validator after the other until the time is over; each second round on new connections.
    async fn works(&mut self, time: Duration) -> Result<PartnerCalls> {
        let start = Instant::now();
        let mut kept = self
            .urls
            .iter()
            .map(|url| self.client(url))
            .collect::<Result<Vec<_>>>()?;
        let from = self.height(&kept[0]).await?;
        let mut work = PartnerCalls {
            calls: 0,
            succeeded: 0,
            times: Vec::new(),
            block_ms: 0.0,
        };
        let mut tick = tokio::time::interval(ROUND);
        let mut round = 0;
        while start.elapsed() < time {
            tick.tick().await;
            let at = round % kept.len();
            if (round / kept.len()).is_multiple_of(2) {
                kept[at] = self.client(&self.urls[at])?;
            }
            self.round(&kept[at].clone(), &mut work).await;
            round += 1;
        }
        let to = self.height(&kept[0]).await?;
        let blocks = f64::from(u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX));
        work.block_ms = start.elapsed().as_secs_f64() * 1_000.0 / blocks.max(1.0);
        work.times.sort_unstable();
        Ok(work)
    }

    /// The final height, however often it must be asked for.
    async fn height(&self, client: &Client) -> Result<u64> {
        let end = Instant::now() + RESTART_TIME;
        loop {
            match client.status().await {
                Ok(status) => return Ok(status.height.0),
                Err(error) if Instant::now() > end => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    /// What a partner asks: where the chain stands, its own registration, events, and that a transaction be taken.
    async fn round(&mut self, client: &Client, work: &mut PartnerCalls) {
        let begun = Instant::now();
        let status = client.status().await;
        work.note(begun, status.is_ok());
        let begun = Instant::now();
        work.note(begun, client.partner(self.address).await.is_ok());
        let begun = Instant::now();
        work.note(begun, client.events(None, Duration::ZERO, 1).await.is_ok());
        let Ok(status) = status else {
            return;
        };
        let Some(nonce) = self.nonce else {
            let account = client.account(self.payer.public().address()).await;
            self.nonce = account.ok().map(|account| account.next_nonce);
            return;
        };
        let transfer = Transaction {
            chain_id: status.chain_id,
            sender: self.payer.public(),
            nonce,
            valid_until: status.height.saturating_add(1_000),
            fee: status.min_fee,
            action: Action::Transfer {
                to: self.address,
                amount: Amount(1),
            },
        };
        let begun = Instant::now();
        let taken = client.submit(&transfer.sign(&self.payer)).await;
        work.note(begun, taken.is_ok());
        self.nonce = taken.is_ok().then(|| Nonce(nonce.0 + 1));
    }
}

impl PartnerCalls {
    fn note(&mut self, begun: Instant, succeeded: bool) {
        self.calls += 1;
        self.succeeded += usize::from(succeeded);
        self.times.push(begun.elapsed().as_micros());
    }
}

/// Kills the last validator and starts it again; gives how long it took from then on to have all its peers.
fn restart(
    network: &mut MeasuredNetwork,
    runtime: &tokio::runtime::Runtime,
    partner: &WorkingPartner,
) -> Result<Option<Duration>> {
    let names = network.net.names(ProcessRole::Validator);
    let name = names.last().context("a validator")?;
    let url = network.net.rpc(names.len() - 1).to_owned();
    let validator = network.net.devnet.process_mut(name)?;
    process::signal(validator.pid, Signal::KILL);
    process::wait_until(RESTART_TIME, || !validator.is_running());
    let begun = Instant::now();
    let log = [("GRIDPROOF_LOG".to_owned(), "warn".to_owned())];
    validator.start(&binary()?, &log)?;
    let client = Arc::new(partner.client(&url)?);
    let met = runtime.block_on(async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while begun.elapsed() < RESTART_TIME {
            tick.tick().await;
            let status = client.status().await;
            if status.is_ok_and(|status| usize::from(status.peers) + 1 >= names.len()) {
                return Some(begun.elapsed());
            }
        }
        None
    });
    Ok(met)
}
