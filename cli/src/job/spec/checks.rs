//! The sections of a spec, each checked and turned into what goes on chain.

use std::collections::BTreeMap;
use std::path::Path;

use serde_saphyr::Spanned;
use types::codec::Bounded;
use types::hash::Hash32;
use types::job::{
    Argument, Constraints, GuestPath, Name, Output, RESERVED_ENVIRONMENT_PREFIX, STATE_FOLDER,
    StateOutputs, TaskLimits, TaskSet, Verification, is_environment_key, is_input_target,
    is_output_path, is_state_path,
};
use types::limits::{
    MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_ATTRIBUTES, MAX_INPUTS, MAX_JOB_OUTPUT_BYTES,
    MAX_MIN_VERIFIERS, MAX_OUTPUTS, MAX_STATE_OUTPUTS, MAX_TASK_FUEL, MAX_TASK_MEMORY_BYTES,
    MAX_TASK_OUTPUT_BYTES, MAX_TASKS, MAX_WINDOW_MS,
};
use types::number::{Amount, Fuel, TaskIndex};

use super::document::{
    ConstraintsSection, DeterminismSection, EngineSection, Entries, InputEntry, List, OutputEntry,
    ResourcesSection, SpecDocument, TasksSection, VerificationSection,
};
use super::field::{BYTE_UNITS, FUEL_UNITS, Field, TIME_UNITS, required};
use super::mistake::{FoundValue, Mistake, SpecError, TAKEN_NAMES, expected_at};
use super::source::SpecSource;

/// Fuel limit of a task, if the spec names none.
pub const DEFAULT_FUEL: Fuel = Fuel(5_000_000_000);
/// Memory limit of a task, in bytes, if the spec names none.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;
/// Longest wait for a place, in milliseconds, if the spec names none.
pub const DEFAULT_WAIT_MS: u64 = 600_000;
/// Output limit of a task, in bytes, if the spec names none.
pub const DEFAULT_OUTPUT_BYTES: u64 = 64 << 20;
/// Start of a task's clock, in seconds since 1970, if the spec names none: 2020-01-01T00:00:00Z.
pub const DEFAULT_CLOCK_SECONDS: u64 = 1_577_836_800;
/// Lowest memory limit of a task, in bytes: one page of WebAssembly.
pub const MIN_MEMORY_BYTES: u64 = 64 << 10;
/// Nanoseconds of a second.
pub const NS_PER_SECOND: u64 = 1_000_000_000;

/// Module, arguments, environment and inputs, as the section `engine` gives them.
pub struct SpecProgram {
    /// Bytes of the module.
    pub module: SpecSource,
    /// Arguments after the program's name.
    pub arguments: Vec<Argument>,
    /// Environment of every task, by name; at most the chain's limit of entries.
    pub environment: BTreeMap<Argument, Argument>,
    /// Bytes of standard input.
    pub stdin: Option<SpecSource>,
}

/// Checks the section `engine` and finds its files; paths are relative to `folder`.
pub fn engine(section: &Spanned<EngineSection>, folder: &Path) -> Result<SpecProgram, SpecError> {
    let (line, engine) = (section.referenced.line(), &section.value);
    let kind = Field::required("engine", line, "type", engine.kind.as_ref())?;
    if kind.text() != "wasm" {
        return Err(kind.expected());
    }
    let params = required("engine", line, "params", engine.params.as_ref())?;
    let (line, params) = (params.referenced.line(), &params.value);
    let module = Field::required("engine.params", line, "module", params.module.as_ref())?;
    let stdin = Field::optional("engine.params.stdin", params.stdin.as_ref());
    Ok(SpecProgram {
        module: SpecSource::read(&module, folder)?,
        arguments: params.args.as_ref().map_or(Ok(Vec::new()), arguments)?,
        environment: params
            .env
            .as_ref()
            .map_or(Ok(BTreeMap::new()), environment)?,
        stdin: stdin
            .map(|field| SpecSource::read(&field, folder))
            .transpose()?,
    })
}

fn arguments(list: &List<String>) -> Result<Vec<Argument>, SpecError> {
    let path = "engine.params.args";
    bounded(path, list, list.value.len(), MAX_ARGUMENTS, "arguments")?;
    let items = list.value.iter().enumerate();
    items
        .map(|(index, item)| {
            let field = Field::new(format!("{path}[{index}]"), item);
            argument(&field, field.text())
        })
        .collect()
}

fn environment(entries: &Entries) -> Result<BTreeMap<Argument, Argument>, SpecError> {
    let path = "engine.params.env";
    bounded(path, entries, entries.value.len(), MAX_ARGUMENTS, "entries")?;
    let mut environment = BTreeMap::new();
    for (key, value) in &entries.value {
        let field = Field::new(format!("{path}.{key}"), value);
        if !is_environment_key(key) {
            return Err(field.error(Mistake::ReservedVariable {
                reserved: RESERVED_ENVIRONMENT_PREFIX,
            }));
        }
        environment.insert(argument(&field, key)?, argument(&field, field.text())?);
    }
    Ok(environment)
}

fn argument(field: &Field<'_>, text: &str) -> Result<Argument, SpecError> {
    Argument::new(text).map_err(|_| {
        field.expected_instead(format!("a text of at most {MAX_ARGUMENT_BYTES} bytes"))
    })
}

/// Refuses a list or mapping with too many entries.
fn bounded<T>(
    path: &str,
    at: &Spanned<T>,
    found: usize,
    max: usize,
    what: &'static str,
) -> Result<(), SpecError> {
    if found <= max {
        return Ok(());
    }
    let mistake = Mistake::TooMany { what, max, found };
    Err(SpecError::new(
        at.referenced.line(),
        path.to_owned(),
        mistake,
    ))
}

/// A name of a job, an output or an attribute.
pub fn name(field: &Field<'_>) -> Result<Name, SpecError> {
    if field.text().is_empty() {
        return Err(field.expected());
    }
    Name::new(field.text()).map_err(|_| field.expected())
}

/// A path where a file may be.
fn guest_path(field: &Field<'_>, may_be: fn(&str) -> bool) -> Result<GuestPath, SpecError> {
    if !may_be(field.text()) {
        return Err(field.expected());
    }
    GuestPath::new(field.text()).map_err(|_| field.expected())
}

/// True if two files cannot both be: the same path, or one below the other.
fn collide(a: &GuestPath, b: &GuestPath) -> bool {
    let below = |a: &str, b: &str| {
        a.strip_prefix(b)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(a.as_str(), b.as_str()) || below(b.as_str(), a.as_str())
}

/// Reads `inputs`; sorted by target, as a workload wants them.
pub fn inputs(
    list: &List<InputEntry>,
    folder: &Path,
) -> Result<Vec<(SpecSource, GuestPath)>, SpecError> {
    bounded("inputs", list, list.value.len(), MAX_INPUTS, "inputs")?;
    let mut inputs: Vec<(SpecSource, GuestPath)> = Vec::new();
    for (index, entry) in list.value.iter().enumerate() {
        let (path, line) = (format!("inputs[{index}]"), entry.referenced.line());
        let source = Field::required(&path, line, "source", entry.value.source.as_ref())?;
        let target = Field::required(&path, line, "target", entry.value.target.as_ref())?;
        let (source, guest) = (
            SpecSource::read(&source, folder)?,
            guest_path(&target, is_input_target)?,
        );
        if inputs.iter().any(|(_, other)| collide(other, &guest)) {
            return Err(target.error(Mistake::PathTaken { what: "input" }));
        }
        inputs.push((source, guest));
    }
    inputs.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(inputs)
}

/// Reads `outputs`; sorted by name, as a workload wants them.
pub fn outputs(list: &List<OutputEntry>) -> Result<Vec<Output>, SpecError> {
    bounded("outputs", list, list.value.len(), MAX_OUTPUTS, "outputs")?;
    let mut outputs: Vec<Output> = Vec::new();
    for (index, entry) in list.value.iter().enumerate() {
        let (path, line) = (format!("outputs[{index}]"), entry.referenced.line());
        let label = Field::required(&path, line, "name", entry.value.name.as_ref())?;
        let text = label.text();
        if text.contains(['/', '\\']) || text == "." || text == ".." || TAKEN_NAMES.contains(&text)
        {
            return Err(label.expected());
        }
        let name = name(&label)?;
        let target = Field::required(&path, line, "path", entry.value.path.as_ref())?;
        let path = guest_path(&target, is_output_path)?;
        if outputs.iter().any(|other| collide(&other.path, &path)) {
            return Err(target.error(Mistake::PathTaken { what: "output" }));
        }
        if outputs.iter().any(|other| other.name == name) {
            return Err(label.error(Mistake::NameTaken));
        }
        outputs.push(Output { name, path });
    }
    outputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outputs)
}

/// Reads `tasks`: the array, and those of it that are run. An array without a length ends with the last of these.
pub fn tasks(section: &Spanned<TasksSection>) -> Result<TaskSet, SpecError> {
    let line = section.referenced.line();
    let TasksSection {
        array,
        indices,
        chain,
        state,
    } = &section.value;
    let max = u64::try_from(MAX_TASKS).unwrap_or(u64::MAX);
    if chain.is_some() || state.is_some() {
        if array.is_some() || indices.is_some() {
            let mistake = Mistake::ArrayAndChain;
            return Err(SpecError::new(line, "tasks".to_owned(), mistake));
        }
        let count = Field::required("tasks", line, "chain", chain.as_ref())?.integer(2, max)?;
        return Ok(TaskSet::all(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    let array = Field::optional("tasks.array", array.as_ref())
        .map(|field| field.integer(1, max))
        .transpose()?;
    let array = array.map(|array| u32::try_from(array).unwrap_or(u32::MAX));
    let (array, list) = match (array, indices) {
        (array, Some(list)) => (array, list),
        (Some(array), None) => return Ok(TaskSet::all(array)),
        (None, None) => {
            let (name, what) = ("array", expected_at("tasks.array"));
            let mistake = Mistake::MissingField { name, what };
            return Err(SpecError::new(line, "tasks".to_owned(), mistake));
        }
    };
    bounded(
        "tasks.indices",
        list,
        list.value.len(),
        MAX_TASKS,
        "indices",
    )?;
    let mut named: Vec<TaskIndex> = Vec::new();
    for (position, item) in list.value.iter().enumerate() {
        let field = Field::new(format!("tasks.indices[{position}]"), item);
        let below = array.map_or(max, u64::from);
        let index = field.integer(0, below.saturating_sub(1))?;
        let index = TaskIndex(u32::try_from(index).unwrap_or(u32::MAX));
        if named.last().is_some_and(|last| *last >= index) {
            return Err(field.expected_instead("an index above the one before it".to_owned()));
        }
        named.push(index);
    }
    let shortest = named.last().map_or(0, |last| last.0.saturating_add(1));
    TaskSet::named(array.unwrap_or(shortest), &named).map_err(|_| {
        let (what, found) = (expected_at("tasks.indices"), FoundValue::Nothing);
        let line = list.referenced.line();
        SpecError::new(
            line,
            "tasks.indices".to_owned(),
            Mistake::Expected { what, found },
        )
    })
}

/// Reads the state of a chain: positions of `outputs`, ascending; none where `tasks` has no chain.
pub fn state(
    section: &Spanned<TasksSection>,
    outputs: &[Output],
) -> Result<StateOutputs, SpecError> {
    let (line, tasks) = (section.referenced.line(), &section.value);
    if tasks.chain.is_none() {
        return Ok(StateOutputs::default());
    }
    let list = required("tasks", line, "state", tasks.state.as_ref())?;
    let found = list.value.len();
    bounded("tasks.state", list, found, MAX_STATE_OUTPUTS, "outputs")?;
    let mut positions = Vec::new();
    for (at, item) in list.value.iter().enumerate() {
        let field = Field::new(format!("tasks.state[{at}]"), item);
        let named = |output: &Output| output.name.as_str() == field.text();
        let position = outputs.iter().position(named);
        let position = position.and_then(|position| u8::try_from(position).ok());
        let Some(position) = position.filter(|position| !positions.contains(position)) else {
            let found = field.text().to_owned();
            return Err(field.error(Mistake::NotAnOutput { found }));
        };
        positions.push(position);
    }
    positions.sort_unstable();
    let state = Bounded::new(positions).unwrap_or_default();
    if state.is_empty() {
        let (what, found) = (expected_at("tasks.state"), FoundValue::Nothing);
        let (line, field) = (list.referenced.line(), "tasks.state".to_owned());
        return Err(SpecError::new(
            line,
            field,
            Mistake::Expected { what, found },
        ));
    }
    Ok(StateOutputs(state))
}

/// Checks what a chain asks of sections that know nothing of it: no input in the folder of the state, and no lower loss from one
/// wrong task than from all.
pub fn chain(document: &SpecDocument, verification: &Verification) -> Result<(), SpecError> {
    let inputs = document.inputs.iter().flat_map(|list| &list.value);
    for (index, entry) in inputs.enumerate() {
        let target = entry.value.target.as_ref();
        let field = Field::optional(&format!("inputs[{index}].target"), target);
        if let Some(field) = field.filter(|field| is_state_path(field.text())) {
            let folder = STATE_FOLDER;
            return Err(field.error(Mistake::StateFolder { folder }));
        }
    }
    let section = document.verification.as_ref();
    let task = section.and_then(|section| section.value.task_value_at_risk.as_ref());
    let value = verification.value_at_risk;
    match Field::optional("verification.task_value_at_risk", task) {
        Some(field) if verification.task_value_at_risk != value => {
            Err(field.expected_instead(format!(
                "value_at_risk, which is {value}: one wrong task of a chain makes all that follow wrong"
            )))
        }
        _ => Ok(()),
    }
}

/// Reads `resources`, for a job of `tasks` tasks.
pub fn limits(section: Option<&ResourcesSection>, tasks: u32) -> Result<TaskLimits, SpecError> {
    let mut limits = TaskLimits {
        fuel: DEFAULT_FUEL,
        memory_bytes: DEFAULT_MEMORY_BYTES,
        // All tasks together have a limit too.
        output_bytes: DEFAULT_OUTPUT_BYTES.min(MAX_JOB_OUTPUT_BYTES / u64::from(tasks.max(1))),
    };
    let Some(section) = section else {
        return Ok(limits);
    };
    let size = "a size in bytes";
    if let Some(fuel) = Field::optional("resources.fuel", section.fuel.as_ref()) {
        limits.fuel = Fuel(fuel.scaled(&FUEL_UNITS, 1, MAX_TASK_FUEL, "an amount of fuel")?);
    }
    if let Some(memory) = Field::optional("resources.memory", section.memory.as_ref()) {
        let (min, max) = (MIN_MEMORY_BYTES, MAX_TASK_MEMORY_BYTES);
        limits.memory_bytes = memory.scaled(&BYTE_UNITS, min, max, size)?;
    }
    if let Some(output) = Field::optional("resources.output", section.output.as_ref()) {
        limits.output_bytes = output.scaled(&BYTE_UNITS, 0, MAX_TASK_OUTPUT_BYTES, size)?;
    }
    Ok(limits)
}

/// Reads how long the job may wait for a place, in milliseconds.
pub fn max_wait_ms(section: Option<&ResourcesSection>) -> Result<u64, SpecError> {
    let wait = section.and_then(|section| section.wait.as_ref());
    Field::optional("resources.wait", wait).map_or(Ok(DEFAULT_WAIT_MS), |wait| {
        wait.scaled(&TIME_UNITS, 0, MAX_WINDOW_MS, "a time in milliseconds")
    })
}

/// Checks the section `constraints`: attributes that a partner must have.
pub fn constraints(section: &ConstraintsSection) -> Result<Constraints, SpecError> {
    let Some(entries) = &section.attributes else {
        return Ok(Constraints::default());
    };
    let path = "constraints.attributes";
    let found = entries.value.len();
    bounded(path, entries, found, MAX_ATTRIBUTES, "attributes")?;
    let mut attributes = BTreeMap::new();
    for (key, value) in &entries.value {
        let field = Field::new(format!("{path}.{key}"), value);
        let key = Name::new(key.as_str()).map_err(|_| field.expected())?;
        attributes.insert(key, name(&field)?);
    }
    Ok(Constraints { attributes })
}

/// Reads `verification`, for a job that may cost `price`.
pub fn verification(
    section: Option<&VerificationSection>,
    price: Amount,
) -> Result<Verification, SpecError> {
    let mut verification = Verification {
        min_verifiers: 0,
        tasks_per_verifier: None,
        value_at_risk: price,
        task_value_at_risk: price,
        confidence_ppm: 0,
    };
    let Some(section) = section else {
        return Ok(verification);
    };
    if let Some(field) = Field::optional("verification.verifiers", section.verifiers.as_ref()) {
        let count = field.integer(0, u64::from(MAX_MIN_VERIFIERS))?;
        verification.min_verifiers = u16::try_from(count).unwrap_or(u16::MAX);
    }
    if let Some(field) = Field::optional("verification.tasks", section.tasks.as_ref()) {
        verification.tasks_per_verifier = Some(match field.text() {
            "all" => u32::MAX,
            _ => u32::try_from(field.integer(1, 1 << 20)?).unwrap_or(u32::MAX),
        });
    }
    let whole = Field::optional("verification.value_at_risk", section.value_at_risk.as_ref());
    if let Some(field) = whole {
        verification.value_at_risk = field.parsed()?;
        verification.task_value_at_risk = verification.value_at_risk;
    }
    let task = section.task_value_at_risk.as_ref();
    if let Some(field) = Field::optional("verification.task_value_at_risk", task) {
        verification.task_value_at_risk = task_value(&field, verification.value_at_risk)?;
    }
    if let Some(field) = Field::optional("verification.confidence", section.confidence.as_ref()) {
        verification.confidence_ppm = field.millionths()?;
    }
    Ok(verification)
}

/// What one wrong task costs its customer: not more than the whole job, and something if the whole job does.
fn task_value(field: &Field<'_>, whole: Amount) -> Result<Amount, SpecError> {
    let value: Amount = field.parsed()?;
    if value > whole || (value == Amount::ZERO && whole > Amount::ZERO) {
        return Err(field.expected_instead(format!(
            "more than 0 and at most value_at_risk, which is {whole}"
        )));
    }
    Ok(value)
}

/// Reads `determinism`: the clock's start in nanoseconds since 1970, and the random seed.
pub fn determinism(section: Option<&DeterminismSection>) -> Result<(u64, Hash32), SpecError> {
    let clock = section.and_then(|section| section.clock.as_ref());
    let seed = section.and_then(|section| section.random_seed.as_ref());
    let clock = Field::optional("determinism.clock", clock)
        .map_or(Ok(DEFAULT_CLOCK_SECONDS), |field| {
            field.integer(0, u64::MAX / NS_PER_SECOND)
        })?;
    let seed = Field::optional("determinism.random_seed", seed)
        .map_or(Ok(Hash32::ZERO), |field| field.parsed())?;
    Ok((clock.saturating_mul(NS_PER_SECOND), seed))
}
