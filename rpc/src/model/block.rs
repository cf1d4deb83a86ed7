//! Blocks and transactions in the shapes of the interface.
//!
//! Hashes and signatures cover the canonical bytes, not these shapes: who checks them asks for the block as
//! `application/octet-stream`. Large parts that only a checker needs (proofs, leaves, signatures) are left out here.

mod action;

use serde::{Deserialize, Serialize};
use types::block::{Block, Header};
use types::hash::{Address, BlobId, BlockId, ChainId, Hash32, JobId, TransactionId, ValidatorId};
use types::number::{
    Amount, Attempt, BeaconStep, Fuel, Gas, Height, Nonce, ProtocolVersion, TaskIndex, Timestamp,
};
use types::stored::{Holding, StoredStatement};
use types::transaction::{Failure, SignedTransaction, SystemTransaction, TransactionReceipt};

use super::partner::ProfileView;
use super::spec::JobSpecView;

/// A final block: `GET /v1/blocks/{height|latest|id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Its id: the hash of its header's canonical bytes.
    pub id: BlockId,
    /// Header of the block.
    pub header: HeaderView,
    /// Statements of validators, which are free.
    pub system: Vec<SystemTransactionView>,
    /// Its transactions, in order.
    pub transactions: Vec<TransactionView>,
}

/// A block's header: what the committee decides on, and what is proven of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderView {
    /// Version of the rules that the block follows.
    pub protocol_version: ProtocolVersion,
    /// The chain that the block belongs to.
    pub chain_id: ChainId,
    /// Number of blocks before it since genesis.
    pub height: Height,
    /// Id of the block before it.
    pub parent: BlockId,
    /// When it was proposed, in milliseconds since the Unix epoch; above its parent's.
    pub timestamp: Timestamp,
    /// The validator that proposed it.
    pub proposer: ValidatorId,
    /// Merkle root over its system transactions and transactions.
    pub transaction_root: Hash32,
    /// Smallest fee of a transaction in it, in SQUARE.
    pub base_fee: Amount,
    /// Hash of the next epoch's committee in the last block of an epoch, else zero.
    pub next_committee: Hash32,
    /// State root after its parent.
    pub parent_state_root: Hash32,
    /// Merkle root over its parent's receipts.
    pub parent_receipt_root: Hash32,
    /// Gas that its parent used.
    pub parent_gas_used: Gas,
}

/// A transaction of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionView {
    /// Hash of its unsigned canonical bytes.
    pub id: TransactionId,
    /// Address of the account that sends and pays.
    pub sender: Address,
    /// Number of transactions that the account sent before.
    pub nonce: Nonce,
    /// Last height at which it could be included.
    pub valid_until: Height,
    /// Fee that it offers, in SQUARE.
    pub fee: Amount,
    /// What it asks for.
    pub action: ActionView,
    /// How it ended; absent if the node has not executed the block.
    pub receipt: Option<TransactionReceiptView>,
}

/// What a transaction asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActionView {
    /// Moves money to another account.
    Transfer {
        /// Address of the account that is paid.
        to: Address,
        /// How much is moved, in SQUARE.
        amount: Amount,
    },
    /// Registers the sender as a partner or changes its profile, from the next epoch on.
    RegisterPartner {
        /// Keys, price and attributes.
        profile: ProfileView,
    },
    /// Moves money into the sender's bond.
    Bond {
        /// How much is moved, in SQUARE.
        amount: Amount,
    },
    /// Moves free bond out, to be paid after the unbonding period.
    Unbond {
        /// How much is moved, in SQUARE.
        amount: Amount,
    },
    /// Submits a job and locks its escrow.
    SubmitJob {
        /// What is to be computed, and on which terms.
        spec: Box<JobSpecView>,
    },
    /// Ends a live job of the sender's.
    CancelJob {
        /// The job that its customer does not want any more.
        job: JobId,
    },
    /// A partner says that the result of a settled job is wrong, and commits to another one.
    ChallengeJob {
        /// The job whose receipt it challenges.
        job: JobId,
        /// Hash of the root over what it found and a salt.
        commitment: Hash32,
    },
    /// Whoever challenges a settled job shows what it found at one task.
    Contradict {
        /// The job whose receipt it challenges.
        job: JobId,
        /// The attempt that settled, counted from 0.
        attempt: Attempt,
        /// The task whose results are compared.
        task: TaskIndex,
        /// The leaf that it found.
        leaf: Hash32,
        /// The leaf in the receipt's result.
        settled_leaf: Hash32,
    },
    /// The assigned primary takes the job.
    Acknowledge {
        /// The job that it takes.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
    },
    /// The assigned primary does not take the job.
    Decline {
        /// The job that it declines.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// True if nobody can run the module within the deadline, rather than not this partner now.
        unrunnable: bool,
    },
    /// The primary of a chain names the states that its tasks left.
    HandOn {
        /// The job that was run.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// The list of states.
        states: BlobId,
    },
    /// The primary or a verifier binds itself to its result.
    Commit {
        /// The job that was run.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Hash of the result root and a salt.
        commitment: Hash32,
    },
    /// The primary or a verifier still works on its tasks.
    Renew {
        /// The job that it works on.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// How often it said so before.
        number: u32,
    },
    /// A verifier found no result of its tasks.
    NoResult {
        /// The job that it was to check.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
    },
    /// A partner that its own VRF selected binds itself to verify.
    Announce {
        /// The job that it will check.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
    },
    /// The primary or a verifier shows what its commitment hides.
    Reveal {
        /// The job that was run.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Merkle root over the blinded leaves.
        result_root: Hash32,
        /// Value that blinds the leaves.
        salt: Hash32,
        /// Tasks whose leaves it shows, ascending.
        tasks: Vec<TaskIndex>,
        /// The list of outcomes.
        outcomes: BlobId,
    },
    /// A verifier that found what the primary revealed opens its commitment.
    Agree {
        /// The job that it checked.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Value that blinds its leaves.
        salt: Hash32,
    },
    /// A referee commits to what it found for the task in dispute.
    Vote {
        /// The job in dispute.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Number of the ballot, counted from 0.
        ballot: u16,
        /// Hash of a leaf and a salt.
        commitment: Hash32,
    },
    /// A referee opens its vote.
    OpenVote {
        /// The job in dispute.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Number of the ballot, counted from 0.
        ballot: u16,
        /// The leaf that it found.
        leaf: Hash32,
        /// The witness that it ran the task.
        witness: Hash32,
        /// Value that blinded its vote.
        salt: Hash32,
    },
    /// A verifier that found something else shows it at one task.
    Differ {
        /// The job that it checked.
        job: JobId,
        /// The attempt, counted from 0.
        attempt: Attempt,
        /// Merkle root over its blinded leaves.
        result_root: Hash32,
        /// Value that blinds its leaves.
        salt: Hash32,
        /// The task whose results are compared.
        task: TaskIndex,
        /// The leaf that it found there.
        leaf: Hash32,
    },
}

/// What validators say in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SystemTransactionView {
    /// A quorum of validators holds blobs of a job.
    Stored {
        /// Number of validators that signed it.
        signers: usize,
        /// Length of what they hold, each blob once, in bytes.
        bytes: u64,
        /// Fuel that all tasks used together; 0 for inputs and states.
        fuel: Fuel,
        /// The job whose blobs they hold.
        job: JobId,
        /// The attempt, counted from 0; inputs are stored once, under attempt 0.
        attempt: Attempt,
        /// Which blobs of the job they hold: `inputs`, `states` or `results`.
        holding: HoldingView,
    },
    /// The next output of the random beacon.
    Beacon {
        /// The step that it gives.
        step: BeaconStep,
    },
}

/// Which blobs of a job a validator holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldingView {
    /// The module, stdin and all inputs.
    Inputs,
    /// The list of a chain's states and everything that it names.
    States,
    /// The list of outcomes and everything that it names.
    Results,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionReceiptView {
    /// Id of the transaction.
    pub id: TransactionId,
    /// Fee that was burned, in SQUARE.
    pub fee: Amount,
    /// The rule that the action broke; absent if it was done.
    pub failure: Option<FailureView>,
}

/// The rule that a request broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    /// A stable short name, such as `insufficient_balance`.
    pub code: String,
    /// One sentence with the values that broke the rule.
    pub message: String,
}

impl BlockView {
    /// The block with the receipts of its transactions, in the same order.
    #[must_use]
    pub fn new(block: &Block, receipts: &[TransactionReceipt]) -> Self {
        let transactions = block.body.transactions.iter().enumerate();
        Self {
            id: block.id(),
            header: HeaderView::from(&block.header),
            system: block.body.system.iter().map(Into::into).collect(),
            transactions: transactions
                .map(|(position, signed)| TransactionView::new(signed, receipts.get(position)))
                .collect(),
        }
    }
}

impl From<&Header> for HeaderView {
    fn from(header: &Header) -> Self {
        Self {
            protocol_version: header.protocol_version,
            chain_id: header.chain_id,
            height: header.height,
            parent: header.parent,
            timestamp: header.timestamp,
            proposer: header.proposer,
            transaction_root: header.transaction_root,
            base_fee: header.base_fee,
            next_committee: header.next_committee,
            parent_state_root: header.parent_state_root,
            parent_receipt_root: header.parent_receipt_root,
            parent_gas_used: header.parent_gas_used,
        }
    }
}

impl TransactionView {
    /// A transaction and, if it is known, how it ended.
    #[must_use]
    pub fn new(signed: &SignedTransaction, receipt: Option<&TransactionReceipt>) -> Self {
        let transaction = signed.transaction();
        Self {
            id: signed.id(),
            sender: transaction.sender.address(),
            nonce: transaction.nonce,
            valid_until: transaction.valid_until,
            fee: transaction.fee,
            action: ActionView::from(&transaction.action),
            receipt: receipt.map(TransactionReceiptView::from),
        }
    }
}

impl From<&SystemTransaction> for SystemTransactionView {
    fn from(transaction: &SystemTransaction) -> Self {
        match transaction {
            SystemTransaction::Stored(certificate) => {
                let StoredStatement {
                    subject,
                    bytes,
                    fuel,
                } = certificate.statement;
                Self::Stored {
                    signers: certificate.signers.len(),
                    bytes,
                    fuel,
                    job: subject.job,
                    attempt: subject.attempt,
                    holding: match subject.holding {
                        Holding::Inputs => HoldingView::Inputs,
                        Holding::States => HoldingView::States,
                        Holding::Results => HoldingView::Results,
                    },
                }
            }
            SystemTransaction::Beacon { step, .. } => Self::Beacon { step: *step },
        }
    }
}

impl From<&TransactionReceipt> for TransactionReceiptView {
    fn from(receipt: &TransactionReceipt) -> Self {
        Self {
            id: receipt.id,
            fee: receipt.fee,
            failure: receipt.failure.as_ref().map(FailureView::from),
        }
    }
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.clone(),
            message: failure.message.clone(),
        }
    }
}
