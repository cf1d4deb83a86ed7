//! Attempts to get out of a worker, made by machine code inside a real worker process, and what each layer of the cage is
//! for: something that gets through without it.
//!
//! The attempts are in `probes.c`, which the C compiler that every build needs makes a library of. No code that is
//! shipped knows of them. This program is its own harness, because a child must enter its layers before it has a second
//! thread: `escape child LAYER...` enters layers and starts a thread, in whose place a probe runs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it is its own harness"
)]

mod attempts;
mod layers;
mod place;

use std::process::ExitCode;

/// A test and its name.
type NamedTest = (&'static str, fn());

const TESTS: [NamedTest; 8] = [
    ("nothing_gets_out_of_a_worker", attempts::nothing_gets_out),
    ("without_a_cage_it_would", attempts::without_a_cage_it_would),
    (
        "every_layer_stops_something",
        layers::every_layer_stops_something,
    ),
    ("threads_are_few", layers::threads_are_few),
    (
        "nobody_looks_into_a_worker",
        layers::nobody_looks_into_a_worker,
    ),
    (
        "all_that_a_worker_started_is_killed",
        layers::the_group_is_killed,
    ),
    (
        "without_seccomp_nothing_runs_unasked",
        layers::without_seccomp_nothing_runs_unasked,
    ),
    ("a_worker_shows_its_cage", layers::a_worker_shows_its_cage),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((_, layers)) = arguments
        .split_first()
        .filter(|(first, _)| *first == "child")
    {
        return layers::child(layers);
    }
    // Arguments are those of `cargo test`: names to run, and options that do not matter here.
    let is_wanted = |name: &str| {
        let mut wanted = arguments
            .iter()
            .filter(|text| !text.starts_with('-'))
            .peekable();
        wanted.peek().is_none() || wanted.any(|text| name.contains(text.as_str()))
    };
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| is_wanted(name)) {
        let passed = std::panic::catch_unwind(test).is_ok();
        failed += u32::from(!passed);
        let end = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {end}");
    }
    ExitCode::from(u8::from(failed > 0))
}
