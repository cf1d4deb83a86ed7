//! A dispute: referees vote on the task at which a verifier differs from the primary, until a quorum of stake agrees.
//!
//! ```text
//!            a place is free        all committed, or the window is over
//!  Queued ------------------> Voting ------------------------------------> Opening
//!                               ^                                            | a quorum on one leaf
//!                               |  no quorum, once                           v
//!                               +--------------------------------------- Decided --> `verdict`
//! ```
//!
//! Verifiers that have not opened yet do so meanwhile. A verdict takes effect when all have, or when the window in which
//! they could is over, so that nobody escapes it by silence and nobody is late since it came early. Where two ballots
//! find no quorum, the program has more than one result: nobody is at fault, and nobody may run it any more.

use std::collections::{BTreeMap, BTreeSet};

use types::attestation::RefereeFinding;
use types::committee::Committee;
use types::hash::{Address, Hash32, ValidatorId};
use types::job::{AwaitedVote, Ballot, BallotPhase, Disputed, Stage, VoteContext, vote_commitment};
use types::number::ChainTime;

use super::JobError;
use super::ballot::{Dispute, free_place, referees, start};
use super::exit::fail_non_canonical;
use super::record::{Job, save, stay};
use super::verdict::{VerdictOfReferees, apply};
use crate::{Abort, ActionError, Context, Corruption};

/// The referee that may do what is awaited now, in the ballot that it names.
fn referee(
    context: &Context<'_>,
    sender: &Address,
    disputed: &Disputed,
    ballot: u16,
    awaited: AwaitedVote,
) -> Result<(ValidatorId, Committee), ActionError> {
    let current = &disputed.ballot;
    if current.number != ballot {
        return Err(JobError::WrongBallot {
            given: ballot,
            current: current.number,
        }
        .into());
    }
    let id = ValidatorId(*sender);
    let committee = referees(context, current.committee)?;
    if committee.validator(&id).is_none() {
        return Err(JobError::NotReferee.into());
    }
    if current.awaits(&id) != Some(awaited) {
        return Err(JobError::VoteNotAwaited.into());
    }
    Ok((id, committee))
}

/// Takes a referee's commitment to what it found.
// Rule C64.
pub(crate) fn vote(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut disputed: Disputed,
    (number, commitment): (u16, Hash32),
) -> Result<(), ActionError> {
    let awaited = AwaitedVote::Commitment;
    let (id, committee) = referee(context, sender, &disputed, number, awaited)?;
    let BallotPhase::Voting { committed } = &mut disputed.ballot.phase else {
        return Err(JobError::VoteNotAwaited.into());
    };
    let was_enough = is_quorum(&committee, committed);
    committed.insert(id, commitment);
    if committed.len() == committee.members().len() {
        return Ok(open_votes(context, job, disputed)?);
    }
    let is_enough = is_quorum(&committee, committed);
    let stage = Stage::Disputed(disputed);
    if is_enough && !was_enough {
        // The others have a little time left; a quorum alone might hold too few honest referees.
        let left_ms = left_ms(context, job.deadline);
        let window_ms = context.rules.params.compute.reveal_window_ms.min(left_ms);
        return Ok(stay(context, job, stage, window_ms)?);
    }
    Ok(save(context, &job.with_stage(stage))?)
}

fn is_quorum<T>(committee: &Committee, votes: &BTreeMap<ValidatorId, T>) -> bool {
    let ids: BTreeSet<_> = votes.keys().copied().collect();
    committee.decides(committee.stake_of_ids(&ids))
}

fn left_ms(context: &Context<'_>, deadline: Option<ChainTime>) -> u64 {
    deadline.map_or(0, |at| at.0.saturating_sub(context.chain_time.0))
}

/// All that will commit have: they open.
fn open_votes(context: &mut Context<'_>, job: Job, mut disputed: Disputed) -> Result<(), Abort> {
    if let BallotPhase::Voting { committed } = disputed.ballot.phase {
        disputed.ballot.phase = BallotPhase::Opening {
            committed,
            opened: BTreeMap::new(),
        };
    }
    let window_ms = context.rules.params.compute.reveal_window_ms;
    stay(context, job, Stage::Disputed(disputed), window_ms)
}

/// Takes the opening of a referee's vote; with a quorum on one leaf and witness there is a verdict.
// Rules C64, C65.
pub(crate) fn open_vote(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut disputed: Disputed,
    (number, found, salt): (u16, RefereeFinding, Hash32),
) -> Result<(), ActionError> {
    let awaited = AwaitedVote::Opening;
    let (id, committee) = referee(context, sender, &disputed, number, awaited)?;
    let author = VoteContext {
        chain: context.rules.chain_id,
        job: job.id,
        attempt: job.attempt,
        ballot: number,
        referee: id,
    };
    let BallotPhase::Opening { committed, opened } = &mut disputed.ballot.phase else {
        return Err(JobError::VoteNotAwaited.into());
    };
    if committed.get(&id) != Some(&vote_commitment(&author, &found, &salt)) {
        return Err(JobError::WrongCommitment.into());
    }
    committed.remove(&id);
    opened.insert(id, found);
    let same = opened.iter().filter(|(_, other)| **other == found);
    let referees: BTreeSet<_> = same.map(|(id, _)| *id).collect();
    if committee.decides(committee.stake_of_ids(&referees)) {
        return Ok(decide(context, job, disputed, found.leaf, referees)?);
    }
    if committed.is_empty() {
        return Ok(close_ballot(context, job, disputed)?);
    }
    Ok(save(context, &job.with_stage(Stage::Disputed(disputed)))?)
}

/// There is a verdict. It takes effect once all verifiers have opened, or could.
// Rule C65.
fn decide(
    context: &mut Context<'_>,
    job: Job,
    mut disputed: Disputed,
    leaf: Hash32,
    referees: BTreeSet<ValidatorId>,
) -> Result<(), Abort> {
    free_place(context, &job)?;
    disputed.ballot.phase = BallotPhase::Decided { leaf, referees };
    let left_ms = left_ms(context, Some(disputed.openings_until));
    if (disputed.parties.all_opened() && job.earlier.all_opened()) || left_ms == 0 {
        return close_dispute(context, job, disputed);
    }
    stay(context, job, Stage::Disputed(disputed), left_ms)
}

/// A verifier opened its commitment while its job is in dispute.
// Rule C63.
pub(super) fn opened_in_dispute(
    context: &mut Context<'_>,
    job: Job,
    disputed: Disputed,
) -> Result<(), Abort> {
    let is_decided = matches!(disputed.ballot.phase, BallotPhase::Decided { .. });
    if is_decided && disputed.parties.all_opened() && job.earlier.all_opened() {
        return close_dispute(context, job, disputed);
    }
    save(context, &job.with_stage(Stage::Disputed(disputed)))
}

/// The ballot's window is over.
pub(super) fn close_dispute(
    context: &mut Context<'_>,
    job: Job,
    disputed: Disputed,
) -> Result<(), Abort> {
    match &disputed.ballot.phase {
        BallotPhase::Queued => {
            let (dispute, ballot) = Dispute::split(disputed);
            let (stage, window_ms) = start(context, &job, dispute, ballot);
            stay(context, job, stage, window_ms)
        }
        BallotPhase::Voting { committed } => {
            let committee = referees(context, disputed.ballot.committee)?;
            if is_quorum(&committee, committed) {
                open_votes(context, job, disputed)
            } else {
                close_ballot(context, job, disputed)
            }
        }
        BallotPhase::Opening { .. } => close_ballot(context, job, disputed),
        BallotPhase::Decided { .. } => {
            let (dispute, ballot) = Dispute::split(disputed);
            let Ballot {
                number,
                task,
                phase,
                ..
            } = ballot;
            let BallotPhase::Decided { leaf, referees } = phase else {
                return Err(Corruption::NoBallot(job.id).into());
            };
            let verdict = VerdictOfReferees {
                number,
                task,
                leaf,
                referees,
            };
            apply(context, job, dispute, &verdict)
        }
    }
}

/// The ballot found no quorum: another one follows, once.
// Rule C66.
fn close_ballot(context: &mut Context<'_>, job: Job, disputed: Disputed) -> Result<(), Abort> {
    free_place(context, &job)?;
    let (dispute, mut ballot) = Dispute::split(disputed);
    if ballot.is_second {
        let referees = match &ballot.phase {
            BallotPhase::Opening { opened, .. } => opened.keys().copied().collect(),
            BallotPhase::Queued | BallotPhase::Voting { .. } | BallotPhase::Decided { .. } => {
                BTreeSet::new()
            }
        };
        return fail_non_canonical(context, job, dispute.parties, &referees);
    }
    ballot.is_second = true;
    ballot.number = ballot.number.saturating_add(1);
    ballot.phase = BallotPhase::Queued;
    let (stage, window_ms) = start(context, &job, dispute, ballot);
    stay(context, job, stage, window_ms)
}
