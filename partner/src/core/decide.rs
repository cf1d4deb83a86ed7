//! From a verified state to what is to be done: one look at each live job, in one place.
//!
//! The look gives a plan of everything that the chain waits for: [`primary`] and [`verifier`] add what their role asks for,
//! the openings of both are decided here. [`effects`] turns the plan into what is done now.

mod checks;
mod effects;
mod primary;
mod renewal;
mod verifier;

use std::collections::BTreeMap;

use types::attestation::Opening;
use types::hash::{Address, BlobId};
use types::job::{Awaited, JobRecord, JobTerms, PartnerProfile, Stage, Workload};
use types::number::{Amount, EngineClass, TaskIndex};
use types::transaction::{Action, JobAction, JobStep};

use self::checks::QueuedCheck;
use super::outbox::Purpose;
use super::{Core, Effect, MAX_EXECUTIONS, Note, ProvenState, TaskExecution, UploadPart};
use crate::assignment::{Assignment, AssignmentRole};
use crate::room::FreeRoom;

/// What one look at the chain asks for, before what is already under way is taken off.
#[derive(Debug, Default)]
struct PartnerPlan {
    /// Charged transactions that the chain still needs.
    transactions: BTreeMap<Purpose, Action>,
    /// Steps that jobs await.
    steps: Vec<JobAction>,
    /// Tasks that somebody waits for, committed ones not counted.
    executions: BTreeMap<Assignment, TaskExecution>,
    /// Assignments for whose blobs the chain waits.
    uploads: BTreeMap<Assignment, UploadPart>,
    /// Messages to the operator, in order.
    notes: Vec<Note>,
    /// Assignments taken in this look.
    taken: usize,
    /// What those may take of disk and memory.
    needs: FreeRoom,
    /// Checks that have no result yet, those that are announced in this look included.
    checks: Vec<QueuedCheck>,
}

impl PartnerPlan {
    /// Runs tasks for an assignment, whose workload was read with its job.
    fn execute(
        &mut self,
        proven: &ProvenState,
        assignment: Assignment,
        (tasks, states): (Vec<TaskIndex>, Option<BlobId>),
        task_wall_ms: u64,
    ) {
        let Some(workload) = proven.workloads.get(&assignment.job) else {
            return;
        };
        let workload = Workload::clone(workload);
        let execution = TaskExecution {
            assignment,
            workload,
            tasks,
            states,
            task_wall_ms,
        };
        self.executions.insert(assignment, execution);
    }

    /// Says that a check has no result, once the chain takes answers.
    // Rule C57.
    fn find_no_result(&mut self, assignment: Assignment, now: bool) {
        if now {
            self.take(assignment, JobStep::NoResult);
        }
    }

    /// Takes a step in an assignment's job.
    fn take(&mut self, assignment: Assignment, step: JobStep) {
        let (job, attempt) = (assignment.job, assignment.attempt);
        self.steps.push(JobAction { job, attempt, step });
    }
}

impl Core {
    /// Takes a new state, unless it is older than one before.
    pub(super) fn take_proven(&mut self, proven: ProvenState) -> Vec<Effect> {
        if proven.height < self.height {
            return Vec::new();
        }
        self.height = proven.newest;
        let effects = self.decide(&proven);
        self.proven = Some(proven);
        effects
    }

    /// Looks again at the last proven state, after something else was learnt.
    pub(super) fn decide_again(&mut self) -> Vec<Effect> {
        let Some(proven) = self.proven.take() else {
            return Vec::new();
        };
        let effects = self.decide(&proven);
        self.proven = Some(proven);
        effects
    }

    fn decide(&mut self, proven: &ProvenState) -> Vec<Effect> {
        let mut plan = PartnerPlan {
            checks: self.queued_checks(proven),
            ..PartnerPlan::default()
        };
        self.keep_registered(proven, &mut plan);
        for record in proven.jobs.values() {
            self.consider(proven, record, &mut plan);
            self.renew(proven, record, &mut plan);
        }
        self.inputs = plan
            .executions
            .values()
            .flat_map(|execution| execution.workload.blobs())
            .collect();
        let mut effects = self.drop_unwanted(&plan);
        self.send(proven, &mut plan, &mut effects);
        self.start(&plan, &mut effects);
        self.upload(&plan, &mut effects);
        self.forget_over(proven, &mut effects);
        // The same thing is said once as long as it lasts, not at every look.
        let noted = plan.notes.iter().map(ToString::to_string).collect();
        let before = std::mem::replace(&mut self.noted, noted);
        let new = plan
            .notes
            .into_iter()
            .filter(|note| !before.contains(&note.to_string()));
        effects.extend(new.map(Effect::Note));
        effects
    }

    fn keep_registered(&self, proven: &ProvenState, plan: &mut PartnerPlan) {
        let (balance, reserve) = (proven.account.balance, self.settings.reserve);
        if balance < reserve {
            plan.notes.push(Note::BalanceLow { balance, reserve });
        }
        self.note_classes(proven, plan);
        let Some(profile) = self.wanted_profile(proven) else {
            plan.notes.push(Note::NoClass);
            return;
        };
        let Some(partner) = proven
            .partner
            .as_ref()
            .filter(|partner| partner.profile == profile)
        else {
            plan.transactions
                .insert(Purpose::Register, Action::RegisterPartner { profile });
            return;
        };
        let (bond, target) = (partner.bond, self.settings.bond);
        let amount = target.saturating_sub(bond);
        if amount == Amount::ZERO {
            return;
        }
        let needed = amount.checked_add(reserve);
        if needed.is_some_and(|needed| balance >= needed) {
            plan.transactions
                .insert(Purpose::Bond, Action::Bond { amount });
        } else {
            plan.notes.push(Note::BondShort {
                bond,
                target,
                balance,
            });
        }
    }

    /// The profile that the chain should have: of the classes that this build runs those that the network has, open or
    /// not, so that a class has partners at its first height. Nothing if there is none. No places where it has paused.
    fn wanted_profile(&self, proven: &ProvenState) -> Option<PartnerProfile> {
        let mut profile = self.settings.profile.clone();
        let compute = &proven.params.compute;
        profile
            .classes
            .retain(|class| compute.class(*class).is_some());
        if self.settings.paused {
            profile.places = 0;
        }
        (!profile.classes.is_empty()).then_some(profile)
    }

    /// Tells the operator in time of classes that only a newer build runs.
    fn note_classes(&self, proven: &ProvenState, plan: &mut PartnerPlan) {
        let lacking = proven.params.compute.classes.iter().filter(|class| {
            let is_over = class
                .until_height
                .is_some_and(|until| until <= proven.newest);
            !self.runs(class.class) && !is_over
        });
        plan.notes.extend(lacking.map(|class| Note::ClassUnknown {
            class: class.class,
            from: class.from_height,
        }));
    }

    /// True if this build runs programs of the class.
    fn runs(&self, class: EngineClass) -> bool {
        self.settings.profile.classes.contains(&class)
    }

    fn consider(&mut self, proven: &ProvenState, record: &JobRecord, plan: &mut PartnerPlan) {
        let own = self.identity.address();
        let stage = &record.stage;
        let is_primary = stage
            .primary()
            .is_some_and(|primary| primary.partner == own);
        match (stage, stage.verifier(&own)) {
            (Stage::Assigned(assigned), _) if is_primary => {
                self.run_as_primary(proven, record, assigned.duties.is_some(), plan);
            }
            (Stage::Announcing(announcing), _) if is_primary => {
                let commitment = &announcing.parties.commitment;
                self.check_own_commitment(record, AssignmentRole::Primary, commitment, plan);
            }
            (Stage::Announcing(announcing), None) => {
                self.draw_oneself(proven, record, announcing, plan);
            }
            (Stage::Announcing(_) | Stage::Appointing(_), Some(verifier)) => {
                self.verify(proven, record, verifier, false, plan);
            }
            (Stage::Verifying(_), Some(verifier)) => {
                self.verify(proven, record, verifier, true, plan);
            }
            (Stage::Revealing(revealing), _) if is_primary && revealing.opening.is_none() => {
                self.reveal(record, &revealing.shown_tasks(&record.earlier), plan);
            }
            (Stage::Revealing(_) | Stage::Disputed(_), Some(verifier)) => {
                if let (Some(Awaited::VerifierOpening), Some(opening)) =
                    (stage.awaits(&own), stage.revealed())
                {
                    let assignment = own_assignment(record, AssignmentRole::Verifier);
                    self.compare(assignment, verifier, opening, plan);
                }
            }
            (Stage::Storing(_), _) if is_primary => {
                let assignment = own_assignment(record, AssignmentRole::Primary);
                plan.uploads.insert(assignment, UploadPart::Results);
            }
            _ => {}
        }
        // Rule C78: what it found in an attempt before is compared with what this one's primary reveals.
        if let (Some(verifier), Some(opening)) = (record.earlier.unopened(&own), stage.revealed()) {
            let assignment = Assignment::of_earlier(record);
            self.compare(assignment, verifier, opening, plan);
        }
    }

    /// True if an assignment was tried as often as it is tried.
    fn gave_up(&self, assignment: &Assignment) -> bool {
        let failures = self.failures.get(assignment);
        failures.is_some_and(|failures| failures.count >= MAX_EXECUTIONS)
    }

    fn is_me(&self, address: &Address) -> bool {
        *address == self.identity.address()
    }

    /// True if no task is killed here before the network's time for it is over.
    fn fits_wall(&self, proven: &ProvenState, terms: &JobTerms) -> bool {
        longest_task_ms(proven, terms) <= self.settings.task_wall_ms
    }

    /// Opens the primary's commitment at the drawn tasks.
    // Rule C5.
    fn reveal(&self, record: &JobRecord, drawn: &[TaskIndex], plan: &mut PartnerPlan) {
        let assignment = own_assignment(record, AssignmentRole::Primary);
        let own = self.commitments.get(&assignment);
        let opening = own.and_then(|own| Opening::new(own.salt, &own.leaves, drawn, own.outcomes?));
        match opening {
            None => plan.notes.push(Note::ForeignCommitment(assignment)),
            Some(opening) => {
                let opening = Box::new(opening);
                plan.take(assignment, JobStep::Reveal { opening });
            }
        }
    }

    fn check_own_commitment(
        &self,
        record: &JobRecord,
        role: AssignmentRole,
        on_chain: &types::hash::Hash32,
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, role);
        if self.commitments.get(&assignment).map(|own| &own.commitment) != Some(on_chain) {
            plan.notes.push(Note::ForeignCommitment(assignment));
        }
    }
}

/// The longest time that the network gives one task.
fn longest_task_ms(proven: &ProvenState, terms: &JobTerms) -> u64 {
    let fuel = u128::from(terms.fuel.0);
    let compute = &proven.params.compute;
    let longest = compute.run_window_ms(terms.class, fuel);
    u64::try_from(longest).unwrap_or(u64::MAX)
}

fn own_assignment(record: &JobRecord, role: AssignmentRole) -> Assignment {
    Assignment {
        job: record.id,
        attempt: record.attempt,
        role,
    }
}
