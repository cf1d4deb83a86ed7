//! The metrics of a validator: what its loop records, and what is read of the chain and the network when somebody looks.
//!
//! A validator is labelled by its id: the committee bounds how many there are. Names are chosen by whoever bears them, so
//! they stand in one metric that is made anew each time.

mod network;
mod requests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chain::backend::ChainBackend;
use chain::meters::ChainMetrics;
use chain::state_meters::StateMetrics;
use metrics::catalogue::TimeRange;
use metrics::value::float;
use metrics::{Catalogue, Counter, Gauge, Histogram, Labelled, MetricEntry, disk, process};
use rpc_server::RequestCounts;
use state::{DecidedState as _, StateRead};
use types::hash::ValidatorId;
use types::time::Now;

use crate::core::certificates::CertificateTime;
use crate::core::{Node, SetupError};
use network::NetworkMetrics;
use requests::RequestMetrics;

/// What a validator's loop records.
#[derive(Debug, Clone)]
pub struct NodeMetrics {
    certificates: Labelled<Counter>,
    certificate_times: Labelled<Histogram>,
    missed: Labelled<Counter>,
    last_vote: Labelled<Gauge>,
    faults: Labelled<Counter>,
    bans: Labelled<Counter>,
    evidence: Gauge,
    voting: Gauge,
    stalled: Gauge,
    since_block: Gauge,
    clock: Gauge,
    refused: Labelled<Counter>,
    alarms: Counter,
    log_sync: Histogram,
}

impl NodeMetrics {
    /// Registers what the loop records.
    pub fn register(all: &mut Catalogue) -> Self {
        Self {
            certificates: all.counters(
                "gridproof_consensus_certificates_total",
                &["kind"],
                "Certificates that consensus acted on.",
            ),
            certificate_times: all.histograms(
                "gridproof_consensus_certificate_seconds",
                &["kind"],
                TimeRange::Middle,
                "Time from entering a view to its certificate.",
            ),
            missed: all.counters(
                "gridproof_consensus_missed_views_total",
                &["validator"],
                "Views that a validator led and that ended without a block.",
            ),
            last_vote: all.gauges(
                "gridproof_consensus_last_vote_view",
                &["validator"],
                "View of a validator's latest vote or proposal that came here; 0 before the first.",
            ),
            faults: all.counters(
                "gridproof_consensus_faults_total",
                &["validator", "fault"],
                "Rules of the protocol that a validator broke, as seen here.",
            ),
            bans: all.counters(
                "gridproof_consensus_bans_total",
                &["validator"],
                "Times that a validator was not listened to for a while.",
            ),
            evidence: all.gauge(
                "gridproof_consensus_evidence_pieces",
                "Proofs on this disk that validators said two things in one view.",
            ),
            voting: all.gauge(
                "gridproof_consensus_voting",
                "1 once the peers have told what this validator signed before, so that it votes.",
            ),
            stalled: all.gauge(
                "gridproof_consensus_stalled",
                "1 while no block is decided for ten seconds, or ten idle blocks.",
            ),
            since_block: all.gauge(
                "gridproof_consensus_since_block_seconds",
                "Time since a block was decided here, or since the start.",
            ),
            clock: all.gauge(
                "gridproof_consensus_clock_offset_seconds",
                "How far this clock is ahead of the other leaders'; 0 before it was compared.",
            ),
            refused: all.counters(
                "gridproof_mempool_refused_total",
                &["reason"],
                "Transactions that the mempool did not take.",
            ),
            alarms: all.counter(
                "gridproof_chain_alarms_total",
                "Faults of this program that its operator must know of.",
            ),
            log_sync: all.histogram(
                "gridproof_vote_log_sync_seconds",
                TimeRange::Short,
                "Time to write and sync a group of records of the vote log.",
            ),
        }
    }

    /// Takes the time of a write to the vote log.
    pub fn log_written(&self) -> impl Fn(Duration) + Send + 'static {
        let times = self.log_sync.clone();
        move |time| times.observe(time)
    }

    /// Consensus acted on a certificate.
    pub fn certified(&self, certificate: CertificateTime) {
        let kind = [certificate.kind.name()];
        self.certificates.of(&kind).inc();
        if let Some(after_ms) = certificate.after_ms {
            let times = self.certificate_times.of(&kind);
            times.observe(Duration::from_millis(after_ms));
        }
    }

    /// A validator broke a rule.
    pub fn faulted(&self, by: &ValidatorId, fault: &'static str) {
        self.faults.of(&[&by.to_string(), fault]).inc();
    }

    /// A validator is not listened to for a while.
    pub fn banned(&self, validator: &ValidatorId) {
        self.bans.of(&[&validator.to_string()]).inc();
    }

    /// The operator must know something.
    pub fn alarmed(&self) {
        self.alarms.inc();
    }

    /// Looks at what no event tells of.
    pub fn look(&self, node: &Node, now: Now, pieces: usize) {
        let attendance = node.attendance();
        for (id, presence) in attendance.members() {
            let id = id.to_string();
            self.missed.of(&[&id]).set(presence.missed);
            let view = presence.voted.map_or(0, |(view, _)| view.0);
            self.last_vote.of(&[&id]).set(view);
        }
        self.evidence.set_len(pieces);
        self.voting.set_bool(node.is_voting());
        self.stalled.set_bool(attendance.standstill(now).is_some());
        let since = Duration::from_millis(attendance.since_block_ms(now));
        self.since_block.set_float(since.as_secs_f64());
        let ahead_ms = node.standing().clock_ahead_ms.unwrap_or_default();
        let distance = float(ahead_ms.unsigned_abs()) / 1_000.0;
        let ahead = if ahead_ms < 0 { -distance } else { distance };
        self.clock.set_float(ahead);
        self.refused(node.refused_transactions());
    }

    fn refused(&self, counts: &BTreeMap<&'static str, u64>) {
        for (reason, count) in counts {
            self.refused.of(&[reason]).set(*count);
        }
    }
}

/// Registers what the loop and the worker of a validator record.
fn register(all: &mut Catalogue) -> (NodeMetrics, ChainMetrics) {
    process::register(all, env!("CARGO_PKG_VERSION"));
    (NodeMetrics::register(all), ChainMetrics::register(all))
}

/// Begins the catalogue of a validator, whose live jobs are those of a state.
pub fn begin(state: &dyn StateRead) -> Result<(Catalogue, NodeMetrics, ChainMetrics), SetupError> {
    let mut all = Catalogue::default();
    let (node, chain) = register(&mut all);
    let counted = chain.count_live(state);
    counted.map_err(|error| SetupError::Chain(error.into()))?;
    Ok((all, node, chain))
}

/// Registers what is read when somebody looks: of the chain, the network, and the disk of the node's folder.
pub fn register_readers(
    all: &mut Catalogue,
    backend: &Arc<ChainBackend>,
    network: &p2p::Handle,
    folder: &Path,
) {
    disk::register(all, folder);
    let readers = Readers::register(all);
    let (backend, network) = (Arc::clone(backend), network.clone());
    all.before_text(move || {
        readers.state.refresh(&backend);
        readers.network.refresh(&backend, &network);
        readers.standing.refresh(&backend);
    });
}

/// Registers what the HTTP interface answered.
pub fn register_requests(all: &mut Catalogue, requests: RequestCounts) {
    let metrics = RequestMetrics::register(all);
    all.before_text(move || metrics.refresh(&requests));
}

/// Everything that a validator shows.
#[must_use]
pub fn entries() -> Vec<MetricEntry> {
    let mut all = Catalogue::default();
    register(&mut all);
    disk::register(&mut all, Path::new("."));
    Readers::register(&mut all);
    RequestMetrics::register(&mut all);
    all.entries().to_vec()
}

/// What is read when somebody looks.
struct Readers {
    state: StateMetrics,
    network: NetworkMetrics,
    standing: StandingMetrics,
}

impl Readers {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            state: StateMetrics::register(all),
            network: NetworkMetrics::register(all),
            standing: StandingMetrics::register(all),
        }
    }
}

/// What the loop tells of itself.
struct StandingMetrics {
    height: Gauge,
    block_time: Gauge,
    view: Gauge,
    catching_up: Gauge,
    signer_away: Gauge,
    peers: Gauge,
    transactions: Gauge,
    bytes: Gauge,
}

impl StandingMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            height: all.gauge(
                "gridproof_consensus_height",
                "Height of the newest final block.",
            ),
            block_time: all.gauge(
                "gridproof_consensus_block_time_seconds",
                "Timestamp of the newest final block, in seconds since 1970.",
            ),
            view: all.gauge("gridproof_consensus_view", "View that consensus is in."),
            catching_up: all.gauge(
                "gridproof_consensus_catching_up",
                "1 while final blocks are known that are not in the store yet.",
            ),
            signer_away: all.gauge(
                "gridproof_consensus_signer_away",
                "1 while the process that holds the validator's key gives no signatures.",
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
        }
    }

    fn refresh(&self, backend: &ChainBackend) {
        let live = backend.live.borrow().clone();
        let height = backend.store.tip().height;
        self.height.set(height.0);
        if let Ok(Some(header)) = state::ChainStore::header_at(&backend.store, height) {
            self.block_time
                .set_float(float(header.timestamp.0) / 1_000.0);
        }
        self.view.set(live.view.0);
        self.catching_up.set_bool(live.catching_up);
        self.signer_away
            .set_bool(backend.signer_trouble().is_some());
        self.peers.set(u64::from(live.peers));
        self.transactions.set(live.mempool_transactions);
        self.bytes.set(live.mempool_bytes);
    }
}
