//! A spec that is written and read again is the same one.

use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use types::codec::{Bounded, Text};
use types::job::{Argument, Output, StateOutputs, TaskLimits, TaskSet, Workload};
use types::number::{Amount, Fuel, TaskIndex};
use types::testing::seeded;

use super::super::{InputOrigin, Spec, SpecSource};
use super::*;

/// Texts that YAML could take for something else, and others.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "",
        "no",
        "~",
        "null",
        "0x10",
        "1e3",
        "- a",
        "a: b",
        "#c",
        "'",
        "\"",
        "{}",
        "*a",
        "&a",
        "!t",
        "a\nb",
        "\n",
        " a ",
        "|",
        "2020-01-01",
        "é",
        "\u{2028}",
        "\t",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[ -~\n]{0,90}",
        "\\PC{0,20}",
    ]
}

fn argument(text: &str) -> Option<Argument> {
    Argument::new(text).ok()
}

fn spec(args: &[String], env: &BTreeMap<String, String>, tasks: u32, confidence: u32) -> JobSpec {
    let args: Vec<_> = args.iter().filter_map(|text| argument(text)).collect();
    let env = env
        .iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains('='));
    let workload = types::testing::workload(b"module", tasks);
    let workload = Workload {
        arguments: Bounded::new(args).unwrap(),
        environment: env
            .filter_map(|(name, value)| argument(name).zip(argument(value)))
            .collect(),
        stdin: Some(BlobId::of(b"words")),
        limits: TaskLimits {
            fuel: Fuel(u64::from(tasks) + 1_000_000),
            ..workload.limits
        },
        clock_start_ns: 7 * NS_PER_SECOND,
        ..workload
    };
    let mut spec = types::testing::job_spec(workload);
    spec.verification.confidence_ppm = confidence;
    spec.verification.tasks_per_verifier = (tasks > 3).then_some(tasks);
    spec.price_cap = Amount(1_234_567_890_123);
    spec.constraints.attributes =
        [(Text::new("location").unwrap(), Text::new("no").unwrap())].into();
    spec
}

fn blob(source: &SpecSource) -> BlobId {
    match source.origin {
        InputOrigin::Blob {
            hash,
            length: Some(length),
        } => BlobId { hash, length },
        ref other => panic!("{other:?}"),
    }
}

fn assert_reads_back(spec: &JobSpec) {
    let yaml = yaml(spec).unwrap();
    let read = Spec::parse(&yaml, Path::new("")).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let workload = &spec.workload;
    assert_eq!(&read.name, &spec.name);
    assert_eq!(&read.arguments, &workload.arguments.to_vec(), "{yaml}");
    assert_eq!(&read.environment, &workload.environment, "{yaml}");
    assert_eq!(blob(&read.module), workload.module);
    assert_eq!(read.stdin.as_ref().map(blob), workload.stdin);
    assert_eq!(read.outputs, workload.outputs.to_vec());
    let inputs: Vec<_> = read
        .inputs
        .iter()
        .map(|(source, target)| (blob(source), target))
        .collect();
    let expected = workload
        .inputs
        .iter()
        .map(|input| (input.blob, &input.target));
    assert!(expected.eq(inputs));
    assert_eq!(
        (&read.tasks, &read.state, read.limits),
        (&workload.tasks, &workload.state, workload.limits)
    );
    assert_eq!(read.constraints, spec.constraints);
    assert_eq!(read.verification, spec.verification);
    assert_eq!(
        (read.price_cap, read.max_wait_ms),
        (spec.price_cap, spec.max_wait_ms)
    );
    assert_eq!(
        (read.clock_start_ns, read.random_seed),
        (workload.clock_start_ns, workload.random_seed)
    );
}

proptest! {
    #![proptest_config(seeded(256))]

    #[test]
    fn what_is_written_is_read_back(
        args in vec(text(), 0..6), env in btree_map(text(), text(), 0..4), tasks in 1..9u32, confidence in 0..995_000u32,
    ) {
        assert_reads_back(&spec(&args, &env, tasks, confidence));
    }
}

#[test]
fn named_tasks_are_read_back() {
    let mut spec = spec(&[], &BTreeMap::new(), 1, 0);
    spec.workload.tasks = TaskSet::named(100, &[TaskIndex(7), TaskIndex(27)]).unwrap();
    assert_reads_back(&spec);
}

#[test]
fn a_chain_is_read_back() {
    let mut spec = spec(&[], &BTreeMap::new(), 3, 0);
    let output = Output {
        name: Text::new("state").unwrap(),
        path: Text::new("/out/state").unwrap(),
    };
    spec.workload.outputs = Bounded::new(vec![output]).unwrap();
    spec.workload.state = StateOutputs(Bounded::new(vec![0]).unwrap());
    spec.verification.task_value_at_risk = spec.verification.value_at_risk;
    assert_reads_back(&spec);
}

#[test]
fn a_clock_within_a_second_has_no_words() {
    let mut spec = spec(&[], &BTreeMap::new(), 1, 0);
    spec.workload.clock_start_ns += 1;
    assert!(matches!(yaml(&spec), Err(UnwrittenSpec::ClockStart(_))));
}
