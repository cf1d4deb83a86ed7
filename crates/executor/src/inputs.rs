//! The bytes that a job's tasks start from, loaded and checked once and shared by all of them.

use std::sync::Arc;

use types::hash::BlobId;
use types::job::Workload;

use crate::task::NoResult;

/// Standard input and the files under `/in`.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub(crate) stdin: Arc<[u8]>,
    /// Absolute path and bytes, in the workload's order.
    pub(crate) files: Vec<(String, Arc<[u8]>)>,
}

impl Inputs {
    /// Loads what the workload names; `read` gives a blob's bytes, which are checked against its hash and length.
    pub fn load(
        workload: &Workload,
        mut read: impl FnMut(BlobId) -> Result<Vec<u8>, String>,
    ) -> Result<Self, NoResult> {
        let mut checked = |blob: BlobId| match read(blob) {
            Ok(bytes) if BlobId::of(&bytes) == blob => Ok(Arc::<[u8]>::from(bytes)),
            Ok(_) => Err(NoResult::Input { blob, error: "its bytes have another hash or length".into() }),
            Err(error) => Err(NoResult::Input { blob, error }),
        };
        let stdin = workload.stdin.map(&mut checked).transpose()?.unwrap_or_default();
        let mut files = Vec::new();
        for input in &workload.inputs {
            files.push((input.target.as_str().to_owned(), checked(input.blob)?));
        }
        Ok(Self { stdin, files })
    }
}
