//! A primary's decisions before its commitment: to take the job or to decline it, to run it, and to commit to the result.
//!
//! It takes no more jobs than its profile has places for, none of a class that this build does not run, and none with a task that would be killed here before the network's
//! time for it is over. It reports tasks as unrunnable only if they failed by themselves, not for want of the machine.

use types::job::{JobRecord, Stage};
use types::transaction::JobStep;

use super::super::{Core, Note, ProvenState, UploadPart};
use super::{PartnerPlan, longest_task_ms, own_assignment};
use crate::assignment::{AssignmentRole, OwnCommitment};
use crate::room::{FreeRoom, largest_store_bytes, side_by_side};

impl Core {
    /// Drawn as primary: take it or not, run it, commit to the result.
    pub(super) fn run_as_primary(
        &self,
        proven: &ProvenState,
        record: &JobRecord,
        acknowledged: bool,
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, AssignmentRole::Primary);
        let terms = &record.terms;
        // What is committed already can still be revealed.
        if !self.runs(terms.class) && !self.commitments.contains_key(&assignment) {
            let class = terms.class;
            plan.notes.push(Note::ClassLacking { assignment, class });
            plan.take(assignment, JobStep::Decline { unrunnable: false });
            return;
        }
        if let Some(failures) = self.failures.get(&assignment)
            && self.gave_up(&assignment)
        {
            // Killed before its time it might have had a result.
            let unrunnable = failures.by_tasks && self.fits_wall(proven, terms);
            plan.take(assignment, JobStep::Decline { unrunnable });
            return;
        }
        if !acknowledged && !self.take_or_decline(proven, record, plan) {
            return;
        }
        match self.commitments.get(&assignment) {
            Some(own) if acknowledged => hand_on_and_commit(record, own, plan),
            Some(_) => {}
            None => {
                let tasks = terms.tasks.indices().collect();
                let wall_ms = self.settings.task_wall_ms;
                plan.execute(proven, assignment, (tasks, None), wall_ms);
            }
        }
    }

    /// Acknowledges the assignment if no task may take too long here and a place is free, or else declines it. True if it
    /// is taken.
    fn take_or_decline(
        &self,
        proven: &ProvenState,
        record: &JobRecord,
        plan: &mut PartnerPlan,
    ) -> bool {
        let assignment = own_assignment(record, AssignmentRole::Primary);
        let terms = &record.terms;
        let holds = proven
            .jobs
            .values()
            .filter(|other| self.is_running_primary(other))
            .count()
            + plan.taken;
        let fits_wall = self.fits_wall(proven, terms);
        if !fits_wall {
            let task_ms = longest_task_ms(proven, terms);
            let wall_ms = self.settings.task_wall_ms;
            plan.notes.push(Note::TooLong {
                assignment,
                task_ms,
                wall_ms,
            });
        }
        let has_place = holds < usize::from(self.settings.profile.places);
        if !fits_wall || !has_place || !self.has_room(proven, record, plan) {
            plan.take(assignment, JobStep::Decline { unrunnable: false });
            return false;
        }
        plan.taken += 1;
        plan.take(assignment, JobStep::Acknowledge);
        true
    }

    /// True if disk, memory and the quota of blobs have room for the job, with one worker, beside those that were taken and
    /// have no result yet, with as many as may run side by side; says so if they have not.
    fn has_room(&self, proven: &ProvenState, record: &JobRecord, plan: &mut PartnerPlan) -> bool {
        let assignment = own_assignment(record, AssignmentRole::Primary);
        let (needed, quota) = (
            largest_store_bytes(&record.terms),
            self.settings.blob_quota_bytes,
        );
        if needed > quota {
            plan.notes.push(Note::OverQuota {
                assignment,
                needed,
                quota,
            });
            return false;
        }
        let need_of = |record: &JobRecord, is_new: bool| {
            let workload = proven.workloads.get(&record.id)?;
            let (cores, memory_bytes) = (self.settings.cores, self.settings.memory_bytes);
            let workers = if is_new {
                1
            } else {
                side_by_side(workload, cores, memory_bytes)
            };
            Some(FreeRoom::of_primary(&record.terms, workload, workers))
        };
        let (Some(room), Some(need)) = (self.room, need_of(record, true)) else {
            return true;
        };
        let taken = proven.jobs.values().filter(|other| {
            let assignment = own_assignment(other, AssignmentRole::Primary);
            self.is_running_primary(other) && !self.commitments.contains_key(&assignment)
        });
        let needs = taken.filter_map(|other| need_of(other, false));
        let all = needs.fold(need.and(plan.needs), FreeRoom::and);
        if !room.holds(all) {
            plan.notes.push(Note::NoRoom {
                assignment,
                need: all,
                room,
            });
            return false;
        }
        plan.needs = plan.needs.and(need);
        true
    }

    fn is_running_primary(&self, record: &JobRecord) -> bool {
        matches!(
            &record.stage,
            Stage::Assigned(assigned)
                if assigned.duties.is_some() && self.is_me(&assigned.primary.partner)
        )
    }
}

/// It has a result: in a chain validators must hold its states before it may commit.
// Rule C80.
fn hand_on_and_commit(record: &JobRecord, own: &OwnCommitment, plan: &mut PartnerPlan) {
    let assignment = own.assignment;
    let commitment = own.commitment;
    match (own.states.first().copied(), record.states) {
        (None, _) => plan.take(assignment, JobStep::Commit { commitment }),
        (Some(states), None) => plan.take(assignment, JobStep::HandOn { states }),
        (Some(list), Some(states)) if states.list != list => {
            plan.notes.push(Note::ForeignCommitment(assignment));
        }
        (Some(_), Some(states)) if states.held => {
            plan.take(assignment, JobStep::Commit { commitment });
        }
        (Some(_), Some(_)) => {
            plan.uploads.insert(assignment, UploadPart::States);
        }
    }
}
