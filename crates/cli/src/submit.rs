//! Signing and sending a transaction, and waiting until it is final: shared by wallet, job and partner commands.

use std::time::Duration;

use clap::Args;
use rpc::client::{Client, ClientError};
use rpc::model::TransactionStatus;
use types::hash::TransactionId;
use types::key::SecretKey;
use types::number::{Amount, Height};
use types::transaction::{Action, SignedTransaction, Transaction};

use crate::failure::{ExitKind, Failure};

/// How many heights a transaction sent from here stays valid.
const VALIDITY_HEIGHTS: u64 = 1_000;

/// Which server to ask.
#[derive(Debug, Clone, Args)]
pub struct RpcArgs {
    /// A validator's RPC address.
    #[arg(long = "rpc", value_name = "URL", default_value = "http://127.0.0.1:26601", env = "GRIDPROOF_RPC")]
    pub url: String,
}

impl RpcArgs {
    /// A client of that server.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url).map_err(failure)
    }
}

/// A transaction that is final and whose action succeeded.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its id.
    pub id: TransactionId,
    /// The block that holds it.
    pub height: Height,
    /// What was burned.
    pub fee: Amount,
}

/// Signs an action with the account's next nonce and the least fee.
pub async fn sign(client: &Client, key: &SecretKey, action: Action) -> Result<SignedTransaction, Failure> {
    let status = client.status().await.map_err(failure)?;
    let account = client.account(key.public().address()).await.map_err(failure)?;
    let transaction = Transaction {
        chain_id: status.chain_id,
        sender: key.public(),
        nonce: account.next_nonce,
        valid_until: status.height.saturating_add(VALIDITY_HEIGHTS),
        fee: status.minimum_fee,
        action,
    };
    Ok(transaction.sign(key))
}

/// Signs and sends an action, and waits until it is final. A reverted action is a failure that names the rule.
pub async fn send(client: &Client, key: &SecretKey, action: Action, patience: Duration) -> Result<Sent, Failure> {
    let signed = sign(client, key, action).await?;
    client.submit(&signed).await.map_err(failure)?;
    finished(client, signed.id(), patience).await
}

/// Waits until a transaction is final.
pub async fn finished(client: &Client, id: TransactionId, patience: Duration) -> Result<Sent, Failure> {
    match client.wait_transaction(id, patience).await.map_err(failure)? {
        TransactionStatus::Included { id, height, receipt, .. } => match receipt.failure {
            None => Ok(Sent { id, height, fee: receipt.fee }),
            Some(reverted) => Err(Failure::new(ExitKind::Refused, &reverted.code, reverted.message)
                .hint("nothing was changed but the fee; correct the request and send it again")),
        },
        TransactionStatus::Pending { id, .. } => Err(Failure::new(
            ExitKind::TimedOut,
            "pending",
            format!("transaction {id} is not final after {} s", patience.as_secs()),
        )
        .hint("it may still become final: ask /v1/transactions/<id>, or look at the node's status")
        .retryable()),
    }
}

/// A client's error as a failure with its exit code.
#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err calls")]
pub fn failure(error: ClientError) -> Failure {
    let kind = match &error {
        ClientError::Url { .. } => ExitKind::Usage,
        ClientError::NoConnection { .. } | ClientError::Broken { .. } | ClientError::Timeout { .. } => {
            ExitKind::NoConnection
        }
        ClientError::WaitedTooLong { .. } => ExitKind::TimedOut,
        _ => ExitKind::Refused,
    };
    let mut failure = Failure::new(kind, error.code(), error.to_string()).hint(error.hint());
    failure.retryable = error.is_retryable();
    failure
}
