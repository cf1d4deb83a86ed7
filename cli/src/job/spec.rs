//! The job spec as a customer writes it, in YAML.
//!
//! ```yaml
//! version: gridproof/v1
//! name: histogram
//! engine:
//!   type: wasm
//!   params:
//!     module: ./histogram.wasm        # a path (relative to the spec), or blake3:<hash>[:<bytes>]
//!     args: ["--bins", "16"]
//!     env: {MODE: fast}
//!     stdin: ./words.txt
//! inputs:
//!   - {source: ./data.bin, target: /in/data}
//! outputs:                            # stdout and stderr are always kept
//!   - {name: hist, path: /out/hist.csv}
//! tasks: {array: 4}                   # or {chain: 4, state: [hist]}: each begins with what the one before it left
//! resources: {fuel: 5G, memory: 256MiB, output: 64MiB, wait: 10m}
//! constraints: {attributes: {location: de}}
//! verification: {verifiers: 2, tasks: all, value_at_risk: 10, task_value_at_risk: 1, confidence: 0.99}
//! payment: {price: 1}
//! determinism: {clock: 1577836800, random_seed: "00...00"}
//! ```
//!
//! [`document`] holds the types of the document, [`checks`] the rules of each section, [`mistake`] what people are told.
//! `docs/job-spec.md` explains every field, with limits and defaults. What is read here names files; hashing and uploading
//! them is [`super::input`]'s business.

mod checks;
pub mod document;
mod field;
mod mistake;
mod source;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

use types::hash::Hash32;
use types::job::{
    Argument, Constraints, GuestPath, Name, Output, StateOutputs, TaskLimits, TaskSet, Verification,
};
use types::number::{Amount, SQUARE};

pub use checks::{MIN_MEMORY_BYTES, NS_PER_SECOND};
use document::SpecDocument;
pub use field::{BYTE_UNITS, FUEL_UNITS, TIME_UNITS};
use field::{Field, required};
pub use mistake::{SpecError, TAKEN_NAMES};
pub use source::{InputOrigin, SpecSource};
pub use written::yaml;

/// Price cap per task, if the spec names none.
pub const DEFAULT_PRICE_PER_TASK: Amount = Amount(SQUARE.0 / 10);
/// The only format of this version.
const FORMAT: &str = "gridproof/v1";

/// A spec, read and checked as far as it can be without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The job's name, for people.
    pub name: Name,
    /// Bytes of the module.
    pub module: SpecSource,
    /// Arguments after the program's name.
    pub arguments: Vec<Argument>,
    /// Environment variables of each task.
    pub environment: BTreeMap<Argument, Argument>,
    /// Bytes of standard input.
    pub stdin: Option<SpecSource>,
    /// Files that every task can read, sorted by target.
    pub inputs: Vec<(SpecSource, GuestPath)>,
    /// Files below `/out`, sorted by name.
    pub outputs: Vec<Output>,
    /// The tasks, at least one.
    pub tasks: TaskSet,
    /// The outputs that each task hands to the next; none where they are independent.
    pub state: StateOutputs,
    /// Limits of each task.
    pub limits: TaskLimits,
    /// Which partners may run it.
    pub constraints: Constraints,
    /// How results are checked.
    pub verification: Verification,
    /// Maximum cost of execution, for all tasks.
    pub price_cap: Amount,
    /// How long it may wait for a place, in milliseconds.
    pub max_wait_ms: u64,
    /// Start of each task's clock, in nanoseconds since 1970.
    pub clock_start_ns: u64,
    /// Seeds each task's random bytes.
    pub random_seed: Hash32,
}

impl Spec {
    /// Reads a spec; `folder` is where relative paths start.
    pub fn parse(source: &str, folder: &Path) -> Result<Self, SpecError> {
        let document = document::read::<SpecDocument>(source)?;
        let (line, document) = (document.referenced.line(), document.value);
        let version = Field::required("", line, "version", document.version.as_ref())?;
        if version.text() != FORMAT {
            return Err(version.expected());
        }
        let name = Field::required("", line, "name", document.name.as_ref())?;
        let name = checks::name(&name)?;
        let engine = required("", line, "engine", document.engine.as_ref())?;
        let program = checks::engine(engine, folder)?;
        let tasks = document
            .tasks
            .as_ref()
            .map_or(Ok(TaskSet::all(1)), checks::tasks)?;
        let price = document.payment.as_ref();
        let price = price.and_then(|payment| payment.value.price.as_ref());
        let price_cap = match Field::optional("payment.price", price) {
            Some(field) => field.parsed()?,
            None => DEFAULT_PRICE_PER_TASK
                .checked_mul(u128::from(tasks.count()))
                .unwrap_or(DEFAULT_PRICE_PER_TASK),
        };
        let (clock_start_ns, random_seed) =
            checks::determinism(document.determinism.as_ref().map(|section| &section.value))?;
        let inputs = document.inputs.as_ref();
        let outputs = document.outputs.as_ref();
        let constraints = document.constraints.as_ref();
        let verification = document.verification.as_ref();
        let outputs = outputs.map_or(Ok(Vec::new()), checks::outputs)?;
        let state = document
            .tasks
            .as_ref()
            .map_or(Ok(StateOutputs::default()), |section| {
                checks::state(section, &outputs)
            })?;
        let verification =
            checks::verification(verification.map(|section| &section.value), price_cap)?;
        if state.is_chain() {
            checks::chain(&document, &verification)?;
        }
        Ok(Self {
            name,
            module: program.module,
            arguments: program.arguments,
            environment: program.environment,
            stdin: program.stdin,
            inputs: inputs.map_or(Ok(Vec::new()), |list| checks::inputs(list, folder))?,
            outputs,
            state,
            limits: checks::limits(
                document.resources.as_ref().map(|section| &section.value),
                tasks.count(),
            )?,
            tasks,
            constraints: constraints.map_or(Ok(Constraints::default()), |section| {
                checks::constraints(&section.value)
            })?,
            verification,
            price_cap,
            max_wait_ms: checks::max_wait_ms(
                document.resources.as_ref().map(|section| &section.value),
            )?,
            clock_start_ns,
            random_seed,
        })
    }

    /// Every source, module first.
    pub fn sources(&self) -> impl Iterator<Item = &SpecSource> {
        std::iter::once(&self.module)
            .chain(&self.stdin)
            .chain(self.inputs.iter().map(|(source, _)| source))
    }
}

#[cfg(test)]
mod tests;
