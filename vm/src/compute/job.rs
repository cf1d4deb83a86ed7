//! A job's life: its stages, what ends each of them, and what happens when nothing does.
//!
//! ```text
//!            inputs stored, beacon            acknowledged, sealed
//!   Open ---------------------------> Assigned ------------------> PrimaryCommitment
//!    ^                                   |                             | beacon, then announce window over
//!    |  declined, ignored, not sealed    |           fill-ups due      v      nobody to wait for
//!    +-----------------------------------+        +----------------- (how many?) --------------+
//!    |                                            v                    |                       |
//!    |                    +------------------> Announced ------------> | enough                |
//!    |   a verifier is    |                       beacon               v                       |
//!    |   silent: two for  +--------------------------------------- Verifying                   |
//!    |   its seat, once                                                | all sealed, or nobody |
//!    |                                                                 | is left to wait for   |
//!    |   the primary did not open, and nobody else did                 v                       v
//!    +------------------------------------------------------------ Revealed <------------------+
//!                                                                      | all opened, all equal
//!                                                                      v
//!                                                                   Agreed -- results stored --> Settled
//! ```
//!
//! What this file and its neighbours promise:
//!
//! - Every stage has a deadline in chain time and an exit of its own; none waits for somebody's transaction. A stage
//!   ends early when all it waits for is there, but for the announce window, which nobody may shorten. None closes
//!   before leaders with more than F of the stake have proposed in it. The announce window opens with the beacon step
//!   that its sortition runs over, which comes by itself.
//! - Bonds locked for a job are locked by this job and released when the attempt ends, whatever way it ends.
//! - Escrow is paid out, burned as used, or refunded, to the unit, when the job ends.
//! - Two openings that differ at any task never lead to Settled.
//! - A primary that sealed and is not at fault is paid in every exit. It is at fault if it does not open, if its opening
//!   differs from another, and if its results are not brought to a quorum of validators: no other rule asks whether
//!   data exists, and a seal without data must not be worth anything.
//!
//! Actions are one per file beside this one; exits and money are in `exit`, penalties in `penalty`.

use std::collections::BTreeSet;

use types::hash::{Address, Hash32, JobId, ValidatorId};
use types::job::{
    FailureReason, JobRecord, Primary, PrimaryCommitment, Stage, StageEntry, Verifier,
};
use types::limits::{
    MAX_MOVED_PER_BLOCK, MAX_STATE_VALUE_BYTES, MAX_TASKS, MAX_TRANSACTION_BYTES, MAX_VERIFIERS,
};
use types::number::{Amount, Attempt, BeaconStep, ChainTime};
use types::state_key::StateKey;

use super::draw::{Lottery, draw_primary, draw_verifiers};
use super::exit::{conclude, fail, fail_unstored, next_attempt, punish};
use super::live::Draw;
use super::penalty::Breach;
use super::price::{execute_window_ms, seats};
use super::{JobError, live};
use crate::{ActionError, Context, Fault};

/// Bytes of a record beside its spec, its verifiers' tasks and its primary's leaves.
const REST_OF_A_RECORD: usize = 16 << 10;
const _: () = assert!(
    MAX_TRANSACTION_BYTES
        + MAX_VERIFIERS * (4 * MAX_TASKS + 256)
        + MAX_TASKS * 36
        + REST_OF_A_RECORD
        <= MAX_STATE_VALUE_BYTES,
    "a record with all seats taken by verifiers of all tasks fits a state value"
);

/// The round of verifiers after which silence is not replaced any more.
const LAST_ROUND: u16 = 1;
/// How many take the place of a silent verifier.
const REPLACEMENTS: usize = 2;

/// Moves all live jobs on by what is due: draws whose beacon is there, windows that are over. Total: what it does
/// cannot fail but for state that contradicts itself.
///
/// A block moves at most [`MAX_MOVED_PER_BLOCK`] jobs, those first that have been due the longest.
pub fn end_block(context: &mut Context<'_>) -> Result<(), Fault> {
    live::begin(context)?;
    for (id, due) in live::due_now(context, MAX_MOVED_PER_BLOCK) {
        let record = live::job(&context.overlay, &id)?
            .ok_or(Fault::Broken("a live job without a record"))?;
        let waiting = match due.drawn(context) {
            Some(drawn) => draw(context, record, drawn)?,
            None => Some(record),
        };
        match waiting {
            Some(record) if due.is_over(context) => expire(context, record)?,
            Some(record) => draw_later(context, record)?,
            None => {}
        }
    }
    live::finish(context);
    Ok(())
}

/// The job that an action names, at the attempt that it is for.
pub(super) fn load(
    context: &Context<'_>,
    id: &JobId,
    given: Attempt,
) -> Result<JobRecord, ActionError> {
    let record = live::job(&context.overlay, id)?.ok_or(JobError::UnknownJob)?;
    if record.attempt != given {
        return Err(JobError::WrongAttempt {
            given,
            current: record.attempt,
        }
        .into());
    }
    Ok(record)
}

/// The refusal of an action that the stage does not allow.
pub(super) fn wrong_stage(record: &JobRecord) -> ActionError {
    JobError::WrongStage {
        stage: record.stage.name(),
    }
    .into()
}

/// Writes a job back whose stage stays.
pub(super) fn save(context: &mut Context<'_>, record: &JobRecord) {
    context.changed = true;
    context.overlay.put(StateKey::Job(record.id), record);
}

/// Writes a job back in a new stage, whose window opens in this block.
pub(super) fn enter(
    context: &mut Context<'_>,
    mut record: JobRecord,
    stage: Stage,
) -> Result<(), Fault> {
    record.history.push(StageEntry {
        stage: stage.name().to_owned(),
        attempt: record.attempt,
        height: context.height,
        time: context.timestamp,
    });
    record.stage = stage;
    match window(&record.stage) {
        Some((deadline, draw)) => live::set_due(context, &record, deadline, draw)?,
        None => live::remove(context, &record.id)?,
    }
    save(context, &record);
    Ok(())
}

/// When a stage ends by itself, and the beacon step that it waits for.
fn window(stage: &Stage) -> Option<(ChainTime, Option<BeaconStep>)> {
    match stage {
        Stage::Pending { deadline, draw, .. } => Some((*deadline, *draw)),
        Stage::Appointing { deadline, draw, .. } => Some((*deadline, Some(*draw))),
        // The window opens with the beacon, which moves on whatever anybody does: only the draw is waited for.
        Stage::Announcing {
            committed: PrimaryCommitment {
                beacon: None, draw, ..
            },
            ..
        } => Some((ChainTime(u64::MAX), Some(*draw))),
        Stage::Assigned { deadline, .. }
        | Stage::Announcing { deadline, .. }
        | Stage::Verifying { deadline, .. }
        | Stage::Revealing { deadline, .. }
        | Stage::Storing { deadline, .. } => Some((*deadline, None)),
        Stage::Settled | Stage::Failed { .. } => None,
    }
}

/// The primary and the verifiers that a stage binds.
pub(super) fn parties(stage: &Stage) -> (Option<&Primary>, &[Verifier]) {
    match stage {
        Stage::Pending { .. } | Stage::Settled | Stage::Failed { .. } => (None, &[]),
        Stage::Assigned { primary, .. } => (Some(primary), &[]),
        Stage::Announcing {
            primary, verifiers, ..
        }
        | Stage::Appointing {
            primary, verifiers, ..
        }
        | Stage::Verifying {
            primary, verifiers, ..
        }
        | Stage::Revealing {
            primary, verifiers, ..
        }
        | Stage::Storing {
            primary, verifiers, ..
        } => (Some(primary), verifiers),
    }
}

/// The chain time in so many milliseconds.
pub(super) fn after(context: &Context<'_>, window_ms: u64) -> ChainTime {
    context.chain_time.saturating_add(window_ms)
}

/// Open, with a draw to come: for the first attempt once the inputs are stored, for later ones at once.
pub(super) fn await_primary(
    context: &mut Context<'_>,
    record: JobRecord,
    stored: BTreeSet<ValidatorId>,
) -> Result<(), Fault> {
    let deadline = after(context, context.rules.params.compute.open_window_ms);
    let draw = Some(context.draw_step());
    enter(
        context,
        record,
        Stage::Pending {
            stored,
            draw,
            deadline,
        },
    )
}

/// The beacon of a job's draw is there. Gives the job back if it still waits, since too few can be drawn now.
fn draw(
    context: &mut Context<'_>,
    mut record: JobRecord,
    drawn: Draw,
) -> Result<Option<JobRecord>, Fault> {
    // A block that had too much to do may have left the draw to a later one: its beacon stays that of its step.
    let beacon = context
        .beacon_at(drawn.step)?
        .unwrap_or(context.beacon.value);
    let counted = live::counted(context, drawn.epoch)?;
    let lottery = Lottery {
        beacon,
        counted: &counted,
    };
    match record.stage {
        Stage::Pending { .. } => {
            let Some(primary) = draw_primary(context, &record, &lottery)? else {
                return Ok(Some(record));
            };
            assign(context, record, primary)?;
        }
        Stage::Announcing { .. } => open_announcements(context, record, beacon)?,
        _ => {
            if !appointed(context, &mut record, &lottery)? {
                return Ok(Some(record));
            }
            verify(context, record)?;
        }
    }
    Ok(None)
}

/// The beacon that the sortition runs over is there: the announce window opens.
fn open_announcements(
    context: &mut Context<'_>,
    mut record: JobRecord,
    beacon: Hash32,
) -> Result<(), Fault> {
    let until = after(context, context.rules.params.compute.announce_window_ms);
    let Stage::Announcing {
        committed,
        deadline,
        ..
    } = &mut record.stage
    else {
        return Err(Fault::Broken("a sortition for a stage without one"));
    };
    (committed.beacon, *deadline) = (Some(beacon), until);
    live::set_due(context, &record, until, None)?;
    save(context, &record);
    Ok(())
}

/// Draws once more with a later beacon; the window stays.
fn draw_later(context: &mut Context<'_>, mut record: JobRecord) -> Result<(), Fault> {
    let later = context.draw_step();
    match &mut record.stage {
        Stage::Pending { draw, .. } => *draw = Some(later),
        Stage::Appointing { draw, .. } => *draw = later,
        _ => return Err(Fault::Broken("a draw for a stage without one")),
    }
    save(context, &record);
    live::set_draw(context, &record.id, later)
}

fn assign(context: &mut Context<'_>, record: JobRecord, primary: Primary) -> Result<(), Fault> {
    lock(context, &record, &primary.partner, primary.bond)?;
    count_running(context, &primary.partner, 1, 0)?;
    let deadline = after(context, context.rules.params.compute.acknowledge_window_ms);
    enter(
        context,
        record,
        Stage::Assigned {
            primary,
            acknowledged: false,
            deadline,
        },
    )
}

/// Locks the bond of a drawn partner, whose free bond the draw has looked at.
fn lock(
    context: &mut Context<'_>,
    record: &JobRecord,
    partner: &Address,
    bond: Amount,
) -> Result<(), Fault> {
    context
        .lock_bond(partner, record.id, bond)
        .map_err(|error| match error {
            ActionError::Fault(fault) => fault,
            _ => Fault::Broken("a drawn partner cannot lock its bond"),
        })
}

/// Changes how many jobs a partner is primary of.
pub(super) fn count_running(
    context: &mut Context<'_>,
    address: &Address,
    more: u16,
    fewer: u16,
) -> Result<(), Fault> {
    let mut partner = context
        .partner(address)?
        .ok_or(Fault::Broken("a primary that is no partner"))?;
    let running = partner
        .running
        .checked_add(more)
        .and_then(|sum| sum.checked_sub(fewer));
    partner.running = running.ok_or(Fault::Broken("a primary that runs nothing"))?;
    context.put_partner(address, &partner);
    Ok(())
}

/// Binds drawn verifiers to the seats that are empty; true if the job can go on with those there are now.
fn appointed(
    context: &mut Context<'_>,
    record: &mut JobRecord,
    lottery: &Lottery<'_>,
) -> Result<bool, Fault> {
    let Stage::Appointing {
        primary,
        verifiers,
        missing,
        round,
        ..
    } = &record.stage
    else {
        return Err(Fault::Broken("fill-ups for a stage without them"));
    };
    let mut taken: Vec<_> = verifiers.iter().map(|verifier| verifier.partner).collect();
    taken.push(primary.partner);
    let drawn = draw_verifiers(
        context,
        record,
        lottery,
        &taken,
        (usize::from(*missing), *round),
    )?;
    for verifier in &drawn {
        lock(context, record, &verifier.partner, verifier.bond)?;
    }
    let Stage::Appointing {
        verifiers,
        missing,
        needed,
        ..
    } = &mut record.stage
    else {
        return Err(Fault::Broken("fill-ups for a stage without them"));
    };
    *missing = missing.saturating_sub(small(drawn.len()));
    verifiers.extend(drawn);
    Ok(verifiers.len() >= usize::from(*needed))
}

/// A count of verifiers, of which there are few.
fn small(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The window of a stage is over.
fn expire(context: &mut Context<'_>, record: JobRecord) -> Result<(), Fault> {
    match &record.stage {
        Stage::Pending { draw: None, .. } => fail(context, record, FailureReason::NoInputs),
        Stage::Pending { draw: Some(_), .. } => fail(context, record, FailureReason::NoPartner),
        Stage::Assigned {
            primary,
            acknowledged,
            ..
        } => {
            let breach = if *acknowledged {
                Breach::Uncommitted
            } else {
                Breach::Ignored
            };
            let (partner, bond) = (primary.partner, primary.bond);
            punish(context, &record, &partner, bond, breach)?;
            next_attempt(context, record, FailureReason::NoCommitment)
        }
        Stage::Announcing { .. } => close_announcements(context, record),
        Stage::Appointing {
            verifiers, needed, ..
        } => {
            if verifiers.len() >= usize::from(*needed) {
                verify(context, record)
            } else {
                reveal_unverified(context, record)
            }
        }
        Stage::Verifying { .. } => close_verification(context, record),
        Stage::Revealing { .. } => conclude(context, record),
        Stage::Storing { .. } => fail_unstored(context, record),
        Stage::Settled | Stage::Failed { .. } => Err(Fault::Broken("a final job is due")),
    }
}

/// The announce window is over: on with those who announced, or fill-ups for the rest of the minimum.
fn close_announcements(context: &mut Context<'_>, record: JobRecord) -> Result<(), Fault> {
    let Stage::Announcing {
        primary,
        committed,
        verifiers,
        ..
    } = record.stage.clone()
    else {
        return Err(Fault::Broken("an announce window of another stage"));
    };
    let needed = min_verifiers(context, &record, &primary)?;
    let missing = needed.saturating_sub(small(verifiers.len()));
    if missing > 0 {
        let deadline = after(context, context.rules.params.compute.open_window_ms);
        let draw = context.draw_step();
        let stage = Stage::Appointing {
            primary,
            committed,
            verifiers,
            missing,
            needed,
            draw,
            round: 0,
            deadline,
        };
        return enter(context, record, stage);
    }
    if verifiers.is_empty() {
        reveal(context, record)
    } else {
        verify(context, record)
    }
}

/// What the customer demands, and at least one as long as the value that verification confirmed for the primary's
/// bond is below a multiple of what it locks.
fn min_verifiers(
    context: &Context<'_>,
    record: &JobRecord,
    primary: &Primary,
) -> Result<u16, Fault> {
    let partner = context
        .partner(&primary.partner)?
        .ok_or(Fault::Broken("a primary that is no partner"))?;
    let proven =
        u128::from(context.rules.params.compute.probation_multiple).saturating_mul(primary.bond.0);
    let on_probation = partner.verified_value.0 < proven;
    Ok(record.policy.min_verifiers.max(u16::from(on_probation)))
}

/// From PrimaryCommitment or Announced to Verifying.
fn verify(context: &mut Context<'_>, record: JobRecord) -> Result<(), Fault> {
    let (primary, committed, verifiers, round, needed) = match record.stage.clone() {
        Stage::Announcing {
            primary,
            committed,
            verifiers,
            ..
        } => {
            let all = small(verifiers.len());
            (primary, committed, verifiers, 0, all)
        }
        Stage::Appointing {
            primary,
            committed,
            verifiers,
            round,
            needed,
            ..
        } => (primary, committed, verifiers, round, needed),
        _ => return Err(Fault::Broken("verification of another stage")),
    };
    let window = execute_window_ms(
        &context.rules.params.compute,
        &record.spec,
        record.policy.tasks_per_verifier,
    );
    let deadline = after(context, window);
    enter(
        context,
        record,
        Stage::Verifying {
            primary,
            committed,
            verifiers,
            round,
            needed,
            deadline,
        },
    )
}

/// The time to seal is over: silent verifiers lose a part of their bond and are replaced by two each, once.
fn close_verification(context: &mut Context<'_>, mut record: JobRecord) -> Result<(), Fault> {
    let Stage::Verifying {
        primary,
        committed,
        verifiers,
        round,
        needed,
        ..
    } = record.stage.clone()
    else {
        return Err(Fault::Broken("a verification window of another stage"));
    };
    let (sealed, silent): (Vec<_>, Vec<_>) = verifiers
        .into_iter()
        .partition(|verifier| verifier.commitment.is_some());
    for verifier in &silent {
        punish(
            context,
            &record,
            &verifier.partner,
            verifier.bond,
            Breach::VerifierSilent,
        )?;
        record.excluded.push(verifier.partner);
    }
    if let Stage::Verifying { verifiers, .. } = &mut record.stage {
        verifiers.clone_from(&sealed);
    }
    if round < LAST_ROUND {
        let room = seats(&record.policy).saturating_sub(sealed.len());
        let missing = small((REPLACEMENTS * silent.len()).min(room));
        let needed = small(sealed.len() + silent.len());
        let deadline = after(context, context.rules.params.compute.open_window_ms);
        let (draw, round, verifiers) = (context.draw_step(), round + 1, sealed);
        let stage = Stage::Appointing {
            primary,
            committed,
            verifiers,
            missing,
            needed,
            draw,
            round,
            deadline,
        };
        return enter(context, record, stage);
    }
    if sealed.len() >= usize::from(needed) {
        reveal(context, record)
    } else {
        reveal_unverified(context, record)
    }
}

/// Fewer verifiers sealed than must have, and nobody will any more: who sealed opens all the same, so that a seal with
/// nothing behind it is not paid. Who was bound and has not sealed is let go.
fn reveal_unverified(context: &mut Context<'_>, record: JobRecord) -> Result<(), Fault> {
    let (Stage::Appointing {
        primary,
        committed,
        verifiers,
        ..
    }
    | Stage::Verifying {
        primary,
        committed,
        verifiers,
        ..
    }) = record.stage.clone()
    else {
        return Err(Fault::Broken("openings of another stage"));
    };
    let (verifiers, others): (Vec<_>, Vec<_>) = verifiers
        .into_iter()
        .partition(|verifier| verifier.commitment.is_some());
    for verifier in &others {
        context.unlock_bond(&verifier.partner, &record.id)?;
    }
    let deadline = after(context, context.rules.params.compute.reveal_window_ms);
    let stage = Stage::Revealing {
        primary,
        committed,
        opened: None,
        verifiers,
        unverified: true,
        deadline,
    };
    enter(context, record, stage)
}

/// From PrimaryCommitment (nobody checks) or Verifying (all sealed) to Revealed.
pub(super) fn reveal(context: &mut Context<'_>, record: JobRecord) -> Result<(), Fault> {
    let (Stage::Announcing {
        primary,
        committed,
        verifiers,
        ..
    }
    | Stage::Verifying {
        primary,
        committed,
        verifiers,
        ..
    }) = record.stage.clone()
    else {
        return Err(Fault::Broken("openings of another stage"));
    };
    let deadline = after(context, context.rules.params.compute.reveal_window_ms);
    enter(
        context,
        record,
        Stage::Revealing {
            primary,
            committed,
            opened: None,
            verifiers,
            unverified: false,
            deadline,
        },
    )
}
