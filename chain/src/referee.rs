//! A validator's part in disputes: it runs the task again, commits to the leaf that it found and to a witness that it ran
//! it, and opens its vote.
//!
//! What it votes it can say again after a restart: leaf and witness come of running the task once more, and the salt of a
//! signature that it shows nobody. A task that gives no result here gets no vote.

use std::collections::BTreeMap;

use state::DecidedState;
use types::attestation::RefereeFinding;
use types::hash::{Domain, Hash32, JobId, TransactionId, ValidatorId};
use types::job::{
    AwaitedVote, Ballot, BallotPhase, JobRecord, Stage, TaskState, VoteContext, Workload,
    vote_commitment,
};
use types::number::{Amount, Attempt, Height, Nonce, TaskIndex};
use types::signer::SigningRequest;
use types::time::Now;
use types::transaction::{JobStep, SignedTransaction, Transaction};
use vm::compute::price::execute_window_ms;
use vm::{Abort, Verified};

use crate::blob_book::BlobBook;
use crate::pools::Pools;
use crate::setup::{OwnValidator, Setup};
use crate::tip_state::TipState;

/// Heights for which a vote is valid; one that is still awaited then is signed anew.
const VOTE_HEIGHTS: u64 = 1_000;

/// A task that a referee is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefereeTask {
    /// The job in dispute.
    pub job: JobId,
    /// The task of it that is run.
    pub task: TaskIndex,
    /// Draws the fuel point of the witness.
    pub witness_draw: Hash32,
    /// The workload of the job, whose blobs are all here.
    pub workload: Workload,
    /// What the task begins with, which is here too; empty but in a chain.
    pub before: TaskState,
    /// Longest time for the task, in milliseconds: what the network gives a partner for it.
    pub wall_ms: u64,
}

/// What running a task gave here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskFinding {
    Asked,
    /// `None` if there was no result.
    Found(Option<RefereeFinding>),
}

/// A dispute as the record of its job has it.
#[derive(Debug, Clone)]
struct Case {
    attempt: Attempt,
    ballot: Ballot,
    wall_ms: u64,
}

/// The disputes in which this validator may vote.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefereeBook {
    cases: BTreeMap<JobId, Case>,
    /// What running tasks gave, by job and what drew the witness: each ballot draws one of its own.
    findings: BTreeMap<(JobId, Hash32), TaskFinding>,
    /// The votes that were signed, by the ballot and whether they open one.
    sent: BTreeMap<(JobId, Attempt, u16, bool), TransactionId>,
    /// The height at which votes were last tried.
    tried: Option<Height>,
}

impl RefereeBook {
    /// Takes note of a job's record in a final block.
    pub(crate) fn job_changed(&mut self, setup: &Setup, record: &JobRecord) {
        let Stage::Disputed(disputed) = &record.stage else {
            return self.job_gone(&record.id);
        };
        let case = Case {
            attempt: record.attempt,
            ballot: disputed.ballot.clone(),
            wall_ms: execute_window_ms(&setup.rules.params.compute, &record.terms, 1),
        };
        self.cases.insert(record.id, case);
        self.tried = None;
    }

    /// The job is in dispute no more.
    pub(crate) fn job_gone(&mut self, job: &JobId) {
        if self.cases.remove(job).is_some() {
            self.findings.retain(|(of, _), _| of != job);
            self.sent.retain(|(of, ..), _| of != job);
        }
    }

    /// The task of a ballot was run, with a result or without one.
    pub(crate) fn ran(&mut self, job: JobId, draw: Hash32, found: Option<RefereeFinding>) {
        if self.cases.contains_key(&job) {
            let found = TaskFinding::Found(found);
            self.findings.insert((job, draw), found);
            self.tried = None;
        }
    }

    /// The tasks that are to be run now: of disputes in which this validator votes, and whose blobs are here.
    pub(crate) fn tasks(&mut self, setup: &Setup, blobs: &BlobBook) -> Vec<RefereeTask> {
        let Some(own) = &setup.own else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (job, case) in &self.cases {
            let subject = (*job, case.ballot.witness_draw);
            let votes = awaited(setup, &case.ballot, &own.id).is_some();
            if !votes || self.findings.contains_key(&subject) {
                continue;
            }
            let Some((workload, before)) = blobs.complete_task(job, case.ballot.task) else {
                continue;
            };
            self.findings.insert(subject, TaskFinding::Asked);
            all.push(RefereeTask {
                job: *job,
                task: case.ballot.task,
                witness_draw: case.ballot.witness_draw,
                workload: workload.clone(),
                before,
                wall_ms: case.wall_ms,
            });
        }
        all
    }

    /// Puts the votes that are awaited into the mempool, once at a height.
    pub(crate) fn vote(
        &mut self,
        setup: &Setup,
        pools: &mut Pools,
        now: Now,
        state: &dyn DecidedState,
    ) -> Result<(), Abort> {
        let tip = state.tip().height;
        let Some(own) = setup.own.as_ref().filter(|_| self.tried != Some(tip)) else {
            return Ok(());
        };
        self.tried = Some(tip);
        for (job, case) in &self.cases {
            let (number, draw) = (case.ballot.number, case.ballot.witness_draw);
            let Some(TaskFinding::Found(Some(found))) = self.findings.get(&(*job, draw)) else {
                continue;
            };
            let Some(awaited) = awaited(setup, &case.ballot, &own.id) else {
                continue;
            };
            let opens = awaited == AwaitedVote::Opening;
            let subject = (*job, case.attempt, number, opens);
            let waits = self.sent.get(&subject);
            if waits.is_some_and(|id| pools.mempool().transaction(id).is_some()) {
                continue;
            }
            let context = VoteContext {
                chain: setup.rules.chain_id,
                job: *job,
                attempt: case.attempt,
                ballot: number,
                referee: own.id,
            };
            let Some(vote) = vote(own, &context, (awaited, found), tip) else {
                return Ok(());
            };
            let Ok(vote) = Verified::new(&setup.rules, vote) else {
                continue;
            };
            self.sent.insert(subject, vote.id());
            let decided = TipState::new(state, tip);
            pools.add_own_step(&setup.rules, &decided, tip, now.monotonic.0, vote)?;
        }
        Ok(())
    }
}

/// What a ballot awaits from this validator, if it is a member of the committee.
fn awaited(setup: &Setup, ballot: &Ballot, own: &ValidatorId) -> Option<AwaitedVote> {
    let running = matches!(
        ballot.phase,
        BallotPhase::Voting { .. } | BallotPhase::Opening { .. }
    );
    let member = setup.rules.committee.validator(own).is_some();
    ballot.awaits(own).filter(|_| running && member)
}

/// The vote that a ballot awaits; nothing while whoever holds the key gives no signature.
fn vote(
    own: &OwnValidator,
    context: &VoteContext,
    (awaited, found): (AwaitedVote, &RefereeFinding),
    tip: Height,
) -> Option<SignedTransaction> {
    let step = step(own, context, awaited, found)?;
    let transaction = Transaction {
        chain_id: context.chain,
        sender: own.signer.public(),
        nonce: Nonce::ZERO,
        valid_until: tip.saturating_add(VOTE_HEIGHTS),
        fee: Amount::ZERO,
        action: step.of(context.job, context.attempt),
    };
    let request = SigningRequest::Transaction(Box::new(transaction.clone()));
    let signature = own.signer.sign(request)?;
    Some(transaction.with_signature(signature))
}

fn step(
    own: &OwnValidator,
    context: &VoteContext,
    awaited: AwaitedVote,
    found: &RefereeFinding,
) -> Option<JobStep> {
    // Nobody else can make the signature, and it is the same whenever it is made.
    let secret = own.signer.sign(SigningRequest::RefereeSalt(*context))?;
    let salt = Hash32::of(Domain::REFEREE_SALT, &secret);
    let ballot = context.ballot;
    Some(match awaited {
        AwaitedVote::Commitment => JobStep::Vote {
            ballot,
            commitment: vote_commitment(context, found, &salt),
        },
        AwaitedVote::Opening => JobStep::OpenVote {
            ballot,
            found: *found,
            salt,
        },
    })
}

#[cfg(test)]
mod tests;
