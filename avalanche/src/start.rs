//! `Initialize`: from what the host says and what lies in the chain's directory to a chain that runs.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blobs::{BlobStore, BlobStoreError};
use chain::OwnValidator;
use chain::backend::{ChainBackend, Live, RecentJobs};
use chain::clock::Clock;
use chain::meters::ChainMetrics;
use chain::quarantine::{Quarantine, QuarantineError};
use keys::keyfile::{self, KeyFileError, KeyKind};
use keys::passphrase::Passphrases;
use rpc_server::events::EventLog;
use rpc_server::{EmbeddedServer, ServerConfig};
use state::{DecidedState, Tip};
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use types::genesis::{Genesis, GenesisError};
use types::hash::{BlockId, Hash32, ValidatorId};
use types::key::{KeyError, SecretKey};
use vm::Rules;
use warp::AvalancheId;

use crate::config::{ChainConfigError, Config, SubnetUpgrades};
use crate::core::Subnet;
use crate::grpc::HostConnection;
use crate::network::{self, SubnetNodes};
use crate::places::{ChainFolder, ChainPlaceError};
use crate::record::{AcceptedRecord, HostRecord, HostRecordError};
use crate::report::Standing;
use crate::shell::{HostInput, ShellParts, SubnetShell};
use crate::signatures::SignatureGatherer;
use crate::signing::StateSigner;
use crate::sync::StateAnswers;
use crate::wire::vm::Initialize;

/// Questions of the HTTP interface that may wait for the loop.
const WAITING_QUESTIONS: usize = 1_024;
/// Inputs that may wait for the loop.
const WAITING_INPUTS: usize = 4_096;
/// How long the host may take to answer at its own addresses.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// Why a chain does not start.
#[derive(Debug, thiserror::Error)]
pub enum ChainStartError {
    /// The chain was created with something else than a genesis of gridproof.
    #[error("the chain's genesis: {0}; make it with `gridproof avalanche genesis`")]
    Genesis(#[from] GenesisError),
    /// The genesis has no committee.
    #[error(transparent)]
    Committee(#[from] types::committee::CommitteeError),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ChainConfigError),
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The VRF key is not the one that genesis names.
    #[error(
        "the VRF key in {0} is not the one that the genesis names for this validator: check the key files"
    )]
    VrfKey(PathBuf),
    /// The system gives no random bytes.
    #[error(transparent)]
    Randomness(#[from] KeyError),
    /// The store does not open.
    #[error(transparent)]
    Place(#[from] ChainPlaceError),
    /// The blobs do not open.
    #[error(transparent)]
    Blobs(#[from] BlobStoreError),
    /// The quarantine does not open.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The host's record cannot be read.
    #[error(transparent)]
    Record(#[from] HostRecordError),
    /// The chain does not start.
    #[error(transparent)]
    Chain(#[from] chain::Fatal),
    /// There is no thread for the worker.
    #[error(transparent)]
    Worker(#[from] chain::worker::WorkerError),
    /// The host's services do not answer.
    #[error("the host does not answer at {address}: {source}")]
    Dial {
        /// Where it should.
        address: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// The host's ids have other lengths than ids have.
    #[error("the host names the chain by {chain} bytes and the node by {node}, not by 32 and 20")]
    HostIds {
        /// Bytes of the chain's id.
        chain: usize,
        /// Bytes of the node's id.
        node: usize,
    },
    /// The host initialises twice.
    #[error("the VM was initialised before")]
    Twice,
}

/// What a state sync starts from.
#[derive(Debug, Clone)]
pub struct SyncBase {
    /// The places in the chain's directory.
    pub folder: ChainFolder,
    /// The chain's genesis.
    pub genesis: Arc<Genesis>,
    /// The rules of the chain.
    pub rules: Arc<Rules>,
    /// The host's record of what was accepted.
    pub record: HostRecord,
    /// The run's time.
    pub clock: Clock,
    /// The node's configuration.
    pub config: Config,
}

/// A chain that runs, as the host's calls reach it.
#[derive(Debug)]
pub struct RunningChain {
    /// Id of the node.
    pub node_id: Vec<u8>,
    /// Id of the block of height 0.
    pub genesis: BlockId,
    /// Way into the loop.
    pub inputs: mpsc::Sender<HostInput>,
    /// Decided blocks.
    pub store: Store,
    /// The API.
    pub api: EmbeddedServer,
    /// Whether a block is wanted.
    pub wanted: watch::Receiver<bool>,
    /// How the chain is.
    pub standing: watch::Receiver<Standing>,
    /// The other nodes.
    pub nodes: SubnetNodes,
    /// This node's word on the state.
    pub signer: StateSigner,
    /// What a state sync starts from.
    pub base: SyncBase,
    /// Answers to nodes that sync their state.
    pub answers: StateAnswers,
    /// Becomes true when the VM ends.
    pub ended: watch::Sender<bool>,
    /// The loop.
    pub task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// Opens what lies in the chain's directory, which then is not ahead of the host's record.
async fn open(request: &Initialize) -> Result<(SyncBase, Store), ChainStartError> {
    let genesis = Arc::new(Genesis::from_bytes(&request.genesis_bytes)?);
    let config = Config::from_bytes(&request.config_bytes)?;
    let versions = SubnetUpgrades::schedule(&request.upgrade_bytes, &genesis)?;
    let folder = ChainFolder::new(&request.chain_data_dir);
    let record = HostRecord::new(dial(&request.db_server_addr).await?);
    let accepted = record.read().await?;
    let store = tokio::task::block_in_place(|| folder.open_store(&genesis, accepted))?;
    let Tip { height, block, .. } = store.tip();
    // A process that ended before it committed: the host goes back to our block, and may accept another one above it.
    if accepted.is_some_and(|record| record.height > height) {
        record.write(AcceptedRecord { height, block }).await?;
    }
    let base = SyncBase {
        rules: Arc::new(Rules::new(&genesis)?.with_versions(versions)),
        folder,
        genesis,
        record,
        clock: Clock::start(),
        config,
    };
    Ok((base, store))
}

/// Starts the chain that the host names. `connected` are the nodes that are connected, now and later. Needs a tokio runtime
/// with threads.
pub async fn start(
    request: Initialize,
    connected: watch::Receiver<BTreeSet<ValidatorId>>,
) -> Result<RunningChain, ChainStartError> {
    let (base, store) = open(&request).await?;
    let (folder, genesis, config, clock) = (&base.folder, &base.genesis, &base.config, base.clock);
    let nodes = SubnetNodes::new(dial(&request.server_addr).await?, connected);
    let blobs = BlobStore::open(&folder.blobs(), config.blob_quota_bytes)?;
    let quarantine = Quarantine::open(folder.quarantine())?;
    let setup = setup(&base, &store, quarantine.blocks())?;
    let (signer, signers) = signing(&request, &store, &nodes)?;
    let validator = setup.own.as_ref().map(|own| own.id);
    let (subnet, effects) = Subnet::start(setup, clock.now(), &store, blobs.ids())?;
    drop_uploads(&blobs, &subnet)?;
    let (questions, asked) = mpsc::channel(WAITING_QUESTIONS);
    let (inputs, taken) = mpsc::channel(WAITING_INPUTS);
    let (live, watched) = watch::channel(Live::default());
    let (wanted, is_wanted) = watch::channel(false);
    let (standing, stands) = watch::channel(Standing::default());
    let backend = ChainBackend {
        signer: None,
        rules: subnet.rules().clone(),
        genesis: Arc::clone(genesis),
        store: store.clone(),
        blobs: blobs.clone(),
        validator,
        events: event_log(config, clock),
        recent: Arc::new(RecentJobs::default()),
        questions,
        live: watched,
        alarms: Arc::default(),
        metrics: ChainMetrics::default(),
        signers: Some(Box::new(signers)),
    };
    let backend = Arc::new(backend);
    let api = api(&backend);
    let parts = ShellParts {
        subnet,
        store: store.clone(),
        blobs,
        nodes: nodes.clone(),
        record: base.record.clone(),
        backend,
        clock,
        quarantine,
        live,
        wanted,
        standing,
        events: mpsc::channel(WAITING_INPUTS),
    };
    let shell = SubnetShell::new(parts)?;
    let task = tokio::spawn(shell.run(effects, taken, asked));
    let role = validator.map_or_else(
        || "as no validator, for want of its keys".to_owned(),
        |id| format!("as validator {id}"),
    );
    tracing::info!(chain = %genesis.chain_id(), "the chain runs {role}");
    Ok(RunningChain {
        node_id: request.node_id,
        genesis: genesis.header().id(),
        inputs,
        store,
        api,
        wanted: is_wanted,
        standing: stands,
        nodes,
        signer,
        base,
        answers: StateAnswers::default(),
        ended: watch::channel(false).0,
        task: std::sync::Mutex::new(Some(task)),
    })
}

/// What signs states here, and what gathers other nodes' signatures.
fn signing(
    request: &Initialize,
    store: &Store,
    nodes: &SubnetNodes,
) -> Result<(StateSigner, SignatureGatherer), ChainStartError> {
    let chain = <[u8; 32]>::try_from(request.chain_id.as_slice()).ok();
    let (Some(chain), Some(node)) = (chain, network::node(&request.node_id)) else {
        let (chain, node) = (request.chain_id.len(), request.node_id.len());
        return Err(ChainStartError::HostIds { chain, node });
    };
    let chain = AvalancheId(chain);
    let signer = StateSigner::new(nodes.host(), request.network_id, chain, store.clone());
    let gatherer = SignatureGatherer::new(node, signer.clone(), nodes.clone());
    Ok((signer, gatherer))
}

/// The API, with a node's usual limits.
fn api(backend: &Arc<ChainBackend>) -> EmbeddedServer {
    let limits = ServerConfig::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    EmbeddedServer::new(&limits, backend.clone())
}

/// Removes uploads for jobs that ended while the node was down.
fn drop_uploads(blobs: &BlobStore, subnet: &Subnet) -> Result<(), BlobStoreError> {
    let uploads = blobs.uploads().into_iter();
    let mut useless = uploads.filter(|blob| !subnet.needs_blob(blob));
    useless.try_for_each(|blob| blobs.remove(blob))
}

/// An event log whose cursors lie above those of earlier runs, which are told apart as too old: they are microseconds.
fn event_log(config: &Config, clock: Clock) -> Arc<EventLog> {
    let first = clock.now().unix.0.saturating_mul(1_000);
    Arc::new(EventLog::new(config.kept_events, first))
}

async fn dial(address: &str) -> Result<HostConnection, ChainStartError> {
    let dialled = HostConnection::dial(address, DIAL_TIME).await;
    dialled.map_err(|source| ChainStartError::Dial {
        address: address.to_owned(),
        source,
    })
}

fn in_force(rules: &Rules, store: &Store) -> Result<Option<Rules>, ChainStartError> {
    Ok(match rules.in_force(store).map_err(chain::Fatal::from)? {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(rules) => Some(rules),
    })
}

fn setup(
    base: &SyncBase,
    store: &Store,
    quarantined: BTreeSet<BlockId>,
) -> Result<chain::Setup, ChainStartError> {
    let (folder, config) = (&base.folder, &base.config);
    // Fresh for every run and known to nobody else, as batch verification wants it.
    let secret = SecretKey::generate()?;
    let rules = base.rules.as_ref().clone();
    let rules = rules.with_batch_secret(Hash32(*secret.to_bytes()));
    let own = own(folder, &rules, config)?;
    let rules = in_force(&rules, store)?.unwrap_or(rules);
    Ok(chain::Setup {
        own,
        rules: Arc::new(rules),
        retention: chain::Retention {
            results_ms: config.keep_results_seconds.saturating_mul(1_000),
            quota_bytes: config.blob_quota_bytes,
        },
        mempool: vm::MempoolLimits {
            bytes: config.mempool_bytes,
            transactions: config.mempool_transactions,
        },
        quarantined,
    })
}

/// The validator whose keys lie where the configuration says; none if it says nothing and there are none.
fn own(
    folder: &ChainFolder,
    rules: &Rules,
    config: &Config,
) -> Result<Option<OwnValidator>, ChainStartError> {
    let keys = match &config.keys {
        Some(keys) => keys.clone(),
        None if folder.keys().join("validator.key").exists() => folder.keys(),
        None => return Ok(None),
    };
    let passphrases = Passphrases::new(config.passphrase_file.clone(), None);
    let key = keyfile::read_secret(
        &keys.join("validator.key"),
        KeyKind::Validator,
        &passphrases,
    )?;
    let vrf_path = keys.join("vrf.key");
    let vrf_key = keyfile::read_vrf(&vrf_path, &passphrases)?;
    let id = key.public().validator_id();
    let member = rules.committee.validator(&id);
    if member.is_some_and(|member| member.vrf_key != vrf_key.public()) {
        return Err(ChainStartError::VrfKey(vrf_path));
    }
    if member.is_none() {
        tracing::warn!(validator = %id, "this key's validator is not in the chain's committee");
    }
    Ok(Some(OwnValidator {
        id,
        signer: key.into(),
        vrf_key,
    }))
}
