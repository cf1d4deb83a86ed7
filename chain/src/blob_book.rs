//! Which blobs this validator must hold, from the live jobs' records: what is missing and whom to ask for it, when a
//! [`StoredStatement`] may be signed, and what may be dropped.
//!
//! Results are vouched for only if the list of outcomes reproduces the opened root with its salt, and stays within the
//! job's limits. What a live job needs is never dropped; inputs and results of a settled one are kept for a time and below a
//! quota: its customer fetches the results, and whoever challenges them, or decides on a challenge, needs the inputs.

mod fetch;
mod live;
mod states;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use types::attestation::Outcomes;
use types::hash::{BlobId, JobId, ValidatorId};
use types::job::{JobRecord, Stage, TaskState, TaskStates, Workload};
use types::number::{Attempt, Fuel, TaskIndex};
use types::stored::{Holding, StoredStatement, StoredSubject};

use fetch::Missing;
use live::{Duty, LiveJob, Results, opened_results, reproduces};
use states::KnownStates;

/// How long and how much this node keeps beyond what live jobs need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long inputs and results of a settled job are kept after its end, in milliseconds; at least an audit window, so that
    /// it can be challenged.
    pub results_ms: u64,
    /// Most bytes of all blobs together.
    pub quota_bytes: u64,
}

/// The part of the quota that missing blobs may take before they are here: one in so many.
const ROOM_SHARE: u64 = 4;

/// How long the results of a job that has settled are still fetched, in milliseconds: as long as customers wait for them.
const LATE_MS: u64 = 60_000;

/// What the book asks of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobRequest {
    /// Fetch this blob from that validator; answered by [`BlobBook::stored`] or [`BlobBook::fetch_failed`].
    Fetch {
        /// Blob to fetch.
        blob: BlobId,
        /// Validator to fetch it from.
        from: ValidatorId,
    },
    /// Read this list of outcomes, which is here; answered by [`BlobBook::outcomes_read`].
    ReadOutcomes {
        /// List of outcomes to read and decode.
        blob: BlobId,
    },
    /// Read this list of states, which is here; answered by [`BlobBook::states_read`].
    ReadStates {
        /// List of states to read and decode.
        blob: BlobId,
    },
    /// Remove these blobs from the store: no job needs them and their time is over.
    Drop(Vec<BlobId>),
}

impl Default for Retention {
    /// Seven days, and 16 GiB.
    fn default() -> Self {
        Self {
            results_ms: 7 * 24 * 3_600_000,
            quota_bytes: 16 << 30,
        }
    }
}

/// What this validator holds of each live job, what it still lacks and what it keeps for later.
#[derive(Debug, Clone)]
pub struct BlobBook {
    own: Option<ValidatorId>,
    retention: Retention,
    live: BTreeMap<JobId, LiveJob>,
    held: BTreeSet<BlobId>,
    missing: BTreeMap<BlobId, Missing>,
    /// What is kept beyond live jobs: (end of keeping in Unix milliseconds, blob).
    kept: BTreeSet<(u64, BlobId)>,
    /// What ended jobs needed and never got: parts of it may be on disk.
    abandoned: BTreeSet<BlobId>,
    /// True if something happened since the book was last brought in order.
    changed: bool,
    /// The statements that can be made, as of then.
    statements: Vec<StoredStatement>,
    /// The validators that could be asked then.
    peers: BTreeSet<ValidatorId>,
}

impl BlobBook {
    /// A book over the blobs that are on disk now. They are kept for a while even if no live job needs them: they may
    /// be results that settled before the node stopped.
    #[must_use]
    pub fn new(
        own: Option<ValidatorId>,
        retention: Retention,
        held: BTreeSet<BlobId>,
        unix_ms: u64,
    ) -> Self {
        let until = unix_ms.saturating_add(retention.results_ms);
        let kept = held.iter().map(|blob| (until, *blob)).collect();
        let (live, missing) = (BTreeMap::new(), BTreeMap::new());
        let (statements, peers, abandoned) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self {
            own,
            retention,
            live,
            held,
            missing,
            kept,
            abandoned,
            changed: true,
            statements,
            peers,
        }
    }

    /// True if the blob is here.
    #[must_use]
    pub fn holds(&self, blob: &BlobId) -> bool {
        self.held.contains(blob)
    }

    /// The blobs that live jobs need and that are not here.
    pub fn missing(&self) -> impl Iterator<Item = &BlobId> {
        self.missing.keys()
    }

    /// Takes note of a job's record in a final block. The workload is asked for once, when the job is new to the book.
    pub fn job_changed<E>(
        &mut self,
        record: &JobRecord,
        workload: impl FnOnce() -> Result<Workload, E>,
        unix_ms: u64,
    ) -> Result<(), E> {
        self.changed = true;
        if record.stage.is_final() {
            self.job_ended(record, unix_ms);
            return Ok(());
        }
        let duty = self.duty_of(record);
        let opened = opened_results(&record.stage);
        let job = match self.live.entry(record.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(LiveJob {
                workload: workload()?,
                states: KnownStates::Unknown,
                results: Results::Unknown,
                duty,
                late_until_ms: None,
            }),
        };
        (job.duty, job.late_until_ms) = (duty, None);
        let list = record.states.map(|states| states.list);
        let mut left = Vec::new();
        if job.states.list() != list {
            left = std::mem::replace(&mut job.states, KnownStates::named(list)).blobs();
        }
        let known = match &job.results {
            Results::Unknown => None,
            Results::Named { opened, .. }
            | Results::Listed { opened, .. }
            | Results::Contradicted { opened } => Some(*opened),
        };
        if known != opened {
            left.extend(job.results());
            job.results = opened.map_or(Results::Unknown, |opened| Results::Named {
                opened,
                asked: false,
            });
        }
        for blob in left {
            if self.held.contains(&blob) {
                self.kept.insert((unix_ms, blob));
            } else {
                self.abandoned.insert(blob);
            }
        }
        Ok(())
    }

    fn duty_of(&self, record: &JobRecord) -> Duty {
        match record.awaited_data().filter(|_| self.own.is_some()) {
            Some(subject) => match subject.holding {
                Holding::Inputs => Duty::Inputs,
                Holding::States => Duty::States(subject.attempt),
                Holding::Results => Duty::Results(subject.attempt),
            },
            None => Duty::Nothing,
        }
    }

    /// The job's record left the state.
    pub fn job_gone(&mut self, id: &JobId, unix_ms: u64) {
        self.end(id, 0, unix_ms);
    }

    /// A job settles once enough validators hold its results. The others go on fetching them for [`LATE_MS`].
    fn job_ended(&mut self, record: &JobRecord, unix_ms: u64) {
        if record.stage != Stage::Settled {
            return self.end(&record.id, 0, unix_ms);
        }
        if let Some(job) = self.live.get_mut(&record.id) {
            job.duty = Duty::Nothing;
            job.late_until_ms = Some(unix_ms.saturating_add(LATE_MS));
        }
        self.end_late(unix_ms);
    }

    /// Ends settled jobs whose results are here, or too late.
    fn end_late(&mut self, unix_ms: u64) {
        let is_over = |job: &LiveJob| {
            let until = job.late_until_ms;
            until.is_some_and(|until| until <= unix_ms || !job.lacks_results(&self.held))
        };
        let over = self.live.iter().filter(|(_, job)| is_over(job));
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(&id, self.retention.results_ms, unix_ms);
        }
    }

    fn end(&mut self, id: &JobId, keep_ms: u64, unix_ms: u64) {
        self.changed = true;
        let Some(job) = self.live.remove(id) else {
            return;
        };
        let until = unix_ms.saturating_add(keep_ms);
        for blob in job.needs() {
            if self.held.contains(&blob) {
                self.kept.insert((until, blob));
            } else {
                self.abandoned.insert(blob);
            }
        }
    }

    /// A blob is complete on disk.
    pub fn stored(&mut self, blob: BlobId, unix_ms: u64) {
        self.changed = true;
        self.missing.remove(&blob);
        self.held.insert(blob);
        if !self.needs(&blob) {
            self.kept.insert((unix_ms, blob));
        }
    }

    /// A blob that was here has changed on disk and is gone: if a live job needs it, it is fetched again.
    pub fn lost(&mut self, blob: &BlobId) {
        self.changed |= self.held.remove(blob);
    }

    /// The workload of a live job and the state that a task of it begins with, if all their blobs are here.
    #[must_use]
    pub fn complete_task(&self, job: &JobId, task: TaskIndex) -> Option<(&Workload, TaskState)> {
        let job = self.live.get(job)?;
        let workload = &job.workload;
        let before = if workload.state.is_chain() {
            job.states.before(task)?
        } else {
            TaskState::default()
        };
        let blobs = workload.blobs();
        let mut needed = blobs.iter().chain(before.iter().flatten());
        let is_complete = needed.all(|blob| self.held.contains(blob));
        is_complete.then_some((workload, before))
    }

    /// True if a live job needs the blob.
    #[must_use]
    pub fn needs(&self, blob: &BlobId) -> bool {
        self.live
            .values()
            .any(|job| job.needs().any(|need| need == *blob))
    }

    /// The content of a list of outcomes that [`BlobRequest::ReadOutcomes`] asked for; nothing if it does not decode.
    pub fn outcomes_read(&mut self, blob: BlobId, outcomes: Option<&Outcomes>) {
        self.changed = true;
        for job in self.live.values_mut() {
            let Results::Named { opened, .. } = &job.results else {
                continue;
            };
            if opened.outcomes != blob {
                continue;
            }
            let opened = *opened;
            let is_right = |outcomes: &&Outcomes| {
                reproduces(&job.workload, &opened, outcomes)
                    && job.states.are_of(&job.workload, outcomes)
            };
            job.results = match outcomes.filter(is_right) {
                Some(outcomes) => Results::Listed {
                    opened,
                    blobs: outcomes.blobs(),
                    fuel: outcomes.fuel(),
                },
                None => Results::Contradicted { opened },
            };
        }
    }

    /// The content of a list of states that [`BlobRequest::ReadStates`] asked for; nothing if it does not decode.
    pub fn states_read(&mut self, blob: BlobId, states: Option<&TaskStates>) {
        self.changed = true;
        for job in self.live.values_mut() {
            if job.states.list() == Some(blob) {
                job.states.read(&job.workload, states);
            }
        }
    }

    /// What this validator may vouch for while jobs await it, as of the last [`BlobBook::settle`].
    #[must_use]
    pub fn statements(&self) -> &[StoredStatement] {
        &self.statements
    }

    fn find_statements(&self) -> Vec<StoredStatement> {
        let mut all = Vec::new();
        for (id, job) in &self.live {
            let (attempt, holding) = match job.duty {
                Duty::Nothing => continue,
                Duty::Inputs => (Attempt(0), Holding::Inputs),
                Duty::States(attempt) => (attempt, Holding::States),
                Duty::Results(attempt) => (attempt, Holding::Results),
            };
            let found = match holding {
                Holding::Inputs => Some((job.workload.blobs(), Fuel(0))),
                Holding::States => job.states.listed().map(|blobs| (blobs, Fuel(0))),
                Holding::Results => job.listed(),
            };
            let Some((blobs, fuel)) = found else {
                continue;
            };
            let blobs: BTreeSet<_> = blobs.into_iter().collect();
            if blobs.is_subset(&self.held) {
                let lengths = blobs.iter().map(|blob| blob.length);
                all.push(StoredStatement {
                    subject: StoredSubject {
                        job: *id,
                        attempt,
                        holding,
                    },
                    bytes: lengths.fold(0, u64::saturating_add),
                    fuel,
                });
            }
        }
        all
    }

    /// Brings the book in order and gives what is to be done. `peers` are the validators that can be asked now.
    pub fn settle(
        &mut self,
        monotonic_ms: u64,
        unix_ms: u64,
        peers: &BTreeSet<ValidatorId>,
    ) -> Vec<BlobRequest> {
        let due = self.next_wake_ms().is_some_and(|wake| wake <= monotonic_ms);
        let over = self
            .kept
            .first()
            .is_some_and(|(until, _)| *until <= unix_ms);
        if !(std::mem::take(&mut self.changed) || due || over || self.peers != *peers) {
            return Vec::new();
        }
        self.peers.clone_from(peers);
        self.end_late(unix_ms);
        let mut requests = self.read_lists();
        let needed: BTreeSet<BlobId> = self.live.values().flat_map(LiveJob::needs).collect();
        self.missing.retain(|blob, _| needed.contains(blob));
        for blob in needed.difference(&self.held) {
            self.missing.entry(*blob).or_default();
        }
        let dropped = self.drop_kept(unix_ms, &needed);
        if !dropped.is_empty() {
            requests.push(BlobRequest::Drop(dropped));
        }
        self.start_fetches(monotonic_ms, &mut requests);
        self.statements = self.find_statements();
        requests
    }

    fn read_lists(&mut self) -> Vec<BlobRequest> {
        let mut requests = Vec::new();
        for job in self.live.values_mut() {
            if let KnownStates::Named { list, asked } = &mut job.states
                && !*asked
                && self.held.contains(list)
            {
                *asked = true;
                requests.push(BlobRequest::ReadStates { blob: *list });
            }
            if let Results::Named { opened, asked } = &mut job.results
                && !*asked
                && self.held.contains(&opened.outcomes)
            {
                *asked = true;
                requests.push(BlobRequest::ReadOutcomes {
                    blob: opened.outcomes,
                });
            }
        }
        requests
    }

    /// Drops what is kept beyond its time, then the oldest until what is here leaves room for what live jobs miss.
    fn drop_kept(&mut self, unix_ms: u64, needed: &BTreeSet<BlobId>) -> Vec<BlobId> {
        let mut used = bytes(&self.held) + self.room_for_missing();
        let mut dropped: Vec<_> = std::mem::take(&mut self.abandoned)
            .difference(needed)
            .copied()
            .collect();
        while let Some((until, blob)) = self.kept.first().copied() {
            let is_over = until <= unix_ms;
            if !is_over && used <= u128::from(self.retention.quota_bytes) {
                break;
            }
            self.kept.pop_first();
            let kept_longer = self.kept.iter().any(|(_, other)| *other == blob);
            if needed.contains(&blob) || kept_longer {
                continue;
            }
            if self.held.remove(&blob) {
                used = used.saturating_sub(u128::from(blob.length));
                dropped.push(blob);
            }
        }
        dropped
    }

    /// The bytes to keep free for what live jobs miss: a share of the quota, however much they declare, and at least
    /// the largest one. A declared length costs next to nothing, so it must not push out what is here; what comes takes
    /// the room, and then as much is made free again.
    fn room_for_missing(&self) -> u128 {
        let largest = self
            .missing
            .keys()
            .map(|blob| blob.length)
            .max()
            .unwrap_or_default();
        let share =
            (self.retention.quota_bytes / ROOM_SHARE).max(largest.min(self.retention.quota_bytes));
        bytes(self.missing.keys()).min(u128::from(share))
    }
}

/// The bytes of blobs together.
fn bytes<'a>(blobs: impl IntoIterator<Item = &'a BlobId>) -> u128 {
    blobs.into_iter().map(|blob| u128::from(blob.length)).sum()
}

#[cfg(test)]
mod tests;
