//! `gridproof job`: submit jobs, wait for them, fetch and verify what they gave.

mod fetch;
mod field;
mod files;
mod input;
mod report;
mod spec;
mod submit;
mod trust;
mod verify;
mod wait;
mod yaml;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use rpc::keyfile::{self, KeyKind};
use serde_json::json;
use types::hash::JobId;

use crate::failure::Failure;
use crate::submit::{RpcArgs, failure};
use crate::ui::Ui;
use input::Prepared;
use trust::TrustArgs;

/// Submit jobs and check their results.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Check a spec and its files without asking anybody.
    #[command(after_help = "Example:\n  gridproof job validate job.yaml\n\n\
        A mistake names its line, its field and what was expected there; the exit code is then 3.")]
    Validate {
        /// The job spec, YAML.
        spec: PathBuf,
    },
    /// Show what a job would cost, how it would be checked and who could run it.
    #[command(after_help = "Example:\n  gridproof job estimate job.yaml --rpc http://127.0.0.1:26601")]
    Estimate {
        /// The job spec, YAML.
        spec: PathBuf,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Submit a job and upload its inputs; prints its id and returns.
    #[command(after_help = "Example:\n  gridproof job submit job.yaml --key alice.key --rpc http://127.0.0.1:26601")]
    Submit {
        /// The job spec, YAML.
        spec: PathBuf,
        #[command(flatten)]
        rpc: RpcArgs,
        /// The account that pays.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Show where a job stands.
    Status {
        /// The job's id, 64 hex digits.
        job: JobId,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Wait until a job is settled or failed. The exit code says which: 0, or 6 if it failed.
    Wait {
        /// The job's id, 64 hex digits.
        job: JobId,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        patience: PatienceArgs,
    },
    /// Fetch the receipt and all outputs of a settled job, and verify them.
    #[command(after_help = FOLDER)]
    Fetch {
        /// The job's id, 64 hex digits.
        job: JobId,
        #[command(flatten)]
        rpc: RpcArgs,
        /// Where the results go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Verify a receipt and outputs offline, against genesis alone.
    #[command(
        after_help = "Example:\n  gridproof job verify --receipt out/receipt.json --genesis genesis.bin --outputs out\n\n\
        Exit code 7 if anything is not what the chain settled."
    )]
    Verify {
        /// The receipt.json of a fetched job.
        #[arg(long, value_name = "FILE")]
        receipt: PathBuf,
        /// The chain's genesis, from a source that you trust.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// The folder that the job was fetched into.
        #[arg(long, value_name = "DIR")]
        outputs: PathBuf,
    },
    /// Submit a job, wait until it is settled, fetch its outputs and verify them.
    #[command(after_help = RUN_HELP)]
    Run {
        /// The job spec, YAML.
        spec: PathBuf,
        #[command(flatten)]
        rpc: RpcArgs,
        /// The account that pays.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the results go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
        #[command(flatten)]
        patience: PatienceArgs,
    },
}

/// How long to wait.
#[derive(Debug, Clone, Copy, Args)]
pub struct PatienceArgs {
    /// Give up waiting after this many seconds; the job itself goes on (exit code 8).
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    timeout: u64,
}

impl PatienceArgs {
    fn duration(self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

const FOLDER: &str =
    "The folder then holds, for task i, <i>/<output name>, <i>/stdout and <i>/stderr (without <i>/ for a single
task), and beside them receipt.json, outcomes.bin and workload.bin, which `job verify` checks offline.";

const RUN_HELP: &str = "Example:
  gridproof job run job.yaml --rpc http://127.0.0.1:26601 --key alice.key --genesis genesis.bin --out out

The folder then holds, for task i, <i>/<output name>, <i>/stdout and <i>/stderr (without <i>/ for a single
task), and beside them receipt.json, outcomes.bin and workload.bin, which `job verify` checks offline.

Exit codes: 0 settled and verified, 3 bad spec or input file, 4 no connection, 5 refused, 6 the job failed,
7 not verified, 8 timed out.";

/// Runs a job command.
pub async fn run(command: JobCommand, ui: Ui) -> Result<(), Failure> {
    match command {
        JobCommand::Validate { spec } => validate(&spec, ui).await,
        JobCommand::Estimate { spec, rpc } => {
            let client = rpc.client()?;
            let prepared = Prepared::read(&spec, Some(&client), ui).await?;
            let estimate = client.estimate(&prepared.spec).await.map_err(failure)?;
            let (object, text) = report::estimate(&prepared.spec, &estimate);
            ui.result(&object, &text);
            submit::refusal(&estimate).map_or(Ok(()), Err)
        }
        JobCommand::Submit { spec, rpc, key } => {
            let (client, key) = (rpc.client()?, keyfile::read_secret(&key, KeyKind::Account)?);
            let prepared = Prepared::read(&spec, Some(&client), ui).await?;
            let job = submit::submit(&client, &key, &prepared, ui).await?;
            let text = format!("job {job}\nfollow it with: gridproof job wait {job} --rpc {}", client.url());
            ui.result(&json!({ "job": job }), &text);
            Ok(())
        }
        JobCommand::Status { job, rpc } => {
            let view = rpc.client()?.job(job).await.map_err(failure)?;
            ui.result(&json!(view), &report::status(&view));
            Ok(())
        }
        JobCommand::Wait { job, rpc, patience } => {
            let view = wait::settled(&rpc.client()?, job, patience.duration(), ui).await?;
            ui.result(&json!(view), &report::status(&view));
            Ok(())
        }
        JobCommand::Fetch { job, rpc, out, trust } => {
            let client = rpc.client()?;
            let view = client.job(job).await.map_err(failure)?;
            wait::is_settled(&view)?;
            finish(&client, &view, &out, &trust, ui).await
        }
        JobCommand::Verify { receipt, genesis, outputs } => {
            let verified = verify::folder(&receipt, &genesis, &outputs)?;
            let (object, text) = report::verified(&verified);
            ui.result(&object, &text);
            Ok(())
        }
        JobCommand::Run { spec, rpc, key, out, trust, patience } => {
            let (client, key) = (rpc.client()?, keyfile::read_secret(&key, KeyKind::Account)?);
            fetch::prepare_folder(&out)?;
            let prepared = Prepared::read(&spec, Some(&client), ui).await?;
            let job = submit::submit(&client, &key, &prepared, ui).await?;
            ui.line(&format!("job {job}"));
            let view = wait::settled(&client, job, patience.duration(), ui).await?;
            finish(&client, &view, &out, &trust, ui).await
        }
    }
}

async fn validate(path: &Path, ui: Ui) -> Result<(), Failure> {
    let prepared = Prepared::read(path, None, ui).await?;
    prepared.check_module(ui)?;
    let (object, text) = report::prepared(&prepared);
    ui.result(&object, &text);
    Ok(())
}

/// Fetches a settled job's results, verifies them and says what happened.
async fn finish(
    client: &rpc::Client,
    view: &rpc::model::JobView,
    out: &Path,
    trust: &TrustArgs,
    ui: Ui,
) -> Result<(), Failure> {
    let trusted = trust.light(client, ui).await?;
    fetch::fetch(client, &trusted, view, out, ui).await?;
    let verified = verify::with(&trusted, &out.join(files::RECEIPT), out)?;
    let (object, text) = report::finished(view, &verified, out);
    ui.result(&object, &text);
    Ok(())
}
