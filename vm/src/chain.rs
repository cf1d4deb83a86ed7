//! Executing a block: its verdict, and what it changes.

use std::collections::BTreeSet;

use state::{StateRead, Writes};
use types::block::{Block, Header};
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::VrfProof;
use types::number::{Amount, BeaconStep, Gas, Height, ProtocolVersion, Timestamp};
use types::stored::StoredCertificate;
use types::transaction::{SystemTransaction, TransactionReceipt};

use crate::charge::{self, ChargeError};
use crate::run::{BlockStart, Finished, Item, Run, Stop, SystemError};
use crate::{Abort, Beacon, Rules, gas};

/// What executing a block gives. Header fields that state these results are the *child's*; the node compares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBlock {
    /// Every key that changes.
    pub writes: Writes,
    /// One per transaction, in the body's order.
    pub receipts: Vec<TransactionReceipt>,
    /// Gas that the block's transactions used together.
    pub gas: Gas,
    /// The root of the receipts.
    pub receipt_root: Hash32,
    /// True if the block carried a transaction other than a beacon output, or a hook changed an account or a job: the
    /// next block should not wait for the idle target.
    pub urgent: bool,
}

/// Why a block is not valid after its parent, or, as [`BlockError::Abort`], cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Other rules than those in force.
    #[error("the block follows protocol version {found}, in force is {expected}")]
    ProtocolVersion {
        /// Version in the header.
        found: ProtocolVersion,
        /// What is in force.
        expected: ProtocolVersion,
    },
    /// The header is of another chain.
    #[error("the block is of chain {found}, this is {expected}")]
    Chain {
        /// Chain in the header.
        found: ChainId,
        /// Chain whose rules are applied.
        expected: ChainId,
    },
    /// Not one above the parent.
    #[error("the block has height {found}, its parent {parent}")]
    Height {
        /// Height in the header.
        found: Height,
        /// Height of the parent.
        parent: Height,
    },
    /// Not a child of this parent.
    #[error("the block's parent is {found}, it was given {given}")]
    Parent {
        /// Parent id in the header.
        found: BlockId,
        /// The id of the header given.
        given: BlockId,
    },
    /// Not above the parent's time.
    #[error("the timestamp {found} is not above the parent's {parent}")]
    Timestamp {
        /// Timestamp in the header.
        found: Timestamp,
        /// Timestamp of the parent.
        parent: Timestamp,
    },
    /// A proposer who is no member.
    #[error("the proposer {0} is no member of the committee")]
    Proposer(ValidatorId),
    /// A body that the header does not commit to, or that is too long.
    #[error("the body does not fit the header or its byte limit")]
    Body,
    /// Not the least fee.
    #[error("the base fee is {found} SQUARE, it must be {expected}")]
    BaseFee {
        /// Base fee in the header, in base units.
        found: Amount,
        /// Base fee that the rules demand, in base units.
        expected: Amount,
    },
    /// Not what this height says of the next committee.
    #[error("the next committee is {found}, it must be {expected}")]
    NextCommittee {
        /// Hash of the next committee in the header.
        found: Hash32,
        /// What it must be.
        expected: Hash32,
    },
    /// More gas than a block may use.
    #[error("the block uses {gas} gas, at most {limit} is allowed")]
    TooMuchGas {
        /// Gas that the body uses.
        gas: Gas,
        /// Gas limit of a block.
        limit: Gas,
    },
    /// A system transaction that cannot be here.
    #[error("system transaction {position}: {error}")]
    System {
        /// Its position in the body, counted from 0.
        position: usize,
        /// Rule that the system transaction broke.
        error: SystemError,
    },
    /// A transaction that cannot be charged.
    #[error("transaction {position}: {error}")]
    Transaction {
        /// Its position in the body, counted from 0.
        position: usize,
        /// Reason why its fee cannot be charged.
        error: ChargeError,
    },
    /// No verdict: the node must stop.
    #[error(transparent)]
    Abort(#[from] Abort),
}

/// Executes a block on the state after its parent. Checks everything but what the header says of the parent's results
/// and the local clock. Deterministic: equal input gives an equal result on every machine.
///
/// `view` is the state after the parent. It decides which rules the block follows; `rules` are a copy at hand.
pub fn execute(
    rules: &Rules,
    view: &dyn StateRead,
    parent: &Header,
    block: &Block,
) -> Result<ExecutedBlock, BlockError> {
    execute_known(rules, view, parent, block, &BTreeSet::new())
}

/// As [`execute`], but takes the caller's word for the signatures of the transactions at the positions that are `known`:
/// whoever verified them before need not do so again.
pub fn execute_known(
    rules: &Rules,
    view: &dyn StateRead,
    parent: &Header,
    block: &Block,
    known: &BTreeSet<usize>,
) -> Result<ExecutedBlock, BlockError> {
    let rules = rules.in_force(view)?;
    let rules = rules.as_ref();
    check_header(rules, parent, block)?;
    let items = check_body(rules, block, known)?;
    let header = &block.header;
    let start = BlockStart {
        height: header.height,
        timestamp: header.timestamp,
        proposer: header.proposer,
    };
    let (output, stored) = split_system(block)?;
    let output = match output {
        None => None,
        Some((step, proof)) => {
            let checked = Beacon::read(view)?.check(rules, step, proof);
            Some(checked.map_err(|error| BlockError::System {
                position: 0,
                error: error.into(),
            })?)
        }
    };
    let mut run = Run::begin(rules, view, parent, start, output)?;
    for (position, certificate) in stored {
        run.stored(certificate)
            .map_err(|stop| system_error(position, stop))?;
    }
    for (position, item) in items.iter().enumerate() {
        run.transaction(item).map_err(|stop| match stop {
            Stop::Invalid(error) => BlockError::Transaction { position, error },
            Stop::Abort(abort) => BlockError::Abort(abort),
        })?;
    }
    Ok(run.end()?.into())
}

impl From<Finished> for ExecutedBlock {
    fn from(finished: Finished) -> Self {
        Self {
            receipt_root: TransactionReceipt::root(&finished.receipts),
            writes: finished.writes,
            receipts: finished.receipts,
            gas: finished.gas,
            urgent: finished.urgent,
        }
    }
}

fn system_error(position: usize, stop: Stop<SystemError>) -> BlockError {
    match stop {
        Stop::Invalid(error) => BlockError::System { position, error },
        Stop::Abort(abort) => BlockError::Abort(abort),
    }
}

fn check_header(rules: &Rules, parent: &Header, block: &Block) -> Result<(), BlockError> {
    let header = &block.header;
    // The height that the parent gives, not the one that the header claims: a lie must not stop a node.
    let expected = rules.protocol_version(parent.height.next())?;
    if header.protocol_version != expected {
        return Err(BlockError::ProtocolVersion {
            found: header.protocol_version,
            expected,
        });
    }
    if header.chain_id != rules.chain_id {
        return Err(BlockError::Chain {
            found: header.chain_id,
            expected: rules.chain_id,
        });
    }
    if parent.height.checked_add(1) != Some(header.height) {
        return Err(BlockError::Height {
            found: header.height,
            parent: parent.height,
        });
    }
    let given = parent.id();
    if header.parent != given {
        return Err(BlockError::Parent {
            found: header.parent,
            given,
        });
    }
    if header.timestamp <= parent.timestamp {
        return Err(BlockError::Timestamp {
            found: header.timestamp,
            parent: parent.timestamp,
        });
    }
    if rules.committee.validator(&header.proposer).is_none() {
        return Err(BlockError::Proposer(header.proposer));
    }
    let expected = rules.params.min_fee;
    if header.base_fee != expected {
        return Err(BlockError::BaseFee {
            found: header.base_fee,
            expected,
        });
    }
    let expected = rules.next_committee(header.height);
    if header.next_committee != expected {
        return Err(BlockError::NextCommittee {
            found: header.next_committee,
            expected,
        });
    }
    if block.is_whole() {
        Ok(())
    } else {
        Err(BlockError::Body)
    }
}

/// Checks what needs no state: forms, gas together, signatures. Gives the transactions with their gas.
fn check_body<'b>(
    rules: &Rules,
    block: &'b Block,
    known: &BTreeSet<usize>,
) -> Result<Vec<Item<'b>>, BlockError> {
    let mut total = Gas::ZERO;
    for system in &block.body.system {
        total = total.saturating_add(gas::of_system(system).0);
    }
    let mut each = Vec::with_capacity(block.body.transactions.len());
    for (position, signed) in block.body.transactions.iter().enumerate() {
        let bytes = charge::check_form(rules, signed)
            .map_err(|error| BlockError::Transaction { position, error })?;
        let item = Item::new(signed.transaction(), bytes);
        total = total.saturating_add(item.gas.0);
        each.push(item);
    }
    let limit = rules.block_gas_limit();
    if total > limit {
        return Err(BlockError::TooMuchGas { gas: total, limit });
    }
    charge::check_signatures(rules, &block.body.transactions, known)
        .map_err(|(position, error)| BlockError::Transaction { position, error })?;
    Ok(each)
}

type BeaconOutput<'b> = Option<(BeaconStep, &'b VrfProof)>;
type Positioned<'b> = Vec<(usize, &'b StoredCertificate)>;

/// The beacon output, which may only be the first system transaction, and the rest with their positions.
fn split_system(block: &Block) -> Result<(BeaconOutput<'_>, Positioned<'_>), BlockError> {
    let mut output = None;
    let mut rest = Vec::new();
    for (position, transaction) in block.body.system.iter().enumerate() {
        match transaction {
            SystemTransaction::Beacon { step, proof } if position == 0 => {
                output = Some((*step, proof));
            }
            SystemTransaction::Beacon { .. } => {
                return Err(BlockError::System {
                    position,
                    error: SystemError::BeaconNotFirst,
                });
            }
            SystemTransaction::Stored(certificate) => rest.push((position, certificate)),
        }
    }
    Ok((output, rest))
}
