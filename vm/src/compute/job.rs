//! A job's life, from its submission to its end: every stage but the first, which is in `pending`, and the last is entered here.
//!
//! ```text
//!           inputs stored, beacon           acknowledged, committed
//!  Pending -----------------------> Assigned ----------------------> Announcing
//!    ^                                 |                                 | beacon, then the announce window is over
//!    |  declined, ignored, silent      |        verifiers are missing    v  nobody checks
//!    +---------------------------------+        +--------------------- (how many?) ----------+
//!    |                                          v                        |                   |
//!    |                    +----------------> Appointing ---------------> | enough            |
//!    |  a verifier is     |                     beacon                   v                   |
//!    |  silent: two       +--------------------------------------- Verifying                 |
//!    |  replace it, once                                                 | all committed, or |
//!    |                                                                   | the window is over|
//!    |  the primary did not reveal                                      v                   v
//!    +-------------------------------------------------------------- Revealing <-------------+
//!                                                                        |    ^ a verifier differs: Disputed, until
//!                                                                        |    | referees have voted
//!                                                                        | all revealed, all equal
//!                                                                        v
//!                                                                     Storing -- results stored --> Settled
//! ```
//!
//! What this file and its neighbours promise:
//!
//! - Every stage ends by itself in chain time; none waits for somebody's transaction. A stage ends early when all it
//!   waits for is there, but for the announce window, which nobody may shorten. No window closes before leaders with more
//!   than F of the stake have proposed in it. The announce window opens with the beacon step that its sortition runs
//!   over, which comes by itself.
//! - Bonds locked for a job are locked by this job and freed when the attempt ends, whatever way it ends.
//! - Escrow is paid out, burned as used, or refunded, to the unit, when the job ends.
//! - A primary that nobody else vouches for is paid only once referees found at one task what it did.
//! - A verifier that shows that it found something else at any task keeps the job from Settled until referees have run that
//!   task; whoever was wrong loses what it locked.
//! - A primary that committed and broke no rule is paid in every exit. It breaks one if it does not reveal, if its opening
//!   differs from another, and if its results do not reach a quorum of validators: no other rule asks whether data
//!   exists, and a commitment without data must not be worth anything.
//!
//! The steps of parties are one per file beside this one, the ends of a job in `exit`, and the hook that ends windows in
//! `end`; disputes are in `dispute`, what a verdict means in `verdict`; bonds are in `parties`, money in `escrow`, penalties in `penalty`.

use types::account::LockReason;
use types::attestation::drawn_tasks;
use types::hash::{Domain, Hash32};
use types::job::{
    Announcing, Appointing, Assigned, FailureReason, Parties, Pending, Primary, PrimaryOpening,
    Revealing, SortitionBeacon, Stage, Storing, Verifying,
};
use types::number::TaskIndex;

use super::appoint::{Round, count, min_verifiers, replacements, second_opinions};
use super::ballot::{Dispute, dispute};
use super::draw::{Lottery, draw_primary, draw_verifiers};
use super::duty;
use super::earlier;
use super::escrow::{pay_primary, pay_verifiers};
use super::exit::{fail, fail_unrunnable};
use super::live::class_bond;
use super::parties::{
    forfeit_primary, lock_drawn, punish_primary, punish_verifier, release_verifiers,
};
use super::penalty::Breach;
use super::pending::next_attempt;
use super::price::{execute_window_ms, store_window_ms};
use super::queue::queue;
use super::record::{Job, draw_again, enter, stay};
use super::rent::{begin_running, has_room_for_results};
use super::turnout;
use crate::{Abort, Context};

/// What a task for referees is drawn for, beside the purposes of `draw`.
const FOR_REFEREES: u8 = 2;
/// The round of verifiers after which silent ones are not replaced any more.
const LAST_ROUND: u16 = 1;

// --- Pending: the beacon draws a primary.

// Rule C31.
pub(super) fn draw_or_fail(
    context: &mut Context<'_>,
    job: Job,
    pending: Pending,
    lottery: Option<&Lottery>,
    is_over: bool,
) -> Result<(), Abort> {
    // Rule C62: a job waits for room as it does for a place.
    if let Some(lottery) = lottery
        && has_room_for_results(context, &job.terms)
        && let Some(primary) = draw_primary(context, &job, lottery)?
    {
        return assign(context, job, primary);
    }
    if is_over {
        let reason = if pending.draw.is_some() || job.queued.is_some() {
            FailureReason::NoPartner
        } else {
            FailureReason::NoInputs
        };
        return fail(context, job, &Stage::Pending(pending), reason);
    }
    if lottery.is_some() {
        return queue(context, job);
    }
    draw_again(context, job, |step| {
        Stage::Pending(Pending { draw: Some(step) })
    })
}

// --- Assigned: the primary acknowledges, runs all tasks and commits.

fn assign(context: &mut Context<'_>, mut job: Job, primary: Primary) -> Result<(), Abort> {
    begin_running(context, &mut job)?;
    let (partner, bond) = (primary.partner, primary.bond);
    earlier::let_go(context, &mut job, &partner)?;
    lock_drawn(context, job.id, &partner, LockReason::Primary, bond)?;
    let window_ms = context.rules.params.compute.acknowledge_window_ms;
    let stage = Stage::Assigned(Assigned {
        primary,
        duties: None,
    });
    enter(context, job, stage, Some(window_ms))
}

/// The primary did not acknowledge or not commit in time, or it has left its duty.
// Rules C25, C48, C70.
pub(super) fn close_assignment(
    context: &mut Context<'_>,
    job: Job,
    assigned: Assigned,
) -> Result<(), Abort> {
    let breach = match &assigned.duties {
        None => Breach::Ignored,
        Some(duties) if duty::is_over(context, duties, &assigned.primary.partner) => {
            Breach::Uncommitted
        }
        Some(duties) => {
            let look_ms = duty::next_end_ms(context, duties);
            return stay(context, job, Stage::Assigned(assigned), look_ms);
        }
    };
    punish_primary(context, &job.id, &assigned.primary, breach)?;
    let left = Stage::Assigned(assigned);
    next_attempt(context, job, &left, FailureReason::NoCommitment)
}

// --- Announcing: sortition draws verifiers, which announce themselves.

/// The primary has committed: the beacon that sortition runs over is still to come, and comes by itself.
// Rules C34, C36.
pub(super) fn await_sortition(
    context: &mut Context<'_>,
    job: Job,
    primary: Primary,
    commitment: Hash32,
) -> Result<(), Abort> {
    let (epoch, class) = (context.epoch, job.terms.class);
    let class_bond = class_bond(context, epoch, class, &primary.partner)?;
    let stage = Stage::Announcing(Announcing {
        parties: Parties {
            primary,
            commitment,
            verifiers: Vec::new(),
            no_results: Vec::new(),
        },
        epoch,
        class_bond,
        beacon: SortitionBeacon::Awaited {
            step: context.draw_step(),
        },
    });
    enter(context, job, stage, None)
}

/// The beacon that sortition runs over is there: the announce window opens.
// Rule C34.
pub(super) fn open_announcements(
    context: &mut Context<'_>,
    job: Job,
    announcing: Announcing,
    value: Hash32,
) -> Result<(), Abort> {
    let window_ms = context.rules.params.compute.announce_window_ms;
    let stage = Stage::Announcing(Announcing {
        beacon: SortitionBeacon::Known { value },
        ..announcing
    });
    stay(context, job, stage, window_ms)
}

/// The announce window is over: on with those who announced, or the beacon appoints the rest of the minimum.
// Rule C38.
pub(super) fn close_announcements(
    context: &mut Context<'_>,
    job: Job,
    announcing: Announcing,
) -> Result<(), Abort> {
    let parties = announcing.parties;
    let announced = count(&parties.verifiers);
    turnout::count(context, job.terms.class, &job.policy, announced);
    let needed = min_verifiers(context, &job, &parties.primary)?;
    if announced < needed {
        let round = Round {
            missing: needed - announced,
            needed,
            number: 0,
        };
        return await_appointment(context, job, parties, round);
    }
    if parties.verifiers.is_empty() {
        return await_openings(context, job, parties, false);
    }
    verify(context, job, parties, announced, 0)
}

// --- Appointing: the beacon appoints the verifiers that are missing.

fn await_appointment(
    context: &mut Context<'_>,
    job: Job,
    parties: Parties,
    round: Round,
) -> Result<(), Abort> {
    let window_ms = context.rules.params.compute.open_window_ms;
    let stage = Stage::Appointing(Appointing {
        parties,
        missing: round.missing,
        needed: round.needed,
        draw: context.draw_step(),
        round: round.number,
    });
    enter(context, job, stage, Some(window_ms))
}

// Rules C31, C41.
pub(super) fn appoint_or_close(
    context: &mut Context<'_>,
    job: Job,
    mut appointing: Appointing,
    lottery: Option<&Lottery>,
    is_over: bool,
) -> Result<(), Abort> {
    if let Some(lottery) = lottery {
        let drawn = draw_verifiers(context, &job, &appointing, lottery)?;
        for verifier in &drawn {
            let (partner, bond) = (verifier.partner, verifier.bond);
            lock_drawn(context, job.id, &partner, LockReason::Verifier, bond)?;
        }
        appointing.missing = appointing.missing.saturating_sub(count(&drawn));
        appointing.parties.verifiers.extend(drawn);
    }
    if count(&appointing.parties.verifiers) >= appointing.needed {
        let (needed, round) = (appointing.needed, appointing.round);
        return verify(context, job, appointing.parties, needed, round);
    }
    if is_over && (appointing.round == 0 || appointing.parties.all_committed()) {
        return reveal_unverified(context, job, appointing.parties);
    }
    if is_over {
        // Verifiers of the first round are at work still; in the end it is seen whether enough have committed.
        let (needed, round) = (appointing.needed, appointing.round);
        return verify(context, job, appointing.parties, needed, round);
    }
    draw_again(context, job, |draw| {
        Stage::Appointing(Appointing { draw, ..appointing })
    })
}

// --- Verifying: the verifiers run their tasks and commit.

// Rule C39.
fn verify(
    context: &mut Context<'_>,
    job: Job,
    parties: Parties,
    needed: u16,
    round: u16,
) -> Result<(), Abort> {
    let params = &context.rules.params.compute;
    let window_ms = execute_window_ms(params, &job.terms, job.policy.tasks_per_verifier);
    let verifiers = parties.verifiers.iter();
    let working = verifiers.filter(|verifier| verifier.commitment.is_none());
    let duties = duty::begin(context, working.map(|verifier| verifier.partner), window_ms);
    let look_ms = duty::next_end_ms(context, &duties);
    let stage = Stage::Verifying(Verifying {
        parties,
        needed,
        round,
        duties,
    });
    enter(context, job, stage, Some(look_ms))
}

/// All bound verifiers have answered: on with those that committed. Where none of a whole round found a result, another
/// round is drawn.
// Rules C39, C57.
pub(super) fn all_answered(
    context: &mut Context<'_>,
    job: Job,
    verifying: Verifying,
) -> Result<(), Abort> {
    let Verifying { parties, round, .. } = verifying;
    if !parties.verifiers.is_empty() {
        return await_openings(context, job, parties, false);
    }
    if round >= LAST_ROUND {
        return reveal_unverified(context, job, parties);
    }
    let round = Round {
        missing: second_opinions(&job.policy, parties.no_results.len()),
        needed: 1,
        number: round + 1,
    };
    await_appointment(context, job, parties, round)
}

/// The duty of some verifiers is over, by its time or since they left it: they lose a part of their bond and are replaced by
/// two each, once. The others go on.
// Rules C40, C70.
pub(super) fn close_verification(
    context: &mut Context<'_>,
    mut job: Job,
    mut verifying: Verifying,
) -> Result<(), Abort> {
    let (duties, verifiers) = (&verifying.duties, &mut verifying.parties.verifiers);
    let silent = verifiers.extract_if(.., |verifier| {
        let works = verifier.commitment.is_none();
        works && duty::is_over(context, duties, &verifier.partner)
    });
    let silent: Vec<_> = silent.collect();
    for verifier in &silent {
        punish_verifier(context, &job.id, verifier, Breach::VerifierSilent)?;
        job.excluded.push(verifier.partner);
        verifying.duties.renewals.remove(&verifier.partner);
    }
    let parties = &verifying.parties;
    let bound = count(&parties.verifiers);
    if verifying.round < LAST_ROUND && !silent.is_empty() {
        let round = replacements(&job.policy, bound, count(&silent), verifying.round + 1);
        return await_appointment(context, job, verifying.parties, round);
    }
    if !parties.all_committed() {
        let look_ms = duty::next_end_ms(context, &verifying.duties);
        return stay(context, job, Stage::Verifying(verifying), look_ms);
    }
    if bound >= verifying.needed {
        await_openings(context, job, verifying.parties, false)
    } else {
        reveal_unverified(context, job, verifying.parties)
    }
}

// --- Revealing: the primary reveals what it committed to, then the verifiers agree with it or differ.

/// Everybody who is to be waited for has committed.
pub(super) fn await_openings(
    context: &mut Context<'_>,
    job: Job,
    parties: Parties,
    unverified: bool,
) -> Result<(), Abort> {
    let window_ms = context.rules.params.compute.reveal_window_ms;
    // Nobody knew it when the primary committed.
    let seed = (context.beacon.value, job.id, job.attempt, FOR_REFEREES);
    let seed = Hash32::of(Domain::DRAW, &seed);
    let spot = drawn_tasks(&seed, job.terms.drawable(), 1).first().copied();
    let spot = spot.filter(|_| unverified && parties.verifiers.is_empty());
    let stage = Stage::Revealing(Revealing {
        parties,
        opening: None,
        unverified,
        spot,
        tried: false,
    });
    enter(context, job, stage, Some(window_ms))
}

/// Fewer verifiers committed than needed, and nobody will any more: those that did reveal all the same, so that a
/// commitment with nothing behind it is not paid. The others are let go.
// Rule C41.
fn reveal_unverified(
    context: &mut Context<'_>,
    job: Job,
    mut parties: Parties,
) -> Result<(), Abort> {
    let (committed, others): (Vec<_>, Vec<_>) = parties
        .verifiers
        .into_iter()
        .partition(|verifier| verifier.commitment.is_some());
    if committed.is_empty() && !parties.no_results.is_empty() {
        parties.verifiers = others;
        return fail_unrunnable(context, job, parties);
    }
    release_verifiers(context, &job.id, &others)?;
    parties.verifiers = committed;
    await_openings(context, job, parties, true)
}

/// The primary has revealed: the verifiers say whether they found the same, in a window of their own.
// Rule C59.
pub(super) fn await_agreement(
    context: &mut Context<'_>,
    job: Job,
    mut revealing: Revealing,
    opening: PrimaryOpening,
) -> Result<(), Abort> {
    revealing.opening = Some(opening);
    if revealing.parties.verifiers.is_empty() && job.earlier.verifiers.is_empty() {
        return conclude(context, job, revealing);
    }
    let window_ms = context.rules.params.compute.reveal_window_ms;
    stay(context, job, Stage::Revealing(revealing), window_ms)
}

/// All openings are there and agree, or their window is over.
///
/// Who committed and does not open loses its locked bond. Where the primary stayed silent no leaf is public: another
/// attempt follows, and the verifiers, which could not open, are paid out of its lock and open in a later one. A silent
/// verifier cannot be replaced any more, since the primary's leaves are public and can be copied: without it the job is
/// unverified. Who opened is paid all the same; so is the primary, but where nobody else vouches for it, only once referees
/// have run one of its tasks.
// Rules C26, C27, C71.
pub(super) fn conclude(
    context: &mut Context<'_>,
    mut job: Job,
    mut revealing: Revealing,
) -> Result<(), Abort> {
    let Some(opening) = revealing.opening.take() else {
        forfeit_primary(context, &job, &revealing.parties)?;
        let verifiers = std::mem::take(&mut revealing.parties.verifiers);
        earlier::keep(context, &mut job, verifiers)?;
        let left = Stage::Revealing(revealing);
        return next_attempt(context, job, &left, FailureReason::Unopened);
    };
    let spot = revealing.shown_tasks(&job.earlier).first().copied();
    earlier::close(context, &mut job)?;
    let verifiers = &mut revealing.parties.verifiers;
    let silent = verifiers.extract_if(.., |verifier| verifier.opening.is_none());
    let silent: Vec<_> = silent.collect();
    for verifier in &silent {
        punish_verifier(context, &job.id, verifier, Breach::VerifierUnopened)?;
    }
    let parties = revealing.parties;
    if !revealing.unverified && silent.is_empty() {
        return await_results(context, job, parties, opening);
    }
    if let Some(task) = spot.filter(|_| parties.verifiers.is_empty() && !revealing.tried) {
        return try_task(context, job, (parties, opening), task);
    }
    pay_verifiers(context, &mut job, &parties.verifiers)?;
    pay_primary(context, &mut job, &parties.primary)?;
    let left = Stage::Revealing(Revealing {
        parties,
        ..revealing
    });
    fail(context, job, &left, FailureReason::Unverified)
}

/// Nobody checked the primary, or who did is silent: referees run one task before it is paid.
// Rule C71.
fn try_task(
    context: &mut Context<'_>,
    job: Job,
    (parties, opening): (Parties, PrimaryOpening),
    task: TaskIndex,
) -> Result<(), Abort> {
    let trial = Dispute {
        parties,
        opening,
        unverified: true,
        openings_until: context.chain_time,
    };
    dispute(context, job, trial, task)
}

// --- Storing: a quorum of validators holds the results.

fn await_results(
    context: &mut Context<'_>,
    job: Job,
    parties: Parties,
    opening: PrimaryOpening,
) -> Result<(), Abort> {
    let window_ms = store_window_ms(&context.rules.params.compute, &job.terms);
    let stage = Stage::Storing(Storing { parties, opening });
    enter(context, job, stage, Some(window_ms))
}

/// The results did not reach a quorum of validators: verifiers are paid for what they revealed. To bring the results was
/// the primary's part, and without them nobody can tell its work from none.
// Rule C26.
pub(super) fn close_storing(
    context: &mut Context<'_>,
    mut job: Job,
    storing: Storing,
) -> Result<(), Abort> {
    pay_verifiers(context, &mut job, &storing.parties.verifiers)?;
    let left = Stage::Storing(storing);
    fail(context, job, &left, FailureReason::NotStored)
}
