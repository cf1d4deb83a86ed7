//! Ballots of referees: who votes, when one begins and when it has to wait for its turn.

use std::collections::BTreeMap;

use state::{StateRead, read_as};
use types::committee::Committee;
use types::hash::{Domain, Hash32};
use types::job::{Ballot, BallotPhase, Disputed, Parties, PrimaryOpening, Stage};
use types::limits::MAX_BALLOTS;
use types::number::{ChainTime, Epoch, TaskIndex};
use types::state_key::StateKey;

use super::price::vote_window_ms;
use super::record::{Job, enter, stay};
use crate::{Abort, Context, Corruption, Rules};

/// Draws the point of a witness.
const FOR_WITNESS: u8 = 3;

/// What goes on beside a ballot.
pub(super) struct Dispute {
    pub parties: Parties,
    pub opening: PrimaryOpening,
    pub unverified: bool,
    pub openings_until: ChainTime,
}

impl Dispute {
    fn with(self, ballot: Ballot) -> Disputed {
        Disputed {
            parties: self.parties,
            opening: self.opening,
            unverified: self.unverified,
            openings_until: self.openings_until,
            ballot,
        }
    }

    pub fn split(disputed: Disputed) -> (Self, Ballot) {
        let dispute = Self {
            parties: disputed.parties,
            opening: disputed.opening,
            unverified: disputed.unverified,
            openings_until: disputed.openings_until,
        };
        (dispute, disputed.ballot)
    }
}

/// The committee whose members are the referees of a ballot.
pub(super) fn referees(context: &Context<'_>, since: Epoch) -> Result<Committee, Abort> {
    committee(context.rules, &context.overlay, since)
}

/// The committee whose term began with an epoch, in any state.
pub fn committee(rules: &Rules, view: &dyn StateRead, since: Epoch) -> Result<Committee, Abort> {
    if rules.committee_since == since {
        return Ok(rules.committee.clone());
    }
    let found = read_as(view, &StateKey::Committee(since))?;
    found.ok_or_else(|| Corruption::NoCommittee(since).into())
}

/// A verifier differs at a task: referees run it again.
// Rule C63.
pub(super) fn dispute(
    context: &mut Context<'_>,
    job: Job,
    dispute: Dispute,
    task: TaskIndex,
) -> Result<(), Abort> {
    let ballot = Ballot {
        number: 0,
        task,
        committee: context.rules.committee_since,
        is_second: false,
        witness_draw: Hash32::ZERO,
        phase: BallotPhase::Queued,
    };
    let (stage, window_ms) = start(context, &job, dispute, ballot);
    enter(context, job, stage, Some(window_ms))
}

/// The next task at which a verifier differs, after a verdict on another one.
pub(super) fn dispute_next(
    context: &mut Context<'_>,
    job: Job,
    dispute: Dispute,
    number: u16,
    task: TaskIndex,
) -> Result<(), Abort> {
    let ballot = Ballot {
        number,
        task,
        committee: context.rules.committee_since,
        is_second: false,
        witness_draw: Hash32::ZERO,
        phase: BallotPhase::Queued,
    };
    let (stage, window_ms) = start(context, &job, dispute, ballot);
    stay(context, job, stage, window_ms)
}

/// Begins a ballot if a place is free; else it waits for one. The beacon of its block draws the point of the witness, which
/// nobody could know before.
// Rules C63, C64.
pub(super) fn start(
    context: &mut Context<'_>,
    job: &Job,
    dispute: Dispute,
    mut ballot: Ballot,
) -> (Stage, u64) {
    let params = &context.rules.params.compute;
    let window_ms = if context.chain.disputes < MAX_BALLOTS {
        context.chain.disputes += 1;
        let seed = (context.beacon.value, job.id, job.attempt, FOR_WITNESS);
        ballot.witness_draw = Hash32::of(Domain::DRAW, &(seed, ballot.number));
        ballot.phase = BallotPhase::Voting {
            committed: BTreeMap::new(),
        };
        vote_window_ms(params, &job.terms)
    } else {
        params.reveal_window_ms
    };
    (Stage::Disputed(dispute.with(ballot)), window_ms)
}

/// The ballot does not run any more: another one may.
pub(super) fn free_place(context: &mut Context<'_>, job: &Job) -> Result<(), Abort> {
    let left = context.chain.disputes.checked_sub(1);
    context.chain.disputes = left.ok_or(Corruption::NoBallot(job.id))?;
    Ok(())
}
