//! A process of a test network: a validator or a partner as the shipped binary runs it, or a partner that misbehaves.
//!
//! ```text
//! testnet-peer node start --dir DIR
//! testnet-peer partner start --dir DIR
//! testnet-peer worker                    (a partner starts it for its tasks)
//! ```
//!
//! The variable `TESTNET_FAULT` says what a partner does wrong ([`PartnerFault`]). The partner itself is the library that
//! ships; the fault sits around it, in the worker that runs its tasks or in front of the RPC endpoints that it uses.

mod proxy;
mod states;
mod worker;

use std::future::pending;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use proxy::Withheld;
use states::WrongStates;
use worker::Flipped;

/// What a partner does wrong.
#[derive(Debug, Clone)]
enum PartnerFault {
    /// It flips a byte of an output of its tasks and hashes the result as if it were right.
    FlipByte,
    /// It flips a byte of what one task of a chain leaves for the next, and hands it on as if it were right.
    FlipState,
    /// It hands on another list of a chain's states than its tasks left.
    HandsOn(WrongStates),
    /// It never sends what its proxy withholds.
    Withholds(Withheld),
}

impl PartnerFault {
    fn from_environment() -> Result<Option<Self>> {
        Ok(Some(match std::env::var("TESTNET_FAULT").as_deref() {
            Err(_) => return Ok(None),
            Ok("flip-byte") => Self::FlipByte,
            Ok("flip-state") => Self::FlipState,
            Ok("broken-link") => Self::HandsOn(WrongStates::BrokenLink),
            Ok("wrong-list") => Self::HandsOn(WrongStates::TooShort),
            Ok("silent-verifier") => Self::Withholds(Withheld::VerifierCommitments),
            Ok("withhold-opening") => Self::Withholds(Withheld::Openings),
            Ok("silent-primary") => Self::Withholds(Withheld::PrimaryCommitments),
            Ok("unopened-verifier") => Self::Withholds(Withheld::VerifierOpenings),
            Ok("deaf-primary") => Self::Withholds(Withheld::Acknowledgements),
            Ok("hidden-verifier") => Self::Withholds(Withheld::Announcements),
            Ok(other) => bail!(
                "unknown fault {other:?}: expected flip-byte, flip-state, broken-link, wrong-list, silent-verifier, \
                 withhold-opening, silent-primary, unopened-verifier, deaf-primary or hidden-verifier"
            ),
        }))
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["worker"] => match worker::flipped() {
            Some(what) => worker::flip(what),
            None => Ok(executor::worker::main()),
        },
        ["node", "start", "--dir", dir] => start(node(Path::new(dir))),
        ["partner", "start", "--dir", dir] => start(partner(Path::new(dir))),
        _ => bail!("usage: testnet-peer node|partner start --dir DIR"),
    }
}

/// Runs a daemon until it fails or is killed.
fn start(daemon: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(daemon)?;
    Ok(ExitCode::SUCCESS)
}

async fn node(dir: &Path) -> Result<()> {
    let file = node::config::Layout::new(dir).config();
    let config = read_toml(&file)?;
    let passphrases = keys::passphrase::Passphrases::none();
    let heartbeat = node::Heartbeat::default();
    Ok(node::run(dir, config, passphrases, heartbeat, pending()).await?)
}

async fn partner(dir: &Path) -> Result<()> {
    let mut config: partner::config::Config = read_toml(&dir.join(partner::config::CONFIG_FILE))?;
    match PartnerFault::from_environment()? {
        None => {}
        Some(PartnerFault::FlipByte) => {
            config.worker = Some(worker::flipping(dir, Flipped::Stdout)?);
        }
        Some(PartnerFault::FlipState) => {
            config.worker = Some(worker::flipping(dir, Flipped::State)?);
        }
        Some(PartnerFault::HandsOn(what)) => return states::run(dir, config, what).await,
        Some(PartnerFault::Withholds(withheld)) => {
            for endpoint in &mut config.endpoints {
                *endpoint = proxy::start(endpoint, withheld.clone())?;
            }
        }
    }
    Ok(partner::run(dir, config, partner::DaemonControls::until(pending())).await?)
}

fn read_toml<C: serde::de::DeserializeOwned>(file: &Path) -> Result<C> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
}
