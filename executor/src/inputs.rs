//! The bytes that a job's tasks start from, loaded and checked once and shared by all of them; for a task of a chain also what
//! the one before it left.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::hash::BlobId;
use types::job::{STATE_FOLDER, TaskState, Workload};

use crate::fuel;
use crate::no_result::{InputProblem, NoResult};

/// Standard input and the files under `/in`.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub(crate) stdin: Arc<Vec<u8>>,
    /// Absolute path and bytes, in the workload's order.
    pub(crate) files: Vec<(String, Arc<Vec<u8>>)>,
    /// The same of the state before the task.
    pub(crate) state: Vec<(String, Arc<Vec<u8>>)>,
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
        Ok(Self {
            stdin,
            files,
            state: Vec::new(),
        })
    }

    /// The same for a task that begins with a state; `read` gives a blob's bytes, which are checked against its hash and length.
    // Rule C79.
    pub fn after_state(
        &self,
        workload: &Workload,
        state: &TaskState,
        mut read: impl FnMut(BlobId) -> Result<Vec<u8>, InputProblem>,
    ) -> Result<Self, NoResult> {
        let mut files = Vec::new();
        for (position, blob) in workload.state.positions().zip(state.iter()) {
            let Some(blob) = *blob else { continue };
            let bytes = read(blob).map_err(|problem| NoResult::Input { blob, problem })?;
            check_blob(blob, &bytes)?;
            files.extend(state_path(workload, position).map(|path| (path, Arc::new(bytes))));
        }
        Ok(Self {
            state: files,
            ..self.clone()
        })
    }

    /// The same for the task of a chain that follows the one which left these outputs.
    // Rule C79.
    #[must_use]
    pub fn after_outputs(&self, workload: &Workload, mut outputs: Vec<Option<Vec<u8>>>) -> Self {
        let state = workload.state.positions().filter_map(|position| {
            let bytes = outputs.get_mut(position)?.take()?;
            Some((state_path(workload, position)?, Arc::new(bytes)))
        });
        Self {
            state: state.collect(),
            ..self.clone()
        }
    }

    /// Fuel that a task with these inputs is charged before its module's complexity: what the workload costs, and a unit for
    /// each byte of the state's files.
    pub(crate) fn upfront(&self, workload: &Workload) -> u64 {
        let lengths = self.state.iter().map(|(_, bytes)| bytes.len());
        lengths.fold(fuel::upfront(workload), |sum, length| {
            sum.saturating_add(u64::try_from(length).unwrap_or(u64::MAX))
        })
    }
}

/// Where a task finds what the one before it left at an output.
fn state_path(workload: &Workload, position: usize) -> Option<String> {
    let name = workload.outputs.get(position)?.name.as_str();
    Some(format!("{STATE_FOLDER}/{name}"))
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
