//! The listener at which metrics are read.

use std::sync::Arc;

use rpc_server::Server;

use crate::catalogue::Catalogue;
use crate::config::MetricsConfig;

/// Listens where the configuration says, if it does. A process does its work without metrics, too: if the address cannot
/// be had, it warns and goes on, and whoever watches sees that nothing answers. Needs a tokio runtime.
pub async fn start(config: &MetricsConfig, catalogue: &Arc<Catalogue>) -> Option<Server> {
    let listen = config.listen?;
    let catalogue = Arc::clone(catalogue);
    let text = Arc::new(move || catalogue.text());
    match Server::exposition(listen, &config.allowed_hosts, text).await {
        Ok(server) => {
            tracing::info!(metrics = %server.local_address(), "metrics are shown");
            Some(server)
        }
        Err(error) => {
            tracing::warn!(%error, "no metrics are shown (hint: choose another address with metrics.listen, or \"\" for none)");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_or_none_ends_nothing() {
        let all = Arc::new(Catalogue::default());
        let first = start(&MetricsConfig::on_loopback(0), &all).await.unwrap();
        let taken = MetricsConfig::on_loopback(first.local_address().port());
        assert!(start(&taken, &all).await.is_none());
        let off = MetricsConfig {
            listen: None,
            allowed_hosts: Vec::new(),
        };
        assert!(start(&off, &all).await.is_none());
    }
}
