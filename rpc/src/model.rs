//! What the interface says, as it stands in JSON: the shapes of `/v1`.
//!
//! The shapes are apart from what lies in state and on disk, and stay when that changes. Amounts are decimal strings of
//! SQUARE, hashes and addresses lower-case hex, times milliseconds. Readers ignore fields that they do not know.

mod awaits;
mod block;
mod class;
mod dispute;
mod job;
mod partner;
mod spec;
mod validator;

use serde::{Deserialize, Serialize};
use types::codec::encode;
use types::hash::{Address, BlockId, ChainId, Hash32, JobId, TransactionId, ValidatorId};
use types::limits::STATE_ROOT_LAG;
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Height, Nonce, ProtocolVersion, Timestamp, View,
};
use types::proof::ValueProof;

use crate::error::ErrorBody;
pub use awaits::JobAwaits;
pub use block::{
    ActionView, BlockView, FailureView, HeaderView, HoldingView, SystemTransactionView,
    TransactionReceiptView, TransactionView,
};
pub use class::ClassView;
pub use dispute::{DisputePhaseView, DisputeView};
pub use job::{
    JobFailure, JobList, JobReceiptView, JobSummary, JobView, ReceiptVerifierView, StageEntryView,
    VerifierView,
};
pub use partner::{DutyView, LockView, PartnerList, PartnerView, ProfileView, UnbondingView};
pub use spec::{
    EscrowView, InputView, JobSpecView, OutputView, PolicyView, SpecViewError, TaskLimitsView,
    VerificationView, WorkloadView,
};
pub use validator::{LastProposalView, LastVoteView, ValidatorList, ValidatorView, label};

/// Where a node stands: `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Hash of the genesis; every signature is bound to it.
    pub chain_id: ChainId,
    /// Name of the network, from genesis.
    pub network: String,
    /// Version of the node's software.
    pub version: String,
    /// Version of the rules that the newest final block follows.
    pub protocol_version: ProtocolVersion,
    /// The next version and its first height, if this node's schedule has one; absent if it has none.
    #[serde(default)]
    pub next_version: Option<NextVersionView>,
    /// The validator that the node runs; absent if it runs none.
    pub validator: Option<ValidatorId>,
    /// Number of validators in the committee.
    pub committee_size: u16,
    /// Validators connected now, this node not among them.
    pub peers: u16,
    /// Height of the newest final block.
    pub height: Height,
    /// Id of that block.
    pub block_id: BlockId,
    /// Timestamp of that block, in milliseconds since the Unix epoch.
    pub block_time: Timestamp,
    /// State root after that block.
    pub state_root: Hash32,
    /// Chain time after that block, in milliseconds.
    pub chain_time: ChainTime,
    /// Epoch of that block.
    pub epoch: Epoch,
    /// View that consensus is in; views start again with each epoch.
    pub view: View,
    /// The engine classes of the network, in the order of its parameters.
    pub classes: Vec<ClassView>,
    /// Smallest fee of a transaction, in SQUARE.
    pub min_fee: Amount,
    /// Transactions that wait in the mempool.
    pub mempool_transactions: u64,
    /// Canonical bytes of those transactions together.
    pub mempool_bytes: u64,
    /// True if the node knows of final blocks that it has not executed yet.
    pub catching_up: bool,
    /// The lowest height whose block and receipts the node keeps.
    #[serde(default)]
    pub oldest_block: Height,
    /// The lowest height whose transactions the node finds by id.
    #[serde(default)]
    pub oldest_transaction: Height,
    /// The latest faults of this program that were contained since the node started, oldest first: report them.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// Why the chain does not grow, for people: since when, and which validators are not heard. Absent while it does.
    #[serde(default)]
    pub stalled: Option<String>,
    /// How far the node's clock is ahead of the other leaders' (behind them: negative), in milliseconds, with the way of
    /// a proposal; nothing before enough of them have proposed.
    pub clock_ahead_ms: Option<i64>,
    /// Where the event stream stands: pass it to `/v1/events` to read what happens after this answer.
    pub cursor: u64,
}

/// A version of the protocol that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextVersionView {
    /// The first height at which it is in force.
    pub height: Height,
    /// The number of the version, above that in force now.
    pub version: ProtocolVersion,
    /// True if the node's program knows it; else the node stops below that height.
    pub known: bool,
}

/// Which block is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSelector {
    /// The newest final one.
    Latest,
    /// The final one at a height.
    Height(Height),
    /// The one with this id.
    Id(BlockId),
}

impl std::fmt::Display for BlockSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Height(height) => height.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// An account: `GET /v1/accounts/{address}`. An account that nobody ever paid has zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Hash of the account's public key.
    pub address: Address,
    /// Money that it may spend, in SQUARE.
    pub balance: Amount,
    /// Number of its transactions in final blocks.
    pub nonce: Nonce,
    /// The nonce to use next: after those that wait in this node's mempool.
    pub next_nonce: Nonce,
    /// True if it is registered as a partner.
    pub is_partner: bool,
    /// The height that all of this is true at.
    pub height: Height,
}

/// Where a transaction stands: `GET /v1/transactions/{id}`. Unknown ones are 404.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// In this node's mempool or in a block that is not final yet.
    Pending {
        /// Hash of its unsigned canonical bytes.
        id: TransactionId,
        /// Last height at which it may be included.
        valid_until: Height,
    },
    /// In a final block.
    Included {
        /// Hash of its unsigned canonical bytes.
        id: TransactionId,
        /// Height of the block.
        height: Height,
        /// Id of the block.
        block: BlockId,
        /// Its position among the block's transactions.
        position: u32,
        /// Fee, and failure if the action was reverted.
        receipt: TransactionReceiptView,
    },
}

/// The body of `POST /v1/transactions` as JSON. What is signed is the canonical bytes, so these are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The canonical bytes of the signed transaction in hex digits.
    pub transaction: String,
}

/// The body of `POST /v1/transactions/batch` as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitBatchRequest {
    /// The canonical bytes of each signed transaction in hex digits.
    pub transactions: Vec<String>,
}

/// The answer to several transactions: `POST /v1/transactions/batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedBatch {
    /// For each transaction, in the order of the request, what became of it.
    pub results: Vec<SubmitResult>,
}

/// What became of one transaction among several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmitResult {
    /// It waits, or is in a block.
    Accepted(Submitted),
    /// It was refused, with what a request for it alone would be answered.
    Refused(ErrorBody),
}

/// The answer to a submitted transaction: `POST /v1/transactions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Hash of the transaction's unsigned canonical bytes.
    pub id: TransactionId,
    /// Id of the job that the transaction submits; absent if it submits none.
    pub job: Option<JobId>,
}

/// Signatures of a subnet's nodes over the state after a height: `GET /v1/state-signatures/{height}`. Unjudged: whoever
/// reads them has the validators' keys from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSignatures {
    /// Height of the accepted block.
    pub height: Height,
    /// State root after that block.
    pub state_root: Hash32,
    /// Number of the Avalanche network.
    pub network_id: u32,
    /// Id of the chain at Avalanche.
    pub source_chain: Hash32,
    /// What the nodes signed, by ascending node id.
    pub signatures: Vec<NodeSignature>,
}

/// What one node signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSignature {
    /// Id of the node.
    #[serde(with = "hex::serde")]
    pub node: [u8; 20],
    /// Compressed BLS signature.
    #[serde(with = "hex::serde")]
    pub signature: [u8; 96],
}

/// What a job would cost and who could run it: `POST /v1/estimate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimateView {
    /// The height that all of this is true at.
    pub height: Height,
    /// How it would be checked; absent if no policy can give what the job asks for.
    pub policy: Option<PolicyView>,
    /// What would be locked if it were submitted now; absent with the policy.
    pub escrow: Option<EscrowView>,
    /// What of the escrow's part for storage is burned at once, whatever becomes of the job, in SQUARE; absent with the policy.
    pub opening_fee: Option<Amount>,
    /// The sum of the escrow, in SQUARE.
    pub total: Option<Amount>,
    /// The lowest price for execution among the eligible partners, in SQUARE.
    pub lowest_price: Option<Amount>,
    /// The longest time that it may take with all waits and attempts, without a dispute, in milliseconds of chain time; absent
    /// with the policy.
    pub longest_ms: Option<u64>,
    /// How many partners could be assigned now.
    pub eligible: usize,
    /// Why the other partners could not, each reason once.
    pub exclusions: Vec<ExclusionView>,
    /// Why the job would be refused or find nobody; absent if it would go.
    pub refusal: Option<FailureView>,
}

/// The rule that keeps a partner from running a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExclusionCode {
    /// It runs another engine class.
    Class,
    /// It lacks an attribute that the constraints ask for.
    Attributes,
    /// It asks for more than the price cap.
    Price,
    /// The part of its bond behind one place is smaller than the policy's bond.
    Bond,
    /// It has paused.
    Paused,
    /// It runs as many jobs as it has places.
    Places,
    /// Too much of its bond is locked now.
    Locked,
    /// A rule that this build does not know.
    #[serde(other)]
    Other,
}

impl ExclusionCode {
    /// True if it passes: the partner is busy now, or has paused.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Paused | Self::Places | Self::Locked)
    }
}

/// Why some partners could not run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionView {
    /// The rule that keeps them out.
    pub code: ExclusionCode,
    /// One sentence for people.
    pub reason: String,
    /// Number of partners that it concerns.
    pub partners: u32,
}

/// A proof of state: `GET /v1/proofs/{key}` as JSON, with the key as [`crate::ProofKey`] writes it. Programs that
/// check it take the bytes of `proof`, or ask for `application/octet-stream`; the other fields only say what those
/// bytes hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofView {
    /// The value's canonical bytes in hex digits; absent if the key is.
    pub value: Option<String>,
    /// The value is of the state after this height.
    pub height: Height,
    /// The root of that state.
    pub state_root: Hash32,
    /// The canonical bytes of the `ValueProof` in hex digits.
    pub proof: String,
}

impl ProofView {
    /// The proof as JSON shows it.
    #[must_use]
    pub fn new(proof: &ValueProof) -> Self {
        let header = proof.finality.headers.first();
        Self {
            value: proof.value.as_deref().map(hex::encode),
            height: header
                .map(|header| header.height.saturating_sub(STATE_ROOT_LAG))
                .unwrap_or_default(),
            state_root: header.map_or(Hash32::ZERO, |header| header.parent_state_root),
            proof: hex::encode(encode(proof)),
        }
    }
}

/// What a node has of a blob: `GET /v1/blobs/{hash}/{length}`, and the answer to an uploaded chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobStatus {
    /// True if all of it is there.
    pub complete: bool,
    /// Number of chunks that the blob has.
    pub chunks: u64,
    /// The first chunks that are missing, ascending, at most [`crate::limits::MAX_LISTED_CHUNKS`].
    pub missing: Vec<u64>,
}

/// A page of events: `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// Pass it to the next request.
    pub cursor: u64,
    /// What happened from the cursor asked with up to the cursor given, oldest first.
    pub events: Vec<Event>,
}

/// One thing that happened, in a final block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A block became final.
    Block {
        /// Height of the block.
        height: Height,
        /// Hash of the block's header.
        id: BlockId,
        /// The block's timestamp, in milliseconds since the Unix epoch.
        time: Timestamp,
        /// Number of transactions in it.
        transactions: u32,
    },
    /// A transaction is in a final block.
    Transaction {
        /// Hash of its unsigned canonical bytes.
        id: TransactionId,
        /// Height of the block.
        height: Height,
        /// Why its action was reverted, if it was.
        failure: Option<FailureView>,
    },
    /// A job entered a stage.
    Job {
        /// Id of the job.
        job: JobId,
        /// Name of the stage, as in [`JobView::stage`].
        stage: String,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Height of the block that entered it.
        height: Height,
    },
}
