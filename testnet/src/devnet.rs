//! A devnet: validators and partners as processes of this machine, on loopback, below one folder.
//!
//! `DIR/devnet.json` is the manifest: chain id, RPC addresses, the customer's key and the processes. State survives
//! `down` and `up`; a folder holds one devnet for good.

mod configure;
pub mod plan;
pub mod ports;
pub mod process;
pub mod ready;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use types::codec::encode;
use types::genesis::Genesis;
use types::hash::ChainId;

use plan::{DevnetOptions, DevnetPlan};

/// How long processes get to stop by themselves.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Name of the manifest.
const MANIFEST: &str = "devnet.json";
/// Name of the genesis file.
pub const GENESIS: &str = "genesis.bin";

/// The chain and the processes of a devnet, as `devnet.json` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The id of the devnet's chain.
    pub chain_id: ChainId,
    /// RPC addresses of the validators, in order of their names.
    pub rpc: Vec<String>,
    /// Key file of an account with money.
    pub customer_key: PathBuf,
    /// The validators, then the partners, in order of their names.
    pub processes: Vec<Process>,
}

/// One process of a devnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Name of its directory and log: `validator-0`, `partner-2`, ...
    pub name: String,
    /// Whether it is a validator or a partner.
    pub role: ProcessRole,
    /// Its process id since the last start; 0 before the first.
    pub pid: u32,
    /// Its RPC address; `None` for a partner.
    pub rpc: Option<String>,
    /// Where its metrics are read.
    pub metrics: String,
    /// The folder with its configuration, keys and data; absolute.
    pub dir: PathBuf,
}

/// The two kinds of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessRole {
    /// A validator: `gridproof node start`.
    Validator,
    /// A partner: `gridproof partner start`.
    Partner,
}

impl Manifest {
    /// The size of the devnet and its first port.
    #[must_use]
    pub fn options(&self) -> DevnetOptions {
        let count = |role| {
            let processes = self.processes.iter();
            let count = processes.filter(|process| process.role == role).count();
            u16::try_from(count).unwrap_or(u16::MAX)
        };
        let ports = self.processes.iter().flat_map(Process::ports);
        DevnetOptions {
            validators: count(ProcessRole::Validator),
            partners: count(ProcessRole::Partner),
            base_port: ports.min().unwrap_or_default(),
        }
    }
}

impl Process {
    /// True if its process runs: the process id alone could belong to another one.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid != 0 && process::is_running(self.pid, &self.dir)
    }

    /// The file that its output is appended to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("output.log")
    }

    /// The ports it listens on: a validator takes one for p2p, and the next for RPC; each process one for metrics.
    fn ports(&self) -> Vec<u16> {
        let rpc = self.rpc.as_deref().and_then(port);
        let own = rpc.map_or_else(Vec::new, |rpc| vec![rpc.saturating_sub(1), rpc]);
        own.into_iter().chain(port(&self.metrics)).collect()
    }

    /// Starts it; `environment` is added to the caller's.
    pub fn start(&mut self, binary: &Path, environment: &[(String, String)]) -> Result<()> {
        let command = match self.role {
            ProcessRole::Validator => "node",
            ProcessRole::Partner => "partner",
        };
        // The process itself keeps its log within bounds; what else it prints goes to the same file.
        let log = self.log();
        let mut all = vec![("GRIDPROOF_LOG_FILE".to_owned(), log.display().to_string())];
        all.extend_from_slice(environment);
        self.pid = process::start(binary, command, &self.dir, &all, &log)
            .with_context(|| format!("cannot start {} as {}", binary.display(), self.name))?;
        Ok(())
    }
}

/// The port of a URL such as `http://127.0.0.1:26601/metrics`.
fn port(url: &str) -> Option<u16> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    authority.rsplit(':').next()?.parse().ok()
}

/// A devnet on disk.
#[derive(Debug, Clone)]
pub struct Devnet {
    root: PathBuf,
    /// The chain and the processes.
    pub manifest: Manifest,
}

impl Devnet {
    /// Opens the devnet below a folder, if there is one.
    pub fn open(root: &Path) -> Result<Option<Self>> {
        let path = root.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let manifest = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(Self {
            root: root.to_path_buf(),
            manifest,
        }))
    }

    /// Makes keys, genesis and configuration of a new devnet, whose ports must be free. Nothing runs yet.
    pub fn create(root: &Path, options: &DevnetOptions) -> Result<Self> {
        Self::create_with(root, options, |_| ())
    }

    /// Like [`Devnet::create`]; `adjust` changes the genesis before the chain's id follows from it, and leaves it valid.
    pub fn create_with(
        root: &Path,
        options: &DevnetOptions,
        adjust: impl FnOnce(&mut Genesis),
    ) -> Result<Self> {
        // Before anything is written: the same folder then serves a second try with other ports.
        ports::check(plan::ports(options)?)?;
        Self::make(root, options, adjust, |_| ())
    }

    /// Like [`Devnet::create`], for processes that have containers of their own and find each other by their names. The
    /// manifest's RPC addresses are those that the containers' host publishes.
    pub fn create_for_containers(root: &Path, options: &DevnetOptions) -> Result<Self> {
        Self::make(root, options, |_| (), DevnetPlan::in_containers)
    }

    fn make(
        root: &Path,
        options: &DevnetOptions,
        adjust: impl FnOnce(&mut Genesis),
        place: impl FnOnce(&mut DevnetPlan),
    ) -> Result<Self> {
        std::fs::create_dir_all(root)
            .with_context(|| format!("cannot create {}", root.display()))?;
        // Absolute, since processes are recognised by their folder on the command line.
        let root = root.canonicalize()?;
        ensure!(
            !root.join(GENESIS).exists(),
            "{} holds the remains of another devnet",
            root.display()
        );
        let mut plan = plan::make(&root, options, now())?;
        adjust(&mut plan.genesis);
        plan.genesis.check().context("the adjusted genesis")?;
        std::fs::write(root.join(GENESIS), encode(&plan.genesis))?;
        std::fs::write(
            root.join("genesis.toml"),
            toml::to_string_pretty(&plan.genesis)?,
        )?;
        let manifest = manifest(&plan);
        place(&mut plan);
        configure::write(&plan)?;
        let devnet = Self { root, manifest };
        devnet.save()?;
        Ok(devnet)
    }

    /// The folder that holds all of it; absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the genesis file.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.root.join(GENESIS)
    }

    /// Starts every process that does not run; `environment` gives variables for each by its name. Each is in the
    /// manifest before the next is started, so that `stop` knows it; if one does not start, those before it are
    /// stopped again.
    pub fn start(
        &mut self,
        binary: &Path,
        environment: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Result<()> {
        let processes = &self.manifest.processes;
        let idle: Vec<_> = (0..processes.len())
            .filter(|index| !processes[*index].is_running())
            .collect();
        ports::check(idle.iter().flat_map(|index| processes[*index].ports()))?;
        for index in &idle {
            let process = &mut self.manifest.processes[*index];
            let started = process
                .start(binary, &environment(&process.name))
                .and_then(|()| self.save());
            if started.is_err() {
                stop(idle.iter().map(|index| &self.manifest.processes[*index]));
                return started;
            }
        }
        Ok(())
    }

    /// Stops the processes of that name; true if one had to be killed.
    #[must_use]
    pub fn stop_one(&self, name: &str) -> bool {
        let named = self.manifest.processes.iter();
        stop(named.filter(|process| process.name == name)) > 0
    }

    /// Stops one process if it runs, and starts it again; gives it with its new process id.
    pub fn restart(&mut self, binary: &Path, name: &str) -> Result<Process> {
        let process = self.process_mut(name)?;
        process::stop(&[(process.pid, process.dir.as_path())], STOP_TIMEOUT);
        ports::check(process.ports())?;
        process.start(binary, &[])?;
        let restarted = process.clone();
        self.save()?;
        Ok(restarted)
    }

    /// The process of a name.
    pub fn process_mut(&mut self, name: &str) -> Result<&mut Process> {
        self.manifest
            .processes
            .iter_mut()
            .find(|process| process.name == name)
            .with_context(|| format!("no {name}"))
    }

    /// Writes the manifest: whole or not at all.
    pub fn save(&self) -> Result<()> {
        let (path, new) = (self.root.join(MANIFEST), self.root.join("devnet.json.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(&self.manifest)?)?;
        std::fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Stops all processes; returns how many had to be killed.
    pub fn stop(&self) -> usize {
        stop(self.manifest.processes.iter())
    }

    /// A process that has ended although it should run, with the end of its output.
    #[must_use]
    pub fn first_dead(&self) -> Option<(String, String)> {
        let dead = self
            .manifest
            .processes
            .iter()
            .find(|process| !process.is_running())?;
        let log = std::fs::read_to_string(dead.log()).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.reverse();
        Some((dead.name.clone(), lines.join("\n")))
    }
}

/// Stops those of the processes that run; returns how many had to be killed.
fn stop<'a>(processes: impl Iterator<Item = &'a Process>) -> usize {
    // Partners first: they would only see their endpoints vanish.
    let (partners, validators): (Vec<_>, Vec<_>) = processes
        .filter(|process| process.is_running())
        .partition(|process| process.role == ProcessRole::Partner);
    [partners, validators]
        .iter()
        .map(|group| {
            let group: Vec<_> = group
                .iter()
                .map(|process| (process.pid, process.dir.as_path()))
                .collect();
            process::stop(&group, STOP_TIMEOUT).len()
        })
        .sum()
}

fn manifest(plan: &DevnetPlan) -> Manifest {
    let rpc = |port: u16| format!("http://127.0.0.1:{port}");
    let metrics = |port: u16| format!("http://127.0.0.1:{port}/metrics");
    let validators = plan.nodes.iter().enumerate().map(|(index, node)| Process {
        name: format!("validator-{index}"),
        role: ProcessRole::Validator,
        pid: 0,
        rpc: Some(rpc(node.rpc_port)),
        metrics: metrics(node.metrics_port),
        dir: node.dir.clone(),
    });
    let partners = plan
        .partners
        .iter()
        .enumerate()
        .map(|(index, partner)| Process {
            name: format!("partner-{index}"),
            role: ProcessRole::Partner,
            pid: 0,
            rpc: None,
            metrics: metrics(partner.metrics_port),
            dir: partner.dir.clone(),
        });
    Manifest {
        chain_id: plan.genesis.chain_id(),
        rpc: plan.nodes.iter().map(|node| rpc(node.rpc_port)).collect(),
        customer_key: plan.customer_key.clone(),
        processes: validators.chain(partners).collect(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a new devnet's genesis starts now"
)]
fn now() -> types::number::Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    types::number::Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
