//! A verifier's decisions: to announce itself where sortition draws it, to run its tasks, and to commit to the result.
//!
//! An announcement binds, so it announces itself only where it can do the check in time beside those that it is bound to. Once
//! bound it tries a few times; if it still has no result it says so, which costs less than silence.

use types::attestation::Divergence;
use types::job::{Announcing, JobRecord, PrimaryOpening, Verifier};
use types::key::VrfProof;
use types::number::Amount;
use types::sortition::Sortition;
use types::transaction::JobStep;

use super::super::{Core, Note, ProvenState};
use super::checks::all_fit;
use super::{PartnerPlan, own_assignment};
use crate::assignment::{Assignment, AssignmentRole};
use crate::room::FreeRoom;

impl Core {
    /// True if its announcement for the job is on its way.
    pub(super) fn is_announcing(&self, record: &JobRecord) -> bool {
        self.steps.announces(record.id, record.attempt)
    }

    /// Bound as verifier: run the tasks, and commit to the result when it is time.
    pub(super) fn verify(
        &self,
        proven: &ProvenState,
        record: &JobRecord,
        verifier: &Verifier,
        commit_now: bool,
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, AssignmentRole::Verifier);
        if let Some(commitment) = &verifier.commitment {
            self.check_own_commitment(record, AssignmentRole::Verifier, commitment, plan);
            return;
        }
        match self.commitments.get(&assignment) {
            Some(own) if own.tasks().eq(verifier.tasks.iter().copied()) => {
                if commit_now {
                    let commitment = own.commitment;
                    plan.take(assignment, JobStep::Commit { commitment });
                }
            }
            // The tasks of a verifier never change within an attempt; if they did, the old commitment would be of no use.
            Some(_) => plan.notes.push(Note::ForeignCommitment(assignment)),
            None if !self.runs(record.terms.class) => {
                let class = record.terms.class;
                plan.notes.push(Note::ClassLacking { assignment, class });
                plan.find_no_result(assignment, commit_now);
            }
            None if self.gave_up(&assignment) => plan.find_no_result(assignment, commit_now),
            None => {
                let states = record.states.map(|states| states.list);
                let tasks = (verifier.tasks.clone(), states);
                plan.execute(proven, assignment, tasks, self.settings.task_wall_ms);
            }
        }
    }

    /// The primary has revealed: agree with its leaves, or show one task at which something else was found.
    // Rule C59.
    pub(super) fn compare(
        &self,
        assignment: Assignment,
        verifier: &Verifier,
        opening: &PrimaryOpening,
        plan: &mut PartnerPlan,
    ) {
        let own = self.commitments.get(&assignment);
        let tasks = verifier.tasks.iter().copied();
        let Some(own) = own.filter(|own| own.tasks().eq(tasks)) else {
            plan.notes.push(Note::ForeignCommitment(assignment));
            return;
        };
        let revealed = opening.leaves_of(&verifier.tasks).unwrap_or_default();
        let mut leaves = own.leaves.iter().enumerate();
        let step = match leaves.find(|(at, leaf)| revealed.get(*at) != Some(leaf)) {
            None => Some(JobStep::Agree { salt: own.salt }),
            Some((_, (task, _))) => {
                let divergence = Divergence::new(own.salt, &own.leaves, *task);
                divergence.map(|divergence| JobStep::Differ {
                    divergence: Box::new(divergence),
                })
            }
        };
        if let Some(step) = step {
            plan.take(assignment, step);
        }
    }

    /// Evaluates sortition over somebody else's commitment, which is final: proven states hold nothing else. What it could not
    /// run in time it does not announce, since an announcement binds, and nothing while it has paused.
    // Rule C35.
    pub(super) fn draw_oneself(
        &mut self,
        proven: &ProvenState,
        record: &JobRecord,
        announcing: &Announcing,
        plan: &mut PartnerPlan,
    ) {
        let (job, attempt) = (record.id, record.attempt);
        if self.settings.paused {
            return;
        }
        // Before the beacon that sortition runs over is there, there is nothing to evaluate.
        if announcing.beacon.known().is_none() {
            return;
        }
        let free = proven
            .partner
            .as_ref()
            .map_or(Amount::ZERO, types::account::Partner::free);
        let terms = &record.terms;
        if free < record.policy.verifier_bond
            || !self.runs(terms.class)
            || !self.fits_wall(proven, terms)
            || terms.input_bytes > self.settings.blob_quota_bytes
            || self
                .room
                .is_some_and(|room| !room.holds(FreeRoom::of_verifier(terms)))
        {
            return;
        }
        let Some(page) = proven.pages.get(&announcing.epoch) else {
            return;
        };
        let draw = || {
            let own = self.identity.address();
            Sortition::new(self.identity.chain, record, announcing, page)
                .and_then(|sortition| sortition.prove(&own, &self.identity.vrf))
                .ok()
        };
        let proof: Option<VrfProof> = *self.sortitions.entry((job, attempt)).or_insert_with(draw);
        if let Some(proof) = proof {
            if !self.is_announcing(record) {
                let tasks = record.policy.tasks_per_verifier;
                plan.checks.push(self.queued_check(proven, record, tasks));
                if !all_fit(&plan.checks, self.settings.verification_places) {
                    plan.checks.pop();
                    return;
                }
            }
            let assignment = own_assignment(record, AssignmentRole::Verifier);
            plan.take(assignment, JobStep::Announce { proof });
        }
    }
}
