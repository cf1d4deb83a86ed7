//! The calls that the host makes: each path of `vm.VM` and `http.HTTP` with what answers it.
//!
//! Before `Initialize` only `Version` and `Shutdown` are answered. Calls that bring other nodes' messages never fail,
//! whatever the message: the host takes their failure for the chain's.

mod api;
mod blocks;
mod summaries;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::Service;
use types::hash::ValidatorId;

use self::summaries::SyncStation;

use crate::effect::{CallReply, HostCall, Phase, Refusal};
use crate::grpc;
use crate::message::{self, Asked, SubnetMessage};
use crate::network;
use crate::report;
use crate::shell::HostInput;
use crate::start::{self, ChainStartError, RunningChain};
use crate::times::CallTimes;
use crate::wire::metrics::GatheredMetrics;
use crate::wire::vm::{
    AppFailure, AppGossip, AppRequest, AppResponse, Connected, Disconnected, EventFound, Handler,
    Handlers, HeaderHandler, HealthReport, HostEvent, HostState, Initialize, LastAccepted,
    PluginVersion, SetState,
};
use crate::wire::{Empty, http};

/// Time between two events that did not make the host ask for a block: it may have good reasons not to, and must not
/// be asked without pause.
const EVENT_PAUSE: Duration = Duration::from_millis(250);

/// The paths under which the API is served below the chain's own, as the host's router matches them.
const API_PATHS: [&str; 3] = ["/{path:v1/.*}", "/livez", "/readyz"];

/// The VM as the host calls it. Copies are one VM.
#[derive(Debug, Clone)]
pub struct VmService {
    /// Where this process serves.
    address: Arc<str>,
    may_end: Arc<AtomicBool>,
    starting: Arc<tokio::sync::Mutex<()>>,
    /// None before `Initialize` and after `Shutdown`.
    running: Arc<RwLock<Option<Arc<RunningChain>>>>,
    /// When the host was last told to build, unless it did.
    told: Arc<Mutex<Option<Instant>>>,
    times: Arc<CallTimes>,
    /// Nodes that are connected: a chain that is started again must know them.
    peers: Arc<watch::Sender<BTreeSet<ValidatorId>>>,
    sync: Arc<SyncStation>,
}

impl VmService {
    /// A VM that serves at this address and was not initialised.
    pub fn new(address: String) -> Self {
        Self {
            address: address.into(),
            may_end: Arc::default(),
            starting: Arc::default(),
            running: Arc::default(),
            told: Arc::default(),
            times: Arc::default(),
            peers: Arc::default(),
            sync: Arc::default(),
        }
    }

    /// True once the host has called `Shutdown`.
    pub fn may_end(&self) -> bool {
        self.may_end.load(Ordering::Acquire)
    }

    fn running(&self) -> Option<Arc<RunningChain>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }

    fn set_running(&self, chain: Option<RunningChain>) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        *running = chain.map(Arc::new);
    }

    fn chain(&self) -> Result<Arc<RunningChain>, Status> {
        self.running()
            .ok_or_else(|| Status::failed_precondition("the VM is not initialised"))
    }

    async fn initialize(self, request: Initialize) -> Result<LastAccepted, Status> {
        let _one = self.starting.lock().await;
        if self.running().is_some() || self.may_end() {
            return Err(Status::failed_precondition(
                ChainStartError::Twice.to_string(),
            ));
        }
        let chain = start::start(request.clone(), self.peers.subscribe())
            .await
            .map_err(|error| {
                tracing::error!(%error, "the chain does not start");
                Status::failed_precondition(error.to_string())
            })?;
        self.sync.initialized(request);
        self.set_running(Some(chain));
        self.last_accepted()
    }

    async fn set_state(self, request: SetState) -> Result<LastAccepted, Status> {
        let state = HostState::try_from(request.state);
        if state != Ok(HostState::StateSyncing) {
            self.sync.end_is_known();
        }
        let phase = match state {
            Ok(HostState::NormalOp) => Phase::Normal,
            Ok(HostState::StateSyncing | HostState::Bootstrapping) => Phase::CatchingUp,
            Ok(HostState::Unspecified) | Err(_) => {
                return Err(Status::invalid_argument("no such state"));
            }
        };
        self.ask(HostCall::SetPhase(phase)).await?;
        self.last_accepted()
    }

    /// Asks the loop, and waits for its answer.
    async fn ask(&self, call: HostCall) -> Result<CallReply, Status> {
        let stopped = || Status::unavailable(Refusal::Stopped.to_string());
        let (answer, answered) = oneshot::channel();
        let input = HostInput::Call(call, answer);
        self.chain()?
            .inputs
            .send(input)
            .await
            .map_err(|_| stopped())?;
        match answered.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => Err(Status::failed_precondition(refusal.to_string())),
            Err(_) => Err(stopped()),
        }
    }

    /// Tells the loop something that nobody waits for.
    async fn tell(&self, input: HostInput) {
        if let Ok(chain) = self.chain()
            && chain.inputs.send(input).await.is_err()
        {
            tracing::debug!("the chain has ended");
        }
    }

    async fn shutdown(self) -> Result<Empty, Status> {
        self.sync.stop().await;
        if let Some(chain) = self.running() {
            stop(&chain).await;
        }
        // The store closes with the last call that uses it.
        self.set_running(None);
        self.may_end.store(true, Ordering::Release);
        Ok(Empty {})
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn version(self) -> Result<PluginVersion, Status> {
        Ok(PluginVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn create_handlers(self) -> Result<Handlers, Status> {
        let handler = |prefix: &str| Handler {
            prefix: prefix.to_owned(),
            server_addr: self.address.to_string(),
        };
        Ok(Handlers {
            handlers: API_PATHS.map(handler).into(),
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn header_handler(self) -> Result<HeaderHandler, Status> {
        Ok(HeaderHandler {
            server_addr: self.address.to_string(),
        })
    }

    /// Waits until a state sync has ended, or a block can be built and should be.
    async fn wait_for_event(self) -> Result<EventFound, Status> {
        tokio::select! {
            biased;
            () = self.sync.ended() => Ok(event(HostEvent::StateSyncFinished)),
            found = self.clone().wait_for_block() => found,
        }
    }

    /// Waits until a block can be built and should be. The chain that runs may end and be another after a state sync.
    async fn wait_for_block(self) -> Result<EventFound, Status> {
        if self.sync.is_under_way() {
            return std::future::pending().await;
        }
        let found = self.wait_for_wanted().await;
        if self.sync.is_under_way() {
            return std::future::pending().await;
        }
        found
    }

    async fn wait_for_wanted(&self) -> Result<EventFound, Status> {
        // It is not held while nothing happens.
        let (mut wanted, mut ended) = {
            let chain = self.chain()?;
            (chain.wanted.clone(), chain.ended.subscribe())
        };
        let closed = || Status::cancelled("the VM ends");
        loop {
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => return Err(closed()),
                found = wanted.wait_for(|wanted| *wanted) => drop(found.map_err(|_| closed())?),
            }
            let told = self.told();
            match told.map(|told| told + EVENT_PAUSE) {
                Some(due) if due > Instant::now() => tokio::time::sleep_until(due).await,
                _ => break,
            }
        }
        self.set_told(Some(Instant::now()));
        Ok(event(HostEvent::BuildBlock))
    }

    fn told(&self) -> Option<Instant> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_told(&self, told: Option<Instant>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn health(self) -> Result<HealthReport, Status> {
        let standing = *self.chain()?.standing.borrow();
        if standing.stopped {
            return Err(Status::internal(Refusal::Stopped.to_string()));
        }
        if let Some(reason) = report::not_ready(&standing, Instant::now()) {
            return Err(Status::unavailable(reason));
        }
        Ok(HealthReport {
            details: report::health(&standing),
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn gather(self) -> Result<GatheredMetrics, Status> {
        let Ok(chain) = self.chain() else {
            return Ok(GatheredMetrics::default());
        };
        Ok(report::metrics(&chain.standing.borrow(), &self.times))
    }

    async fn peer(self, node_id: Vec<u8>, connected: bool) -> Result<Empty, Status> {
        // The host tells of itself too.
        let is_own = self.running().is_some_and(|chain| chain.node_id == node_id);
        if let Some(node) = network::node(&node_id).filter(|_| !is_own) {
            self.peers.send_if_modified(|peers| {
                if connected {
                    peers.insert(node)
                } else {
                    peers.remove(&node)
                }
            });
            self.tell(HostInput::Peer(node, connected)).await;
        }
        Ok(Empty {})
    }

    async fn app_gossip(self, gossip: AppGossip) -> Result<Empty, Status> {
        match (
            network::node(&gossip.node_id),
            SubnetMessage::from_bytes(&gossip.msg),
        ) {
            (Some(from), Ok(message)) => self.tell(HostInput::Message(from, message)).await,
            (_, Err(error)) => tracing::debug!(%error, "a node's message is dropped"),
            (None, _) => {}
        }
        Ok(Empty {})
    }

    async fn app_request(self, request: AppRequest) -> Result<Empty, Status> {
        let (Ok(chain), Some(from)) = (self.chain(), network::node(&request.node_id)) else {
            return Ok(Empty {});
        };
        let number = request.request_id;
        match message::asked(&request.request) {
            Some(Asked::Chunk(content)) => {
                let input = HostInput::ChunkRequest(from, number, content.to_vec());
                self.tell(input).await;
            }
            Some(Asked::State(content)) => {
                summaries::answer(&chain, from, number, content.to_vec()).await;
            }
            Some(Asked::Signature(content)) => {
                let answer = chain.signer.answer(content).await;
                let answer = answer
                    .inspect_err(|error| tracing::debug!(%error, node = %from.0, "not signed"));
                chain.nodes.respond(from, number, answer.ok()).await;
            }
            None => chain.nodes.respond(from, number, None).await,
        }
        Ok(Empty {})
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn app_answer(
        self,
        node_id: Vec<u8>,
        number: u32,
        result: Result<Vec<u8>, i32>,
    ) -> Result<Empty, Status> {
        if let (Ok(chain), Some(from)) = (self.chain(), network::node(&node_id)) {
            chain.nodes.answered(from, number, result);
        }
        Ok(Empty {})
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/vm.VM/") {
            Some(method) => {
                let (times, begun) = (Arc::clone(&self.times), Instant::now());
                let answer = self.serve_vm(method, request).await;
                times.add(method, begun.elapsed());
                answer
            }
            None if path == http::HANDLE_SIMPLE => {
                grpc::answer(request, |passed| self.handle_simple(passed)).await
            }
            None => grpc::unknown_method(),
        }
    }

    async fn serve_vm(
        self,
        method: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let vm = self;
        match method {
            "Initialize" => grpc::answer(request, |m| vm.initialize(m)).await,
            "SetState" => grpc::answer(request, |m| vm.set_state(m)).await,
            "Shutdown" => grpc::answer(request, |Empty {}| vm.shutdown()).await,
            "Version" => grpc::answer(request, |Empty {}| vm.version()).await,
            "CreateHandlers" => grpc::answer(request, |Empty {}| vm.create_handlers()).await,
            "NewHTTPHandler" => grpc::answer(request, |Empty {}| vm.header_handler()).await,
            "WaitForEvent" => grpc::answer(request, |Empty {}| vm.wait_for_event()).await,
            "Health" => grpc::answer(request, |Empty {}| vm.health()).await,
            "Gather" => grpc::answer(request, |Empty {}| vm.gather()).await,
            "Connected" => grpc::answer(request, |m: Connected| vm.peer(m.node_id, true)).await,
            "Disconnected" => {
                grpc::answer(request, |m: Disconnected| vm.peer(m.node_id, false)).await
            }
            "AppGossip" => grpc::answer(request, |m| vm.app_gossip(m)).await,
            "AppRequest" => grpc::answer(request, |m| vm.app_request(m)).await,
            "AppResponse" => {
                let answered =
                    |m: AppResponse| vm.app_answer(m.node_id, m.request_id, Ok(m.response));
                grpc::answer(request, answered).await
            }
            "AppRequestFailed" => {
                let failed =
                    |m: AppFailure| vm.app_answer(m.node_id, m.request_id, Err(m.error_code));
                grpc::answer(request, failed).await
            }
            method if method.contains("Summary") || method == "StateSyncEnabled" => {
                summaries::serve(vm, method, request).await
            }
            method => blocks::serve(vm, method, request).await,
        }
    }
}

fn event(found: HostEvent) -> EventFound {
    EventFound {
        message: found.into(),
    }
}

/// Ends a chain's loop; the calls that wait for it end too.
async fn stop(chain: &RunningChain) {
    chain.ended.send_replace(true);
    chain.api.stop();
    let _ = chain.inputs.send(HostInput::Shutdown).await;
    let task = chain
        .task
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(task) = task
        && let Err(error) = task.await
    {
        tracing::error!(%error, "the chain's loop");
    }
}

/// The service of the whole process.
pub fn dispatcher(
    vm: VmService,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request| vm.clone().serve(request))
}
