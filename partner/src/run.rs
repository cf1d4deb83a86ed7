//! The daemon: performs what the core decides, in order, and tells it what came of it.
//!
//! Keeping comes first: an effect that puts something on disk is done before the next one begins, and if it fails the
//! daemon stops rather than send what it could not answer for. Sending, executing and uploading run beside the loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use executor::cage::{CageLayer, CageReport, undumpable};
use executor::worker::{WorkerHandle, WorkerLimits};
use keys::keyfile::{self, KeyKind};
use keys::signer_lock::SignerLock;
use light::Light;
use rpc::RequestSigner;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use types::genesis::Genesis;
use types::hash::BlobId;
use types::limits::MAX_TASK_MEMORY_BYTES;
use types::transaction::SignedTransaction;

use crate::assignment::Assignment;
use crate::config::{Config, PartnerConfigError};
use crate::core::{Core, Effect, Event, Note, PartnerIdentity, PartnerSettings, TaskExecution};
use crate::endpoints::Endpoints;
use crate::error::PartnerError;
use crate::init::check_folders;
use crate::journal::{DiskJournal, Journal};
use crate::ledger::Ledger;
use crate::room::{ByteCount, FreeRoom};
use crate::runner::{Cancel, CodeCache, ExecutionBackend, JobRunner, WorkerProcess};
use crate::watch::ChainWatch;

/// With less than that free the operator is warned at the start.
const LITTLE_ROOM: FreeRoom = FreeRoom {
    disk_bytes: 1 << 30,
    memory_bytes: 512 << 20,
};
/// Time between two looks at a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);
/// Most inputs that wait for the loop.
const INPUT_QUEUE: usize = 64;

/// Runs the partner of a directory until `shutdown` completes; tasks run in worker processes of this machine.
pub async fn run(
    dir: &Path,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PartnerError> {
    config.check()?;
    // No other process of this user may look for the keys in this one's memory, and no core holds them.
    undumpable().map_err(|source| PartnerError::Hide { source })?;
    let program = worker_program(dir, &config)?;
    let cage = tokio::task::spawn_blocking({
        let program = program.clone();
        move || inspect_program(&program)
    });
    tell(&cage.await??, config.allow_missing_seccomp)?;
    let code = tokio::task::spawn_blocking({
        let (program, folder, bytes) = (program.clone(), dir.join("code"), config.code_cache_bytes);
        move || {
            // Without room it is opened for the sake of what it removes.
            CodeCache::open(&folder, &program, bytes).map(|cache| (bytes > 0).then_some(cache))
        }
    });
    let backend = WorkerProcess {
        code: code.await??,
        program,
        task_wall: Duration::from_millis(config.task_wall_ms),
        may_lack_seccomp: config.allow_missing_seccomp,
    };
    run_with(dir, config, Box::new(backend), shutdown).await
}

/// The cage that a partner's worker enters on this machine. Starts the worker for it, and blocks until it has ended.
pub fn inspect_cage(dir: &Path, config: &Config) -> Result<CageReport, PartnerError> {
    inspect_program(&worker_program(dir, config)?)
}

fn worker_program(dir: &Path, config: &Config) -> Result<PathBuf, PartnerError> {
    match &config.worker {
        Some(worker) => Ok(dir.join(worker)),
        None => std::env::current_exe().map_err(|source| PartnerError::OwnPath { source }),
    }
}

fn inspect_program(program: &Path) -> Result<CageReport, PartnerError> {
    WorkerHandle::spawn(program, &["worker"], WorkerLimits::for_inspection())
        .and_then(WorkerHandle::inspect)
        .map_err(PartnerError::Worker)
}

/// Logs the layers of the cage, and refuses one without a filter of system calls unless that is allowed.
fn tell(cage: &CageReport, may_lack_seccomp: bool) -> Result<(), PartnerError> {
    for (layer, state) in cage.layers() {
        match state.gap() {
            None => tracing::info!(layer = layer.name(), "cage: held"),
            Some(gap) => {
                tracing::warn!(layer = layer.name(), state = state.name(), %gap, "cage: not held as a whole");
            }
        }
    }
    match cage.state(CageLayer::Seccomp).gap() {
        Some(gap) if !may_lack_seccomp => Err(PartnerError::NoSeccomp(gap)),
        _ => Ok(()),
    }
}

/// Like [`run`], with another back end for tasks.
pub async fn run_with(
    dir: &Path,
    config: Config,
    backend: Box<dyn ExecutionBackend>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PartnerError> {
    check_folders(dir, &config)?;
    let genesis = read_genesis(&dir.join(&config.genesis))?;
    config.check_endpoints(&genesis)?;
    let identity = PartnerIdentity {
        chain: genesis.chain_id(),
        key: keyfile::read_secret(&dir.join(&config.account_key), KeyKind::Account)?,
        vrf: keyfile::read_vrf(&dir.join(&config.vrf_key))?,
    };
    let settings = PartnerSettings {
        profile: config.profile(identity.vrf.public())?,
        bond: config.bond,
        reserve: config.reserve,
        verification_places: config.verification_places,
        blob_quota_bytes: config.blob_quota_bytes,
        task_wall_ms: config.task_wall_ms,
    };
    let journal = DiskJournal::open(&dir.join("journal"))?;
    // After the directory's own lock: this one finds copies of it.
    let _signer = SignerLock::take(&identity.key.public())?;
    tell_room(dir, &config);
    let (commitments, outbox) = journal.load()?;
    let kept: BTreeSet<Assignment> = commitments.iter().map(|own| own.assignment).collect();
    let signer = RequestSigner::new(identity.key.clone(), identity.chain);
    let endpoints = Endpoints::new(&config.endpoints, Some(&signer));
    let endpoints = endpoints.map_err(PartnerConfigError::from)?;
    let quota = config.blob_quota_bytes;
    let runner = JobRunner::open(dir, endpoints.clone(), backend, quota, &kept)?;
    let light = Light::new(&genesis).map_err(|source| PartnerError::Genesis {
        path: dir.join(&config.genesis),
        source,
    })?;
    let (address, chain) = (identity.address(), identity.chain);
    let ledger = Ledger::open(dir, address);
    tracing::info!(%address, %chain, commitments = kept.len(), "partner starts");
    let core = Core::new(identity, settings, commitments, outbox);
    let watch = ChainWatch::new(endpoints.clone(), light, address, core.height());
    let (inputs, queue) = mpsc::channel(INPUT_QUEUE);
    let every = Duration::from_millis(config.poll_ms);
    let watching = tokio::spawn(keep_watching(watch, every, inputs.clone()));
    let mut shell = PartnerShell::new(
        dir,
        core,
        Box::new(journal),
        runner,
        endpoints,
        ledger,
        inputs,
    );
    let ended = shell.run(queue, shutdown).await;
    watching.abort();
    for cancel in shell.running.values() {
        cancel.cancel();
    }
    ended
}

/// Says what the partner may take of the machine, beside what the machine has free.
fn tell_room(dir: &Path, config: &Config) {
    let (quota, code) = (config.blob_quota_bytes, config.code_cache_bytes);
    let places = u64::from(config.offer.places);
    let checks = u64::from(config.verification_places);
    let disk = places
        .saturating_add(1)
        .saturating_mul(quota)
        .saturating_add(code);
    let memory = places
        .saturating_add(checks)
        .saturating_mul(MAX_TASK_MEMORY_BYTES);
    let takes = format!(
        "jobs may take up to {} of disk ({} of inputs, {} of results for each of {places} places, {} of compiled code) and {} of memory ({} for each of {} tasks at a time)",
        ByteCount(disk),
        ByteCount(quota),
        ByteCount(quota),
        ByteCount(code),
        ByteCount(memory),
        ByteCount(MAX_TASK_MEMORY_BYTES),
        places.saturating_add(checks),
    );
    match FreeRoom::free(dir) {
        Ok(room) if room.disk_bytes >= disk && room.memory_bytes >= memory => {
            tracing::info!(
                "{takes}; {} of disk and {} of memory are free",
                room.disk(),
                room.memory()
            );
        }
        Ok(room) if room.holds(LITTLE_ROOM) => tracing::info!(
            "{takes}; {} of disk and {} of memory are free: jobs that do not fit are declined, at a penalty",
            room.disk(),
            room.memory()
        ),
        Ok(room) => tracing::warn!(
            "{takes}, but only {} of disk and {} of memory are free: hardly any job fits, and each is declined at a penalty",
            room.disk(),
            room.memory()
        ),
        Err(error) => tracing::warn!(%error, "{takes}; the system does not say what is free"),
    }
}

fn read_genesis(path: &Path) -> Result<Genesis, PartnerError> {
    let bytes = std::fs::read(path).map_err(PartnerError::io("read", path))?;
    Genesis::from_bytes(&bytes).map_err(|source| PartnerError::Genesis {
        path: path.into(),
        source,
    })
}

/// What the loop waits for.
enum ShellInput {
    /// Something for the core.
    Event(Event),
    /// An execution that was cancelled has stopped: nothing of it is written any more.
    Stopped(Assignment),
}

/// Brings a proven state every now and then, as long as the loop takes them.
async fn keep_watching(mut watch: ChainWatch, every: Duration, inputs: mpsc::Sender<ShellInput>) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(proven) = watch.proven_state().await
            && inputs
                .send(ShellInput::Event(Event::Proven(Box::new(proven))))
                .await
                .is_err()
        {
            return;
        }
    }
}

struct PartnerShell {
    /// The partner's directory, on the disk whose room counts.
    dir: PathBuf,
    core: Core,
    journal: Box<dyn Journal>,
    runner: Arc<JobRunner>,
    endpoints: Endpoints,
    ledger: Ledger,
    inputs: mpsc::Sender<ShellInput>,
    /// Effects that are not performed yet, in their order; more than those of a step only while the disk is full.
    held: VecDeque<Effect>,
    /// True while the disk is full.
    paused: bool,
    running: BTreeMap<Assignment, Cancel>,
    /// The inputs that were spared when the others were last removed; nothing if some may have come since.
    spared: Option<BTreeSet<BlobId>>,
}

impl PartnerShell {
    fn new(
        dir: &Path,
        core: Core,
        journal: Box<dyn Journal>,
        runner: JobRunner,
        endpoints: Endpoints,
        ledger: Ledger,
        inputs: mpsc::Sender<ShellInput>,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            core,
            journal,
            runner: Arc::new(runner),
            endpoints,
            ledger,
            inputs,
            held: VecDeque::new(),
            paused: false,
            running: BTreeMap::new(),
            spared: None,
        }
    }

    async fn run(
        &mut self,
        mut queue: mpsc::Receiver<ShellInput>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), PartnerError> {
        tokio::pin!(shutdown);
        let mut again = tokio::time::interval(FULL_DISK_PAUSE);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // While the disk is full nothing new is taken: what waits fills the bounded queue, and its senders wait.
            let input = tokio::select! {
                () = &mut shutdown => return Ok(()),
                input = queue.recv(), if !self.paused => input,
                _ = again.tick(), if self.paused => {
                    self.perform_held()?;
                    continue;
                }
            };
            let Some(input) = input else { return Ok(()) };
            self.take(input)?;
        }
    }

    fn take(&mut self, input: ShellInput) -> Result<(), PartnerError> {
        match input {
            ShellInput::Event(event) => {
                match &event {
                    Event::Executed(executed) => {
                        tracing::info!(assignment = %executed.assignment, tasks = executed.outcomes.len(), "executed");
                        self.running.remove(&executed.assignment);
                    }
                    Event::NotExecuted { assignment, .. } => {
                        self.running.remove(assignment);
                    }
                    Event::Proven(proven) => self.ledger.take(proven),
                    Event::Uploaded { .. } | Event::Room(_) => {}
                }
                if matches!(event, Event::Proven(_)) {
                    let room = FreeRoom::free(&self.dir).ok();
                    self.held.extend(self.core.step(Event::Room(room)));
                }
                self.held.extend(self.core.step(event));
                self.perform_held()?;
            }
            ShellInput::Stopped(assignment) => self.clear(&assignment),
        }
        self.remove_inputs();
        Ok(())
    }

    /// Removes what a cancelled execution left, unless another one of its assignment has begun.
    fn clear(&mut self, assignment: &Assignment) {
        self.spared = None;
        if self.running.contains_key(assignment)
            || self
                .core
                .commitments()
                .any(|own| own.assignment == *assignment)
        {
            return;
        }
        if let Err(error) = self.runner.forget(assignment) {
            tracing::warn!(%assignment, %error, "cannot remove the results of a cancelled execution");
        }
    }

    /// Removes the inputs that nobody waits for any more, also those from before the start.
    fn remove_inputs(&mut self) {
        if self.spared.as_ref() == Some(self.core.inputs()) {
            return;
        }
        match self.runner.retain_inputs(self.core.inputs()) {
            Ok(()) => self.spared = Some(self.core.inputs().clone()),
            // Tried again after the next input.
            Err(error) => tracing::warn!(%error, "cannot remove inputs"),
        }
    }

    /// Performs what is held, in its order, as far as the disk has room. A full disk ends nothing: what rests on something
    /// that is not on disk stays behind it until there is room.
    fn perform_held(&mut self) -> Result<(), PartnerError> {
        while let Some(effect) = self.held.front() {
            match self.perform(effect.clone()) {
                Ok(()) => drop(self.held.pop_front()),
                Err(error) if error.is_full_disk() => {
                    if !self.paused {
                        tracing::error!(%error, "the disk is full: the partner pauses, and loses bond at its next deadline; make room and it goes on by itself");
                    }
                    self.paused = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.paused) {
            tracing::info!("the disk has room again: the partner goes on");
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), PartnerError> {
        match effect {
            Effect::Keep(own) => self.journal.keep(&own)?,
            Effect::KeepOutbox(outbox) => self.journal.keep_outbox(&outbox)?,
            Effect::Forget(assignment) => {
                self.journal.forget(&assignment)?;
                self.runner.forget(&assignment)?;
            }
            Effect::Send(transaction) => {
                tracing::info!(action = transaction.transaction().action.name(), id = %transaction.id(), "sending");
                tokio::spawn(send(self.endpoints.clone(), *transaction));
            }
            Effect::Execute(execution) => self.execute(*execution),
            Effect::Cancel(assignment) => {
                if let Some(cancel) = self.running.remove(&assignment) {
                    tracing::info!(%assignment, "cancelled");
                    cancel.cancel();
                }
            }
            Effect::Upload {
                assignment,
                blobs,
                offer,
            } => {
                let (runner, inputs) = (Arc::clone(&self.runner), self.inputs.clone());
                tokio::spawn(async move {
                    let complete = runner
                        .upload(assignment, &blobs, offer)
                        .await
                        .unwrap_or_else(|error| {
                            tracing::error!(%assignment, %error, "cannot upload the results");
                            false
                        });
                    tracing::info!(%assignment, blobs = blobs.len(), complete, "upload ended");
                    // The loop ends only with the process.
                    let _ = inputs
                        .send(ShellInput::Event(Event::Uploaded {
                            assignment,
                            complete,
                        }))
                        .await;
                });
            }
            Effect::Note(note @ Note::Over(_)) => tracing::info!("{note}"),
            Effect::Note(note @ Note::ForeignCommitment(_)) => tracing::error!("{note}"),
            Effect::Note(note) => tracing::warn!("{note}"),
        }
        Ok(())
    }

    fn execute(&mut self, execution: TaskExecution) {
        let (assignment, cancel) = (execution.assignment, Cancel::default());
        tracing::info!(%assignment, tasks = execution.tasks.len(), "executing");
        self.running.insert(assignment, cancel.clone());
        let (runner, inputs) = (Arc::clone(&self.runner), self.inputs.clone());
        tokio::spawn(async move {
            let input = match runner.execute(execution, cancel.clone()).await {
                // Its place is free already; another execution of the assignment may have begun.
                _ if cancel.is_cancelled() => ShellInput::Stopped(assignment),
                Ok(executed) => ShellInput::Event(Event::Executed(Box::new(executed))),
                Err(error) => {
                    let (cause, reason) = (error.cause(), error.to_string());
                    ShellInput::Event(Event::NotExecuted {
                        assignment,
                        cause,
                        reason,
                    })
                }
            };
            // The loop ends only with the process.
            let _ = inputs.send(input).await;
        });
    }
}

/// Hands a transaction to every endpoint, also those that are set aside: one that keeps it back does not matter then, and
/// whoever is slow or wrong elsewhere may be the only one that passes it on.
async fn send(endpoints: Endpoints, transaction: SignedTransaction) {
    let sends = endpoints.all().iter().map(|endpoint| {
        let transaction = &transaction;
        async move {
            match endpoint.client.submit(transaction).await {
                Ok(_) => {
                    tracing::debug!(id = %transaction.id(), endpoint = endpoint.client.url(), "sent");
                }
                Err(error @ rpc::ClientError::Refused { .. }) => {
                    // Often "already included": whether it was needed is read off the chain.
                    tracing::debug!(id = %transaction.id(), %error, "not taken");
                }
                Err(error) => endpoint.failed(Instant::now(), &error.to_string()),
            }
        }
    });
    futures::future::join_all(sends).await;
}

#[cfg(test)]
mod tests;
