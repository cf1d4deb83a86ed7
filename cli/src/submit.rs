//! Signing and sending a transaction, and waiting until it is final: shared by wallet, job and partner commands.

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use rpc::client::{Client, ClientError, ServerNews};
use rpc::model::TransactionStatus;
use serde_json::json;
use types::gas::with_least_fee;
use types::hash::{ChainId, TransactionId};
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce};
use types::transaction::{Action, SignedTransaction, Transaction};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// How long a transaction is offered to an endpoint that has no room for it.
const ROOM_PATIENCE: Duration = Duration::from_secs(30);
/// How often a transaction is signed anew because another one with the same key took its nonce.
const NONCE_RACES: usize = 4;
/// How many heights a transaction sent from here stays valid.
const VALIDITY_HEIGHTS: u64 = 10_000;

/// Which endpoints to ask.
#[derive(Debug, Clone, Args)]
pub struct RpcArgs {
    /// A validator's RPC address. Give several, or a list with commas: when one does not answer, the next is asked.
    #[arg(
        long = "rpc",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:26601",
        env = "GRIDPROOF_RPC"
    )]
    urls: Vec<String>,
}

impl RpcArgs {
    /// Their addresses, in order.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// A client of those endpoints, which says when one of several goes away and when it is back.
    pub fn client(&self, ui: Ui) -> Result<Client, CommandFailure> {
        client_of(&self.urls, ui)
    }
}

/// A client of some endpoints, which says when one of several goes away and when it is back.
pub fn client_of(urls: &[String], ui: Ui) -> Result<Client, CommandFailure> {
    let client = Client::of(urls).map_err(failure)?;
    Ok(client.telling(move |news| match news {
        ServerNews::Away(error) => ui.progress(
            &format!("{error}; others are asked meanwhile"),
            json!({ "server": error.url(), "answers": false }),
        ),
        ServerNews::Back { url } => ui.progress(
            &format!("{url} answers again"),
            json!({ "server": url, "answers": true }),
        ),
    }))
}

impl fmt::Display for RpcArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urls.join(","))
    }
}

/// What is paid for a transaction.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FeeArgs {
    /// The fee to offer, in SQUARE; it is burned. Where blocks are full, who offers more per gas comes first. Without this the least
    /// is offered that the gas and the bytes of the transaction ask for.
    #[arg(long, value_name = "SQUARE")]
    fee: Option<Amount>,
}

impl FeeArgs {
    /// Signs for that fee, and for that chain alone if one is named.
    pub fn terms(self, chain: Option<ChainId>) -> SigningTerms {
        SigningTerms {
            chain,
            fee: self.fee,
        }
    }
}

/// What a key signs a transaction for.
#[derive(Debug, Clone, Copy, Default)]
pub struct SigningTerms {
    /// The chain; if none is named, the endpoint's word is taken for which it is.
    pub chain: Option<ChainId>,
    /// Fee to offer, in base units; if none is named, the least that may be offered.
    pub fee: Option<Amount>,
}

impl From<Option<ChainId>> for SigningTerms {
    fn from(chain: Option<ChainId>) -> Self {
        Self { chain, fee: None }
    }
}

/// A transaction that is final and whose action succeeded.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Id of the transaction.
    pub id: TransactionId,
    /// The block that holds it.
    pub height: Height,
    /// Fee that was burned, in base units.
    pub fee: Amount,
}

/// Signs an action with the account's next nonce, or as a step of a job. If a chain is named, an endpoint of another one is
/// refused before the key is used.
async fn sign(
    client: &Client,
    key: &SecretKey,
    action: Action,
    terms: SigningTerms,
) -> Result<SignedTransaction, CommandFailure> {
    let status = client.status().await.map_err(failure)?;
    if let Some(chain) = terms.chain.filter(|chain| *chain != status.chain_id) {
        let message = format!(
            "{} serves the chain {}, the genesis is that of the chain {chain}; nothing was signed",
            client.url(),
            status.chain_id
        );
        return Err(
            CommandFailure::new(ExitKind::BadInput, "other_chain", message)
                .hint("give the genesis of that chain, or the address of an endpoint of this one"),
        );
    }
    // A step of a job uses no nonce and no money.
    let nonce = if action.is_step() {
        Nonce::ZERO
    } else {
        let account = client.account(key.public().address()).await;
        account.map_err(failure)?.next_nonce
    };
    let mut transaction = Transaction {
        chain_id: status.chain_id,
        sender: key.public(),
        nonce,
        valid_until: status.height.saturating_add(VALIDITY_HEIGHTS),
        fee: Amount::ZERO,
        action,
    };
    transaction = match terms.fee.filter(|_| !transaction.action.is_step()) {
        Some(fee) => Transaction { fee, ..transaction },
        None => with_least_fee(transaction, status.min_fee),
    };
    Ok(transaction.sign(key))
}

/// Signs an action and hands it to an endpoint; gives what was taken. Whoever was overtaken by another transaction of its
/// account signs anew, with the nonce that is next then: what was refused is nowhere, so nothing is done twice. `signed_as`
/// is told what was signed before it is sent.
pub async fn hand_over(
    client: &Client,
    key: &SecretKey,
    action: Action,
    terms: impl Into<SigningTerms>,
    signed_as: impl Fn(&SignedTransaction),
) -> Result<SignedTransaction, CommandFailure> {
    let terms = terms.into();
    let mut overtaken = 0;
    loop {
        let signed = sign(client, key, action.clone(), terms).await?;
        signed_as(&signed);
        match offer(client, &signed).await {
            Ok(()) => return Ok(signed),
            Err(error) if is_overtaken(&error) && overtaken < NONCE_RACES => overtaken += 1,
            Err(error) => return Err(failure(error)),
        }
    }
}

/// Offers a transaction to an endpoint. No answer does not say that it was not heard: then it is handed over once more, the
/// same bytes, and waiting for it tells. One that the endpoint has no room for yet goes again, the same bytes, after the
/// time that the refusal names.
async fn offer(client: &Client, signed: &SignedTransaction) -> Result<(), ClientError> {
    let end = Instant::now() + ROOM_PATIENCE;
    loop {
        let error = match client.submit(signed).await {
            Ok(_) => return Ok(()),
            Err(ClientError::Broken { .. } | ClientError::Timeout { .. }) => {
                let _ = client.submit(signed).await;
                return Ok(());
            }
            Err(error) => error,
        };
        let after = error
            .refusal()
            .filter(|body| body.retryable)
            .and_then(|body| body.retry_after_ms);
        match after.map(Duration::from_millis) {
            Some(after) if Instant::now() + after < end => pause(after).await,
            _ => return Err(error),
        }
    }
}

/// Signs and sends an action, and waits until it is final. A reverted action is a failure that names the rule.
pub async fn send(
    client: &Client,
    key: &SecretKey,
    action: Action,
    terms: impl Into<SigningTerms>,
    time_limit: Duration,
) -> Result<Sent, CommandFailure> {
    let signed = hand_over(client, key, action, terms, |_| ()).await?;
    finished(client, signed.id(), time_limit)
        .await
        .map_err(|failure| failure.with("transaction", json!(signed.id())))
}

/// True if the nonce is used by another transaction, in a block or waiting.
fn is_overtaken(error: &ClientError) -> bool {
    let refusal = error.refusal();
    refusal.is_some_and(|body| !body.retryable && body.expected_nonce.is_some())
}

/// Waits until a transaction is final.
pub async fn finished(
    client: &Client,
    id: TransactionId,
    time_limit: Duration,
) -> Result<Sent, CommandFailure> {
    match client
        .wait_transaction(id, time_limit)
        .await
        .map_err(failure)?
    {
        TransactionStatus::Included {
            id,
            height,
            receipt,
            ..
        } => match receipt.failure {
            None => Ok(Sent {
                id,
                height,
                fee: receipt.fee,
            }),
            Some(reverted) => Err(CommandFailure::new(
                ExitKind::Refused,
                &reverted.code,
                reverted.message,
            )
            .hint("nothing was changed but the fee; correct the request and send it again")),
        },
        TransactionStatus::Pending { id, .. } => Err(CommandFailure::new(
            ExitKind::TimedOut,
            "pending",
            format!(
                "transaction {id} is not final after {} s",
                time_limit.as_secs()
            ),
        )
        .hint(
            "it may still become final: ask /v1/transactions/<id>, or look at the node's status",
        )),
    }
}

/// A client's error as a failure with its exit code.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err calls"
)]
pub fn failure(error: ClientError) -> CommandFailure {
    let kind = match &error {
        ClientError::Url { .. } => ExitKind::Usage,
        ClientError::NoClient { .. } => ExitKind::Other,
        ClientError::NoConnection { .. }
        | ClientError::Broken { .. }
        | ClientError::Timeout { .. } => ExitKind::NoConnection,
        ClientError::WaitedTooLong { .. } => ExitKind::TimedOut,
        _ => ExitKind::Refused,
    };
    let mut failure = CommandFailure::new(kind, error.code(), error.to_string()).hint(error.hint());
    failure.retryable = error.is_retryable();
    failure
}

/// Waits for as long as a refusal says.
#[expect(
    clippy::disallowed_methods,
    reason = "the time itself is what is waited for"
)]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests;
