//! Prepares a module for its class: bytes to bytes, so that what a program can see is decided by its text and by no engine.
//!
//! [`prepare`] checks the rules of the class ([`accept`]) and writes the module anew with the insertions of its parts
//! ([`insertion`]): metering, and canonical NaNs ([`nan`]). What it writes is validated again. The rules are in
//! `docs/spec/executor.md`. It names no engine.

pub mod accept;
pub mod insertion;
pub mod module;
pub mod nan;

mod emit;

use accept::{ClassRule, Complexity};
use emit::Changes;

/// Name under which the function of a start section is exported; the host calls it before the program's entry.
pub const START_EXPORT: &str = "gridproof:start";

/// A module that an engine may compile and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The prepared module.
    pub bytes: Vec<u8>,
    /// What compiling it is charged by, beside its length.
    pub complexity: Complexity,
}

/// Why there is no prepared module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The module breaks a rule of its class: it is invalid on every machine.
    #[error(transparent)]
    Refused(#[from] ClassRule),
    /// What the pass wrote is no valid module. That is a fault of this program and says nothing about the module.
    #[error("the prepared module is not valid: {message}")]
    Output {
        /// Message of the validator, for people; nothing is decided by it.
        message: String,
    },
}

/// Prepares a module.
pub fn prepare(bytes: &[u8]) -> Result<Prepared, PrepareError> {
    let (module, complexity) = accept::accept(bytes)?;
    let nan = nan::canonicalise(&module);
    let changes = Changes {
        start: START_EXPORT,
        ..Changes::default()
    };
    let bytes = emit::emit(&module, &changes, |at| vec![nan[at].clone()]);
    wasmparser::Validator::new_with_features(accept::features())
        .validate_all(&bytes)
        .map_err(|error| PrepareError::Output {
            message: error.to_string(),
        })?;
    Ok(Prepared { bytes, complexity })
}
