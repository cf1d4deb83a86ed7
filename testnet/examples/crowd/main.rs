//! Many jobs on five partners, in a devnet of real processes: each runs, or is refused at once with when to try again.
//!
//! `scripts/crowd JOBS [--kill]` runs it. With `--kill` one of the four validators and two of the five partners are killed once
//! half of the jobs are in. The last line on standard output is one JSON object: how the jobs ended and how long all of
//! it took.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a command says"
)]

extern crate gridproof_testnet as testnet;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blobs::Encoder;
use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rpc::model::{JobView, TransactionStatus};
use rustix::process::Signal;
use serde::Serialize;
use testnet::devnet::process::{signal, wait_until};
use testnet::temporary::TemporaryDevnet;
use types::codec::Text;
use types::gas::with_least_fee;
use types::hash::{JobId, TransactionId};
use types::job::JobSpec;
use types::key::SecretKey;
use types::number::{Amount, Fuel, Height, Nonce};
use types::transaction::{Action, Transaction};

const PARTNERS: u16 = 5;
/// Who is killed with `--kill`: a third of the validators as far as the chain outlives it, and half of the partners.
const KILLED: [&str; 3] = ["validator-3", "partner-3", "partner-4"];
/// The longest that a job may wait for a place, in milliseconds.
const MAX_WAIT_MS: u64 = 3_600_000;
/// How long all jobs may take together.
const TIME_LIMIT: Duration = Duration::from_hours(1);
/// A WASM module whose `_start` does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";

/// What is printed of a run.
#[derive(Debug, Default, Serialize)]
struct CrowdReport {
    jobs: usize,
    killed: Vec<&'static str>,
    /// Jobs by how they ended: `settled`, or why they failed.
    ended: BTreeMap<String, usize>,
    /// Jobs that were not taken, by the code of the refusal.
    refused: BTreeMap<String, usize>,
    /// What the first refusal said.
    refusal: Option<String>,
    seconds: u64,
}

struct Crowd {
    network: TemporaryDevnet,
    client: Client,
    key: SecretKey,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let parsed = match arguments[..] {
        [jobs] => jobs.parse().ok().map(|jobs| (jobs, false)),
        [jobs, "--kill"] => jobs.parse().ok().map(|jobs| (jobs, true)),
        _ => None,
    };
    let Some((jobs, kills)) = parsed else {
        eprintln!("usage: scripts/crowd JOBS [--kill]");
        return Ok(ExitCode::from(2));
    };
    let report = Crowd::start()?.run(jobs, kills)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}

impl Crowd {
    fn start() -> Result<Self> {
        let network = TemporaryDevnet::start(&peer()?, PARTNERS, |_| Vec::new())?;
        let key = keyfile::read_secret(
            &network.devnet.manifest.customer_key,
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )?;
        let client = network.client(0)?;
        Ok(Self {
            network,
            client,
            key,
        })
    }

    fn run(&self, jobs: usize, kills: bool) -> Result<CrowdReport> {
        let begun = Instant::now();
        let mut report = CrowdReport {
            jobs,
            ..CrowdReport::default()
        };
        let mut sent = Vec::new();
        for number in 0..jobs {
            if kills && number == jobs / 2 {
                self.kill(&mut report);
            }
            sent.push(self.submit(number)?);
        }
        eprintln!("{jobs} jobs are sent after {} s", begun.elapsed().as_secs());
        let mut live = Vec::new();
        for (job, transaction) in sent {
            match self.refusal(transaction)? {
                None => live.push(job),
                Some((code, message)) => {
                    *report.refused.entry(code).or_default() += 1;
                    report.refusal.get_or_insert(message);
                }
            }
        }
        let mut ended = BTreeMap::new();
        let all_ended = wait_until(TIME_LIMIT, || {
            live.retain(|job| {
                self.end_of(*job).is_none_or(|end| {
                    *ended.entry(end).or_default() += 1;
                    false
                })
            });
            live.is_empty()
        });
        ensure!(
            all_ended,
            "{} jobs are not over, {ended:?} are\n{}",
            live.len(),
            self.network.last_words(20)
        );
        report.ended = ended;
        report.seconds = begun.elapsed().as_secs();
        Ok(report)
    }

    fn kill(&self, report: &mut CrowdReport) {
        for process in &self.network.devnet.manifest.processes {
            if let Some(name) = KILLED.iter().find(|name| **name == process.name) {
                eprintln!("killing {name}");
                signal(process.pid, Signal::KILL);
                report.killed.push(name);
            }
        }
    }

    /// Submits a job, as soon as the node takes it; the first brings the module.
    fn submit(&self, number: usize) -> Result<(JobId, TransactionId)> {
        let mut submitted = None;
        let taken = wait_until(Duration::from_mins(2), || {
            submitted = self.network.block_on(self.offer(number)).ok();
            submitted.is_some()
        });
        ensure!(taken, "job {number} is not taken");
        let (job, transaction) = submitted.context("a job that was taken")?;
        if number == 0 {
            self.bring(job)?;
        }
        Ok((job, transaction))
    }

    async fn offer(&self, number: usize) -> Result<(JobId, TransactionId)> {
        let status = self.client.status().await?;
        let account = self.client.account(self.key.public().address()).await?;
        let transaction = Transaction {
            chain_id: status.chain_id,
            sender: self.key.public(),
            nonce: Nonce(account.next_nonce.0),
            valid_until: Height(status.height.0 + 10_000),
            fee: Amount::ZERO,
            action: Action::SubmitJob {
                spec: Box::new(spec(number)?),
            },
        };
        let transaction = with_least_fee(transaction, status.min_fee);
        let (job, id) = (transaction.job_id(), transaction.id());
        self.client.submit(&transaction.sign(&self.key)).await?;
        Ok((job, id))
    }

    fn bring(&self, job: JobId) -> Result<()> {
        let encoder = Encoder::of(MODULE);
        let held = wait_until(Duration::from_mins(1), || {
            self.network.block_on(async {
                let view = self.client.job(job).await.ok();
                if view.as_ref().is_some_and(JobView::takes_inputs)
                    && let Ok(chunk) = encoder.encode(MODULE, 0)
                {
                    // Refused once it is there.
                    let _ = self
                        .client
                        .put_blob_chunk(job, encoder.id(), 0, chunk)
                        .await;
                }
                view.is_some_and(|view| view.stage != "pending" || !view.takes_inputs())
            })
        });
        ensure!(held, "the module is not held");
        Ok(())
    }

    /// Why the transaction that submits a job failed, if it did.
    fn refusal(&self, transaction: TransactionId) -> Result<Option<(String, String)>> {
        let limit = Duration::from_mins(3);
        let status = self
            .network
            .block_on(self.client.wait_transaction(transaction, limit))?;
        match status {
            TransactionStatus::Included { receipt, .. } => Ok(receipt
                .failure
                .map(|failure| (failure.code, failure.message))),
            TransactionStatus::Pending { id, .. } => anyhow::bail!("transaction {id} is pending"),
        }
    }

    /// How a job ended, if it did.
    fn end_of(&self, job: JobId) -> Option<String> {
        let view = self.network.block_on(self.client.job(job)).ok()?;
        if view.live {
            return None;
        }
        let failure = view
            .failure
            .and_then(|reason| serde_json::to_value(reason).ok());
        let reason = failure.and_then(|reason| Some(reason.as_str()?.to_owned()));
        Some(reason.unwrap_or(view.stage))
    }
}

/// The program that runs validators and partners, beside this one.
fn peer() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(|examples| examples.parent());
    let peer = folder.context("a folder of examples")?.join("testnet-peer");
    ensure!(peer.exists(), "{} was not built", peer.display());
    Ok(peer)
}

fn spec(number: usize) -> Result<JobSpec> {
    let mut workload = types::testing::workload(MODULE, 1);
    workload.limits.fuel = Fuel(1_000_000);
    let mut spec = types::testing::job_spec(workload);
    spec.name = Text::new(format!("job {number}"))?;
    spec.max_wait_ms = MAX_WAIT_MS;
    Ok(spec)
}
