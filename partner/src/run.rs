//! The daemon: performs what the core decides, in order, and tells it what came of it.
//!
//! Keeping comes first: an effect that puts something on disk is done before the next one begins, and if it fails the
//! daemon stops rather than send what it could not answer for. Sending, executing and uploading run beside the loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use executor::cage::{CageReport, undumpable};
use executor::worker::{WorkerHandle, WorkerLimits};
use keys::keyfile::{self, KeyKind};
use keys::signer_lock::SignerLock;
use light::Light;
use metrics::Catalogue;
use rpc::RequestSigner;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use types::genesis::Genesis;
use types::hash::BlobId;

use crate::assignment::Assignment;
use crate::config::{Config, PartnerConfigError};
use crate::core::{Core, Effect, Event, Note, PartnerIdentity, TaskExecution};
use crate::endpoints::Endpoints;
use crate::error::PartnerError;
use crate::init::check_folders;
use crate::journal::{DiskJournal, Journal};
use crate::ledger::Ledger;
use crate::meters::{self, EndpointMetrics, PartnerMetrics, WorkerMetrics};
use crate::operator::{OperatorSettings, PauseMark};
use crate::room::FreeRoom;
use crate::runner::{Cancel, CodeCache, ExecutionBackend, JobRunner, TaskRoom, WorkerProcess};
use crate::watch::ChainWatch;

mod controls;
mod keep;
mod send;
mod tell;

pub use controls::DaemonControls;
use keep::{keep_looking, keep_watching};
use send::send;
use tell::{tell, tell_room};

/// Time between two looks at a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

/// Time between two signs of life of the loop.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most inputs that wait for the loop.
const INPUT_QUEUE: usize = 64;

/// Runs the partner of a directory until it is to stop; tasks run in worker processes of this machine.
pub async fn run(
    dir: &Path,
    config: Config,
    controls: DaemonControls<impl Future<Output = ()>>,
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
    let mut all = meters::catalogue();
    let backend = WorkerProcess {
        code: code.await??,
        program,
        may_lack_seccomp: config.allow_missing_seccomp,
        room: TaskRoom::new(config.cores, config.memory_bytes),
        metrics: WorkerMetrics::register(&mut all),
    };
    serve(dir, config, Box::new(backend), controls, all).await
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

/// Like [`run`], with another back end for tasks.
pub async fn run_with(
    dir: &Path,
    config: Config,
    backend: Box<dyn ExecutionBackend>,
    controls: DaemonControls<impl Future<Output = ()>>,
) -> Result<(), PartnerError> {
    serve(dir, config, backend, controls, meters::catalogue()).await
}

/// Runs the daemon, and shows what `all` holds and what the loop adds to it.
async fn serve(
    dir: &Path,
    config: Config,
    backend: Box<dyn ExecutionBackend>,
    controls: DaemonControls<impl Future<Output = ()>>,
    mut all: Catalogue,
) -> Result<(), PartnerError> {
    check_folders(dir, &config)?;
    let genesis = read_genesis(&dir.join(&config.genesis))?;
    config.check_endpoints(&genesis)?;
    let passphrases = &controls.passphrases;
    let identity = PartnerIdentity {
        chain: genesis.chain_id(),
        key: keyfile::read_secret(
            &dir.join(&config.account_key),
            KeyKind::Account,
            passphrases,
        )?,
        vrf: keyfile::read_vrf(&dir.join(&config.vrf_key), passphrases)?,
    };
    let pause = PauseMark::of(dir);
    let operator = OperatorSettings {
        paused: pause.is_set(),
        vrf_key: identity.vrf.public(),
        config,
    };
    let (config, settings) = (&operator.config, operator.settings()?);
    let journal = DiskJournal::open(&dir.join("journal"))?;
    // After the directory's own lock: this one finds copies of it.
    let _signer = SignerLock::take(&identity.key.public())?;
    tell_room(dir, config);
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
    let marks = tokio::spawn(keep_looking(pause, operator.paused, every, inputs.clone()));
    metrics::disk::register(&mut all, dir);
    let (reader, asked) = (EndpointMetrics::register(&mut all), endpoints.clone());
    all.before_text(move || reader.refresh(&asked));
    let recorded = PartnerMetrics::register(&mut all);
    let mut shell = PartnerShell::new(
        dir,
        core,
        Box::new(journal),
        runner,
        endpoints,
        ledger,
        inputs,
    );
    shell.metrics = recorded;
    let shown = metrics::listener::start(&operator.config.metrics, &Arc::new(all)).await;
    let ended = shell.run(queue, controls, operator).await;
    drop(shown);
    watching.abort();
    marks.abort();
    shell.say_duties();
    for cancel in shell.running.values() {
        cancel.cancel();
    }
    ended
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
    /// The operator paused it, or let it go on.
    Paused(bool),
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
    metrics: PartnerMetrics,
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
            metrics: PartnerMetrics::default(),
        }
    }

    async fn run(
        &mut self,
        mut queue: mpsc::Receiver<ShellInput>,
        controls: DaemonControls<impl Future<Output = ()>>,
        mut operator: OperatorSettings,
    ) -> Result<(), PartnerError> {
        let mut reloads = controls.reloads;
        let (shutdown, heartbeat) = (controls.shutdown, controls.heartbeat);
        tokio::pin!(shutdown);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = tokio::time::interval(FULL_DISK_PAUSE);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // While the disk is full nothing new is taken: what waits fills the bounded queue, and its senders wait.
            let input = tokio::select! {
                () = &mut shutdown => return Ok(()),
                Some(config) = reloads.recv() => {
                    operator.reload(&config).map(ShellInput::Event)
                }
                input = queue.recv(), if !self.paused => match input {
                    None => return Ok(()),
                    Some(ShellInput::Paused(paused)) => operator.pause(paused).map(ShellInput::Event),
                    Some(input) => Some(input),
                },
                _ = look.tick() => {
                    heartbeat.beat();
                    continue;
                }
                _ = again.tick(), if self.paused => {
                    self.perform_held()?;
                    continue;
                }
            };
            if let Some(input) = input {
                self.take(input)?;
            }
        }
    }

    /// Tells the operator, who stops the daemon, what it leaves undone.
    fn say_duties(&self) {
        let duties = self.core.open_duties();
        if duties.is_empty() {
            tracing::info!("stopped: no duty is open");
        }
        let height = self.core.height();
        for duty in duties {
            tracing::warn!(
                "stopped with an open duty, as of block {height}: {duty} (hint: start it again before, or it costs bond; gridproof partner drain waits until none is open)"
            );
        }
    }

    fn take(&mut self, input: ShellInput) -> Result<(), PartnerError> {
        match input {
            ShellInput::Event(event) => {
                self.metrics.happened(&event);
                match &event {
                    Event::Executed(executed) => {
                        tracing::info!(assignment = %executed.assignment, tasks = executed.outcomes.len(), "executed");
                        self.running.remove(&executed.assignment);
                    }
                    Event::NotExecuted { assignment, .. } => {
                        self.running.remove(assignment);
                    }
                    Event::Proven(proven) => {
                        self.ledger.take(proven);
                        self.metrics.proven(proven);
                        self.metrics.earned(self.ledger.totals());
                    }
                    Event::Settings(_) | Event::Uploaded { .. } | Event::Room(_) => {}
                }
                if matches!(event, Event::Proven(_)) {
                    let room = FreeRoom::free(&self.dir).ok();
                    self.held.extend(self.core.step(Event::Room(room)));
                }
                self.held.extend(self.core.step(event));
                self.metrics.duties(&self.core);
                self.perform_held()?;
            }
            ShellInput::Stopped(assignment) => {
                self.metrics.cancelled();
                self.clear(&assignment);
            }
            ShellInput::Paused(_) => {}
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
                    self.metrics.pauses(true);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.paused) {
            self.metrics.pauses(false);
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
                self.metrics.sending(&transaction);
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
        let (metrics, begun) = (self.metrics.clone(), Instant::now());
        tokio::spawn(async move {
            let input = match runner.execute(execution, cancel.clone()).await {
                // Its place is free already; another execution of the assignment may have begun.
                _ if cancel.is_cancelled() => ShellInput::Stopped(assignment),
                Ok(executed) => {
                    metrics.executed(begun);
                    ShellInput::Event(Event::Executed(Box::new(executed)))
                }
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

#[cfg(test)]
mod tests;
