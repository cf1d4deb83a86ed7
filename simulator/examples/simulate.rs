//! Runs seeds of the whole-node simulator: `simulate --seed N [--verbose]` for one (with its scenario and
//! events), `simulate --seeds N` for the first N. Exit code 1 if one fails.

use std::process::ExitCode;

use gridproof_simulator::{self as simulator, RunOptions, Scenario};

#[expect(clippy::print_stdout, reason = "a program's output")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let verbose = arguments.iter().any(|argument| argument == "--verbose");
    let options = RunOptions {
        print: verbose.then_some(say),
    };
    let seeds = match (value("--seed"), value("--seeds")) {
        (Some(seed), None) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        _ => {
            say("usage: simulate --seed N [--verbose] | --seeds N");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0u32;
    for seed in seeds.clone() {
        if verbose {
            say(&format!("{:#?}", Scenario::of(seed)));
        }
        match simulator::run(seed, options) {
            Ok(report) => {
                let (height, time) = (report.height, report.virtual_ms);
                say(&format!(
                    "seed {seed}: height {height} after {time} ms, {} events, trace {}",
                    report.events, report.trace
                ));
            }
            Err(failure) => {
                failed += 1;
                say(&format!("FAILED {failure}"));
            }
        }
    }
    say(&format!(
        "{} seeds, {failed} failed",
        seeds.end - seeds.start
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
