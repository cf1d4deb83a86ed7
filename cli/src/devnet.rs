//! `gridproof devnet`: validators and partners as processes of this machine.

mod compose;
mod signals;
mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;
use signals::StopSignals;
use testnet::devnet::plan::DevnetOptions;
use testnet::devnet::ports::PortTaken;
use testnet::devnet::ready::{self, OtherChain};
use testnet::devnet::{Devnet, ProcessRole};
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::number::Height;
use types::words::counted;
use wanted::WantedDevnet;

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// How long the first block may take.
const FIRST_BLOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// A network of validators and partners on this machine.
#[derive(Debug, Subcommand)]
pub enum DevnetCommand {
    /// Start a devnet; the first time this makes its keys and its genesis.
    #[command(
        after_help = "Example:\n  gridproof devnet up --dir /tmp/net --validators 4 --partners 5 --base-port 26600 --detach

DIR/devnet.json tells the chain id, the RPC addresses, the customer's key and every process with its metrics.
State survives down and up."
    )]
    Up {
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        #[command(flatten)]
        wanted: WantedDevnet,
        /// Return when the first block is final; otherwise stay, and stop everything on Ctrl-C or when the terminal
        /// is closed.
        #[arg(long)]
        detach: bool,
    },
    /// Make the keys, the genesis and the configuration of a devnet, and start nothing.
    #[command(after_help = "Examples:
  gridproof devnet new --dir /tmp/net --validators 1 --partners 5
  gridproof devnet new --dir /devnet --containers --if-missing        # as docker-compose.yml does

For a network whose validators run elsewhere, such as in AvalancheGo: a validator's keys are in DIR/validator-0/keys, a
partner starts with `gridproof partner start --dir DIR/partner-0 --endpoint URL`.")]
    New {
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// How many validators.
        #[arg(long, default_value_t = 4)]
        validators: u16,
        /// How many grid partners.
        #[arg(long, default_value_t = 5)]
        partners: u16,
        /// First port, as for `up`.
        #[arg(long, default_value_t = 26_600)]
        base_port: u16,
        /// For processes in containers that find each other by their names, validator-0 and so on: each listens on
        /// every address, the base port is that of the containers' host.
        #[arg(long)]
        containers: bool,
        /// Do nothing if the folder holds a devnet already.
        #[arg(long)]
        if_missing: bool,
        /// With --containers: what Prometheus scrapes is written to this file, for its `file_sd_configs`.
        #[arg(long, value_name = "FILE", requires = "containers")]
        targets: Option<PathBuf>,
    },
    /// Write a docker-compose.yml for a devnet, with Prometheus and Grafana.
    #[command(after_help = "Examples:
  gridproof devnet compose --validators 4 --partners 5 > docker-compose.yml
  gridproof devnet compose --validators 7 --partners 9 --base-port 27600 --out seven.yml && docker-compose -p seven -f seven.yml up --detach

The file builds its image from the folder it lies in, and mounts ./deploy/prometheus and ./deploy/grafana of it: put it into a checkout.
Elsewhere set GRIDPROOF_IMAGE, and bring both folders: the package has them in /usr/share/gridproof
(mkdir deploy && cp -r /usr/share/gridproof/prometheus /usr/share/gridproof/grafana deploy/).")]
    Compose {
        /// How many validators.
        #[arg(long, default_value_t = 4)]
        validators: u16,
        /// How many grid partners.
        #[arg(long, default_value_t = 5)]
        partners: u16,
        /// First port on the host: validator i publishes its RPC at base + 2i + 1, on loopback.
        #[arg(long, default_value_t = 26_600)]
        base_port: u16,
        /// Write to this file, which must not exist, in place of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Stop a devnet; its state stays.
    #[command(after_help = "Example:\n  gridproof devnet down --dir /tmp/net")]
    Down {
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Stop one process of a devnet.
    #[command(after_help = "Example:\n  gridproof devnet stop validator-1 --dir /tmp/net")]
    Stop {
        /// Name of the process, as `devnet status` shows it.
        name: String,
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Stop one process of a devnet, if it runs, and start it again.
    #[command(after_help = "Examples:
  gridproof devnet restart validator-1 --dir /tmp/net
  gridproof devnet restart partner-0 --dir /tmp/net")]
    Restart {
        /// Name of the process, as `devnet status` shows it.
        name: String,
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Show the processes of a devnet and their heights.
    #[command(after_help = "Example:\n  gridproof devnet status --dir /tmp/net")]
    Status {
        /// The devnet's folder.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Runs a devnet command.
pub async fn run(command: DevnetCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        DevnetCommand::Up {
            dir,
            wanted,
            detach,
        } => up(&dir, &wanted, detach, ui).await,
        DevnetCommand::New {
            dir,
            validators,
            partners,
            base_port,
            containers,
            if_missing,
            targets,
        } => {
            let options = DevnetOptions {
                validators,
                partners,
                base_port,
            };
            let make = if containers {
                Devnet::create_for_containers
            } else {
                Devnet::create
            };
            if let Some(path) = targets {
                let text = compose::targets(&options).to_string();
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            new(&dir, if_missing, ui, || make(&dir, &options))
        }
        DevnetCommand::Compose {
            validators,
            partners,
            base_port,
            out,
        } => {
            let options = DevnetOptions {
                validators,
                partners,
                base_port,
            };
            compose::write(&options, out.as_deref(), ui)
        }
        DevnetCommand::Down { dir } => down(&dir, ui),
        DevnetCommand::Stop { name, dir } => stop_one(&dir, &name, ui),
        DevnetCommand::Restart { name, dir } => restart(&dir, &name, ui),
        DevnetCommand::Status { dir } => status(&dir, ui).await,
    }
}

async fn up(dir: &Path, wanted: &WantedDevnet, detach: bool, ui: Ui) -> Result<(), CommandFailure> {
    let mut devnet = match Devnet::open(dir)? {
        Some(devnet) => {
            wanted.fits(&devnet.manifest)?;
            devnet
        }
        None => created(Devnet::create(dir, &wanted.options()))?,
    };
    let binary = std::env::current_exe().context("cannot find the path of this program")?;
    // Before the first process starts: whoever ends this command early ends all of them.
    let mut signals = StopSignals::catch()?;
    let progress = ui.spinner("starting processes");
    let started = devnet.start(&binary, |_| Vec::new());
    progress.message("waiting for the first final block");
    let outcome = match started {
        Ok(()) => tokio::select! {
            outcome = first_block(&devnet) => outcome.inspect_err(|_| {
                devnet.stop();
            }),
            () = signals.received() => {
                devnet.stop();
                Err(interrupted())
            }
        },
        Err(error) => Err(not_started(error)),
    };
    progress.finish();
    let height = outcome?;
    let manifest = &devnet.manifest;
    let text = format!(
        "devnet {} runs: {}, height {height}\n rpc       {}\n customer  {}\n manifest  {}",
        manifest.chain_id,
        counted(manifest.processes.len(), "process"),
        manifest.rpc.join(" "),
        manifest.customer_key.display(),
        devnet.root().join("devnet.json").display(),
    );
    ui.result(&json!(manifest), &text);
    if !detach {
        ui.line("Ctrl-C stops it");
        signals.received().await;
        devnet.stop();
    }
    Ok(())
}

/// `devnet new`.
fn new(
    dir: &Path,
    if_missing: bool,
    ui: Ui,
    make: impl FnOnce() -> anyhow::Result<Devnet>,
) -> Result<(), CommandFailure> {
    let known = if if_missing { Devnet::open(dir)? } else { None };
    let (devnet, word) = match known {
        Some(devnet) => (devnet, "was made before"),
        None => (created(make())?, "is made"),
    };
    let text = format!(
        "devnet {} {word} in {}",
        devnet.manifest.chain_id,
        dir.display()
    );
    ui.result(&json!(devnet.manifest), &text);
    Ok(())
}

fn created(made: anyhow::Result<Devnet>) -> Result<Devnet, CommandFailure> {
    made.map_err(|error| {
        port_taken(&error, "choose others with --base-port, or stop what uses it").unwrap_or_else(|| {
            CommandFailure::new(ExitKind::BadInput, "devnet", format!("{error:#}"))
                .hint("give an empty folder with --dir, and ports between 1024 and 65534 with --base-port")
        })
    })
}

/// The failure for a port that is taken, if that is the error.
fn port_taken(error: &anyhow::Error, hint: &str) -> Option<CommandFailure> {
    let taken = error.downcast_ref::<PortTaken>()?;
    Some(CommandFailure::new(ExitKind::BadInput, "port_taken", taken.to_string()).hint(hint))
}

fn not_started(error: anyhow::Error) -> CommandFailure {
    let hint = "stop what uses it; a devnet keeps its ports, so others need a new one: --base-port with a new --dir";
    port_taken(&error, hint).unwrap_or_else(|| {
        CommandFailure::from(error).hint("what had been started is stopped again")
    })
}

fn interrupted() -> CommandFailure {
    CommandFailure::new(
        ExitKind::Other,
        "interrupted",
        "asked to stop before the first block was final; nothing runs",
    )
    .hint("start it again with `gridproof devnet up`")
}

/// Waits until every validator has a final block.
async fn first_block(devnet: &Devnet) -> Result<Height, CommandFailure> {
    let deadline = Instant::now() + FIRST_BLOCK_TIMEOUT;
    let mut tick = interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < deadline {
        tick.tick().await;
        if let Some((name, output)) = devnet.first_dead() {
            return Err(CommandFailure::new(
                ExitKind::Other,
                "devnet",
                format!("{name} ended at once:\n{output}"),
            )
            .hint("is another devnet using these ports? try --base-port with a new --dir"));
        }
        let heights = ready::heights(&devnet.manifest)
            .await
            .map_err(other_chain)?;
        let lowest = heights
            .into_iter()
            .map(Option::unwrap_or_default)
            .min()
            .unwrap_or_default();
        if lowest > Height::ZERO {
            return Ok(lowest);
        }
    }
    Err(CommandFailure::new(
        ExitKind::TimedOut,
        "devnet",
        format!("no final block after {} s", FIRST_BLOCK_TIMEOUT.as_secs()),
    )
    .hint(format!(
        "the processes' output is in {}/*/output.log",
        devnet.root().display()
    )))
}

fn other_chain(error: anyhow::Error) -> CommandFailure {
    if !error.is::<OtherChain>() {
        return CommandFailure::from(error);
    }
    CommandFailure::new(ExitKind::Other, "other_chain", error.to_string())
        .hint("another devnet uses this port: stop it, or make a new one with another --base-port and a new --dir")
}

fn down(dir: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let devnet = open(dir)?;
    let running = devnet
        .manifest
        .processes
        .iter()
        .filter(|process| process.is_running())
        .count();
    let progress = ui.spinner(&format!("stopping {running} processes"));
    let killed = devnet.stop();
    progress.finish();
    ui.result(
        &json!({ "stopped": running, "killed": killed }),
        &format!(
            "stopped {running} processes{}; `devnet up` continues from the same state",
            match killed {
                0 => String::new(),
                n => format!(", {n} of them had to be killed"),
            }
        ),
    );
    Ok(())
}

/// The devnet of a folder, which must have a process of that name.
fn open_with(dir: &Path, name: &str) -> Result<Devnet, CommandFailure> {
    let devnet = open(dir)?;
    let processes = devnet.manifest.processes.iter();
    let names: Vec<_> = processes.map(|process| process.name.as_str()).collect();
    if !names.contains(&name) {
        let message = format!("this devnet has no process {name}");
        let hint = format!("it has {}", names.join(", "));
        return Err(CommandFailure::new(ExitKind::BadInput, "devnet", message).hint(hint));
    }
    Ok(devnet)
}

fn stop_one(dir: &Path, name: &str, ui: Ui) -> Result<(), CommandFailure> {
    let devnet = open_with(dir, name)?;
    let progress = ui.spinner(&format!("stopping {name}"));
    let killed = devnet.stop_one(name);
    progress.finish();
    let how = if killed {
        "had to be killed"
    } else {
        "is stopped"
    };
    ui.result(
        &json!({ "name": name, "killed": killed }),
        &format!("{name} {how}"),
    );
    Ok(())
}

fn restart(dir: &Path, name: &str, ui: Ui) -> Result<(), CommandFailure> {
    let mut devnet = open_with(dir, name)?;
    let binary = std::env::current_exe().context("cannot find the path of this program")?;
    let progress = ui.spinner(&format!("starting {name} again"));
    let restarted = devnet.restart(&binary, name);
    progress.finish();
    let process = restarted.map_err(not_started)?;
    ui.result(
        &json!({ "name": process.name, "pid": process.pid, "log": process.log() }),
        &format!(
            "{name} runs, pid {}; its log is {}",
            process.pid,
            process.log().display()
        ),
    );
    Ok(())
}

async fn status(dir: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let devnet = open(dir)?;
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for process in &devnet.manifest.processes {
        let answer = match &process.rpc {
            Some(url) => ready::status(url, devnet.manifest.chain_id).await,
            None => Ok(None),
        };
        let height = answer
            .as_ref()
            .ok()
            .and_then(|status| status.as_ref())
            .map(|status| status.height);
        let state = if process.is_running() {
            "running"
        } else {
            "stopped"
        };
        let shown = match (process.role, height, answer) {
            (_, Some(height), _) => format!("height {height}"),
            (_, None, Err(error)) => error.to_string(),
            (ProcessRole::Validator, None, Ok(_)) => "no answer".to_owned(),
            (ProcessRole::Partner, None, Ok(_)) => String::new(),
        };
        lines.push(format!(
            "{:<13} {state:<8} pid {:<8} {shown}",
            process.name, process.pid
        ));
        rows.push(
            json!({ "name": process.name, "state": state, "pid": process.pid, "height": height }),
        );
    }
    ui.result(
        &json!({ "chain_id": devnet.manifest.chain_id, "processes": rows }),
        &lines.join("\n"),
    );
    Ok(())
}

fn open(dir: &Path) -> Result<Devnet, CommandFailure> {
    Devnet::open(dir)?.ok_or_else(|| {
        CommandFailure::new(
            ExitKind::BadInput,
            "devnet",
            format!("there is no devnet in {}", dir.display()),
        )
        .hint("start one with: gridproof devnet up --dir DIR")
    })
}
