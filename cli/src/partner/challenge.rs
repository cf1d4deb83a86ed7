//! `gridproof partner challenge`: runs tasks of a settled job again and, where it finds something else, challenges the receipt.
//!
//! What it committed to it can show again after a crash: the tasks give the same leaf once more, and the salt comes of a signature
//! that it shows nobody. So a second run of the command opens what the first one began.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use executor::NoResult;
use executor::worker::{WorkerHandle, WorkerJob, WorkerLimits};
use light::Light;
use partner::config::Config;
use rpc::Client;
use rpc::client::JobNews;
use rpc::model::{JobFailure, JobView};
use serde_json::json;
use types::attestation::{CommitmentContext, Contradiction, commitment, leaf};
use types::codec::decode;
use types::hash::{Domain, Hash32, JobId};
use types::job::{JobReceipt, TaskState, Workload};
use types::key::{SecretKey, signing_hash};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::TaskIndex;
use types::state_key::StateKey;
use types::transaction::{Action, JobStep};
use types::words::counted;

use super::{connect, open};
use crate::failure::{CommandFailure, ExitKind};
use crate::job::fetch;
use crate::job::name::JobName;
use crate::submit::{self, FeeArgs, failure};
use crate::trust::{light_of, value_not_proven};
use crate::ui::Ui;

/// How long each transaction may take to become final.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What is asked for.
#[derive(Debug, clap::Args)]
pub struct ChallengeArgs {
    /// The settled job whose result is to be tried: its id, or at least 4 digits that it begins with.
    job: JobName,
    /// The partner's directory.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The task to run again, counted from 0; may be given several times. Without it all tasks are run.
    #[arg(long = "task", value_name = "INDEX")]
    tasks: Vec<u32>,
    /// Only say what was found: nothing is signed.
    #[arg(long)]
    dry_run: bool,
    /// Longest time for one task, in seconds.
    #[arg(long, default_value_t = 3_600)]
    task_seconds: u64,
    /// Longest time to wait for the referees, in seconds.
    #[arg(long, default_value_t = 3_600)]
    timeout_seconds: u64,
    #[command(flatten)]
    fee: FeeArgs,
}

/// Which tasks are tried, and how.
#[derive(Debug, Clone)]
pub struct TriedTasks {
    /// The settled job.
    pub job: JobId,
    /// The tasks, ascending; all if there are none.
    pub tasks: Vec<TaskIndex>,
    /// Longest time for one task.
    pub wall: Duration,
    /// Longest time to wait for the referees.
    pub patience: Duration,
    /// True if nothing is to be signed.
    pub dry_run: bool,
    /// What is offered for the challenge.
    pub fee: FeeArgs,
}

/// What came of trying tasks.
pub enum ChallengeEnd {
    /// So many tasks were run. These give something else, and nothing was signed.
    Compared(usize, Vec<OtherLeaf>),
    /// One gave something else, and referees have decided.
    Decided(OtherLeaf, Box<JobView>),
}

/// A task at which this machine finds something else than the receipt says.
#[derive(Debug, Clone, Copy)]
pub struct OtherLeaf {
    /// The task.
    pub task: TaskIndex,
    own: Hash32,
    settled: Hash32,
}

/// What is to be contradicted, and with which key.
struct Contradictor {
    light: Light,
    key: SecretKey,
    client: Client,
    receipt: JobReceipt,
    /// The leaves of all tasks, as the receipt's result has them.
    settled: Vec<(TaskIndex, Hash32)>,
}

/// The command: tries tasks and says what came of it.
pub async fn challenge(args: &ChallengeArgs, ui: Ui) -> Result<(), CommandFailure> {
    let own = open(&args.dir, ui)?;
    let job = args.job.resolve(&connect(&own.0, ui)?).await?;
    let tried = TriedTasks {
        job,
        tasks: args.tasks.iter().copied().map(TaskIndex).collect(),
        wall: Duration::from_secs(args.task_seconds),
        patience: Duration::from_secs(args.timeout_seconds),
        dry_run: args.dry_run,
        fee: args.fee,
    };
    match Box::pin(perform(&args.dir, own, &tried, ui)).await? {
        ChallengeEnd::Compared(tasks, findings) => {
            say_findings(job, tasks, &findings, ui);
            Ok(())
        }
        ChallengeEnd::Decided(found, ended) => say_end(&found, &ended, ui),
    }
}

/// Runs tasks of a settled job again and challenges the receipt if one of them has another result.
pub async fn perform(
    dir: &Path,
    (config, key): (Config, SecretKey),
    tried: &TriedTasks,
    ui: Ui,
) -> Result<ChallengeEnd, CommandFailure> {
    let client = connect(&config, ui)?;
    let light = light_of(&dir.join(&config.genesis))?;
    let view = client.job(tried.job).await.map_err(failure)?;
    let own = key.public().address();
    let mut verifiers = view.verifiers.iter();
    let has_begun = view.stage == "challenged" && verifiers.any(|one| one.partner == own);
    let receipt = receipt(&client, &light, tried.job).await?;
    may_challenge(&view, &receipt, has_begun)?;
    let tasks = asked_tasks(&tried.tasks, &receipt)?;
    let folder = FetchFolder::new(dir, tried.job)?;
    let (workload, outcomes) = fetch::to_run(&client, &view, &receipt, &folder.0, ui).await?;
    let tasks = from_the_start(&workload, tasks);
    let limits = WorkerLimits {
        may_lack_seccomp: config.allow_missing_seccomp,
        ..WorkerLimits::of(&workload, tried.wall)
    };
    let found = run(&folder.0, &workload, &tasks, limits, ui).await?;
    let contradictor = Contradictor {
        light,
        key,
        client,
        receipt,
        settled: outcomes.leaves(&workload),
    };
    let findings = contradictor.differing(&found);
    let Some(first) = findings.first().filter(|_| !tried.dry_run) else {
        return Ok(ChallengeEnd::Compared(tasks.len(), findings));
    };
    contradictor
        .contradict(first, tried.fee, has_begun, ui)
        .await?;
    let ended = decided(&contradictor.client, tried.job, tried.patience, ui).await?;
    Ok(ChallengeEnd::Decided(*first, Box::new(ended)))
}

/// The receipt, proven against the genesis whether it stands or not.
pub async fn receipt(
    client: &Client,
    light: &Light,
    job: JobId,
) -> Result<JobReceipt, CommandFailure> {
    let key = StateKey::Receipt(job);
    let refused = |why: &str| {
        let message = format!("{} proves no receipt of job {job}: {why}", client.url());
        CommandFailure::new(ExitKind::NotVerified, "not_verified", message)
            .hint("ask another endpoint")
    };
    let proof = client.proof(&key).await.map_err(failure)?;
    let value = light
        .verify_value(&proof, &key)
        .map_err(|error| value_not_proven(&error, refused))?;
    let bytes = value
        .bytes
        .ok_or_else(|| refused("it has not settled, or was forgotten"))?;
    decode(bytes, MAX_STATE_VALUE_BYTES).map_err(|error| refused(&error.to_string()))
}

/// Refuses before anything is run what the chain would refuse.
fn may_challenge(
    view: &JobView,
    receipt: &JobReceipt,
    has_begun: bool,
) -> Result<(), CommandFailure> {
    let refused =
        |code: &str, message: String| CommandFailure::new(ExitKind::Refused, code, message);
    if view.stage != "settled" && !has_begun {
        let message = format!(
            "job {} is {}: only a settled one can be challenged",
            view.id, view.stage
        );
        return Err(
            refused("wrong_stage", message).hint("gridproof job status says what it waits for")
        );
    }
    if view.chain_time >= receipt.revocable_until && !has_begun {
        let message = format!(
            "the receipt could be challenged until chain time {} ms, now it is {} ms",
            receipt.revocable_until, view.chain_time
        );
        return Err(refused("audit_over", message).hint(
            "the primary's bond is free: nothing can be done about this result on the chain",
        ));
    }
    Ok(())
}

fn asked_tasks(
    asked: &[TaskIndex],
    receipt: &JobReceipt,
) -> Result<Vec<TaskIndex>, CommandFailure> {
    if let Some(task) = asked.iter().find(|task| !receipt.tasks.contains(**task)) {
        let message = format!("the job did not run a task {task}");
        return Err(
            CommandFailure::new(ExitKind::BadInput, "no_such_task", message)
                .hint("tasks are counted from 0"),
        );
    }
    let mut tasks = asked.to_vec();
    if tasks.is_empty() {
        tasks = receipt.tasks.indices().collect();
    }
    tasks.sort_unstable();
    tasks.dedup();
    Ok(tasks)
}

/// Of a chain all tasks up to the last one that is asked for: each begins with what the one before it leaves here, so that the first
/// wrong one is found whatever the receipt's result hands on.
fn from_the_start(workload: &Workload, tasks: Vec<TaskIndex>) -> Vec<TaskIndex> {
    match tasks.last() {
        Some(last) if workload.state.is_chain() => (0..=last.0).map(TaskIndex).collect(),
        _ => tasks,
    }
}

/// A folder for what is fetched, which goes when the command ends.
struct FetchFolder(PathBuf);

impl FetchFolder {
    fn new(dir: &Path, job: JobId) -> Result<Self, CommandFailure> {
        let path = dir.join("challenges").join(job.to_string());
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for FetchFolder {
    fn drop(&mut self) {
        // What stays is removed when the job is challenged again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs tasks in a worker process and gives their leaves.
async fn run(
    place: &Path,
    workload: &Workload,
    tasks: &[TaskIndex],
    limits: WorkerLimits,
    ui: Ui,
) -> Result<Vec<(TaskIndex, Hash32)>, CommandFailure> {
    let blobs = workload.blobs().into_iter();
    let files: BTreeMap<_, _> = blobs
        .map(|blob| (blob, fetch::input_path(place, blob)))
        .collect();
    let job = WorkerJob {
        workload: workload.clone(),
        tasks: tasks.to_vec(),
        state: TaskState::default(),
        witness_draw: None,
        files,
    };
    let program = std::env::current_exe()?;
    let progress = ui.spinner("running tasks again");
    let ran = tokio::task::spawn_blocking(move || {
        let (mut found, mut before) = (Vec::new(), TaskState::default());
        let handle = WorkerHandle::spawn(&program, &["worker"], limits)?;
        handle.run_job(&job, |task, run| {
            let leaf = leaf(&job.workload, task, &before, &run.outcome);
            before = run.outcome.state(&job.workload.state);
            found.push((task, leaf));
            Ok(())
        })?;
        Ok::<_, NoResult>(found)
    });
    let ran = ran.await;
    progress.finish();
    let no_result = |why: String| {
        let message = format!("this machine finds no result: {why}");
        CommandFailure::new(ExitKind::Other, "no_result", message).hint(
            "that says nothing of the receipt; try it with more memory, or more time (--task-seconds)",
        )
    };
    ran.map_err(|error| no_result(error.to_string()))?
        .map_err(|error| no_result(error.to_string()))
}

impl Contradictor {
    /// Where what was found is not what the receipt's result has.
    fn differing(&self, found: &[(TaskIndex, Hash32)]) -> Vec<OtherLeaf> {
        let settled: BTreeMap<_, _> = self.settled.iter().copied().collect();
        let finding = |(task, own): &(TaskIndex, Hash32)| {
            let settled = settled.get(task).copied()?;
            let (task, own) = (*task, *own);
            (settled != own).then_some(OtherLeaf { task, own, settled })
        };
        found.iter().filter_map(finding).collect()
    }

    /// Commits to a finding, unless that was done before, and shows it.
    async fn contradict(
        &self,
        finding: &OtherLeaf,
        fee: FeeArgs,
        has_begun: bool,
        ui: Ui,
    ) -> Result<(), CommandFailure> {
        let (receipt, chain) = (&self.receipt, self.light.chain());
        let author = CommitmentContext {
            chain,
            job: receipt.job,
            attempt: receipt.attempt,
            partner: self.key.public().address(),
        };
        // Nobody else can make the signature, and it is the same whenever it is made.
        let message = (&author, finding.task, finding.own);
        let secret = self
            .key
            .sign(&signing_hash(Domain::CHALLENGE_SALT, chain, &message));
        let own_salt = Hash32::of(Domain::CHALLENGE_SALT, &secret);
        let found = (finding.task, finding.own);
        let shown = Contradiction::new(own_salt, found, &receipt.salt, &self.settled);
        let shown = shown.ok_or_else(|| {
            let message = format!("the receipt's result has no task {}", finding.task);
            CommandFailure::new(ExitKind::NotVerified, "not_verified", message)
        })?;
        if !has_begun {
            let action = Action::ChallengeJob {
                job: receipt.job,
                commitment: commitment(&author, &shown.divergence.root, &own_salt),
            };
            ui.line(&format!(
                "task {} differs: challenging the receipt, {} SQUARE of the bond are locked for it",
                finding.task, receipt.policy.verifier_bond
            ));
            let terms = fee.terms(Some(chain));
            submit::send(&self.client, &self.key, action, terms, TIMEOUT).await?;
        }
        let contradiction = Box::new(shown);
        let step = JobStep::Contradict { contradiction }.of(receipt.job, receipt.attempt);
        submit::send(&self.client, &self.key, step, Some(chain), TIMEOUT).await?;
        Ok(())
    }
}

/// Waits until referees have decided.
async fn decided(
    client: &Client,
    job: JobId,
    time_limit: Duration,
    ui: Ui,
) -> Result<JobView, CommandFailure> {
    let progress = ui.spinner("validators run the task again");
    let over = |news: JobNews<'_>| matches!(news, JobNews::State(view) if !view.live);
    let view = client.wait_job(job, time_limit, over).await;
    progress.finish();
    view.map_err(|error| {
        failure(error).hint(format!(
            "the challenge goes on: gridproof job status {job} says how it ended"
        ))
    })
}

fn objects(findings: &[OtherLeaf]) -> Vec<serde_json::Value> {
    let object =
        |one: &OtherLeaf| json!({ "task": one.task, "leaf": one.own, "settled_leaf": one.settled });
    findings.iter().map(object).collect()
}

fn say_findings(job: JobId, tasks: usize, findings: &[OtherLeaf], ui: Ui) {
    let mut lines = match findings.len() {
        0 => vec![format!(
            "{} of job {job} run again, with the result of the receipt: there is nothing to challenge",
            counted(tasks, "task")
        )],
        differ => vec![format!(
            "the result is another one for {differ} of {} of job {job}; nothing was signed",
            counted(tasks, "task")
        )],
    };
    let line = |one: &OtherLeaf| {
        format!(
            " task {}: {} here, {} settled",
            one.task, one.own, one.settled
        )
    };
    lines.extend(findings.iter().map(line));
    let object =
        json!({ "job": job, "tasks": tasks, "differing": objects(findings), "challenged": false });
    ui.result(&object, &lines.join("\n"));
}

fn say_end(finding: &OtherLeaf, ended: &JobView, ui: Ui) -> Result<(), CommandFailure> {
    let job = ended.id;
    let object = json!({
        "job": job, "differing": objects(&[*finding]), "challenged": true, "stage": ended.stage, "failure": ended.failure,
    });
    let text = match ended.failure {
        Some(JobFailure::Revoked) => format!(
            "the receipt of job {job} is revoked: validators found at task {} that its result is wrong; what the primary locked is \
             divided when the appeal window is over",
            finding.task
        ),
        Some(JobFailure::NonCanonical) => format!(
            "validators found no verdict on task {}: nobody lost bond, the receipt of job {job} is revoked and its program banned",
            finding.task
        ),
        _ => {
            let message = format!(
                "validators found at task {} what the receipt says: it stands, and the bond locked for the challenge is lost",
                finding.task
            );
            return Err(CommandFailure::new(ExitKind::Refused, "challenge_lost", message)
                .hint("this machine computes something else than others do: look at its memory and at the build of gridproof")
                .with("challenge", object));
        }
    };
    ui.result(&object, &text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::job::fake;
    use crate::trust::newer;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ChallengeArgs,
    }

    #[test]
    fn a_few_digits_name_the_job_and_a_fee_may_be_offered() {
        let line = ["challenge", "--dir", "p", "--fee", "0.5", "5b1c"];
        let args = Line::try_parse_from(line).unwrap().args;
        assert_eq!(args.job, "5b1c".parse().unwrap());
        assert_eq!(args.fee.terms(None).fee, Some("0.5".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_receipt_of_a_newer_version_is_not_called_wrong() {
        let node = fake::start().await;
        *node.fake.proof.lock().unwrap() = Some(newer::value_proof());
        newer::assert_too_old(receipt(&node.client, &newer::light(), JobId::default()).await);
    }
}
