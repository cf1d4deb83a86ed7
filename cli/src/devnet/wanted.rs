//! What `devnet up` is asked for, beside the devnet that a folder may hold already.

use clap::Args;
use testnet::devnet::Manifest;
use testnet::devnet::plan::DevnetOptions;

use crate::failure::{CommandFailure, ExitKind};

/// The size of a devnet and its ports, as far as they are given.
#[derive(Debug, Args)]
pub struct WantedDevnet {
    /// How many validators: 4 unless given, or as many as the folder's devnet has.
    #[arg(long)]
    validators: Option<u16>,
    /// How many grid partners: 5 unless given, or as many as the folder's devnet has.
    #[arg(long)]
    partners: Option<u16>,
    /// First port: 26600 unless given, or that of the folder's devnet; validator i takes base + 2i for p2p and base + 2i + 1
    /// for RPC, then each process one for its metrics.
    #[arg(long)]
    base_port: Option<u16>,
}

impl WantedDevnet {
    /// What a new devnet is made with.
    pub fn options(&self) -> DevnetOptions {
        DevnetOptions {
            validators: self.validators.unwrap_or(4),
            partners: self.partners.unwrap_or(5),
            base_port: self.base_port.unwrap_or(26_600),
        }
    }

    /// Refuses a devnet that is there if it is another one than was asked for.
    pub fn fits(&self, manifest: &Manifest) -> Result<(), CommandFailure> {
        let has = manifest.options();
        let asked = [
            ("--validators", self.validators, has.validators),
            ("--partners", self.partners, has.partners),
            ("--base-port", self.base_port, has.base_port),
        ];
        let other = asked
            .into_iter()
            .find(|(_, wanted, found)| wanted.is_some_and(|wanted| wanted != *found));
        let Some((option, Some(wanted), found)) = other else {
            return Ok(());
        };
        let message = format!("the devnet of this folder has {option} {found}, not {wanted}");
        let hint =
            "leave the option away to start it as it is, or make another one with a new --dir";
        Err(CommandFailure::new(ExitKind::BadInput, "devnet", message).hint(hint))
    }
}
