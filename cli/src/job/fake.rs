//! A validator in memory that takes a job and its inputs, and fails where a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rpc::Client;
use rpc::model::{
    AccountView, BlobStatus, BlockSelector, EstimateView, JobList, JobView, PartnerList,
    PartnerView, StateSignatures, Status, Submitted, TransactionReceiptView, TransactionStatus,
    ValidatorList,
};
use rpc_server::{ApiError, Backend, EventLog, FinalBlock, Server, ServerConfig};
use types::hash::{Address, BlobId, BlockId, ChainId, Hash32, JobId, TransactionId};
use types::job::{Escrow, JobRecord, JobRent, JobSpec, JobTerms, Policy, Stage, StageEntry};
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Fixed64, Height, Nonce, ProtocolVersion, SQUARE, Timestamp,
    View,
};
use types::params::Params;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction};

/// The chain that it serves.
pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));

/// What the node knows and how it fails.
pub struct FakeNode {
    /// The jobs in its blocks.
    pub jobs: Mutex<BTreeMap<JobId, (JobRecord, JobSpec)>>,
    /// The chunks it holds.
    pub chunks: Mutex<BTreeMap<BlobId, BTreeSet<u64>>>,
    /// How many more chunks it cannot take now.
    pub busy: AtomicU32,
    /// What it says to chunks instead of taking them.
    pub refuses: Mutex<Option<ApiError>>,
    /// What the nodes of its subnet have signed.
    pub signatures: Mutex<Option<StateSignatures>>,
    /// What it proves, whatever is asked for.
    pub proof: Mutex<Option<ValueProof>>,
    /// How many more transactions find their nonce taken by another one of their sender.
    pub overtakes: AtomicU32,
    /// How many more transactions it has no room for.
    pub full: AtomicU32,
    /// The next nonce of every account.
    pub nonce: AtomicU64,
    /// What it took, in its order.
    pub taken: Mutex<Vec<SignedTransaction>>,
    log: EventLog,
}

/// A node, its server and a client of it.
pub struct RunningFake {
    /// The state behind the served interface, which tests change and read.
    pub fake: Arc<FakeNode>,
    /// It serves as long as it lives.
    _server: Server,
    /// A client of the served interface.
    pub client: Client,
}

/// Serves a fake node on a free port of this machine until it is dropped.
pub async fn start() -> RunningFake {
    let fake = Arc::new(FakeNode {
        jobs: Mutex::default(),
        chunks: Mutex::default(),
        busy: AtomicU32::new(0),
        refuses: Mutex::default(),
        signatures: Mutex::default(),
        proof: Mutex::default(),
        overtakes: AtomicU32::new(0),
        full: AtomicU32::new(0),
        nonce: AtomicU64::new(0),
        taken: Mutex::default(),
        log: EventLog::new(8, 1),
    });
    let server = Server::start(
        ServerConfig::at("127.0.0.1:0".parse().unwrap()),
        fake.clone(),
    )
    .await
    .unwrap();
    let client = Client::new(&format!("http://{}", server.local_address())).unwrap();
    RunningFake {
        fake,
        _server: server,
        client,
    }
}

/// A policy; its numbers do not matter here.
pub fn policy() -> Policy {
    Policy {
        expected_verifiers: Fixed64(1 << 64),
        tasks_per_verifier: 1,
        expected_checks: Fixed64(1 << 64),
        detection: Fixed64(1 << 63),
        bond: SQUARE,
        verifier_bond: SQUARE,
        min_verifiers: 1,
        verifier_fee: Amount(1),
        expected_announcements: Fixed64(1 << 64),
    }
}

fn record(id: JobId, customer: Address, spec: &JobSpec) -> JobRecord {
    JobRecord {
        id,
        customer,
        terms: JobTerms::of(spec),
        escrow: Escrow {
            execution: SQUARE,
            verification: SQUARE,
            storage: Amount(1),
            fees: Amount(1),
            rent: Amount(1),
            referees: Amount(1),
        },
        rent: JobRent::default(),
        policy: policy(),
        attempt: Attempt(0),
        unrunnable_reports: Vec::new(),
        excluded: Vec::new(),
        earlier: types::job::EarlierVerifiers::default(),
        states: None,
        stage: Stage::Pending(types::job::Pending::default()),
        deadline: Some(ChainTime(60_000)),
        opened: Height(9),
        draw: None,
        verdicts: 0,
        queued: None,
        burned: Amount(0),
        locked: Amount(0),
        refunded: Amount(0),
        history: vec![StageEntry {
            stage: "pending".to_owned(),
            attempt: Attempt(0),
            height: Height(9),
            time: Timestamp(9),
        }],
        settlement: None,
    }
}

fn nothing() -> ApiError {
    ApiError::unavailable("no", "this node does not answer that", "ask another")
}

/// Counts one down; false at 0.
fn one_less(count: &AtomicU32) -> bool {
    let less = |count: u32| count.checked_sub(1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

impl FakeNode {
    /// Takes a transaction with the next nonce, as a mempool does.
    fn take(&self, signed: &SignedTransaction) -> Result<(), ApiError> {
        let refused = |why| ApiError::refused("transaction_refused", why, "see the nonce");
        if one_less(&self.full) {
            return Err(refused("full").retryable(true).after(10));
        }
        let overtaken = u64::from(one_less(&self.overtakes));
        let next = Nonce(self.nonce.fetch_add(overtaken, Ordering::SeqCst) + overtaken);
        if signed.transaction().nonce != next {
            return Err(refused("another was quicker").expected(next));
        }
        self.nonce.fetch_add(1, Ordering::SeqCst);
        self.taken.lock().unwrap().push(signed.clone());
        Ok(())
    }

    fn blob_status(&self, id: BlobId) -> BlobStatus {
        let chunks = u64::from(blobs::chunk_count(id));
        let held = self
            .chunks
            .lock()
            .unwrap()
            .get(&id)
            .cloned()
            .unwrap_or_default();
        let missing: Vec<_> = (0..chunks).filter(|chunk| !held.contains(chunk)).collect();
        BlobStatus {
            complete: missing.is_empty(),
            chunks,
            missing,
        }
    }
}

#[async_trait]
impl Backend for FakeNode {
    fn chain_id(&self) -> ChainId {
        CHAIN
    }

    async fn is_party(&self, _: Address) -> bool {
        false
    }

    async fn ready(&self) -> Result<(), ApiError> {
        Ok(())
    }

    async fn status(&self) -> Result<Status, ApiError> {
        Ok(Status {
            chain_id: CHAIN,
            network: "fake".to_owned(),
            version: "0".to_owned(),
            protocol_version: ProtocolVersion(1),
            next_version: None,
            validator: None,
            committee_size: 1,
            peers: 0,
            height: Height(9),
            block_id: BlockId(Hash32([1; 32])),
            block_time: Timestamp(9),
            state_root: Hash32([3; 32]),
            chain_time: ChainTime(9),
            epoch: Epoch::FIRST,
            view: View(9),
            classes: Params::devnet()
                .compute
                .classes
                .iter()
                .map(Into::into)
                .collect(),
            min_fee: Amount(1),
            mempool_transactions: 0,
            mempool_bytes: 0,
            catching_up: false,
            oldest_block: Height::ZERO,
            oldest_transaction: Height::ZERO,
            alarms: Vec::new(),
            stalled: None,
            clock_ahead_ms: None,
            cursor: self.log.cursor(),
        })
    }

    async fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        Err(nothing())
    }

    async fn block(&self, _: BlockSelector) -> Result<FinalBlock, ApiError> {
        Err(nothing())
    }

    async fn account(&self, address: Address) -> Result<AccountView, ApiError> {
        let nonce = Nonce(self.nonce.load(Ordering::SeqCst));
        let balance = Amount(100 * SQUARE.0);
        Ok(AccountView {
            address,
            balance,
            nonce,
            next_nonce: nonce,
            is_partner: false,
            height: Height(9),
        })
    }

    async fn validators(&self) -> Result<ValidatorList, ApiError> {
        Err(nothing())
    }

    async fn partners(&self, _: Option<Address>) -> Result<PartnerList, ApiError> {
        Err(nothing())
    }

    async fn partner(&self, _: Address) -> Result<PartnerView, ApiError> {
        Err(nothing())
    }

    async fn jobs(&self, _: bool) -> Result<JobList, ApiError> {
        Err(nothing())
    }

    async fn jobs_of(&self, _: Address, _: Option<bool>) -> Result<JobList, ApiError> {
        Err(nothing())
    }

    async fn job(&self, id: JobId) -> Result<JobView, ApiError> {
        let known = self.jobs.lock().unwrap().get(&id).cloned();
        let (record, spec) = known
            .ok_or_else(|| ApiError::not_found("job", format!("no job {id}"), "check the id"))?;
        Ok(JobView::new(&record, &spec, None, ChainTime(9), Height(9)))
    }

    async fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ApiError> {
        let is_it = |signed: &SignedTransaction| signed.id() == id;
        if !self.taken.lock().unwrap().iter().any(is_it) {
            return Err(ApiError::not_found(
                "transaction",
                "never heard of",
                "send it",
            ));
        }
        let receipt = TransactionReceiptView {
            id,
            fee: Amount(1),
            failure: None,
        };
        Ok(TransactionStatus::Included {
            id,
            height: Height(9),
            block: BlockId(Hash32([1; 32])),
            position: 0,
            receipt,
        })
    }

    async fn submit(&self, signed: SignedTransaction) -> Result<Submitted, ApiError> {
        self.take(&signed)?;
        let (id, job, transaction) = (
            signed.id(),
            signed.transaction().job_id(),
            signed.into_transaction(),
        );
        let customer = transaction.sender.address();
        let Action::SubmitJob { spec } = transaction.action else {
            return Ok(Submitted { id, job: None });
        };
        self.jobs
            .lock()
            .unwrap()
            .insert(job, (record(job, customer, &spec), *spec));
        Ok(Submitted { id, job: Some(job) })
    }

    async fn estimate(&self, _: JobSpec) -> Result<EstimateView, ApiError> {
        Ok(EstimateView {
            height: Height(9),
            policy: Some((&policy()).into()),
            escrow: None,
            total: Some(SQUARE),
            lowest_price: None,
            opening_fee: None,
            longest_ms: None,
            eligible: 1,
            exclusions: Vec::new(),
            refusal: None,
        })
    }

    async fn proof(&self, _: StateKey) -> Result<ValueProof, ApiError> {
        self.proof.lock().unwrap().clone().ok_or_else(nothing)
    }

    async fn state_signatures(&self, height: Height) -> Result<StateSignatures, ApiError> {
        let signatures = self.signatures.lock().unwrap().clone();
        let found = signatures.filter(|all| all.height == height);
        found.ok_or_else(|| ApiError::not_found("state", "not here", "wait"))
    }

    async fn blob(&self, id: BlobId) -> Result<BlobStatus, ApiError> {
        if !self.chunks.lock().unwrap().contains_key(&id) {
            return Err(ApiError::not_found("blob", "not here", "upload it"));
        }
        Ok(self.blob_status(id))
    }

    async fn blob_chunk(&self, _: BlobId, _: u64) -> Result<Vec<u8>, ApiError> {
        Err(nothing())
    }

    async fn put_blob_chunk(
        &self,
        _: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ApiError> {
        if one_less(&self.busy) {
            return Err(ApiError::unavailable("busy", "not now", "try again"));
        }
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Err(error);
        }
        blobs::verify_chunk(id, u32::try_from(chunk).unwrap(), &bytes).unwrap();
        self.chunks
            .lock()
            .unwrap()
            .entry(id)
            .or_default()
            .insert(chunk);
        Ok(self.blob_status(id))
    }

    fn events(&self) -> &EventLog {
        &self.log
    }
}
