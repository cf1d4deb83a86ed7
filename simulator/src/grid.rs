//! Partners and a customer on top of the simulated chain: the partner's core as it ships, with invented results in place
//! of a worker. A crash of a partner loses everything but what it wrote to its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::RefereeTask;
use partner::assignment::{Assignment, AssignmentRole, OwnCommitment};
use partner::core::outbox::TransactionOutbox;
use partner::core::{
    Core, Effect, Event, ExecutionResult, PartnerIdentity, PartnerSettings, ProvenState, RanTask,
    TaskExecution,
};
use state::{ChainStore, DecidedState, MemoryStore, read_as};
use types::attestation::{Exit, Outcome, Outcomes, leaf};
use types::codec::{Bounded, decode, encode};
use types::gas::with_least_fee;
use types::genesis::Genesis;
use types::hash::{BlobId, ChainId, Hash32, JobId};
use types::job::{Stage, TaskState, TaskStates, Workload};
use types::key::SecretKey;
use types::limits::MAX_STATES_BYTES;
use types::number::{Amount, Fuel, Height, Nonce, SQUARE, TaskIndex};
use types::params::Params;
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction, Transaction};

mod job;

use crate::genesis::PartnerKeys;
use crate::random::SeededRandom;
use job::{BrokenLink, INPUT, MODULE, SimulatedJob, spec};

/// A partner: its core, and its disk.
struct SimulatedPartner {
    keys: PartnerKeys,
    core: Core,
    /// Number of starts so far.
    life: u32,
    commitments: BTreeMap<Assignment, OwnCommitment>,
    outbox: TransactionOutbox,
}

/// An action that partners and customer ask the world for.
#[derive(Debug)]
pub enum Wish {
    /// Send a transaction to some host.
    Submit(Box<SignedTransaction>),
    /// Bring blobs to some host.
    Bring(Vec<(BlobId, Vec<u8>)>),
    /// Give a partner the result of a task run after some time.
    Run {
        /// The partner, by its number.
        partner: usize,
        /// The partner's number of starts when it began the run.
        life: u32,
        /// Tasks that a simulated partner runs.
        execution: Box<TaskExecution>,
    },
}

/// All partners, and the customer.
pub struct Grid {
    chain: ChainId,
    params: Params,
    partners: Vec<SimulatedPartner>,
    customer: SecretKey,
    jobs: Vec<SimulatedJob>,
    /// The bytes of every result so far.
    contents: BTreeMap<BlobId, Vec<u8>>,
    turn: usize,
}

/// A job that had to settle and failed, or settled and should not, in words.
pub struct Unsettled(pub String);

impl Grid {
    /// The partners of a genesis.
    pub fn new(genesis: &Genesis, keys: Vec<PartnerKeys>, customer: SecretKey) -> Self {
        let params = genesis.params.clone();
        let mut grid = Self {
            chain: genesis.chain_id(),
            params,
            partners: Vec::new(),
            customer,
            jobs: Vec::new(),
            contents: BTreeMap::new(),
            turn: 0,
        };
        for keys in keys {
            let core = grid.core(&keys, Vec::new(), TransactionOutbox::default());
            let (commitments, outbox) = (BTreeMap::new(), TransactionOutbox::default());
            grid.partners.push(SimulatedPartner {
                keys,
                core,
                life: 0,
                commitments,
                outbox,
            });
        }
        grid
    }

    fn core(
        &self,
        keys: &PartnerKeys,
        commitments: Vec<OwnCommitment>,
        outbox: TransactionOutbox,
    ) -> Core {
        let identity = PartnerIdentity {
            chain: self.chain,
            key: keys.account.clone(),
            vrf: keys.vrf.clone(),
        };
        let settings = PartnerSettings {
            profile: keys.profile.clone(),
            bond: keys.bond,
            reserve: SQUARE,
            verification_places: 4,
            blob_quota_bytes: 16 << 30,
            cores: 1,
            memory_bytes: u64::MAX,
            task_wall_ms: 3_600_000,
            paused: false,
        };
        Core::new(identity, settings, commitments, outbox)
    }

    /// The customer's turn: perhaps a new job, and again all that is not over. `store` is some host's.
    pub fn customer_turn(
        &mut self,
        store: &MemoryStore,
        calm: bool,
        random: &mut SeededRandom,
    ) -> Vec<Wish> {
        let wanted = if calm { 2 } else { 1 };
        if self.jobs.len() < wanted && self.jobs.iter().all(|job| job.ended || calm) {
            let transaction = Transaction {
                chain_id: self.chain,
                sender: self.customer.public(),
                nonce: Nonce(u64::try_from(self.jobs.len()).unwrap_or(u64::MAX)),
                valid_until: Height(5_000),
                fee: Amount::ZERO,
                action: Action::SubmitJob {
                    spec: Box::new(spec(random.index(2) == 0)),
                },
            };
            let transaction = with_least_fee(transaction, self.params.min_fee);
            let id = transaction.job_id();
            let transaction = transaction.sign(&self.customer);
            self.jobs.push(SimulatedJob {
                id,
                transaction,
                must_settle: calm,
                ended: false,
            });
        }
        let mut wishes = Vec::new();
        for job in self.jobs.iter().filter(|job| !job.ended) {
            match vm::query::job(store, &job.id) {
                Ok(None) => wishes.push(Wish::Submit(Box::new(job.transaction.clone()))),
                Ok(Some(_)) => wishes.push(Wish::Bring(vec![named(MODULE), named(INPUT)])),
                Err(_) => {}
            }
        }
        wishes
    }

    /// The next partner's turn: it looks at the chain as `store`, some host's, has it. Before the calm it may crash
    /// in the middle of what it does.
    pub fn partner_turn(
        &mut self,
        store: &MemoryStore,
        calm: bool,
        random: &mut SeededRandom,
    ) -> Vec<Wish> {
        self.turn = (self.turn + 1) % self.partners.len();
        let at = self.turn;
        let partner = &mut self.partners[at];
        let Some(view) = view(store, &partner.keys) else {
            return Vec::new();
        };
        if view.height < partner.core.height() {
            return Vec::new();
        }
        let effects = partner.core.step(Event::Proven(Box::new(view)));
        let cut = (!calm && random.chance(50)).then(|| random.index(effects.len() + 1));
        self.perform(at, effects, cut)
    }

    /// A partner's tasks have run; nothing comes of it if the partner crashed meanwhile.
    pub fn ran(
        &mut self,
        at: usize,
        life: u32,
        execution: TaskExecution,
        random: &mut SeededRandom,
    ) -> Vec<Wish> {
        if self.partners[at].life != life {
            return Vec::new();
        }
        let (outcomes, left) = self.run(&execution);
        let TaskExecution {
            assignment,
            workload,
            ..
        } = execution;
        let is_primary = assignment.role == AssignmentRole::Primary;
        let list = is_primary.then(|| {
            let all = outcomes.iter().map(|ran| ran.outcome.clone()).collect();
            self.keep(encode(&Outcomes(Bounded::new(all).expect("a few tasks"))))
        });
        let mut states = Vec::new();
        if is_primary && workload.state.is_chain() {
            let handed_on = left.into_iter().take(outcomes.len().saturating_sub(1));
            let all = TaskStates(Bounded::new(handed_on.collect()).expect("a few tasks"));
            states.push(self.keep(encode(&all)));
            states.extend(all.files().collect::<BTreeSet<_>>());
        }
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&random.next_u64().to_le_bytes());
        let executed = ExecutionResult {
            assignment,
            outcomes,
            workload,
            salt: Hash32(salt),
            list,
            states,
        };
        let effects = self.partners[at]
            .core
            .step(Event::Executed(Box::new(executed)));
        self.perform(at, effects, None)
    }

    /// The outcomes of tasks, and what whoever ran them says that each left. In some chains that need not settle the first link is
    /// broken.
    fn run(&mut self, execution: &TaskExecution) -> (Vec<RanTask>, Vec<TaskState>) {
        let workload = &execution.workload;
        let of = execution.assignment;
        let mut jobs = self.jobs.iter().filter(|job| job.id == of.job);
        let broken = jobs.find_map(|job| job.broken_link(of.attempt));
        let broken = broken.filter(|_| workload.state.is_chain());
        let given = match execution.states {
            Some(_) if broken == Some(BrokenLink::Ignored) => Some(self.true_states(workload)),
            Some(list) => {
                let bytes = self.contents.get(&list).expect("whoever handed it on");
                Some(decode::<TaskStates>(bytes, MAX_STATES_BYTES).expect("a list of states"))
            }
            None => None,
        };
        let (mut ran, mut left) = (Vec::new(), Vec::<TaskState>::new());
        let mut real = None;
        for task in execution.tasks.iter().copied() {
            let before = match &given {
                Some(states) => states.before(task),
                None => real.take().or_else(|| left.last().cloned()),
            };
            let before = before.unwrap_or_default();
            let outcome = self.outcome(workload, task, &before);
            let mut after = outcome.state(&workload.state);
            if let Some(broken) = broken.filter(|_| of.role == AssignmentRole::Primary)
                && left.is_empty()
            {
                real = (broken == BrokenLink::Ignored).then_some(after);
                let other = self.keep(b"another state".to_vec());
                after = Bounded::new(vec![Some(other)]).expect("one output");
            }
            left.push(after);
            ran.push(RanTask {
                task,
                before,
                outcome,
            });
        }
        (ran, left)
    }

    /// What each task of a chain but the last leaves for the next one.
    fn true_states(&mut self, workload: &Workload) -> TaskStates {
        let mut all = Vec::<TaskState>::new();
        for task in workload.tasks.indices() {
            let before = all.last().cloned().unwrap_or_default();
            let outcome = self.outcome(workload, task, &before);
            all.push(outcome.state(&workload.state));
        }
        all.pop();
        TaskStates(Bounded::new(all).expect("a few tasks"))
    }

    /// What an honest referee finds.
    pub fn leaf(&mut self, task: &RefereeTask) -> Hash32 {
        let outcome = self.outcome(&task.workload, task.task, &task.before);
        leaf(&task.workload, task.task, &task.before, &outcome)
    }

    fn keep(&mut self, bytes: Vec<u8>) -> BlobId {
        let id = BlobId::of(&bytes);
        self.contents.insert(id, bytes);
        id
    }

    fn outcome(&mut self, workload: &Workload, task: TaskIndex, before: &TaskState) -> Outcome {
        let mut keep = |text: String| self.keep(text.into_bytes());
        let state = before.iter().flatten().next();
        let after = state.map_or_else(String::new, |state| format!(" after {}", state.hash));
        let outputs = workload
            .outputs
            .iter()
            .map(|output| Some(keep(format!("{} of {task}{after}", output.name))))
            .collect();
        Outcome {
            exit: Exit::Code { code: 0 },
            fuel: Fuel(1_000),
            stdout: keep(format!("task {task}\n")),
            stderr: keep(String::new()),
            outputs: Bounded::new(outputs).expect("as many as declared"),
        }
    }

    /// Performs effects in their order, up to `cut` of them; then the partner starts again from its disk.
    fn perform(&mut self, at: usize, effects: Vec<Effect>, cut: Option<usize>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for effect in effects.into_iter().take(cut.unwrap_or(usize::MAX)) {
            let partner = &mut self.partners[at];
            match effect {
                Effect::Keep(kept) => drop(partner.commitments.insert(kept.assignment, *kept)),
                Effect::KeepOutbox(outbox) => partner.outbox = *outbox,
                Effect::Forget(assignment) => drop(partner.commitments.remove(&assignment)),
                Effect::Send(transaction) => wishes.push(Wish::Submit(transaction)),
                Effect::Execute(execution) => {
                    wishes.push(Wish::Run {
                        partner: at,
                        life: partner.life,
                        execution,
                    });
                }
                Effect::Upload {
                    assignment, blobs, ..
                } => {
                    let found = blobs
                        .iter()
                        .filter_map(|id| self.contents.get(id).map(|bytes| (*id, bytes.clone())));
                    wishes.push(Wish::Bring(found.collect()));
                    let more = partner.core.step(Event::Uploaded {
                        assignment,
                        complete: true,
                    });
                    wishes.extend(self.perform(at, more, None));
                }
                Effect::Cancel(_) | Effect::Note(_) => {}
            }
        }
        if cut.is_some() {
            let partner = &self.partners[at];
            let (commitments, outbox) = (
                partner.commitments.values().cloned().collect(),
                partner.outbox.clone(),
            );
            let core = self.core(&partner.keys, commitments, outbox);
            let partner = &mut self.partners[at];
            partner.core = core;
            partner.life += 1;
        }
        wishes
    }

    /// Some honest host decided a block.
    pub fn decided(&mut self, store: &MemoryStore) -> Result<(), Unsettled> {
        for job in self.jobs.iter_mut().filter(|job| !job.ended) {
            let Ok(Some(record)) = vm::query::job(store, &job.id) else {
                continue;
            };
            job.ended = record.stage.is_final();
            let is_broken =
                record.terms.state.is_chain() && job.broken_link(record.attempt).is_some();
            if is_broken && record.stage == Stage::Settled {
                let id = job.id;
                return Err(Unsettled(format!("job {id} settled over a broken link")));
            }
            if job.ended && job.must_settle && record.stage != Stage::Settled {
                return Err(Unsettled(format!(
                    "job {} ended as {:?}",
                    job.id, record.stage
                )));
            }
        }
        Ok(())
    }

    /// How many jobs are not over, those that are still to come included.
    pub fn outstanding(&self) -> usize {
        2 - self.jobs.iter().filter(|job| job.ended).count()
    }

    /// Where the jobs stand, for people.
    pub fn describe(&self, store: &MemoryStore) -> String {
        let stage = |job: &SimulatedJob| match vm::query::job(store, &job.id) {
            Ok(Some(record)) => format!("{:?}", record.stage),
            _ => "not on chain".to_owned(),
        };
        self.jobs.iter().map(stage).collect::<Vec<_>>().join("; ")
    }
}

fn named(bytes: &[u8]) -> (BlobId, Vec<u8>) {
    (BlobId::of(bytes), bytes.to_vec())
}

/// The chain as a partner needs it, at a host's last final block.
fn view(store: &MemoryStore, keys: &PartnerKeys) -> Option<ProvenState> {
    let address = keys.account.public().address();
    let height = store.tip().height;
    let live: BTreeSet<JobId> = vm::query::live_jobs(store).ok()?.into_iter().collect();
    let (mut jobs, mut pages) = (BTreeMap::new(), BTreeMap::new());
    let mut workloads = BTreeMap::new();
    for id in &live {
        let record = vm::query::job(store, id).ok()??;
        if let Stage::Announcing(announcing) = &record.stage {
            let epoch = announcing.epoch;
            let page = vm::query::page(store, epoch, &address).ok()?;
            pages.extend(page.map(|page| (epoch, page)));
        }
        let workload = vm::query::spec(store, id).ok()?.workload;
        workloads.insert(*id, Arc::new(workload));
        jobs.insert(*id, record);
    }
    let account = vm::query::account(store, &address).ok()?;
    let partner = vm::query::partner(store, &address).ok()?;
    let params_since = vm::chain_record(store).ok()?.params_since;
    let params = read_as(store, &StateKey::Params(params_since)).ok()??;
    let header = store.header_at(height).ok()??;
    Some(ProvenState {
        height,
        newest: height,
        time: header.timestamp,
        clock: (vm::chain_record(store).ok()?.chain_time, header.timestamp),
        account,
        partner,
        live,
        jobs,
        workloads,
        params: Arc::new(params),
        pages,
    })
}
