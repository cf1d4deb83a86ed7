//! Every mistake names its line, its field and what was expected.

use types::number::{Fuel, TaskIndex};

use super::checks::{DEFAULT_CLOCK_SECONDS, DEFAULT_FUEL};
use super::*;

mod chain;

const SHORT: &str = "\
version: gridproof/v1
name: histogram
engine:
  type: wasm
  params:
    module: hist.wasm
    args: [--bins, 16]
    env: {MODE: fast}
inputs:
  - source: data/words.txt
    target: /in/data
outputs:
  - {name: hist, path: /out/hist.csv}
";

fn parse(source: &str) -> Result<Spec, SpecError> {
    Spec::parse(source, Path::new("/specs"))
}

/// The short spec with one piece of text replaced.
fn with(from: &str, to: &str) -> Result<Spec, SpecError> {
    assert!(SHORT.contains(from), "{from:?} is not in the spec");
    parse(&SHORT.replacen(from, to, 1))
}

#[test]
fn a_short_spec_has_defaults() {
    let spec = parse(SHORT).unwrap();
    assert_eq!(
        spec.module.origin,
        InputOrigin::File("/specs/hist.wasm".into())
    );
    assert_eq!(
        spec.arguments
            .iter()
            .map(Argument::as_str)
            .collect::<Vec<_>>(),
        ["--bins", "16"]
    );
    assert_eq!(
        spec.inputs[0].0.origin,
        InputOrigin::File("/specs/data/words.txt".into())
    );
    assert_eq!(
        (spec.inputs[0].0.line, spec.inputs[0].0.field.as_str()),
        (10, "inputs[0].source")
    );
    assert_eq!(
        (&spec.tasks, spec.price_cap),
        (&TaskSet::all(1), DEFAULT_PRICE_PER_TASK)
    );
    assert_eq!(spec.limits.fuel, DEFAULT_FUEL);
    assert_eq!(spec.verification.value_at_risk, DEFAULT_PRICE_PER_TASK);
    assert_eq!(
        (spec.clock_start_ns, spec.random_seed),
        (DEFAULT_CLOCK_SECONDS * 1_000_000_000, Hash32::ZERO)
    );
    assert_eq!(spec.sources().count(), 2);
}

#[test]
fn every_field_is_read() {
    let hash = "ab".repeat(32);
    let more = format!(
        "{SHORT}tasks: {{array: 4}}\nresources: {{fuel: 20G, memory: 64MiB, output: 1_000kB}}\n\
         constraints: {{attributes: {{location: de}}}}\n\
         verification: {{verifiers: 2, tasks: all, value_at_risk: 10, task_value_at_risk: 2.50, confidence: 0.95}}\n\
         payment: {{price: 0.10}}\ndeterminism: {{clock: 7, random_seed: {hash}}}\n"
    )
    .replace("data/words.txt", &format!("blake3:{hash}:12"));
    let spec = parse(&more).unwrap();
    assert_eq!(spec.tasks, TaskSet::all(4));
    let limits = TaskLimits {
        fuel: Fuel(20_000_000_000),
        memory_bytes: 64 << 20,
        output_bytes: 1_000_000,
    };
    assert_eq!(spec.limits, limits);
    assert_eq!(spec.constraints.attributes.len(), 1);
    assert_eq!(spec.verification.min_verifiers, 2);
    assert_eq!(spec.verification.tasks_per_verifier, Some(u32::MAX));
    assert_eq!(spec.verification.task_value_at_risk, "2.5".parse().unwrap());
    assert_eq!(spec.verification.confidence_ppm, 950_000);
    assert_eq!(spec.price_cap, "0.1".parse().unwrap());
    assert_eq!(
        spec.inputs[0].0.origin,
        InputOrigin::Blob {
            hash: hash.parse().unwrap(),
            length: Some(12)
        }
    );
    assert_eq!(
        (spec.clock_start_ns, spec.random_seed),
        (7_000_000_000, hash.parse().unwrap())
    );
}

#[test]
fn single_tasks_of_an_array_are_named() {
    let tasks = |section: &str| parse(&format!("{SHORT}tasks: {section}\n")).unwrap();
    let named = |array, indices: [u32; 2]| TaskSet::named(array, &indices.map(TaskIndex)).unwrap();
    let spec = tasks("{array: 100, indices: [7, 27]}");
    assert_eq!(spec.tasks, named(100, [7, 27]));
    let price = DEFAULT_PRICE_PER_TASK.checked_mul(2).unwrap();
    assert_eq!(spec.price_cap, price, "what is not run is not paid");
    assert_eq!(tasks("{indices: [7, 27]}").tasks, named(28, [7, 27]));
    assert_eq!(tasks("{array: 2, indices: [0, 1]}").tasks, TaskSet::all(2));
}

#[test]
fn inputs_and_outputs_are_sorted_as_the_workload_wants_them() {
    let inputs = "  - {source: z, target: /in/z}\n  - {source: a, target: /in/a}\n";
    let spec = with("  - source: data/words.txt\n    target: /in/data\n", inputs).unwrap();
    assert_eq!(
        spec.inputs
            .iter()
            .map(|(_, path)| path.as_str())
            .collect::<Vec<_>>(),
        ["/in/a", "/in/z"]
    );
}

/// (text replaced, replacement, line, field, a piece of the message)
const MISTAKES: &[(&str, &str, u64, &str, &str)] = &[
    (
        "gridproof/v1",
        "gridproof/v2",
        1,
        "version",
        "expected gridproof/v1, found \"gridproof/v2\"",
    ),
    (
        "version: gridproof/v1\n",
        "",
        1,
        "",
        "expected the field version",
    ),
    (
        "name: histogram",
        "name: [a]",
        2,
        "name",
        "expected a name of 1 to 64 bytes, found a list",
    ),
    (
        "name: histogram",
        "nmae: histogram",
        2,
        "nmae",
        "unknown field; expected one of version, name, engine",
    ),
    (
        "type: wasm",
        "type: native",
        4,
        "engine.type",
        "expected wasm",
    ),
    (
        "module: hist.wasm",
        "modul: hist.wasm",
        6,
        "engine.params.modul",
        "unknown field; expected one of module",
    ),
    (
        "    module: hist.wasm\n",
        "",
        6,
        "engine.params",
        "expected the field module",
    ),
    (
        "hist.wasm",
        "blake3:xyz",
        6,
        "engine.params.module",
        "blake3:<64 hex digits>",
    ),
    (
        "[--bins, 16]",
        "16",
        7,
        "engine.params.args",
        "expected a list, found \"16\"",
    ),
    (
        "[--bins, 16]",
        "[{a: b}]",
        7,
        "engine.params.args[0]",
        "expected a text, found a mapping",
    ),
    (
        "{MODE: fast}",
        "[a]",
        8,
        "engine.params.env",
        "expected a mapping",
    ),
    (
        "MODE: fast",
        "GRIDPROOF_TASK_INDEX: 1",
        8,
        "engine.params.env.GRIDPROOF_TASK_INDEX",
        "does not start with",
    ),
    (
        "source: data/words.txt\n    ",
        "",
        10,
        "inputs[0]",
        "expected the field source",
    ),
    (
        "/in/data",
        "data",
        11,
        "inputs[0].target",
        "expected an absolute path outside /out",
    ),
    (
        "/in/data",
        "/out/data",
        11,
        "inputs[0].target",
        "expected an absolute path outside /out",
    ),
    (
        "/in/data",
        "/in/../data",
        11,
        "inputs[0].target",
        "expected an absolute path outside /out",
    ),
    (
        "/in/data\n",
        "/in/d\n  - {source: b, target: /in/d/e}\n",
        12,
        "inputs[1].target",
        "another input is there",
    ),
    (
        "/out/hist.csv",
        "/in/hist.csv",
        13,
        "outputs[0].path",
        "expected a path below /out/",
    ),
    (
        "name: hist,",
        "name: a/b,",
        13,
        "outputs[0].name",
        "a plain file name",
    ),
    (
        "name: hist,",
        "name: stdout,",
        13,
        "outputs[0].name",
        "a plain file name other than stdout",
    ),
    (
        "csv}\n",
        "csv}\n  - {name: hist, path: /out/b}\n",
        14,
        "outputs[1].name",
        "another output has it",
    ),
    (
        "csv}\n",
        "csv}\n  - {name: b, path: /out/hist.csv/b}\n",
        14,
        "outputs[1].path",
        "another output is there",
    ),
    (
        "csv}\n",
        "csv}\ntasks: 4\n",
        14,
        "tasks",
        "expected a mapping with array, indices",
    ),
    (
        "csv}\n",
        "csv}\ntasks: {array: 0}\n",
        14,
        "tasks.array",
        "a whole number from 1 to 1024",
    ),
    (
        "csv}\n",
        "csv}\ntasks:\n  array: 1025\n",
        15,
        "tasks.array",
        "a whole number from 1 to 1024",
    ),
    (
        "csv}\n",
        "csv}\ntasks: {}\n",
        14,
        "tasks",
        "expected the field array",
    ),
    (
        "csv}\n",
        "csv}\ntasks:\n  indices:\n    - 7\n    - 7\n",
        17,
        "tasks.indices[1]",
        "expected an index above the one before it, found \"7\"",
    ),
    (
        "csv}\n",
        "csv}\ntasks: {array: 7, indices: [7]}\n",
        14,
        "tasks.indices[0]",
        "a whole number from 0 to 6",
    ),
    (
        "csv}\n",
        "csv}\ntasks: {indices: [1024]}\n",
        14,
        "tasks.indices[0]",
        "a whole number from 0 to 1023",
    ),
    (
        "csv}\n",
        "csv}\ntasks: {indices: []}\n",
        14,
        "tasks.indices",
        "a list of indices of tasks, ascending, each once",
    ),
    (
        "csv}\n",
        "csv}\nresources: {memory: 5GiB}\n",
        14,
        "resources.memory",
        "the limit is 4294967296",
    ),
    (
        "csv}\n",
        "csv}\nresources: {memory: 5GB of RAM}\n",
        14,
        "resources.memory",
        "one of the units B, KiB",
    ),
    (
        "csv}\n",
        "csv}\nresources: {fuel: 2000T}\n",
        14,
        "resources.fuel",
        "the limit is 1125899906842624",
    ),
    (
        "csv}\n",
        "csv}\nresources: {fuel: -1}\n",
        14,
        "resources.fuel",
        "a whole number",
    ),
    (
        "csv}\n",
        "csv}\nconstraints: {attributes: {a: }}\n",
        14,
        "constraints.attributes.a",
        "found nothing",
    ),
    (
        "csv}\n",
        "csv}\nverification: {verifiers: 99}\n",
        14,
        "verification.verifiers",
        "from 0 to 12",
    ),
    (
        "csv}\n",
        "csv}\nverification: {tasks: some}\n",
        14,
        "verification.tasks",
        "expected all, or a number",
    ),
    (
        "csv}\n",
        "csv}\nverification: {confidence: 1.0}\n",
        14,
        "verification.confidence",
        "above 0 and below 1",
    ),
    (
        "csv}\n",
        "csv}\nverification: {confidence: 0.0}\n",
        14,
        "verification.confidence",
        "above 0 and below 1",
    ),
    (
        "csv}\n",
        "csv}\nverification: {confidence: 0.1234567}\n",
        14,
        "verification.confidence",
        "at most 6 digits",
    ),
    (
        "csv}\n",
        "csv}\nverification:\n  value_at_risk: 1\n  task_value_at_risk: 2\n",
        16,
        "verification.task_value_at_risk",
        "expected more than 0 and at most value_at_risk, which is 1",
    ),
    (
        "csv}\n",
        "csv}\npayment: {price: free}\n",
        14,
        "payment.price",
        "an amount of SQUARE",
    ),
    (
        "csv}\n",
        "csv}\ndeterminism: {clock: now}\n",
        14,
        "determinism.clock",
        "seconds since 1970",
    ),
    (
        "csv}\n",
        "csv}\ndeterminism: {random_seed: 12}\n",
        14,
        "determinism.random_seed",
        "64 hex digits",
    ),
    (
        "args: [--bins, 16]",
        "args: [--bins, 16",
        8,
        "",
        "expected YAML",
    ),
    (
        "name: histogram",
        "name: a\nname: b",
        3,
        "",
        "expected YAML",
    ),
];

#[test]
fn every_mistake_names_its_line_its_field_and_what_was_expected() {
    for (from, to, line, field, message) in MISTAKES {
        let error = with(from, to).expect_err(to);
        let seen = (error.line, error.field.as_str());
        assert_eq!(seen, (*line, *field), "{to:?}: {error}");
        assert!(
            error.mistake.to_string().contains(message),
            "{to:?}: {error}"
        );
    }
}

#[test]
fn no_document_makes_the_parser_panic() {
    for cut in 0..SHORT.len() {
        let _ = parse(&SHORT[..cut]);
        let _ = parse(&SHORT[cut..]);
    }
    for source in [
        "",
        "~",
        "[]",
        "&a [*a]",
        "a: &x [1]\nb: *x",
        "\u{feff}version: 1",
        "? {a: b}\n: c",
        "--- 1\n--- 2",
    ] {
        assert!(parse(source).is_err(), "{source:?}");
    }
}

#[test]
fn fuzz_specs() {
    let seeds = vec![SHORT.as_bytes().to_vec()];
    types::testing::fuzz::fuzz("job spec", seeds, |input| {
        let text = String::from_utf8_lossy(input);
        types::testing::fuzz::AnswerMark::of(&parse(&text))
    });
}
