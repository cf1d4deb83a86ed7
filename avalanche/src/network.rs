//! The VMs on other nodes, through the host: gossip out, requests with their answers, and answers to requests.
//!
//! A node is named by the 20 bytes of its id, which stand where the chain has a validator's id. What is sent may get
//! lost; every request ends, with an answer, a refusal or a time limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chain::Destination;
use chain::blob_tasks::{AskError, ChunkSource};
use tokio::sync::{oneshot, watch};
use types::hash::{Address, ValidatorId};

use crate::grpc::HostConnection;
use crate::message::{self, SubnetMessage};
use crate::wire::Empty;
use crate::wire::sender::{
    SEND_ERROR, SEND_GOSSIP, SEND_REQUEST, SEND_RESPONSE, SendGossip, SendRefusal, SendRequest,
    SendResponse,
};

/// The host samples so many nodes for a message to all: every node of a subnet.
const ALL_NODES: u64 = 4_096;
/// How long a request may take: longer than the host lets it.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The code of a timeout among the host's.
const TIMEOUT_CODE: i32 = -1;
/// The code by which a request of ours is refused.
const REFUSED_CODE: i32 = 1;

/// The id of a node, as the chain names its peers.
pub fn node(id: &[u8]) -> Option<ValidatorId> {
    Some(ValidatorId(Address(id.try_into().ok()?)))
}

/// Why a node does not answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeRefusal {
    /// It, or the host, says so.
    #[error("the node does not answer, code {0}")]
    Code(i32),
    /// The host does not take the request.
    #[error("the host does not send: {0}")]
    Host(Box<tonic::Status>),
    /// The plugin ends.
    #[error("the plugin ends")]
    Ended,
}

type RequestAnswer = oneshot::Sender<Result<Vec<u8>, i32>>;

/// The other nodes. Copies share the requests under way.
#[derive(Debug, Clone)]
pub struct SubnetNodes {
    host: HostConnection,
    next: Arc<AtomicU32>,
    connected: watch::Receiver<BTreeSet<ValidatorId>>,
    waiting: Arc<Mutex<BTreeMap<u32, (ValidatorId, RequestAnswer)>>>,
}

impl SubnetNodes {
    /// The nodes behind a connection to the host's services, and which of them are connected.
    pub fn new(host: HostConnection, connected: watch::Receiver<BTreeSet<ValidatorId>>) -> Self {
        Self {
            host,
            next: Arc::default(),
            connected,
            waiting: Arc::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u32, (ValidatorId, RequestAnswer)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to the host's services.
    pub fn host(&self) -> HostConnection {
        self.host.clone()
    }

    /// The nodes that are connected now.
    pub fn connected(&self) -> BTreeSet<ValidatorId> {
        self.connected.borrow().clone()
    }

    /// The nodes that are connected, now and later.
    pub fn connections(&self) -> watch::Receiver<BTreeSet<ValidatorId>> {
        self.connected.clone()
    }

    /// Sends a message; nobody is told whether it arrives.
    pub async fn send(&self, to: Destination, message: &SubnetMessage) {
        let (node_ids, peers) = match to {
            Destination::One(node) => (vec![node.0.0.to_vec()], 0),
            Destination::All { .. } => (Vec::new(), ALL_NODES),
        };
        let gossip = SendGossip {
            node_ids,
            validators: 0,
            non_validators: 0,
            peers,
            msg: message.to_bytes(),
        };
        let sent: Result<Empty, _> = self.host.call(SEND_GOSSIP, gossip).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "message not sent");
        }
    }

    /// A node answers a request of ours. Answers that nobody waits for are dropped.
    pub fn answered(&self, from: ValidatorId, number: u32, result: Result<Vec<u8>, i32>) {
        let mut waiting = self.waiting();
        if waiting.get(&number).is_some_and(|(node, _)| *node == from)
            && let Some((_, answer)) = waiting.remove(&number)
        {
            // Whoever asked may have given up.
            let _ = answer.send(result);
        }
    }

    /// Answers a node's request; nothing is a refusal.
    pub async fn respond(&self, to: ValidatorId, number: u32, response: Option<Vec<u8>>) {
        let node_id = to.0.0.to_vec();
        let request_id = number;
        let sent: Result<Empty, _> = if let Some(response) = response {
            let response = SendResponse {
                node_id,
                request_id,
                response,
            };
            self.host.call(SEND_RESPONSE, response).await
        } else {
            let refusal = SendRefusal {
                node_id,
                request_id,
                error_code: REFUSED_CODE,
                error_message: "not here".to_owned(),
            };
            self.host.call(SEND_ERROR, refusal).await
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "answer not sent");
        }
    }

    /// Asks a node; the request begins with the byte of its handler.
    pub async fn request(&self, to: ValidatorId, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let refused = |refusal: NodeRefusal| AskError::Refused(Box::new(refusal));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(number, (to, answer));
        let _end = RequestEnd {
            nodes: self,
            number,
        };
        let request = SendRequest {
            node_ids: vec![to.0.0.to_vec()],
            request_id: number,
            request,
        };
        let sent: Result<Empty, _> = self.host.call(SEND_REQUEST, request).await;
        sent.map_err(|status| refused(NodeRefusal::Host(Box::new(status))))?;
        match tokio::time::timeout(REQUEST_TIME, answered).await {
            Err(_) | Ok(Ok(Err(TIMEOUT_CODE))) => Err(AskError::Slow),
            Ok(Err(_)) => Err(refused(NodeRefusal::Ended)),
            Ok(Ok(Err(code))) => Err(refused(NodeRefusal::Code(code))),
            Ok(Ok(Ok(bytes))) => Ok(bytes),
        }
    }
}

/// Forgets a request when nobody waits for it any more.
struct RequestEnd<'a> {
    nodes: &'a SubnetNodes,
    number: u32,
}

impl Drop for RequestEnd<'_> {
    fn drop(&mut self) {
        self.nodes.waiting().remove(&self.number);
    }
}

impl ChunkSource for SubnetNodes {
    async fn ask(&self, from: ValidatorId, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let request = message::request_of(message::PREFIX, &request);
        self.request(from, request).await
    }
}
