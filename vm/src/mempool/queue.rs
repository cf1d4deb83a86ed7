//! Which queue a transaction waits in: the protocol queue is for steps that their jobs await.
//!
//! The protocol queue takes what would succeed in a block on the decided state: only the primary or a verifier that is
//! expected to act, or a partner that sortition drew, gets in, each with one transaction per job and step, first come.
//! Fees play no part in it, so that nobody can outbid the parties of a job. Whether a step would succeed is found by
//! trying it, so there is no second list of the rules of jobs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use state::{Overlay, StateRead, read_as};
use types::account::Partner;
use types::hash::{Address, JobId};
use types::job::JobRecord;
use types::number::{Attempt, ChainTime, Height, Timestamp};
use types::state_key::StateKey;
use types::transaction::Transaction;

use crate::{Abort, ActionError, Beacon, Context, Rules, action, partner};

/// The part of the mempool's room that a transaction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Ordinary,
    Protocol,
}

/// What decides on the queue of a job's steps: attempt, stage and deadline. When it changes, they are tried again. `None`
/// for a job that is not in state.
pub(super) type JobSnapshot = Option<(Attempt, &'static str, Option<ChainTime>)>;

/// A partner's step in a job, as it was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct PooledStep {
    pub job: JobId,
    /// The step's name; one transaction per name is in the protocol queue.
    pub step: &'static str,
    /// The job when the step was tried.
    pub snapshot: JobSnapshot,
    /// True if the step would have succeeded then.
    pub awaited: bool,
}

/// Why a transaction could not be tried. It is dropped then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TrialFault {
    /// State could not be read.
    Abort(Abort),
    /// The trial panicked.
    Panicked,
}

impl From<Abort> for TrialFault {
    fn from(abort: Abort) -> Self {
        Self::Abort(abort)
    }
}

/// Tries a transaction of `sender`, to be included after the block of height `height`. `None` if it is no step of an
/// active partner or of a party to the job. A panic is a fault like others: the trial changes nothing, and whoever sent
/// the transaction must not be able to stop who tries it.
// Rule C52.
pub(super) fn try_step(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    transaction: &Transaction,
) -> Result<Option<PooledStep>, TrialFault> {
    let trial = AssertUnwindSafe(|| try_unguarded(rules, view, height, sender, transaction));
    Ok(catch_unwind(trial).map_err(|_| TrialFault::Panicked)??)
}

fn try_unguarded(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    transaction: &Transaction,
) -> Result<Option<PooledStep>, Abort> {
    let Some(action) = action::job_action(&transaction.action) else {
        return Ok(None);
    };
    let min_bond = rules.params.compute.min_bond;
    // A penalty may have taken a party's bond below the minimum; it is a party still.
    let may_act = |partner: Partner| partner.bond >= min_bond || partner.is_bound_to(&action.job);
    if !partner::read(view, sender)?.is_some_and(may_act) {
        return Ok(None);
    }
    let (snapshot, record) = job_snapshot(view, &action.job)?;
    let live = record.is_some_and(|record| !record.stage.is_final());
    let awaited = live && would_succeed(rules, view, height, sender, transaction)?;
    Ok(Some(PooledStep {
        job: action.job,
        step: action.step.name(),
        snapshot,
        awaited,
    }))
}

/// What decides on the queues of a job's steps, and the job's record.
pub(super) fn job_snapshot(
    view: &dyn StateRead,
    job: &JobId,
) -> Result<(JobSnapshot, Option<JobRecord>), Abort> {
    let record: Option<JobRecord> = read_as(view, &StateKey::Job(*job)).map_err(Abort::from)?;
    let snapshot = record
        .as_ref()
        .map(|record| (record.attempt, record.stage.name(), record.deadline));
    Ok((snapshot, record))
}

/// Tries an action on the state `view`; nothing of it is kept.
fn would_succeed(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    transaction: &Transaction,
) -> Result<bool, Abort> {
    let height = height.next();
    let chain = crate::chain_record(view)?;
    let mut context = Context {
        rules,
        overlay: Overlay::new(view),
        height,
        timestamp: Timestamp::ZERO,
        chain_time: chain.chain_time,
        beacon: Beacon::read(view)?,
        epoch: rules.epoch(height),
        chain,
        changed: false,
        snapshots: BTreeMap::new(),
    };
    match action::perform(&mut context, transaction, sender) {
        Ok(()) => Ok(true),
        Err(ActionError::Abort(abort)) => Err(abort),
        Err(_) => Ok(false),
    }
}
