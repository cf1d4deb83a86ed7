//! The `gridproof` binary: validator, grid partner, customer's client and local devnet.

mod avalanche;
mod check;
mod codes;
mod config;
mod date;
mod devnet;
mod doctor;
mod failure;
mod genesis;
mod job;
mod key_files;
mod log_file;
mod logging;
mod node;
mod partner;
mod plugin;
mod reload;
mod service;
mod settings;
mod shell_help;
mod signer;
mod status;
mod submit;
mod trust;
mod ui;
mod wallet;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use keys::passphrase::PassphraseSource;

use crate::failure::{CommandFailure, EXIT_CODES};
use crate::logging::{LogArgs, Logs};
use crate::ui::Ui;

/// A Proof-of-Compute blockchain node: customers buy verified compute, partners sell it, validators order and check.
#[derive(Debug, Parser)]
#[command(name = "gridproof", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object on standard output, and errors as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
    /// The file whose first line is the passphrase of encrypted key files, or fd:NUMBER; without it the terminal is asked.
    #[arg(
        long,
        global = true,
        value_name = "SOURCE",
        env = "GRIDPROOF_PASSPHRASE_FILE"
    )]
    passphrase_file: Option<PassphraseSource>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a validator.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Hold a validator's key in a process of its own, which never signs what contradicts itself.
    #[command(after_help = "Examples:
  gridproof signer --key validator.key --init                                  # once
  gridproof signer --key validator.key --listen unix:/run/gridproof/signer.sock

The node's node.toml then says: [keys] signer = \"unix:/run/gridproof/signer.sock\", and its keys hold no validator.key.")]
    Signer(signer::SignerArgs),
    /// Run a grid partner's agent.
    #[command(subcommand)]
    Partner(partner::PartnerCommand),
    /// Submit jobs and check their results.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Hold and send SQUARE.
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Make, encrypt and replace key files.
    #[command(subcommand)]
    Keys(key_files::KeysCommand),
    /// A network of validators and partners on this machine.
    #[command(subcommand)]
    Devnet(devnet::DevnetCommand),
    /// Show where the servers of a network stand, and what it does.
    Status(status::StatusArgs),
    /// Look for what commonly goes wrong with a validator's or a partner's directory and machine.
    Doctor(doctor::CheckupArgs),
    /// Look at configurations: every key, its value and where that comes from.
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Compose a genesis of several owners.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Run gridproof as a VM of AvalancheGo.
    #[command(subcommand)]
    Avalanche(avalanche::AvalancheCommand),
    /// Print the script by which a shell completes commands and arguments.
    Completions(shell_help::CompletionArgs),
    /// Write manual pages, one for each command.
    Man(shell_help::ManArgs),
    /// The cage that runs a job's tasks; started by a partner, speaks frames on standard input and output.
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    if let Some(engine) = plugin::engine() {
        return plugin::main(&engine);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    if matches!(cli.command, Command::Worker) {
        return executor::worker::main();
    }
    let ui = Ui::new(cli.json).with_passphrase(cli.passphrase_file.clone());
    let logs = match Logs::start(&cli.log, is_daemon(&cli.command)) {
        Ok(logs) => logs,
        Err(failure) => {
            ui.failure(&failure);
            return ExitCode::from(failure.kind.code());
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.failure(&CommandFailure::from(error));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(cli.command, &logs, ui));
    runtime.shutdown_timeout(LAST_TASKS);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if logs.in_file {
                tracing::error!("{failure}");
            }
            ui.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}

/// Time that tasks have which still run when a command has ended.
const LAST_TASKS: Duration = Duration::from_millis(500);

// A validator that is asked to stop is gone within five seconds.
const _: () = assert!(::node::ending::BUDGET.as_millis() + LAST_TASKS.as_millis() <= 5_000);

/// True for commands that run until they are stopped.
fn is_daemon(command: &Command) -> bool {
    matches!(
        command,
        Command::Node(node::NodeCommand::Start { .. })
            | Command::Signer(_)
            | Command::Partner(partner::PartnerCommand::Start { .. })
    )
}

/// Shows help or version, or says what is wrong with the arguments: to programs as JSON too.
fn not_understood(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice, not an error.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let failure = usage(error);
    if asks_for_json(std::env::args_os()) {
        Ui::object(&failure.to_json());
    }
    ExitCode::from(failure.kind.code())
}

/// What clap says, as a failure.
fn usage(error: &clap::Error) -> CommandFailure {
    let text = error.render().to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message = message
        .trim_start_matches("error: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let hint = rest
        .lines()
        .map(str::trim)
        .find_map(|line| line.strip_prefix("tip: "));
    CommandFailure::new(failure::ExitKind::Usage, "usage", message)
        .hint(hint.unwrap_or("the command with --help shows its arguments and an example"))
}

/// True if `--json` is among the arguments, which could not be read as a whole.
fn asks_for_json(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> bool {
    arguments
        .into_iter()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

async fn run(command: Command, logs: &Logs, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        Command::Node(command) => node::run(command, logs, ui).await,
        Command::Signer(arguments) => signer::run(arguments, ui).await,
        Command::Partner(command) => Box::pin(partner::run(command, logs, ui)).await,
        Command::Job(command) => Box::pin(job::run(command, ui)).await,
        Command::Wallet(command) => wallet::run(command, ui).await,
        Command::Keys(command) => Box::pin(key_files::run(command, ui)).await,
        Command::Devnet(command) => devnet::run(command, ui).await,
        Command::Status(arguments) => status::run(arguments, ui).await,
        Command::Doctor(arguments) => doctor::run(arguments, ui).await,
        Command::Config(command) => settings::run(command, ui),
        Command::Genesis(command) => genesis::run(command, ui),
        Command::Avalanche(command) => avalanche::run(command, ui).await,
        Command::Completions(arguments) => {
            shell_help::completions(&arguments, ui);
            Ok(())
        }
        Command::Man(arguments) => shell_help::man(&arguments, ui),
        Command::Worker => unreachable_worker(),
    }
}

/// The worker runs before the runtime is built.
fn unreachable_worker() -> Result<(), CommandFailure> {
    Err(CommandFailure::new(
        failure::ExitKind::Usage,
        "worker",
        "the worker is started by a partner, not by hand",
    ))
}

/// Completes when the process is asked to stop (SIGINT or SIGTERM).
async fn asked_to_stop() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
    service::stopping();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn wrong_arguments_are_a_failure_for_programs_too() {
        let error =
            Cli::try_parse_from(["gridproof", "job", "estimat", "x", "--json"]).unwrap_err();
        let failure = usage(&error);
        assert_eq!(failure.kind.code(), 2);
        assert_eq!(failure.message, "unrecognized subcommand 'estimat'");
        assert!(
            failure.hint.as_deref().unwrap().contains("'estimate'"),
            "{failure}"
        );
        let failure = usage(&Cli::try_parse_from(["gridproof", "wallet", "show"]).unwrap_err());
        assert!(
            failure.message.contains("not provided: --key <KEY>"),
            "{failure}"
        );
        let words = |text: &str| text.split(' ').map(Into::into).collect::<Vec<_>>();
        assert!(
            asks_for_json(words("gridproof job --json"))
                && !asks_for_json(words("gridproof -- --json"))
        );
    }

    #[test]
    fn the_readme_names_every_command() {
        let readme = include_str!("../../README.md");
        for command in Cli::command().get_subcommands() {
            if command.is_hide_set() {
                continue;
            }
            let called = format!("`gridproof {}", command.get_name());
            let rows = readme
                .lines()
                .filter(|line| line.starts_with("| `gridproof"));
            let rows: String = rows.filter(|line| line.contains(&called)).collect();
            assert!(!rows.is_empty(), "{called}");
            let words: Vec<_> = rows
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .collect();
            for part in command.get_subcommands() {
                let name = part.get_name();
                assert!(
                    part.is_hide_set() || words.contains(&name),
                    "{called} {name}"
                );
            }
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        Cli::command().debug_assert();
        let mut left: Vec<_> = Cli::command().get_subcommands().cloned().collect();
        while let Some(command) = left.pop() {
            if command.has_subcommands() {
                left.extend(command.get_subcommands().cloned());
            } else if !command.is_hide_set() {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    help.contains("Example"),
                    "{} has no example",
                    command.get_name()
                );
            }
        }
    }
}
