//! What a host serves to its plugin: the runtime, the database, and messages to other nodes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use gridproof_avalanche::grpc::{self, HostConnection};
use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::db::{GetValue, NOT_FOUND, PutValue, ValueFound, ValuePut};
use gridproof_avalanche::wire::runtime::Announcement;
use gridproof_avalanche::wire::sender::{SendGossip, SendRefusal, SendRequest, SendResponse};
use gridproof_avalanche::wire::vm::{AppFailure, AppGossip, AppRequest, AppResponse};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

use crate::signing;

/// An answer to another node's request, and the request's number.
type NodeAnswer = (u32, Vec<u8>);

/// The other hosts of a network, by node id.
pub type Routes = Arc<Mutex<BTreeMap<Vec<u8>, HostConnection>>>;

/// A key and its value.
type Write = (Vec<u8>, Vec<u8>);

/// A step of accepting a block at which the plugin is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillAt {
    /// The plugin has asked for its record, which has not been written.
    BeforeRecord,
    /// The record is written, and the plugin, which knows nothing of it, has not committed the block.
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
    /// Every request that the plugin sent to a node.
    pub requests: Arc<Mutex<Vec<Vec<u8>>>>,
    /// How many requests are still passed on to other nodes; the others are lost.
    pub passed_on: Arc<Mutex<Option<usize>>>,
    pub node_id: Vec<u8>,
    pub routes: Routes,
    pub announced: Arc<Mutex<Option<oneshot::Sender<Announcement>>>>,
}

impl Services {
    pub async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
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
        self.requests.lock().unwrap().push(request.request.clone());
        if let Some(left) = self.passed_on.lock().unwrap().as_mut() {
            let Some(less) = left.checked_sub(1) else {
                return Ok(Empty {});
            };
            *left = less;
        }
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

fn kill_process(process: u32) {
    let process = i32::try_from(process).unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    // It may be dead already.
    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
}
