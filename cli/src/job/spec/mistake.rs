//! A mistake in a job spec: its line, its field, and what was expected there.

use std::fmt;

use types::limits::{MAX_ARGUMENT_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES};

/// A mistake in a job spec, where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// The line, from 1; 0 if the document has no such place.
    pub line: u64,
    /// The field's path, as in `inputs[0].target`; empty for the document.
    pub field: String,
    /// The rule that is broken.
    pub mistake: Mistake,
}

impl SpecError {
    /// A mistake at a line and a field.
    pub fn new(line: u64, field: String, mistake: Mistake) -> Self {
        Self {
            line,
            field,
            mistake,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}", self.mistake)
    }
}

/// The rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The text is not a YAML document.
    #[error("expected YAML: {why}")]
    NotYaml {
        /// What the parser says, with its place.
        why: String,
    },
    /// A mapping has a field that the format does not know.
    #[error("unknown field; expected one of {}", known.join(", "))]
    UnknownField {
        /// The fields that it may have.
        known: Vec<&'static str>,
    },
    /// A mapping lacks a field that has no default.
    #[error("expected the field {name}: {what}")]
    MissingField {
        /// Name of the field in the document.
        name: &'static str,
        /// Description of the values that the field takes.
        what: String,
    },
    /// A value is of the wrong kind, or no value of this field.
    #[error("expected {what}, found {found}")]
    Expected {
        /// What the field takes.
        what: String,
        /// The value in the document.
        found: FoundValue,
    },
    /// A number is outside its limits.
    #[error("expected {what} from {min} to {max}, found {found}: the limit is {max}")]
    OutOfLimits {
        /// What the number says.
        what: String,
        /// Lowest value allowed.
        min: u64,
        /// Highest value allowed.
        max: u64,
        /// The number in the document.
        found: u64,
    },
    /// A list or a mapping has too many entries.
    #[error("expected at most {max} {what}, found {found}")]
    TooMany {
        /// The entries that are counted, in the plural.
        what: &'static str,
        /// Highest number of them.
        max: usize,
        /// Number of entries in the document.
        found: usize,
    },
    /// Two files would lie at one place, or one inside the other.
    #[error("expected a path of its own; another {what} is there already")]
    PathTaken {
        /// Kind of the other file: `input` or `output`.
        what: &'static str,
    },
    /// Two outputs have one name.
    #[error("expected a name of its own; another output has it already")]
    NameTaken,
    /// A section asks for an array and for a chain.
    #[error("expected either array and indices, or chain and state")]
    ArrayAndChain,
    /// A state names something else than an output.
    #[error("expected the name of one of the outputs, each once; found {found:?}")]
    NotAnOutput {
        /// The name in the document.
        found: String,
    },
    /// An input of a chain lies where its tasks find their state.
    #[error("expected a path outside {folder}, in which tasks of a chain find their state")]
    StateFolder {
        /// The folder of the state.
        folder: &'static str,
    },
    /// An environment variable has a name that no job may set.
    #[error("expected a name without '=' that does not start with {reserved}")]
    ReservedVariable {
        /// How the names begin that a task gets from the executor.
        reserved: &'static str,
    },
}

/// What was written instead of what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundValue {
    /// Nothing, or a null.
    Nothing,
    /// A scalar, as it is written.
    Scalar(String),
    /// A scalar that is too long to be shown.
    LongText,
    /// A list of any length.
    List,
    /// A mapping with any fields.
    Mapping,
}

impl FoundValue {
    /// A scalar, shown if it is short.
    pub fn of(text: &str) -> Self {
        if text.chars().count() > 60 {
            Self::LongText
        } else {
            Self::Scalar(text.to_owned())
        }
    }
}

impl fmt::Display for FoundValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Scalar(text) => write!(f, "{text:?}"),
            Self::LongText => f.write_str("a long text"),
            Self::List => f.write_str("a list"),
            Self::Mapping => f.write_str("a mapping"),
        }
    }
}

/// File names that a job's own files take in the folder that outputs are fetched into.
pub const TAKEN_NAMES: [&str; 7] = [
    "stdout",
    "stderr",
    "outcomes.bin",
    "workload.bin",
    "receipt.json",
    "genesis.bin",
    "job.id",
];

/// What the field at a path takes, for all messages. Indices do not matter; of a mapping with free keys the key is part of
/// the path.
pub fn expected_at(path: &str) -> String {
    let source = "a path, or blake3:<64 hex digits>[:<bytes>]";
    let amount = "an amount of SQUARE such as 2 or 0.25";
    let size = "a size in bytes: a whole number with one of the units B, KiB, MiB, GiB, kB, MB, GB or none";
    let name = format!("a name of 1 to {MAX_NAME_BYTES} bytes");
    let general: String = path
        .split('[')
        .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest))
        .collect();
    match general.as_str() {
        "" => "a mapping with version, name, engine and others",
        "version" => "gridproof/v1",
        "name" => return name,
        "engine" => "a mapping with type and params",
        "engine.type" => "wasm, the only engine of this version",
        "engine.params" => "a mapping with module, args, env, stdin",
        "engine.params.module" | "engine.params.stdin" | "inputs.source" => source,
        "engine.params.args" if path.ends_with(']') => "a text",
        "inputs" if path.ends_with(']') => "a mapping with source and target",
        "outputs" if path.ends_with(']') => "a mapping with name and path",
        "engine.params.args" | "inputs" | "outputs" => "a list",
        "inputs.target" => {
            return format!(
                "an absolute path outside /out and the system's folders, such as /in/data, of at most \
                 {MAX_PATH_BYTES} bytes, without . or .. in it"
            );
        }
        "outputs.name" => {
            return format!("a plain file name other than {}", TAKEN_NAMES.join(", "));
        }
        "outputs.path" => {
            return format!(
                "a path below /out/ of at most {MAX_PATH_BYTES} bytes, without . or .. in it"
            );
        }
        "tasks" => "a mapping with array, indices, or chain, state",
        "tasks.indices" if path.ends_with(']') => "an index of a task",
        "tasks.indices" => "a list of indices of tasks, ascending, each once",
        "tasks.array" | "tasks.chain" => "a number of tasks",
        "tasks.state" if path.ends_with(']') => "the name of an output",
        "tasks.state" => "a list of names of outputs",
        "resources" => "a mapping with fuel, memory, output",
        "resources.fuel" => {
            "an amount of fuel: a whole number with one of the units k, M, G, T or none"
        }
        "resources.memory" | "resources.output" => size,
        "constraints" => "a mapping with attributes",
        "engine.params.env" | "constraints.attributes" => "a mapping from names to texts",
        "verification" => {
            "a mapping with verifiers, tasks, value_at_risk, task_value_at_risk, confidence"
        }
        "verification.verifiers" => "a number of verifiers",
        "verification.tasks" => "all, or a number of tasks",
        "verification.value_at_risk" | "verification.task_value_at_risk" | "payment.price" => {
            amount
        }
        "verification.confidence" => {
            "a probability above 0 and below 1, such as 0.99, with at most 6 digits after the point"
        }
        "payment" => "a mapping with price",
        "determinism" => "a mapping with clock and random_seed",
        "determinism.clock" => "seconds since 1970",
        "determinism.random_seed" => "64 hex digits",
        variable if variable.starts_with("engine.params.env.") => {
            return format!("a text of at most {MAX_ARGUMENT_BYTES} bytes");
        }
        // The value of an attribute.
        _ => return name,
    }
    .to_owned()
}
