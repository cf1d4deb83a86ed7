//! What the router asks of the node behind it.

use async_trait::async_trait;
use types::block::Block;
use types::hash::{Address, BlobId, ChainId, JobId, TransactionId};
use types::job::JobSpec;
use types::number::Height;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::transaction::{SignedTransaction, TransactionReceipt};

use crate::error::ApiError;
use crate::events::EventLog;
use rpc::model::{
    AccountView, BlobStatus, BlockSelector, EstimateView, JobList, JobView, PartnerList,
    PartnerView, StateSignatures, Status, Submitted, TransactionStatus, ValidatorList,
};

/// A final block with what became of its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalBlock {
    /// Block with header and body.
    pub block: Block,
    /// The receipts of its transactions, in the same order; empty if the block is not executed yet.
    pub receipts: Vec<TransactionReceipt>,
}

/// The node as the interface sees it. Answers describe the newest final state unless said otherwise. Calls are
/// dropped when their time is over, at any await point.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The chain, over whose id requests are signed.
    fn chain_id(&self) -> ChainId;
    /// True if an account is a bonded partner, or a customer of a live job. Asked for every signed request, so it must
    /// be cheap; an answer that is a few seconds old will do.
    async fn is_party(&self, address: Address) -> bool;
    /// An error as long as the node should not be sent work (catching up, stalled, stopping).
    async fn ready(&self) -> Result<(), ApiError>;
    /// Where the node stands.
    async fn status(&self) -> Result<Status, ApiError>;
    /// The genesis in its canonical bytes.
    async fn genesis(&self) -> Result<Vec<u8>, ApiError>;
    /// A final block with its certificate. Errors: unknown or pruned height.
    async fn block(&self, selector: BlockSelector) -> Result<FinalBlock, ApiError>;
    /// An account; one that nobody paid yet is all zeros, not an error.
    async fn account(&self, address: Address) -> Result<AccountView, ApiError>;
    /// The committee with what the node has seen of each member.
    async fn validators(&self) -> Result<ValidatorList, ApiError>;
    /// The first active partners above an address, or the first of all, ascending by address, at most
    /// [`rpc::limits::MAX_LISTED_PARTNERS`].
    async fn partners(&self, after: Option<Address>) -> Result<PartnerList, ApiError>;
    /// One partner's registration. Errors: unknown address.
    async fn partner(&self, address: Address) -> Result<PartnerView, ApiError>;
    /// Live jobs, or with `live` false only those that ended since the node started; oldest first, at most
    /// [`rpc::limits::MAX_LISTED_JOBS`].
    async fn jobs(&self, live: bool) -> Result<JobList, ApiError>;
    /// The newest jobs of a customer that the state still holds, live or ended or, if `live` says so, only one of both; oldest
    /// first, at most [`rpc::limits::MAX_LISTED_JOBS`].
    async fn jobs_of(&self, customer: Address, live: Option<bool>) -> Result<JobList, ApiError>;
    /// A job that is live, or that ended and is still known. Errors: unknown or forgotten job.
    async fn job(&self, id: JobId) -> Result<JobView, ApiError>;
    /// Where a transaction stands.
    async fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ApiError>;
    /// Takes a transaction into the mempool; the same one again is no error.
    async fn submit(&self, transaction: SignedTransaction) -> Result<Submitted, ApiError>;
    /// Takes transactions into the mempool, at most [`rpc::limits::MAX_SUBMITTED`]; gives for each in its place what a
    /// submission of it alone would give.
    async fn submit_batch(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Vec<Result<Submitted, ApiError>> {
        let mut results = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            results.push(self.submit(transaction).await);
        }
        results
    }
    /// What a job would cost, and who could run it.
    async fn estimate(&self, spec: JobSpec) -> Result<EstimateView, ApiError>;
    /// A value or its absence, proven at the newest height for which that is possible.
    async fn proof(&self, key: StateKey) -> Result<ValueProof, ApiError>;
    /// Signatures of a subnet's nodes over the state after an accepted height. Errors: unknown height, no subnet.
    async fn state_signatures(&self, height: Height) -> Result<StateSignatures, ApiError>;
    /// What the node has of a blob.
    async fn blob(&self, id: BlobId) -> Result<BlobStatus, ApiError>;
    /// A chunk of a blob with its proof, at most [`rpc::limits::MAX_CHUNK_BODY_BYTES`].
    async fn blob_chunk(&self, id: BlobId, chunk: u64) -> Result<Vec<u8>, ApiError>;
    /// Takes a chunk, verified, of a blob that a live job names.
    async fn put_blob_chunk(
        &self,
        job: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ApiError>;
    /// The events that the long poll reads.
    fn events(&self) -> &EventLog;
}
