//! `gridproof completions` and `gridproof man`: what a shell and `man` know of the commands, made of the commands themselves.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;
use types::words::counted;

use crate::Cli;
use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// Name of the program in scripts and pages.
const PROGRAM: &str = "gridproof";

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gridproof completions bash > ~/.local/share/bash-completion/completions/gridproof
  gridproof completions zsh > ~/.zfunc/_gridproof
  gridproof completions fish > ~/.config/fish/completions/gridproof.fish")]
pub struct CompletionArgs {
    /// The shell that completes.
    #[arg(value_enum)]
    shell: Shell,
}

/// Where pages are written.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  gridproof man --out ~/.local/share/man/man1 && man gridproof-partner-drain")]
pub struct ManArgs {
    /// The folder for the pages, one for each command; it is made, and pages in it are written anew.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the script by which a shell completes commands and arguments.
pub fn completions(arguments: &CompletionArgs, ui: Ui) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script);
    let object = json!({ "shell": arguments.shell.to_string(), "script": script });
    ui.result(&object, script.trim_end());
}

/// Writes the manual pages.
pub fn man(arguments: &ManArgs, ui: Ui) -> Result<(), CommandFailure> {
    let out = &arguments.out;
    let written = std::fs::create_dir_all(out).and_then(|()| {
        clap_mangen::generate_to(Cli::command().name(PROGRAM), out)?;
        Ok(std::fs::read_dir(out)?.count())
    });
    let pages = written.map_err(|error| {
        let message = format!("cannot write manual pages to {}: {error}", out.display());
        CommandFailure::new(ExitKind::Storage, "man", message)
            .hint("give a folder that this user may write")
    })?;
    let text = format!("{} in {}", counted(pages, "page"), out.display());
    ui.result(&json!({ "out": out, "pages": pages }), &text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), PROGRAM, &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in ["partner", "drain", "genesis", "doctor"] {
                assert!(script.contains(command), "{shell}: {command}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("man1");
        man(&ManArgs { out: out.clone() }, Ui::new(true)).unwrap();
        for page in [
            "gridproof.1",
            "gridproof-job-run.1",
            "gridproof-partner-drain.1",
        ] {
            let text = std::fs::read_to_string(out.join(page)).unwrap();
            assert!(text.contains("gridproof"), "{page}");
        }
    }
}
