//! What a partner sends for a job: its steps, announcements, commitments and openings, and its departures from them.

use types::attestation::{
    CommitmentContext, Divergence, Exit, Opening, Outcome, Outcomes, RefereeFinding, commitment,
    leaf, result_root_of,
};
use types::codec::{Bounded, encode};
use types::hash::{BlobId, Domain, Hash32, ValidatorId};
use types::job::{
    Announcing, Assigned, AwaitedVote, Ballot, JobRecord, PrimaryOpening, Stage, TaskState,
    TaskStates, VoteContext, vote_commitment,
};
use types::number::{Fuel, TaskIndex};
use types::snapshot::PartnerPage;
use types::sortition::{Sortition, SortitionError};
use types::transaction::{Action, JobStep};
use vm::query;

use crate::fixture::{REFEREES, address, vrf_proof};
use crate::job::world::{Conduct, World, all_tasks, binds, number};

impl World {
    /// What partner `n` sends for a job now.
    pub fn duty(&self, n: u8, record: &JobRecord) -> Option<Action> {
        let now = self.own_duty(n, record);
        now.or_else(|| self.earlier_duty(n, record))
    }

    /// What it owes since an attempt before, whose primary did not reveal.
    fn earlier_duty(&self, n: u8, record: &JobRecord) -> Option<Action> {
        let verifier = record.earlier.unopened(&address(n))?;
        let opening = record.stage.revealed()?;
        if self.does(n, Conduct::NeverOpens) {
            return None;
        }
        let before = JobRecord {
            attempt: record.earlier.attempt,
            ..record.clone()
        };
        let step = self.answer(n, &before, &verifier.tasks, opening);
        Some(step.of(before.id, before.attempt))
    }

    fn own_duty(&self, n: u8, record: &JobRecord) -> Option<Action> {
        let (job, attempt, own) = (record.id, record.attempt, address(n));
        match &record.stage {
            Stage::Assigned(Assigned { primary, duties }) if primary.partner == own => {
                let unrunnable = self.does(n, Conduct::SaysUnrunnable) && duties.is_some();
                if unrunnable || self.does(n, Conduct::Declines) {
                    return Some(JobStep::Decline { unrunnable }.of(job, attempt));
                }
                if duties.is_none() {
                    return (!self.does(n, Conduct::NeverAcknowledges))
                        .then_some(JobStep::Acknowledge.of(job, attempt));
                }
                if self.does(n, Conduct::Dies) {
                    return None;
                }
                if self.does(n, Conduct::NeverCommits) {
                    return self.renewal(n, record);
                }
                if lacks_states(record) {
                    return self.hand_on(n, record);
                }
                let commitment = self.commitment(n, record, &all_tasks(record));
                Some(JobStep::Commit { commitment }.of(job, attempt))
            }
            Stage::Announcing(Announcing { parties, .. })
                if parties.primary.partner != own
                    && !binds(&parties.verifiers, n)
                    && self.has_a_place(n)
                    && !self.does(n, Conduct::NeverAnnounces) =>
            {
                self.announcement(n, record)
            }
            Stage::Verifying(_) if self.does(n, Conduct::Dies) => None,
            Stage::Verifying(_) if self.does(n, Conduct::NeverChecks) => self.renewal(n, record),
            Stage::Verifying(verifying) => {
                let mut verifiers = verifying.parties.verifiers.iter();
                let verifier = verifiers.find(|v| v.partner == own && v.commitment.is_none())?;
                if self.does(n, Conduct::FindsNoResult) {
                    return Some(JobStep::NoResult.of(job, attempt));
                }
                let commitment = self.commitment(n, record, &verifier.tasks);
                Some(JobStep::Commit { commitment }.of(job, attempt))
            }
            Stage::Revealing(revealing) if !self.does(n, Conduct::NeverOpens) => {
                let step = match &revealing.opening {
                    None if revealing.parties.primary.partner == own => JobStep::Reveal {
                        opening: Box::new(self.primary_opening(n, record)),
                    },
                    None => return None,
                    Some(opening) => {
                        let mut verifiers = revealing.parties.verifiers.iter();
                        let verifier =
                            verifiers.find(|v| v.partner == own && v.opening.is_none())?;
                        self.answer(n, record, &verifier.tasks, opening)
                    }
                };
                Some(step.of(job, attempt))
            }
            Stage::Challenged(challenged) if !self.does(n, Conduct::NeverOpens) => {
                self.contradiction(n, record, challenged)
            }
            Stage::Disputed(disputed) if n >= REFEREES => self.vote(n, record, &disputed.ballot),
            Stage::Disputed(disputed) if !self.does(n, Conduct::NeverOpens) => {
                let mut verifiers = disputed.parties.verifiers.iter();
                let verifier = verifiers.find(|v| v.partner == own && v.opening.is_none())?;
                let step = self.answer(n, record, &verifier.tasks, &disputed.opening);
                Some(step.of(job, attempt))
            }
            _ => None,
        }
    }

    /// True if partner `n` has a place for another check.
    fn has_a_place(&self, n: u8) -> bool {
        let mut all = self.conduct.get(&n).into_iter().flatten();
        all.all(|conduct| match conduct {
            Conduct::HasPlaces(places) => self.partner(n).verifications() < *places,
            _ => true,
        })
    }

    /// The renewal of the duty that partner `n` has in a job, if it is time for one.
    pub fn renewal(&self, n: u8, record: &JobRecord) -> Option<Action> {
        let renewals = record.stage.duties()?.renewals.get(&address(n))?;
        let interval = self.chain.genesis.params.compute.renewal_interval_ms;
        let now = vm::chain_record(&self.chain.state).unwrap().chain_time;
        let number = renewals.number;
        (now.0 >= renewals.at.0 + interval / 2)
            .then(|| JobStep::Renew { number }.of(record.id, record.attempt))
    }

    /// What referee `n` sends for a ballot.
    fn vote(&self, n: u8, record: &JobRecord, ballot: &Ballot) -> Option<Action> {
        let referee = ValidatorId(address(n));
        let leaf = self.leaves(n, record, &[ballot.task])[0].1;
        let witness = if self.does(n, Conduct::Copies) {
            Hash32([n; 32])
        } else {
            Hash32::of(Domain::WITNESS, &(leaf, ballot.witness_draw))
        };
        let found = RefereeFinding { leaf, witness };
        let salt = Self::salt(n, record);
        let context = VoteContext {
            chain: self.chain.rules.chain_id,
            job: record.id,
            attempt: record.attempt,
            ballot: ballot.number,
            referee,
        };
        let number = ballot.number;
        let step = match ballot.awaits(&referee)? {
            AwaitedVote::Commitment if !self.does(n, Conduct::NeverChecks) => JobStep::Vote {
                ballot: number,
                commitment: vote_commitment(&context, &found, &salt),
            },
            AwaitedVote::Opening if !self.does(n, Conduct::NeverOpens) => JobStep::OpenVote {
                ballot: number,
                found,
                salt,
            },
            _ => return None,
        };
        Some(step.of(record.id, record.attempt))
    }

    /// The announcement of partner `n`, if sortition draws it.
    pub fn announcement(&self, n: u8, record: &JobRecord) -> Option<Action> {
        let input = self.sortition_input(n, record)?;
        let proof = vrf_proof(n, &input);
        let page = self.sortition_page(n, record)?;
        let sortition = self.sortition(record, &page)?;
        let action = JobStep::Announce { proof }.of(record.id, record.attempt);
        match sortition.check(&address(n), &proof) {
            Ok(_) | Err(SortitionError::OwnWork) => Some(action),
            Err(_) => None,
        }
    }

    /// The page of partner `n` that a job's sortition runs over.
    fn sortition_page(&self, n: u8, record: &JobRecord) -> Option<PartnerPage> {
        let Stage::Announcing(announcing) = &record.stage else {
            return None;
        };
        query::page(&self.chain.state, announcing.epoch, &address(n)).unwrap()
    }

    /// A job's sortition, once its beacon is there.
    fn sortition<'a>(&self, record: &JobRecord, page: &'a PartnerPage) -> Option<Sortition<'a>> {
        let Stage::Announcing(announcing) = &record.stage else {
            return None;
        };
        Sortition::new(self.chain.rules.chain_id, record, announcing, page).ok()
    }

    /// What the VRF of partner `n` is run over in a job's sortition, once its beacon is there.
    pub fn sortition_input(&self, n: u8, record: &JobRecord) -> Option<Hash32> {
        let page = self.sortition_page(n, record)?;
        Some(self.sortition(record, &page)?.input(&address(n)))
    }

    /// The salt of a partner's commitment.
    pub fn salt(n: u8, record: &JobRecord) -> Hash32 {
        Hash32::of(Domain::BLIND, &(n, record.id, record.attempt))
    }

    fn outcome(&self, n: u8, task: TaskIndex) -> Outcome {
        let found = if self.does(n, Conduct::Wrong(task.0)) {
            "wrong".to_owned()
        } else if self.does(n, Conduct::Third(task.0)) {
            "a third".to_owned()
        } else if self.does(n, Conduct::Alone(task.0)) {
            format!("seen by {n}")
        } else {
            "right".to_owned()
        };
        let stdout = BlobId::of(format!("task {task} {found}").as_bytes());
        let outputs = Bounded::new(vec![Some(stdout)]).unwrap();
        Outcome {
            exit: Exit::Code { code: 0 },
            fuel: Fuel(7),
            stdout,
            stderr: BlobId::of(b""),
            outputs,
        }
    }

    /// What a task begins with, as the primary says: what that left of the task before.
    fn state_before(&self, record: &JobRecord, task: TaskIndex) -> TaskState {
        let Some(before) = task.0.checked_sub(1) else {
            return TaskState::default();
        };
        let of_stage = record.stage.primary().map(|primary| primary.partner);
        let primary = of_stage.unwrap_or_else(|| {
            let receipt = query::receipt(&self.chain.state, &record.id).unwrap();
            receipt.unwrap().primary
        });
        self.state_after(number(&primary), record, TaskIndex(before))
    }

    /// What a primary says that a task left.
    fn state_after(&self, primary: u8, record: &JobRecord, task: TaskIndex) -> TaskState {
        if task == TaskIndex(0) && self.breaks_link(primary, record) {
            let other = BlobId::of(b"another state");
            return Bounded::new(vec![Some(other)]).unwrap();
        }
        self.outcome(primary, task).state(&record.terms.state)
    }

    /// True if partner `n` hands on another state than a task of this job left.
    pub fn breaks_link(&self, n: u8, record: &JobRecord) -> bool {
        record.terms.state.is_chain() && self.does(n, Conduct::BreaksLink)
    }

    /// The list of states that partner `n` hands on as primary.
    pub fn states(&self, n: u8, record: &JobRecord) -> BlobId {
        let mut all = all_tasks(record);
        all.pop();
        let states = all.iter().map(|task| self.state_after(n, record, *task));
        BlobId::of(&encode(&TaskStates(
            Bounded::new(states.collect()).unwrap(),
        )))
    }

    /// What the primary of a chain sends before it may commit; nothing but renewals while it waits.
    fn hand_on(&self, n: u8, record: &JobRecord) -> Option<Action> {
        if record.states.is_some() {
            return self.renewal(n, record);
        }
        let states = self.states(n, record);
        let step = JobStep::HandOn { states };
        Some(step.of(record.id, record.attempt))
    }

    /// What partner `n` finds for some tasks.
    pub fn leaves(
        &self,
        n: u8,
        record: &JobRecord,
        tasks: &[TaskIndex],
    ) -> Vec<(TaskIndex, Hash32)> {
        let spec = query::spec(&self.chain.state, &record.id).unwrap();
        tasks
            .iter()
            .map(|task| {
                let outcome = self.outcome(n, *task);
                let before = self.state_before(record, *task);
                (*task, leaf(&spec.workload, *task, &before, &outcome))
            })
            .collect()
    }

    pub fn commitment(&self, n: u8, record: &JobRecord, tasks: &[TaskIndex]) -> Hash32 {
        let context = CommitmentContext {
            chain: self.chain.rules.chain_id,
            job: record.id,
            attempt: record.attempt,
            partner: address(n),
        };
        let salt = Self::salt(n, record);
        commitment(
            &context,
            &result_root_of(&salt, &self.leaves(n, record, tasks)),
            &salt,
        )
    }

    /// The opening of a primary that ran every task as the program says.
    pub fn primary_opening(&self, n: u8, record: &JobRecord) -> Opening {
        let Stage::Revealing(revealing) = &record.stage else {
            panic!("nothing is opened while the job is {}", record.stage.name());
        };
        let drawn = revealing.shown_tasks(&record.earlier);
        let all = all_tasks(record);
        let outcomes = Outcomes(
            Bounded::new(all.iter().map(|task| self.outcome(n, *task)).collect()).unwrap(),
        );
        let blob = BlobId::of(&encode(&outcomes));
        Opening::new(
            Self::salt(n, record),
            &self.leaves(n, record, &all),
            &drawn,
            blob,
        )
        .unwrap()
    }

    /// What a verifier that ran these tasks says of the primary's opening.
    fn answer(
        &self,
        n: u8,
        record: &JobRecord,
        tasks: &[TaskIndex],
        opening: &PrimaryOpening,
    ) -> JobStep {
        let (salt, own) = (Self::salt(n, record), self.leaves(n, record, tasks));
        let theirs = opening.leaves_of(tasks).unwrap();
        let differing = own.iter().zip(&theirs).find(|(mine, other)| mine != other);
        match differing {
            None => JobStep::Agree { salt },
            Some(((task, _), _)) => self.divergence(n, record, tasks, *task),
        }
    }

    /// The proof of a verifier that it found something else at a task.
    pub fn divergence(
        &self,
        n: u8,
        record: &JobRecord,
        tasks: &[TaskIndex],
        task: TaskIndex,
    ) -> JobStep {
        let leaves = self.leaves(n, record, tasks);
        let divergence = Divergence::new(Self::salt(n, record), &leaves, task);
        JobStep::Differ {
            divergence: Box::new(divergence.unwrap()),
        }
    }
}

/// True while the primary of a chain may not commit, for want of states that are held.
fn lacks_states(record: &JobRecord) -> bool {
    record.terms.state.is_chain() && !record.states.is_some_and(|states| states.held)
}
