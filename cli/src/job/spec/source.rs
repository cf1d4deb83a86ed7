//! Where a job's bytes come from: a file of the customer, or a blob that the network holds.

use std::path::{Path, PathBuf};

use types::hash::Hash32;

use super::field::Field;
use super::mistake::SpecError;

/// Bytes that a spec names, and where it names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecSource {
    /// The line of the spec, from 1.
    pub line: u64,
    /// Path of the field in the document, such as `engine.module`.
    pub field: String,
    /// Where the bytes are.
    pub origin: InputOrigin,
}

/// A file of the customer, or bytes that the network already holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputOrigin {
    /// A file; relative paths start at the spec's folder.
    File(PathBuf),
    /// A blob of the network; its length is asked of a node if it was not written.
    Blob {
        /// BLAKE3 hash of the file's bytes.
        hash: Hash32,
        /// Length in bytes; none where the spec names the hash alone.
        length: Option<u64>,
    },
}

impl SpecSource {
    /// Reads a path, or `blake3:<64 hex digits>` with an optional `:<bytes>`. Relative paths start at `folder`.
    pub fn read(field: &Field<'_>, folder: &Path) -> Result<Self, SpecError> {
        let text = field.text();
        let origin = if let Some(rest) = text.strip_prefix("blake3:") {
            let (hash, length) = rest
                .split_once(':')
                .map_or((rest, None), |(hash, length)| (hash, Some(length)));
            let expected = || field.expected();
            let length = length.map(str::parse).transpose();
            InputOrigin::Blob {
                hash: hash.parse().map_err(|_| expected())?,
                length: length.map_err(|_| expected())?,
            }
        } else if text.is_empty() {
            return Err(field.expected());
        } else {
            InputOrigin::File(folder.join(text))
        };
        Ok(Self {
            line: field.line(),
            field: field.path().to_owned(),
            origin,
        })
    }
}
