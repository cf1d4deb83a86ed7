//! `gridproof node`: a validator.

pub mod backup;
pub mod validators;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use executor::class::KNOWN;
use node::Heartbeat;
use node::config::{Config, HistoryKind, Layout};
use node::init::InitError;
use node::{NodeError, NodeErrorKind};
use serde_json::json;
use types::genesis::Genesis;
use types::words::counted;

use crate::config::{self, Override, SetArgs};
use crate::failure::{CommandFailure, ExitKind};
use crate::logging::Logs;
use crate::reload::{at_each_hangup, with_beside};
use crate::service;
use crate::submit::{self, RpcArgs};
use crate::ui::Ui;

/// Run a validator.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Make a validator's directory: keys, configuration, genesis and vote log.
    #[command(after_help = "Examples:
  gridproof node init --dir ~/validator                          # makes the keys and shows their public halves
  gridproof node init --dir ~/validator --genesis genesis.bin    # once genesis names them
  gridproof node init --dir ~/validator --genesis genesis.bin --listen /ip4/0.0.0.0/tcp/26600 \\
      --external /ip4/192.0.2.7/tcp/26600 --bootstrap /dns4/basel.example/tcp/26600
  gridproof node init --dir ~/archive --genesis genesis.bin --history archive")]
    Init {
        /// The validator's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The genesis; without it only the keys are made.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
        #[command(flatten)]
        peers: PeerArgs,
        /// What is kept of the past; written into node.toml as store.history.
        #[arg(long, value_enum, default_value_t = HistoryArg::Full)]
        history: HistoryArg,
    },
    /// Run a validator until SIGINT or SIGTERM. SIGHUP reads what to log from node.toml again.
    #[command(after_help = "Examples:
  gridproof node start --dir ~/validator
  gridproof node start --dir ~/validator --rpc-listen 127.0.0.1:26601 --set mempool.transactions=20000

Every key of node.toml can be overridden by GRIDPROOF_SECTION__KEY, and that by --set SECTION.KEY=VALUE.")]
    Start {
        /// The validator's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Address of the HTTP interface, in place of `rpc.listen` of the configuration.
        #[arg(long, value_name = "HOST:PORT")]
        rpc_listen: Option<SocketAddr>,
        /// Overrides p2p.listen; may be given several times.
        #[arg(long, value_name = "MULTIADDR")]
        p2p_listen: Vec<String>,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Write a backup of a validator: keys, configuration, genesis and evidence, never the vote log.
    #[command(
        after_help = "Example:\n  gridproof node backup --dir ~/validator --to ~/validator.tar"
    )]
    Backup(backup::BackupArgs),
    /// Make a validator's directory from a backup. It votes only above a view that the others confirm.
    #[command(
        after_help = "Example:\n  gridproof node restore --from ~/validator.tar --dir ~/validator"
    )]
    Restore(backup::RestoreArgs),
    /// Show the validators: stake, last vote and proposal, missed views, address.
    #[command(after_help = "Example:\n  gridproof node validators --rpc http://127.0.0.1:26601")]
    Validators {
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Show where a node stands.
    #[command(after_help = "Examples:
  gridproof node status --rpc http://127.0.0.1:26601
  gridproof node status --ready            # for health checks: exit code 5 while the node takes no work")]
    Status {
        #[command(flatten)]
        rpc: RpcArgs,
        /// Fail if the node is not ready.
        #[arg(long)]
        ready: bool,
    },
}

/// How a new validator and the others find each other.
#[derive(Debug, clap::Args)]
pub struct PeerArgs {
    /// Where it listens for other validators, written into node.toml as p2p.listen; may be given several times. On this machine alone
    /// if left out.
    #[arg(long, value_name = "MULTIADDR", requires = "genesis")]
    listen: Vec<String>,
    /// Where the others find it, if that is not where it listens, as p2p.external; may be given several times.
    #[arg(long, value_name = "MULTIADDR", requires = "genesis")]
    external: Vec<String>,
    /// First peers, as multiaddresses; may be given several times.
    #[arg(long, value_name = "MULTIADDR", requires = "genesis")]
    bootstrap: Vec<String>,
}

/// What a node keeps of the past, see docs/operate/validator.md.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum HistoryArg {
    /// Every block, and the state of every height.
    Archive,
    /// Every block, and the state of the newest heights.
    Full,
    /// The newest blocks, and the state of the newest heights.
    Validator,
}

impl From<HistoryArg> for HistoryKind {
    fn from(history: HistoryArg) -> Self {
        match history {
            HistoryArg::Archive => Self::Archive,
            HistoryArg::Full => Self::Full,
            HistoryArg::Validator => Self::Validator,
        }
    }
}

/// Runs a node command.
pub async fn run(command: NodeCommand, logs: &Logs, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        NodeCommand::Init {
            dir,
            genesis,
            peers,
            history,
        } => init(&dir, genesis.as_deref(), peers, history, ui),
        NodeCommand::Start {
            dir,
            rpc_listen,
            p2p_listen,
            set,
        } => {
            let rpc = rpc_listen
                .map(|listen| Override::text("--rpc-listen", "rpc.listen", listen.to_string()));
            let p2p = (!p2p_listen.is_empty())
                .then(|| Override::list("--p2p-listen", "p2p.listen", p2p_listen));
            let overrides = set.overrides().chain(rpc).chain(p2p).collect();
            start(&dir, overrides, logs, ui).await
        }
        NodeCommand::Backup(arguments) => backup::backup(&arguments, ui),
        NodeCommand::Restore(arguments) => backup::restore(&arguments, ui),
        NodeCommand::Validators { rpc } => {
            let list = rpc
                .client(ui)?
                .validators()
                .await
                .map_err(submit::failure)?;
            ui.result(&json!(list), &validators::table(&list, crate::ui::now_ms()));
            Ok(())
        }
        NodeCommand::Status { rpc, ready } => {
            let client = rpc.client(ui)?;
            let status = client.status().await.map_err(submit::failure)?;
            let mut text = format!(
                "network    {} ({})\nheight     {} at {}\nview       {}\nstate root {}\npeers      {} of {}\nmempool    {}\nsynced     {}\nclock      {}",
                status.network,
                status.chain_id,
                status.height,
                status.block_id,
                status.view,
                status.state_root,
                status.peers,
                status.committee_size.saturating_sub(1),
                counted(status.mempool_transactions, "transaction"),
                synced(&status),
                clock(status.clock_ahead_ms),
            );
            for line in class_lines(&status)
                .into_iter()
                .chain(upgrade_line(&status))
            {
                text.push('\n');
                text.push_str(&line);
            }
            for alarm in &status.alarms {
                text.push_str("\nALARM      ");
                text.push_str(alarm);
            }
            if ready {
                client.ready().await.map_err(submit::failure)?;
            }
            ui.result(&json!(status), &text);
            Ok(())
        }
    }
}

/// What the network's schedule says of each engine class now, one a line.
pub fn class_lines(status: &rpc::model::Status) -> Vec<String> {
    let mut label = "classes   ";
    let mut lines = Vec::new();
    for view in &status.classes {
        let window = match view.until_height {
            _ if view.from_height > status.height => {
                format!("takes jobs from height {} on", view.from_height)
            }
            Some(until) if until <= status.height => {
                format!("took jobs below height {until} only")
            }
            Some(until) => format!("takes jobs below height {until}"),
            None => "takes jobs".to_owned(),
        };
        let lacking = if KNOWN.contains(&view.class) {
            ""
        } else {
            "; this program does not know it: install a newer one"
        };
        lines.push(format!("{label} {} {window}{lacking}", view.class));
        label = "          ";
    }
    lines
}

/// The version of the protocol that comes, if one is scheduled.
fn upgrade_line(status: &rpc::model::Status) -> Option<String> {
    let next = status.next_version?;
    let blocks = next.height.0.saturating_sub(status.height.0);
    let known = if next.known {
        "known to the node"
    } else {
        "NOT KNOWN to the node, which stops there"
    };
    Some(format!(
        "upgrade    version {} from height {} on, in {blocks} blocks, {known}",
        next.version, next.height
    ))
}

/// Whether the node takes work, and why not.
fn synced(status: &rpc::model::Status) -> String {
    match &status.stalled {
        Some(reason) => format!("STALLED: {reason}"),
        None if status.catching_up => "catching up".to_owned(),
        None => "yes".to_owned(),
    }
}

/// Runs a validator. SIGHUP reads the configuration again; what to log is taken over, all else waits for the next start.
async fn start(
    dir: &Path,
    overrides: Vec<Override>,
    logs: &Logs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let file = Layout::new(dir).config();
    let config: Config = config::load(&file, overrides.clone())?;
    logs.follow(&config.log)?;
    let heartbeat = Heartbeat::default();
    service::watch(&heartbeat);
    let again = at_each_hangup(file, overrides, async |config: Config| {
        logs.follow_again(&config.log);
        true
    });
    let run = node::run(
        dir,
        config,
        ui.passphrases(),
        heartbeat,
        crate::asked_to_stop(),
    );
    let ended = with_beside(run, again).await;
    ended.map_err(|error| failure(&error))
}

/// How the node's clock stands beside the others'.
fn clock(ahead_ms: Option<i64>) -> String {
    match ahead_ms {
        None => "not compared yet".to_owned(),
        Some(ahead) if ahead < 0 => format!("{} ms behind the others", ahead.unsigned_abs()),
        Some(ahead) => format!("{ahead} ms ahead of the others"),
    }
}

/// Reads and checks a genesis file.
pub fn read_genesis(path: &Path) -> Result<Genesis, CommandFailure> {
    let bad = |message: String| {
        CommandFailure::new(ExitKind::BadInput, "genesis", format!("{}: {message}", path.display()))
            .hint("a genesis is the file genesis.bin that `devnet up` writes, or what /v1/genesis of a node serves")
    };
    let bytes = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    Genesis::from_bytes(&bytes).map_err(|error| bad(error.to_string()))
}

fn init(
    dir: &Path,
    genesis: Option<&Path>,
    peers: PeerArgs,
    history: HistoryArg,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let passphrases = ui.passphrases();
    let keys = node::init::keys(dir, &passphrases).map_err(|error| init_failure(&error))?;
    let shown = format!(
        "validator key {}\nnode key      {}\nVRF key       {}",
        keys.validator, keys.node, keys.vrf
    );
    let next = if let Some(path) = genesis {
        let mut config = Config::default();
        if !peers.listen.is_empty() {
            config.p2p.listen = peers.listen;
        }
        (config.p2p.external, config.p2p.bootstrap) = (peers.external, peers.bootstrap);
        node::check_addresses(&config.p2p).map_err(|error| failure(&error))?;
        config.store.history = history.into();
        node::init::init(dir, &read_genesis(path)?, &config, &passphrases)
            .map_err(|error| init_failure(&error))?;
        format!("ready: gridproof node start --dir {}", dir.display())
    } else {
        "put these keys into the genesis, then run init again with --genesis".to_owned()
    };
    ui.result(
        &json!({ "dir": dir, "keys": keys, "ready": genesis.is_some() }),
        &format!("{shown}\n{next}"),
    );
    Ok(())
}

/// Why a validator's directory cannot be made.
pub fn init_failure(error: &InitError) -> CommandFailure {
    let (kind, hint) = match error {
        InitError::Key(error) => return CommandFailure::of_key_file(error),
        InitError::Folder(error) => return CommandFailure::of_folder(error),
        InitError::Exists(_) => (
            ExitKind::Storage,
            "start it with `gridproof node start`, or choose another --dir",
        ),
        InitError::Differs(_) => (
            ExitKind::Storage,
            "move the file away if it is not wanted, or choose another --dir",
        ),
        InitError::Setup(_) | InitError::Genesis(_) => (
            ExitKind::BadInput,
            "the genesis must name the public keys that `node init` shows",
        ),
        InitError::Io { .. } | InitError::Log(_) | InitError::Storage(_) => (
            ExitKind::Storage,
            "check the directory's permissions and free space",
        ),
    };
    CommandFailure::new(kind, "init", error.to_string()).hint(hint)
}

fn failure(error: &NodeError) -> CommandFailure {
    if let NodeError::Key(error) = error {
        return CommandFailure::of_key_file(error);
    }
    let (kind, code) = match error.kind() {
        NodeErrorKind::Key => (ExitKind::Key, "key"),
        NodeErrorKind::SignerAway => (ExitKind::NoConnection, "signer_away"),
        NodeErrorKind::SecondSigner => (ExitKind::SecondSigner, "second_signer"),
        NodeErrorKind::ForeignVote => (ExitKind::ForeignVote, "foreign_vote"),
        NodeErrorKind::Diverged => (ExitKind::Diverged, "state_diverged"),
        NodeErrorKind::UnknownVersion => (ExitKind::UnknownVersion, "unknown_protocol_version"),
        NodeErrorKind::OtherSchedule => (ExitKind::OtherSchedule, "other_schedule"),
        NodeErrorKind::NotInitialised => (ExitKind::Storage, "not_initialised"),
        NodeErrorKind::VoteLog => (ExitKind::Storage, "vote_log"),
        NodeErrorKind::Storage => (ExitKind::Storage, "storage"),
        NodeErrorKind::Config => (ExitKind::BadInput, "config"),
        NodeErrorKind::Other => (ExitKind::Other, "node"),
    };
    CommandFailure::new(kind, code, error.to_string()).hint(error.hint())
}
