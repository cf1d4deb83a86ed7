//! The metrics of a validator: what is registered, and where each value is read.

use std::sync::Arc;

use chain::backend::ChainBackend;
use metrics::{Catalogue, Gauge, process};
use state::DecidedState as _;

/// Registers everything that a validator shows.
pub fn register(all: &mut Catalogue, backend: &Arc<ChainBackend>) {
    process::register(all, env!("CARGO_PKG_VERSION"));
    let standing = StandingMetrics {
        height: all.gauge(
            "gridproof_consensus_height",
            "Height of the newest final block.",
        ),
        view: all.gauge("gridproof_consensus_view", "View that consensus is in."),
        catching_up: all.gauge(
            "gridproof_consensus_catching_up",
            "1 while final blocks are known that are not in the store yet.",
        ),
        peers: all.gauge("gridproof_p2p_peers", "Validators that are connected."),
        transactions: all.gauge(
            "gridproof_mempool_transactions",
            "Transactions that wait for a block.",
        ),
        bytes: all.gauge(
            "gridproof_mempool_bytes",
            "Encoded bytes of the transactions that wait for a block.",
        ),
    };
    let backend = Arc::clone(backend);
    all.before_text(move || standing.refresh(&backend));
}

/// What the loop tells of itself.
struct StandingMetrics {
    height: Gauge,
    view: Gauge,
    catching_up: Gauge,
    peers: Gauge,
    transactions: Gauge,
    bytes: Gauge,
}

impl StandingMetrics {
    fn refresh(&self, backend: &ChainBackend) {
        let live = backend.live.borrow().clone();
        self.height.set(backend.store.tip().height.0);
        self.view.set(live.view.0);
        self.catching_up.set_bool(live.catching_up);
        self.peers.set(u64::from(live.peers));
        self.transactions.set(live.mempool_transactions);
        self.bytes.set(live.mempool_bytes);
    }
}
