//! Many jobs on five partners, in a devnet of real processes: each runs, or is refused at once with when to try again.
//!
//! `scripts/crowd JOBS [--kill] [--cheat KIND,KIND]` runs it. With `--kill` one of the four validators and two of the partners are
//! killed once half of the jobs are in. With `--cheat` there are seven partners, of which two cheat, and each job has two verifiers at
//! least, so that one of them is honest; the exit code is 1 if a wrong result stands or an honest partner that lives lost bond. The
//! last line on standard output is one JSON object: how the jobs ended, how long all of it took, and with `--cheat` what each partner
//! won or lost.

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
use testnet::cheats::{self, CheatKind, KINDS, PartnerMoney};
use testnet::devnet::process::{signal, wait_until};
use testnet::temporary::TemporaryDevnet;
use types::codec::{Bounded, Text};
use types::gas::with_least_fee;
use types::hash::{JobId, TransactionId};
use types::job::{JobSpec, Output, StateOutputs};
use types::key::SecretKey;
use types::number::{Amount, Fuel, Height, Nonce};
use types::params::Params;
use types::transaction::{Action, Transaction};

const PARTNERS: u16 = 5;
/// Number of partners where some of them cheat: the first two.
const WITH_CHEATS: usize = 7;
/// Verifiers of a job where partners cheat: of two one is honest, whoever is primary.
const MIN_VERIFIERS: u16 = 2;
/// Tasks of a chain.
const CHAIN_TASKS: u32 = 3;
/// Who is killed with `--kill`: a third of the validators as far as the chain outlives it, and two honest partners.
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
    /// Jobs that stand settled with a wrong result.
    wrong_results: usize,
    /// With `--cheat`: what each partner won or lost.
    partners: Vec<PartnerMoney>,
    /// What must not be, in words.
    faults: Vec<String>,
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    jobs: usize,
    kills: bool,
    cheats: Option<[&'static CheatKind; 2]>,
}

impl Plan {
    /// The plan of a command line; nothing if that is none.
    fn of(arguments: &[&str]) -> Option<Self> {
        let [jobs, options @ ..] = arguments else {
            return None;
        };
        let mut plan = Self {
            jobs: jobs.parse().ok()?,
            ..Self::default()
        };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match *option {
                "--kill" => plan.kills = true,
                "--cheat" => {
                    let (first, second) = options.next()?.split_once(',')?;
                    plan.cheats = Some([cheats::kind(first)?, cheats::kind(second)?]);
                }
                _ => return None,
            }
        }
        Some(plan)
    }

    /// How a partner cheats, if it does.
    fn cheat(&self, partner: usize) -> Option<&'static CheatKind> {
        self.cheats?.get(partner).copied()
    }

    /// True if the job with this number is a chain: every second one, where somebody cheats in chains.
    fn is_chain(&self, number: usize) -> bool {
        let cheats = self.cheats.into_iter().flatten();
        number % 2 == 1 && cheats.into_iter().any(|kind| kind.is_chain)
    }
}

struct Crowd {
    plan: Plan,
    network: TemporaryDevnet,
    client: Client,
    key: SecretKey,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let Some(plan) = Plan::of(&arguments) else {
        eprintln!("usage: scripts/crowd JOBS [--kill] [--cheat KIND,KIND], where KIND is one of");
        for kind in &KINDS {
            eprintln!("  {:18} {}", kind.name, kind.about);
        }
        return Ok(ExitCode::from(2));
    };
    let report = Crowd::start(plan)?.run()?;
    println!("{}", serde_json::to_string(&report)?);
    for fault in &report.faults {
        eprintln!("error: {fault}");
    }
    Ok(if report.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Crowd {
    fn start(plan: Plan) -> Result<Self> {
        let network = if plan.cheats.is_some() {
            let fault = |partner| plan.cheat(partner).map(|kind| kind.fault);
            cheats::start(&peer()?, WITH_CHEATS, fault)?
        } else {
            TemporaryDevnet::start(&peer()?, PARTNERS, |_| Vec::new())?
        };
        let key = keyfile::read_secret(
            &network.devnet.manifest.customer_key,
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )?;
        let client = network.client(0)?;
        Ok(Self {
            plan,
            network,
            client,
            key,
        })
    }

    fn run(&self) -> Result<CrowdReport> {
        let begun = Instant::now();
        let mut report = CrowdReport {
            jobs: self.plan.jobs,
            ..CrowdReport::default()
        };
        let partners = self.plan.cheats.map_or(0, |_| WITH_CHEATS);
        let before = cheats::money(&self.network, &self.client, partners)?;
        let taken = self.send(&mut report, begun)?;
        self.wait(&taken, &mut report)?;
        report.seconds = begun.elapsed().as_secs();
        if self.plan.cheats.is_none() {
            return Ok(report);
        }
        self.wait_for_payout()?;
        let after = cheats::money(&self.network, &self.client, partners)?;
        let name = |partner| self.plan.cheat(partner).map(|kind| kind.name);
        report.partners = cheats::compare(&before, &after, name);
        for partner in &mut report.partners {
            partner.killed = report.killed.contains(&partner.name.as_str());
        }
        for job in taken {
            let view = self.network.block_on(self.client.job(job))?;
            let is_wrong = self
                .network
                .block_on(cheats::is_wrong(&self.client, &view))?;
            report.wrong_results += usize::from(is_wrong);
        }
        report.faults = cheats::faults(report.wrong_results, &report.partners);
        Ok(report)
    }

    /// Sends all jobs; gives those that were taken.
    fn send(&self, report: &mut CrowdReport, begun: Instant) -> Result<Vec<JobId>> {
        let jobs = self.plan.jobs;
        let mut sent = Vec::new();
        for number in 0..jobs {
            if self.plan.kills && number == jobs / 2 {
                self.kill(report);
            }
            sent.push(self.submit(number)?);
        }
        eprintln!("{jobs} jobs are sent after {} s", begun.elapsed().as_secs());
        let mut taken = Vec::new();
        for (job, transaction) in sent {
            match self.refusal(transaction)? {
                None => taken.push(job),
                Some((code, message)) => {
                    *report.refused.entry(code).or_default() += 1;
                    report.refusal.get_or_insert(message);
                }
            }
        }
        Ok(taken)
    }

    /// Waits until all jobs are over.
    fn wait(&self, taken: &[JobId], report: &mut CrowdReport) -> Result<()> {
        let mut live = taken.to_vec();
        let all_ended = wait_until(TIME_LIMIT, || {
            live.retain(|job| {
                self.end_of(*job).is_none_or(|end| {
                    *report.ended.entry(end).or_default() += 1;
                    false
                })
            });
            live.is_empty()
        });
        ensure!(
            all_ended,
            "{} jobs are not over, {:?} are\n{}",
            live.len(),
            report.ended,
            self.network.last_words(20)
        );
        Ok(())
    }

    /// Waits until verdicts are paid out: by chain time, which follows the clock.
    fn wait_for_payout(&self) -> Result<()> {
        let now = || self.network.block_on(self.client.status());
        let until = now()?.chain_time.0 + Params::devnet().compute.appeal_window_ms + 1_000;
        let reached = wait_until(Duration::from_mins(1), || {
            now().is_ok_and(|status| status.chain_time.0 >= until)
        });
        ensure!(reached, "chain time stands still");
        Ok(())
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
                spec: Box::new(self.spec(number)?),
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

    fn spec(&self, number: usize) -> Result<JobSpec> {
        let is_chain = self.plan.is_chain(number);
        let tasks = if is_chain { CHAIN_TASKS } else { 1 };
        let mut workload = types::testing::workload(MODULE, tasks);
        workload.limits.fuel = Fuel(1_000_000);
        if is_chain {
            let output = Output {
                name: Text::new("state")?,
                path: Text::new("/out/state")?,
            };
            workload.outputs = Bounded::new(vec![output])?;
            workload.state = StateOutputs(Bounded::new(vec![0])?);
        }
        let mut spec = types::testing::job_spec(workload);
        spec.name = Text::new(format!("job {number}"))?;
        spec.max_wait_ms = MAX_WAIT_MS;
        if self.plan.cheats.is_some() {
            spec.verification.min_verifiers = MIN_VERIFIERS;
            spec.verification.tasks_per_verifier = Some(tasks);
        }
        Ok(spec)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_who_cheats_and_whether_somebody_is_killed() {
        let plan = |text: &str| Plan::of(&text.split(' ').collect::<Vec<_>>());
        let of = |kills, cheats: Option<[&str; 2]>| {
            let cheats = cheats.map(|all| all.map(|name| cheats::kind(name).expect("a kind")));
            let jobs = 8;
            Some(Plan {
                jobs,
                kills,
                cheats,
            })
        };
        let both = Some(["wrong-primary", "broken-link"]);
        assert_eq!(plan("8"), of(false, None));
        assert_eq!(plan("8 --kill"), of(true, None));
        let cheated = plan("8 --cheat wrong-primary,broken-link");
        assert_eq!(cheated, of(false, both));
        assert_eq!(
            plan("8 --cheat wrong-primary,broken-link --kill"),
            of(true, both)
        );
        for wrong in [
            "",
            "x",
            "8 9",
            "8 --cheat",
            "8 --cheat wrong-primary",
            "8 --cheat honest,wrong-list",
        ] {
            assert_eq!(plan(wrong), None, "{wrong}");
        }
        let cheated = cheated.expect("a plan");
        let names = (0..3).map(|partner| cheated.cheat(partner).map(|kind| kind.name));
        assert!(names.eq([Some("wrong-primary"), Some("broken-link"), None]));
        assert_eq!(
            [0, 1, 2, 3].map(|job| cheated.is_chain(job)),
            [false, true, false, true]
        );
        let arrays = plan("8 --cheat wrong-primary,silent-verifier").expect("a plan");
        assert!(!arrays.is_chain(1));
    }
}
