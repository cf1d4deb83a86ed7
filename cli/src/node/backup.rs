//! `gridproof node backup` and `gridproof node restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use node::backup::{self, BackupError, BackupManifest};
use serde_json::{Value, json};
use types::words::counted;

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// Where a backup is written to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The validator's directory; it may run.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The archive to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Where a backup is read from.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The archive that `gridproof node backup` wrote.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the backup of a validator, and says who must not have it.
pub fn backup(arguments: &BackupArgs, ui: Ui) -> Result<(), CommandFailure> {
    let BackupArgs { dir, to } = arguments;
    let manifest = backup::backup(dir, to).map_err(|error| failure(&error))?;
    let secret = if manifest.files.contains_key("keys/validator.key") {
        "Who has it votes in this validator's name: keep it off the machine, encrypted."
    } else {
        "The validator's key is with its signer: keep a copy of that key apart, and none of what it signed."
    };
    let text = format!(
        "{} holds {} of keys, configuration, genesis and evidence, and no vote log.\n{secret}",
        to.display(),
        counted(manifest.files.len(), "file")
    );
    ui.result(&object(&manifest, "backup", to), &text);
    Ok(())
}

/// Makes a directory from a backup.
pub fn restore(arguments: &RestoreArgs, ui: Ui) -> Result<(), CommandFailure> {
    let RestoreArgs { from, dir } = arguments;
    let manifest = backup::restore(from, dir).map_err(|error| failure(&error))?;
    let text = format!(
        "restored into {}, with a new vote log.\n\
         Once started it asks the other validators what they have seen, and votes above that; it needs the answers of two thirds \
         of the stake, its own not counted.\n\
         Never start it while the validator that was backed up may still run: gridproof node start --dir {}",
        dir.display(),
        dir.display()
    );
    ui.result(&object(&manifest, "dir", dir), &text);
    Ok(())
}

fn object(manifest: &BackupManifest, key: &str, path: &Path) -> Value {
    let files: Vec<_> = manifest.files.keys().collect();
    json!({ key: path, "chain": manifest.chain, "files": files })
}

fn failure(error: &BackupError) -> CommandFailure {
    let (kind, hint) = match error {
        BackupError::Init(error) => return super::init_failure(error),
        BackupError::Io { .. } => (
            ExitKind::Storage,
            "check the path, its permissions and the free space",
        ),
        BackupError::NoValidator(_) => (
            ExitKind::Usage,
            "give the folder that `node init` made with --dir",
        ),
        BackupError::Exists(_) => (ExitKind::Storage, "choose another path"),
        BackupError::Refused { .. } => (
            ExitKind::BadInput,
            "give the archive that `gridproof node backup` wrote, as it was written",
        ),
        BackupError::Genesis(_) => (ExitKind::BadInput, "the genesis is not this program's"),
    };
    CommandFailure::new(kind, "backup", error.to_string()).hint(hint)
}
