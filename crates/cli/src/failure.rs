//! How a command ends when it does not end well: what was attempted, why it failed, what to do, and an exit code.

use std::fmt;

use serde_json::json;

/// Exit codes, one per kind of ending. `gridproof --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// Something that has no code of its own.
    Other,
    /// Wrong arguments (clap's own code).
    Usage,
    /// A job spec, a config file or another input file is not valid.
    BadInput,
    /// No server answered.
    NoConnection,
    /// The chain or a server refused what was asked.
    Refused,
    /// The job ended without a result.
    JobFailed,
    /// A receipt, a proof or an output is not what it claims to be.
    NotVerified,
    /// What was waited for did not happen in time.
    TimedOut,
    /// A key file is missing, too open or of the wrong kind.
    Key,
    /// The data directory is in use, missing, damaged or full.
    Storage,
    /// The node's state differs from the chain's.
    Diverged,
}

impl ExitKind {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::BadInput => 3,
            Self::NoConnection => 4,
            Self::Refused => 5,
            Self::JobFailed => 6,
            Self::NotVerified => 7,
            Self::TimedOut => 8,
            Self::Key => 9,
            Self::Storage => 10,
            Self::Diverged => 11,
        }
    }
}

/// The list that `--help` shows.
pub const EXIT_CODES: &str = "Exit codes:
  0 success (job run: settled and verified)   6 the job failed
  1 another error                             7 not verified: receipt, proof or output is wrong
  2 wrong arguments                           8 timed out
  3 bad input (job spec, config, genesis)     9 key file missing, too open or of the wrong kind
  4 no connection                            10 data directory in use, damaged or full
  5 refused by the chain or a server         11 state diverged";

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: ExitKind,
    /// A stable short name for programs.
    pub code: String,
    /// What was attempted and why it failed.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// True if the same command may succeed later.
    pub retryable: bool,
}

impl Failure {
    /// A failure of a kind, with the kind's exit code.
    pub fn new(kind: ExitKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), hint: None, retryable: false }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that trying again may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The failure as `--json` prints it.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "error": { "code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable } })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<rpc::keyfile::KeyFileError> for Failure {
    fn from(error: rpc::keyfile::KeyFileError) -> Self {
        Self::new(ExitKind::Key, "key_file", error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitKind::Other, "io", error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(ExitKind::Other, "other", format!("{error:#}"))
    }
}
