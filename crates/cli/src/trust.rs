//! What a customer trusts: a genesis of its own, or for want of one the server's.

use std::path::{Path, PathBuf};

use clap::Args;
use light::Light;
use rpc::Client;

use crate::failure::{ExitKind, Failure};
use crate::submit::failure;
use crate::ui::Ui;

/// What results are verified against.
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    /// The chain's genesis, from a source that you trust; without it the server's is taken, and with it its word.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

impl TrustArgs {
    /// The light client of the given genesis, or of the server's.
    pub async fn light(&self, client: &Client, ui: Ui) -> Result<Light, Failure> {
        if let Some(path) = &self.genesis {
            return light_of(path);
        }
        ui.line("no --genesis given: results are verified against the genesis that this server gives");
        let bytes = client.genesis().await.map_err(failure)?;
        Light::from_bytes(&bytes).map_err(|error| {
            Failure::new(ExitKind::NotVerified, "genesis", format!("{} gives no valid genesis: {error}", client.url()))
                .hint("ask another server, or give the genesis with --genesis")
        })
    }
}

/// The light client of a genesis file.
pub fn light_of(path: &Path) -> Result<Light, Failure> {
    let bad = |why: String| Failure::new(ExitKind::BadInput, "genesis", format!("genesis {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| {
        bad(error.to_string()).hint("a devnet writes it to <its folder>/genesis.bin; a node has it in its folder")
    })?;
    Light::from_bytes(&bytes)
        .map_err(|error| bad(error.to_string()).hint("give the chain's genesis.bin, not its TOML form"))
}
