//! What a customer trusts: a genesis of its own, or for want of one the endpoint's.

#[cfg(test)]
pub mod newer;

use std::path::{Path, PathBuf};

use clap::Args;
use light::{FinalityError, JobProofError, Light, ValueError};
use rpc::Client;
use types::hash::ChainId;
use types::params::UnknownProtocolVersion;

use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::ui::Ui;

/// Which chain it is about, and what results are verified against.
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    /// The chain's genesis, from a source that you trust: nothing is signed for another chain, and results are verified
    /// against it. Without it the endpoint's word is taken.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

/// What results are verified against, and whose word that is.
#[derive(Debug)]
pub struct Trust {
    /// The chain and its committee.
    pub light: Light,
    /// True if the genesis was given, false if it is the endpoint's.
    given: bool,
}

impl Trust {
    /// Trusts a genesis file.
    pub fn of_file(path: &Path) -> Result<Self, CommandFailure> {
        light_of(path).map(|light| Self { light, given: true })
    }

    /// Whose genesis it is, as `--json` shows it.
    pub fn source(&self) -> &'static str {
        source(self.given)
    }
}

fn source(given: bool) -> &'static str {
    if given { "given" } else { "endpoint" }
}

impl TrustArgs {
    /// Whose word says which chain it is, as `--json` shows it.
    pub fn source(&self) -> &'static str {
        source(self.genesis.is_some())
    }

    /// The chain to sign for, if a genesis is given.
    pub fn chain(&self) -> Result<Option<ChainId>, CommandFailure> {
        self.genesis
            .as_deref()
            .map(|path| light_of(path).map(|light| light.chain()))
            .transpose()
    }

    /// The given genesis, or the endpoint's.
    pub async fn resolve(&self, client: &Client, ui: Ui) -> Result<Trust, CommandFailure> {
        if let Some(path) = &self.genesis {
            return Trust::of_file(path);
        }
        ui.line(
            "no --genesis given: results are verified against the genesis that this endpoint gives",
        );
        let bytes = client.genesis().await.map_err(failure)?;
        let light = Light::from_bytes(&bytes).map_err(|error| {
            CommandFailure::new(
                ExitKind::NotVerified,
                "genesis",
                format!("{} gives no valid genesis: {error}", client.url()),
            )
            .hint("ask another endpoint, or give the genesis with --genesis")
        })?;
        Ok(Trust {
            light,
            given: false,
        })
    }
}

/// What to say of a receipt that is not proven: `refused`, unless only a newer program can judge it.
pub fn not_proven(
    error: &JobProofError,
    refused: impl FnOnce(&str) -> CommandFailure,
) -> CommandFailure {
    match error {
        JobProofError::Proof(error) => value_not_proven(error, refused),
        error => refused(&error.to_string()),
    }
}

/// The same of a value of the state.
pub fn value_not_proven(
    error: &ValueError,
    refused: impl FnOnce(&str) -> CommandFailure,
) -> CommandFailure {
    match error {
        ValueError::Finality(FinalityError::Version(unknown)) => too_old(unknown),
        error => refused(&error.to_string()),
    }
}

/// A quorum follows a version that this program lacks: that says nothing against what is to be verified.
pub fn too_old(unknown: &UnknownProtocolVersion) -> CommandFailure {
    let (kind, code) = (ExitKind::UnknownVersion, "unknown_protocol_version");
    CommandFailure::new(kind, code, format!("not verified: {unknown}"))
        .hint("do the same with a newer gridproof; nothing is said against the result")
}

/// The light client of a genesis file.
pub fn light_of(path: &Path) -> Result<Light, CommandFailure> {
    let bad = |why: String| {
        CommandFailure::new(
            ExitKind::BadInput,
            "genesis",
            format!("genesis {}: {why}", path.display()),
        )
    };
    let bytes = std::fs::read(path).map_err(|error| {
        bad(error.to_string())
            .hint("a devnet writes it to <its folder>/genesis.bin; a node has it in its folder")
    })?;
    Light::from_bytes(&bytes).map_err(|error| {
        bad(error.to_string()).hint("give the chain's genesis.bin, not its TOML form")
    })
}
