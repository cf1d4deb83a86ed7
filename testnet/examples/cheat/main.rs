//! Two of seven partners cheat in one way, in a devnet of real processes, while one job runs whose checks are certain.
//!
//! `scripts/cheat KIND` runs it, `scripts/cheat` lists the ways to cheat. The last line on standard output is one JSON object: how the
//! job ended, whether a wrong result stands, how long referees took to their first verdict, and what each partner won or lost. What must
//! not be is said on standard error after it, and then the exit code is 1.

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
use network::CheatedNetwork;
use rpc::model::JobView;
use serde::Serialize;
use testnet::cheats::{self, CheatKind, KINDS, PartnerMoney};
use types::number::Amount;

/// Fuel of the job's task, all of which it uses up.
const LITTLE_FUEL: u64 = 10_000_000;

/// What is printed of a run.
#[derive(Debug, Serialize)]
struct CheatReport {
    kind: &'static str,
    job_state: String,
    reason: Option<String>,
    wrong_result_stands: bool,
    seconds_to_verdict: Option<f64>,
    partners: Vec<PartnerEnd>,
}

/// What is printed of a partner.
#[derive(Debug, Serialize)]
struct PartnerEnd {
    name: String,
    honest: bool,
    bond_before: Amount,
    bond_after: Amount,
    earned: String,
}

impl From<&PartnerMoney> for PartnerEnd {
    fn from(money: &PartnerMoney) -> Self {
        Self {
            name: money.name.clone(),
            honest: money.honest,
            bond_before: money.bond_before,
            bond_after: money.bond_after,
            earned: money.earned.clone(),
        }
    }
}

/// A run that is over.
struct CheatRun {
    report: CheatReport,
    /// What must not be, in words.
    faults: Vec<String>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// The ways to cheat.
    List,
    /// A run of one, with a task of so much fuel.
    Run(&'static CheatKind, u64),
}

impl Asked {
    /// What a command line asks for; nothing if that is none.
    fn of(arguments: &[&str]) -> Option<Self> {
        let (kind, fuel) = match arguments {
            [] => return Some(Self::List),
            [kind] => (kind, LITTLE_FUEL),
            [kind, "--fuel", fuel] => (kind, fuel.parse().ok()?),
            _ => return None,
        };
        Some(Self::Run(cheats::kind(kind)?, fuel))
    }
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (kind, fuel) = match Asked::of(&arguments) {
        Some(Asked::Run(kind, fuel)) => (kind, fuel),
        Some(Asked::List) => {
            for kind in &KINDS {
                println!("{}", line(kind));
            }
            return Ok(ExitCode::SUCCESS);
        }
        None => {
            eprintln!(
                "usage: scripts/cheat KIND [--fuel N], where N is what the job's task uses up ({LITTLE_FUEL} without it) and KIND is one of"
            );
            for kind in &KINDS {
                eprintln!("{}", line(kind));
            }
            return Ok(ExitCode::from(2));
        }
    };
    let CheatRun { report, faults } = run(kind, fuel)?;
    println!("{}", serde_json::to_string(&report)?);
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    Ok(ExitCode::from(exit_code(&faults)))
}

/// A way to cheat in a line of a list.
fn line(kind: &CheatKind) -> String {
    format!("  {:18} {}", kind.name, kind.about)
}

/// 1 if something is that must not be.
fn exit_code(faults: &[String]) -> u8 {
    u8::from(!faults.is_empty())
}

fn run(kind: &'static CheatKind, fuel: u64) -> Result<CheatRun> {
    eprintln!("{}: {}; a task uses up {fuel} fuel", kind.name, kind.about);
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
    if let Some(primary) = network.settled_by(&ended)? {
        eprintln!("settled by {primary}");
    }
    let after = network.money()?;
    let partners = cheats::compare(&before, &after, |n| {
        kind.cheats.contains(&n).then_some(kind.name)
    });
    let is_wrong = network.is_wrong(&ended)?;
    let seconds = disputed.zip(verdict).map(|(from, to)| to - from);
    Ok(CheatRun {
        faults: cheats::faults(usize::from(is_wrong), &partners),
        report: report(kind, ended, is_wrong, seconds, &partners)?,
    })
}

fn report(
    kind: &'static CheatKind,
    ended: JobView,
    is_wrong: bool,
    to_verdict: Option<Duration>,
    partners: &[PartnerMoney],
) -> Result<CheatReport> {
    let failure = ended.failure.map(serde_json::to_value).transpose()?;
    Ok(CheatReport {
        kind: kind.name,
        job_state: ended.stage,
        reason: failure.and_then(|reason| Some(reason.as_str()?.to_owned())),
        wrong_result_stands: is_wrong,
        seconds_to_verdict: to_verdict.map(|time| time.as_secs_f64()),
        partners: partners.iter().map(PartnerEnd::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(object: &serde_json::Value) -> Vec<&str> {
        let object = object.as_object().expect("an object");
        let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Of two partners the first cheats; these are their bonds afterwards, of 10.
    fn after(bonds: [u128; 2]) -> Vec<PartnerMoney> {
        let before = vec![(Amount(5), Amount(10)); 2];
        let after = bonds.map(|bond| (Amount(5), Amount(bond))).to_vec();
        cheats::compare(&before, &after, |n| (n == 0).then_some("wrong-primary"))
    }

    #[test]
    fn the_last_line_has_these_keys_and_no_others() {
        let report = CheatReport {
            kind: KINDS[0].name,
            job_state: "settled".to_owned(),
            reason: None,
            wrong_result_stands: false,
            seconds_to_verdict: None,
            partners: after([9, 10]).iter().map(PartnerEnd::from).collect(),
        };
        let object = serde_json::to_value(&report).expect("JSON");
        let expected = [
            "job_state",
            "kind",
            "partners",
            "reason",
            "seconds_to_verdict",
            "wrong_result_stands",
        ];
        assert_eq!(keys(&object), expected);
        let expected = ["bond_after", "bond_before", "earned", "honest", "name"];
        for partner in object["partners"].as_array().expect("partners") {
            assert_eq!(keys(partner), expected);
        }
        assert_eq!(object["partners"][1]["name"], "partner-1");
        assert_eq!(object["partners"][1]["honest"], true);
    }

    #[test]
    fn a_wrong_result_that_stands_or_an_honest_partners_loss_fails() {
        let code = |wrong, bonds| exit_code(&cheats::faults(wrong, &after(bonds)));
        assert_eq!(code(0, [9, 10]), 0, "only the cheat lost");
        assert_eq!(code(0, [10, 9]), 1, "an honest partner lost");
        assert_eq!(code(1, [10, 10]), 1, "a wrong result stands");
    }

    #[test]
    fn without_an_argument_the_kinds_are_listed_and_a_wrong_one_is_refused() {
        let kind = cheats::kind("wrong-list").expect("a kind");
        assert_eq!(Asked::of(&[]), Some(Asked::List));
        assert_eq!(
            Asked::of(&["wrong-list"]),
            Some(Asked::Run(kind, LITTLE_FUEL))
        );
        let with_fuel = Asked::of(&["wrong-list", "--fuel", "7"]);
        assert_eq!(with_fuel, Some(Asked::Run(kind, 7)));
        for wrong in [
            &["honest"][..],
            &["wrong-list", "--fuel"],
            &["wrong-list", "--fuel", "x"],
            &["wrong-list", "7"],
        ] {
            assert_eq!(Asked::of(wrong), None, "{wrong:?}");
        }
    }
}
