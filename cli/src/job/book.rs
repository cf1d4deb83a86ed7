//! The local record of submitted jobs: one line of JSON for each, synced before its transaction is sent. So a job that broke off is
//! found again, is not paid for twice, and can be named by the first digits of its id.
//!
//! It is a convenience of this machine: where it cannot be kept, that is said and the command goes on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::codec::encode;
use types::hash::{Address, ChainId, Domain, Hash32, JobId, TransactionId};
use types::job::JobSpec;
use types::number::Timestamp;

/// Names another file for the record.
const VARIABLE: &str = "GRIDPROOF_JOBS";
/// Most bytes of a record that are read; older lines are not looked at.
const MAX_READ_BYTES: u64 = 1 << 20;
/// Length of a record at which its older half goes.
const MAX_BYTES: u64 = 2 * MAX_READ_BYTES;

/// A job that was, or was about to be, submitted from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedEntry {
    /// Id of the job.
    pub job: JobId,
    /// Id of the transaction that submits it.
    pub transaction: TransactionId,
    /// Chain that it was signed for.
    pub chain: ChainId,
    /// Account that pays.
    pub customer: Address,
    /// Hash of the spec's canonical bytes.
    pub spec: Hash32,
    /// When it was signed, by the clock of this machine.
    pub time: Timestamp,
}

/// The record of this user on this machine.
#[derive(Debug)]
pub struct JobBook {
    path: Option<PathBuf>,
}

impl JobBook {
    /// The record at its usual path: `$GRIDPROOF_JOBS`, else `gridproof/jobs.jsonl` below `$XDG_DATA_HOME` or `~/.local/share`.
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let data = || {
            let data = variable("XDG_DATA_HOME").map(PathBuf::from);
            data.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".local/share")))
        };
        let usual = || data().map(|data| data.join("gridproof/jobs.jsonl"));
        Self {
            path: variable(VARIABLE).map(PathBuf::from).or_else(usual),
        }
    }

    /// The record in a file.
    #[cfg(test)]
    pub fn at(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// Adds a job, and waits until that is on disk.
    pub fn add(&self, entry: &SubmittedEntry) -> std::io::Result<()> {
        let Some(path) = &self.path else {
            let message = format!("neither {VARIABLE} nor HOME is set");
            return Err(std::io::Error::other(message));
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut line = serde_json::to_string(entry).map_err(std::io::Error::other)?;
        line.push('\n');
        if std::fs::metadata(path).is_ok_and(|found| found.len() > MAX_BYTES) {
            let kept = path.with_extension("jsonl.new");
            std::fs::write(&kept, tail(path)?)?;
            std::fs::rename(&kept, path)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    /// The newest jobs, newest first; lines that cannot be read are passed over.
    pub fn entries(&self) -> Vec<SubmittedEntry> {
        let text = self.path.as_deref().map(tail);
        let text = text.and_then(Result::ok).unwrap_or_default();
        let lines = text.lines().rev();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The jobs that were submitted from this spec by this customer on this chain, newest first.
    pub fn of_spec(
        &self,
        chain: ChainId,
        customer: Address,
        spec: &JobSpec,
    ) -> Vec<SubmittedEntry> {
        let spec = spec_hash(spec);
        let mut entries = self.entries();
        entries
            .retain(|entry| (entry.chain, entry.customer, entry.spec) == (chain, customer, spec));
        entries
    }
}

/// The hash by which the record knows a spec.
pub fn spec_hash(spec: &JobSpec) -> Hash32 {
    Hash32::of_parts(Domain::JOB, &[&encode(spec)])
}

/// The end of a file from the beginning of a line on.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if length <= MAX_READ_BYTES {
        return Ok(text);
    }
    Ok(text
        .split_once('\n')
        .map_or(String::new(), |(_, rest)| rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use types::testing::{job_spec, workload};

    use super::*;

    fn entry(number: u64) -> SubmittedEntry {
        SubmittedEntry {
            job: JobId(Hash32::of(Domain::JOB, &number)),
            transaction: TransactionId(Hash32([1; 32])),
            chain: ChainId(Hash32([2; 32])),
            customer: Address([3; 20]),
            spec: spec_hash(&job_spec(workload(b"module", 1))),
            time: Timestamp(number),
        }
    }

    #[test]
    fn jobs_are_found_newest_first_by_what_they_were_submitted_from() {
        let folder = tempfile::tempdir().unwrap();
        let book = JobBook::at(folder.path().join("data/jobs.jsonl"));
        assert_eq!(book.entries(), []);
        for number in 0..3 {
            book.add(&entry(number)).unwrap();
        }
        assert_eq!(book.entries(), [entry(2), entry(1), entry(0)]);
        let (chain, customer) = (entry(0).chain, entry(0).customer);
        let spec = |tasks| job_spec(workload(b"module", tasks));
        assert_eq!(book.of_spec(chain, customer, &spec(1)).len(), 3);
        assert_eq!(book.of_spec(chain, customer, &spec(2)), []);
        assert_eq!(book.of_spec(chain, Address([4; 20]), &spec(1)), []);
    }

    #[test]
    fn a_line_that_a_crash_tore_hides_no_other_and_the_file_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.jsonl");
        let book = JobBook::at(path.clone());
        book.add(&entry(0)).unwrap();
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"job\": \n\xff\n");
        std::fs::write(&path, &torn).unwrap();
        book.add(&entry(1)).unwrap();
        assert_eq!(book.entries(), [entry(1), entry(0)]);
        let many = std::fs::read(&path).unwrap().repeat(5_000);
        std::fs::write(&path, &many).unwrap();
        book.add(&entry(2)).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() <= MAX_BYTES);
        assert_eq!(book.entries()[0], entry(2));
    }

    #[test]
    fn without_a_place_nothing_is_recorded_and_that_is_an_error() {
        let book = JobBook { path: None };
        assert!(book.add(&entry(0)).is_err());
        assert_eq!(book.entries(), []);
    }
}
