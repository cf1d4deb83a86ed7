//! What several `job` commands are told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use keys::keyfile::KeyKind;
use keys::source::KeySource;
use rpc::RequestSigner;
use types::hash::ChainId;
use types::key::SecretKey;
use types::number::Amount;

use super::name::JobName;
use crate::failure::CommandFailure;
use crate::submit::FeeArgs;
use crate::ui::Ui;

/// What is submitted, and who pays.
#[derive(Debug, Clone, Args)]
pub struct SubmitArgs {
    /// The job spec, YAML.
    pub spec: PathBuf,
    /// The account that pays: a key file, env:NAME for a variable that holds the text of one, or fd:NUMBER.
    #[arg(long, value_name = "KEY", required_unless_present = "resume")]
    pub key: Option<KeySource>,
    /// The most that may be locked for the job, in SQUARE, and so the most that it can cost: one that would lock more is
    /// not submitted.
    #[arg(long, value_name = "SQUARE")]
    pub max_cost: Option<Amount>,
    #[command(flatten)]
    pub fee: FeeArgs,
    /// Goes on with a job that was submitted from this spec: uploads what is missing of its inputs, pays nothing more.
    #[arg(long, value_name = "JOB", conflicts_with = "key")]
    pub resume: Option<JobName>,
    /// Pays for another job although one that was submitted from the same spec with the same key is still live.
    #[arg(long)]
    pub again: bool,
}

impl SubmitArgs {
    /// The key of whoever pays, read once: a descriptor gives it no second time.
    pub fn secret(&self, ui: Ui) -> Result<Option<SecretKey>, CommandFailure> {
        let key = self.key.as_ref();
        Ok(key
            .map(|key| key.read_secret(KeyKind::Account, &ui.passphrases()))
            .transpose()?)
    }
}

/// The client of whoever pays: a node answers the customer of a live job also while it turns strangers away. Which
/// chain it is must be known, since the key signs nothing for another.
pub fn signed(client: rpc::Client, key: Option<&SecretKey>, chain: Option<ChainId>) -> rpc::Client {
    match (key, chain) {
        (Some(key), Some(chain)) => client.signed_by(RequestSigner::new(key.clone(), chain)),
        _ => client,
    }
}

/// Where results go, and which of them are a success.
#[derive(Debug, Clone, Args)]
pub struct OutArgs {
    /// Where the results go.
    #[arg(long = "out", value_name = "DIR")]
    pub folder: PathBuf,
    /// Take a settled job as a success also if tasks of it failed (exit code 0 instead of 15).
    #[arg(long)]
    pub allow_failed: bool,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, Args)]
pub struct TimeoutArgs {
    /// Give up waiting after this many seconds; the job itself goes on (exit code 8).
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 3_600)]
    seconds: u64,
}

impl TimeoutArgs {
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
