//! What the interface says, as it stands in JSON. Amounts are decimal strings of SQUARE, hashes and addresses
//! lower-case hex, times milliseconds. Readers ignore fields that they do not know.

mod job;

pub use job::{JobList, JobSummary, JobView, VerifierView};

use serde::{Deserialize, Serialize};
use types::block::Header;
use types::codec::encode;
use types::hash::{Address, BlockId, ChainId, Hash32, JobId, TransactionId, ValidatorId};
use types::job::{Escrow, PartnerProfile, Policy};
use types::number::{
    Amount, Attempt, ChainTime, Epoch, Height, Nonce, ProtocolVersion, Timestamp, View,
};
use types::proof::ValueProof;
use types::transaction::{Failure, SystemTransaction, Transaction, TransactionReceipt};

/// Where a node stands: `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The chain.
    pub chain_id: ChainId,
    /// The network's name, from genesis.
    pub network: String,
    /// The node's software version.
    pub version: String,
    /// The rules in force.
    pub protocol_version: ProtocolVersion,
    /// The node's validator id, if it is a validator.
    pub validator: Option<ValidatorId>,
    /// Members of the committee.
    pub committee_size: u16,
    /// Committee members connected now, this node not counted.
    pub peers: u16,
    /// Height of the newest final block.
    pub height: Height,
    /// Its id.
    pub block_id: BlockId,
    /// Its timestamp.
    pub block_time: Timestamp,
    /// The state root after it.
    pub state_root: Hash32,
    /// Chain time after it.
    pub chain_time: ChainTime,
    /// Epoch of bonds, keys and asks after it.
    pub epoch: Epoch,
    /// View that consensus is in.
    pub view: View,
    /// Least fee of a transaction.
    pub min_fee: Amount,
    /// Transactions waiting.
    pub mempool_transactions: u64,
    /// Bytes of the transactions waiting.
    pub mempool_bytes: u64,
    /// True if the node knows of final blocks that it has not executed yet.
    pub catching_up: bool,
    /// Where the event stream stands: pass it to `/v1/events` to read what happens after this answer.
    pub cursor: u64,
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

/// A block: `GET /v1/blocks/{height|latest|id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Its id.
    pub id: BlockId,
    /// Its header.
    pub header: Header,
    /// What validators said in it.
    pub system: Vec<SystemTransaction>,
    /// Its transactions in order.
    pub transactions: Vec<BlockTransaction>,
}

/// A transaction as its block shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockTransaction {
    /// Its id.
    pub id: TransactionId,
    /// The sending account.
    pub sender: Address,
    /// What was signed.
    pub transaction: Transaction,
    /// How it ended, once the block is executed.
    pub receipt: Option<TransactionReceipt>,
}

/// An account: `GET /v1/accounts/{address}`. An account that nobody ever paid has zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its address.
    pub address: Address,
    /// What it may spend.
    pub balance: Amount,
    /// Transactions that it sent in final blocks.
    pub nonce: Nonce,
    /// The nonce to use next: after those that wait in this node's mempool.
    pub next_nonce: Nonce,
    /// True if it is registered as a partner.
    pub is_partner: bool,
    /// The height that all of this is true at.
    pub height: Height,
}

/// All partners: `GET /v1/partners`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerList {
    /// The height that all of this is true at.
    pub height: Height,
    /// Sorted by address.
    pub partners: Vec<PartnerView>,
}

/// A partner: `GET /v1/partners/{address}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerView {
    /// Its account.
    pub address: Address,
    /// What it offers, as last registered.
    pub profile: PartnerProfile,
    /// Its bond without what is being unbonded.
    pub bond: Amount,
    /// What of the bond is locked by jobs.
    pub locked: Amount,
    /// What of the bond is neither locked nor being unbonded.
    pub free: Amount,
    /// The bond that counts in this epoch's draws; nothing if the partner does not count yet.
    pub epoch_bond: Option<Amount>,
    /// On its way out.
    pub unbonding: Vec<UnbondingView>,
    /// Jobs that it is primary of now.
    pub running: u16,
    /// Value of the jobs of this partner that verification confirmed.
    pub verified_value: Amount,
    /// The height that all of this is true at.
    pub height: Height,
}

/// Bond on its way back to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbondingView {
    /// How much.
    pub amount: Amount,
    /// When it is paid.
    pub due: ChainTime,
}

/// Where a transaction stands: `GET /v1/transactions/{id}`. Unknown ones are 404.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// In this node's mempool or in a block that is not final yet.
    Pending {
        /// The id.
        id: TransactionId,
        /// Last height at which it may be included.
        valid_until: Height,
    },
    /// In a final block.
    Included {
        /// The id.
        id: TransactionId,
        /// Height of the block.
        height: Height,
        /// The block.
        block: BlockId,
        /// Its position among the block's transactions.
        position: u32,
        /// Fee, and failure if the action was reverted.
        receipt: TransactionReceipt,
    },
}

/// The answer to a submitted transaction: `POST /v1/transactions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction's id.
    pub id: TransactionId,
    /// The job's id, if the transaction submits one.
    pub job: Option<JobId>,
}

/// What a job would cost and who could run it: `POST /v1/estimate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The height that all of this is true at.
    pub height: Height,
    /// How it would be checked; nothing if no policy exists.
    pub policy: Option<Policy>,
    /// What would be locked if it were submitted now.
    pub escrow: Option<Escrow>,
    /// The sum of the escrow.
    pub total: Option<Amount>,
    /// The least price for execution among the eligible partners.
    pub lowest_price: Option<Amount>,
    /// Partners that could be drawn now.
    pub eligible: Vec<Address>,
    /// Why partners were left out, each reason with how many it concerns.
    pub exclusions: Vec<Exclusion>,
    /// Why it would be refused or find nobody; nothing if it would go.
    pub refusal: Option<Failure>,
}

/// Why some partners could not run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// A stable short name: `price`, `bond`, `attributes`, `class`, `capacity`, ...
    pub code: String,
    /// One sentence for people.
    pub reason: String,
    /// How many partners.
    pub partners: u32,
}

/// A proof of state: `GET /v1/proofs/{key}` as JSON. Programs that check it take the bytes of `proof`, or ask for
/// `application/octet-stream`; the other fields only say what those bytes hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofView {
    /// The value's canonical bytes in hex digits; nothing if the key is absent.
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
                .map(|header| header.height.saturating_sub(1))
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
        /// Its height.
        height: Height,
        /// Its id.
        id: BlockId,
        /// Its timestamp.
        time: Timestamp,
        /// How many transactions it holds.
        transactions: u32,
    },
    /// A transaction is in a final block.
    Transaction {
        /// Its id.
        id: TransactionId,
        /// The block's height.
        height: Height,
        /// Why its action was reverted, if it was.
        failure: Option<Failure>,
    },
    /// A job entered a stage.
    Job {
        /// The job.
        job: JobId,
        /// The stage's name.
        stage: String,
        /// The attempt.
        attempt: Attempt,
        /// The block's height.
        height: Height,
    },
}
