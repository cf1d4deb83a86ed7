//! A settled job, from the receipt document to the last output byte.
//!
//! The document proves the receipt; the receipt names the list of outcomes and, under a salt, the root that the
//! primary committed to and the verifiers checked; the outcomes name every file by hash and length.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;

use types::attestation::{Outcomes, result_root_of};
use types::block::Header;
use types::codec::{CodecError, decode};
use types::hash::{BlobId, Hash32, WorkloadId};
use types::job::{JobReceipt, Revocation, TaskSet, Workload};
use types::limits::{MAX_OUTCOMES_BYTES, MAX_STATE_VALUE_BYTES};
use types::number::{ChainTime, Fuel, Height, Stake, TaskIndex};
use types::params::UnknownProtocolVersion;
use types::proof::ReceiptProof;
use types::state_key::StateKey;

use crate::Light;
use crate::document::{DocumentError, chain_time, parse_document};
use crate::finality::{FinalityError, ValueError};

/// One file that a task wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// Index of the task in the job.
    pub task: TaskIndex,
    /// Which of its files.
    pub stream: Stream,
}

/// Which file of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Bytes that the task wrote to standard output.
    Stdout,
    /// Bytes that the task wrote to standard error.
    Stderr,
    /// A declared output, by its position in the workload's list.
    Output(u16),
}

impl fmt::Display for FileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stream {
            Stream::Stdout => write!(f, "task {}, stdout", self.task),
            Stream::Stderr => write!(f, "task {}, stderr", self.task),
            Stream::Output(position) => write!(f, "task {}, output {position}", self.task),
        }
    }
}

/// The files that somebody holds of a job.
pub trait JobFiles {
    /// Every file there is.
    fn list(&self) -> std::io::Result<BTreeSet<FileRef>>;

    /// A file's bytes from its beginning.
    fn open(&self, file: FileRef) -> std::io::Result<Box<dyn Read + '_>>;
}

impl JobFiles for BTreeMap<FileRef, Vec<u8>> {
    fn list(&self) -> std::io::Result<BTreeSet<FileRef>> {
        Ok(self.keys().copied().collect())
    }

    fn open(&self, file: FileRef) -> std::io::Result<Box<dyn Read + '_>> {
        let bytes = self.get(&file).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

/// What a job's result is verified from, beside the document.
pub struct JobEvidence<'a> {
    /// The encoded list of outcomes.
    pub outcomes: &'a [u8],
    /// The workload, if it is at hand: it is checked too, and gives outputs their names in errors.
    pub workload: Option<&'a Workload>,
    /// Source of the output files to check.
    pub files: &'a dyn JobFiles,
}

/// Why a job's result is not what the chain settled.
#[derive(Debug, thiserror::Error)]
pub enum JobProofError {
    /// The bytes are not a receipt document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The proof in it does not hold.
    #[error("the receipt is not proven: {0}")]
    Proof(#[from] ValueError),
    /// The proof's parts are of states in another order: something may have happened between them that they do not show.
    #[error(
        "the proof shows chain time at height {time}, no revocation at {revocation} and the receipt at {receipt}: each must be \
         at the height of the one before or later"
    )]
    OutOfOrder {
        /// Height of the state that shows the chain time.
        time: Height,
        /// Height of the state that shows whether there is a revocation.
        revocation: Height,
        /// Height of the state that shows the receipt.
        receipt: Height,
    },
    /// The receipt does not stand, and this says why.
    #[error("{}", why_not(.0))]
    NotStanding(Revocation),
    /// What stands where a revocation would be is none.
    #[error("the revocation of the receipt does not decode: {0}")]
    BadRevocation(CodecError),
    /// The list of outcomes is not the one that the receipt names.
    #[error("the list of outcomes is blob {found}, the receipt names {expected}")]
    OtherOutcomes {
        /// Blob that the receipt names.
        expected: BlobId,
        /// Of the bytes given.
        found: BlobId,
    },
    /// The list of outcomes does not decode.
    #[error("the list of outcomes does not decode: {0}")]
    BadOutcomes(CodecError),
    /// Not one outcome per task.
    #[error("the list has {found} outcomes, the job has {expected} tasks")]
    OutcomeCount {
        /// Tasks of the job.
        expected: u32,
        /// Number of outcomes in the list.
        found: usize,
    },
    /// The outcomes do not lead to the root that was committed to and checked.
    #[error("the outcomes lead to result root {found}, the receipt has {expected}")]
    ResultRoot {
        /// Result root in the receipt.
        expected: Hash32,
        /// From the outcomes and the salt.
        found: Hash32,
    },
    /// The outcomes count other fuel than validators certified.
    #[error("the outcomes count {found} fuel, the receipt has {expected}")]
    OtherFuel {
        /// Fuel in the receipt.
        expected: Fuel,
        /// Sum over the outcomes.
        found: Fuel,
    },
    /// Another workload than the one that was run.
    #[error("the workload is {found}, the receipt names {expected}")]
    OtherWorkload {
        /// Workload id in the receipt.
        expected: WorkloadId,
        /// Of the workload given.
        found: WorkloadId,
    },
    /// A file that a task wrote is not there.
    #[error("{label}: the file is missing")]
    Missing {
        /// File that broke the rule, by task and name.
        file: FileRef,
        /// For people, with the output's name.
        label: String,
    },
    /// A file is not the one that the task wrote.
    #[error("{label}: the file is blob {found}, the task wrote {expected}")]
    Different {
        /// File that broke the rule, by task and name.
        file: FileRef,
        /// For people, with the output's name.
        label: String,
        /// Blob that the outcomes name.
        expected: BlobId,
        /// Of the bytes read; reading stops one byte after the expected length.
        found: BlobId,
    },
    /// A file that no task wrote.
    #[error("{label}: no task wrote this file")]
    Extra {
        /// File that broke the rule, by task and name.
        file: FileRef,
        /// For people, with the output's name.
        label: String,
    },
    /// A file cannot be read.
    #[error("{label}: the file cannot be read: {error}")]
    Unreadable {
        /// Name of the file for people.
        label: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl From<UnknownProtocolVersion> for JobProofError {
    fn from(unknown: UnknownProtocolVersion) -> Self {
        Self::Proof(FinalityError::Version(unknown).into())
    }
}

fn why_not(revocation: &Revocation) -> String {
    match revocation {
        Revocation::Challenged { challenger, height } => format!(
            "partner {challenger} challenged the result at height {height}, and referees have not decided: the receipt does not \
             stand now"
        ),
        Revocation::Refuted { height, .. } => {
            format!(
                "referees found at height {height} that the result is wrong: the receipt is revoked"
            )
        }
        Revocation::NonCanonical { height } => format!(
            "referees found more than one result of the program, or none, at height {height}: the receipt is revoked"
        ),
    }
}

/// As of when a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptStanding {
    /// The height after whose block there is no revocation.
    pub height: Height,
    /// A chain time that was reached by then.
    pub chain_time: ChainTime,
    /// True if nobody can challenge the receipt any more.
    pub is_final: bool,
}

/// A receipt that is shown to be in state, and to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingReceipt {
    /// Receipt that was proven.
    pub receipt: JobReceipt,
    /// The header whose state root shows it.
    pub header: Header,
    /// Stake of the signers that made that final.
    pub signed_stake: Stake,
    /// As of when it stands.
    pub standing: ReceiptStanding,
}

/// A job whose receipt, outcomes and files are shown to be those that the chain settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedJob {
    /// Receipt that was proven, and as of when it stands.
    pub proven: StandingReceipt,
    /// How each task ended.
    pub outcomes: Outcomes,
    /// Number of files that were read and compared.
    pub files: usize,
}

impl Light {
    /// Verifies a receipt document alone: the receipt, that it is not revoked, and the headers that show it.
    pub fn verify_receipt(&self, document: &str) -> Result<StandingReceipt, JobProofError> {
        let proof = parse_document(document)?;
        let receipt = self.receipt_of(&proof, document).map_err(|error| {
            let newer = self.newer_version(&proof);
            newer.map_or(error.into(), JobProofError::from)
        })?;
        let time = self.verify_value(&proof.time, &StateKey::Chain)?;
        let revocation = StateKey::Revocation(receipt.job);
        let revocation = self.verify_value(&proof.revocation, &revocation)?;
        let shown = self.verify_value(&proof.receipt, &StateKey::Receipt(receipt.job))?;
        if time.height > revocation.height || revocation.height > shown.height {
            return Err(JobProofError::OutOfOrder {
                time: time.height,
                revocation: revocation.height,
                receipt: shown.height,
            });
        }
        if let Some(bytes) = revocation.bytes {
            let found = decode(bytes, MAX_STATE_VALUE_BYTES);
            let found = found.map_err(JobProofError::BadRevocation)?;
            return Err(JobProofError::NotStanding(found));
        }
        let chain_time = chain_time(&proof)?;
        let standing = ReceiptStanding {
            height: revocation.height,
            chain_time,
            is_final: chain_time >= receipt.revocable_until,
        };
        let certificate = &proof.receipt.finality.certificate;
        let term = self.term(certificate.statement.epoch);
        let stake = term.map_or(Stake::ZERO, |term| {
            term.committee.stake_of(&certificate.signers)
        });
        Ok(StandingReceipt {
            header: shown.header.clone(),
            receipt,
            signed_stake: stake,
            standing,
        })
    }

    /// What a quorum says of a version of the protocol that this program lacks, if it finalized a header of a proof that
    /// follows one: whatever else is strange in such a proof says nothing against it.
    #[must_use]
    pub fn newer_version(&self, proof: &ReceiptProof) -> Option<UnknownProtocolVersion> {
        let mut parts = [&proof.time, &proof.revocation, &proof.receipt].into_iter();
        parts.find_map(|part| match self.verify_finality(&part.finality) {
            Err(FinalityError::Version(unknown)) => Some(unknown),
            _ => None,
        })
    }

    /// Verifies a job: the document, the outcomes that it names, and every file that these name. A job with a file
    /// missing, different or too many is refused, by the first of them.
    pub fn verify_job(
        &self,
        document: &str,
        evidence: &JobEvidence<'_>,
    ) -> Result<VerifiedJob, JobProofError> {
        let proven = self.verify_receipt(document)?;
        let receipt = &proven.receipt;
        let outcomes = verify_outcomes(receipt, evidence.outcomes)?;
        if let Some(workload) = evidence.workload
            && workload.id() != receipt.workload
        {
            return Err(JobProofError::OtherWorkload {
                expected: receipt.workload,
                found: workload.id(),
            });
        }
        let files = verify_files(&receipt.tasks, &outcomes, evidence)?;
        Ok(VerifiedJob {
            proven,
            outcomes,
            files,
        })
    }
}

/// The outcomes that a receipt names, if these bytes are they.
// Rules C3, C5, C61.
pub fn verify_outcomes(receipt: &JobReceipt, bytes: &[u8]) -> Result<Outcomes, JobProofError> {
    let found = BlobId::of(bytes);
    if found != receipt.outcomes {
        return Err(JobProofError::OtherOutcomes {
            expected: receipt.outcomes,
            found,
        });
    }
    let outcomes: Outcomes =
        decode(bytes, MAX_OUTCOMES_BYTES).map_err(JobProofError::BadOutcomes)?;
    if u32::try_from(outcomes.0.len()) != Ok(receipt.tasks.count()) {
        return Err(JobProofError::OutcomeCount {
            expected: receipt.tasks.count(),
            found: outcomes.0.len(),
        });
    }
    let hashes = (receipt.workload, &receipt.input_root);
    let leaves = outcomes.leaves_of(hashes, &receipt.tasks, &receipt.state);
    let found = result_root_of(&receipt.salt, &leaves);
    if found != receipt.result_root {
        return Err(JobProofError::ResultRoot {
            expected: receipt.result_root,
            found,
        });
    }
    let (expected, found) = (receipt.fuel, outcomes.fuel());
    if found != expected {
        return Err(JobProofError::OtherFuel { expected, found });
    }
    Ok(outcomes)
}

/// Every file that the outcomes of these tasks name.
#[must_use]
pub fn files_of(tasks: &TaskSet, outcomes: &Outcomes) -> BTreeMap<FileRef, BlobId> {
    let mut files = BTreeMap::new();
    for (task, outcome) in tasks.indices().zip(&outcomes.0) {
        files.insert(
            FileRef {
                task,
                stream: Stream::Stdout,
            },
            outcome.stdout,
        );
        files.insert(
            FileRef {
                task,
                stream: Stream::Stderr,
            },
            outcome.stderr,
        );
        for (position, output) in (0u16..).zip(&outcome.outputs) {
            if let Some(blob) = output {
                files.insert(
                    FileRef {
                        task,
                        stream: Stream::Output(position),
                    },
                    *blob,
                );
            }
        }
    }
    files
}

fn verify_files(
    tasks: &TaskSet,
    outcomes: &Outcomes,
    evidence: &JobEvidence<'_>,
) -> Result<usize, JobProofError> {
    let label = |file: FileRef| {
        let name = match file.stream {
            Stream::Output(position) => evidence
                .workload
                .and_then(|workload| workload.outputs.get(usize::from(position))),
            _ => None,
        };
        name.map_or_else(
            || file.to_string(),
            |output| format!("{file} ({})", output.name),
        )
    };
    let expected = files_of(tasks, outcomes);
    let unreadable = |error| JobProofError::Unreadable {
        label: "the job's files".into(),
        error,
    };
    let present = evidence.files.list().map_err(unreadable)?;
    if let Some(file) = expected.keys().find(|file| !present.contains(file)) {
        return Err(JobProofError::Missing {
            file: *file,
            label: label(*file),
        });
    }
    if let Some(file) = present.iter().find(|file| !expected.contains_key(file)) {
        return Err(JobProofError::Extra {
            file: *file,
            label: label(*file),
        });
    }
    for (&file, &expected) in &expected {
        let bytes = evidence
            .files
            .open(file)
            .and_then(|bytes| hash_up_to(bytes, expected.length));
        let found = bytes.map_err(|error| JobProofError::Unreadable {
            label: label(file),
            error,
        })?;
        if found != expected {
            return Err(JobProofError::Different {
                file,
                label: label(file),
                expected,
                found,
            });
        }
    }
    Ok(expected.len())
}

/// Names what a reader gives, reading at most one byte more than `length`.
fn hash_up_to(bytes: Box<dyn Read + '_>, length: u64) -> std::io::Result<BlobId> {
    let mut hasher = blake3::Hasher::new();
    let length = std::io::copy(&mut bytes.take(length.saturating_add(1)), &mut hasher)?;
    Ok(BlobId {
        hash: Hash32(*hasher.finalize().as_bytes()),
        length,
    })
}

#[cfg(test)]
mod tests;
