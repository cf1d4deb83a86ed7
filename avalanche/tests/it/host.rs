//! A host for the tests: the runtime, database and sender services that AvalancheGo serves, and its calls.
//!
//! The database keeps every write in order, so that a test can take away the newest ones, as a power cut does.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gridproof_avalanche::grpc::{self, HostConnection};
use gridproof_avalanche::plugin;
use gridproof_avalanche::wire::db::{GetValue, NOT_FOUND, PutValue, ValueFound, ValuePut};
use gridproof_avalanche::wire::http::{Element, SimpleRequest, SimpleResponse};
use gridproof_avalanche::wire::runtime::Announcement;
use gridproof_avalanche::wire::sender::{SendGossip, SendRefusal, SendRequest, SendResponse};
use gridproof_avalanche::wire::vm::{
    AppFailure, AppGossip, AppRequest, AppResponse, BuildBlock, BuiltBlock, Connected, EventFound,
    HostState, Initialize, LastAccepted, SetState,
};
use gridproof_avalanche::wire::{Empty, vm};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use types::codec::encode;
use types::genesis::Genesis;
use types::key::SecretKey;
use types::testing::numbered;

use crate::signing;

/// An answer to another node's request, and the request's number.
type NodeAnswer = (u32, Vec<u8>);

/// No step of a test takes longer.
const LIMIT: Duration = Duration::from_mins(1);

/// The other hosts of a network, by node id.
pub type Routes = Arc<Mutex<BTreeMap<Vec<u8>, HostConnection>>>;

/// A key and its value.
type Write = (Vec<u8>, Vec<u8>);

/// A step of accepting a block at which the plugin is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillAt {
    /// The plugin has stored the block, and its record has not been written.
    BeforeRecord,
    /// The record is written, and the plugin does not know it.
    AfterRecord,
}

/// The part of the host that the plugin calls.
#[derive(Clone, Default)]
pub struct Services {
    /// When the plugin is to be killed, and its process.
    pub kill: Arc<Mutex<Option<(KillAt, u32)>>>,
    /// Every write in order.
    pub writes: Arc<Mutex<Vec<Write>>>,
    /// Requests that the plugin refused.
    pub refused: Arc<Mutex<Vec<u32>>>,
    /// Answers of the plugin to other nodes' requests, with their numbers.
    pub answers: Arc<Mutex<Vec<NodeAnswer>>>,
    node_id: Vec<u8>,
    routes: Routes,
    announced: Arc<Mutex<Option<oneshot::Sender<Announcement>>>>,
}

impl Services {
    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/vm.runtime.Runtime/Initialize" => {
                let announced = self.announced.lock().unwrap().take();
                grpc::answer(request, async move |announcement: Announcement| {
                    let _ = announced.unwrap().send(announcement);
                    Ok(Empty {})
                })
                .await
            }
            "/rpcdb.Database/Get" => grpc::answer(request, async |m| Ok(self.get(&m))).await,
            "/rpcdb.Database/Put" => grpc::answer(request, async |m| self.put(m)).await,
            "/warp.Signer/Sign" => {
                grpc::answer(request, async |m| signing::sign(&self.node_id, m)).await
            }
            "/appsender.AppSender/SendAppGossip" => grpc::answer(request, |m| self.gossip(m)).await,
            "/appsender.AppSender/SendAppRequest" => {
                grpc::answer(request, |m| self.request(m)).await
            }
            "/appsender.AppSender/SendAppResponse" => {
                grpc::answer(request, |m| self.respond(m)).await
            }
            "/appsender.AppSender/SendAppError" => grpc::answer(request, |m| self.refuse(m)).await,
            _ => grpc::unknown_method(),
        }
    }

    fn get(&self, question: &GetValue) -> ValueFound {
        let writes = self.writes.lock().unwrap();
        let found = writes.iter().rev().find(|(key, _)| *key == question.key);
        match found {
            Some((_, value)) => ValueFound {
                value: value.clone(),
                err: 0,
            },
            None => ValueFound {
                value: Vec::new(),
                err: NOT_FOUND,
            },
        }
    }

    fn put(&self, question: PutValue) -> Result<ValuePut, Status> {
        let kill = *self.kill.lock().unwrap();
        if let Some((KillAt::BeforeRecord, process)) = kill {
            kill_process(process);
            return Err(Status::unavailable("the plugin is dead"));
        }
        self.writes
            .lock()
            .unwrap()
            .push((question.key, question.value));
        if let Some((KillAt::AfterRecord, process)) = kill {
            kill_process(process);
        }
        Ok(ValuePut { err: 0 })
    }

    fn others(&self) -> Vec<(Vec<u8>, HostConnection)> {
        let routes = self.routes.lock().unwrap();
        let others = routes.iter().filter(|(id, _)| **id != self.node_id);
        others
            .map(|(id, plugin)| (id.clone(), plugin.clone()))
            .collect()
    }

    async fn gossip(self, gossip: SendGossip) -> Result<Empty, Status> {
        for (id, plugin) in self.others() {
            if gossip.peers > 0 || gossip.node_ids.contains(&id) {
                let message = AppGossip {
                    node_id: self.node_id.clone(),
                    msg: gossip.msg.clone(),
                };
                let _: Empty = plugin.call("/vm.VM/AppGossip", message).await?;
            }
        }
        Ok(Empty {})
    }

    async fn request(self, request: SendRequest) -> Result<Empty, Status> {
        for (id, plugin) in self.others() {
            if request.node_ids.contains(&id) {
                let message = AppRequest {
                    node_id: self.node_id.clone(),
                    request_id: request.request_id,
                    deadline: None,
                    request: request.request.clone(),
                };
                let _: Empty = plugin.call("/vm.VM/AppRequest", message).await?;
            }
        }
        Ok(Empty {})
    }

    async fn respond(self, response: SendResponse) -> Result<Empty, Status> {
        let answer = (response.request_id, response.response.clone());
        self.answers.lock().unwrap().push(answer);
        for (id, plugin) in self.others() {
            if id == response.node_id {
                let message = AppResponse {
                    node_id: self.node_id.clone(),
                    request_id: response.request_id,
                    response: response.response.clone(),
                };
                let _: Empty = plugin.call("/vm.VM/AppResponse", message).await?;
            }
        }
        Ok(Empty {})
    }

    async fn refuse(self, refusal: SendRefusal) -> Result<Empty, Status> {
        self.refused.lock().unwrap().push(refusal.request_id);
        for (id, plugin) in self.others() {
            if id == refusal.node_id {
                let message = AppFailure {
                    node_id: self.node_id.clone(),
                    request_id: refusal.request_id,
                    error_code: refusal.error_code,
                    error_message: refusal.error_message.clone(),
                };
                let _: Empty = plugin.call("/vm.VM/AppRequestFailed", message).await?;
            }
        }
        Ok(Empty {})
    }
}

/// A host with its plugin.
pub struct Host {
    /// The plugin's service.
    pub plugin: HostConnection,
    /// What the plugin announced.
    pub announcement: Announcement,
    /// What the plugin calls.
    pub services: Services,
    /// The host's node id.
    pub node_id: Vec<u8>,
    address: String,
    tasks: Vec<JoinHandle<()>>,
    /// The plugin, if it is a process of its own.
    child: Option<tokio::process::Child>,
}

impl Drop for Host {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Host {
    /// A node alone whose plugin was started and not initialised.
    pub async fn start() -> Self {
        Self::of(1, Routes::default(), Services::default()).await
    }

    /// Node `number` of a network, over what is left of its services' database.
    pub async fn of(number: u8, routes: Routes, services: Services) -> Self {
        Self::with(number, routes, services, false).await
    }

    /// A node alone whose plugin is a process of its own, over what is left of its services' database.
    pub async fn with_process(services: Services) -> Self {
        Self::with(1, Routes::default(), services, true).await
    }

    async fn with(number: u8, routes: Routes, services: Services, process: bool) -> Self {
        let (announced, announcement) = oneshot::channel();
        let node_id = vec![number; 20];
        let services = Services {
            announced: Arc::new(Mutex::new(Some(announced))),
            node_id: node_id.clone(),
            routes: routes.clone(),
            ..services
        };
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let serving = services.clone();
        let server = tokio::spawn(async move {
            let service = tower::service_fn(move |request| serving.clone().serve(request));
            let incoming = TcpIncoming::from(socket);
            Server::builder()
                .serve_with_incoming(service, incoming)
                .await
                .unwrap();
        });
        let mut tasks = vec![server];
        let mut child = None;
        let engine = address.clone();
        if process {
            child = Some(spawn(&engine));
        } else {
            let plugin = async move { plugin::run(&engine, 45).await.unwrap() };
            tasks.push(tokio::spawn(plugin));
        }
        let announcement = tokio::time::timeout(LIMIT, announcement)
            .await
            .unwrap()
            .unwrap();
        let plugin = HostConnection::dial(&announcement.addr, LIMIT)
            .await
            .unwrap();
        routes
            .lock()
            .unwrap()
            .insert(node_id.clone(), plugin.clone());
        Self {
            plugin,
            announcement,
            services,
            node_id,
            address,
            tasks,
            child,
        }
    }

    /// Id of the plugin's process.
    pub fn process(&self) -> u32 {
        let child = self.child.as_ref().expect("a process of its own");
        child.id().expect("it runs")
    }

    /// Kills the plugin's process, if nobody has, and waits for its end.
    pub async fn kill(mut self) -> Services {
        let mut child = self.child.take().expect("a process of its own");
        let _ = child.start_kill();
        child.wait().await.unwrap();
        let services = self.services.clone();
        *services.kill.lock().unwrap() = None;
        services
    }

    /// Calls a method of the VM.
    pub async fn call<Q, A>(&self, method: &'static str, question: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let called = self.plugin.call(method, question);
        tokio::time::timeout(LIMIT, called)
            .await
            .expect("no call takes longer")
    }

    /// Initialises the chain in a directory. Key number `key` is the validator's.
    pub async fn initialize(
        &self,
        genesis: &Genesis,
        folder: &Path,
        key: Option<u8>,
    ) -> Result<LastAccepted, Status> {
        if let Some(number) = key {
            write_keys(&folder.join("keys"), number);
        }
        let request = Initialize {
            network_id: 12_345,
            subnet_id: vec![1; 32],
            chain_id: vec![2; 32],
            node_id: self.node_id.clone(),
            chain_data_dir: folder.to_str().unwrap().to_owned(),
            genesis_bytes: encode(genesis),
            db_server_addr: self.address.clone(),
            server_addr: self.address.clone(),
            ..Initialize::default()
        };
        self.call("/vm.VM/Initialize", request).await
    }

    /// Tells the VM what the host does with the chain.
    pub async fn set_state(&self, state: HostState) -> LastAccepted {
        let state = state.into();
        self.call("/vm.VM/SetState", SetState { state })
            .await
            .unwrap()
    }

    /// A node alone that has begun to agree on blocks.
    pub async fn normal(genesis: &Genesis, folder: &Path, key: u8) -> Self {
        let host = Self::start().await;
        host.initialize(genesis, folder, Some(key)).await.unwrap();
        host.set_state(HostState::Bootstrapping).await;
        host.set_state(HostState::NormalOp).await;
        host
    }

    /// Waits until a block is wanted.
    pub async fn wanted(&self) {
        let found: EventFound = self.call("/vm.VM/WaitForEvent", Empty {}).await.unwrap();
        assert_eq!(found.message, i32::from(vm::HostEvent::BuildBlock));
    }

    /// True if a block is wanted within a moment.
    pub async fn wants_soon(&self) -> bool {
        let waiting = self
            .plugin
            .call::<_, EventFound>("/vm.VM/WaitForEvent", Empty {});
        let moment = Duration::from_millis(700);
        tokio::time::timeout(moment, waiting).await.is_ok()
    }

    /// Has a block built.
    pub async fn build(&self) -> BuiltBlock {
        self.call("/vm.VM/BuildBlock", BuildBlock::default())
            .await
            .unwrap()
    }

    /// Has a block verified.
    pub async fn verify(&self, block: &BuiltBlock) -> Result<(), Status> {
        let question = vm::Verify {
            bytes: block.bytes.clone(),
            p_chain_height: None,
        };
        let verified: vm::VerifiedBlock = self.call("/vm.VM/BlockVerify", question).await?;
        assert_eq!(verified.timestamp, block.timestamp);
        Ok(())
    }

    /// Prefers a block.
    pub async fn prefer(&self, block: &BuiltBlock) {
        let id = block.id.clone();
        let _: Empty = self
            .call("/vm.VM/SetPreference", vm::Preference { id })
            .await
            .unwrap();
    }

    /// Accepts a block.
    pub async fn accept(&self, block: &BuiltBlock) -> Result<(), Status> {
        let id = block.id.clone();
        let _: Empty = self.call("/vm.VM/BlockAccept", vm::Accept { id }).await?;
        Ok(())
    }

    /// Rejects a block.
    pub async fn reject(&self, block: &BuiltBlock) {
        let id = block.id.clone();
        let _: Empty = self
            .call("/vm.VM/BlockReject", vm::Reject { id })
            .await
            .unwrap();
    }

    /// Waits for a wanted block, builds, verifies and accepts it.
    pub async fn next(&self) -> BuiltBlock {
        self.wanted().await;
        let block = self.build().await;
        self.verify(&block).await.unwrap();
        self.prefer(&block).await;
        self.accept(&block).await.unwrap();
        block
    }

    /// Tells the VM that a node is connected.
    pub async fn connect(&self, node_id: &[u8]) {
        let connected = Connected {
            node_id: node_id.to_vec(),
            ..Connected::default()
        };
        let _: Empty = self.call("/vm.VM/Connected", connected).await.unwrap();
    }

    /// A request to the chain's API, as the host passes it on.
    pub async fn http(&self, method: &str, path: &str, body: Vec<u8>) -> SimpleResponse {
        let octets = |key: &str| Element {
            key: key.to_owned(),
            values: vec!["application/octet-stream".to_owned()],
        };
        let request = SimpleRequest {
            method: method.to_owned(),
            url: format!("/ext/bc/2tpr5WXYxyuTU6bRGvqK7Gz5Lra5/{path}"),
            request_headers: vec![octets("Content-Type"), octets("Accept")],
            body,
            response_headers: Vec::new(),
        };
        self.call("/http.HTTP/HandleSimple", request).await.unwrap()
    }

    /// Shuts the VM down.
    pub async fn shutdown(self) -> Services {
        let _: Empty = self.call("/vm.VM/Shutdown", Empty {}).await.unwrap();
        self.services.clone()
    }
}

fn kill_process(process: u32) {
    let process = i32::try_from(process).unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    // It may be dead already.
    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
}

/// Starts this test program as a plugin: see [`crate::killed::plugin_process`].
fn spawn(engine: &str) -> tokio::process::Child {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::plugin_process", "--nocapture"])
        .env(gridproof_avalanche::ENGINE_ADDRESS, engine)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Writes a validator's keys where a plugin looks for them.
fn write_keys(folder: &Path, number: u8) {
    static ONE: OnceLock<Mutex<()>> = OnceLock::new();
    let _one = ONE.get_or_init(Mutex::default).lock().unwrap();
    if folder.exists() {
        return;
    }
    std::fs::create_dir_all(folder).unwrap();
    let key: SecretKey = numbered::key(number);
    let kind = keys::keyfile::KeyKind::Validator;
    keys::keyfile::write_secret(&folder.join("validator.key"), kind, &key).unwrap();
    keys::keyfile::write_vrf(&folder.join("vrf.key"), &numbered::vrf_key(number)).unwrap();
}
