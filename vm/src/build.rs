//! Building a block's body: only what will be valid, in the order of execution.
//!
//! A quarter of the body, in bytes, gas and number, is reserved for steps of parties to live jobs, so that no flood of
//! ordinary transactions makes a party miss its window. A step is in a body only if it succeeds: the rules of jobs let
//! nobody else succeed, so the reserve cannot be filled by pretenders. A few that fail are tried for nothing, then no more.

use state::StateRead;
use types::block::{Body, Header};
use types::codec::{Bounded, encode};
use types::hash::{TransactionId, ValidatorId};
use types::limits::{
    MAX_BLOCK_TRANSACTIONS, MAX_BODY_BYTES, MAX_REFUSED, MAX_SYSTEM_BYTES, MAX_SYSTEM_TRANSACTIONS,
};
use types::number::{Gas, Timestamp};
use types::transaction::SystemTransaction;

use crate::chain::ExecutedBlock;
use crate::charge::Verified;
use crate::run::{BlockStart, Item, Run, Stop};
use crate::{Abort, Beacon, Rules, gas};

/// Bytes of the count before the transactions of an encoded body.
const BODY_OVERHEAD: usize = 4;

/// The body of a block that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltBody {
    /// Body that is valid after the parent, within every limit of a block.
    pub body: Body,
    /// Steps of parties that their jobs do not take: they are not in the body, and not worth another try.
    pub refused: Vec<TransactionId>,
    /// What executing the block gives: it was executed while it was built.
    pub executed: ExecutedBlock,
}

/// Builds the body of a child of `parent` by `proposer`, on the state after it. `system` and `candidates` are tried in the order
/// given; what does not fit or would not be valid is left out. The first valid output of the next beacon step is taken.
// Rule C51.
pub fn build<'c>(
    rules: &Rules,
    view: &dyn StateRead,
    parent: &Header,
    proposer: ValidatorId,
    timestamp: Timestamp,
    system: &[SystemTransaction],
    candidates: impl IntoIterator<Item = &'c Verified>,
) -> Result<BuiltBody, Abort> {
    let rules = rules.in_force(view)?;
    let rules = rules.as_ref();
    let start = BlockStart {
        height: parent.height.next(),
        timestamp,
        proposer,
    };
    let (mut run, beacon) = begin(rules, view, parent, start, system)?;
    let system_first = Bounded::new(beacon.into_iter().collect()).unwrap_or_default();
    let mut body = Body {
        system: system_first,
        transactions: Bounded::default(),
    };
    add_stored(&mut run, &mut body, system)?;
    let refused = add_transactions(&mut run, &mut body, candidates)?;
    let executed = run.end()?.into();
    Ok(BuiltBody {
        body,
        refused,
        executed,
    })
}

/// Begins with the first output of the next beacon step that is valid, or without one.
fn begin<'a>(
    rules: &'a Rules,
    view: &'a dyn StateRead,
    parent: &Header,
    start: BlockStart,
    system: &[SystemTransaction],
) -> Result<(Run<'a>, Option<SystemTransaction>), Abort> {
    let beacon = Beacon::read(view)?;
    let output = system.iter().find_map(|transaction| match transaction {
        SystemTransaction::Beacon { step, proof } => {
            let output = beacon.check(rules, *step, proof).ok()?;
            Some((output, transaction.clone()))
        }
        SystemTransaction::Stored(_) => None,
    });
    let (output, transaction) = output.unzip();
    Ok((Run::begin(rules, view, parent, start, output)?, transaction))
}

fn add_stored(
    run: &mut Run<'_>,
    body: &mut Body,
    system: &[SystemTransaction],
) -> Result<(), Abort> {
    let mut bytes = encode(&body.system).len();
    for transaction in system {
        let SystemTransaction::Stored(certificate) = transaction else {
            continue;
        };
        bytes += encode(transaction).len();
        let after = run.gas.saturating_add(gas::of_system(transaction).0);
        if body.system.len() >= MAX_SYSTEM_TRANSACTIONS
            || bytes > MAX_SYSTEM_BYTES
            || after > ordinary(run.context.rules.block_gas_limit())
        {
            return Ok(());
        }
        match run.stored(certificate) {
            Ok(()) => drop(body.system.push(transaction.clone())),
            Err(Stop::Invalid(_)) => {}
            Err(Stop::Abort(abort)) => return Err(abort),
        }
    }
    Ok(())
}

/// The part of a limit that ordinary transactions may use.
fn ordinary(limit: Gas) -> Gas {
    Gas(limit.0 - limit.0 / 4)
}

/// What is used of a block's limits.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    count: usize,
    gas: Gas,
}

impl Room {
    fn holds(&self, more: &Self) -> bool {
        self.bytes >= more.bytes && self.count >= more.count && self.gas >= more.gas
    }

    fn take(&mut self, less: &Self) {
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.count = self.count.saturating_sub(less.count);
        self.gas = self.gas.saturating_sub(less.gas.0);
    }
}

// Rules C51, C53.
fn add_transactions<'c>(
    run: &mut Run<'_>,
    body: &mut Body,
    candidates: impl IntoIterator<Item = &'c Verified>,
) -> Result<Vec<TransactionId>, Abort> {
    let limit = run.context.rules.block_gas_limit();
    let left = |limit: Gas| limit.saturating_sub(run.gas.0);
    let mut all = Room {
        bytes: MAX_BODY_BYTES - BODY_OVERHEAD,
        count: MAX_BLOCK_TRANSACTIONS,
        gas: left(limit),
    };
    let mut open = Room {
        bytes: MAX_BODY_BYTES - MAX_BODY_BYTES / 4 - BODY_OVERHEAD,
        count: MAX_BLOCK_TRANSACTIONS - MAX_BLOCK_TRANSACTIONS / 4,
        gas: left(ordinary(limit)),
    };
    let (mut included, mut refused) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let transaction = candidate.transaction();
        let item = Item::new(transaction, candidate.bytes());
        let need = Room {
            bytes: item.bytes,
            count: 1,
            gas: item.gas,
        };
        let is_step = transaction.action.is_step();
        let fits = if is_step {
            refused.len() < MAX_REFUSED
        } else {
            open.holds(&need)
        };
        if !fits || !all.holds(&need) {
            continue;
        }
        if run.try_transaction(&item)? {
            all.take(&need);
            if !is_step {
                open.take(&need);
            }
            included.push(candidate.signed().clone());
        } else if is_step {
            refused.push(candidate.id());
        }
    }
    body.transactions = Bounded::new(included).expect("the room for transactions is counted");
    Ok(refused)
}
