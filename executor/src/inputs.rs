//! The bytes that a job's tasks start from, loaded and checked once and shared by all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::hash::BlobId;
use types::job::Workload;

use crate::no_result::{InputProblem, NoResult};

/// Standard input and the files under `/in`.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub(crate) stdin: Arc<Vec<u8>>,
    /// Absolute path and bytes, in the workload's order.
    pub(crate) files: Vec<(String, Arc<Vec<u8>>)>,
}

impl Inputs {
    /// Loads what the workload names; `read` gives a blob's bytes, which are checked against its hash and length. Each
    /// blob is read and held once, however many targets it has.
    pub fn load(
        workload: &Workload,
        mut read: impl FnMut(BlobId) -> Result<Vec<u8>, InputProblem>,
    ) -> Result<Self, NoResult> {
        let mut held: BTreeMap<BlobId, Arc<Vec<u8>>> = BTreeMap::new();
        let mut checked = |blob: BlobId| {
            if let Some(bytes) = held.get(&blob) {
                return Ok(Arc::clone(bytes));
            }
            let bytes = read(blob).map_err(|problem| NoResult::Input { blob, problem })?;
            check_blob(blob, &bytes)?;
            let bytes = Arc::new(bytes);
            held.insert(blob, Arc::clone(&bytes));
            Ok(bytes)
        };
        let stdin = workload
            .stdin
            .map(&mut checked)
            .transpose()?
            .unwrap_or_default();
        let mut files = Vec::new();
        for input in &workload.inputs {
            files.push((input.target.as_str().to_owned(), checked(input.blob)?));
        }
        Ok(Self { stdin, files })
    }
}

/// Checks that bytes are those of the blob that the workload names.
pub(crate) fn check_blob(blob: BlobId, bytes: &[u8]) -> Result<(), NoResult> {
    let found = BlobId::of(bytes);
    if found == blob {
        return Ok(());
    }
    let problem = InputProblem::OtherBytes(found);
    Err(NoResult::Input { blob, problem })
}
