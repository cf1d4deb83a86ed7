//! `gridproof partner`: a grid partner's daemon and its bond.

mod audit;
mod challenge;
mod offers;
mod pause;
mod status;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use challenge::ChallengeArgs;
use clap::{Args, Subcommand};
use keys::keyfile::{self, KeyKind};
use keys::passphrase::Passphrases;
use node::Heartbeat;
use partner::config::{CONFIG_FILE, Config, PartnerConfigError};
use partner::{DaemonControls, PartnerError};
use rpc::Client;
use serde_json::json;
use tokio::sync::mpsc;
use types::hash::Address;
use types::key::SecretKey;
use types::number::Amount;
use types::transaction::Action;

use crate::config::{self, Override, SetArgs};
use crate::date;
use crate::failure::{CommandFailure, ExitKind};
use crate::logging::Logs;
use crate::reload::{at_each_hangup, with_beside};
use crate::service;
use crate::submit::{self, FeeArgs, RpcArgs, failure};
use crate::trust::light_of;
use crate::ui::{Ui, now_ms};

/// How long a bond transaction may take to become final.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Run a grid partner's agent.
#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// Make a partner's directory: configuration with comments, genesis, and keys where there are none.
    #[command(after_help = "Example:
  gridproof partner init --dir ~/partner --genesis genesis.bin --endpoint http://127.0.0.1:26601 \\
      --endpoint http://127.0.0.1:26603 --bond 10000 --ask 0.000001 --attribute location=basel

Then send SQUARE for the bond to the account that is shown, and start it.")]
    Init(InitArgs),
    /// Run the partner until SIGINT or SIGTERM: it registers, keeps its bond, runs jobs and checks those of others. SIGHUP
    /// reads what to log, bond, reserve, places, the time of a task and the offer from partner.toml again.
    #[command(after_help = "Examples:
  gridproof partner start --dir ~/partner
  gridproof partner start --dir ~/partner --bond 20000 --set offer.ask=0.000002

Every key of partner.toml can be overridden by GRIDPROOF__KEY or GRIDPROOF_OFFER__KEY, and that by --set KEY=VALUE or
--set offer.KEY=VALUE.")]
    Start {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Overrides endpoints; may be given several times.
        #[arg(long = "endpoint", value_name = "URL")]
        endpoints: Vec<String>,
        /// Overrides bond.
        #[arg(long)]
        bond: Option<Amount>,
        /// Run jobs also where this machine gives no filter of system calls (seccomp).
        #[arg(long)]
        allow_missing_seccomp: bool,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Take no new duties; the daemon, if it runs, goes on with those that it has.
    #[command(after_help = "Example:\n  gridproof partner pause --dir ~/partner")]
    Pause {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take duties again after a pause or a drain.
    #[command(after_help = "Example:\n  gridproof partner resume --dir ~/partner")]
    Resume {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Pause, and wait until no duty is open: then the daemon can be stopped without loss.
    #[command(after_help = pause::DRAIN_HELP)]
    Drain(pause::DrainArgs),
    /// Show the market: what each partner asks, the price level of each class, and how many jobs wait.
    #[command(after_help = "Example:\n  gridproof partner offers --rpc http://127.0.0.1:26601")]
    Offers {
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Show registration, bond, earnings, duties, locks and what this machine lacks.
    #[command(after_help = "Example:\n  gridproof partner status --dir ~/partner")]
    Status {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Move SQUARE from the account into the bond. A running daemon does this by itself up to its `bond` key.
    #[command(after_help = "Example:\n  gridproof partner bond --dir ~/partner --amount 5000")]
    Bond {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// How much SQUARE to add.
        #[arg(long)]
        amount: Amount,
        #[command(flatten)]
        fee: FeeArgs,
    },
    /// Start the way of free bond back to the account; it arrives after the unbonding period.
    #[command(after_help = "Example:
  gridproof partner unbond --dir ~/partner --amount 5000

Lower `bond` in partner.toml and send the daemon SIGHUP first: it fills up what is missing.")]
    Unbond {
        /// The partner's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// How much SQUARE to take out.
        #[arg(long)]
        amount: Amount,
        #[command(flatten)]
        fee: FeeArgs,
    },
    /// Run tasks of a settled job again, and challenge its receipt if one of them gives something else.
    #[command(after_help = "Examples:
  gridproof partner challenge --dir ~/partner --dry-run 5b1c...
  gridproof partner challenge --dir ~/partner --task 3 5b1c...

A part of the bond is locked for a challenge. Validators run the task: if the receipt is wrong it is revoked, its primary loses
what it locked, and half of that goes to who found it; if it is right, the challenger loses its lock. Run the command again if it
was interrupted: it goes on where it was.")]
    Challenge(ChallengeArgs),
}

/// What a new partner is made from.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The partner's directory.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The chain's genesis, from a source that you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// RPC address of a validator; give two or more, of different operators.
    #[arg(long = "endpoint", value_name = "URL", required = true)]
    endpoints: Vec<String>,
    /// A name for people.
    #[arg(long, default_value = "partner")]
    name: String,
    /// The bond to keep, in SQUARE.
    #[arg(long)]
    bond: Option<Amount>,
    /// Minimum price per million units of fuel, in SQUARE.
    #[arg(long)]
    ask: Option<Amount>,
    /// Jobs to run as primary at the same time.
    #[arg(long)]
    places: Option<u16>,
    /// An attribute that jobs may ask for, such as location=basel; may be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
}

/// A pair of `--attribute`.
pub fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, such as location=basel")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs a partner command.
pub async fn run(command: PartnerCommand, logs: &Logs, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        PartnerCommand::Init(args) => init(args, ui),
        PartnerCommand::Start {
            dir,
            endpoints,
            bond,
            allow_missing_seccomp,
            set,
        } => {
            let endpoints = (!endpoints.is_empty())
                .then(|| Override::list("--endpoint", "endpoints", endpoints));
            let bond = bond.map(|bond| Override::text("--bond", "bond", bond.to_string()));
            let uncaged = allow_missing_seccomp.then(|| {
                Override::text(
                    "--allow-missing-seccomp",
                    "allow_missing_seccomp",
                    "true".to_owned(),
                )
            });
            let flags = endpoints.into_iter().chain(bond).chain(uncaged);
            start(&dir, set.overrides().chain(flags).collect(), logs, ui).await
        }
        PartnerCommand::Pause { dir } => pause::pause(&dir, true, ui).await,
        PartnerCommand::Resume { dir } => pause::pause(&dir, false, ui).await,
        PartnerCommand::Drain(what) => pause::drain(&what, ui).await,
        PartnerCommand::Status { dir } => status::status(&dir, ui).await,
        PartnerCommand::Offers { rpc } => offers::offers(rpc, ui).await,
        PartnerCommand::Challenge(args) => challenge::challenge(&args, ui).await,
        PartnerCommand::Bond { dir, amount, fee } => {
            change_bond(&dir, Action::Bond { amount }, fee, ui).await
        }
        PartnerCommand::Unbond { dir, amount, fee } => {
            change_bond(&dir, Action::Unbond { amount }, fee, ui).await
        }
    }
}

async fn start(
    dir: &Path,
    overrides: Vec<Override>,
    logs: &Logs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let file = dir.join(CONFIG_FILE);
    let config: Config = config::load(&file, overrides.clone())?;
    config.check().map_err(|error| stopped(&error.into()))?;
    logs.follow(&config.log)?;
    // Whatever the daemon finds later is not the genesis' fault.
    light_of(&dir.join(&config.genesis))?;
    let (sender, reloads) = mpsc::channel(1);
    let passphrases = Arc::new(passphrases(dir, &config, ui));
    // Asked for now, not by two at once.
    if keyfile::look(&dir.join(&config.account_key))?.encrypted {
        let opened = passphrases.opening(&dir.join(&config.account_key));
        opened?;
    }
    let controls = DaemonControls {
        shutdown: crate::asked_to_stop(),
        reloads,
        heartbeat: Heartbeat::default(),
        passphrases: Arc::clone(&passphrases),
    };
    service::watch(&controls.heartbeat);
    let reloading = at_each_hangup(file, overrides, async |config: Config| {
        logs.follow_again(&config.log);
        sender.send(config).await.is_ok()
    });
    let beside = async {
        let audits = Box::pin(audit::audit(dir.to_owned(), config.clone(), passphrases));
        tokio::join!(audits, reloading);
    };
    let run = Box::pin(partner::run(dir, config.clone(), controls));
    let ended = with_beside(run, beside).await;
    ended.map_err(|error| stopped(&error))
}

fn init(args: InitArgs, ui: Ui) -> Result<(), CommandFailure> {
    let genesis = std::fs::read(&args.genesis).map_err(|error| {
        let message = format!(
            "cannot read the genesis {}: {error}",
            args.genesis.display()
        );
        CommandFailure::new(ExitKind::BadInput, "genesis", message)
            .hint("give the chain's genesis.bin with --genesis")
    })?;
    let mut config = Config::new(args.endpoints);
    config.bond = args.bond.unwrap_or(config.bond);
    config.offer.name = args.name;
    config.offer.ask = args.ask.unwrap_or(config.offer.ask);
    config.offer.places = args.places.unwrap_or(config.offer.places);
    config.offer.attributes = args.attributes.into_iter().collect::<BTreeMap<_, _>>();
    let address = partner::init(&args.dir, &config, &genesis, &ui.passphrases())
        .map_err(|error| stopped(&error))?;
    let text = format!(
        "partner {address} in {}\nsend it {} SQUARE or more for bond and fees, then: gridproof partner start --dir {}",
        args.dir.display(),
        config
            .bond
            .checked_add(config.reserve)
            .unwrap_or(config.bond),
        args.dir.display()
    );
    ui.result(&json!({ "address": address, "dir": args.dir }), &text);
    Ok(())
}

/// Why a partner cannot be made, cannot start, or stopped.
fn stopped(error: &PartnerError) -> CommandFailure {
    let (kind, code) = match error {
        PartnerError::Key(error) => return CommandFailure::of_key_file(error),
        PartnerError::Config(PartnerConfigError::Endpoint(_)) => (ExitKind::BadInput, "endpoints"),
        PartnerError::Config(_) => (ExitKind::BadInput, "config"),
        PartnerError::Folder(_) => (ExitKind::Key, "folder"),
        PartnerError::Worker(_) | PartnerError::NoSeccomp(_) => (ExitKind::Other, "cage"),
        PartnerError::Genesis { .. } => (ExitKind::BadInput, "genesis"),
        PartnerError::Configured { .. } => (ExitKind::BadInput, "partner_init"),
        PartnerError::Journal(_) | PartnerError::Blobs(_) | PartnerError::Io { .. } => {
            (ExitKind::Storage, "storage")
        }
        PartnerError::Signer(_) => (ExitKind::SecondSigner, "second_signer"),
        PartnerError::OwnPath { .. } | PartnerError::Hide { .. } | PartnerError::Blocking(_) => {
            (ExitKind::Other, "partner")
        }
    };
    CommandFailure::new(kind, code, error.to_string()).hint(error.hint())
}

/// How the passphrase of a partner's keys is found: from what the command was given, else from its configuration.
fn passphrases(dir: &Path, config: &Config, ui: Ui) -> Passphrases {
    let configured = config.passphrase_file.as_ref();
    ui.passphrases()
        .or(configured.map(|source| source.below(dir)))
}

/// The configuration of a partner's directory, which nobody else may look into.
fn configuration(dir: &Path) -> Result<Config, CommandFailure> {
    let config: Config = config::load(&dir.join(CONFIG_FILE), [])?;
    partner::check_folders(dir, &config).map_err(|error| stopped(&error.into()))?;
    Ok(config)
}

/// The configuration and the account's key of a partner's directory.
fn open(dir: &Path, ui: Ui) -> Result<(Config, SecretKey), CommandFailure> {
    let config = configuration(dir)?;
    let passphrases = passphrases(dir, &config, ui);
    let key = keyfile::read_secret(
        &dir.join(&config.account_key),
        KeyKind::Account,
        &passphrases,
    )?;
    Ok((config, key))
}

/// The configuration of a partner's directory and its account; needs no passphrase.
fn look(dir: &Path) -> Result<(Config, Address), CommandFailure> {
    let config = configuration(dir)?;
    let key = keyfile::read_public(&dir.join(&config.account_key), KeyKind::Account)?;
    Ok((config, key.address()))
}

/// The configured endpoints, the first that answers.
fn connect(config: &Config, ui: Ui) -> Result<Client, CommandFailure> {
    submit::client_of(&config.endpoints, ui)
}

async fn change_bond(
    dir: &Path,
    action: Action,
    fee: FeeArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let (config, key) = open(dir, ui)?;
    let client = connect(&config, ui)?;
    let chain = light_of(&dir.join(&config.genesis))?.chain();
    let refills = matches!(&action, Action::Unbond { .. });
    let progress = ui.spinner("waiting until it is final");
    let terms = fee.terms(Some(chain));
    let sent = submit::send(&client, &key, action, terms, TIMEOUT).await;
    progress.finish();
    let sent = sent?;
    let view = client
        .partner(key.public().address())
        .await
        .map_err(failure)?;
    let mut text = format!(
        "final in block {}; the bond is {} SQUARE, {} of it free",
        sent.height, view.bond, view.free
    );
    for unbonding in &view.unbonding {
        let ms = unbonding.deadline.0.saturating_sub(view.chain_time.0);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nunbonding  {} SQUARE, paid about {}, at chain time {} ms",
            unbonding.amount,
            date::minute(now_ms().saturating_add(ms)),
            unbonding.deadline
        );
    }
    if refills && view.bond < config.bond {
        let _ = write!(
            text,
            "\nnote: `bond` in {} is {}: a running daemon fills the bond up again unless you lower it",
            dir.join(CONFIG_FILE).display(),
            config.bond
        );
    }
    ui.result(
        &json!({ "id": sent.id, "height": sent.height, "partner": view }),
        &text,
    );
    Ok(())
}
