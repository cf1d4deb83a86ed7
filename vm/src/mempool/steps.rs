//! The parties' steps that wait, apart from everything else: none waits behind another transaction, and fees play no part.
//!
//! A step is here only while it would succeed in a block on the decided state: only the primary or a verifier that is
//! expected to act, or a partner that sortition drew, gets in, each with one transaction per job and kind, first come.
//! Whether a step would succeed is found by trying it, so there is no second list of the rules of jobs. When a block changes
//! a job, its steps are tried again.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use state::{Overlay, StateRead};
use types::account::Partner;
use types::hash::{Address, Domain, Hash32, JobId, TransactionId, ValidatorId};
use types::number::{Attempt, Height, Timestamp};
use types::state_key::StateKey;
use types::transaction::{JobAction, JobStep};

use super::{MempoolError, MempoolLimits};
use crate::charge::Verified;
use crate::context::{DrawWork, SeenPartners};
use crate::{Abort, ActionError, Beacon, Context, Rules, action, partner};

/// What names a step: the job, the party, the kind of step, and the attempt. A job that goes on to another attempt takes none of
/// the attempt before but openings.
pub(super) type StepSubject = (JobId, Address, &'static str, Attempt);

/// A step as it was tried.
#[derive(Debug, Clone)]
struct PooledStep {
    transaction: Verified,
    arrival: u64,
    /// The job's record when the step was tried.
    job: Hash32,
}

/// The steps that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    all: BTreeMap<StepSubject, PooledStep>,
    arrivals: BTreeMap<u64, StepSubject>,
    bytes: usize,
}

/// The steps that went since their job changed.
#[derive(Debug)]
pub(super) struct GoneSteps {
    pub gone: Vec<(StepSubject, Verified)>,
    /// Those of them on which the trial panicked.
    pub panicked: Vec<TransactionId>,
}

/// Why a step could not be tried, or would fail. It is not kept then.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TrialFault {
    /// The rule that it would break.
    Refused(ActionError),
    /// The sender has no bond that is worth a trial.
    NoPartner,
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

impl Steps {
    /// Takes a step in that its job awaits on the state `view` after the block of height `height`.
    // Rule C52.
    pub fn insert(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        limits: MempoolLimits,
        (transaction, arrival): (Verified, u64),
    ) -> Result<StepSubject, MempoolError> {
        let sender = transaction.transaction().sender.address();
        let Some(action) = action::job_action(&transaction.transaction().action) else {
            return Err(MempoolError::NoPartner(sender));
        };
        let subject = (action.job, sender, action.step.name(), action.attempt);
        if let Some(before) = self.all.get(&subject) {
            return Err(MempoolError::StepWaits(before.transaction.id()));
        }
        if self.all.len() >= limits.transactions || self.bytes + transaction.bytes() > limits.bytes
        {
            return Err(MempoolError::Busy);
        }
        let job = try_step(rules, view, height, &sender, action).map_err(|fault| match fault {
            TrialFault::Refused(error) => MempoolError::NotAwaited(Box::new(error)),
            TrialFault::NoPartner => MempoolError::NoPartner(sender),
            TrialFault::Abort(abort) => MempoolError::Abort(abort),
            TrialFault::Panicked => MempoolError::TrialPanicked(transaction.id()),
        })?;
        self.bytes += transaction.bytes();
        self.arrivals.insert(arrival, subject);
        let step = PooledStep {
            transaction,
            arrival,
            job,
        };
        self.all.insert(subject, step);
        Ok(subject)
    }

    pub fn remove(&mut self, subject: &StepSubject) -> Option<Verified> {
        let step = self.all.remove(subject)?;
        self.bytes -= step.transaction.bytes();
        self.arrivals.remove(&step.arrival);
        Some(step.transaction)
    }

    pub fn get(&self, subject: &StepSubject) -> Option<&Verified> {
        self.all.get(subject).map(|step| &step.transaction)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that wait, by arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Verified> {
        let subjects = self.arrivals.values();
        subjects.filter_map(|subject| self.get(subject))
    }

    /// The first so many bytes of what a block on the state `view` after the block of height `height` could take. That state
    /// may have seen some of the steps already.
    // Rule C53.
    pub fn offer(
        &self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        mut bytes: usize,
    ) -> Result<Vec<Verified>, Abort> {
        let mut all = Vec::new();
        for step in self
            .arrivals
            .values()
            .filter_map(|subject| self.all.get(subject))
        {
            let transaction = step.transaction.transaction();
            let Some(action) = action::job_action(&transaction.action) else {
                continue;
            };
            let sender = transaction.sender.address();
            let fits = record_hash(view, &action.job)? == step.job
                || match try_step(rules, view, height, &sender, action) {
                    Ok(_) => true,
                    Err(TrialFault::Abort(abort)) => return Err(abort),
                    Err(_) => false,
                };
            if !fits {
                continue;
            }
            let Some(left) = bytes.checked_sub(step.transaction.bytes()) else {
                break;
            };
            bytes = left;
            all.push(step.transaction.clone());
        }
        Ok(all)
    }

    /// Tries the steps of a job that a block changed again, on the state after it, and drops those that it does not await.
    /// Gives what went.
    // Rule C52.
    pub fn recheck(
        &mut self,
        rules: &Rules,
        view: &dyn StateRead,
        height: Height,
        job: &JobId,
    ) -> Result<GoneSteps, Abort> {
        let first = (*job, Address::default(), "", Attempt::ZERO);
        let of_job = self.all.range_mut(first..);
        let (mut gone, mut panicked) = (Vec::new(), Vec::new());
        for (subject, step) in of_job.take_while(|(subject, _)| subject.0 == *job) {
            let transaction = step.transaction.transaction();
            let Some(action) = action::job_action(&transaction.action) else {
                continue;
            };
            match try_step(rules, view, height, &subject.1, action) {
                Ok(job) => step.job = job,
                Err(TrialFault::Abort(abort)) => return Err(abort),
                Err(fault) => {
                    gone.push(*subject);
                    if fault == TrialFault::Panicked {
                        panicked.push(step.transaction.id());
                    }
                }
            }
        }
        let gone = gone.into_iter();
        let gone = gone.filter_map(|subject| Some((subject, self.remove(&subject)?)));
        Ok(GoneSteps {
            gone: gone.collect(),
            panicked,
        })
    }
}

/// The hash of a job's record, or of nothing.
fn record_hash(view: &dyn StateRead, job: &JobId) -> Result<Hash32, Abort> {
    let record = view.read(&StateKey::Job(*job)).map_err(Abort::from)?;
    Ok(Hash32::of(Domain::STATE_VALUE, &record))
}

/// Tries a step of `sender`, to be included after the block of height `height`; gives the hash of the job's record. A panic is
/// a fault like others: the trial changes nothing, and whoever sent the transaction must not be able to stop who tries it.
fn try_step(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    action: &JobAction,
) -> Result<Hash32, TrialFault> {
    let trial = AssertUnwindSafe(|| try_unguarded(rules, view, height, sender, action));
    catch_unwind(trial).unwrap_or(Err(TrialFault::Panicked))
}

/// Nothing of the trial is kept.
fn try_unguarded(
    rules: &Rules,
    view: &dyn StateRead,
    height: Height,
    sender: &Address,
    action: &JobAction,
) -> Result<Hash32, TrialFault> {
    let min_bond = rules.params.compute.min_bond;
    // A penalty may have taken a party's bond below the minimum; it is a party still.
    let may_act = |partner: Partner| partner.bond >= min_bond || partner.is_bound_to(&action.job);
    let is_vote = matches!(action.step, JobStep::Vote { .. } | JobStep::OpenVote { .. });
    let may_vote = is_vote && rules.committee.validator(&ValidatorId(*sender)).is_some();
    if !may_vote && !partner::read(view, sender)?.is_some_and(may_act) {
        return Err(TrialFault::NoPartner);
    }
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
        freed_places: 0,
        seen: SeenPartners::default(),
        draw_work: DrawWork::default(),
    };
    match action::step(&mut context, sender, action) {
        Ok(_) => Ok(record_hash(view, &action.job)?),
        Err(ActionError::Abort(abort)) => Err(abort.into()),
        Err(error) => Err(TrialFault::Refused(error)),
    }
}
