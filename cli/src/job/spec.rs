//! The job spec as a customer writes it, in YAML.
//!
//! ```yaml
//! version: gridproof/v1
//! name: histogram
//! engine:
//!   type: wasm
//!   params:
//!     module: ./histogram.wasm        # a path (relative to the spec), or blake3:<hash>[:<bytes>]
//!     args: ["--bins", "16"]          # default: none
//!     env: {MODE: fast}               # default: none
//!     stdin: ./words.txt              # default: empty
//! inputs:                             # default: none
//!   - {source: ./data.bin, target: /in/data}
//! outputs:                            # default: none; stdout and stderr are always kept
//!   - {name: hist, path: /out/hist.csv}
//! tasks: {array: 4}                   # default: 1 task
//! resources:                          # of each task
//!   fuel: 5G                        # default 5G units, about a second or two of one core
//!   memory: 256MiB                    # default 256MiB
//!   output: 64MiB                     # default 64MiB
//! constraints:                        # default: any partner
//!   attributes: {location: de}
//! verification:
//!   verifiers: 2                      # least number; default 0: the policy's draw alone decides
//!   tasks: all                        # per verifier: all, or a number; default: the policy chooses
//!   value_at_risk: 10                 # default: the price
//!   task_value_at_risk: 1             # default: value_at_risk
//! payment: {price: 1}                 # most that execution may cost, in SQUARE; default 0.1 per task
//! determinism:                        # fixed defaults, so that anybody can reproduce a result
//!   clock: 1577836800                 # seconds since 1970 at which the task's clock starts
//!   random_seed: 000...               # 64 hex digits
//! ```
//!
//! What is read here names files; hashing and uploading them is [`super::input`]'s business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use types::hash::Hash32;
use types::job::{Argument, Constraints, GuestPath, Name, Output, TaskLimits, Verification};
use types::limits::{
    MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_ATTRIBUTES, MAX_INPUTS, MAX_JOB_OUTPUT_BYTES,
    MAX_MIN_VERIFIERS, MAX_NAME_BYTES, MAX_OUTPUTS, MAX_PATH_BYTES, MAX_TASK_FUEL,
    MAX_TASK_MEMORY_BYTES, MAX_TASK_OUTPUT_BYTES, MAX_TASKS,
};
use types::number::{Amount, Fuel, SQUARE};

use super::field::{Field, SpecError};
use super::yaml;

/// Default fuel limit of a task.
pub const DEFAULT_FUEL: u64 = 5_000_000_000;
/// Default memory limit of a task, in bytes.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;
/// Default output limit of a task, in bytes.
pub const DEFAULT_OUTPUT_BYTES: u64 = 64 << 20;
/// Default price cap per task.
pub const DEFAULT_PRICE_PER_TASK: Amount = Amount(SQUARE.0 / 10);
/// Default start of the task's clock: 2020-01-01T00:00:00Z.
pub const DEFAULT_CLOCK_SECONDS: u64 = 1_577_836_800;

/// File names that a job's own files take in the directory that outputs are fetched into.
const TAKEN_NAMES: [&str; 6] = [
    "stdout",
    "stderr",
    "outcomes.bin",
    "workload.bin",
    "receipt.json",
    "genesis.bin",
];

const BYTE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
const FUEL_UNITS: [(&str, u64); 4] = [
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// A spec, read and checked as far as it can be without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// For people.
    pub name: Name,
    /// The module.
    pub module: Source,
    /// Arguments after the program's name.
    pub arguments: Vec<Argument>,
    /// Environment.
    pub environment: BTreeMap<Argument, Argument>,
    /// Standard input.
    pub stdin: Option<Source>,
    /// Files under `/in`, sorted by target.
    pub inputs: Vec<(Source, GuestPath)>,
    /// Files under `/out`, sorted by name.
    pub outputs: Vec<Output>,
    /// Number of tasks.
    pub tasks: u32,
    /// Limits of each task.
    pub limits: TaskLimits,
    /// Who may run it.
    pub constraints: Constraints,
    /// How it is checked.
    pub verification: Verification,
    /// Most that execution may cost.
    pub price_cap: Amount,
    /// Where the clock starts.
    pub clock_start_ns: u64,
    /// Seeds the random bytes.
    pub random_seed: Hash32,
}

/// Where bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The line of the spec that names it.
    pub line: u64,
    /// The field that names it.
    pub field: String,
    /// What it is.
    pub place: Place,
}

/// A file of the customer, or bytes that the network already holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file; relative paths start at the spec's directory.
    Path(PathBuf),
    /// Named by hash; the length is asked of a node if it was not written.
    Blob {
        /// BLAKE3 hash.
        hash: Hash32,
        /// Number of bytes.
        length: Option<u64>,
    },
}

impl Spec {
    /// Reads a spec; `directory` is where relative paths start.
    pub fn parse(source: &str, directory: &Path) -> Result<Self, SpecError> {
        let document = yaml::parse(source)?;
        let root = Field::root(&document);
        let fields = root.mapping(&[
            "version",
            "name",
            "engine",
            "inputs",
            "outputs",
            "tasks",
            "resources",
            "constraints",
            "verification",
            "payment",
            "determinism",
        ])?;
        let version = fields.required("version", "gridproof/v1")?;
        if version.text("gridproof/v1")? != "gridproof/v1" {
            return Err(version.expected("gridproof/v1"));
        }
        let name = name(&fields.required("name", "a name for people")?)?;
        let engine = engine(
            &fields.required("engine", "{type: wasm, params: {module: ...}}")?,
            directory,
        )?;
        let tasks = fields
            .optional("tasks")
            .map_or(Ok(1), |field| tasks(&field))?;
        let default_price = DEFAULT_PRICE_PER_TASK
            .checked_mul(u128::from(tasks))
            .unwrap_or(DEFAULT_PRICE_PER_TASK);
        let price_cap = fields
            .optional("payment")
            .map_or(Ok(default_price), |field| price(&field, default_price))?;
        let (clock_start_ns, random_seed) = match fields.optional("determinism") {
            Some(field) => determinism(&field)?,
            None => (DEFAULT_CLOCK_SECONDS * 1_000_000_000, Hash32::ZERO),
        };
        Ok(Self {
            name,
            module: engine.module,
            arguments: engine.arguments,
            environment: engine.environment,
            stdin: engine.stdin,
            inputs: fields
                .optional("inputs")
                .map_or(Ok(Vec::new()), |field| inputs(&field, directory))?,
            outputs: fields
                .optional("outputs")
                .map_or(Ok(Vec::new()), |field| outputs(&field))?,
            tasks,
            limits: limits(fields.optional("resources").as_ref(), tasks)?,
            constraints: fields
                .optional("constraints")
                .map_or(Ok(Constraints::default()), |f| constraints(&f))?,
            verification: verification(fields.optional("verification").as_ref(), price_cap)?,
            price_cap,
            clock_start_ns,
            random_seed,
        })
    }

    /// Every source, module first.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.module)
            .chain(&self.stdin)
            .chain(self.inputs.iter().map(|(source, _)| source))
    }
}

struct Engine {
    module: Source,
    arguments: Vec<Argument>,
    environment: BTreeMap<Argument, Argument>,
    stdin: Option<Source>,
}

fn engine(field: &Field<'_>, directory: &Path) -> Result<Engine, SpecError> {
    let engine = field.mapping(&["type", "params"])?;
    let kind = engine.required("type", "wasm")?;
    if kind.text("wasm")? != "wasm" {
        return Err(kind.expected("wasm, the only engine of this version"));
    }
    let params = engine.required("params", "{module: path, args: [...], env: {...}}")?;
    let params = params.mapping(&["module", "args", "env", "stdin"])?;
    let module = source(
        &params.required("module", "the path of a WebAssembly module")?,
        directory,
    )?;
    let argument = |field: &Field<'_>, text: &str| {
        Argument::new(text)
            .map_err(|_| field.expected(&format!("a text of at most {MAX_ARGUMENT_BYTES} bytes")))
    };
    let mut arguments = Vec::new();
    if let Some(field) = params.optional("args") {
        for item in field.list()? {
            arguments.push(argument(&item, item.text("a text")?)?);
        }
        if arguments.len() > MAX_ARGUMENTS {
            return Err(field.error(format!(
                "expected at most {MAX_ARGUMENTS} arguments, found {}",
                arguments.len()
            )));
        }
    }
    let mut environment = BTreeMap::new();
    if let Some(field) = params.optional("env") {
        for (key, value) in field.entries()? {
            if key.is_empty() || key.contains('=') || key.starts_with("GRIDPROOF_TASK_") {
                return Err(value.error(
                    "expected a name without '=' that does not start with GRIDPROOF_TASK_",
                ));
            }
            environment.insert(
                argument(&value, key)?,
                argument(&value, value.text("a text")?)?,
            );
        }
        if environment.len() > MAX_ARGUMENTS {
            return Err(field.error(format!(
                "expected at most {MAX_ARGUMENTS} entries, found {}",
                environment.len()
            )));
        }
    }
    let stdin = params
        .optional("stdin")
        .map(|field| source(&field, directory))
        .transpose()?;
    Ok(Engine {
        module,
        arguments,
        environment,
        stdin,
    })
}

/// A path, or `blake3:<64 hex digits>` with an optional `:<bytes>`.
fn source(field: &Field<'_>, directory: &Path) -> Result<Source, SpecError> {
    const WHAT: &str = "a path, or blake3:<64 hex digits>[:<bytes>]";
    let text = field.text(WHAT)?;
    let place = if let Some(rest) = text.strip_prefix("blake3:") {
        let (hash, length) = rest
            .split_once(':')
            .map_or((rest, None), |(hash, length)| (hash, Some(length)));
        let hash = hash.parse().map_err(|_| field.expected(WHAT))?;
        let length = length
            .map(|text| text.parse().map_err(|_| field.expected(WHAT)))
            .transpose()?;
        Place::Blob { hash, length }
    } else if text.is_empty() {
        return Err(field.expected(WHAT));
    } else {
        Place::Path(directory.join(text))
    };
    Ok(Source {
        line: field.line(),
        field: field.path().to_owned(),
        place,
    })
}

fn name(field: &Field<'_>) -> Result<Name, SpecError> {
    let what = format!("a name of 1 to {MAX_NAME_BYTES} bytes");
    let text = field.text(&what)?;
    if text.is_empty() {
        return Err(field.expected(&what));
    }
    Name::new(text).map_err(|_| field.expected(&what))
}

/// An absolute path below `root`, without empty, `.` or `..` parts.
fn guest_path(field: &Field<'_>, root: &str) -> Result<GuestPath, SpecError> {
    let what =
        format!("a path below {root}/ of at most {MAX_PATH_BYTES} bytes, without . or .. in it");
    let text = field.text(&what)?;
    let below = text
        .strip_prefix(root)
        .and_then(|rest| rest.strip_prefix('/'));
    let clean = below.is_some_and(|rest| {
        rest.split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
    });
    if !clean {
        return Err(field.expected(&what));
    }
    GuestPath::new(text).map_err(|_| field.expected(&what))
}

/// True if two files cannot both be: the same path, or one below the other.
fn collide(a: &GuestPath, b: &GuestPath) -> bool {
    let below = |a: &str, b: &str| {
        a.strip_prefix(b)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(a.as_str(), b.as_str()) || below(b.as_str(), a.as_str())
}

fn inputs(field: &Field<'_>, directory: &Path) -> Result<Vec<(Source, GuestPath)>, SpecError> {
    let items = field.list()?;
    if items.len() > MAX_INPUTS {
        return Err(field.error(format!(
            "expected at most {MAX_INPUTS} inputs, found {}",
            items.len()
        )));
    }
    let mut inputs: Vec<(Source, GuestPath)> = Vec::new();
    for item in items {
        let entry = item.mapping(&["source", "target"])?;
        let from = source(
            &entry.required("source", "a path, or blake3:<hash>")?,
            directory,
        )?;
        let target = entry.required("target", "where the task sees the file, below /in/")?;
        let path = guest_path(&target, "/in")?;
        if inputs.iter().any(|(_, other)| collide(other, &path)) {
            return Err(target.error("expected a path of its own; another input is there already"));
        }
        inputs.push((from, path));
    }
    inputs.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(inputs)
}

fn outputs(field: &Field<'_>) -> Result<Vec<Output>, SpecError> {
    let items = field.list()?;
    if items.len() > MAX_OUTPUTS {
        return Err(field.error(format!(
            "expected at most {MAX_OUTPUTS} outputs, found {}",
            items.len()
        )));
    }
    let mut outputs: Vec<Output> = Vec::new();
    for item in items {
        let entry = item.mapping(&["name", "path"])?;
        let at = entry.required("name", "the file name under which it is fetched")?;
        let name = name(&at)?;
        let text = name.as_str();
        if text.contains(['/', '\\']) || text == "." || text == ".." || TAKEN_NAMES.contains(&text)
        {
            let taken = TAKEN_NAMES.join(", ");
            return Err(at.expected(&format!("a plain file name other than {taken}")));
        }
        let place = entry.required("path", "where the task writes it, below /out/")?;
        let path = guest_path(&place, "/out")?;
        if outputs.iter().any(|other| collide(&other.path, &path)) {
            return Err(place.error("expected a path of its own; another output is there already"));
        }
        if outputs.iter().any(|other| other.name == name) {
            return Err(at.error("expected a name of its own; another output has it already"));
        }
        outputs.push(Output { name, path });
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
}

fn tasks(field: &Field<'_>) -> Result<u32, SpecError> {
    let array = field
        .mapping(&["array"])?
        .required("array", "the number of tasks")?;
    let most = u64::try_from(MAX_TASKS).unwrap_or(u64::MAX);
    array
        .integer(1, most, "a number of tasks")
        .map(|tasks| u32::try_from(tasks).unwrap_or(u32::MAX))
}

fn limits(field: Option<&Field<'_>>, tasks: u32) -> Result<TaskLimits, SpecError> {
    let mut limits = TaskLimits {
        fuel: Fuel(DEFAULT_FUEL),
        memory_bytes: DEFAULT_MEMORY_BYTES,
        // All tasks together have a limit too.
        output_bytes: DEFAULT_OUTPUT_BYTES.min(MAX_JOB_OUTPUT_BYTES / u64::from(tasks.max(1))),
    };
    let Some(field) = field else {
        return Ok(limits);
    };
    let fields = field.mapping(&["fuel", "memory", "output"])?;
    if let Some(fuel) = fields.optional("fuel") {
        limits.fuel = Fuel(fuel.scaled(&FUEL_UNITS, 1, MAX_TASK_FUEL, "an amount of fuel")?);
    }
    if let Some(memory) = fields.optional("memory") {
        limits.memory_bytes = memory.scaled(
            &BYTE_UNITS,
            64 << 10,
            MAX_TASK_MEMORY_BYTES,
            "a size in bytes",
        )?;
    }
    if let Some(output) = fields.optional("output") {
        limits.output_bytes =
            output.scaled(&BYTE_UNITS, 0, MAX_TASK_OUTPUT_BYTES, "a size in bytes")?;
    }
    Ok(limits)
}

fn constraints(field: &Field<'_>) -> Result<Constraints, SpecError> {
    let fields = field.mapping(&["attributes"])?;
    let mut attributes = BTreeMap::new();
    if let Some(field) = fields.optional("attributes") {
        for (key, value) in field.entries()? {
            let key =
                Name::new(key).map_err(|_| value.error("expected a name of at most 64 bytes"))?;
            attributes.insert(key, name(&value)?);
        }
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(field.error(format!(
                "expected at most {MAX_ATTRIBUTES}, found {}",
                attributes.len()
            )));
        }
    }
    Ok(Constraints { attributes })
}

fn amount(field: &Field<'_>) -> Result<Amount, SpecError> {
    field.parsed("an amount of SQUARE such as 2 or 0.25")
}

fn verification(field: Option<&Field<'_>>, price: Amount) -> Result<Verification, SpecError> {
    let mut verification = Verification {
        min_verifiers: 0,
        tasks_per_verifier: None,
        value_at_risk: price,
        task_value_at_risk: price,
        confidence_ppm: 0,
    };
    let Some(field) = field else {
        return Ok(verification);
    };
    let fields = field.mapping(&[
        "verifiers",
        "tasks",
        "value_at_risk",
        "task_value_at_risk",
        "confidence",
    ])?;
    if let Some(verifiers) = fields.optional("verifiers") {
        let count = verifiers.integer(0, u64::from(MAX_MIN_VERIFIERS), "a number of verifiers")?;
        verification.min_verifiers = u16::try_from(count).unwrap_or(u16::MAX);
    }
    if let Some(tasks) = fields.optional("tasks") {
        verification.tasks_per_verifier = Some(match tasks.text("all, or a number of tasks")? {
            "all" => u32::MAX,
            _ => u32::try_from(tasks.integer(1, 1 << 20, "all, or a number of tasks")?)
                .unwrap_or(u32::MAX),
        });
    }
    if let Some(value) = fields.optional("value_at_risk") {
        verification.value_at_risk = amount(&value)?;
        verification.task_value_at_risk = verification.value_at_risk;
    }
    if let Some(value) = fields.optional("task_value_at_risk") {
        verification.task_value_at_risk = amount(&value)?;
        let whole = verification.value_at_risk;
        if verification.task_value_at_risk > whole
            || (verification.task_value_at_risk == Amount::ZERO && whole > Amount::ZERO)
        {
            return Err(value.expected(&format!(
                "more than 0 and at most value_at_risk, which is {whole}"
            )));
        }
    }
    if let Some(confidence) = fields.optional("confidence") {
        verification.confidence_ppm =
            confidence.millionths("a probability above 0 and below 1, such as 0.99")?;
    }
    Ok(verification)
}

fn price(field: &Field<'_>, default: Amount) -> Result<Amount, SpecError> {
    field
        .mapping(&["price"])?
        .optional("price")
        .map_or(Ok(default), |field| amount(&field))
}

fn determinism(field: &Field<'_>) -> Result<(u64, Hash32), SpecError> {
    const MAX_SECONDS: u64 = u64::MAX / 1_000_000_000;
    let fields = field.mapping(&["clock", "random_seed"])?;
    let clock = fields
        .optional("clock")
        .map_or(Ok(DEFAULT_CLOCK_SECONDS), |field| {
            field.integer(0, MAX_SECONDS, "seconds since 1970")
        })?;
    let seed = fields
        .optional("random_seed")
        .map_or(Ok(Hash32::ZERO), |field| field.parsed("64 hex digits"))?;
    Ok((clock * 1_000_000_000, seed))
}

#[cfg(test)]
mod tests;
