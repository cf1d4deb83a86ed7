//! The end hook of jobs: it moves on those whose draw's beacon is there, or whose window is over.

use types::job::{Announcing, JobRecord, SortitionBeacon, Stage};
use types::limits::MAX_MOVED_PER_BLOCK;

use super::dispute::close_dispute;
use super::draw::{Lottery, has_budget};
use super::job::{
    appoint_or_close, close_announcements, close_assignment, close_storing, close_verification,
    conclude, draw_or_fail, open_announcements,
};
use super::live;
use super::queue::wake;
use super::record::{draw_again, forget};
use super::standing::close_challenge;
use super::verdict::pay_verdicts;
use crate::{Abort, Context, Corruption};

/// Moves all live jobs on that are ready: their draw's beacon is there, or their window is over; then pays out verdicts and
/// forgets the jobs that ended long ago. Total: what it does cannot fail but for state that contradicts itself.
///
/// A block moves at most [`MAX_MOVED_PER_BLOCK`] jobs, those first that have been ready the longest, and draws as long as that
/// costs less than it may.
// Rules C23, C24.
pub fn end_block(context: &mut Context<'_>) -> Result<(), Abort> {
    let mut moved = 0;
    for id in live::ready(context, MAX_MOVED_PER_BLOCK)? {
        if moved >= MAX_MOVED_PER_BLOCK {
            break;
        }
        let record =
            live::job(&context.overlay, &id)?.ok_or(Corruption::LiveJobWithoutRecord(id))?;
        if waits_for_budget(context, &record) {
            continue;
        }
        let ready = Ready::new(context, &record)?;
        move_on(context, record, &ready)?;
        moved += 1;
    }
    pay_verdicts(context)?;
    wake(context)?;
    forget(context)
}

/// True if the job's draw looks through partners, and the draws of this block have cost what they may.
// Rule C24.
fn waits_for_budget(context: &Context<'_>, record: &JobRecord) -> bool {
    let draws = matches!(record.stage, Stage::Pending(_) | Stage::Appointing(_));
    let is_due = record.draw.is_some_and(|step| step <= context.beacon.step);
    draws && is_due && !has_budget(context)
}

/// Why a job moves on in this block.
struct Ready {
    /// The draw that the job waited for. `None` if it waits for none, and if the beacon of its step is not kept any more:
    /// then it draws again, since any other beacon would be one that somebody can choose.
    lottery: Option<Lottery>,
    /// True if the stage's window is over.
    is_over: bool,
}

impl Ready {
    // Rule C28.
    fn new(context: &mut Context<'_>, record: &JobRecord) -> Result<Self, Abort> {
        let lottery = match live::drawn(context, record)? {
            None => None,
            Some((step, draw)) => context.beacon_at(step)?.map(|beacon| Lottery {
                beacon,
                epoch: draw.epoch,
            }),
        };
        let is_over = live::is_over(context, record);
        Ok(Self { lottery, is_over })
    }
}

fn move_on(context: &mut Context<'_>, record: JobRecord, ready: &Ready) -> Result<(), Abort> {
    let (job, stage) = record.split();
    let (lottery, is_over) = (ready.lottery.as_ref(), ready.is_over);
    match stage {
        Stage::Pending(pending) => draw_or_fail(context, job, pending, lottery, is_over),
        Stage::Assigned(assigned) => close_assignment(context, job, assigned),
        Stage::Announcing(announcing) => match (announcing.beacon, lottery) {
            (SortitionBeacon::Known { .. }, _) => close_announcements(context, job, announcing),
            (SortitionBeacon::Awaited { .. }, Some(lottery)) => {
                open_announcements(context, job, announcing, lottery.beacon)
            }
            (SortitionBeacon::Awaited { .. }, None) => draw_again(context, job, |step| {
                let beacon = SortitionBeacon::Awaited { step };
                Stage::Announcing(Announcing {
                    beacon,
                    ..announcing
                })
            }),
        },
        Stage::Appointing(appointing) => {
            appoint_or_close(context, job, appointing, lottery, is_over)
        }
        Stage::Verifying(verifying) => close_verification(context, job, verifying),
        Stage::Revealing(revealing) => conclude(context, job, revealing),
        Stage::Disputed(disputed) => close_dispute(context, job, disputed),
        Stage::Storing(storing) => close_storing(context, job, storing),
        Stage::Challenged(challenged) => close_challenge(context, job, &challenged),
        Stage::Settled | Stage::Failed(_) => Err(Corruption::JobNotLive(job.id).into()),
    }
}
