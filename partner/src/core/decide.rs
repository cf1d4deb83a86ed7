//! From a verified view to what is to be done: one look at each live job, in one place.

use std::collections::{BTreeMap, BTreeSet};

use types::account::is_drawn;
use types::attestation::{Opening, drawn_tasks, drawn_tasks_seed, sortition_input};
use types::hash::{Address, JobId};
use types::job::{JobRecord, Primary, PrimaryCommitment, Stage, Verifier, Workload};
use types::key::VrfProof;
use types::number::{Amount, TaskIndex};
use types::transaction::Action;

use super::outbox::{Purpose, Signer};
use super::{
    Core, Effect, Execution, LastOffer, MAX_EXECUTIONS, Note, UPLOAD_AGAIN_HEIGHTS, Upload, View,
};
use crate::part::{Part, Role, Sealed};

/// What one look at the chain asks for, before what is already under way is taken off.
#[derive(Debug, Default)]
struct Plan {
    /// Transactions that the chain still needs.
    transactions: BTreeMap<Purpose, Action>,
    /// Tasks that somebody waits for, sealed ones not counted.
    executions: BTreeMap<Part, Execution>,
    /// Parts whose results the chain waits for.
    uploads: BTreeSet<Part>,
    /// For the operator.
    notes: Vec<Note>,
    /// Assignments taken in this look.
    taken: usize,
    /// Seats that need a slot for verification: bound and not sealed, or announced.
    seats: usize,
}

impl Core {
    /// Takes a new view, unless it is older than one before.
    pub(super) fn see(&mut self, view: View) -> Vec<Effect> {
        if view.height < self.height {
            return Vec::new();
        }
        self.height = view.newest;
        let effects = self.decide(&view);
        self.view = Some(view);
        effects
    }

    /// Looks again at the last view, after something else was learnt.
    pub(super) fn look_again(&mut self) -> Vec<Effect> {
        let Some(view) = self.view.take() else {
            return Vec::new();
        };
        let effects = self.decide(&view);
        self.view = Some(view);
        effects
    }

    fn decide(&mut self, view: &View) -> Vec<Effect> {
        let mut plan = Plan {
            seats: self.seats(view),
            ..Plan::default()
        };
        self.keep_registered(view, &mut plan);
        for record in view.jobs.values() {
            self.consider(view, record, &mut plan);
        }
        self.inputs = plan
            .executions
            .values()
            .flat_map(|execution| execution.workload.blobs())
            .collect();
        let mut effects = self.drop_unwanted(&plan);
        self.send(view, &mut plan, &mut effects);
        self.start(&plan, &mut effects);
        self.upload(&plan, &mut effects);
        self.forget_over(view, &mut effects);
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

    /// Seats that need a slot: bound and not sealed, or announced and not on chain yet.
    fn seats(&self, view: &View) -> usize {
        let needs_slot = |record: &&JobRecord| match &record.stage {
            Stage::Announcing { verifiers, .. } if self.own_seat(verifiers).is_none() => {
                self.is_announcing(record)
            }
            Stage::Announcing { verifiers, .. }
            | Stage::Appointing { verifiers, .. }
            | Stage::Verifying { verifiers, .. } => {
                let is_open = self
                    .own_seat(verifiers)
                    .is_some_and(|seat| seat.commitment.is_none());
                is_open && !self.sealed.contains_key(&own_part(record, Role::Verifier))
            }
            _ => false,
        };
        view.jobs.values().filter(needs_slot).count()
    }

    fn is_announcing(&self, record: &JobRecord) -> bool {
        let announcement = Purpose::Announce(record.id, record.attempt);
        self.outbox
            .pending()
            .iter()
            .any(|pending| pending.purpose == announcement)
    }

    fn keep_registered(&self, view: &View, plan: &mut Plan) {
        let (balance, reserve) = (view.account.balance, self.settings.reserve);
        if balance < reserve {
            plan.notes.push(Note::BalanceLow { balance, reserve });
        }
        let Some(partner) = view
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

    fn consider(&mut self, view: &View, record: &JobRecord, plan: &mut Plan) {
        match &record.stage {
            Stage::Assigned {
                primary,
                acknowledged,
                ..
            } if self.is_me(&primary.partner) => {
                self.run_as_primary(view, record, *acknowledged, plan);
            }
            Stage::Announcing {
                primary,
                committed,
                verifiers,
                ..
            } => {
                if self.is_me(&primary.partner) {
                    self.check_own_commitment(record, Role::Primary, &committed.commitment, plan);
                } else if let Some(verifier) = self.own_seat(verifiers) {
                    self.verify(record, verifier, false, plan);
                } else {
                    self.draw_oneself(view, record, primary, committed, plan);
                }
            }
            Stage::Appointing { verifiers, .. } => {
                if let Some(verifier) = self.own_seat(verifiers) {
                    self.verify(record, verifier, false, plan);
                }
            }
            Stage::Verifying { verifiers, .. } => {
                if let Some(verifier) = self.own_seat(verifiers) {
                    self.verify(record, verifier, true, plan);
                }
            }
            Stage::Revealing {
                primary,
                opened,
                verifiers,
                ..
            } => {
                if self.is_me(&primary.partner) {
                    if opened.is_some() {
                        plan.uploads.insert(own_part(record, Role::Primary));
                    } else {
                        self.open(record, Role::Primary, &all_tasks(verifiers), plan);
                    }
                } else if let Some(verifier) = self.own_seat(verifiers)
                    && verifier.commitment.is_some()
                    && verifier.opened.is_none()
                {
                    self.open(record, Role::Verifier, &verifier.tasks, plan);
                }
            }
            Stage::Storing { primary, .. } if self.is_me(&primary.partner) => {
                plan.uploads.insert(own_part(record, Role::Primary));
            }
            _ => {}
        }
    }

    fn is_me(&self, address: &Address) -> bool {
        *address == self.identity.address()
    }

    fn own_seat<'a>(&self, verifiers: &'a [Verifier]) -> Option<&'a Verifier> {
        verifiers
            .iter()
            .find(|verifier| self.is_me(&verifier.partner))
    }

    /// Drawn as primary: take it or not, run it, seal it.
    fn run_as_primary(&self, view: &View, record: &JobRecord, acknowledged: bool, plan: &mut Plan) {
        let part = own_part(record, Role::Primary);
        let (job, attempt) = (part.job, part.attempt);
        let workload = &record.spec.workload;
        let decline = |unrunnable| {
            (
                Purpose::Decline(job, attempt),
                Action::Decline {
                    job,
                    attempt,
                    unrunnable,
                },
            )
        };
        if let Some(failures) = self
            .failures
            .get(&part)
            .filter(|failures| failures.count >= MAX_EXECUTIONS)
        {
            // Killed before its time it might have had a result.
            let unrunnable = failures.by_tasks && self.fits_wall(workload);
            plan.transactions.extend([decline(unrunnable)]);
            return;
        }
        if !acknowledged {
            let holds = view
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
                    part,
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
                Action::Acknowledge { job, attempt },
            );
        }
        match self.sealed.get(&part) {
            Some(sealed) if acknowledged => {
                let action = Action::Commit {
                    job,
                    attempt,
                    commitment: sealed.commitment,
                };
                plan.transactions
                    .insert(Purpose::Commit(job, attempt), action);
            }
            Some(_) => {}
            None => {
                let workload = workload.clone();
                let tasks = (0..workload.tasks).map(TaskIndex).collect();
                plan.executions.insert(
                    part,
                    Execution {
                        part,
                        workload,
                        tasks,
                    },
                );
            }
        }
    }

    fn is_running_primary(&self, record: &JobRecord) -> bool {
        matches!(&record.stage, Stage::Assigned { primary, acknowledged: true, .. } if self.is_me(&primary.partner))
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

    /// Bound as verifier: run the tasks, and seal the claim when it is time.
    fn verify(&self, record: &JobRecord, verifier: &Verifier, commit_now: bool, plan: &mut Plan) {
        let part = own_part(record, Role::Verifier);
        let (job, attempt) = (part.job, part.attempt);
        if let Some(claim) = &verifier.commitment {
            self.check_own_commitment(record, Role::Verifier, claim, plan);
            return;
        }
        match self.sealed.get(&part) {
            Some(sealed) if sealed.tasks().eq(verifier.tasks.iter().copied()) => {
                if commit_now {
                    let action = Action::Claim {
                        job,
                        attempt,
                        commitment: sealed.commitment,
                    };
                    plan.transactions
                        .insert(Purpose::Claim(job, attempt), action);
                }
            }
            // The tasks of a seat never change within an attempt; if they did, the old seal would be of no use.
            Some(_) => plan.notes.push(Note::ForeignCommitment(part)),
            None => {
                let (workload, tasks) = (record.spec.workload.clone(), verifier.tasks.clone());
                plan.executions.insert(
                    part,
                    Execution {
                        part,
                        workload,
                        tasks,
                    },
                );
            }
        }
    }

    /// Evaluates sortition over somebody else's commitment, which is final: views hold nothing else. What it could not
    /// run in time it does not announce, since an announcement binds.
    fn draw_oneself(
        &mut self,
        view: &View,
        record: &JobRecord,
        primary: &Primary,
        committed: &PrimaryCommitment,
        plan: &mut Plan,
    ) {
        let (job, attempt) = (record.id, record.attempt);
        // Before the beacon that the sortition runs over is there, there is nothing to evaluate.
        let Some(beacon) = committed.beacon else {
            return;
        };
        let free = view
            .partner
            .as_ref()
            .map_or(Amount::ZERO, types::account::Partner::free);
        if free < record.policy.verifier_bond || !self.fits_wall(&record.spec.workload) {
            return;
        }
        let epoch = self.settings.params.epoch(committed.height);
        let Some(snapshot) = view.snapshots.get(&epoch) else {
            return;
        };
        let Some(me) = snapshot.partner(&self.identity.address()) else {
            return;
        };
        let class = record.spec.workload.class;
        if me.profile.class != class || me.profile.vrf_key != self.identity.vrf.public() {
            return;
        }
        let draw = || {
            let own = self.identity.address();
            let input = sortition_input(
                self.identity.chain,
                job,
                attempt,
                &own,
                &committed.commitment,
                &beacon,
            );
            let proof = self.identity.vrf.prove(&input);
            let output = self.identity.vrf.public().verify(&input, &proof).ok()?;
            let class_bond = snapshot.class_bond(class, &primary.partner);
            let drawn = is_drawn(
                &output,
                record.policy.expected_verifiers,
                me.bond,
                class_bond,
            );
            let tasks = drawn_tasks(
                &drawn_tasks_seed(&output),
                record.spec.workload.tasks,
                record.policy.tasks_per_verifier,
            );
            (drawn && !tasks.is_empty()).then_some(proof)
        };
        let proof: Option<VrfProof> = *self.sortitions.entry((job, attempt)).or_insert_with(draw);
        if let Some(proof) = proof {
            if !self.is_announcing(record) {
                if plan.seats >= usize::from(self.settings.verification_slots) {
                    return;
                }
                plan.seats += 1;
            }
            plan.transactions.insert(
                Purpose::Announce(job, attempt),
                Action::Announce {
                    job,
                    attempt,
                    proof,
                },
            );
        }
    }

    /// Opens a sealed claim at the drawn tasks.
    fn open(&self, record: &JobRecord, role: Role, drawn: &[TaskIndex], plan: &mut Plan) {
        let part = own_part(record, role);
        let Some(sealed) = self.sealed.get(&part) else {
            plan.notes.push(Note::ForeignCommitment(part));
            return;
        };
        let Some(opening) = Opening::new(sealed.salt, &sealed.leaves, drawn, sealed.outcomes)
        else {
            plan.notes.push(Note::ForeignCommitment(part));
            return;
        };
        let (job, attempt) = (part.job, part.attempt);
        let action = Action::Reveal {
            job,
            attempt,
            opening: Box::new(opening),
        };
        plan.transactions
            .insert(Purpose::Reveal(job, attempt), action);
    }

    fn check_own_commitment(
        &self,
        record: &JobRecord,
        role: Role,
        on_chain: &types::hash::Hash32,
        plan: &mut Plan,
    ) {
        let part = own_part(record, role);
        if self.sealed.get(&part).map(|sealed| &sealed.commitment) != Some(on_chain) {
            plan.notes.push(Note::ForeignCommitment(part));
        }
    }

    /// Stops executions that nobody waits for any more.
    fn drop_unwanted(&mut self, plan: &Plan) -> Vec<Effect> {
        let unwanted: Vec<_> = self
            .running
            .iter()
            .filter(|part| !plan.executions.contains_key(part))
            .copied()
            .collect();
        self.running
            .retain(|part| plan.executions.contains_key(part));
        unwanted.into_iter().map(Effect::Cancel).collect()
    }

    fn send(&mut self, view: &View, plan: &mut Plan, effects: &mut Vec<Effect>) {
        let signer = Signer {
            chain: self.identity.chain,
            key: &self.identity.key,
            fee: self.settings.params.min_fee,
        };
        let wanted = std::mem::take(&mut plan.transactions);
        let sending = self
            .outbox
            .reconcile(&signer, view.account.nonce, view.height, wanted);
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

    /// Starts what is waited for, as far as the slots of each role reach.
    fn start(&mut self, plan: &Plan, effects: &mut Vec<Effect>) {
        for (part, execution) in &plan.executions {
            let slots = match part.role {
                Role::Primary => self.settings.profile.capacity,
                Role::Verifier => self.settings.verification_slots,
            };
            let busy = self
                .running
                .iter()
                .filter(|running| running.role == part.role)
                .count();
            let pauses = self
                .failures
                .get(part)
                .is_some_and(|failures| self.height < failures.pause_until);
            if self.running.contains(part) || pauses || busy >= usize::from(slots) {
                continue;
            }
            self.running.insert(*part);
            effects.push(Effect::Execute(Box::new(execution.clone())));
        }
    }

    fn upload(&mut self, plan: &Plan, effects: &mut Vec<Effect>) {
        for part in &plan.uploads {
            let none = Upload {
                offers: 0,
                last: LastOffer::NotTaken,
            };
            let Upload {
                offers: offer,
                last,
            } = self.uploads.get(part).copied().unwrap_or(none);
            let due = match last {
                LastOffer::NotTaken => true,
                LastOffer::Running => false,
                LastOffer::Taken(height) => {
                    self.height >= height.saturating_add(UPLOAD_AGAIN_HEIGHTS)
                }
            };
            let Some(sealed) = self.sealed.get(part).filter(|_| due) else {
                continue;
            };
            self.uploads.insert(
                *part,
                Upload {
                    offers: offer.saturating_add(1),
                    last: LastOffer::Running,
                },
            );
            let blobs = sealed
                .outcomes
                .iter()
                .chain(&sealed.blobs)
                .copied()
                .collect();
            effects.push(Effect::Upload {
                part: *part,
                blobs,
                offer,
            });
        }
    }

    /// Lets go of parts whose job, or whose attempt, a newer final state says is over.
    fn forget_over(&mut self, view: &View, effects: &mut Vec<Effect>) {
        let over = |job: &JobId, attempt| {
            !view.live.contains(job)
                || view
                    .jobs
                    .get(job)
                    .is_some_and(|record| record.attempt > attempt)
        };
        // No view is older than a seal: the core starts at the height of the newest one.
        let is_over = |sealed: &Sealed| over(&sealed.part.job, sealed.part.attempt);
        let parts: Vec<_> = self
            .sealed
            .values()
            .filter(|sealed| is_over(sealed))
            .map(|sealed| sealed.part)
            .collect();
        for part in parts {
            self.sealed.remove(&part);
            self.uploads.remove(&part);
            effects.push(Effect::Note(Note::Over(part)));
            effects.push(Effect::Forget(part));
        }
        self.failures
            .retain(|part, _| !over(&part.job, part.attempt));
        self.sortitions
            .retain(|(job, attempt), _| !over(job, *attempt));
    }
}

fn own_part(record: &JobRecord, role: Role) -> Part {
    Part {
        job: record.id,
        attempt: record.attempt,
        role,
    }
}

/// Every task that some verifier runs, ascending: what a primary opens.
fn all_tasks(verifiers: &[Verifier]) -> Vec<TaskIndex> {
    let all: BTreeSet<_> = verifiers
        .iter()
        .flat_map(|verifier| verifier.tasks.iter().copied())
        .collect();
    all.into_iter().collect()
}
