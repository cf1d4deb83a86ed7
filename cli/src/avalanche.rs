//! `gridproof avalanche`: what an operator of an AvalancheGo node needs so that it runs gridproof as a subnet's VM.
//!
//! Nothing here talks to a running node but `doctor`, which only asks. The plugin itself is another way to start this
//! binary, by AvalancheGo, without arguments.

mod doctor;
mod host;
mod install;
pub mod node_api;
pub mod p_chain;
mod vm_id;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use types::codec::encode;
use types::genesis::Genesis;
use types::number::Timestamp;

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;
use vm_id::VmId;

/// The name from which the VM's id follows unless another is given.
const VM_NAME: &str = "gridproof";

/// Run gridproof as a VM of AvalancheGo.
#[derive(Debug, Subcommand)]
pub enum AvalancheCommand {
    /// Print the VM's id: the name of the plugin's file, and what a chain is created with.
    #[command(after_help = "Examples:
  gridproof avalanche vm-id
  gridproof avalanche vm-id --name gridproof-test --json")]
    VmId(NameArgs),
    /// Make the genesis file of a subnet's chain: a gridproof genesis that begins now.
    #[command(after_help = "Example:
  gridproof avalanche genesis --from genesis.bin --out subnet-genesis.bin

AvalancheGo picks proposers by the time since the parent block, and none for a chain whose genesis lies far back. So make
the file shortly before the chain is created, and give the same file to everybody who needs a genesis of this chain:
partners, and customers who check receipts.")]
    Genesis {
        /// A genesis as bytes (genesis.bin) or as TOML (genesis.toml).
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Where to write it; never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Copy this binary into a plugin directory, under the VM's id and for the protocol of that AvalancheGo.
    #[command(after_help = "Examples:
  gridproof avalanche install --avalanchego /usr/local/bin/avalanchego --plugin-dir ~/.avalanchego/plugins
  gridproof avalanche install --avalanchego ./avalanchego --plugin-dir plugins --name gridproof-test

Run it again after AvalancheGo was updated: node and plugin must speak the same protocol. A node reads its plugin directory
when it starts.")]
    Install {
        #[command(flatten)]
        host: HostArgs,
        #[command(flatten)]
        name: NameArgs,
    },
    /// Check what commonly goes wrong with a plugin, and say what to do.
    #[command(after_help = "Examples:
  gridproof avalanche doctor --avalanchego /usr/local/bin/avalanchego --plugin-dir ~/.avalanchego/plugins
  gridproof avalanche doctor --avalanchego ./avalanchego --plugin-dir plugins --node http://127.0.0.1:9650 --chain 2CA6j5zY..")]
    Doctor(doctor::DoctorArgs),
}

/// The host and its plugin directory.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// AvalancheGo's binary; it is asked for its version.
    #[arg(long, value_name = "PATH", default_value = "avalanchego")]
    avalanchego: PathBuf,
    /// The node's plugin directory (its flag --plugin-dir).
    #[arg(long, value_name = "DIR")]
    plugin_dir: PathBuf,
}

/// Which VM.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// The VM's name, 1 to 32 bytes of ASCII; another one lets two builds stand side by side.
    #[arg(long, value_name = "NAME", default_value = VM_NAME, value_parser = VmId::of_name)]
    name: VmId,
}

/// Runs an Avalanche command.
pub async fn run(command: AvalancheCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        AvalancheCommand::VmId(NameArgs { name: vm }) => {
            ui.result(
                &json!({ "name": vm.name(), "vm_id": vm.to_string() }),
                &vm.to_string(),
            );
            Ok(())
        }
        AvalancheCommand::Genesis { from, out } => genesis(&from, &out, ui),
        AvalancheCommand::Install { host, name } => install::run(&host, name.name, ui),
        AvalancheCommand::Doctor(arguments) => doctor::run(arguments, ui).await,
    }
}

fn genesis(from: &Path, out: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let mut genesis = read(from)?;
    genesis.time = Timestamp(crate::ui::now_ms());
    let bytes = encode(&genesis);
    write_new(out, &bytes)?;
    let text = format!(
        "{}: {} bytes, begins now; create the chain with it within a few minutes",
        out.display(),
        bytes.len()
    );
    ui.result(
        &json!({ "genesis": out, "bytes": bytes.len(), "time_ms": genesis.time.0 }),
        &text,
    );
    Ok(())
}

/// A genesis from its canonical bytes, or from TOML.
fn read(path: &Path) -> Result<Genesis, CommandFailure> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        return crate::node::read_genesis(path);
    }
    let bad = |message: String| {
        CommandFailure::new(
            ExitKind::BadInput,
            "genesis",
            format!("{}: {message}", path.display()),
        )
        .hint("give a genesis.toml or genesis.bin such as `devnet new` writes")
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let genesis: Genesis = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
    genesis.check().map_err(|error| bad(error.to_string()))?;
    Ok(genesis)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CommandFailure> {
    use std::io::Write;
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| {
        CommandFailure::new(
            ExitKind::Storage,
            "genesis",
            format!("cannot write {}: {error}", path.display()),
        )
        .hint("a chain keeps its genesis for good: choose another --out, or move the file away")
    })
}

#[cfg(test)]
mod tests {
    use types::testing::genesis as sample;

    use super::*;

    #[test]
    fn a_genesis_begins_now_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (old, before) = (sample(&[4, 3, 3]), Timestamp(crate::ui::now_ms()));
        std::fs::write(path("genesis.bin"), encode(&old)).unwrap();
        std::fs::write(path("genesis.toml"), toml::to_string_pretty(&old).unwrap()).unwrap();
        for from in ["genesis.bin", "genesis.toml"] {
            let out = path(&format!("{from}.out"));
            genesis(&path(from), &out, Ui::new(true)).unwrap();
            let made = Genesis::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
            assert!(
                made.time >= before && made.time <= Timestamp(crate::ui::now_ms()),
                "{from}: {:?}",
                made.time
            );
            assert_eq!(
                Genesis {
                    time: old.time,
                    ..made
                },
                old,
                "{from}"
            );
            let again = genesis(&path(from), &out, Ui::new(true)).unwrap_err();
            assert_eq!(again.kind, ExitKind::Storage, "{again}");
        }
        std::fs::write(path("bad.toml"), "name = 'x'").unwrap();
        let bad = genesis(&path("bad.toml"), &path("bad.out"), Ui::new(true)).unwrap_err();
        assert!(
            bad.kind == ExitKind::BadInput && bad.message.contains("bad.toml"),
            "{bad}"
        );
        assert!(!path("bad.out").exists());
    }
}
