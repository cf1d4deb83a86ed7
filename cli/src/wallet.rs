//! `gridproof wallet`: keys of accounts, balances and transfers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use keys::keyfile::{self, KeyKind};
use keys::source::KeySource;
use rpc::Client;
use serde_json::json;
use types::hash::Address;
use types::key::SecretKey;
use types::number::Amount;
use types::transaction::Action;

use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{self, FeeArgs, RpcArgs};
use crate::trust::TrustArgs;
use crate::ui::Ui;

/// Hold and send SQUARE.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a new account key.
    #[command(after_help = "Example:\n  gridproof wallet new --key alice.key")]
    New {
        /// Where to write the key; never overwritten.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Show the address of a key, never the secret.
    #[command(after_help = "Example:\n  gridproof wallet show --key alice.key")]
    Show {
        /// An account's key: a file, env:NAME or fd:NUMBER.
        #[arg(long, value_name = "KEY")]
        key: KeySource,
    },
    /// Show the balance of an account.
    #[command(
        after_help = "Example:\n  gridproof wallet balance --key alice.key --rpc http://127.0.0.1:26601"
    )]
    Balance {
        /// The account's key: a file, env:NAME or fd:NUMBER; or give --address.
        #[arg(long, value_name = "KEY", required_unless_present = "address")]
        key: Option<KeySource>,
        /// The account, 40 hex digits.
        #[arg(long, conflicts_with = "key")]
        address: Option<Address>,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Send SQUARE to an account and wait until the transfer is final.
    #[command(
        after_help = "Example:\n  gridproof wallet send --key alice.key --to 00..ff --amount 12.5 --rpc http://127.0.0.1:26601"
    )]
    Send {
        /// The sender's key: a file, env:NAME for a variable that holds the text of one, or fd:NUMBER.
        #[arg(long, value_name = "KEY")]
        key: KeySource,
        /// The receiver, 40 hex digits.
        #[arg(long)]
        to: Address,
        /// How much SQUARE, for example 12.5.
        #[arg(long)]
        amount: Amount,
        #[command(flatten)]
        fee: FeeArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
}

/// Runs a wallet command.
pub async fn run(command: WalletCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        WalletCommand::New { key } => {
            keyfile::create_new(&key, KeyKind::Account, &ui.passphrases())?;
            let address = keyfile::read_public(&key, KeyKind::Account)?.address();
            let text = format!(
                "address {address}\nkey     {} (keep a copy: nobody can restore it)",
                key.display()
            );
            ui.result(&json!({ "address": address, "key": key }), &text);
        }
        WalletCommand::Show { key } => {
            let public = key.read_public(KeyKind::Account)?;
            let address = public.address();
            ui.result(
                &json!({ "address": address, "public": public }),
                &format!("address {address}\npublic  {public}"),
            );
        }
        WalletCommand::Balance { key, address, rpc } => {
            let address = match (address, key) {
                (Some(address), _) => address,
                (None, Some(key)) => key.read_public(KeyKind::Account)?.address(),
                (None, None) => {
                    return Err(CommandFailure::new(
                        ExitKind::Usage,
                        "usage",
                        "give --key or --address",
                    ));
                }
            };
            balance(address, &rpc, ui).await?;
        }
        WalletCommand::Send {
            key,
            to,
            amount,
            fee,
            rpc,
            trust,
        } => {
            let key = key.read_secret(KeyKind::Account, &ui.passphrases())?;
            send(&key, (to, amount, fee), &rpc, &trust, ui).await?;
        }
    }
    Ok(())
}

/// Refuses what the account cannot pay, before a fee is burned for nothing.
async fn can_pay(
    client: &Client,
    address: Address,
    amount: Amount,
    fee: Option<Amount>,
) -> Result<(), CommandFailure> {
    let account = client.account(address).await.map_err(submit::failure)?;
    let needed = amount.checked_add(fee.unwrap_or_default());
    if needed.is_some_and(|needed| needed <= account.balance) {
        return Ok(());
    }
    let message = format!(
        "the account {address} holds {} SQUARE, and {amount} and the fee are to be paid; nothing was sent",
        account.balance
    );
    Err(
        CommandFailure::new(ExitKind::Refused, "insufficient_balance", message)
            .hint("send less, or bring money to the account first"),
    )
}

/// Shows what an account holds.
async fn balance(address: Address, rpc: &RpcArgs, ui: Ui) -> Result<(), CommandFailure> {
    let client = rpc.client(ui)?;
    let account = client.account(address).await.map_err(submit::failure)?;
    ui.result(
        &json!({ "address": address, "balance": account.balance, "nonce": account.nonce }),
        &format!("{} SQUARE", account.balance),
    );
    Ok(())
}

/// Sends an amount to an account and waits until the transfer is final.
async fn send(
    key: &SecretKey,
    (to, amount, fee): (Address, Amount, FeeArgs),
    rpc: &RpcArgs,
    trust: &TrustArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let (client, terms) = (rpc.client(ui)?, fee.terms(trust.chain()?));
    if amount == Amount(0) {
        let message = "an amount of 0 moves nothing, and its fee would be burned";
        return Err(CommandFailure::new(ExitKind::Usage, "usage", message)
            .hint("give what is to be sent with --amount, in SQUARE"));
    }
    let action = Action::Transfer { to, amount };
    can_pay(&client, key.public().address(), amount, terms.fee).await?;
    let progress = ui.spinner("sending");
    let sent = submit::send(&client, key, action, terms, Duration::from_mins(1)).await;
    progress.finish();
    let sent = sent?;
    let text = format!(
        "sent {amount} SQUARE to {to}\nfinal in block {} (fee {} burned)",
        sent.height, sent.fee
    );
    ui.result(
        &json!({ "id": sent.id, "height": sent.height, "fee": sent.fee, "to": to, "amount": amount, "genesis": trust.source() }),
        &text,
    );
    Ok(())
}
