//! A node in memory, and the server before it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gridproof_rpc_server::{ApiError, Backend, EventLog, FinalBlock, Server, ServerConfig};
use rpc::Client;
use rpc::model::{
    AccountView, BlobStatus, BlockSelector, DutyView, EstimateView, ExclusionCode, ExclusionView,
    FailureView, JobList, JobSummary, JobView, NextVersionView, NodeSignature, PartnerList,
    PartnerView, StateSignatures, Status, Submitted, TransactionStatus, ValidatorList,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use types::hash::{Address, BlobId, BlockId, ChainId, Hash32, JobId, TransactionId, ValidatorId};
use types::job::{JobSpec, Stage};
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Height, Nonce, ProtocolVersion, SQUARE, Timestamp, View,
};
use types::params::Params;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::transaction::SignedTransaction;

use crate::samples;

pub const DEADLINE: Duration = Duration::from_secs(20);
/// First event number of the node.
pub const FIRST: u64 = 1_000;
/// Asking for this account never ends.
pub const SLOW: Address = Address([0x51; 20]);
/// Asking for this account panics.
pub const PANIC: Address = Address([0xbd; 20]);

/// Waits for a future with the deadline.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}

/// More than the sockets of a connection hold, in bytes.
pub const LARGE: usize = 24 << 20;

pub struct Fake {
    /// Whether the genesis has [`LARGE`] bytes.
    pub large: AtomicBool,
    pub ready: AtomicBool,
    pub log: EventLog,
    pub included: Mutex<BTreeSet<TransactionId>>,
    pub waiting: Mutex<BTreeSet<TransactionId>>,
    pub stage: Mutex<Option<Stage>>,
    pub chunks: Mutex<BTreeMap<(BlobId, u64), Vec<u8>>>,
    pub last_upload: Mutex<Option<JobId>>,
    pub parties: Mutex<BTreeSet<Address>>,
    /// Questions for [`SLOW`] so far.
    pub slow: AtomicUsize,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            large: AtomicBool::new(false),
            ready: AtomicBool::new(true),
            log: EventLog::new(8, FIRST),
            included: Mutex::default(),
            waiting: Mutex::default(),
            stage: Mutex::default(),
            chunks: Mutex::default(),
            last_upload: Mutex::default(),
            parties: Mutex::default(),
            slow: AtomicUsize::new(0),
        })
    }

    fn partner_view() -> PartnerView {
        PartnerView::new(
            samples::BOB,
            &samples::partner(),
            None,
            ChainTime(4_500),
            Height(9),
        )
    }

    fn blob_status(&self, id: BlobId) -> BlobStatus {
        let chunks = id.length.div_ceil(256 << 10).max(1);
        let held = self.chunks.lock().unwrap();
        let missing: Vec<_> = (0..chunks)
            .filter(|chunk| !held.contains_key(&(id, *chunk)))
            .collect();
        BlobStatus {
            complete: missing.is_empty(),
            chunks,
            missing,
        }
    }
}

#[async_trait]
impl Backend for Fake {
    fn chain_id(&self) -> ChainId {
        samples::CHAIN
    }

    async fn is_party(&self, address: Address) -> bool {
        self.parties.lock().unwrap().contains(&address)
    }

    async fn ready(&self) -> Result<(), ApiError> {
        if self.ready.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(ApiError::unavailable(
            "catching_up",
            "the node is 12 blocks behind",
            "wait until it caught up",
        ))
    }

    async fn status(&self) -> Result<Status, ApiError> {
        Ok(Status {
            chain_id: samples::CHAIN,
            network: "testnet".to_owned(),
            version: "0.1.0".to_owned(),
            protocol_version: ProtocolVersion(1),
            next_version: Some(NextVersionView {
                height: Height(1_000_000),
                version: ProtocolVersion(2),
                known: false,
            }),
            validator: Some(ValidatorId(Address([2; 20]))),
            committee_size: 4,
            peers: 3,
            height: Height(9),
            block_id: samples::header(9).id(),
            block_time: Timestamp(1_700_000_000_009),
            state_root: Hash32([3; 32]),
            chain_time: ChainTime(4_500),
            epoch: Epoch::FIRST,
            view: View(11),
            classes: Params::devnet()
                .compute
                .classes
                .iter()
                .map(Into::into)
                .collect(),
            min_fee: Amount(SQUARE.0 / 1_000),
            mempool_transactions: 1,
            mempool_bytes: 200,
            catching_up: false,
            oldest_block: Height::ZERO,
            oldest_transaction: Height::ZERO,
            alarms: Vec::new(),
            stalled: None,
            clock_ahead_ms: Some(2),
            cursor: self.log.cursor(),
        })
    }

    async fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        Ok(if self.large.load(Ordering::SeqCst) {
            vec![7; LARGE]
        } else {
            vec![1, 2, 3]
        })
    }

    async fn block(&self, selector: BlockSelector) -> Result<FinalBlock, ApiError> {
        let header = samples::header(9);
        let known = match selector {
            BlockSelector::Latest => true,
            BlockSelector::Height(height) => height == Height(9),
            BlockSelector::Id(id) => id == header.id(),
        };
        if !known {
            return Err(ApiError::not_found(
                "block",
                format!("no block {selector}"),
                "the newest is 9",
            ));
        }
        let block = samples::block();
        let ids = block.body.transactions.iter().map(SignedTransaction::id);
        let receipts = ids.map(samples::receipt).collect();
        Ok(FinalBlock { block, receipts })
    }

    async fn account(&self, address: Address) -> Result<AccountView, ApiError> {
        if address == SLOW {
            self.slow.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        assert!(address != PANIC, "asked for the account that panics");
        Ok(AccountView {
            address,
            balance: Amount(SQUARE.0 * 3 / 2),
            nonce: Nonce(4),
            next_nonce: Nonce(5),
            is_partner: false,
            height: Height(9),
        })
    }

    async fn validators(&self) -> Result<ValidatorList, ApiError> {
        Ok(samples::validators())
    }

    async fn partners(&self, after: Option<Address>) -> Result<PartnerList, ApiError> {
        let first = after.is_none().then(Self::partner_view);
        Ok(PartnerList {
            height: Height(9),
            next: first.as_ref().map(|view| view.address),
            partners: first.into_iter().collect(),
        })
    }

    async fn partner(&self, address: Address) -> Result<PartnerView, ApiError> {
        if address == samples::BOB {
            let mut view = Self::partner_view();
            for lock in view.locks.iter_mut().filter(|lock| lock.job.is_some()) {
                lock.duty = Some(DutyView {
                    attempt: Attempt(0),
                    stage: "verifying".to_owned(),
                    awaits: Some("commitment".to_owned()),
                    deadline: Some(ChainTime(60_000)),
                    miss_costs: Some(Amount(SQUARE.0 / 5)),
                });
            }
            return Ok(view);
        }
        Err(ApiError::not_found(
            "partner",
            format!("{address} is no partner"),
            "register it first",
        ))
    }

    async fn jobs(&self, live: bool) -> Result<JobList, ApiError> {
        let stage = if live {
            samples::pending()
        } else {
            Stage::Settled
        };
        Ok(JobList {
            height: Height(9),
            jobs: vec![JobSummary::of(&samples::record(stage))],
        })
    }

    async fn jobs_of(&self, customer: Address, live: Option<bool>) -> Result<JobList, ApiError> {
        let mut list = self.jobs(live.unwrap_or(true)).await?;
        list.jobs.retain(|job| job.customer == customer);
        Ok(list)
    }

    async fn job(&self, id: JobId) -> Result<JobView, ApiError> {
        let stage = self
            .stage
            .lock()
            .unwrap()
            .clone()
            .filter(|_| id == samples::JOB);
        let missing = || ApiError::not_found("job", format!("no job {id}"), "check the id");
        let record = samples::record(stage.ok_or_else(missing)?);
        let receipt = matches!(record.stage, Stage::Settled).then(samples::job_receipt);
        Ok(JobView::new(
            &record,
            &samples::spec(),
            receipt.as_ref(),
            ChainTime(59_000),
            Height(9),
        ))
    }

    async fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ApiError> {
        if self.included.lock().unwrap().contains(&id) {
            let receipt = samples::receipt(id);
            let block = BlockId(Hash32([1; 32]));
            return Ok(TransactionStatus::Included {
                id,
                height: Height(9),
                block,
                position: 0,
                receipt: (&receipt).into(),
            });
        }
        if self.waiting.lock().unwrap().contains(&id) {
            return Ok(TransactionStatus::Pending {
                id,
                valid_until: Height(100),
            });
        }
        Err(ApiError::not_found(
            "transaction",
            format!("no transaction {id}"),
            "it may have expired",
        ))
    }

    async fn submit(&self, transaction: SignedTransaction) -> Result<Submitted, ApiError> {
        if transaction.transaction().nonce != Nonce(4) {
            let message = format!("nonce {} where 4 is next", transaction.transaction().nonce);
            return Err(ApiError::refused(
                "nonce_too_high",
                message,
                "send the missing ones first",
            ));
        }
        self.waiting.lock().unwrap().insert(transaction.id());
        Ok(Submitted {
            id: transaction.id(),
            job: None,
        })
    }

    async fn estimate(&self, spec: JobSpec) -> Result<EstimateView, ApiError> {
        let failure = FailureView {
            code: "price".to_owned(),
            message: format!("{} is too cheap", spec.name),
        };
        let exclusion = ExclusionView {
            code: ExclusionCode::Price,
            reason: "their ask is higher".to_owned(),
            partners: 2,
        };
        Ok(EstimateView {
            height: Height(9),
            policy: Some((&samples::policy()).into()),
            escrow: Some((&samples::escrow()).into()),
            total: Some(Amount(6 * SQUARE.0)),
            lowest_price: None,
            opening_fee: Some(Amount(SQUARE.0 / 100)),
            longest_ms: Some(90_000),
            eligible: 1,
            exclusions: vec![exclusion],
            refusal: Some(failure),
        })
    }

    async fn proof(&self, key: StateKey) -> Result<ValueProof, ApiError> {
        Ok(samples::value_proof(
            matches!(key, StateKey::Chain).then(|| vec![1, 2]),
        ))
    }

    async fn state_signatures(&self, height: Height) -> Result<StateSignatures, ApiError> {
        if height > Height(9) {
            return Err(ApiError::not_found(
                "state",
                format!("no state is known after height {height}"),
                "the newest is 9",
            ));
        }
        let signature = |number| NodeSignature {
            node: [number; 20],
            signature: [number; 96],
        };
        Ok(StateSignatures {
            height,
            state_root: Hash32([3; 32]),
            network_id: 12_345,
            source_chain: Hash32([6; 32]),
            signatures: vec![signature(1), signature(2)],
        })
    }

    async fn blob(&self, id: BlobId) -> Result<BlobStatus, ApiError> {
        Ok(self.blob_status(id))
    }

    async fn blob_chunk(&self, id: BlobId, chunk: u64) -> Result<Vec<u8>, ApiError> {
        let held = self.chunks.lock().unwrap().get(&(id, chunk)).cloned();
        held.ok_or_else(|| ApiError::not_found("blob", "this node does not have it", "ask another"))
    }

    async fn put_blob_chunk(
        &self,
        job: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ApiError> {
        self.chunks.lock().unwrap().insert((id, chunk), bytes);
        *self.last_upload.lock().unwrap() = Some(job);
        Ok(self.blob_status(id))
    }

    fn events(&self) -> &EventLog {
        &self.log
    }
}

pub struct Running {
    pub fake: Arc<Fake>,
    pub server: Server,
    pub address: SocketAddr,
    pub client: Client,
}

pub fn config() -> ServerConfig {
    ServerConfig::at("127.0.0.1:0".parse().unwrap())
}

pub async fn start() -> Running {
    start_with(config()).await
}

pub async fn start_with(config: ServerConfig) -> Running {
    let fake = Fake::new();
    let server = Server::start(config, fake.clone()).await.unwrap();
    let address = server.local_address();
    let client = Client::new(&format!("http://{address}")).unwrap();
    Running {
        fake,
        server,
        address,
        client,
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self {
            status,
            head: head.to_ascii_lowercase(),
            body: bytes[end + 4..].to_vec(),
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of an error, whose other fields must be there too.
    pub fn code(&self) -> String {
        let body: rpc::ErrorBody = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)));
        assert!(
            !body.message.is_empty() && !body.hint.is_empty(),
            "{body:?}"
        );
        body.code
    }
}

/// Sends bytes on a connection of their own and reads until the server closes it.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let _ = within("the end of the answer", stream.read_to_end(&mut all)).await;
    Answer::parse(&all).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&all)))
}

/// A request without a body on a connection that ends with it.
pub async fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    raw(address, text.as_bytes()).await
}

/// A POST whose body is said to be JSON.
pub async fn send_json(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    raw(address, &[head.as_bytes(), body].concat()).await
}

/// A request with a body on a connection that ends with it.
pub async fn send(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw(address, &[head.as_bytes(), body].concat()).await
}
