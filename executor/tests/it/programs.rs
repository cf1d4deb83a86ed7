//! Programs as people write them, in C and Go.

use types::attestation::Exit;
use types::job::TaskSet;
use types::number::Fuel;

use crate::support::{Job, numbers, program, text};

const SUCCESS: Exit = Exit::Code { code: 0 };

#[test]
fn a_float_kernel_prints_its_numbers() {
    let run = Job::new(&program("kernel"))
        .argument("20000")
        .argument("nans")
        .run();
    assert_eq!(run.outcome.exit, SUCCESS, "{}", text(&run.stderr));
    let output = text(&run.stdout);
    assert!(output.contains("rounded 2 -0 -1 1"), "{output}");
    let nans: Vec<_> = output
        .lines()
        .filter_map(|line| line.strip_prefix("nan of "))
        .collect();
    // A NaN has one pattern, whatever made it.
    assert!(
        nans.len() == 4 && nans.iter().all(|nan| nan.ends_with(" 7ff8000000000000")),
        "{output}"
    );
}

#[test]
fn a_file_processor_writes_its_histogram() {
    let job = Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv");
    let run = job.run();
    assert_eq!(run.outcome.exit, SUCCESS, "{}", text(&run.stderr));
    let table = text(run.outputs[0].as_ref().unwrap());
    assert_eq!(table.lines().count(), 17, "{table}");
    let counted: u32 = table
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap().parse::<u32>().unwrap())
        .sum();
    assert_eq!(counted, 1_000);
    assert!(
        text(&run.stdout).starts_with("task 0 of 1: 1000 numbers"),
        "{}",
        text(&run.stdout)
    );
}

#[test]
fn tasks_of_an_array_differ_by_their_index_and_add_up() {
    let job = Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv")
        .with(|workload| workload.tasks = TaskSet::all(4));
    let mut counted = 0;
    for index in 0..4 {
        let run = job.try_run(index).unwrap();
        let table = text(run.outputs[0].as_ref().unwrap()).to_owned();
        counted += table
            .lines()
            .skip(1)
            .map(|line| line.rsplit(',').next().unwrap().parse::<u32>().unwrap())
            .sum::<u32>();
        assert!(
            text(&run.stdout).starts_with(&format!("task {index} of 4: 250 numbers")),
            "{}",
            text(&run.stdout)
        );
    }
    assert_eq!(counted, 1_000);
}

#[test]
fn a_missing_input_is_the_programs_own_affair() {
    let run = Job::new(&program("histogram"))
        .output("hist", "/out/hist.csv")
        .run();
    assert_eq!(run.outcome.exit, Exit::Code { code: 1 });
    assert_eq!(run.outputs, [None]);
    assert!(
        text(&run.stderr).contains("/in/data"),
        "{}",
        text(&run.stderr)
    );
}

#[test]
fn files_answer_as_posix_says() {
    let job = Job::new(&program("tree"))
        .input("/in/data", b"12345")
        .input("/in/deep/er/file", b"x")
        .stdin(b"typed in");
    let run = job.run();
    assert_eq!(
        text(&run.stdout),
        include_str!("../programs/tree.expected"),
        "{}",
        text(&run.stderr)
    );
    assert_eq!(run.outcome.exit, Exit::Code { code: 42 });
}

#[test]
fn go_programs_see_the_same_surroundings_twice() {
    let job = Job::new(&program("ambient"))
        .argument("one")
        .environment("KEY", "value");
    let (first, second) = (job.run(), job.run());
    assert_eq!(
        first.outcome.exit,
        SUCCESS,
        "{}{}",
        text(&first.stdout),
        text(&first.stderr)
    );
    assert_eq!(first, second);
    let output = text(&first.stdout);
    assert!(output.contains("clock: 2001-09-09T01:46:4"), "{output}");
    assert!(output.contains("slept: true"), "{output}");
    assert!(
        output.contains(
            "GRIDPROOF_TASK_COUNT=1 GRIDPROOF_TASK_INDEX=0 KEY=value] arguments: [program one]"
        ),
        "{output}"
    );
}

#[test]
fn the_seed_the_clock_and_the_index_change_what_a_go_program_sees() {
    let job = Job::new(&program("ambient")).with(|workload| workload.tasks = TaskSet::all(2));
    let line = |run: &gridproof_executor::TaskRun, start: &str| {
        text(&run.stdout)
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    let (first, index) = (job.run(), job.try_run(1).unwrap());
    let seed = job
        .clone()
        .with(|workload| workload.random_seed.0[0] ^= 1)
        .run();
    let clock = job
        .with(|workload| workload.clock_start_ns += 3_600_000_000_000)
        .run();
    assert_ne!(line(&first, "random:"), line(&index, "random:"));
    assert_ne!(line(&first, "random:"), line(&seed, "random:"));
    assert_ne!(line(&first, "map order:"), line(&seed, "map order:"));
    assert_eq!(line(&first, "random:"), line(&clock, "random:"));
    assert!(
        line(&clock, "clock:").contains("T02:46:4"),
        "{}",
        line(&clock, "clock:")
    );
}

#[test]
fn a_go_program_reads_many_files() {
    let run = Job::new(&program("words"))
        .input("/in/b/two", b"red green\nblue red")
        .input("/in/a", b"red")
        .output("words", "/out/words.csv")
        .run();
    assert_eq!(
        run.outcome.exit,
        SUCCESS,
        "{}{}",
        text(&run.stdout),
        text(&run.stderr)
    );
    assert_eq!(
        text(run.outputs[0].as_ref().unwrap()),
        "blue,1\ngreen,1\nred,3\n"
    );
    assert_eq!(text(&run.stdout), "reading /in/a\nreading /in/b/two\n");
}

#[test]
fn a_program_ends_at_its_fuel_limit_wherever_that_is() {
    let job = Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv");
    let needed = job.run().outcome.fuel;
    for (limit, exit) in [
        (needed.0, SUCCESS),
        (needed.0 - 1, Exit::OutOfFuel),
        (needed.0 / 2, Exit::OutOfFuel),
        (1, Exit::OutOfFuel),
        (0, Exit::OutOfFuel),
    ] {
        let run = job
            .clone()
            .with(|workload| workload.limits.fuel = Fuel(limit))
            .run();
        assert_eq!(run.outcome.exit, exit, "limit {limit} of {needed}");
        assert_eq!(run.outcome.fuel, Fuel(limit));
    }
}
