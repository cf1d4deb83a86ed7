//! `gridproof job`: submit jobs, wait for them, fetch and verify what they gave.

mod arguments;
mod book;
mod cancel;
mod exits;
mod explain;
#[cfg(test)]
pub(crate) mod fake;
pub mod fetch;
mod files;
mod fixed;
mod input;
mod interrupt;
mod list;
pub mod name;
pub mod report;
mod rerun;
mod schema;
mod spec;
mod submit;
mod subnet;
mod upload;
mod verify;
mod wait;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use keys::source::KeySource;
use serde_json::json;
use types::hash::{ChainId, JobId};
use types::key::SecretKey;

use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{FeeArgs, RpcArgs, failure};
use crate::trust::{Trust, TrustArgs};
use crate::ui::Ui;
use arguments::{OutArgs, SubmitArgs, TimeoutArgs};
use book::JobBook;
use input::Prepared;
use list::ListArgs;
use name::JobName;

/// Submit jobs and check their results.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Say what a field of a job spec means, or print the JSON Schema of the whole.
    Explain(explain::ExplainArgs),
    /// Check a spec and its files without asking anybody.
    #[command(after_help = "Example:\n  gridproof job validate job.yaml\n\n\
        A mistake names its line, its field and what was expected there; the exit code is then 3.")]
    Validate {
        /// The job spec, YAML.
        spec: PathBuf,
    },
    /// Show what a job would cost, how it would be checked and who could run it.
    #[command(
        after_help = "Example:\n  gridproof job estimate job.yaml --rpc http://127.0.0.1:26601"
    )]
    Estimate {
        /// The job spec, YAML.
        spec: PathBuf,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Submit a job and upload its inputs; prints its id and returns.
    #[command(after_help = SUBMIT_HELP)]
    Submit {
        #[command(flatten)]
        what: SubmitArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Show where a job stands.
    #[command(after_help = "Example:\n  gridproof job status 7f..3a --rpc http://127.0.0.1:26601")]
    Status {
        /// The job's id, or at least 4 digits that it begins with.
        job: JobName,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// List an account's jobs, or everybody's: oldest first, live and ended.
    #[command(
        after_help = "Examples:\n  gridproof job list --key alice.key\n  gridproof job list --customer 5f..e1 --live\n\n\
        Jobs that ended are listed for as long as the chain keeps them, an account's also after a server's restart."
    )]
    List {
        #[command(flatten)]
        whose: ListArgs,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Print a job's spec as YAML again, with its files named by hash.
    #[command(
        after_help = "Example:\n  gridproof job spec 7f..3a --rpc http://127.0.0.1:26601 > again.yaml\n\n\
        Bytes named by hash are there as long as a live job names them: put the files' paths in their place otherwise."
    )]
    Spec {
        /// The job's id, or at least 4 digits that it begins with.
        job: JobName,
        #[command(flatten)]
        rpc: RpcArgs,
    },
    /// Submit the tasks of a settled job that failed as a new job; prints its id and returns.
    #[command(after_help = rerun::HELP)]
    Rerun {
        #[command(flatten)]
        what: rerun::RerunArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Wait until a job is settled or failed. The exit code says which: 0, or 6 if it failed.
    #[command(
        after_help = "Example:\n  gridproof job wait 7f..3a --timeout 600 --rpc http://127.0.0.1:26601 --rpc http://127.0.0.1:26603"
    )]
    Wait {
        /// The job's id, or at least 4 digits that it begins with.
        job: JobName,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        timeout: TimeoutArgs,
    },
    /// End a live job: who has worked is paid, the rest of what it locked comes back.
    #[command(after_help = CANCEL_HELP)]
    Cancel {
        /// The job's id, or at least 4 digits that it begins with.
        job: JobName,
        /// The account that pays for the job: a key file, env:NAME or fd:NUMBER.
        #[arg(long, value_name = "KEY")]
        key: KeySource,
        #[command(flatten)]
        fee: FeeArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Fetch the receipt and all outputs of a settled job, and verify them.
    #[command(after_help = FOLDER)]
    Fetch {
        /// The job's id, or at least 4 digits that it begins with.
        job: JobName,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        trust: TrustArgs,
    },
    /// Verify a receipt and outputs offline, against genesis alone; in a subnet, if asked, by its validators' signatures too.
    #[command(after_help = VERIFY_HELP)]
    Verify {
        /// The receipt.json of a fetched job.
        #[arg(long, value_name = "FILE")]
        receipt: PathBuf,
        /// The chain's genesis, from a source that you trust.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// The folder that the job was fetched into. Without it the receipt alone is verified.
        #[arg(long, value_name = "DIR")]
        outputs: Option<PathBuf>,
        #[command(flatten)]
        subnet: subnet::SubnetArgs,
    },
    /// Submit a job, wait until it is settled, fetch its outputs and verify them.
    #[command(after_help = RUN_HELP)]
    Run {
        #[command(flatten)]
        what: SubmitArgs,
        #[command(flatten)]
        rpc: RpcArgs,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        trust: TrustArgs,
        #[command(flatten)]
        timeout: TimeoutArgs,
    },
}

const FOLDER: &str = "Example:
  gridproof job fetch 7f..3a --rpc http://127.0.0.1:26601 --genesis genesis.bin --out out

The folder then holds, for task i, <i>/<output name>, <i>/stdout and <i>/stderr (without <i>/ for a single
task), and beside them receipt.json, outcomes.bin and workload.bin, which `job verify` checks offline.";

const VERIFY_HELP: &str = "Examples:
  gridproof job verify --receipt receipt.json --genesis genesis.bin     # what it settles, for whom, for how much
  gridproof job verify --receipt out/receipt.json --genesis genesis.bin --outputs out
  gridproof job verify --receipt out/receipt.json --genesis genesis.bin --outputs out \\
      --avalanche http://127.0.0.1:9650 --chain 2CA6j5zY.. --rpc http://OTHER:9650/ext/bc/2CA6j5zY..

The second one takes the subnet's validators from the P-chain of the node at --avalanche, and has those with 67 % of the
weight sign the state that shows the receipt. Exit code 7 if anything is not what the chain settled.";

const SUBMIT_HELP: &str = "Examples:
  gridproof job submit job.yaml --key alice.key --genesis genesis.bin --rpc http://127.0.0.1:26601
  gridproof job submit job.yaml --resume 7f..3a --rpc http://127.0.0.1:26603    # after the upload broke off";

const CANCEL_HELP: &str = "Example:
  gridproof job cancel 7f..3a --key alice.key --genesis genesis.bin --rpc http://127.0.0.1:26601

It is possible until the primary reveals its results; later it is refused as too_late_to_cancel (exit code 5). A primary that has
committed is paid its price, one that still runs the job a part of it, each bound verifier its fee.";

const RUN_HELP: &str = "Examples:
  gridproof job run job.yaml --rpc http://127.0.0.1:26601 --key alice.key --genesis genesis.bin --out out
  gridproof job run job.yaml --resume 7f..3a --rpc http://127.0.0.1:26603 --genesis genesis.bin --out out

The first line of progress is the job's id. Whatever happens then, the second command goes on with that job. After Ctrl-C
the job goes on by itself, and costs what it costs; gridproof job cancel ends it.

The folder then holds, for task i, <i>/<output name>, <i>/stdout and <i>/stderr (without <i>/ for a single
task), and beside them receipt.json, outcomes.bin and workload.bin, which `job verify` checks offline.

Exit codes: 0 settled and verified, 3 bad spec or input file, 4 no connection, 5 refused, 6 the job failed,
7 not verified, 8 timed out, 15 settled and verified, but tasks of it failed (0 with --allow-failed), 130 interrupted.";

/// Runs a job command.
pub async fn run(command: JobCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        JobCommand::Explain(what) => explain::explain(&what, schema::schema, ui),
        JobCommand::Validate { spec } => validate(&spec, ui).await,
        JobCommand::Estimate { spec, rpc } => estimate(&rpc.client(ui)?, &spec, ui).await,
        JobCommand::Submit { what, rpc, trust } => {
            let (key, chain) = (what.secret(ui)?, trust.chain()?);
            let client = arguments::signed(rpc.client(ui)?, key.as_ref(), chain);
            let job = start(&client, &what, key.as_ref(), chain, ui).await?;
            let text = format!("job {job}\nfollow it with: gridproof job wait {job} --rpc {rpc}");
            ui.result(&json!({ "job": job, "genesis": trust.source() }), &text);
            Ok(())
        }
        JobCommand::Status { job, rpc } => status(&rpc.client(ui)?, &job, ui).await,
        JobCommand::List { whose, rpc } => list::list(&rpc.client(ui)?, &whose, ui).await,
        JobCommand::Spec { job, rpc } => spec_again(&rpc.client(ui)?, &job, ui).await,
        JobCommand::Rerun { what, rpc, trust } => rerun::rerun(&what, &rpc, &trust, ui).await,
        JobCommand::Wait { job, rpc, timeout } => {
            let client = rpc.client(ui)?;
            // What does not exist, or cannot be asked, is not waited for.
            let job = view(&client, &job).await?.id;
            let waiting = Box::pin(wait::settled(&client, job, timeout.duration(), ui));
            let view = interrupt::unless_interrupted(job, waiting).await?;
            let (object, text) = report::status(&view, None);
            ui.result(&object, &text);
            Ok(())
        }
        JobCommand::Cancel {
            job,
            key,
            fee,
            rpc,
            trust,
        } => {
            let client = rpc.client(ui)?;
            let job = job.resolve(&client).await?;
            let terms = fee.terms(trust.chain()?);
            cancel::cancel(&client, job, &key, terms, ui).await
        }
        JobCommand::Fetch {
            job,
            rpc,
            out,
            trust,
        } => {
            let client = rpc.client(ui)?;
            let view = view(&client, &job).await?;
            wait::is_settled(&view)?;
            let trust = trust.resolve(&client, ui).await?;
            finish(&client, &view, &out, &trust, ui).await
        }
        JobCommand::Verify {
            receipt,
            genesis,
            outputs,
            subnet,
        } => verify(&receipt, &genesis, outputs.as_deref(), &subnet, ui).await,
        JobCommand::Run {
            what,
            rpc,
            out,
            trust,
            timeout,
        } => {
            let (client, trusted) = (rpc.client(ui)?, (&out, &trust));
            Box::pin(submit_and_wait(&client, &what, trusted, timeout, ui)).await
        }
    }
}

/// Submits a job, or goes on with one, waits until it is settled, fetches its results and verifies them.
async fn submit_and_wait(
    client: &rpc::Client,
    what: &SubmitArgs,
    (out, trust): (&OutArgs, &TrustArgs),
    timeout: TimeoutArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let key = what.secret(ui)?;
    let resumed = match &what.resume {
        Some(name) => Some(name.resolve(client).await?),
        None => None,
    };
    fetch::prepare_folder(&out.folder, resumed)?;
    // What is to be verified at the end is known before anything is paid.
    let trust = trust.resolve(client, ui).await?;
    let chain = Some(trust.light.chain());
    let client = arguments::signed(client.clone(), key.as_ref(), chain);
    let job = start(&client, what, key.as_ref(), chain, ui).await?;
    fetch::mark_folder(&out.folder, job)?;
    let ended = async {
        let waiting = Box::pin(wait::settled(&client, job, timeout.duration(), ui));
        let view = interrupt::unless_interrupted(job, waiting).await?;
        finish(&client, &view, out, &trust, ui).await
    };
    ended.await.map_err(|failure| failure.about(job))
}

/// The job of a name.
async fn view(client: &rpc::Client, name: &JobName) -> Result<rpc::model::JobView, CommandFailure> {
    let job = name.resolve(client).await?;
    client.job(job).await.map_err(failure)
}

async fn status(client: &rpc::Client, job: &JobName, ui: Ui) -> Result<(), CommandFailure> {
    let view = view(client, job).await?;
    let exits = exits::ShownExits::of(client, &view).await;
    let (object, text) = report::status(&view, exits.as_ref());
    ui.result(&object, &text);
    Ok(())
}

async fn spec_again(client: &rpc::Client, job: &JobName, ui: Ui) -> Result<(), CommandFailure> {
    let view = view(client, job).await?;
    let yaml = written(&view)?;
    let object = json!({ "job": view.id, "spec": view.spec, "yaml": yaml });
    ui.result(&object, yaml.trim_end());
    Ok(())
}

/// The spec of a job as YAML.
fn written(view: &rpc::model::JobView) -> Result<String, CommandFailure> {
    let cannot = |why: String| {
        let message = format!(
            "the spec of job {} cannot be written as YAML: {why}",
            view.id
        );
        CommandFailure::new(ExitKind::BadInput, "spec_not_written", message)
            .hint("--json shows what the chain holds")
    };
    let spec = view
        .canonical_spec()
        .map_err(|error| cannot(error.to_string()))?;
    spec::yaml(&spec).map_err(|error| cannot(error.to_string()))
}

/// Verifies a receipt, and the outputs if they are given, against genesis and, if that is asked for, against the
/// subnet's validators.
async fn verify(
    receipt: &Path,
    genesis: &Path,
    outputs: Option<&Path>,
    subnet: &subnet::SubnetArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let trust = Trust::of_file(genesis)?;
    let (header, (mut object, mut text)) = if let Some(outputs) = outputs {
        let folder = verify::folder(&trust.light, receipt, outputs)?;
        let report = report::verified(&folder, trust.source());
        (folder.job.proven.header, report)
    } else {
        let proven = verify::receipt(&trust.light, receipt)?;
        let report = report::verified_receipt(&proven, trust.source());
        (proven.header, report)
    };
    let signed = subnet.check(&header, ui).await?;
    if let Some(signed) = signed {
        object["subnet"] = signed.object();
        text = format!("{text}\n{}", signed.line());
    }
    ui.result(&object, &text);
    Ok(())
}

/// Says what a job would cost and who could run it; fails if it would be refused.
async fn estimate(client: &rpc::Client, spec: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let prepared = Prepared::read(spec, Some(client), ui).await?;
    let estimate = client.estimate(&prepared.spec).await.map_err(failure)?;
    let (object, text) = report::estimate(&prepared.spec, &estimate);
    match submit::refusal(&estimate) {
        Some(refusal) if ui.json => Err(refusal.with("estimate", object)),
        refusal => {
            ui.result(&object, &text);
            refusal.map_or(Ok(()), Err)
        }
    }
}

/// Submits a job, or goes on with one that was, until its inputs are uploaded.
async fn start(
    client: &rpc::Client,
    what: &SubmitArgs,
    key: Option<&SecretKey>,
    chain: Option<ChainId>,
    ui: Ui,
) -> Result<JobId, CommandFailure> {
    match (key, &what.resume) {
        (_, Some(name)) => {
            let job = name.resolve(client).await?;
            let prepared = Prepared::read(&what.spec, Some(client), ui).await?;
            submit::resume(client, job, &prepared, ui).await
        }
        (Some(key), None) => {
            let prepared = Prepared::read(&what.spec, Some(client), ui).await?;
            let terms = submit::Terms {
                signing: what.fee.terms(chain),
                max_cost: what.max_cost,
                again: what.again,
                book: &JobBook::of_user(),
            };
            submit::submit(client, key, &terms, &prepared, ui).await
        }
        (None, None) => {
            Err(
                CommandFailure::new(ExitKind::Usage, "usage", "give --key or --resume")
                    .hint("--key pays"),
            )
        }
    }
}

async fn validate(path: &Path, ui: Ui) -> Result<(), CommandFailure> {
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
    out: &OutArgs,
    trust: &Trust,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let path = &out.folder;
    fetch::fetch(client, &trust.light, view, path, ui).await?;
    let folder = verify::folder(&trust.light, &path.join(files::RECEIPT), path)?;
    let (object, text) = report::finished(view, &folder, trust.source(), path);
    match exits::failure(folder.tasks(), &folder.failed_tasks()) {
        Some(failure) if !out.allow_failed => {
            if ui.json {
                return Err(failure.with_all(object));
            }
            ui.result(&object, &text);
            Err(failure)
        }
        _ => {
            ui.result(&object, &text);
            Ok(())
        }
    }
}
