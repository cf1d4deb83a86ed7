//! The job spec as it is written: types that `serde` derives, in which every value knows its place in the document.
//!
//! Each scalar is read as a text, so it keeps its spelling: `0.10` stays `0.10` and `no` stays `no`. Whether a field
//! wants a number or a name is decided by [`super::checks`]. A field with an empty value, `~` or `null` (without quotes) is
//! absent.
//!
//! Every value is a [`Spanned`]. That gives its line, and it makes the path of an error regular: each second segment is
//! `Spanned`'s own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::{Error, Location, Spanned};

use super::mistake::{FoundValue, Mistake, SpecError, expected_at};

/// A scalar as it was written, without quotes.
pub type Scalar = Spanned<String>;
/// A list whose items know their lines.
pub type List<T> = Spanned<Vec<Spanned<T>>>;
/// A mapping with free keys.
pub type Entries = Spanned<BTreeMap<String, Scalar>>;

/// The whole document: every field of a job spec, none of them checked yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecDocument {
    /// Format of the document, which is `gridproof/v1`.
    pub version: Option<Scalar>,
    /// The job's name, for people.
    pub name: Option<Scalar>,
    /// Which program runs and with what; required.
    pub engine: Option<Spanned<EngineSection>>,
    /// Files that each task sees.
    pub inputs: Option<List<InputEntry>>,
    /// Files that each task may write.
    pub outputs: Option<List<OutputEntry>>,
    /// How many tasks the job has; one if absent.
    pub tasks: Option<Spanned<TasksSection>>,
    /// Limits of each task.
    pub resources: Option<Spanned<ResourcesSection>>,
    /// Who may run it.
    pub constraints: Option<Spanned<ConstraintsSection>>,
    /// How results are checked.
    pub verification: Option<Spanned<VerificationSection>>,
    /// What it may cost.
    pub payment: Option<Spanned<PaymentSection>>,
    /// What tasks see as clock and randomness.
    pub determinism: Option<Spanned<DeterminismSection>>,
}

/// Section `engine`: the program, its arguments, environment, inputs and outputs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSection {
    /// The engine class; `wasm`.
    #[serde(rename = "type")]
    pub kind: Option<Scalar>,
    /// The program and what it is started with.
    pub params: Option<Spanned<EngineParams>>,
}

/// Section `engine.params`: what the engine is told about the program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineParams {
    /// Source of the WebAssembly module.
    pub module: Option<Scalar>,
    /// Arguments after the program's name.
    pub args: Option<List<String>>,
    /// Environment variables of every task, by name.
    pub env: Option<Entries>,
    /// Source of standard input.
    pub stdin: Option<Scalar>,
}

/// An entry of `inputs`: a file that every task can read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Where the bytes come from.
    pub source: Option<Scalar>,
    /// Where a task sees them, outside `/out` and the system's folders.
    pub target: Option<Scalar>,
}

/// An entry of `outputs`: a file that every task may write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputEntry {
    /// File name under which it is fetched.
    pub name: Option<Scalar>,
    /// Where a task writes it, below `/out/`.
    pub path: Option<Scalar>,
}

/// Section `tasks`: how often the program runs, and as which tasks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TasksSection {
    /// Number of tasks in the array, 1 to 1,024.
    pub array: Option<Scalar>,
    /// Those of the array that are run, ascending; all of them if absent.
    pub indices: Option<List<String>>,
    /// Number of tasks in a chain, 2 to 1,024; instead of an array.
    pub chain: Option<Scalar>,
    /// Names of the outputs that each task of a chain hands to the next.
    pub state: Option<List<String>>,
}

/// `resources`, of each task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcesSection {
    /// Fuel limit, with `k`, `M`, `G` or `T`.
    pub fuel: Option<Scalar>,
    /// Linear memory, in bytes or with a unit.
    pub memory: Option<Scalar>,
    /// Bytes of outputs, stdout and stderr together, in bytes or with a unit.
    pub output: Option<Scalar>,
    /// The longest wait for a place, with `s`, `m` or `h`.
    pub wait: Option<Scalar>,
}

/// Section `constraints`: which partners may run the job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstraintsSection {
    /// Attributes that a partner must have, with exactly these values.
    pub attributes: Option<Entries>,
}

/// Section `verification`: what is at risk and who checks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationSection {
    /// Minimum number of verifiers.
    pub verifiers: Option<Scalar>,
    /// Tasks per verifier: `all` or a number.
    pub tasks: Option<Scalar>,
    /// What the customer loses by a wrong result, in SQUARE.
    pub value_at_risk: Option<Scalar>,
    /// What the customer loses by one wrong task, in SQUARE.
    pub task_value_at_risk: Option<Scalar>,
    /// Probability with which one wrong task must be found.
    pub confidence: Option<Scalar>,
}

/// Section `payment`: what the job may cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentSection {
    /// Maximum cost of execution, in SQUARE.
    pub price: Option<Scalar>,
}

/// Section `determinism`: what the customer says about the program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeterminismSection {
    /// Start of a task's clock, in seconds since 1970.
    pub clock: Option<Scalar>,
    /// Seed of a task's random bytes, 64 hex digits.
    pub random_seed: Option<Scalar>,
}

/// Reads a document. A value of the wrong kind, an unknown field and a text that is not YAML are errors with a line.
pub fn read<T: DeserializeOwned>(source: &str) -> Result<Spanned<T>, SpecError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let mut field = String::new();
    let result = serde_saphyr::with_deserializer_from_str_with_options(source, options, |reader| {
        serde_path_to_error::deserialize(reader).map_err(|error| {
            field = path_of(error.path());
            error.into_inner()
        })
    });
    result.map_err(|error| mistake(&error, field, source))
}

/// The path of a field as people write it, without the segments that [`Spanned`] adds.
fn path_of(path: &Path) -> String {
    let mut text = String::new();
    for segment in path.iter().skip(1).step_by(2) {
        match segment {
            Segment::Seq { index } => text.extend(["[", &index.to_string(), "]"]),
            Segment::Map { key } if text.is_empty() => text.push_str(key),
            Segment::Map { key } => text.extend([".", key]),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

fn mistake(error: &Error, field: String, source: &str) -> SpecError {
    let location = error.location();
    let line = location.map_or(0, |location| location.line());
    let found = match error {
        Error::SerdeUnknownField { expected, .. } => {
            let mistake = Mistake::UnknownField {
                known: expected.clone(),
            };
            return SpecError::new(line, field, mistake);
        }
        Error::NullIntoString { .. } => FoundValue::Nothing,
        Error::Unexpected { .. } => {
            let is_item = field.ends_with(']');
            location.map_or(FoundValue::Nothing, |at| found_at(source, at, is_item))
        }
        _ => {
            let text = error.to_string();
            let why = text.lines().next().unwrap_or_default().to_owned();
            return SpecError::new(line, String::new(), Mistake::NotYaml { why });
        }
    };
    let what = expected_at(&field);
    SpecError::new(line, field, Mistake::Expected { what, found })
}

/// What the document holds at a place. Lists and mappings in block style have no length of their own: a mapping is placed
/// at its first key, a list at its first dash or just behind it. Behind a dash an item of a list is a mapping.
fn found_at(source: &str, at: Location, is_item: bool) -> FoundValue {
    let start = usize::try_from(at.span().offset()).unwrap_or(usize::MAX);
    let length = usize::try_from(at.span().len()).unwrap_or(0);
    let before: String = source.chars().take(start).collect();
    let rest: String = source.chars().skip(start).collect();
    let text: String = rest.chars().take(length).collect();
    let begins_with_dash = rest.starts_with("- ") || rest.starts_with("-\n");
    let line = before.rsplit('\n').next().unwrap_or_default();
    let is_behind_dash = line.trim() == "-" && !is_item;
    match text.trim() {
        "[" | "-" => FoundValue::List,
        "" if begins_with_dash || is_behind_dash => FoundValue::List,
        "" | "{" => FoundValue::Mapping,
        scalar => FoundValue::of(scalar.trim_matches(['"', '\''])),
    }
}

#[cfg(test)]
mod tests;
