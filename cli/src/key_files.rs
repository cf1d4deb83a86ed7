//! `gridproof keys`: key files of every kind, encrypted under a passphrase.

mod rotate;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use keys::keyfile::{self, KeyFacts, KeyFileError, KeyKind, KeyMaterial};
use keys::passphrase::{PassphraseSource, Passphrases, SHORT_PASSPHRASE_BYTES};
use keys::source::KeySource;
use serde_json::{Value, json};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// Most files that one directory is searched for.
const MAX_LISTED: usize = 1_000;

/// Make, encrypt and replace key files.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a new key, encrypted under a passphrase that is asked for.
    #[command(after_help = "Examples:
  gridproof keys new --kind account --out alice.key
  gridproof keys new --kind validator --out keys/validator.key --passphrase-file passphrase")]
    New {
        /// What the key is for.
        #[arg(long, value_enum)]
        kind: KindArg,
        #[command(flatten)]
        to: NewKeyArgs,
    },
    /// Write the key of another file, variable or descriptor into an encrypted key file.
    #[command(after_help = "Examples:
  gridproof keys import --from alice-plain.key --out alice.key
  gridproof keys import --from env:ALICE --out alice.key    # the variable holds the text of a key file")]
    Import {
        /// The text of a key file in plain text: a path, env:NAME or fd:NUMBER.
        #[arg(long, value_name = "KEY")]
        from: KeySource,
        #[command(flatten)]
        to: NewKeyArgs,
    },
    /// Write an encrypted key into a file in plain text, mode 0600: for a program that reads no other.
    #[command(
        after_help = "Example:\n  gridproof keys export --key alice.key --out alice-plain.key"
    )]
    Export {
        /// The key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the key; never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show key files: what each is for, its public half, and whether it is encrypted. Needs no passphrase.
    #[command(after_help = "Example:\n  gridproof keys list ~/validator alice.key")]
    List {
        /// Key files, or the directories of a validator or a partner.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Encrypt key files in place. A crash leaves each as it was or encrypted; those that are encrypted already stay as they are.
    #[command(after_help = "Examples:
  gridproof keys encrypt ~/validator
  gridproof keys encrypt --again --new-passphrase-file new alice.key    # under another passphrase")]
    Encrypt {
        /// Key files, or the directories of a validator or a partner.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Encrypt what is encrypted already under another passphrase.
        #[arg(long)]
        again: bool,
        /// The file with the other passphrase, or fd:NUMBER; without it the terminal is asked.
        #[arg(long, value_name = "SOURCE", requires = "again")]
        new_passphrase_file: Option<PassphraseSource>,
    },
    /// Replace a key by a new one.
    #[command(subcommand)]
    Rotate(rotate::RotateCommand),
}

/// What a key is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindArg {
    /// Signs an account's transactions.
    Account,
    /// Signs a validator's votes.
    Validator,
    /// A node's identity on the network.
    Node,
    /// Proves beacon outputs or sortitions.
    Vrf,
}

impl From<KindArg> for KeyKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Account => Self::Account,
            KindArg::Validator => Self::Validator,
            KindArg::Node => Self::Node,
            KindArg::Vrf => Self::Vrf,
        }
    }
}

/// Where a key goes.
#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// Where to write the key; never overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write it in plain text: whoever reads the file or a copy of it has the key.
    #[arg(long)]
    plain: bool,
}

impl NewKeyArgs {
    fn write(
        &self,
        key: &KeyMaterial,
        passphrases: &Passphrases,
        ui: Ui,
    ) -> Result<(), CommandFailure> {
        create(&self.out, key, self.plain, passphrases)?;
        warn_of_short(passphrases, ui);
        let facts = keyfile::look(&self.out)?;
        ui.result(&object(&self.out, &facts), &line(&self.out, &facts));
        Ok(())
    }
}

/// Runs a command on key files.
pub async fn run(command: KeysCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        KeysCommand::New { kind, to } => {
            let key = generate(kind.into(), &to.out)?;
            to.write(&key, &ui.passphrases(), ui)
        }
        KeysCommand::Import { from, to } => {
            // The one passphrase of the command is that of the new file.
            let key = from.read_any(&Passphrases::none())?;
            to.write(&key, &ui.passphrases(), ui)
        }
        KeysCommand::Export { key, out } => {
            let key = keyfile::read_any(&key, &ui.passphrases())?;
            key.create(&out, None)?;
            let facts = keyfile::look(&out)?;
            let text = format!(
                "{}\nwhoever reads this file or a copy of it has the key",
                line(&out, &facts)
            );
            ui.result(&object(&out, &facts), &text);
            Ok(())
        }
        KeysCommand::List { paths } => list(&paths, ui),
        KeysCommand::Encrypt {
            paths,
            again,
            new_passphrase_file,
        } => {
            let old = ui.passphrases();
            let new = if again {
                let ui = ui.with_passphrase(new_passphrase_file);
                Some(ui.passphrases())
            } else {
                None
            };
            encrypt(&paths, &old, new.as_ref(), ui)
        }
        KeysCommand::Rotate(command) => rotate::run(command, ui).await,
    }
}

fn generate(kind: KeyKind, path: &Path) -> Result<KeyMaterial, CommandFailure> {
    KeyMaterial::generate(kind).map_err(|source| {
        let path = path.to_owned();
        KeyFileError::Key { path, source }.into()
    })
}

/// Writes a key file that is not there yet. Nobody is asked for a passphrase where it cannot be.
fn create(
    path: &Path,
    key: &KeyMaterial,
    plain: bool,
    passphrases: &Passphrases,
) -> Result<(), CommandFailure> {
    let passphrase = if plain || path.exists() {
        None
    } else {
        Some(passphrases.choosing()?)
    };
    Ok(key.create(path, passphrase)?)
}

/// The key files that a path names: itself, or what a directory and its `keys` hold.
fn files(path: &Path) -> Result<Vec<PathBuf>, CommandFailure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for folder in [path.to_owned(), path.join("keys")] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        found.extend(
            paths
                .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
                .take(MAX_LISTED),
        );
    }
    found.sort();
    if found.is_empty() {
        let message = format!("{} holds no key file", path.display());
        return Err(
            CommandFailure::new(ExitKind::BadInput, "no_key_files", message)
                .hint("give a key file, or a directory with files that end in .key"),
        );
    }
    Ok(found)
}

fn all_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandFailure> {
    let lists: Result<Vec<_>, _> = paths.iter().map(|path| files(path)).collect();
    Ok(lists?.concat())
}

fn object(path: &Path, facts: &KeyFacts) -> Value {
    let mut object = json!(facts);
    object["key"] = json!(path);
    object
}

fn line(path: &Path, facts: &KeyFacts) -> String {
    let lock = if facts.encrypted {
        "encrypted"
    } else {
        "PLAIN"
    };
    let address = facts
        .address
        .map(|address| format!("  address {address}"))
        .unwrap_or_default();
    format!(
        "{:<9} {lock:<9} {}  {}{address}",
        facts.kind.name(),
        facts.public,
        path.display()
    )
}

fn list(paths: &[PathBuf], ui: Ui) -> Result<(), CommandFailure> {
    let (mut objects, mut lines) = (Vec::new(), Vec::new());
    for path in all_files(paths)? {
        let facts = keyfile::look(&path)?;
        objects.push(object(&path, &facts));
        lines.push(line(&path, &facts));
    }
    ui.result(&json!({ "keys": objects }), &lines.join("\n"));
    Ok(())
}

/// Says that a passphrase protects little.
fn warn_of_short(passphrases: &Passphrases, ui: Ui) {
    if passphrases.is_short() {
        ui.line(&format!(
            "warning: a passphrase of less than {SHORT_PASSPHRASE_BYTES} bytes can be guessed by who has the file;              gridproof keys encrypt --again gives another"
        ));
    }
}

/// Encrypts what is plain under the passphrase; with `new` also what is encrypted under it, under the new one.
fn encrypt(
    paths: &[PathBuf],
    passphrases: &Passphrases,
    new: Option<&Passphrases>,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let (mut objects, mut lines) = (Vec::new(), Vec::new());
    for path in all_files(paths)? {
        let before = keyfile::look(&path)?;
        let target = match new {
            Some(new) if before.encrypted => Some((keyfile::read_any(&path, passphrases)?, new)),
            _ if before.encrypted => None,
            _ => {
                let key = keyfile::read_any(&path, passphrases)?;
                Some((key, new.unwrap_or(passphrases)))
            }
        };
        let changed = target.is_some();
        if let Some((key, passphrases)) = target {
            key.replace(&path, Some(passphrases.choosing()?))?;
        }
        let facts = keyfile::look(&path)?;
        let mut object = object(&path, &facts);
        object["changed"] = json!(changed);
        objects.push(object);
        lines.push(line(&path, &facts));
    }
    warn_of_short(new.unwrap_or(passphrases), ui);
    lines.push(
        "copies in plain text, such as backups, still hold the keys; the disk may hold the old bytes for a while"
            .to_owned(),
    );
    ui.result(&json!({ "keys": objects }), &lines.join("\n"));
    Ok(())
}
