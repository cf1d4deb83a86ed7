//! `gridproof avalanche doctor`: what commonly goes wrong with a plugin. It changes nothing.

mod files;
mod node;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::node_api::NodeApi;
use super::{HostArgs, NameArgs, host};
use crate::check::{Check, conclude};
use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    name: NameArgs,
    /// URL of the running node; without it only files are looked at.
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// The chain's id, as its creation said.
    #[arg(long, value_name = "ID", requires = "node")]
    chain: Option<String>,
    /// The node's flag --chain-config-dir, if the chain has a configuration.
    #[arg(long, value_name = "DIR", requires = "chain")]
    chain_config_dir: Option<PathBuf>,
}

/// Makes every check, in the order in which one rests on another.
pub async fn run(arguments: DoctorArgs, ui: Ui) -> Result<(), CommandFailure> {
    let vm = arguments.name.name;
    let plugin_dir = &arguments.host.plugin_dir;
    let version = host::spoken_version(&arguments.host.avalanchego);
    let mut checks = vec![match &version {
        Ok(version) => Check::fine(
            "avalanchego",
            format!(
                "{}, plugin protocol {}",
                version.application, version.rpcchainvm
            ),
        ),
        Err(error) => Check::wrong("avalanchego", error.to_string(), error.hint()),
    }];
    let protocol = version.ok().map(|version| version.rpcchainvm);
    checks.extend(files::plugin_dir(plugin_dir, vm));
    checks.push(files::pin(plugin_dir, vm, protocol));
    checks.push(files::open_files());
    if let (Some(folder), Some(chain)) = (&arguments.chain_config_dir, &arguments.chain) {
        checks.push(files::chain_config(folder, chain));
    }
    if let Some(url) = &arguments.node {
        let api = NodeApi::new(url).map_err(|error| {
            CommandFailure::new(ExitKind::Usage, "bad_url", error.to_string())
                .hint("give a URL such as http://127.0.0.1:9650")
        })?;
        checks.extend(node::checks(&api, vm, protocol, arguments.chain.as_deref()).await);
    }
    conclude(&checks, json!({}), ui)
}
