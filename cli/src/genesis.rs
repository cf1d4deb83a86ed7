//! `gridproof genesis`: one genesis of several owners, none of whom hands a secret to another.
//!
//! Each owner makes an entry on its own machine, signed by the keys in it. Somebody adds the entries to the network's file, which
//! goes back to all of them: whoever checks it gets the same genesis, byte by byte, and sees what the others asked for.

mod entry;
mod file;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use types::codec::{Text, encode};
use types::genesis::{Genesis, GenesisAccount};
use types::hash::Address;
use types::number::{Amount, Timestamp};
use types::params::Params;
use types::words::counted;

use self::file::{EntryFile, NetworkFile};
use crate::failure::{CommandFailure, ExitKind};
use crate::node::read_genesis;
use crate::ui::{Ui, now_ms};

/// Compose a genesis of several owners.
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Begin the file of a network, without entries, with the parameters of a devnet to be edited.
    #[command(after_help = "Examples:
  gridproof genesis new --name grid --out network.toml
  gridproof genesis new --name grid --params params.toml --account 00..ff=1000000 --out network.toml

The file is TOML: edit [params] before entries are made. Without `devnet = true` in it the floors of a real network hold.")]
    New(NewArgs),
    /// Make the entry of one owner, signed by its keys, which never leave its machine.
    #[command(subcommand)]
    Entry(entry::EntryCommand),
    /// Add owners' entries to the file of a network.
    #[command(after_help = "Example:
  gridproof genesis add --network network.toml zurich.toml basel.toml")]
    Add {
        /// The file of the network.
        #[arg(long, value_name = "FILE")]
        network: PathBuf,
        /// Files that owners made with `genesis entry`.
        #[arg(value_name = "ENTRY", required = true)]
        entries: Vec<PathBuf>,
    },
    /// Check every signature in the file of a network, and write the genesis that follows from it.
    #[command(after_help = "Examples:
  gridproof genesis check --network network.toml
  gridproof genesis check --network network.toml --dir ~/validator --out genesis.bin

Every owner gets the same genesis from the same file: compare the chain's id by a way that nobody can forge. With --dir it is checked
that the keys of that directory are in it.")]
    Check {
        /// The file of the network.
        #[arg(long, value_name = "FILE")]
        network: PathBuf,
        /// The directory of a validator or partner that must be in it.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Where the genesis is written; a file that exists is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show a genesis, or what the file of a network makes so far: who orders, who computes, who holds money.
    #[command(after_help = "Examples:
  gridproof genesis show network.toml
  gridproof genesis show genesis.bin")]
    Show {
        /// A file of a network, or a genesis.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What a network begins with.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the network, 1 to 64 bytes.
    #[arg(long)]
    name: String,
    /// Parameters as TOML, in place of a devnet's.
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// An account that holds money from the start; may be given several times.
    #[arg(long = "account", value_name = "ADDRESS=SQUARE", value_parser = account)]
    accounts: Vec<GenesisAccount>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn account(text: &str) -> Result<GenesisAccount, String> {
    let (address, balance) = text
        .split_once('=')
        .ok_or("expected ADDRESS=SQUARE, such as 00..ff=1000")?;
    let address: Address = address.parse().map_err(|error| format!("{error}"))?;
    let balance: Amount = balance.parse().map_err(|error| format!("{error}"))?;
    Ok(GenesisAccount { address, balance })
}

/// Runs a genesis command.
pub fn run(command: GenesisCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        GenesisCommand::New(args) => new(args, ui),
        GenesisCommand::Entry(command) => entry::run(command, ui),
        GenesisCommand::Add { network, entries } => add(&network, &entries, ui),
        GenesisCommand::Check { network, dir, out } => {
            check(&network, dir.as_deref(), out.as_deref(), ui)
        }
        GenesisCommand::Show { file } => {
            let (object, text) = show::shown(&read_any(&file)?);
            ui.result(&object, &text);
            Ok(())
        }
    }
}

/// An input that cannot be used.
fn bad(message: String) -> CommandFailure {
    CommandFailure::new(ExitKind::BadInput, "genesis", message)
}

fn new(args: NewArgs, ui: Ui) -> Result<(), CommandFailure> {
    let name = Text::new(args.name).map_err(|error| bad(format!("--name: {error}")))?;
    let params = match &args.params {
        None => Params::devnet(),
        Some(path) => file::read_toml(path, "parameters")?,
    };
    params.check().map_err(|error| {
        bad(error.to_string()).hint("correct the parameters; docs/spec says what each is for")
    })?;
    let network = NetworkFile {
        name,
        time: Timestamp(now_ms()),
        accounts: args.accounts,
        params,
        entries: Vec::new(),
    };
    network.create(&args.out)?;
    let out = args.out.display();
    let text = format!(
        "{out} is begun; every owner now makes an entry for the network {:?}:\n  gridproof genesis entry validator --help\n\
         then: gridproof genesis add --network {out} ENTRY...",
        network.name.as_str()
    );
    ui.result(&json!({ "network": args.out, "name": network.name }), &text);
    Ok(())
}

fn add(path: &Path, entries: &[PathBuf], ui: Ui) -> Result<(), CommandFailure> {
    let mut network = NetworkFile::read(path)?;
    let mut added = Vec::new();
    for entry in entries {
        let EntryFile(signed) = EntryFile::read(entry)?;
        added.push(signed.entry.owner.to_string());
        network.add(signed).map_err(|error| {
            bad(format!("{}: {error}", entry.display())).hint(
                "nothing was added; ask its owner for an entry made by `genesis entry` for this network",
            )
        })?;
    }
    network.replace(path)?;
    let text = format!(
        "{} added ({}), {} in {}\nonce all are in it: gridproof genesis check --network {} --out genesis.bin",
        counted(added.len(), "entry"),
        added.join(", "),
        counted(network.entries.len(), "entry"),
        path.display(),
        path.display(),
    );
    let object = json!({ "network": path, "added": added, "entries": network.entries.len() });
    ui.result(&object, &text);
    Ok(())
}

fn check(
    path: &Path,
    dir: Option<&Path>,
    out: Option<&Path>,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let network = NetworkFile::read(path)?;
    let genesis = network.genesis()?;
    let own = dir.map(|dir| entry::own(dir, &genesis)).transpose()?;
    if let Some(out) = out {
        file::create(out, &encode(&genesis))?;
    }
    let own_key = dir.map(entry::own_validator_key).transpose()?.flatten();
    let addresses = network.peer_addresses(own_key);
    let mut lines = vec![
        format!(
            "chain      {}\n{}, {}, every signature is right",
            genesis.chain_id(),
            counted(genesis.validators.len(), "validator"),
            counted(genesis.partners.len(), "partner"),
        ),
        "compare the chain's id with the other owners before you start".to_owned(),
    ];
    lines.extend(own.as_ref().map(|(_, words)| format!("own keys   {words}")));
    if let (Some(dir), Some(out)) = (dir, out) {
        lines.push(format!(
            "next       gridproof node init --dir {} --genesis {}{}",
            dir.display(),
            out.display(),
            addresses.arguments()
        ));
    }
    let object = json!({
        "chain_id": genesis.chain_id(), "validators": genesis.validators.len(), "partners": genesis.partners.len(),
        "own": own.map(|(object, _)| object), "bootstrap": addresses.bootstrap,
        "listen": addresses.listen, "external": addresses.external, "genesis": out,
    });
    ui.result(&object, &lines.join("\n"));
    Ok(())
}

/// The genesis of a file: of a network's, or its own bytes.
fn read_any(path: &Path) -> Result<Genesis, CommandFailure> {
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return NetworkFile::read(path)?.genesis();
    }
    read_genesis(path)
}
