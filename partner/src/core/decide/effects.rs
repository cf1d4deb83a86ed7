//! From a plan to effects: what is already under way is taken off, and what nobody waits for any more is let go of.
//!
//! It decides nothing about a job. It keeps to the places of each role and to the pauses after failures, and records the uploads.

use types::hash::JobId;
use types::job::JobRecord;

use super::super::outbox::TransactionSigner;
use super::super::{
    Core, Effect, Note, ProvenState, UPLOAD_AGAIN_HEIGHTS, UploadPart, UploadProgress, UploadState,
};
use super::PartnerPlan;
use super::checks::{OVERTAKING, is_overtaken};
use crate::assignment::{Assignment, AssignmentRole, OwnCommitment};

impl Core {
    /// Stops executions that nobody waits for any more.
    pub(super) fn drop_unwanted(&mut self, plan: &PartnerPlan) -> Vec<Effect> {
        let unwanted: Vec<_> = self
            .running
            .iter()
            .filter(|assignment| !plan.executions.contains_key(assignment))
            .copied()
            .collect();
        self.running
            .retain(|assignment| plan.executions.contains_key(assignment));
        unwanted.into_iter().map(Effect::Cancel).collect()
    }

    pub(super) fn send(
        &mut self,
        proven: &ProvenState,
        plan: &mut PartnerPlan,
        effects: &mut Vec<Effect>,
    ) {
        let signer = TransactionSigner {
            chain: self.identity.chain,
            key: &self.identity.key,
            min_fee: proven.params.min_fee,
        };
        let wanted = std::mem::take(&mut plan.transactions);
        let sending = self
            .outbox
            .reconcile(&signer, proven.account.nonce, proven.height, wanted);
        if sending.changed {
            effects.push(Effect::KeepOutbox(Box::new(self.outbox.clone())));
        }
        let wanted = std::mem::take(&mut plan.steps);
        let steps = self.steps.reconcile(&signer, proven.height, wanted);
        let all = steps.into_iter().chain(sending.transactions);
        effects.extend(all.map(|transaction| Effect::Send(Box::new(transaction))));
    }

    /// Starts what is waited for, as far as the places of each role reach; of checks those with the least time left, and beyond
    /// the places such as have less time left than one that runs.
    pub(super) fn start(&mut self, plan: &PartnerPlan, effects: &mut Vec<Effect>) {
        let mut checks = plan.checks.clone();
        checks.sort_by_key(|check| check.left_ms);
        let place_of = |assignment: &Assignment| {
            checks
                .iter()
                .position(|check| check.assignment == *assignment)
        };
        let mut executions: Vec<_> = plan.executions.iter().collect();
        // Jobs of its own, which have places of their own, come before checks.
        executions.sort_by_key(|(assignment, _)| place_of(assignment));
        for (assignment, execution) in executions {
            let (places, most) = match assignment.role {
                AssignmentRole::Primary => {
                    let places = usize::from(self.settings.profile.places);
                    (places, places)
                }
                AssignmentRole::Verifier => {
                    let places = usize::from(self.settings.verification_places);
                    (places, OVERTAKING * places)
                }
            };
            let running = self.running.iter();
            let busy = running
                .filter(|other| other.role == assignment.role)
                .count();
            let own = place_of(assignment).and_then(|at| checks.get(at));
            let overtakes =
                own.is_some_and(|own| checks.iter().any(|other| is_overtaken(other, own)));
            let pauses = self
                .failures
                .get(assignment)
                .is_some_and(|failures| self.height < failures.pause_until);
            let has_place = busy < places || (overtakes && busy < most);
            if self.running.contains(assignment) || pauses || !has_place {
                continue;
            }
            self.running.insert(*assignment);
            effects.push(Effect::Execute(Box::new(execution.clone())));
        }
    }

    pub(super) fn upload(&mut self, plan: &PartnerPlan, effects: &mut Vec<Effect>) {
        for (assignment, part) in &plan.uploads {
            let none = UploadProgress {
                part: *part,
                offers: 0,
                last: UploadState::NotTaken,
            };
            let UploadProgress {
                offers: offer,
                last,
                ..
            } = self
                .uploads
                .get(assignment)
                .filter(|progress| progress.part == *part)
                .copied()
                .unwrap_or(none);
            let due = match last {
                UploadState::NotTaken => true,
                UploadState::Running => false,
                UploadState::Taken(height) => {
                    self.height >= height.saturating_add(UPLOAD_AGAIN_HEIGHTS)
                }
            };
            let Some(own) = self.commitments.get(assignment).filter(|_| due) else {
                continue;
            };
            self.uploads.insert(
                *assignment,
                UploadProgress {
                    part: *part,
                    offers: offer.saturating_add(1),
                    last: UploadState::Running,
                },
            );
            let blobs = match part {
                UploadPart::States => own.states.to_vec(),
                UploadPart::Results => own.outcomes.iter().chain(&own.blobs).copied().collect(),
            };
            effects.push(Effect::Upload {
                assignment: *assignment,
                blobs,
                offer,
            });
        }
    }

    /// Lets go of assignments whose job, or whose attempt, a newer final state says is over.
    pub(super) fn forget_over(&mut self, proven: &ProvenState, effects: &mut Vec<Effect>) {
        let own = self.identity.address();
        // A verifier of an attempt whose primary did not reveal opens in a later one.
        let opens_later = |record: &JobRecord, attempt| {
            record.earlier.attempt == attempt && record.earlier.unopened(&own).is_some()
        };
        let over = |job: &JobId, attempt| {
            let record = proven.jobs.get(job);
            !proven.live.contains(job)
                || record
                    .is_some_and(|record| record.attempt > attempt && !opens_later(record, attempt))
        };
        // No proven state is older than a commitment: the core starts at the height of the newest one.
        let is_over = |own: &OwnCommitment| over(&own.assignment.job, own.assignment.attempt);
        let assignments: Vec<_> = self
            .commitments
            .values()
            .filter(|own| is_over(own))
            .map(|own| own.assignment)
            .collect();
        for assignment in assignments {
            self.commitments.remove(&assignment);
            self.uploads.remove(&assignment);
            effects.push(Effect::Note(Note::Over(assignment)));
            effects.push(Effect::Forget(assignment));
        }
        self.failures
            .retain(|assignment, _| !over(&assignment.job, assignment.attempt));
        self.renewals
            .retain(|assignment, _| !over(&assignment.job, assignment.attempt));
        self.sortitions
            .retain(|(job, attempt), _| !over(job, *attempt));
    }
}
