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

use network::{CheatedNetwork, PartnerMoney, compare};

/// A way to cheat.
struct Kind {
    name: &'static str,
    /// What it is, in a few words.
    about: &'static str,
    /// The fault of the two cheats, see `testnet-peer`.
    fault: &'static str,
    /// Where the job's primary must be; partners stand in three sites in turn.
    location: &'static str,
    /// The numbers of the cheats.
    cheats: [usize; 2],
    /// True if the job is a chain of tasks.
    is_chain: bool,
}

/// Fuel of the job's task, all of which it uses up.
const LITTLE_FUEL: u64 = 10_000_000;

const SION: &str = "sion";
const NANTERRE: &str = "nanterre";

const KINDS: [Kind; 9] = [
    Kind {
        name: "wrong-primary",
        about: "two of the three partners that may be primary flip a byte of what they found",
        fault: "flip-byte",
        location: SION,
        cheats: [0, 3],
        is_chain: false,
    },
    Kind {
        name: "wrong-verifier",
        about: "two verifiers flip a byte of what they found",
        fault: "flip-byte",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    Kind {
        name: "silent-primary",
        about: "both partners that may be primary take the job and never commit",
        fault: "silent-primary",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    Kind {
        name: "mute-primary",
        about: "both partners that may be primary commit and never reveal",
        fault: "withhold-opening",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    Kind {
        name: "unopened-verifier",
        about: "two verifiers commit and never open",
        fault: "unopened-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    Kind {
        name: "silent-verifier",
        about: "two verifiers announce themselves and never commit",
        fault: "silent-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    Kind {
        name: "deaf-primary",
        about: "both partners that may be primary never take the job",
        fault: "deaf-primary",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    Kind {
        name: "hidden-verifier",
        about: "two partners that sortition selects do not announce themselves",
        fault: "hidden-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    Kind {
        name: "wrong-state",
        about: "two of the three partners that may be primary hand on another state than a task of a chain left",
        fault: "flip-state",
        location: SION,
        cheats: [0, 3],
        is_chain: true,
    },
];

/// What is printed of a run.
#[derive(Debug, Serialize)]
struct CheatReport {
    kind: &'static str,
    fuel: u64,
    job_state: String,
    reason: Option<String>,
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
    let kind = KINDS.iter().find(|kind| kind.name == argument);
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

fn run(kind: &'static Kind, fuel: u64) -> Result<CheatReport> {
    eprintln!("{}: {}", kind.name, kind.about);
    let network = CheatedNetwork::start(kind.fault, &kind.cheats)?;
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
        wrong_result_stands: network.is_wrong(&ended)?,
        seconds_to_verdict: seconds.map(|time| time.as_secs_f64()),
        job_state: ended.stage,
        partners: compare(&before, &after, &kind.cheats),
    })
}
