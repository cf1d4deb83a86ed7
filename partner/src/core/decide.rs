//! From a verified state to what is to be done: one look at each live job, in one place.

use std::collections::{BTreeMap, BTreeSet};

use types::attestation::Opening;
use types::hash::{Address, JobId};
use types::job::{Announcing, Awaited, JobRecord, Stage, Verifier, Workload};
use types::key::VrfProof;
use types::number::{Amount, TaskIndex};
use types::sortition::Sortition;
use types::transaction::{Action, JobStep};

use super::outbox::{Purpose, TransactionSigner};
use super::{
    Core, Effect, MAX_EXECUTIONS, Note, ProvenState, TaskExecution, UPLOAD_AGAIN_HEIGHTS,
    UploadProgress, UploadState,
};
use crate::assignment::{Assignment, AssignmentRole, OwnCommitment};

/// What one look at the chain asks for, before what is already under way is taken off.
#[derive(Debug, Default)]
struct PartnerPlan {
    /// Transactions that the chain still needs.
    transactions: BTreeMap<Purpose, Action>,
    /// Tasks that somebody waits for, committed ones not counted.
    executions: BTreeMap<Assignment, TaskExecution>,
    /// Parts whose results the chain waits for.
    uploads: BTreeSet<Assignment>,
    /// For the operator.
    notes: Vec<Note>,
    /// Assignments taken in this look.
    taken: usize,
    /// Checks that need a place for verification: bound and not committed, or announced.
    checks: usize,
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
            checks: self.checks_in_need(proven),
            ..PartnerPlan::default()
        };
        self.keep_registered(proven, &mut plan);
        for record in proven.jobs.values() {
            self.consider(proven, record, &mut plan);
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

    /// Checks that need a place: bound and not committed, or announced and not on chain yet.
    fn checks_in_need(&self, proven: &ProvenState) -> usize {
        let own = self.identity.address();
        let needs_place = |record: &&JobRecord| match (&record.stage, record.stage.verifier(&own)) {
            (Stage::Announcing(_), None) => self.is_announcing(record),
            (Stage::Announcing(_) | Stage::Appointing(_) | Stage::Verifying(_), Some(verifier)) => {
                verifier.commitment.is_none()
                    && !self
                        .commitments
                        .contains_key(&own_assignment(record, AssignmentRole::Verifier))
            }
            _ => false,
        };
        proven.jobs.values().filter(needs_place).count()
    }

    fn is_announcing(&self, record: &JobRecord) -> bool {
        let announcement = Purpose::Announce(record.id, record.attempt);
        self.outbox
            .pending()
            .iter()
            .any(|pending| pending.purpose == announcement)
    }

    fn keep_registered(&self, proven: &ProvenState, plan: &mut PartnerPlan) {
        let (balance, reserve) = (proven.account.balance, self.settings.reserve);
        if balance < reserve {
            plan.notes.push(Note::BalanceLow { balance, reserve });
        }
        let Some(partner) = proven
            .partner
            .as_ref()
            .filter(|partner| partner.profile == self.settings.profile)
        else {
            let profile = self.settings.profile.clone();
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

    fn consider(&mut self, proven: &ProvenState, record: &JobRecord, plan: &mut PartnerPlan) {
        let own = self.identity.address();
        let stage = &record.stage;
        let is_primary = stage
            .primary()
            .is_some_and(|primary| primary.partner == own);
        match (stage, stage.verifier(&own)) {
            (Stage::Assigned(assigned), _) if is_primary => {
                self.run_as_primary(proven, record, assigned.acknowledged, plan);
            }
            (Stage::Announcing(announcing), _) if is_primary => {
                let commitment = &announcing.parties.commitment;
                self.check_own_commitment(record, AssignmentRole::Primary, commitment, plan);
            }
            (Stage::Announcing(announcing), None) => {
                self.draw_oneself(proven, record, announcing, plan);
            }
            (Stage::Announcing(_) | Stage::Appointing(_), Some(verifier)) => {
                self.verify(record, verifier, false, plan);
            }
            (Stage::Verifying(_), Some(verifier)) => self.verify(record, verifier, true, plan),
            (Stage::Revealing(revealing), _) if is_primary && revealing.opening.is_some() => {
                plan.uploads
                    .insert(own_assignment(record, AssignmentRole::Primary));
            }
            (Stage::Revealing(revealing), verifier) => match (stage.awaits(&own), verifier) {
                (Some(Awaited::PrimaryOpening), _) => {
                    let drawn = revealing.parties.drawn_tasks();
                    self.open(record, AssignmentRole::Primary, &drawn, plan);
                }
                (Some(Awaited::VerifierOpening), Some(verifier)) => {
                    self.open(record, AssignmentRole::Verifier, &verifier.tasks, plan);
                }
                _ => {}
            },
            (Stage::Storing(_), _) if is_primary => {
                plan.uploads
                    .insert(own_assignment(record, AssignmentRole::Primary));
            }
            _ => {}
        }
    }

    fn is_me(&self, address: &Address) -> bool {
        *address == self.identity.address()
    }

    /// Drawn as primary: take it or not, run it, commit to the result.
    fn run_as_primary(
        &self,
        proven: &ProvenState,
        record: &JobRecord,
        acknowledged: bool,
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, AssignmentRole::Primary);
        let (job, attempt) = (assignment.job, assignment.attempt);
        let workload = &record.spec.workload;
        let decline = |unrunnable| {
            (
                Purpose::Decline(job, attempt),
                JobStep::Decline { unrunnable }.of(job, attempt),
            )
        };
        if let Some(failures) = self
            .failures
            .get(&assignment)
            .filter(|failures| failures.count >= MAX_EXECUTIONS)
        {
            // Killed before its time it might have had a result.
            let unrunnable = failures.by_tasks && self.fits_wall(workload);
            plan.transactions.extend([decline(unrunnable)]);
            return;
        }
        if !acknowledged {
            let holds = proven
                .jobs
                .values()
                .filter(|other| self.is_running_primary(other))
                .count()
                + plan.taken;
            let fits = self.fits_wall(workload);
            if !fits {
                let (task_ms, wall_ms) =
                    (self.longest_task_ms(workload), self.settings.task_wall_ms);
                plan.notes.push(Note::TooLong {
                    assignment,
                    task_ms,
                    wall_ms,
                });
            }
            if !fits || holds >= usize::from(self.settings.profile.capacity) {
                plan.transactions.extend([decline(false)]);
                return;
            }
            plan.taken += 1;
            plan.transactions.insert(
                Purpose::Acknowledge(job, attempt),
                JobStep::Acknowledge.of(job, attempt),
            );
        }
        match self.commitments.get(&assignment) {
            Some(own) if acknowledged => {
                let commitment = own.commitment;
                let action = JobStep::Commit { commitment }.of(job, attempt);
                plan.transactions
                    .insert(Purpose::Commit(job, attempt), action);
            }
            Some(_) => {}
            None => {
                let workload = workload.clone();
                let tasks = (0..workload.tasks).map(TaskIndex).collect();
                plan.executions.insert(
                    assignment,
                    TaskExecution {
                        assignment,
                        workload,
                        tasks,
                    },
                );
            }
        }
    }

    fn is_running_primary(&self, record: &JobRecord) -> bool {
        matches!(
            &record.stage,
            Stage::Assigned(assigned)
                if assigned.acknowledged && self.is_me(&assigned.primary.partner)
        )
    }

    /// The longest time that the network gives one task.
    fn longest_task_ms(&self, workload: &Workload) -> u64 {
        let fuel = u128::from(workload.limits.fuel.0);
        let longest = self
            .settings
            .params
            .compute
            .run_window_ms(workload.class, fuel);
        u64::try_from(longest).unwrap_or(u64::MAX)
    }

    /// True if no task is killed here before the network's time for it is over.
    fn fits_wall(&self, workload: &Workload) -> bool {
        self.longest_task_ms(workload) <= self.settings.task_wall_ms
    }

    /// Bound as verifier: run the tasks, and commit to the result when it is time.
    fn verify(
        &self,
        record: &JobRecord,
        verifier: &Verifier,
        commit_now: bool,
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, AssignmentRole::Verifier);
        let (job, attempt) = (assignment.job, assignment.attempt);
        if let Some(claim) = &verifier.commitment {
            self.check_own_commitment(record, AssignmentRole::Verifier, claim, plan);
            return;
        }
        match self.commitments.get(&assignment) {
            Some(own) if own.tasks().eq(verifier.tasks.iter().copied()) => {
                if commit_now {
                    let commitment = own.commitment;
                    let action = JobStep::Commit { commitment }.of(job, attempt);
                    plan.transactions
                        .insert(Purpose::Claim(job, attempt), action);
                }
            }
            // The tasks of a verifier never change within an attempt; if they did, the old commitment would be of no use.
            Some(_) => plan.notes.push(Note::ForeignCommitment(assignment)),
            None => {
                let (workload, tasks) = (record.spec.workload.clone(), verifier.tasks.clone());
                plan.executions.insert(
                    assignment,
                    TaskExecution {
                        assignment,
                        workload,
                        tasks,
                    },
                );
            }
        }
    }

    /// Evaluates sortition over somebody else's commitment, which is final: proven states hold nothing else. What it could not
    /// run in time it does not announce, since an announcement binds.
    fn draw_oneself(
        &mut self,
        proven: &ProvenState,
        record: &JobRecord,
        announcing: &Announcing,
        plan: &mut PartnerPlan,
    ) {
        let (job, attempt) = (record.id, record.attempt);
        // Before the beacon that sortition runs over is there, there is nothing to evaluate.
        if announcing.beacon.known().is_none() {
            return;
        }
        let free = proven
            .partner
            .as_ref()
            .map_or(Amount::ZERO, types::account::Partner::free);
        if free < record.policy.verifier_bond || !self.fits_wall(&record.spec.workload) {
            return;
        }
        let Some(snapshot) = proven.snapshots.get(&announcing.epoch) else {
            return;
        };
        let draw = || {
            let own = self.identity.address();
            Sortition::new(self.identity.chain, record, announcing, snapshot)
                .and_then(|sortition| sortition.prove(&own, &self.identity.vrf))
                .ok()
        };
        let proof: Option<VrfProof> = *self.sortitions.entry((job, attempt)).or_insert_with(draw);
        if let Some(proof) = proof {
            if !self.is_announcing(record) {
                if plan.checks >= usize::from(self.settings.verification_places) {
                    return;
                }
                plan.checks += 1;
            }
            plan.transactions.insert(
                Purpose::Announce(job, attempt),
                JobStep::Announce { proof }.of(job, attempt),
            );
        }
    }

    /// Opens a commitment at the drawn tasks.
    fn open(
        &self,
        record: &JobRecord,
        role: AssignmentRole,
        drawn: &[TaskIndex],
        plan: &mut PartnerPlan,
    ) {
        let assignment = own_assignment(record, role);
        let Some(own) = self.commitments.get(&assignment) else {
            plan.notes.push(Note::ForeignCommitment(assignment));
            return;
        };
        let Some(opening) = Opening::new(own.salt, &own.leaves, drawn, own.outcomes) else {
            plan.notes.push(Note::ForeignCommitment(assignment));
            return;
        };
        let (job, attempt) = (assignment.job, assignment.attempt);
        let opening = Box::new(opening);
        let action = JobStep::Reveal { opening }.of(job, attempt);
        plan.transactions
            .insert(Purpose::Reveal(job, attempt), action);
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

    /// Stops executions that nobody waits for any more.
    fn drop_unwanted(&mut self, plan: &PartnerPlan) -> Vec<Effect> {
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

    fn send(&mut self, proven: &ProvenState, plan: &mut PartnerPlan, effects: &mut Vec<Effect>) {
        let signer = TransactionSigner {
            chain: self.identity.chain,
            key: &self.identity.key,
            fee: self.settings.params.min_fee,
        };
        let wanted = std::mem::take(&mut plan.transactions);
        let sending = self
            .outbox
            .reconcile(&signer, proven.account.nonce, proven.height, wanted);
        if sending.changed {
            effects.push(Effect::KeepOutbox(Box::new(self.outbox.clone())));
        }
        effects.extend(
            sending
                .transactions
                .into_iter()
                .map(|transaction| Effect::Send(Box::new(transaction))),
        );
        let given_up = sending.given_up.into_iter();
        plan.notes
            .extend(given_up.map(|(purpose, failures)| Note::GaveUp { purpose, failures }));
    }

    /// Starts what is waited for, as far as the places of each role reach.
    fn start(&mut self, plan: &PartnerPlan, effects: &mut Vec<Effect>) {
        for (assignment, execution) in &plan.executions {
            let places = match assignment.role {
                AssignmentRole::Primary => self.settings.profile.capacity,
                AssignmentRole::Verifier => self.settings.verification_places,
            };
            let busy = self
                .running
                .iter()
                .filter(|running| running.role == assignment.role)
                .count();
            let pauses = self
                .failures
                .get(assignment)
                .is_some_and(|failures| self.height < failures.pause_until);
            if self.running.contains(assignment) || pauses || busy >= usize::from(places) {
                continue;
            }
            self.running.insert(*assignment);
            effects.push(Effect::Execute(Box::new(execution.clone())));
        }
    }

    fn upload(&mut self, plan: &PartnerPlan, effects: &mut Vec<Effect>) {
        for assignment in &plan.uploads {
            let none = UploadProgress {
                offers: 0,
                last: UploadState::NotTaken,
            };
            let UploadProgress {
                offers: offer,
                last,
            } = self.uploads.get(assignment).copied().unwrap_or(none);
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
                    offers: offer.saturating_add(1),
                    last: UploadState::Running,
                },
            );
            let blobs = own.outcomes.iter().chain(&own.blobs).copied().collect();
            effects.push(Effect::Upload {
                assignment: *assignment,
                blobs,
                offer,
            });
        }
    }

    /// Lets go of assignments whose job, or whose attempt, a newer final state says is over.
    fn forget_over(&mut self, proven: &ProvenState, effects: &mut Vec<Effect>) {
        let over = |job: &JobId, attempt| {
            !proven.live.contains(job)
                || proven
                    .jobs
                    .get(job)
                    .is_some_and(|record| record.attempt > attempt)
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
        self.sortitions
            .retain(|(job, attempt), _| !over(job, *attempt));
    }
}

fn own_assignment(record: &JobRecord, role: AssignmentRole) -> Assignment {
    Assignment {
        job: record.id,
        attempt: record.attempt,
        role,
    }
}
