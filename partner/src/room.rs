//! What disk and memory are free on this machine, and what a job may take of them.
//!
//! A partner that takes a job for which it lacks room pays for it with its bond, so it looks before it acknowledges. What
//! the system says is read at the rim; the core decides with it.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::fs::statvfs;
use types::job::{JobTerms, Workload};
use types::limits::{MAX_OUTCOME_BYTES, MAX_STATE_ENTRY_BYTES, MAX_STATES_BYTES};

/// Disk that stays free beside a job, for the journal and for what the system rounds up, in bytes.
const SPARE_DISK_BYTES: u64 = 64 << 20;
/// Memory of a worker beside what grows with its job: compiling, the program itself, in bytes.
const WORKER_MEMORY_BYTES: u64 = 128 << 20;

/// Disk and memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FreeRoom {
    /// Bytes of the disk that holds the partner's directory.
    pub disk_bytes: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// A number of bytes for people, in the largest unit of which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(f, "{} bytes", self.0);
        };
        let tenths = (u128::from(self.0) * 10) >> shift;
        match tenths % 10 {
            0 => write!(f, "{} {unit}", tenths / 10),
            tenth => write!(f, "{}.{tenth} {unit}", tenths / 10),
        }
    }
}

impl FreeRoom {
    /// What is free where a directory lies, now.
    pub fn free(dir: &Path) -> io::Result<Self> {
        let disk = statvfs(dir)?;
        Ok(Self {
            disk_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            memory_bytes: free_memory_bytes()?,
        })
    }

    /// What a job may take of a primary: its inputs and all results, and the memory of so many workers.
    #[must_use]
    pub fn of_primary(terms: &JobTerms, workload: &Workload, workers: u64) -> Self {
        Self {
            disk_bytes: terms
                .input_bytes
                .saturating_add(result_bytes(terms))
                .saturating_add(SPARE_DISK_BYTES),
            memory_bytes: worker_bytes(workload).saturating_mul(workers),
        }
    }

    /// What a check may take of a verifier before its workload is known: the inputs.
    #[must_use]
    pub fn of_verifier(terms: &JobTerms) -> Self {
        Self {
            disk_bytes: terms
                .input_bytes
                .saturating_add(start_bytes(terms))
                .saturating_add(SPARE_DISK_BYTES),
            memory_bytes: WORKER_MEMORY_BYTES,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    /// True if another need fits into this room.
    #[must_use]
    pub fn holds(self, need: Self) -> bool {
        need.disk_bytes <= self.disk_bytes && need.memory_bytes <= self.memory_bytes
    }

    /// The disk for people.
    #[must_use]
    pub fn disk(self) -> ByteCount {
        ByteCount(self.disk_bytes)
    }

    /// The memory for people.
    #[must_use]
    pub fn memory(self) -> ByteCount {
        ByteCount(self.memory_bytes)
    }
}

/// The larger one of a job's inputs and its results, in bytes: each has the quota to itself.
#[must_use]
pub fn largest_store_bytes(terms: &JobTerms) -> u64 {
    terms.input_bytes.max(result_bytes(terms))
}

/// The largest state with which a check of a chain may begin, and the list of all.
fn start_bytes(terms: &JobTerms) -> u64 {
    if !terms.state.is_chain() {
        return 0;
    }
    let list = u64::try_from(MAX_STATES_BYTES).unwrap_or(u64::MAX);
    terms.output_bytes.saturating_add(list)
}

/// What all tasks write, with a place for each in the list of outcomes and, of a chain, in that of states.
fn result_bytes(terms: &JobTerms) -> u64 {
    let listed = if terms.state.is_chain() {
        MAX_OUTCOME_BYTES + MAX_STATE_ENTRY_BYTES
    } else {
        MAX_OUTCOME_BYTES
    };
    let listed = u64::try_from(listed).unwrap_or(u64::MAX);
    let task = terms.output_bytes.saturating_add(listed);
    task.saturating_mul(u64::from(terms.tasks.count()))
}

/// What a worker of a job may hold: a task's memory, its inputs, and what it writes, which is held twice; at least one byte.
pub(crate) fn worker_bytes(workload: &Workload) -> u64 {
    let inputs = workload
        .blobs()
        .iter()
        .fold(0u64, |sum, blob| sum.saturating_add(blob.length));
    // The state before a task is held while it runs.
    let written = if workload.state.is_chain() { 3 } else { 2 };
    WORKER_MEMORY_BYTES
        .saturating_add(workload.limits.memory_bytes)
        .saturating_add(inputs)
        .saturating_add(workload.limits.output_bytes.saturating_mul(written))
}

/// How many workers may run a job's tasks side by side, with so many processors and so much memory for all: at least one.
#[must_use]
pub fn side_by_side(workload: &Workload, cores: u16, memory_bytes: u64) -> u64 {
    let tasks = if workload.state.is_chain() {
        1
    } else {
        u64::from(workload.tasks.count())
    };
    let by_memory = memory_bytes / worker_bytes(workload);
    tasks.min(u64::from(cores)).min(by_memory).max(1)
}

/// The memory that this process may still take, in bytes: the machine's, or what its control group leaves of that.
pub(crate) fn free_memory_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let available = meminfo_bytes(&text, "MemAvailable:");
    let available =
        available.ok_or_else(|| io::Error::other("/proc/meminfo has no MemAvailable"))?;
    Ok(group_memory_bytes().map_or(available, |group| group.min(available)))
}

/// A line of `/proc/meminfo`, in bytes.
fn meminfo_bytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim();
    kilobytes.parse::<u64>().ok()?.checked_mul(1_024)
}

/// What the control group of this process leaves of its memory, if it has a limit.
fn group_memory_bytes() -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use types::codec::{Bounded, encode};
    use types::hash::BlobId;
    use types::job::{JobSpec, StateOutputs, TaskState, TaskStates};
    use types::limits::MAX_STATE_OUTPUTS;

    use super::*;

    #[test]
    fn this_machine_has_room_and_its_texts_are_understood() {
        let room = FreeRoom::free(&std::env::temp_dir()).unwrap();
        assert!(room.memory_bytes > 1 << 20, "{room:?}");
        let text = "MemTotal:  9 kB\nMemAvailable:     1024 kB\n";
        assert_eq!(meminfo_bytes(text, "MemAvailable:"), Some(1 << 20));
        assert_eq!(meminfo_bytes("MemAvailable: x kB", "MemAvailable:"), None);
        assert!(FreeRoom::free(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit() {
        let cases = [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (16 << 30, "16 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(ByteCount(bytes).to_string(), text);
        }
    }

    #[test]
    fn workers_run_side_by_side_as_far_as_tasks_cores_and_memory_go() {
        let workload = crate::core::tests::chain::workload();
        let (tasks, each) = (workload.tasks.count(), worker_bytes(&workload));
        assert!(tasks > 2, "a workload of several tasks");
        let all = u64::from(tasks);
        for (cores, memory_bytes, workers) in [
            (u16::MAX, u64::MAX, all),
            (2, u64::MAX, 2),
            (u16::MAX, 2 * each, 2),
            (0, 0, 1),
        ] {
            assert_eq!(side_by_side(&workload, cores, memory_bytes), workers);
        }
    }

    #[test]
    fn the_list_of_a_chains_states_takes_disk_beside_them() {
        let workload = crate::core::tests::chain::workload();
        let mut spec = types::testing::job_spec(workload.clone());
        let need = |spec: &JobSpec| {
            let room = FreeRoom::of_primary(&JobTerms::of(spec), &workload, 1);
            room.disk_bytes
        };
        let array = need(&spec);
        spec.workload.state = StateOutputs(Bounded::new(vec![0]).unwrap());
        let largest = vec![Some(BlobId::of(b"state")); MAX_STATE_OUTPUTS];
        let handed_on = spec.workload.tasks.count() - 1;
        let states = (0..handed_on).map(|_| TaskState::new(largest.clone()).unwrap());
        let list = encode(&TaskStates(Bounded::new(states.collect()).unwrap()));
        let listed = u64::try_from(list.len()).unwrap();
        assert!(need(&spec) >= array + listed, "{listed} bytes");
    }

    #[test]
    fn both_disk_and_memory_must_be_there() {
        let room = |disk_bytes, memory_bytes| FreeRoom {
            disk_bytes,
            memory_bytes,
        };
        assert!(room(2, 2).holds(room(2, 2)));
        assert!(!room(2, 1).holds(room(2, 2)) && !room(1, 2).holds(room(2, 2)));
        assert_eq!(room(1, 2).and(room(3, u64::MAX)), room(4, u64::MAX));
    }
}
