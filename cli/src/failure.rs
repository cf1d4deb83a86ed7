//! How a command ends when it does not end well: what was attempted, why it failed, what to do, and an exit code.

use std::fmt;
use std::io::ErrorKind;

use keys::folder::FolderError;
use keys::keyfile::{KeyFileError, KeyKind, SealError};
use keys::passphrase::PassphraseError;
use serde_json::{Map, Value, json};
use types::hash::JobId;

/// Exit codes, one per kind of ending. `gridproof --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// Something that has no code of its own.
    Other,
    /// Wrong arguments (clap's own code).
    Usage,
    /// A job spec, a config file or another input file is not valid.
    BadInput,
    /// No endpoint could be reached or answered in time.
    NoConnection,
    /// The chain or an endpoint refused what was asked.
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
    /// The chain follows a version of the protocol that this build does not know.
    UnknownVersion,
    /// The chain follows another schedule of protocol versions than this node.
    OtherSchedule,
    /// Another process of this machine signs with the same key.
    SecondSigner,
    /// A vote with this validator's key was seen that its log lacks.
    ForeignVote,
    /// Ctrl-C, or SIGTERM, while something went on that outlives the command.
    Interrupted,
    /// The job is settled, and tasks of it failed by their own doing.
    TasksFailed,
    /// The job is under way: what was asked for is not there yet.
    NotSettled,
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
            Self::UnknownVersion => 12,
            Self::SecondSigner => 13,
            Self::ForeignVote => 14,
            Self::TasksFailed => 15,
            Self::NotSettled => 16,
            Self::OtherSchedule => 17,
            // As shells count a process that SIGINT ended.
            Self::Interrupted => 130,
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
  5 refused by the chain or an endpoint       11 state diverged
                                             12 protocol version unknown to this build
                                             13 another process signs with the same key
                                             14 a vote of the validator key was seen that its log lacks
                                             15 settled and verified, but tasks of it failed
                                             16 the job is not settled yet
                                             17 the network follows another schedule of protocol versions
                                            130 interrupted; the job goes on";

/// Why a command failed.
#[derive(Debug)]
pub struct CommandFailure {
    /// Decides the exit code.
    pub kind: ExitKind,
    /// A stable short name for programs.
    pub code: String,
    /// What was attempted and why it failed.
    pub message: String,
    /// What a person can do about it; none where nothing is known to help.
    pub hint: Option<String>,
    /// True if the same command may succeed later.
    pub retryable: bool,
    /// What else is known, beside `error` in the object that `--json` prints.
    context: Map<String, Value>,
}

impl CommandFailure {
    /// A failure of a kind, with the kind's exit code; it may be tried again if its code says so.
    pub fn new(kind: ExitKind, code: &str, message: impl Into<String>) -> Self {
        let context = Map::new();
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            retryable: crate::codes::passes(code),
            context,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which job it is about: the job exists, or may exist, and money may be locked for it.
    #[must_use]
    pub fn about(self, job: JobId) -> Self {
        self.with("job", json!(job))
    }

    /// Adds all fields of an object beside the error.
    #[must_use]
    pub fn with_all(mut self, object: Value) -> Self {
        if let Value::Object(fields) = object {
            self.context.extend(fields);
        }
        self
    }

    /// Adds what is known beside the error.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.context.insert(name.to_owned(), value);
        self
    }

    /// A folder of keys that cannot be made, or that others can look into.
    pub fn of_folder(error: &FolderError) -> Self {
        Self::new(ExitKind::Key, "folder", error.to_string())
            .hint("keep the folder of the keys for its owner alone: chmod 700")
    }

    /// A key file that cannot be used: which one, why, and what to do.
    pub fn of_key_file(error: &KeyFileError) -> Self {
        let (message, hint) = match error {
            KeyFileError::Io { path, source } => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let path = path.display();
                match source.kind() {
                    ErrorKind::NotFound if parent.is_some_and(|parent| !parent.exists()) => {
                        (format!("there is no folder for the key file {path}"), "correct the path, or make the folder first".to_owned())
                    }
                    ErrorKind::NotFound => (
                        format!("there is no key file {path}"),
                        "correct the path; `keys new` or `wallet new` makes an account's key, `node init` and `partner init` make theirs"
                            .to_owned(),
                    ),
                    ErrorKind::AlreadyExists => (
                        format!("the key file {path} exists already"),
                        "keys are never overwritten: give another path, or use the key that is there".to_owned(),
                    ),
                    _ => (error.to_string(), format!("check the permissions of {path} and of its folder, and the disk")),
                }
            }
            KeyFileError::NoSource { .. } => (
                error.to_string(),
                "set the variable, or open the descriptor, to the text of a key file: env:NAME with NAME exported, fd:3 with 3<alice.key"
                    .to_owned(),
            ),
            KeyFileError::TooOpen { path, .. } => (
                error.to_string(),
                format!(
                    "chmod 600 {}; if others may have read it, make a new key and move the money there",
                    path.display()
                ),
            ),
            KeyFileError::Sealed { source: SealError::Passphrase, .. } => (
                error.to_string(),
                "type it again, or give the file with the passphrase of this key".to_owned(),
            ),
            KeyFileError::Passphrase { source, .. } => (error.to_string(), passphrase_hint(source)),
            KeyFileError::NotKeyFile { .. }
            | KeyFileError::Sealed { .. }
            | KeyFileError::BadSecret { .. }
            | KeyFileError::OtherPublicKey { .. }
            | KeyFileError::Key { .. } => (
                error.to_string(),
                "give a file that `keys new`, `node init` or `partner init` made, or its copy".to_owned(),
            ),
            KeyFileError::Kind { expected, .. } => (
                error.to_string(),
                match expected {
                    KeyKind::Account => {
                        "give an account's key: `keys new` makes one, a partner's is keys/account.key"
                    }
                    KeyKind::Validator => "a validator's is keys/validator.key in its folder, as `node init` made it",
                    KeyKind::Node => "a node's is keys/node.key in its folder, as `node init` made it",
                    KeyKind::Vrf => "it is keys/vrf.key in the folder, as `init` made it",
                }
                .to_owned(),
            ),
        };
        Self::new(ExitKind::Key, "key_file", message).hint(hint)
    }

    /// The failure as `--json` prints it.
    pub fn to_json(&self) -> Value {
        let mut object = self.context.clone();
        let error = json!({ "code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable });
        object.insert("error".to_owned(), error);
        Value::Object(object)
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for (name, value) in &self.context {
            if let Some(text) = value.as_str() {
                write!(f, "\n {name}: {text}")?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What to do where there is no passphrase.
fn passphrase_hint(error: &PassphraseError) -> String {
    match error {
        PassphraseError::NoSource => {
            "give a file with --passphrase-file, or a descriptor as fd:3; a daemon takes passphrase_file of its configuration".to_owned()
        }
        PassphraseError::TooOpen { path, .. } => format!("chmod 600 {}", path.display()),
        PassphraseError::Read { .. } | PassphraseError::Length(_) | PassphraseError::Differ => {
            "give a passphrase on one line: typed, in a file, or through a descriptor".to_owned()
        }
    }
}

impl From<PassphraseError> for CommandFailure {
    fn from(error: PassphraseError) -> Self {
        let hint = passphrase_hint(&error);
        Self::new(ExitKind::Key, "passphrase", error.to_string()).hint(hint)
    }
}

impl From<KeyFileError> for CommandFailure {
    fn from(error: KeyFileError) -> Self {
        Self::of_key_file(&error)
    }
}

impl From<std::io::Error> for CommandFailure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitKind::Other, "io", error.to_string())
    }
}

impl From<anyhow::Error> for CommandFailure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<KeyFileError>() {
            Some(error) => Self::of_key_file(error),
            None => Self::new(ExitKind::Other, "other", format!("{error:#}"))
                .hint("the message names what failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keys::keyfile::{create, create_vrf, read_secret};
    use keys::passphrase::Passphrases;

    use super::*;

    #[test]
    fn every_key_file_failure_names_the_file_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        create(&path("account.key"), KeyKind::Account).unwrap();
        create_vrf(&path("vrf.key")).unwrap();
        create(&path("open.key"), KeyKind::Account).unwrap();
        std::fs::set_permissions(path("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
        create(&path("bad.key"), KeyKind::Account).unwrap();
        std::fs::write(path("bad.key"), "no key").unwrap();
        let account = KeyKind::Account;
        let cases = [
            (
                "account.key",
                create(&path("account.key"), account),
                "exists already",
                "another path",
            ),
            (
                "missing.key",
                read_secret(&path("missing.key"), account, &Passphrases::none()),
                "no key file",
                "wallet new",
            ),
            (
                "no/new.key",
                create(&path("no/new.key"), account),
                "no folder",
                "make the folder",
            ),
            (
                "open.key",
                read_secret(&path("open.key"), account, &Passphrases::none()),
                "mode 644",
                "chmod 600",
            ),
            (
                "vrf.key",
                read_secret(&path("vrf.key"), account, &Passphrases::none()),
                "a VRF key where the key of an account",
                "keys/account.key",
            ),
            (
                "bad.key",
                read_secret(&path("bad.key"), account, &Passphrases::none()),
                "not a key file",
                "its copy",
            ),
        ];
        for (name, result, message, hint) in cases {
            let failure = CommandFailure::from(result.err().unwrap());
            assert_eq!(failure.kind, ExitKind::Key, "{failure}");
            assert!(
                failure.message.contains(&path(name).display().to_string()),
                "{failure}"
            );
            assert!(failure.message.contains(message), "{failure}");
            assert!(
                failure.to_json()["error"]["hint"]
                    .as_str()
                    .unwrap()
                    .contains(hint),
                "{failure}"
            );
            // The same through the layers of a daemon.
            let again = CommandFailure::from(
                anyhow::Error::from(create(&path("account.key"), account).unwrap_err())
                    .context("start"),
            );
            assert!(again.kind == ExitKind::Key && again.hint.is_some());
        }
    }

    #[test]
    fn what_is_known_beside_the_error_is_shown_beside_it() {
        let job = JobId::default();
        let failure = CommandFailure::new(ExitKind::NoConnection, "x", "y")
            .about(job)
            .with("estimate", json!({ "a": 1 }));
        let object = failure.to_json();
        assert_eq!(
            (&object["job"], &object["estimate"]["a"]),
            (&json!(job), &json!(1))
        );
        assert_eq!(failure.to_string(), format!("error: y\n job: {job}"));
    }
}
