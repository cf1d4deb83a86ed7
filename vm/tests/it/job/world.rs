//! A chain with six partners and everybody's conduct: what an honest party would send next, and the ways not to.

use std::collections::{BTreeMap, BTreeSet};

use types::account::Partner;
use types::genesis::GenesisPartner;
use types::hash::{Address, JobId};
use types::job::{Failed, FailureReason, JobRecord, JobSpec, PartnerProfile, Stage, Verifier};
use types::number::{Amount, Attempt, Fuel, SQUARE, TaskIndex, Timestamp};
use types::params::Params;
use types::stored::{Holding, SignedStatement, StoredCertificate, StoredStatement, StoredSubject};
use types::transaction::{Action, SystemMessage, SystemTransaction};
use vm::{BuiltBody, Verified, query};

use crate::fixture::{Chain, REFEREES, address, genesis, profile, square, validator_keys};
use crate::job::invariants::check;

mod challenge;
mod duty;
mod specs;

pub use specs::{certain, chain, demanding, spec};

/// Accounts 0 to 5 are partners.
pub const PARTNERS: u8 = 6;
/// The account that submits.
pub const CUSTOMER: u8 = 7;
/// Validators that together are a quorum: 4 + 3 + 3 of 13.
pub const QUORUM: [u16; 3] = [0, 1, 2];

/// Bytes that the results of a job turn out to have.
pub const RESULT_BYTES: u64 = 3 << 20;

/// How a party, or a referee, departs from honest conduct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conduct {
    NeverAcknowledges,
    Declines,
    SaysUnrunnable,
    /// Acknowledges, or is bound to check, and is never heard of again.
    Dies,
    /// Works on for ever.
    NeverCommits,
    NeverAnnounces,
    /// Announces itself only while it verifies fewer attempts than this.
    HasPlaces(usize),
    NeverChecks,
    FindsNoResult,
    NeverOpens,
    /// Has a wrong outcome of this task.
    Wrong(u32),
    /// Has another wrong outcome of this task.
    Third(u32),
    /// Has an outcome of this task that nobody else has.
    Alone(u32),
    /// Hands on another state than the first task of a chain left, and works on with it.
    BreaksLink,
    /// Votes for what others claim, as a referee, and has not run the task.
    Copies,
}

/// A chain, and who departs how.
#[derive(Clone)]
pub struct World {
    pub chain: Chain,
    /// What each partner does not do as it should.
    pub conduct: BTreeMap<u8, BTreeSet<Conduct>>,
    /// Validators that hold inputs and results.
    pub holders: Vec<u16>,
    /// Time from one block to the next while a job is run, in milliseconds.
    pub step_ms: u64,
}

impl World {
    /// A chain whose partners are all honest.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other parameters.
    pub fn with(change: impl FnOnce(&mut Params)) -> Self {
        Self::with_partners(change, |_| {})
    }

    /// The same with other parameters, and other profiles of all partners.
    pub fn with_partners(
        change: impl FnOnce(&mut Params),
        profiles: impl Fn(&mut PartnerProfile),
    ) -> Self {
        let mut genesis = genesis(change);
        genesis.partners = (0..PARTNERS)
            .map(|n| {
                let mut profile = profile(n);
                profile.ask = Amount(SQUARE.0 / 800);
                profiles(&mut profile);
                GenesisPartner {
                    address: address(n),
                    bond: square(500),
                    profile,
                }
            })
            .collect();
        genesis.partners.sort_by_key(|partner| partner.address);
        let chain = Chain::of(genesis);
        Self {
            chain,
            conduct: BTreeMap::new(),
            holders: QUORUM.to_vec(),
            step_ms: 500,
        }
    }

    /// Makes a partner depart from honest conduct.
    pub fn depart(&mut self, partner: u8, conduct: Conduct) {
        self.conduct.entry(partner).or_default().insert(conduct);
    }

    /// The same world once this primary had a wrong outcome of a task and its attempt has ended; from then on it is honest, or it
    /// would lose again as a verifier of the next one.
    pub fn after_wrong_task(&self, job: &JobId, primary: u8, task: u32) -> Self {
        let mut world = self.clone();
        world.depart(primary, Conduct::Wrong(task));
        while world.record(job).attempt == Attempt(0) {
            world.step(&[*job], 500);
        }
        world.conduct.clear();
        world
    }

    /// True if a partner has a wrong outcome of a task.
    pub fn is_wrong(&self, partner: u8) -> bool {
        let mut all = self.conduct.get(&partner).into_iter().flatten();
        all.any(|conduct| matches!(conduct, Conduct::Wrong(_) | Conduct::Alone(_)))
    }

    fn does(&self, partner: u8, conduct: Conduct) -> bool {
        self.conduct
            .get(&partner)
            .is_some_and(|all| all.contains(&conduct))
    }

    /// The record of a job that must exist.
    pub fn record(&self, job: &JobId) -> JobRecord {
        query::job(&self.chain.state, job).unwrap().unwrap()
    }

    /// The registration of the partner with this number.
    pub fn partner(&self, n: u8) -> Partner {
        query::partner(&self.chain.state, &address(n))
            .unwrap()
            .unwrap()
    }

    /// Submits a job of the customer's.
    pub fn submit(&mut self, spec: &JobSpec) -> JobId {
        self.try_submit(spec).unwrap()
    }

    /// Submits a job, or gives the code of the rule that it broke.
    pub fn try_submit(&mut self, spec: &JobSpec) -> Result<JobId, String> {
        let signed = self.chain.sign(
            CUSTOMER,
            Action::SubmitJob {
                spec: Box::new(spec.clone()),
            },
        );
        let job = signed.transaction().job_id();
        let executed = self.chain.next(vec![signed]);
        match &executed.receipts[0].failure {
            None => Ok(job),
            Some(failure) => Err(failure.code.clone()),
        }
    }

    /// Executes an action in a block of its own; gives the failure's code.
    pub fn act(&mut self, n: u8, action: Action) -> Option<String> {
        let failure = self.chain.act(n, action);
        self.check();
        failure
    }

    /// Blocks without anything but the beacon until chain time has moved by more than `ms`.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..=ms / 1_000 {
            let block = self
                .chain
                .block_with(1_000, vec![self.chain.output()], Vec::new());
            self.chain.push(&block);
            self.check();
        }
    }

    /// One block with what everybody sends for these jobs; gives what of it is in the block.
    pub fn step(&mut self, jobs: &[JobId], step_ms: u64) -> Vec<(u8, Action)> {
        self.step_with(jobs, step_ms, Vec::new())
    }

    /// The same with other actions before; who takes one sends nothing else in this block.
    pub fn step_with(
        &mut self,
        jobs: &[JobId],
        step_ms: u64,
        others: Vec<(u8, Action)>,
    ) -> Vec<(u8, Action)> {
        let mut system = vec![self.chain.output()];
        let mut sent = others;
        for job in jobs {
            let record = self.record(job);
            system.extend(self.certificate_of(&record));
            for n in (0..PARTNERS).chain(REFEREES..REFEREES + 4) {
                let busy = sent.iter().any(|(sender, _)| *sender == n);
                if let Some(action) = self.duty(n, &record).filter(|_| !busy) {
                    sent.push((n, action));
                }
            }
        }
        let signed = sent.iter();
        let signed = signed.map(|(n, action)| self.chain.sign(*n, action.clone()));
        let verified = signed.map(|signed| Verified::new(&self.chain.rules, signed).unwrap());
        let candidates: Vec<_> = verified.collect();
        let built = self.build(step_ms, &system, &candidates);
        let transactions = built.body.transactions.to_vec();
        // A step that its job does not take is in no block.
        let mut candidates = candidates.iter();
        sent.retain(|_| {
            candidates
                .next()
                .is_some_and(|one| transactions.contains(one.signed()))
        });
        let block = self
            .chain
            .block_with(step_ms, built.body.system.to_vec(), transactions);
        self.chain.push(&block);
        self.check();
        sent
    }

    /// The body that the next proposer makes of this.
    pub fn build(
        &self,
        step_ms: u64,
        system: &[SystemTransaction],
        candidates: &[Verified],
    ) -> BuiltBody {
        let chain = &self.chain;
        let timestamp = Timestamp(chain.tip.timestamp.0 + step_ms);
        vm::build(
            &chain.rules,
            &chain.state,
            &chain.tip,
            chain.proposer(),
            timestamp,
            system,
            candidates,
        )
        .unwrap()
    }

    /// Blocks with what everybody sends until the job's stage is the one asked for; gives the record.
    pub fn run_to(&mut self, job: &JobId, stage: &str) -> JobRecord {
        for _ in 0..400 {
            let record = self.record(job);
            // A commitment whose sortition is still to come counts as what comes before it.
            let waits = record.deadline.is_none();
            if record.stage.name() == stage && (!waits || record.stage.is_final()) {
                return record;
            }
            assert!(
                !record.stage.is_final(),
                "the job ended as {:?} before it was {stage}",
                record.stage
            );
            self.step(&[*job], self.step_ms);
        }
        panic!("the job is still {:?}", self.record(job).stage);
    }

    /// Blocks until the job is over.
    pub fn run(&mut self, job: &JobId) -> JobRecord {
        for _ in 0..1_000 {
            let record = self.record(job);
            if record.stage.is_final() {
                return record;
            }
            self.step(&[*job], self.step_ms);
        }
        panic!("the job is still {:?}", self.record(job).stage);
    }

    /// Runs the job and asserts that it failed for a reason.
    pub fn run_to_failure(&mut self, job: &JobId, reason: FailureReason) -> JobRecord {
        let record = self.run(job);
        assert_eq!(record.stage, Stage::Failed(Failed { reason }));
        record
    }

    /// Asserts what must hold after every block.
    pub fn check(&self) {
        check(&self.chain.state, self.chain.rules.supply);
    }

    /// What validators that hold everything say of a job now, if they are a quorum. Nobody holds results with a broken link.
    fn certificate_of(&self, record: &JobRecord) -> Option<SystemTransaction> {
        let statement = said(record, record.awaited_data()?);
        let primary = record.stage.primary();
        let breaks = primary.is_some_and(|one| self.breaks_link(number(&one.partner), record));
        if statement.subject.holding == Holding::Results && breaks {
            return None;
        }
        self.certificate(statement, &self.holders)
    }

    /// The certificate that some validators make of a statement, if they are a quorum.
    pub fn certificate(
        &self,
        statement: StoredStatement,
        validators: &[u16],
    ) -> Option<SystemTransaction> {
        let signatures = validators.iter().map(|validator| {
            let signed = self.signed(statement, *validator);
            (signed.validator, signed.signature)
        });
        let committee = &self.chain.rules.committee;
        let gathered = StoredCertificate::gather(statement, &signatures.collect(), committee);
        gathered.map(SystemTransaction::Stored)
    }

    /// A validator's signed statement.
    pub fn signed(&self, statement: StoredStatement, validator: u16) -> SignedStatement {
        let key = &validator_keys()[usize::from(validator)].0;
        statement.sign(key, self.chain.rules.chain_id)
    }

    /// What a validator that holds what a job awaits tells the others.
    pub fn word(&self, job: JobId, validator: u16) -> SystemMessage {
        let record = self.record(&job);
        let statement = said(&record, record.awaited_data().unwrap());
        SystemMessage::Stored(self.signed(statement, validator))
    }
}

/// What an honest validator says of a subject.
pub fn said(record: &JobRecord, subject: StoredSubject) -> StoredStatement {
    let (bytes, fuel) = match subject.holding {
        Holding::Inputs => (record.terms.input_bytes, Fuel(0)),
        Holding::States => (record.states.unwrap().list.length, Fuel(0)),
        Holding::Results => (RESULT_BYTES, record.terms.total_fuel()),
    };
    StoredStatement {
        subject,
        bytes,
        fuel,
    }
}

/// All tasks of a job.
pub fn all_tasks(record: &JobRecord) -> Vec<TaskIndex> {
    record.terms.tasks.indices().collect()
}

/// True if partner `n` is among the verifiers.
pub fn binds(verifiers: &[Verifier], n: u8) -> bool {
    verifiers
        .iter()
        .any(|verifier| verifier.partner == address(n))
}

/// The number of a partner's or a referee's account.
pub fn number(of: &Address) -> u8 {
    let mut all = (0..PARTNERS).chain(REFEREES..REFEREES + 4);
    all.find(|n| address(*n) == *of).unwrap()
}

/// The primary and the verifiers of a stage.
pub fn parties(stage: &Stage) -> (Option<u8>, Vec<u8>) {
    let primary = stage.primary().map(|primary| number(&primary.partner));
    let verifiers = stage.verifiers().iter();
    (primary, verifiers.map(|v| number(&v.partner)).collect())
}
