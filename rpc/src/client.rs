//! The typed client: one method per route, bounded answers, errors that say what to do.
//!
//! Nothing here checks what a node claims; whoever must not trust the node verifies proofs itself.

mod away;
mod error;
mod transport;
mod wait;

pub use away::ServerNews;
pub use error::{ClientError, UrlRule};
pub use wait::JobNews;

use std::time::Duration;

use types::codec::{decode, encode};
use types::hash::{Address, BlobId, JobId, TransactionId};
use types::job::JobSpec;
use types::limits::{MAX_GENESIS_BYTES, MAX_PARTNERS};
use types::number::Height;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::transaction::SignedTransaction;

use crate::limits::{MAX_CHUNK_BODY_BYTES, MAX_PROOF_BYTES, MAX_WAIT_MS};
use crate::model::{
    AccountView, BlobStatus, BlockSelector, BlockView, EstimateView, EventPage, JobList, JobView,
    PartnerList, PartnerView, StateSignatures, Status, SubmitResult, Submitted, SubmittedBatch,
    TransactionStatus, ValidatorList,
};
use crate::proof_key::ProofKey;
use crate::signature::RequestSigner;
use transport::Transport;

/// How long a client waits for an answer unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one node, or of several: then the next one is asked when one does not answer, from then on. Cheap to
/// clone; clones share their connections and the choice of the node.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client of the node at `url`, such as `http://127.0.0.1:26601`. Does not connect yet.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Self::with_timeout(url, DEFAULT_TIMEOUT)
    }

    /// Like [`Client::new`], with the time that a node has for an answer (long polls have their wait on top).
    pub fn with_timeout(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self {
            transport: Transport::new(&[url], timeout)?,
        })
    }

    /// A client of one or more nodes, the first of which is asked first.
    pub fn of<S: AsRef<str>>(urls: &[S]) -> Result<Self, ClientError> {
        Ok(Self {
            transport: Transport::new(urls, DEFAULT_TIMEOUT)?,
        })
    }

    /// The same client, which signs what it asks: a node answers a bonded partner or a customer of a live job also
    /// while it turns strangers away.
    #[must_use]
    pub fn signed_by(mut self, signer: RequestSigner) -> Self {
        self.transport.sign_with(signer);
        self
    }

    /// The same client, which tells when one of its nodes does not answer, and when it answers again. While it waits for
    /// something it looks at those that are away; otherwise it learns that when it asks them.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(ServerNews<'_>) + Send + Sync + 'static) -> Self {
        self.transport.listen(listener);
        self
    }

    /// The URL of the node that is asked now, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.transport.base()
    }

    /// Succeeds if the node's process answers: `GET /livez`.
    pub async fn live(&self) -> Result<(), ClientError> {
        self.transport.probe("/livez").await
    }

    /// Succeeds if the node takes work: `GET /readyz`.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.transport.probe("/readyz").await
    }

    /// Where the node stands.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.transport.json("/v1/status").await
    }

    /// The genesis in its canonical bytes; whether it is the right one is for the caller to check.
    pub async fn genesis(&self) -> Result<Vec<u8>, ClientError> {
        self.transport.bytes("/v1/genesis", MAX_GENESIS_BYTES).await
    }

    /// A final block, by height, id or as the newest. Errors: see [`ClientError`].
    pub async fn block(&self, selector: BlockSelector) -> Result<BlockView, ClientError> {
        self.transport.json(&format!("/v1/blocks/{selector}")).await
    }

    /// Balance and nonce of an account; zero for one that never was paid.
    pub async fn account(&self, address: Address) -> Result<AccountView, ClientError> {
        self.transport
            .json(&format!("/v1/accounts/{address}"))
            .await
    }

    /// The committee as the node has seen it.
    pub async fn validators(&self) -> Result<ValidatorList, ClientError> {
        self.transport.json("/v1/validators").await
    }

    /// The first active partners above an address, or the first of all, ascending by address.
    pub async fn partners(&self, after: Option<Address>) -> Result<PartnerList, ClientError> {
        let after = after.map_or_else(String::new, |after| format!("?after={after}"));
        self.transport.json(&format!("/v1/partners{after}")).await
    }

    /// All active partners, ascending by address, by as many requests as that takes; the height is that of the last one.
    pub async fn all_partners(&self) -> Result<PartnerList, ClientError> {
        let mut all = self.partners(None).await?;
        while let Some(after) = all.next.filter(|_| all.partners.len() < MAX_PARTNERS) {
            let more = self.partners(Some(after)).await?;
            all.partners.extend(more.partners);
            let is_on = more.next.filter(|next| *next > after);
            (all.height, all.next) = (more.height, is_on);
        }
        Ok(all)
    }

    /// One partner's registration; refused with 404 if there is none.
    pub async fn partner(&self, address: Address) -> Result<PartnerView, ClientError> {
        self.transport
            .json(&format!("/v1/partners/{address}"))
            .await
    }

    /// Live jobs, or with `live` false those that lately ended.
    pub async fn jobs(&self, live: bool) -> Result<JobList, ClientError> {
        self.transport.json(&format!("/v1/jobs?live={live}")).await
    }

    /// The newest jobs of a customer that the chain still holds: live and ended, or only one of both.
    pub async fn jobs_of(
        &self,
        customer: Address,
        live: Option<bool>,
    ) -> Result<JobList, ClientError> {
        let live = live.map_or(String::new(), |live| format!("&live={live}"));
        let path = format!("/v1/jobs?customer={customer}{live}");
        self.transport.json(&path).await
    }

    /// A job that is live, or that ended and is still known; refused with 404 otherwise.
    pub async fn job(&self, id: JobId) -> Result<JobView, ClientError> {
        self.transport.json(&format!("/v1/jobs/{id}")).await
    }

    /// Where a transaction stands.
    pub async fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ClientError> {
        self.transport.json(&format!("/v1/transactions/{id}")).await
    }

    /// Hands a transaction to the node's mempool. After an error other than no connection it may be there all the same.
    pub async fn submit(&self, transaction: &SignedTransaction) -> Result<Submitted, ClientError> {
        self.transport
            .post("/v1/transactions", encode(transaction))
            .await
    }

    /// Hands several transactions to the node's mempool, at most [`MAX_SUBMITTED`](crate::limits::MAX_SUBMITTED) of at most
    /// [`MAX_SUBMITTED_BYTES`](crate::limits::MAX_SUBMITTED_BYTES) together; gives for each in its place what became of it.
    /// After an error other than no connection they may be there all the same.
    pub async fn submit_batch(
        &self,
        transactions: &[SignedTransaction],
    ) -> Result<Vec<SubmitResult>, ClientError> {
        let path = "/v1/transactions/batch";
        let answer: SubmittedBatch = self.transport.post(path, encode(transactions)).await?;
        if answer.results.len() != transactions.len() {
            let reason = "another number of results than of transactions";
            return Err(self.transport.malformed(path, &reason));
        }
        Ok(answer.results)
    }

    /// What a job would cost, and who could run it.
    pub async fn estimate(&self, spec: &JobSpec) -> Result<EstimateView, ClientError> {
        self.transport.ask("/v1/estimate", encode(spec)).await
    }

    /// A value or its absence with its proof, not verified yet.
    pub async fn proof(&self, key: &StateKey) -> Result<ValueProof, ClientError> {
        let path = format!("/v1/proofs/{}", ProofKey(*key));
        let bytes = self.transport.bytes(&path, MAX_PROOF_BYTES).await?;
        decode(&bytes, MAX_PROOF_BYTES).map_err(|error| self.transport.malformed(&path, &error))
    }

    /// Signatures of a subnet's nodes over the state after a height, not verified yet; refused with 404 by a node of an L1.
    pub async fn state_signatures(&self, height: Height) -> Result<StateSignatures, ClientError> {
        let path = format!("/v1/state-signatures/{height}");
        self.transport.json(&path).await
    }

    /// True if the node has all of a blob: `HEAD /v1/blobs/{hash}/{length}`.
    pub async fn has_blob(&self, id: BlobId) -> Result<bool, ClientError> {
        self.transport.exists(&blob_path(id)).await
    }

    /// What the node has of a blob.
    pub async fn blob(&self, id: BlobId) -> Result<BlobStatus, ClientError> {
        self.transport.json(&blob_path(id)).await
    }

    /// A chunk of a blob with its proof, as crate `blobs` encodes it, not verified yet.
    pub async fn blob_chunk(&self, id: BlobId, chunk: u64) -> Result<Vec<u8>, ClientError> {
        self.transport
            .bytes(
                &format!("{}/chunks/{chunk}", blob_path(id)),
                MAX_CHUNK_BODY_BYTES,
            )
            .await
    }

    /// Uploads a chunk with its proof of a blob that `job` names. After an error another node may be asked from then on,
    /// which has chunks of its own: look at [`Client::blob`] again.
    pub async fn put_blob_chunk(
        &self,
        job: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ClientError> {
        self.transport
            .put(
                &format!("{}/chunks/{chunk}?job={job}", blob_path(id)),
                bytes,
            )
            .await
    }

    /// At most `limit` events from `cursor` on, waiting up to `wait` for the first. Without a cursor the answer is
    /// the newest cursor at once. A cursor that is too old is the error code `cursor_too_old`.
    pub async fn events(
        &self,
        cursor: Option<u64>,
        wait: Duration,
        limit: usize,
    ) -> Result<EventPage, ClientError> {
        let wait_ms = u64::try_from(wait.as_millis())
            .unwrap_or(u64::MAX)
            .min(MAX_WAIT_MS);
        let path = match cursor {
            Some(cursor) => format!("/v1/events?cursor={cursor}&wait_ms={wait_ms}&limit={limit}"),
            None => "/v1/events".to_owned(),
        };
        self.transport
            .long_poll(&path, Duration::from_millis(wait_ms))
            .await
    }
}

fn blob_path(id: BlobId) -> String {
    format!("/v1/blobs/{}/{}", id.hash, id.length)
}
