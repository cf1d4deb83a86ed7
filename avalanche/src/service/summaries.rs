//! Calls about state sync. The host's nodes agree on a summary; the VM then fetches the state below its block, executes
//! the block, and starts again on the store that came of it, in the same process.
//!
//! Whatever goes wrong before that, the chain goes on from where it was: the host then fetches blocks. What came of the
//! state is kept, for the next start.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chain::state_sync::fetch::{self, FetchError, FetchedBlocks};
use chain::state_sync::replay::{self, ReplayError};
use state::{DecidedState, StateError};
use store::{StagedStore, Store, StoreError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use types::block::Header;
use types::hash::ValidatorId;
use types::number::Height;

use super::{VmService, stop};
use crate::grpc;
use crate::places::{self, ChainPlaceError};
use crate::record::{AcceptedRecord, HostRecordError};
use crate::shell::HostInput;
use crate::start::{self, ChainStartError, RunningChain, SyncBase};
use crate::sync::{self, StateNodes};
use crate::wire::Empty;
use crate::wire::vm::{
    AcceptSummary, GetSummary, Initialize, ParseSummary, ParsedSummary, Summary, SummaryAccepted,
    SummaryAtHeight, SyncEnabled, WireError,
};

/// The summary is of no use: the host goes on with blocks.
const SKIPPED: i32 = 1;
/// The host waits until the state is here.
const STATIC: i32 = 2;
/// How long the store of a chain that has ended may stay open for calls that still use it.
const CLOSE_TIME: Duration = Duration::from_secs(20);
/// How often that is looked at.
const CLOSE_LOOK: Duration = Duration::from_millis(5);

/// Why a state sync ends without a state.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    /// The directory cannot be used.
    #[error(transparent)]
    Place(#[from] ChainPlaceError),
    /// The store that is made cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state does not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The state that came cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The block cannot be executed on it.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The host does not take the record.
    #[error(transparent)]
    Record(#[from] HostRecordError),
    /// The chain does not start on it.
    #[error(transparent)]
    Start(#[from] ChainStartError),
    /// A call still uses the old store.
    #[error("the store is still in use after {} s", CLOSE_TIME.as_secs())]
    InUse,
}

/// The state sync of a VM.
#[derive(Debug, Default)]
pub(super) struct SyncStation {
    /// As the host has called it: a chain is started again with the same.
    request: Mutex<Option<Initialize>>,
    task: Mutex<Option<JoinHandle<()>>>,
    stage: watch::Sender<SyncStage>,
}

/// How far a state sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SyncStage {
    /// There is none.
    #[default]
    None,
    /// It goes on.
    UnderWay,
    /// It has ended, and the host does not know yet.
    Ended,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SyncStation {
    pub(super) fn initialized(&self, request: Initialize) {
        *locked(&self.request) = Some(request);
    }

    pub(super) fn is_under_way(&self) -> bool {
        *self.stage.borrow() != SyncStage::None
    }

    /// Waits for the end of a sync that the host does not know of.
    pub(super) async fn ended(&self) {
        let mut stage = self.stage.subscribe();
        // The sender is ours, so that nothing else ends this.
        let _ = stage.wait_for(|stage| *stage == SyncStage::Ended).await;
    }

    /// The host does something else than to wait for a sync: it knows of its end.
    pub(super) fn end_is_known(&self) {
        self.stage.send_if_modified(|stage| {
            let ended = *stage == SyncStage::Ended;
            *stage = if ended { SyncStage::None } else { *stage };
            ended
        });
    }

    /// Ends a sync that goes on. What came is kept.
    pub(super) async fn stop(&self) {
        let task = locked(&self.task).take();
        if let Some(task) = task {
            task.abort();
            // An error says that it was ended.
            let _ = task.await;
            self.stage.send_replace(SyncStage::Ended);
        }
    }
}

/// Answers the calls about summaries.
pub(super) async fn serve(
    vm: VmService,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    match method {
        "StateSyncEnabled" => grpc::answer(request, |Empty {}| vm.sync_enabled()).await,
        "GetOngoingSyncStateSummary" => {
            grpc::answer(request, |Empty {}| vm.ongoing_summary()).await
        }
        "GetLastStateSummary" => grpc::answer(request, |Empty {}| vm.last_summary()).await,
        "ParseStateSummary" => grpc::answer(request, |m| vm.parse_summary(m)).await,
        "GetStateSummary" => grpc::answer(request, |m| vm.summary_at(m)).await,
        "StateSummaryAccept" => grpc::answer(request, |m| vm.accept_summary(m)).await,
        _ => grpc::unknown_method(),
    }
}

/// Answers a node that fetches a state, unless too much is asked at once.
pub(super) async fn answer(chain: &RunningChain, from: ValidatorId, number: u32, request: Vec<u8>) {
    let nodes = chain.nodes.clone();
    let Some(right) = chain.answers.begin(from) else {
        return nodes.respond(from, number, None).await;
    };
    let store = chain.store.clone();
    tokio::spawn(async move {
        let made = tokio::task::spawn_blocking(move || right.make(&store, &request));
        nodes.respond(from, number, made.await.ok().flatten()).await;
    });
}

fn unreadable(error: &StateError) -> Status {
    tracing::error!(%error, "the store cannot be read");
    Status::internal(format!("the store cannot be read: {error}"))
}

fn summary(found: Option<&Header>) -> Summary {
    found.map_or_else(
        || Summary {
            err: WireError::NotFound.into(),
            ..Summary::default()
        },
        |header| Summary {
            id: header.id().0.0.to_vec(),
            height: header.height.0,
            bytes: sync::summary_bytes(header),
            err: WireError::None.into(),
        },
    )
}

#[expect(clippy::unused_async, reason = "calls are asynchronous")]
impl VmService {
    async fn sync_enabled(self) -> Result<SyncEnabled, Status> {
        Ok(SyncEnabled {
            enabled: self.chain()?.base.config.state_sync,
            err: WireError::None.into(),
        })
    }

    async fn ongoing_summary(self) -> Result<Summary, Status> {
        let folder = self.chain()?.base.folder.staged();
        // One that cannot be opened now is none.
        let staged = block_in_place(|| StagedStore::open(&folder, &places::settings()));
        let staged = staged.ok().flatten();
        Ok(summary(staged.as_ref().map(StagedStore::target)))
    }

    async fn last_summary(self) -> Result<Summary, Status> {
        let chain = self.chain()?;
        let interval = chain.base.config.summary_interval;
        let found = block_in_place(|| sync::newest(&chain.store, interval));
        Ok(summary(found.map_err(|error| unreadable(&error))?.as_ref()))
    }

    async fn parse_summary(self, request: ParseSummary) -> Result<ParsedSummary, Status> {
        let chain = self.chain()?.base.rules.chain_id;
        Ok(match sync::parse(&request.bytes, chain) {
            Some(header) => ParsedSummary {
                id: header.id().0.0.to_vec(),
                height: header.height.0,
                err: WireError::None.into(),
            },
            None => ParsedSummary {
                err: WireError::NotFound.into(),
                ..ParsedSummary::default()
            },
        })
    }

    async fn summary_at(self, request: GetSummary) -> Result<SummaryAtHeight, Status> {
        let chain = self.chain()?;
        let found = block_in_place(|| sync::at(&chain.store, Height(request.height)));
        let Summary { id, bytes, err, .. } =
            summary(found.map_err(|error| unreadable(&error))?.as_ref());
        Ok(SummaryAtHeight { id, bytes, err })
    }

    /// Begins to fetch the state below a summary's block, unless that saves too little.
    async fn accept_summary(self, request: AcceptSummary) -> Result<SummaryAccepted, Status> {
        let chain = self.chain()?;
        let base = chain.base.clone();
        let err = WireError::None.into();
        let skipped = SummaryAccepted { mode: SKIPPED, err };
        let Some(target) = sync::parse(&request.bytes, base.rules.chain_id) else {
            return Ok(skipped);
        };
        let saved = target.height.0.saturating_sub(chain.store.tip().height.0);
        if !base.config.state_sync || saved < base.config.least_synced_heights.max(1) {
            return Ok(skipped);
        }
        tracing::info!(height = %target.height, block = %target.id(), "the state is fetched from other nodes");
        self.sync.stage.send_replace(SyncStage::UnderWay);
        let vm = self.clone();
        let task = tokio::spawn(async move {
            match vm.sync(&target, base).await {
                Ok(()) => {
                    tracing::info!(height = %target.height, "the chain goes on from the state of other nodes");
                }
                Err(error) => tracing::error!(%error, "no state was synced"),
            }
            vm.sync.stage.send_replace(SyncStage::Ended);
        });
        *locked(&self.sync.task) = Some(task);
        Ok(SummaryAccepted { mode: STATIC, err })
    }
}

impl VmService {
    async fn sync(&self, target: &Header, base: SyncBase) -> Result<(), SyncError> {
        let (folder, chain) = (&base.folder, base.rules.chain_id);
        let nodes = match self.running() {
            Some(running) => StateNodes(running.nodes.clone()),
            None => return Ok(()),
        };
        let staged = block_in_place(|| {
            StagedStore::begin(&folder.staged(), chain, target, &places::settings())
        })?;
        let fetched = fetch::fetch(&staged, &nodes, nodes.0.connections(), base.clock).await?;
        block_in_place(|| {
            let finished = finish(staged, &fetched, &base);
            // What cannot be finished now never can.
            if finished.is_err() {
                folder.drop_staged()?;
            }
            finished
        })?;
        let (height, block) = (target.height, target.id());
        // The host has the outer block on record since before it asked. From now on a start takes the new store.
        base.record.write(AcceptedRecord { height, block }).await?;
        self.start_again(&base).await
    }

    /// Ends the chain, puts the synced store in its store's place, and starts it again.
    async fn start_again(&self, base: &SyncBase) -> Result<(), SyncError> {
        let _one = self.starting.lock().await;
        let running = self.running();
        self.set_running(None);
        if let Some(running) = running {
            stop(&running).await;
            let store = running.store.clone();
            drop(running);
            closed(store).await?;
        }
        block_in_place(|| base.folder.replace())?;
        let request = locked(&self.sync.request).clone().unwrap_or_default();
        let chain = start::start(request, self.peers.subscribe()).await?;
        self.set_running(Some(chain));
        let peers = self.peers.borrow().clone();
        for peer in peers {
            self.tell(HostInput::Peer(peer, true)).await;
        }
        Ok(())
    }
}

/// Makes a store of a state that is here, and executes the block above it.
fn finish(staged: StagedStore, fetched: &FetchedBlocks, base: &SyncBase) -> Result<(), SyncError> {
    match &fetched.parent {
        Some(parent) => staged.finish(parent)?,
        None => drop(staged),
    }
    let store = base.folder.open_staged(&base.genesis)?;
    Ok(replay::replay(&store, &base.rules, &fetched.block)?)
}

/// Waits until nobody else uses a store, and closes it.
async fn closed(store: Store) -> Result<(), SyncError> {
    let limit = Instant::now() + CLOSE_TIME;
    let mut looks = tokio::time::interval(CLOSE_LOOK);
    while store.handles() > 1 {
        if Instant::now() > limit {
            return Err(SyncError::InUse);
        }
        looks.tick().await;
    }
    Ok(())
}
