//! Who waits in the reserve: actions that their jobs wait for.
//!
//! The protocol queue is for what would succeed in a block on the decided state: only the primary or a verifier that is
//! expected to act, or a partner that sortition drew, gets in, each with one transaction per job and kind of action,
//! first come. Fees play no part in it, so that nobody can outbid the parties of a job. Whether an action would succeed
//! is found by trying it, so there is no second list of the rules of jobs.

use state::{Overlay, StateRead, read_as};
use types::hash::{Address, JobId};
use types::job::JobRecord;
use types::number::{Attempt, ChainTime, Height, Timestamp};
use types::state_key::StateKey;
use types::transaction::{Action, Transaction};

use crate::{ActionError, Beacon, ChainRecord, Context, Fault, Partner, Rules, compute, partner};

/// Which part of the room a transaction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Ordinary,
    Protocol,
}

/// The kind of a party's action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Acknowledge,
    Decline,
    Commit,
    Announce,
    Claim,
    Reveal,
}

/// What of a job decides on an action's queue; when it changes, the action is looked at again.
pub(super) type Snapshot = Option<(Attempt, &'static str, Option<ChainTime>)>;

/// A partner's action on a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub job: JobId,
    pub kind: Kind,
    /// The job as it was when the action was looked at.
    pub scene: Snapshot,
    /// True if the job waited for the action then.
    pub expected: bool,
}

/// The job that a party's action is about, and its kind.
fn subject(action: &Action) -> Option<(JobId, Kind)> {
    match action {
        Action::Acknowledge { job, .. } => Some((*job, Kind::Acknowledge)),
        Action::Decline { job, .. } => Some((*job, Kind::Decline)),
        Action::Commit { job, .. } => Some((*job, Kind::Commit)),
        Action::Announce { job, .. } => Some((*job, Kind::Announce)),
        Action::Claim { job, .. } => Some((*job, Kind::Claim)),
        Action::Reveal { job, .. } => Some((*job, Kind::Reveal)),
        Action::Transfer { .. }
        | Action::RegisterPartner { .. }
        | Action::Bond { .. }
        | Action::Unbond { .. }
        | Action::SubmitJob { .. } => None,
    }
}

/// Looks at a transaction of `sender`, to be included after the block of height `height`: nothing if it is no action
/// of an active partner or a party on a job.
pub(super) fn look(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    transaction: &Transaction,
) -> Result<Option<Part>, Fault> {
    let Some((job, kind)) = subject(&transaction.action) else {
        return Ok(None);
    };
    let minimum = rules.params.compute.min_bond;
    // What a party lost may have taken its bond below the least; it is a party still.
    let counts = |partner: Partner| partner.bond >= minimum || partner.locks.contains_key(&job);
    if !partner::read(view, sender)?.is_some_and(counts) {
        return Ok(None);
    }
    let (scene, record) = scene(view, &job)?;
    let live = record.is_some_and(|record| !record.stage.is_final());
    let expected = live && would_succeed(rules, view, height, sender, transaction)?;
    Ok(Some(Part {
        job,
        kind,
        scene,
        expected,
    }))
}

/// What of a job decides on the queues of actions, and its record.
pub(super) fn scene(
    view: &dyn StateRead,
    job: &JobId,
) -> Result<(Snapshot, Option<JobRecord>), Fault> {
    let record: Option<JobRecord> = read_as(view, &StateKey::Job(*job)).map_err(Fault::from)?;
    let scene = record
        .as_ref()
        .map(|record| (record.attempt, record.stage.name(), record.stage.deadline()));
    Ok((scene, record))
}

/// Tries an action on the state `view`; nothing of it is kept.
fn would_succeed(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    transaction: &Transaction,
) -> Result<bool, Fault> {
    let height = height.next();
    let chain = ChainRecord::read(view)?;
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
        loaded: None,
    };
    match compute::apply(&mut context, transaction, *sender) {
        Ok(()) => Ok(true),
        Err(ActionError::Fault(fault)) => Err(fault),
        Err(_) => Ok(false),
    }
}
