//! Verifying a job offline, the receipt alone or with outcomes and every file, against genesis alone. Uses only `light`.

use std::path::Path;

use light::{JobEvidence, Light, MAX_DOCUMENT_BYTES, StandingReceipt, VerifiedJob};
use types::codec::decode;
use types::job::Workload;
use types::limits::{MAX_OUTCOMES_BYTES, MAX_TRANSACTION_BYTES};

use super::exits::{self, FailedTask};
use super::files::{Folder, OUTCOMES, WORKLOAD};
use crate::failure::{CommandFailure, ExitKind};
use crate::trust::not_proven;

/// A folder whose every file is one that the chain settled.
#[derive(Debug)]
pub struct VerifiedFolder {
    /// Receipt, outcomes and the proof of them.
    pub job: VerifiedJob,
    /// What was run.
    pub workload: Workload,
}

impl VerifiedFolder {
    /// Number of tasks.
    pub fn tasks(&self) -> usize {
        self.job.outcomes.0.len()
    }

    /// The tasks that failed by their own doing.
    pub fn failed_tasks(&self) -> Vec<FailedTask> {
        exits::failed_tasks(&self.workload, &self.job.outcomes)
    }
}

/// Verifies a receipt document offline, without the results that it settles.
pub fn receipt(light: &Light, path: &Path) -> Result<StandingReceipt, CommandFailure> {
    light
        .verify_receipt(&document(path)?)
        .map_err(|error| not_proven(&error, refused))
}

/// Verifies the folder of a fetched job offline, from the trusted genesis to the last output byte.
pub fn folder(
    light: &Light,
    receipt_path: &Path,
    outputs: &Path,
) -> Result<VerifiedFolder, CommandFailure> {
    let document = document(receipt_path)?;
    let outcomes = read(&outputs.join(OUTCOMES), MAX_OUTCOMES_BYTES)?;
    let path = outputs.join(WORKLOAD);
    let workload: Workload = decode(&read(&path, MAX_TRANSACTION_BYTES)?, MAX_TRANSACTION_BYTES)
        // What only a newer program can read is not wrong.
        .map_err(|error| match receipt(light, receipt_path) {
            Err(failure) if failure.kind == ExitKind::UnknownVersion => failure,
            _ => refused(&format!("{}: {error}", path.display())),
        })?;
    let files = Folder::new(outputs, &workload);
    let evidence = JobEvidence {
        outcomes: &outcomes,
        workload: Some(&workload),
        files: &files,
    };
    let job = light
        .verify_job(&document, &evidence)
        .map_err(|error| not_proven(&error, refused))?;
    if let Some(stranger) = files.stranger()? {
        return Err(
            refused(&format!("{} is no file of this job", stranger.display()))
                .hint("fetch the job into an empty folder, or move that file away"),
        );
    }
    Ok(VerifiedFolder { job, workload })
}

fn document(path: &Path) -> Result<String, CommandFailure> {
    String::from_utf8(read(path, MAX_DOCUMENT_BYTES)?)
        .map_err(|_| refused(&format!("{} is not text", path.display())))
}

fn refused(why: &str) -> CommandFailure {
    CommandFailure::new(
        ExitKind::NotVerified,
        "not_verified",
        format!("not verified: {why}"),
    )
    .hint("fetch the job again; if it stays, do not use these results")
}

/// Reads a file of at most `limit` bytes. One that is missing is an input error, one that is too long is no evidence.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, CommandFailure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    if let Err(error) = file {
        return Err(CommandFailure::new(
            ExitKind::BadInput,
            "missing_file",
            format!("cannot read {}: {error}", path.display()),
        )
        .hint("give the receipt.json that `job fetch` or `job run` wrote, and with --outputs the folder"));
    }
    if bytes.len() > limit {
        return Err(refused(&format!(
            "{} has more than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
