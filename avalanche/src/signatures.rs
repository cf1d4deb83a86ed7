//! Signatures of many nodes over one state, gathered for customers who are no nodes.
//!
//! A node asks every node that it is connected to and hands on what comes, unjudged: whose signature counts, and whether
//! it is one, is for the customer to check against the P-chain. So a node that gathers is trusted with nothing: it can
//! withhold, and then another one is asked. Signatures of the newest heights that were asked for are kept; nodes that have
//! not answered are asked again by the next request. One round of requests goes out at a time.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::Duration;

use async_trait::async_trait;
use chain::backend::{NodeSignature, StateSignatures, StateSigners};
use prost::Message as _;
use state::StateError;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use types::hash::{Hash32, ValidatorId};
use types::number::Height;
use warp::StateClaim;

use crate::message::{SIGNATURE_PREFIX, request_of};
use crate::network::SubnetNodes;
use crate::signing::{StateSignature, StateSigner};
use crate::wire::warp::{SignatureRequest, SignatureResponse};

/// Heights whose signatures are kept.
const KEPT_HEIGHTS: usize = 16;
/// Nodes that are asked for one height, and whose signatures are kept.
const MAX_NODES: usize = 1_024;
/// How long an answer over HTTP waits for the nodes.
const GATHER_TIME: Duration = Duration::from_secs(3);

type Gathered = BTreeMap<(Height, Hash32), BTreeMap<ValidatorId, StateSignature>>;

/// Gathers signatures, this node's own among them.
#[derive(Debug)]
pub struct SignatureGatherer {
    own: ValidatorId,
    signer: StateSigner,
    nodes: SubnetNodes,
    gathered: Mutex<Gathered>,
}

impl SignatureGatherer {
    /// A gatherer on the node of this id.
    pub fn new(own: ValidatorId, signer: StateSigner, nodes: SubnetNodes) -> Self {
        Self {
            own,
            signer,
            nodes,
            gathered: Mutex::default(),
        }
    }

    /// Asks the nodes that are not among `known`, and adds what they sign within the time.
    async fn gather(&self, claim: &StateClaim, known: &mut BTreeMap<ValidatorId, StateSignature>) {
        if let Entry::Vacant(own) = known.entry(self.own) {
            match self.signer.sign(claim).await {
                Ok(signature) => drop(own.insert(signature)),
                Err(error) => tracing::debug!(%error, "this node does not sign"),
            }
        }
        let question = SignatureRequest {
            message: claim.to_bytes(),
            justification: Vec::new(),
        };
        let question = request_of(SIGNATURE_PREFIX, &question.encode_to_vec());
        let missing: BTreeSet<_> = self.nodes.connected();
        let missing = missing.into_iter().filter(|node| !known.contains_key(node));
        let room = MAX_NODES.saturating_sub(known.len());
        let mut asked = JoinSet::new();
        for node in missing.take(room) {
            let (nodes, question) = (self.nodes.clone(), question.clone());
            asked.spawn(async move { (node, nodes.request(node, question).await) });
        }
        let all = async {
            while let Some(answered) = asked.join_next().await {
                let Ok((node, answer)) = answered else {
                    continue;
                };
                if let Some(signature) = answer.ok().and_then(|bytes| signature_of(&bytes)) {
                    known.insert(node, signature);
                } else {
                    tracing::debug!(node = %node.0, "a node does not sign");
                }
            }
        };
        // What did not come is asked for by the next request.
        let _ = tokio::time::timeout(GATHER_TIME, all).await;
    }
}

/// The signature in a node's answer, if there may be one.
fn signature_of(answer: &[u8]) -> Option<StateSignature> {
    let answer = SignatureResponse::decode(answer).ok()?;
    answer.signature.try_into().ok()
}

#[async_trait]
impl StateSigners for SignatureGatherer {
    async fn signatures(&self, height: Height) -> Result<Option<StateSignatures>, StateError> {
        let Some(claim) = self.signer.claim(height)? else {
            return Ok(None);
        };
        let mut gathered = self.gathered.lock().await;
        let known = gathered.entry((height, claim.state_root)).or_default();
        self.gather(&claim, known).await;
        let shown = |(node, signature): (&ValidatorId, &StateSignature)| NodeSignature {
            node: node.0.0,
            signature: *signature,
        };
        let signatures = known.iter().map(shown).collect();
        while gathered.len() > KEPT_HEIGHTS {
            gathered.pop_first();
        }
        Ok(Some(StateSignatures {
            height,
            state_root: claim.state_root,
            network_id: claim.network,
            source_chain: Hash32(claim.chain.0),
            signatures,
        }))
    }
}
