//! Transactions on their way to the endpoints.

use std::time::Instant;

use types::transaction::SignedTransaction;

use crate::endpoints::Endpoints;

/// Hands a transaction to every endpoint, also those that are set aside: one that keeps it back does not matter then, and
/// whoever is slow or wrong elsewhere may be the only one that passes it on.
pub(super) async fn send(endpoints: Endpoints, transaction: SignedTransaction) {
    let sends = endpoints.all().iter().map(|endpoint| {
        let transaction = &transaction;
        async move {
            match endpoint.client.submit(transaction).await {
                Ok(_) => {
                    tracing::debug!(id = %transaction.id(), endpoint = endpoint.client.url(), "sent");
                }
                Err(error @ rpc::ClientError::Refused { .. }) => {
                    // Often "already included": whether it was needed is read off the chain.
                    tracing::debug!(id = %transaction.id(), %error, "not taken");
                }
                Err(error) => endpoint.failed(Instant::now(), &error.to_string()),
            }
        }
    });
    futures::future::join_all(sends).await;
}
