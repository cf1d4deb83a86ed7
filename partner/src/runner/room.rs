//! What of this machine tasks may take: processors and memory, counted over all executions.
//!
//! One worker of an execution always runs: a duty that waits for others is a duty missed. What runs beside it runs as far as there is
//! room when it begins.

use std::sync::{Mutex, MutexGuard, PoisonError};

use types::job::Workload;

use crate::room::{free_memory_bytes, worker_bytes};

/// Processors and memory for tasks.
#[derive(Debug)]
pub struct TaskRoom {
    cores: usize,
    memory_bytes: u64,
    /// What the machine has free now, in bytes; nothing where it does not say.
    free_bytes: fn() -> Option<u64>,
    used: Mutex<UsedRoom>,
}

#[derive(Debug, Default)]
struct UsedRoom {
    cores: usize,
    memory_bytes: u64,
}

/// Room that workers hold as long as this lives.
#[derive(Debug)]
pub(super) struct HeldRoom<'a> {
    room: &'a TaskRoom,
    each_bytes: u64,
    workers: usize,
}

impl TaskRoom {
    /// Room for so many workers at the same time, which together may use so much memory, in bytes, and no more than the machine
    /// has free when they begin.
    #[must_use]
    pub fn new(cores: u16, memory_bytes: u64) -> Self {
        Self::over(cores, memory_bytes, || free_memory_bytes().ok())
    }

    fn over(cores: u16, memory_bytes: u64, free_bytes: fn() -> Option<u64>) -> Self {
        Self {
            cores: usize::from(cores),
            memory_bytes,
            free_bytes,
            used: Mutex::default(),
        }
    }

    fn used(&self) -> MutexGuard<'_, UsedRoom> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for one worker, and for more, up to `wanted`, as far as there is room for them now.
    pub(super) fn enter(&self, workload: &Workload, wanted: usize) -> HeldRoom<'_> {
        let each_bytes = worker_bytes(workload);
        let mut used = self.used();
        let by_cores = self.cores.saturating_sub(used.cores);
        let free_bytes = self.memory_bytes.saturating_sub(used.memory_bytes);
        let free_bytes = free_bytes.min((self.free_bytes)().unwrap_or(u64::MAX));
        let by_memory = usize::try_from(free_bytes / each_bytes).unwrap_or(usize::MAX);
        let workers = wanted.min(by_cores).min(by_memory).max(1);
        used.cores = used.cores.saturating_add(workers);
        used.memory_bytes = used
            .memory_bytes
            .saturating_add(taken_bytes(workers, each_bytes));
        HeldRoom {
            room: self,
            each_bytes,
            workers,
        }
    }
}

impl HeldRoom<'_> {
    /// How many workers may run, at least one.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }
}

impl Drop for HeldRoom<'_> {
    fn drop(&mut self) {
        let mut used = self.room.used();
        used.cores = used.cores.saturating_sub(self.workers);
        let taken = taken_bytes(self.workers, self.each_bytes);
        used.memory_bytes = used.memory_bytes.saturating_sub(taken);
    }
}

fn taken_bytes(workers: usize, each_bytes: u64) -> u64 {
    u64::try_from(workers)
        .unwrap_or(u64::MAX)
        .saturating_mul(each_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::chain::workload;

    #[test]
    fn one_worker_always_has_room_and_more_as_far_as_there_is() {
        let room = TaskRoom::over(4, u64::MAX, || None);
        let first = room.enter(&workload(), 3);
        assert_eq!(first.workers(), 3);
        let second = room.enter(&workload(), 3);
        assert_eq!(second.workers(), 1);
        assert_eq!(room.enter(&workload(), 8).workers(), 1, "beyond the cores");
        drop(first);
        assert_eq!(room.enter(&workload(), 8).workers(), 3);
        drop(second);
        assert_eq!(room.enter(&workload(), 8).workers(), 4);
        assert_eq!(room.used().memory_bytes, 0);
    }

    #[test]
    fn memory_is_a_limit_too() {
        let each = worker_bytes(&workload());
        let room = TaskRoom::over(8, 2 * each + each / 2, || None);
        let first = room.enter(&workload(), 8);
        assert_eq!(first.workers(), 2);
        assert_eq!(room.enter(&workload(), 8).workers(), 1);
        assert_eq!(TaskRoom::new(8, 0).enter(&workload(), 8).workers(), 1);
        let poor = TaskRoom::over(8, u64::MAX, || Some(3 * worker_bytes(&workload())));
        assert_eq!(poor.enter(&workload(), 8).workers(), 3, "the machine's own");
    }
}
