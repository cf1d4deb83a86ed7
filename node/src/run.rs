//! Putting a node together from its directory, running it, and taking it apart again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use blobs::BlobStore;
use chain::backend::{ChainBackend, Live, Question, RecentJobs, label};
use chain::clock::Clock;
use chain::meters::ChainMetrics;
use consensus::EvidenceBook;
use consensus::log::{FileStorage, Log};
use keys::keyfile::{self, KeyKind};
use keys::passphrase::Passphrases;
use keys::signer::client::remote_signer;
use keys::signer_lock::SignerLock;
use metrics::{Catalogue, Heartbeat};
use p2p::Multiaddr;
use rpc_server::Server;
use rpc_server::events::EventLog;
use store::{Audit, Store};
use tokio::sync::{mpsc, oneshot, watch};
use types::genesis::Genesis;
use types::hash::Hash32;
use types::key::SecretKey;
use types::signer::Signer;
use types::versions::VersionSchedule;

use crate::config::{Config, Layout, P2pConfig};
use crate::core::{Node, NodeSetup};
use crate::ending::{NodePart, RunningParts};
use crate::error::NodeError;
use crate::machine::raise_open_files;
use crate::meters;
use crate::shell::Shell;
use crate::threads::{HttpThreads, LoopThread};
use chain::quarantine::Quarantine;

/// Questions of the HTTP interface that may wait for the loop.
const WAITING_QUESTIONS: usize = 1_024;

/// Where a running node listens, with the ports that the system gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Addresses that listen for other validators.
    pub p2p: Vec<Multiaddr>,
    /// Address of the HTTP interface.
    pub rpc: SocketAddr,
    /// Address of the metrics; none if they are switched off, or their address cannot be had.
    pub metrics: Option<SocketAddr>,
}

impl Listening {
    fn of(network: &p2p::Handle, server: &Server, shown: Option<&Server>) -> Self {
        Self {
            p2p: network.listen_addresses(),
            rpc: server.local_address(),
            metrics: shown.map(Server::local_address),
        }
    }
}

/// Completes once the node is asked to stop.
type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs the validator of a directory until `shutdown` completes or it must stop by itself; its loop beats every second.
pub async fn run(
    directory: &Path,
    config: Config,
    passphrases: Passphrases,
    heartbeat: Heartbeat,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let tell = |_| ();
    Box::pin(run_and_tell(
        directory,
        config,
        passphrases,
        heartbeat,
        tell,
        shutdown,
    ))
    .await
}

/// Like [`run`]; tells where it listens as soon as it does.
pub async fn run_and_tell(
    directory: &Path,
    config: Config,
    passphrases: Passphrases,
    heartbeat: Heartbeat,
    tell: impl FnOnce(Listening),
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let layout = Layout::new(directory);
    let genesis = Arc::new(read_genesis(&layout)?);
    check_log(&layout)?;
    raise_open_files();
    let quarantine = Quarantine::open(layout.quarantine())?;
    let (mut setup, node_key) = setup(&layout, &genesis, &config, passphrases)?;
    setup.chain.quarantined = quarantine.blocks();
    let writes = vm::genesis_writes(&genesis)?;
    let store = Store::open_with(&layout.db(), &genesis, writes, config.store.settings()?)?;
    let setup = setup.in_force(&store)?;
    let (log, records) = Log::open(FileStorage::new(&layout.log())?, setup.log_identity())?;
    // After the directory's own locks: this one finds copies of it.
    let own = setup.chain.own.as_ref().map(|own| own.signer.clone());
    let key = own.as_ref().and_then(Signer::key);
    let signer_lock = key.map(|key| SignerLock::take(&key.public())).transpose()?;
    let kept = FileStorage::new(&layout.evidence())?;
    let evidence = EvidenceBook::open(kept, &setup.consensus.term())?;
    let blobs = BlobStore::open(&layout.blobs(), config.blobs.quota_bytes)?;
    let loop_thread = LoopThread::start()?;
    let network = network(node_key, &genesis, &setup, &config)?;
    let (network, peer_events) = loop_thread.run(p2p::start(network)).await?;

    let clock = Clock::start();
    let (node, effects) = Node::start(setup, clock.now(), &store, records, blobs.ids())?;
    drop_uploads(&blobs, &node)?;
    let (mut all, loop_metrics, chain_metrics) = meters::begin(&store)?;
    let stores = (&store, &blobs, own);
    let (backend, asked, live) = backend(&node, genesis, stores, &config, &clock, chain_metrics);
    meters::register_readers(&mut all, &backend, &network, directory);
    tokio::pin!(shutdown);
    if is_over(&mut shutdown).await {
        return Ok(());
    }
    let (http, server, shown) = serve(&config, &backend, all).await?;
    tell(Listening::of(&network, &server, shown.as_ref()));
    tracing::info!(rpc = %server.local_address(), validator = label(config.p2p.name.as_str(), &node.id()), chain = %node.rules().chain_id, "started");

    let mut shell = Shell::new(
        node,
        log,
        store.clone(),
        blobs,
        network.clone(),
        &backend,
        clock,
        live,
        quarantine,
        evidence,
        loop_metrics,
    )?;
    let work = |stopped| async move {
        let run = shell.run(effects, peer_events, asked, heartbeat, stopped);
        let outcome = run.await;
        // The lock lasts as long as anything here may sign.
        (Some(shell), signer_lock, outcome)
    };
    let ended = until(&loop_thread, shutdown, work).await;
    let (shell, _signer_lock, outcome) = ended.unwrap_or((None, None, Ok(())));
    let parts = RunningParts {
        shell,
        server,
        shown,
        http,
        network,
        store,
        loop_thread,
    };
    parts.end(&outcome).await;
    outcome
}

/// Removes uploads for jobs that ended while the node was down.
fn drop_uploads(blobs: &BlobStore, node: &Node) -> Result<(), NodeError> {
    let uploads = blobs.uploads().into_iter();
    for blob in uploads.filter(|blob| !node.needs_blob(blob)) {
        blobs.remove(blob)?;
    }
    Ok(())
}

/// Starts the threads of HTTP, and on them the interface and the listener of the metrics, if there is to be one.
async fn serve(
    config: &Config,
    backend: &Arc<ChainBackend>,
    mut all: Catalogue,
) -> Result<(HttpThreads, Server, Option<Server>), NodeError> {
    let http = HttpThreads::start()?;
    let server = Server::start(config.rpc.server(), backend.clone());
    let server = http.run(server).await?;
    meters::register_requests(&mut all, server.requests().clone());
    let shown = config.metrics.clone();
    let shown = async move { metrics::listener::start(&shown, &Arc::new(all)).await };
    let shown = http.run(shown).await;
    Ok((http, server, shown))
}

/// Reads the database of a stopped validator and checks it against itself, see [`Store::audit`]: as long as it is large.
pub fn audit(directory: &Path, config: &Config) -> Result<Audit, NodeError> {
    let layout = Layout::new(directory);
    let genesis = read_genesis(&layout)?;
    let writes = vm::genesis_writes(&genesis)?;
    let store = Store::open_with(&layout.db(), &genesis, writes, config.store.settings()?)?;
    Ok(store.audit()?)
}

/// The node as HTTP sees it, with the ends of its channels that the loop keeps.
fn backend(
    node: &Node,
    genesis: Arc<Genesis>,
    (store, blobs, signer): (&Store, &BlobStore, Option<Signer>),
    config: &Config,
    clock: &Clock,
    metrics: ChainMetrics,
) -> (
    Arc<ChainBackend>,
    mpsc::Receiver<Question>,
    watch::Sender<Live>,
) {
    let (questions, asked) = mpsc::channel(WAITING_QUESTIONS);
    let (live, watched) = watch::channel(Live::default());
    let backend = ChainBackend {
        signer,
        rules: node.rules().clone(),
        genesis,
        store: store.clone(),
        blobs: blobs.clone(),
        validator: Some(node.id()),
        // In microseconds: cursors of an earlier run lie below this one's and are told apart as too old.
        events: Arc::new(EventLog::new(
            config.rpc.kept_events,
            clock.now().unix.0.saturating_mul(1_000),
        )),
        recent: Arc::new(RecentJobs::default()),
        questions,
        live: watched,
        alarms: Arc::default(),
        metrics,
        signers: None,
    };
    (Arc::new(backend), asked, live)
}

/// Whether the end is asked for already. Looked at before anybody is served: from here on a signal does not end the process
/// by itself.
async fn is_over(shutdown: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        biased;
        () = shutdown => true,
        () = std::future::ready(()) => false,
    }
}

/// Has the loop's thread do `work`, which is told once `shutdown` completes; nothing if its end then takes too long.
async fn until<T, W>(
    thread: &LoopThread,
    shutdown: impl Future<Output = ()>,
    work: impl FnOnce(Stopped) -> W,
) -> Option<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let done = thread.run(work(Box::pin(async {
        // Nothing is sent: the other end goes.
        let _ = stopped.await;
    })));
    tokio::pin!(done, shutdown);
    tokio::select! {
        done = &mut done => return Some(done),
        () = shutdown => drop(stop),
    }
    NodePart::Step.within(done).await
}

/// Without a vote log nothing is opened or made: a database would make it look as if the node had run.
fn check_log(layout: &Layout) -> Result<(), NodeError> {
    let (log, db) = (layout.log(), layout.db());
    if log.is_dir() {
        return Ok(());
    }
    if db.exists() {
        return Err(NodeError::VoteLogGone { log, db });
    }
    Err(NodeError::NotInitialised(log))
}

fn read_genesis(layout: &Layout) -> Result<Genesis, NodeError> {
    let path = layout.genesis();
    match std::fs::read(&path) {
        Ok(bytes) => {
            Genesis::from_bytes(&bytes).map_err(|source| NodeError::Genesis { path, source })
        }
        Err(source) => Err(NodeError::GenesisFile { path, source }),
    }
}

/// The setup of the core, and the key of the node on the network. The passphrase, if one was needed, is forgotten.
fn setup(
    layout: &Layout,
    genesis: &Genesis,
    config: &Config,
    passphrases: Passphrases,
) -> Result<(NodeSetup, SecretKey), NodeError> {
    let configured = config.keys.passphrase_file.as_ref();
    let passphrases = passphrases.or(configured.map(|source| source.below(layout.directory())));
    let signer = if let Some(address) = &config.keys.signer {
        remote_signer(&address.path(layout.directory()))?
    } else {
        let path = layout.validator_key();
        keyfile::read_secret(&path, KeyKind::Validator, &passphrases)?.into()
    };
    let node_key = keyfile::read_secret(&layout.node_key(), KeyKind::Node, &passphrases)?;
    let vrf_key = keyfile::read_vrf(&layout.vrf_key(), &passphrases)?;
    // Fresh for every run and known to nobody else, as batch verification wants it.
    let secret = SecretKey::generate().map_err(NodeError::Randomness)?;
    let versions = VersionSchedule::of_genesis(&genesis.params);
    let versions = versions.with_upgrades(&config.protocol.upgrades)?;
    let setup = NodeSetup::new(genesis, signer, vrf_key, Hash32(*secret.to_bytes()))?;
    let mut setup = setup.with_versions(versions);
    setup.chain.retention.results_ms = config.blobs.keep_results_seconds.saturating_mul(1_000);
    setup.chain.retention.quota_bytes = config.blobs.quota_bytes;
    let (bytes, transactions) = (config.mempool.bytes, config.mempool.transactions);
    setup.chain.mempool = vm::MempoolLimits {
        bytes,
        transactions,
    };
    Ok((setup, node_key))
}

fn addresses(key: &'static str, list: &[String]) -> Result<Vec<Multiaddr>, NodeError> {
    let parse = |text: &String| {
        text.parse::<Multiaddr>()
            .map_err(|source| NodeError::Address {
                key,
                text: text.clone(),
                source,
            })
    };
    list.iter().map(parse).collect()
}

/// Refuses addresses of other validators, and of this one, that are no multiaddresses.
pub fn check_addresses(config: &P2pConfig) -> Result<(), NodeError> {
    let all = [
        ("listen", &config.listen),
        ("bootstrap", &config.bootstrap),
        ("external", &config.external),
    ];
    all.into_iter()
        .try_for_each(|(key, list)| addresses(key, list).map(drop))
}

fn network(
    node_key: SecretKey,
    genesis: &Genesis,
    setup: &NodeSetup,
    config: &Config,
) -> Result<p2p::Config, NodeError> {
    Ok(p2p::Config {
        node_key,
        validator: setup.chain.own.as_ref().map(|own| own.signer.clone()),
        chain_id: genesis.chain_id(),
        committee: setup.chain.rules.committee.clone(),
        listen: addresses("listen", &config.p2p.listen)?,
        bootstrap: addresses("bootstrap", &config.p2p.bootstrap)?,
        external: addresses("external", &config.p2p.external)?,
        name: config.p2p.name.clone(),
        limits: config.p2p.limits(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_last_step_that_hangs_is_left_alone_and_one_that_ends_is_not() {
        let thread = LoopThread::start().unwrap();
        let hangs = |_: Stopped| std::future::pending::<()>();
        assert!(
            until(&thread, std::future::ready(()), hangs)
                .await
                .is_none()
        );
        let ends = |stopped: Stopped| async {
            stopped.await;
            7
        };
        let ended = until(&thread, std::future::ready(()), ends).await;
        assert_eq!(ended, Some(7));
        let alone = |_: Stopped| async { 7 };
        let ended = until(&thread, std::future::pending(), alone).await;
        assert_eq!(ended, Some(7));
        thread.finish();
    }
}
