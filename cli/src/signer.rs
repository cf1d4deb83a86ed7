//! `gridproof signer`: holds a validator's key in a process of its own.

use std::path::PathBuf;

use clap::Args;
use keys::keyfile::{self, KeyKind};
use keys::signer::client::SignerAddress;
use keys::signer::server::{self, SignerServer, SignerServerError};
use serde_json::json;
use tokio::sync::oneshot;

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// Which key, and where nodes find it.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// The validator's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the key signed, so that it never contradicts it; beside the key file if left out, as FILE.signed.
    #[arg(long, value_name = "FILE")]
    signed: Option<PathBuf>,
    /// Where to listen, as unix:PATH in a folder that others cannot enter.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "init")]
    listen: Option<SignerAddress>,
    /// Make the file of what the key signed, once: with a key that signed elsewhere before, wait until those views are over.
    #[arg(long)]
    init: bool,
}

/// Runs a signer until SIGINT or SIGTERM, or until it cannot keep what it signs.
pub async fn run(args: SignerArgs, ui: Ui) -> Result<(), CommandFailure> {
    let key = keyfile::read_secret(&args.key, KeyKind::Validator, &ui.passphrases())?;
    let signed = args.signed.unwrap_or_else(|| {
        let mut name = args.key.clone().into_os_string();
        name.push(".signed");
        name.into()
    });
    let public = key.public();
    if args.init {
        server::init(&signed, &key).map_err(|error| failure(&error))?;
        let text = format!(
            "{} is ready: the key {public} has signed nothing",
            signed.display()
        );
        ui.result(&json!({ "signed": signed, "key": public }), &text);
        return Ok(());
    }
    let Some(listen) = args.listen else {
        return Ok(());
    };
    let path = listen.path(std::path::Path::new(""));
    let server = SignerServer::open(key, &signed, &path).map_err(|error| failure(&error))?;
    ui.line(&format!("signs with the key {public} at {listen}"));
    let (sender, ended) = oneshot::channel();
    std::thread::spawn(move || sender.send(server.run()));
    tokio::select! {
        error = ended => match error {
            Ok(error) => Err(failure(&error)),
            Err(_) => Err(CommandFailure::new(ExitKind::Other, "signer", "the signer ended")),
        },
        () = crate::asked_to_stop() => {
            // What was signed is on disk; the socket is of no use to anybody.
            let _ = std::fs::remove_file(&path);
            Ok(())
        }
    }
}

fn failure(error: &SignerServerError) -> CommandFailure {
    use keys::signer::SignedPastError;
    let (kind, code, hint) = match error {
        SignerServerError::Past(SignedPastError::Gone(_)) => (
            ExitKind::Storage,
            "signed_gone",
            "a new key: run it once with --init; else bring the file back, or leave the validator off for ten minutes and then run --init",
        ),
        SignerServerError::Past(SignedPastError::Exists(_)) => (
            ExitKind::Storage,
            "signed_exists",
            "start it without --init",
        ),
        SignerServerError::Past(_) => (
            ExitKind::Storage,
            "signed",
            "is the disk full or damaged? Keep the file, leave the validator off for ten minutes, then make a new one with --init",
        ),
        SignerServerError::Lock(_) => (
            ExitKind::SecondSigner,
            "second_signer",
            "a node or another signer of this machine has the key: stop it, and take the key file from it",
        ),
        SignerServerError::TooOpen { .. } => (
            ExitKind::Key,
            "folder",
            "chmod 700, or 750 with the group of the node",
        ),
        SignerServerError::Socket { .. } => (
            ExitKind::Storage,
            "socket",
            "give a path in a folder that this user may write",
        ),
    };
    CommandFailure::new(kind, code, error.to_string()).hint(hint)
}
