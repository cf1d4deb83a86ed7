//! `gridproof doctor`: what commonly goes wrong with a validator's or a partner's directory and its machine. It changes nothing.

mod machine;
mod partner;
mod validator;

use std::path::{Path, PathBuf};

use ::node::config::Layout;
use ::partner::config::CONFIG_FILE;
use clap::Args;
use serde_json::json;

use crate::check::conclude;
use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// What to look at.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gridproof doctor --dir ~/validator
  gridproof doctor --dir ~/validator --database     # while it is stopped: reads all of the database
  gridproof doctor --dir ~/partner --json

Each finding says what to do. The exit code is 0 if nothing is wrong, 3 if something is.")]
pub struct CheckupArgs {
    /// The directory of a validator or a partner.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Read a stopped validator's database back under its checksums; takes as long as it is large.
    #[arg(long)]
    database: bool,
}

/// Makes every check.
pub async fn run(arguments: CheckupArgs, ui: Ui) -> Result<(), CommandFailure> {
    let dir = &arguments.dir;
    let mut checks = vec![machine::version()];
    checks.push(machine::open_files());
    let kind = if Layout::new(dir).config().exists() {
        checks.extend(validator::checks(dir, arguments.database).await);
        "validator"
    } else if dir.join(CONFIG_FILE).exists() {
        checks.extend(partner::checks(dir).await);
        "partner"
    } else {
        return Err(no_directory(dir));
    };
    checks.extend(machine::cage());
    conclude(&checks, json!({ "dir": dir, "kind": kind }), ui)
}

fn no_directory(dir: &Path) -> CommandFailure {
    if let Some(failure) = crate::settings::only_keys(dir) {
        return failure;
    }
    let message = format!(
        "{} holds neither node.toml nor {CONFIG_FILE}: no validator, no partner",
        dir.display()
    );
    CommandFailure::new(ExitKind::Usage, "no_directory", message)
        .hint("give the folder that `node init` or `partner init` made; of a subnet's plugin: gridproof avalanche doctor")
}
