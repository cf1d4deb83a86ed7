//! What happened lately and is kept in memory only: jobs that ended, alarms.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use types::hash::JobId;

use crate::alarm::Alarm;

/// Most jobs that ended and are still listed; every job stays readable by its id.
const RECENT_JOBS: usize = 256;
/// Most alarms that the status shows.
const MAX_ALARMS: usize = 16;

/// Jobs that ended lately, newest last; filled by the shell when a block is committed.
#[derive(Debug, Default)]
pub struct RecentJobs(Mutex<VecDeque<JobId>>);

impl RecentJobs {
    /// Adds a job that ended.
    pub fn push(&self, job: JobId) {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() == RECENT_JOBS {
            jobs.pop_front();
        }
        jobs.push_back(job);
    }

    pub(super) fn list(&self) -> Vec<JobId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect()
    }
}

/// The latest alarms of this run, oldest first; filled by the shell.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<VecDeque<String>>);

impl Alarms {
    /// Tells the operator: in the log, and in the status.
    pub fn raise(&self, alarm: &Alarm) {
        tracing::error!(%alarm, "alarm");
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == MAX_ALARMS {
            latest.pop_front();
        }
        latest.push_back(alarm.to_string());
    }

    pub(super) fn list(&self) -> Vec<String> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().cloned().collect()
    }
}
