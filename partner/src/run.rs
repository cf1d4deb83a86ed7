//! The daemon: performs what the core decides, in order, and tells it what came of it.
//!
//! Keeping comes first: an effect that puts something on disk is done before the next one begins, and if it fails the
//! daemon stops rather than send what it could not answer for. Sending, executing and uploading run beside the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use keys::keyfile::{self, KeyKind};
use light::Light;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use types::genesis::Genesis;
use types::hash::BlobId;
use types::transaction::SignedTransaction;

use crate::config::Config;
use crate::core::{Core, Effect, Event, Execution, Identity, Note, Settings};
use crate::journal::{DiskJournal, Journal};
use crate::part::Part;
use crate::servers::Servers;
use crate::watch::Watch;
use crate::work::{Cancel, Work, WorkSettings, cause_of};

/// Most inputs that wait for the loop.
const INPUT_QUEUE: usize = 64;

/// Runs the partner of a directory until `shutdown` completes.
pub async fn run(
    dir: &Path,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    config.check()?;
    let key = keyfile::read_secret(&dir.join(&config.account_key), KeyKind::Account)?;
    let vrf = keyfile::read_vrf(&dir.join(&config.vrf_key))?;
    let path = dir.join(&config.genesis);
    let bytes = std::fs::read(&path)
        .with_context(|| format!("cannot read the genesis {}", path.display()))?;
    let genesis =
        Genesis::from_bytes(&bytes).with_context(|| format!("{} is no genesis", path.display()))?;
    config.check_servers(&genesis)?;
    let light = Light::new(&genesis)?;
    let journal = DiskJournal::open(&dir.join("journal"))?;
    let (sealed, outbox) = journal.load()?;
    let settings = Settings {
        profile: config.profile(vrf.public())?,
        bond: config.bond,
        reserve: config.reserve,
        verification_slots: config.verification_slots,
        task_wall_ms: config.task_wall_ms,
        params: genesis.params.clone(),
    };
    let servers = Servers::new(&config.servers)?;
    let worker = match &config.worker {
        Some(worker) => dir.join(worker),
        None => std::env::current_exe().context("cannot find the path of this program")?,
    };
    let task_wall = Duration::from_millis(config.task_wall_ms);
    let work_settings = WorkSettings {
        quota: config.blob_quota_bytes,
        worker,
        task_wall,
    };
    let kept: BTreeSet<Part> = sealed.iter().map(|sealed| sealed.part).collect();
    let work = Work::open(dir, servers.clone(), work_settings, &kept)?;
    let identity = Identity {
        chain: light.chain(),
        key,
        vrf,
    };
    let address = identity.address();
    tracing::info!(%address, chain = %light.chain(), sealed = kept.len(), "partner starts");
    let core = Core::new(identity, settings, sealed, outbox);
    let watch = Watch::new(
        servers.clone(),
        light,
        address,
        genesis.params,
        core.height(),
    );
    let (inputs, queue) = mpsc::channel(INPUT_QUEUE);
    let watching = tokio::spawn(keep_watching(
        watch,
        Duration::from_millis(config.poll_ms),
        inputs.clone(),
    ));
    let mut shell = Shell::new(core, Box::new(journal), work, servers, inputs);
    let ended = shell.run(queue, shutdown).await;
    watching.abort();
    for cancel in shell.running.values() {
        cancel.cancel();
    }
    ended
}

/// What the loop waits for.
enum Input {
    /// Something for the core.
    Event(Event),
    /// An execution that was cancelled has stopped: nothing of it is written any more.
    Stopped(Part),
}

/// Brings a view every now and then, as long as the loop takes them.
async fn keep_watching(mut watch: Watch, every: Duration, inputs: mpsc::Sender<Input>) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(view) = watch.view().await
            && inputs
                .send(Input::Event(Event::View(Box::new(view))))
                .await
                .is_err()
        {
            return;
        }
    }
}

struct Shell {
    core: Core,
    journal: Box<dyn Journal>,
    work: Arc<Work>,
    servers: Servers,
    inputs: mpsc::Sender<Input>,
    running: BTreeMap<Part, Cancel>,
    /// The inputs that were spared when the others were last removed; nothing if some may have come since.
    spared: Option<BTreeSet<BlobId>>,
}

impl Shell {
    fn new(
        core: Core,
        journal: Box<dyn Journal>,
        work: Work,
        servers: Servers,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            core,
            journal,
            work: Arc::new(work),
            servers,
            inputs,
            running: BTreeMap::new(),
            spared: None,
        }
    }

    async fn run(
        &mut self,
        mut queue: mpsc::Receiver<Input>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        tokio::pin!(shutdown);
        loop {
            let input = tokio::select! {
                () = &mut shutdown => return Ok(()),
                input = queue.recv() => input,
            };
            let Some(input) = input else { return Ok(()) };
            self.take(input)?;
        }
    }

    fn take(&mut self, input: Input) -> anyhow::Result<()> {
        match input {
            Input::Event(event) => {
                match &event {
                    Event::Executed(executed) => {
                        tracing::info!(part = %executed.part, tasks = executed.outcomes.len(), "executed");
                        self.running.remove(&executed.part);
                    }
                    Event::NotExecuted { part, .. } => {
                        self.running.remove(part);
                    }
                    Event::View(_) | Event::Uploaded { .. } => {}
                }
                for effect in self.core.step(event) {
                    self.perform(effect)?;
                }
            }
            Input::Stopped(part) => self.clear(&part),
        }
        self.remove_inputs();
        Ok(())
    }

    /// Removes what a cancelled execution left, unless another one of its part has begun.
    fn clear(&mut self, part: &Part) {
        self.spared = None;
        if self.running.contains_key(part) || self.core.sealed().any(|sealed| sealed.part == *part)
        {
            return;
        }
        if let Err(error) = self.work.forget(part) {
            tracing::warn!(%part, %error, "cannot remove the results of a cancelled execution");
        }
    }

    /// Removes the inputs that nobody waits for any more, also those from before the start.
    fn remove_inputs(&mut self) {
        if self.spared.as_ref() == Some(self.core.inputs()) {
            return;
        }
        match self.work.retain_inputs(self.core.inputs()) {
            Ok(()) => self.spared = Some(self.core.inputs().clone()),
            // Tried again after the next input.
            Err(error) => tracing::warn!("cannot remove inputs: {error:#}"),
        }
    }

    fn perform(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Keep(sealed) => self.journal.keep(&sealed)?,
            Effect::KeepOutbox(outbox) => self.journal.keep_outbox(&outbox)?,
            Effect::Forget(part) => {
                self.journal.forget(&part)?;
                self.work
                    .forget(&part)
                    .with_context(|| format!("cannot remove the results of {part}"))?;
            }
            Effect::Send(transaction) => {
                tracing::info!(action = action_name(&transaction), id = %transaction.id(), "sending");
                tokio::spawn(send(self.servers.clone(), *transaction));
            }
            Effect::Execute(execution) => self.execute(*execution),
            Effect::Cancel(part) => {
                if let Some(cancel) = self.running.remove(&part) {
                    tracing::info!(%part, "cancelled");
                    cancel.cancel();
                }
            }
            Effect::Upload { part, blobs, offer } => {
                let (work, inputs) = (Arc::clone(&self.work), self.inputs.clone());
                tokio::spawn(async move {
                    let complete = work
                        .upload(part, &blobs, offer)
                        .await
                        .unwrap_or_else(|error| {
                            tracing::error!(%part, "cannot upload the results: {error:#}");
                            false
                        });
                    tracing::info!(%part, blobs = blobs.len(), complete, "upload ended");
                    // The loop ends only with the process.
                    let _ = inputs
                        .send(Input::Event(Event::Uploaded { part, complete }))
                        .await;
                });
            }
            Effect::Note(note @ Note::Over(_)) => tracing::info!("{note}"),
            Effect::Note(note @ Note::ForeignCommitment(_)) => tracing::error!("{note}"),
            Effect::Note(note) => tracing::warn!("{note}"),
        }
        Ok(())
    }

    fn execute(&mut self, execution: Execution) {
        let (part, cancel) = (execution.part, Cancel::default());
        tracing::info!(%part, tasks = execution.tasks.len(), "executing");
        self.running.insert(part, cancel.clone());
        let (work, inputs) = (Arc::clone(&self.work), self.inputs.clone());
        tokio::spawn(async move {
            let input = match work.execute(execution, cancel.clone()).await {
                // Its slot is free already; another execution of the part may have begun.
                _ if cancel.is_cancelled() => Input::Stopped(part),
                Ok(executed) => Input::Event(Event::Executed(Box::new(executed))),
                Err(error) => {
                    let (cause, reason) = (cause_of(&error), format!("{error:#}"));
                    Input::Event(Event::NotExecuted {
                        part,
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

/// Hands a transaction to every server: one that keeps it back does not matter then.
async fn send(servers: Servers, transaction: SignedTransaction) {
    let sends = servers.available(Instant::now()).into_iter().map(|server| {
        let transaction = &transaction;
        async move {
            match server.client.submit(transaction).await {
                Ok(_) => {
                    tracing::debug!(id = %transaction.id(), server = server.client.url(), "sent")
                }
                Err(error @ rpc::ClientError::Refused { .. }) => {
                    // Often "already included": whether it was needed is read off the chain.
                    tracing::debug!(id = %transaction.id(), %error, "not taken");
                }
                Err(error) => server.failed(Instant::now(), &error.to_string()),
            }
        }
    });
    futures::future::join_all(sends).await;
}

fn action_name(transaction: &SignedTransaction) -> &'static str {
    use types::transaction::Action;
    match &transaction.transaction.action {
        Action::Transfer { .. } => "transfer",
        Action::RegisterPartner { .. } => "register",
        Action::Bond { .. } => "bond",
        Action::Unbond { .. } => "unbond",
        Action::SubmitJob { .. } => "submit job",
        Action::Acknowledge { .. } => "acknowledge",
        Action::Decline { .. } => "decline",
        Action::Commit { .. } => "commit",
        Action::Announce { .. } => "announce",
        Action::Claim { .. } => "claim",
        Action::Reveal { .. } => "reveal",
    }
}

#[cfg(test)]
mod tests;
