//! `gridproof keys rotate`: a new key in the place of an old one, where the protocol lets a key go.
//!
//! A node's identity is bound by a record that the validator key signs, so a new one counts as soon as the node starts with it. An
//! account is its key: what can move is its money. A validator's key and a VRF key stand in the genesis and stay.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use keys::folder;
use keys::keyfile::{self, KeyKind};
use node::config::Layout;
use serde_json::json;
use types::gas::with_least_fee;
use types::hash::Address;
use types::key::{PublicKey, SecretKey};
use types::number::{Amount, Height, Nonce};
use types::transaction::{Action, Transaction};

use super::{create, generate};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{self, FeeArgs, RpcArgs};
use crate::trust::TrustArgs;
use crate::ui::Ui;

/// How long the transfer may take to become final.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Which key is replaced.
#[derive(Debug, Subcommand)]
pub enum RotateCommand {
    /// The identity of a validator's node on the network; counts from its next start on. The validator stays who it is.
    #[command(after_help = "Example:\n  gridproof keys rotate node --dir ~/validator

The new key is encrypted if the old one was, under the same passphrase. The old file stays beside it as node.key.old.")]
    Node {
        /// The validator's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// The key of an account: makes a new account and sends it all money of the old one.
    #[command(after_help = "Example:
  gridproof keys rotate account --key alice.key --out alice-2.key --genesis genesis.bin --rpc http://127.0.0.1:26601

An account is its key: the new one has another address. Live jobs stay with the old key, and what they pay back comes there;
so does the bond of a partner, whose account cannot be replaced while it is bonded.")]
    Account {
        /// The account's key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the new key, encrypted if the old one is; one that is there is used.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        fee: FeeArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
}

/// Replaces the key that the command names.
pub async fn run(command: RotateCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        RotateCommand::Node { dir } => node(&dir, ui),
        RotateCommand::Account {
            key,
            out,
            fee,
            rpc,
            trust,
        } => account((&key, &out), fee, &rpc, &trust, ui).await,
    }
}

fn storage(path: &Path, error: &std::io::Error) -> CommandFailure {
    let message = format!("{}: {error}", path.display());
    CommandFailure::new(ExitKind::Storage, "storage", message)
        .hint("check the permissions of the folder, and the disk")
}

fn node(dir: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let path = Layout::new(dir).node_key();
    let old = keyfile::look(&path)?;
    let passphrases = ui.passphrases();
    // Whoever cannot open the old key locks nobody out with a new one; and the passphrase stays one for all keys.
    keyfile::read_secret(&path, KeyKind::Node, &passphrases)?;
    let (next, kept) = (
        path.with_extension("key.next"),
        path.with_extension("key.old"),
    );
    if next.exists() {
        std::fs::remove_file(&next).map_err(|error| storage(&next, &error))?;
    }
    let key = generate(KeyKind::Node, &next)?;
    create(&next, &key, !old.encrypted, &passphrases)?;
    if kept.exists() {
        std::fs::remove_file(&kept).map_err(|error| storage(&kept, &error))?;
    }
    // At every moment node.key is the old key or the new one.
    std::fs::hard_link(&path, &kept).map_err(|error| storage(&kept, &error))?;
    std::fs::rename(&next, &path).map_err(|error| storage(&path, &error))?;
    folder::sync_above(&path).map_err(|error| storage(&path, &error))?;
    let text = format!(
        "old {}, kept as {}\nnew {}\nrestart the node: it signs a record that binds the new key, and its peers take it",
        old.public,
        kept.display(),
        key.public()
    );
    ui.result(
        &json!({ "old": old.public, "new": key.public(), "kept": kept }),
        &text,
    );
    Ok(())
}

async fn account(
    (old, new): (&Path, &Path),
    fee: FeeArgs,
    rpc: &RpcArgs,
    trust: &TrustArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let facts = keyfile::look(old)?;
    let passphrases = ui.passphrases();
    let secret = keyfile::read_secret(old, KeyKind::Account, &passphrases)?;
    let (client, terms) = (rpc.client(ui)?, fee.terms(trust.chain()?));
    let own = secret.public().address();
    match client.partner(own).await {
        Ok(partner) if partner.bond > Amount::ZERO => {
            let message = format!("{own} is a partner with a bond of {} SQUARE", partner.bond);
            return Err(CommandFailure::new(ExitKind::Refused, "bonded", message).hint(
                "the bond belongs to this key: drain and unbond it, wait until it is paid, then rotate and register the new account",
            ));
        }
        Err(error) if !error.is_not_found() => return Err(submit::failure(error)),
        _ => {}
    }
    if !new.exists() {
        let key = generate(KeyKind::Account, new)?;
        create(new, &key, !facts.encrypted, &passphrases)?;
    }
    let to = keyfile::read_public(new, KeyKind::Account)?.address();
    let account = client.account(own).await.map_err(submit::failure)?;
    let min_fee = client.status().await.map_err(submit::failure)?.min_fee;
    let least = terms.fee.unwrap_or_else(|| least_fee(&secret, to, min_fee));
    let amount = account.balance.checked_sub(least);
    let amount = amount.filter(|amount| *amount > Amount::ZERO);
    let Some(amount) = amount else {
        let message = format!(
            "{own} holds {} SQUARE, not more than the fee of {least}: nothing was sent",
            account.balance
        );
        return Err(
            CommandFailure::new(ExitKind::Refused, "nothing_to_send", message).hint(
                "the new key is there and can be used; nothing of worth is left under the old one",
            ),
        );
    };
    let action = Action::Transfer { to, amount };
    let progress = ui.spinner("sending everything to the new account");
    let sent = submit::send(&client, &secret, action, terms, TIMEOUT).await;
    progress.finish();
    let sent = sent?;
    let text = format!(
        "sent {amount} SQUARE from {own} to {to}\nfinal in block {} (fee {} burned)\nkeep {} until its live jobs have ended: what they pay back comes there",
        sent.height,
        sent.fee,
        old.display()
    );
    ui.result(
        &json!({ "old": own, "new": to, "amount": amount, "id": sent.id, "height": sent.height, "key": new }),
        &text,
    );
    Ok(())
}

/// The least fee of a transfer: its bytes do not depend on the amount.
fn least_fee(key: &SecretKey, to: Address, min_fee: Amount) -> Amount {
    let template = |sender: PublicKey| Transaction {
        chain_id: types::hash::ChainId::default(),
        sender,
        nonce: Nonce::ZERO,
        valid_until: Height(0),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to,
            amount: Amount::ZERO,
        },
    };
    with_least_fee(template(key.public()), min_fee).fee
}
