//! How a job's results lie in a folder, for those who write and those who read it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use light::{FileRef, JobFiles, Stream};
use types::job::{TaskSet, Workload};
use types::number::TaskIndex;

/// The receipt with its proof.
pub const RECEIPT: &str = "receipt.json";
/// The encoded list of outcomes.
pub const OUTCOMES: &str = "outcomes.bin";
/// The encoded workload: what was run, and the outputs' names.
pub const WORKLOAD: &str = "workload.bin";
/// Says which job the folder is for: its id.
pub const MARK: &str = "job.id";
/// Names in the folder that are not results of tasks. A job whose outputs have one of them has a folder per task.
pub const OWN_NAMES: [&str; 5] = [RECEIPT, OUTCOMES, WORKLOAD, MARK, "genesis.bin"];

/// A folder of results.
pub struct Folder<'a> {
    root: &'a Path,
    workload: &'a Workload,
}

impl<'a> Folder<'a> {
    /// The results of a workload below `root`.
    pub fn new(root: &'a Path, workload: &'a Workload) -> Self {
        Self { root, workload }
    }

    /// True if the only task's files lie in the folder itself.
    fn is_flat(&self) -> bool {
        self.workload.tasks == TaskSet::all(1)
            && !self
                .workload
                .outputs
                .iter()
                .any(|output| OWN_NAMES.contains(&output.name.as_str()))
    }

    /// Where a task's files lie.
    pub fn task(&self, task: TaskIndex) -> PathBuf {
        if self.is_flat() {
            self.root.to_path_buf()
        } else {
            self.root.join(task.to_string())
        }
    }

    /// Where a file lies; nothing if the workload has no such output.
    pub fn path(&self, file: FileRef) -> Option<PathBuf> {
        let name = match file.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Output(position) => self
                .workload
                .outputs
                .get(usize::from(position))?
                .name
                .as_str(),
        };
        // Names of outputs hold no slash on chain; a folder from elsewhere must not lead out of itself either.
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']);
        plain.then(|| self.task(file.task).join(name))
    }

    fn stream(&self, name: &str) -> Option<Stream> {
        match name {
            "stdout" => Some(Stream::Stdout),
            "stderr" => Some(Stream::Stderr),
            name => {
                let position = self
                    .workload
                    .outputs
                    .iter()
                    .position(|output| output.name.as_str() == name)?;
                u16::try_from(position).ok().map(Stream::Output)
            }
        }
    }

    /// Something in the folder that is no file of any task and none of its own: a reader must not take it for a
    /// result.
    pub fn stranger(&self) -> std::io::Result<Option<PathBuf>> {
        for entry in std::fs::read_dir(self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = OWN_NAMES.contains(&name.as_str());
            let known = if self.is_flat() {
                self.stream(&name).is_some()
            } else {
                self.is_task_name(&name)
            };
            if !own && !known {
                return Ok(Some(entry.path()));
            }
        }
        if self.is_flat() {
            return Ok(None);
        }
        for task in self.workload.tasks.indices() {
            for entry in read_dir_or_nothing(&self.task(task))? {
                if self.stream(&entry.file_name().to_string_lossy()).is_none() {
                    return Ok(Some(entry.path()));
                }
            }
        }
        Ok(None)
    }

    fn is_task_name(&self, name: &str) -> bool {
        name.parse().is_ok_and(|task: u32| {
            self.workload.tasks.contains(TaskIndex(task)) && task.to_string() == name
        })
    }
}

fn read_dir_or_nothing(path: &Path) -> std::io::Result<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl JobFiles for Folder<'_> {
    fn list(&self) -> std::io::Result<BTreeSet<FileRef>> {
        let mut files = BTreeSet::new();
        for task in self.workload.tasks.indices() {
            for entry in read_dir_or_nothing(&self.task(task))? {
                let stream = self.stream(&entry.file_name().to_string_lossy());
                files.extend(stream.map(|stream| FileRef { task, stream }));
            }
        }
        Ok(files)
    }

    fn open(&self, file: FileRef) -> std::io::Result<Box<dyn Read + '_>> {
        let path = self.path(file).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Box::new(File::open(path)?))
    }
}
