//! This node's word on the chain's state: signatures of the host's BLS key over (height, state root) of accepted blocks, for
//! whoever asks (ACP-118).
//!
//! The host signs what we ask it to, so what is asked for is checked here: a claim of this network and this chain, about
//! a height that this node has accepted, with the root that this node has computed. Anything else is refused, whoever
//! asks. Signing costs a millisecond and a call: few run at once, the newest signatures are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use state::{ChainStore, DecidedState, StateError};
use store::Store;
use tokio::sync::Semaphore;
use types::hash::Hash32;
use types::number::Height;
use warp::{AvalancheId, ClaimError, SIGNATURE_BYTES, StateClaim};

use crate::grpc::HostConnection;
use crate::wire::warp::{MessageSigned, SIGN, SignMessage, SignatureRequest, SignatureResponse};

/// Signatures that are made at the same time; more are refused.
const SIGNED_TOGETHER: usize = 8;
/// Signatures that are kept.
const KEPT_SIGNATURES: usize = 64;
/// Longest request that is decoded, in bytes: a claim and a justification that nobody needs.
const MAX_REQUEST_BYTES: usize = 32 << 10;

/// A BLS signature.
pub type StateSignature = [u8; SIGNATURE_BYTES];

/// Why this node does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The request is longer than one needs to be.
    #[error("a request of {0} bytes")]
    TooLong(usize),
    /// The request does not decode.
    #[error("the request: {0}")]
    Request(#[from] prost::DecodeError),
    /// It is no claim about a state.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It is another chain's.
    #[error("the claim is about chain {0}, which is another one")]
    OtherChain(AvalancheId),
    /// This node has not accepted the height, or not kept it.
    #[error("no state is known after height {0}")]
    Unknown(Height),
    /// The state has another root.
    #[error("the state after height {height} has another root than {claimed}")]
    OtherRoot {
        /// Height of the block after which the state is claimed.
        height: Height,
        /// Root that is claimed.
        claimed: Hash32,
    },
    /// Too many want a signature.
    #[error("{SIGNED_TOGETHER} signatures are being made")]
    Busy,
    /// The store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The host does not sign.
    #[error("the host does not sign: {0}")]
    Host(Box<tonic::Status>),
    /// The host's signature is none.
    #[error("the host's signature has {0} bytes")]
    Length(usize),
}

/// Signs claims about the state of accepted blocks. Copies share what is kept.
#[derive(Debug, Clone)]
pub struct StateSigner {
    host: HostConnection,
    network: u32,
    chain: AvalancheId,
    store: Store,
    room: Arc<Semaphore>,
    kept: Arc<Mutex<BTreeMap<(Height, Hash32), StateSignature>>>,
}

impl StateSigner {
    /// A signer for a chain, by a connection to the host's services.
    pub fn new(host: HostConnection, network: u32, chain: AvalancheId, store: Store) -> Self {
        Self {
            host,
            network,
            chain,
            store,
            room: Arc::new(Semaphore::new(SIGNED_TOGETHER)),
            kept: Arc::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<(Height, Hash32), StateSignature>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this node claims about the state after a height; none if it has not accepted it.
    pub fn claim(&self, height: Height) -> Result<Option<StateClaim>, StateError> {
        let root = tokio::task::block_in_place(|| root_after(&self.store, height))?;
        Ok(root.map(|state_root| StateClaim {
            network: self.network,
            chain: self.chain,
            height,
            state_root,
        }))
    }

    /// Answers a node's request, the handler's prefix taken away.
    pub async fn answer(&self, request: &[u8]) -> Result<Vec<u8>, SigningError> {
        if request.len() > MAX_REQUEST_BYTES {
            return Err(SigningError::TooLong(request.len()));
        }
        let request = SignatureRequest::decode(request)?;
        let claim = StateClaim::from_bytes(&request.message)?;
        let signature = self.sign(&claim).await?.to_vec();
        Ok(SignatureResponse { signature }.encode_to_vec())
    }

    /// Signs a claim, if it is true.
    pub async fn sign(&self, claim: &StateClaim) -> Result<StateSignature, SigningError> {
        let known = (claim.height, claim.state_root);
        if (claim.network, claim.chain) != (self.network, self.chain) {
            return Err(SigningError::OtherChain(claim.chain));
        }
        let own = self.claim(claim.height)?;
        let own = own.ok_or(SigningError::Unknown(claim.height))?;
        if own != *claim {
            let (height, claimed) = known;
            return Err(SigningError::OtherRoot { height, claimed });
        }
        if let Some(signature) = self.kept().get(&known) {
            return Ok(*signature);
        }
        let _room = self.room.try_acquire().map_err(|_| SigningError::Busy)?;
        let question = SignMessage {
            network_id: claim.network,
            source_chain_id: claim.chain.0.to_vec(),
            payload: claim.payload(),
        };
        let signed: Result<MessageSigned, _> = self.host.call(SIGN, question).await;
        let signature = signed
            .map_err(|status| SigningError::Host(Box::new(status)))?
            .signature;
        let signature = StateSignature::try_from(signature.as_slice())
            .map_err(|_| SigningError::Length(signature.len()))?;
        let mut kept = self.kept();
        kept.insert(known, signature);
        // Old states are asked for less than new ones.
        while kept.len() > KEPT_SIGNATURES {
            kept.pop_first();
        }
        Ok(signature)
    }
}

/// The root of the state after an accepted height. The header above names it; above the newest block there is none.
fn root_after(store: &Store, height: Height) -> Result<Option<Hash32>, StateError> {
    let tip = store.tip();
    if tip.height == height {
        return Ok(Some(tip.root));
    }
    if tip.height < height {
        return Ok(None);
    }
    let above = store.header_at(height.next())?;
    Ok(above.map(|header| header.parent_state_root))
}
