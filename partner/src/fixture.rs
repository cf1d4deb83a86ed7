//! Servers in this process: a real router over a small chain and some blobs, honest or not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use blobs::Encoder;
use rpc::model::{
    AccountView, BlobStatus, BlockSelector, EstimateView, JobList, JobView, PartnerList,
    PartnerView, StateSignatures, Status, Submitted, TransactionStatus, ValidatorList,
};
use rpc_server::{ApiError, Backend, EventLog, FinalBlock, Server, ServerConfig};
use state::{
    ChainStore, DecidedState, Decision, Durability, MemoryStore, Undecided, Writes, compute_diff,
};
use types::block::{Block, Body, Header};
use types::genesis::Genesis;
use types::hash::{Address, BlobId, ChainId, JobId, TransactionId};
use types::job::JobSpec;
use types::key::SecretKey;
use types::number::Height;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::transaction::SignedTransaction;
use types::vote::Subject;

/// A genesis with one validator.
pub fn genesis() -> Genesis {
    types::testing::genesis(&[1])
}

fn validator_key() -> SecretKey {
    types::testing::validators(&[1])[0].key.clone()
}

/// A store that holds the genesis of the test chain and no block.
pub fn chain() -> MemoryStore {
    MemoryStore::new(&genesis(), Writes::new()).unwrap()
}

/// Adds a block that writes, and is final.
pub fn add_block(store: &MemoryStore, writes: Writes) {
    let tip = store.tip();
    let parent = store.header_at(tip.height).unwrap().unwrap();
    let timestamp = parent.timestamp.next();
    let header = Header {
        height: tip.height.next(),
        parent: tip.block,
        timestamp,
        parent_state_root: tip.root,
        ..parent
    };
    let block = Block {
        header,
        body: Body::default(),
    };
    let view = Undecided::new(tip).view(store, tip.block).unwrap();
    let diff = compute_diff(&view, block.id(), writes).unwrap();
    let subject = Subject::Finalize { block: block.id() };
    let signers = [(0, &validator_key())];
    let certificate = types::testing::certificate(genesis().chain_id(), subject, &signers);
    let finality = Some(certificate);
    store
        .commit(
            &Decision {
                block: block.into(),
                diff: Arc::new(diff),
                receipts: Vec::new(),
                finality,
                proposer: None,
            },
            Durability::Synced,
        )
        .unwrap();
}

/// What a server has and how it behaves.
pub struct FakeEndpoint {
    pub store: MemoryStore,
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
    /// Chunks that it was given.
    pub taken: BTreeMap<BlobId, BTreeMap<u64, Vec<u8>>>,
    /// Changes one byte of every value and chunk.
    pub lies: bool,
    /// Refuses every upload.
    pub refuses: bool,
    /// Says to have every blob.
    pub claims_all: bool,
    /// Gives so many proofs, then never answers again.
    pub max_proofs: Option<usize>,
    /// What everything but accounts is proven from.
    pub stale: Option<MemoryStore>,
    pub requests: usize,
    /// Bytes of the proofs that it gave.
    pub proof_bytes: usize,
    /// Transactions that it was sent.
    pub submitted: usize,
}

impl FakeEndpoint {
    pub fn new(store: MemoryStore) -> Self {
        Self {
            store,
            blobs: BTreeMap::new(),
            taken: BTreeMap::new(),
            lies: false,
            refuses: false,
            claims_all: false,
            max_proofs: None,
            stale: None,
            requests: 0,
            proof_bytes: 0,
            submitted: 0,
        }
    }
}

/// A server that runs.
pub struct RunningEndpoint {
    pub fake: Arc<SharedEndpoint>,
    pub url: String,
    _server: Server,
}

pub struct SharedEndpoint(Mutex<FakeEndpoint>, EventLog);

impl SharedEndpoint {
    pub fn lock(&self) -> MutexGuard<'_, FakeEndpoint> {
        self.0.lock().unwrap()
    }
}

/// Starts a server on a free port.
pub async fn serve(fake: FakeEndpoint) -> RunningEndpoint {
    let shared = Arc::new(SharedEndpoint(Mutex::new(fake), EventLog::new(16, 0)));
    let config = ServerConfig::at(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = Server::start(config, shared.clone()).await.unwrap();
    RunningEndpoint {
        fake: shared,
        url: format!("http://{}", server.local_address()),
        _server: server,
    }
}

fn not_here<T>() -> Result<T, ApiError> {
    Err(ApiError::unavailable(
        "not_here",
        "this server is a small one",
        "ask another",
    ))
}

fn status(id: BlobId, have: &BTreeSet<u64>) -> BlobStatus {
    let chunks = u64::from(blobs::chunk_count(id));
    let missing: Vec<_> = (0..chunks).filter(|chunk| !have.contains(chunk)).collect();
    BlobStatus {
        complete: missing.is_empty(),
        chunks,
        missing,
    }
}

#[async_trait]
impl Backend for SharedEndpoint {
    fn chain_id(&self) -> ChainId {
        genesis().chain_id()
    }
    async fn is_party(&self, _: Address) -> bool {
        false
    }
    async fn ready(&self) -> Result<(), ApiError> {
        Ok(())
    }
    async fn status(&self) -> Result<Status, ApiError> {
        not_here()
    }
    async fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        Ok(types::codec::encode(&genesis()))
    }
    async fn block(&self, _: BlockSelector) -> Result<FinalBlock, ApiError> {
        not_here()
    }
    async fn account(&self, _: Address) -> Result<AccountView, ApiError> {
        not_here()
    }
    async fn validators(&self) -> Result<ValidatorList, ApiError> {
        not_here()
    }
    async fn partners(&self, _: Option<Address>) -> Result<PartnerList, ApiError> {
        not_here()
    }
    async fn partner(&self, _: Address) -> Result<PartnerView, ApiError> {
        not_here()
    }
    async fn jobs(&self, _: bool) -> Result<JobList, ApiError> {
        not_here()
    }
    async fn jobs_of(&self, _: Address, _: Option<bool>) -> Result<JobList, ApiError> {
        not_here()
    }
    async fn job(&self, _: JobId) -> Result<JobView, ApiError> {
        not_here()
    }
    async fn transaction(&self, _: TransactionId) -> Result<TransactionStatus, ApiError> {
        not_here()
    }
    async fn submit(&self, transaction: SignedTransaction) -> Result<Submitted, ApiError> {
        self.lock().submitted += 1;
        Ok(Submitted {
            id: transaction.id(),
            job: None,
        })
    }
    async fn estimate(&self, _: JobSpec) -> Result<EstimateView, ApiError> {
        not_here()
    }
    async fn proof(&self, key: StateKey) -> Result<ValueProof, ApiError> {
        let is_silent = {
            let mut fake = self.lock();
            fake.requests += 1;
            fake.max_proofs.is_some_and(|most| fake.requests > most)
        };
        if is_silent {
            return std::future::pending().await;
        }
        let mut fake = self.lock();
        let stale = fake
            .stale
            .as_ref()
            .filter(|_| !matches!(key, StateKey::Account(_)));
        let mut proof = stale
            .unwrap_or(&fake.store)
            .value_proof(&key)
            .map_err(|error| ApiError::internal(error.to_string()))?;
        if fake.lies {
            match proof.value.as_mut().and_then(|value| value.last_mut()) {
                Some(byte) => *byte ^= 1,
                None => proof.value = Some(vec![1]),
            }
        }
        fake.proof_bytes += types::codec::encode(&proof).len();
        Ok(proof)
    }
    async fn state_signatures(&self, _: Height) -> Result<StateSignatures, ApiError> {
        not_here()
    }
    async fn blob(&self, id: BlobId) -> Result<BlobStatus, ApiError> {
        let fake = self.lock();
        let have = match (
            fake.blobs.contains_key(&id) || fake.claims_all,
            fake.taken.get(&id),
        ) {
            (true, _) => (0..u64::from(blobs::chunk_count(id))).collect(),
            (false, Some(chunks)) => chunks.keys().copied().collect(),
            (false, None) => return Err(ApiError::not_found("blob", "no such blob", "upload it")),
        };
        Ok(status(id, &have))
    }
    async fn blob_chunk(&self, id: BlobId, chunk: u64) -> Result<Vec<u8>, ApiError> {
        let mut fake = self.lock();
        fake.requests += 1;
        let Some(bytes) = fake.blobs.get(&id) else {
            return Err(ApiError::not_found(
                "blob",
                "no such blob",
                "ask another server",
            ));
        };
        let mut encoded = Encoder::of(bytes)
            .encode(bytes.as_slice(), u32::try_from(chunk).unwrap())
            .unwrap();
        if fake.lies {
            *encoded.last_mut().unwrap() ^= 1;
        }
        Ok(encoded)
    }
    async fn put_blob_chunk(
        &self,
        _: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ApiError> {
        let mut fake = self.lock();
        fake.requests += 1;
        if fake.refuses {
            return Err(ApiError::refused(
                "not_wanted",
                "no live job names this blob",
                "wait",
            ));
        }
        let bytes = blobs::verify_chunk(id, u32::try_from(chunk).unwrap(), &bytes).unwrap();
        let taken = fake.taken.entry(id).or_default();
        taken.insert(chunk, bytes);
        Ok(status(id, &taken.keys().copied().collect()))
    }
    fn events(&self) -> &EventLog {
        &self.1
    }
}
