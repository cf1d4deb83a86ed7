//! Two of seven partners cheat in one way, in a devnet of real processes, while one job runs whose checks are certain.
//!
//! `scripts/cheat KIND` runs it. The last line on standard output is one JSON object: how the job ended, whether a wrong
//! result stands, how long referees took to their first verdict, and what each partner won or lost.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a command says"
)]

extern crate gridproof_testnet as testnet;

mod network;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use network::CheatedNetwork;
use testnet::cheats::{self, CheatKind, KINDS, PartnerMoney};

/// Fuel of the job's task, all of which it uses up.
const LITTLE_FUEL: u64 = 10_000_000;

/// What is printed of a run.
#[derive(Debug, Serialize)]
struct CheatReport {
    kind: &'static str,
    fuel: u64,
    job_state: String,
    reason: Option<String>,
    settled_by: Option<String>,
    wrong_result_stands: bool,
    seconds_to_verdict: Option<f64>,
    partners: Vec<PartnerMoney>,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (argument, fuel) = match arguments[..] {
        [kind] => (kind, Some(LITTLE_FUEL)),
        [kind, "--fuel", fuel] => (kind, fuel.parse().ok()),
        _ => ("", None),
    };
    let kind = cheats::kind(argument);
    let Some((kind, fuel)) = kind.zip(fuel) else {
        eprintln!(
            "usage: scripts/cheat KIND [--fuel N], where N is what the job's task uses up ({LITTLE_FUEL} without it) and KIND is one of"
        );
        for kind in &KINDS {
            eprintln!("  {:18} {}", kind.name, kind.about);
        }
        return Ok(ExitCode::from(2));
    };
    println!("{}", serde_json::to_string(&run(kind, fuel)?)?);
    Ok(ExitCode::SUCCESS)
}

fn run(kind: &'static CheatKind, fuel: u64) -> Result<CheatReport> {
    eprintln!("{}: {}", kind.name, kind.about);
    let network = CheatedNetwork::start(kind)?;
    let before = network.money()?;
    let job = network.submit(kind.location, fuel, kind.is_chain)?;
    let (mut disputed, mut verdict) = (None, None);
    let mut stage = String::new();
    let ended = network.follow(job, Duration::from_mins(15), |view| {
        if stage != view.stage {
            stage.clone_from(&view.stage);
            eprintln!("attempt {}: {stage}", view.attempt.0 + 1);
        }
        if view.dispute.is_some() {
            disputed.get_or_insert_with(Instant::now);
        }
        if view.verdicts > 0 {
            verdict.get_or_insert_with(Instant::now);
        }
    })?;
    network.wait_for_payout()?;
    let after = network.money()?;
    let seconds = disputed.zip(verdict).map(|(from, to)| to - from);
    let failure = ended.failure.map(serde_json::to_value).transpose()?;
    Ok(CheatReport {
        kind: kind.name,
        fuel,
        reason: failure.and_then(|reason| Some(reason.as_str()?.to_owned())),
        settled_by: network.settled_by(&ended)?,
        wrong_result_stands: network.is_wrong(&ended)?,
        seconds_to_verdict: seconds.map(|time| time.as_secs_f64()),
        job_state: ended.stage,
        partners: cheats::compare(&before, &after, |n| {
            kind.cheats.contains(&n).then_some(kind.name)
        }),
    })
}
