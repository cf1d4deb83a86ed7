//! A host for the tests: it starts a plugin and makes AvalancheGo's calls. What it serves is in [`crate::services`].
//!
//! The database keeps every write in order, so that a test can take away the newest ones, as a power cut does.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gridproof_avalanche::grpc::HostConnection;
use gridproof_avalanche::plugin;
use gridproof_avalanche::wire::http::{Element, SimpleRequest, SimpleResponse};
use gridproof_avalanche::wire::runtime::Announcement;
use gridproof_avalanche::wire::vm::{
    BuildBlock, BuiltBlock, Connected, EventFound, HostState, Initialize, LastAccepted, SetState,
};
use gridproof_avalanche::wire::{Empty, vm};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use types::codec::encode;
use types::genesis::Genesis;
use types::key::SecretKey;
use types::testing::numbered;

/// No step of a test takes longer.
const LIMIT: Duration = Duration::from_mins(1);

pub use crate::services::{KillAt, Routes, Services};

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
        Self::process_of(1, Routes::default(), services).await
    }

    /// Node `number` of a network, whose plugin is a process of its own.
    pub async fn process_of(number: u8, routes: Routes, services: Services) -> Self {
        Self::with(number, routes, services, true).await
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
        self.initialize_with(genesis, folder, key, "").await
    }

    /// The same, with a configuration.
    pub async fn initialize_with(
        &self,
        genesis: &Genesis,
        folder: &Path,
        key: Option<u8>,
        config: &str,
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
            config_bytes: config.as_bytes().to_vec(),
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

/// Starts this test program as a plugin: see [`crate::killed::plugin_process`].
fn spawn(engine: &str) -> tokio::process::Child {
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::plugin_process", "--nocapture"])
        .env(gridproof_avalanche::ENGINE_ADDRESS, engine)
        .stdout(std::process::Stdio::null())
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
