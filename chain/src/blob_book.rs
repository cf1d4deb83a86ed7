//! Which blobs this validator must hold, from the live jobs' records: what is missing and whom to ask for it, when a
//! [`StoredStatement`] may be signed, and what may be dropped.
//!
//! Results are vouched for only if the list of outcomes reproduces the opened root with its salt, and stays within the
//! job's limits. What a live job needs is never dropped; settled results are kept for a time and below a quota.

use std::collections::{BTreeMap, BTreeSet};

use types::attestation::{Outcomes, result_root_of};
use types::hash::{BlobId, Hash32, JobId, ValidatorId};
use types::job::{JobRecord, Stage, Workload};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::Attempt;
use types::transaction::{Holding, StoredStatement};

/// How long and how much this node keeps beyond what live jobs need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long the results of a settled job are kept after its end, in milliseconds.
    pub results_ms: u64,
    /// Most bytes of all blobs together.
    pub quota_bytes: u64,
}

/// Most blobs that are fetched from other validators at a time.
const MAX_FETCHES: usize = 8;
/// Time after which a blob that nobody gave is asked for again, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// The part of the quota that missing blobs can claim before they are here: one in so many.
const ROOM_SHARE: u64 = 4;
/// Most validators that are remembered to hold one missing blob.
const MAX_HOLDERS: usize = 8;

/// What the book asks of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobRequest {
    /// Fetch this blob from that validator; answered by [`BlobBook::stored`] or [`BlobBook::fetch_failed`].
    Fetch {
        /// What.
        blob: BlobId,
        /// From whom.
        from: ValidatorId,
    },
    /// Read this list of outcomes, which is here; answered by [`BlobBook::outcomes_read`].
    ReadOutcomes {
        /// The list.
        blob: BlobId,
    },
    /// Remove these blobs.
    Drop(Vec<BlobId>),
}

/// What is known of a job's results.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Results {
    /// Not opened yet.
    Unknown,
    /// The opening names them; the list is not here or not read yet.
    Named { opened: Claim, asked: bool },
    /// The list reproduces the root and names these blobs beside itself.
    Listed { opened: Claim, blobs: Vec<BlobId> },
    /// The list contradicts the opening: never vouched for.
    Contradicted { opened: Claim },
}

/// The part of the primary's opening that the list of outcomes must reproduce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    root: Hash32,
    salt: Hash32,
    outcomes: BlobId,
}

/// What of a live job is due from this validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Nothing,
    Inputs,
    Results(Attempt),
}

#[derive(Debug, Clone)]
struct LiveJob {
    workload: Workload,
    results: Results,
    duty: Duty,
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

impl LiveJob {
    /// Every blob that the job needs as far as it is known.
    fn needs(&self) -> impl Iterator<Item = BlobId> {
        let mut all = self.workload.blobs();
        all.extend(self.results());
        all.into_iter()
    }

    fn results(&self) -> Vec<BlobId> {
        match &self.results {
            Results::Unknown | Results::Contradicted { .. } => Vec::new(),
            Results::Named { opened, .. } => vec![opened.outcomes],
            Results::Listed { opened, blobs } => std::iter::once(opened.outcomes)
                .chain(blobs.iter().copied())
                .collect(),
        }
    }
}

/// A missing blob.
#[derive(Debug, Clone, Default)]
struct Missing {
    /// Validators that said to hold it, oldest word first.
    holders: Vec<ValidatorId>,
    /// Who is being asked now.
    asking: Option<ValidatorId>,
    /// When to ask again.
    not_before_ms: u64,
    /// How often it was asked for, to go round.
    asked: usize,
}

/// The book.
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

    /// Takes note of a job's record in a final block.
    pub fn job_changed(&mut self, record: &JobRecord, unix_ms: u64) {
        self.changed = true;
        if record.stage.is_final() {
            self.job_ended(record, unix_ms);
            return;
        }
        let duty = self.duty_of(record);
        let opened = claim_of(&record.stage);
        let job = self.live.entry(record.id).or_insert_with(|| LiveJob {
            workload: record.spec.workload.clone(),
            results: Results::Unknown,
            duty,
        });
        job.duty = duty;
        let known = match &job.results {
            Results::Unknown => None,
            Results::Named { opened, .. }
            | Results::Listed { opened, .. }
            | Results::Contradicted { opened } => Some(*opened),
        };
        if known != opened {
            for blob in job.results() {
                if self.held.contains(&blob) {
                    self.kept.insert((unix_ms, blob));
                } else {
                    self.abandoned.insert(blob);
                }
            }
            job.results = opened.map_or(Results::Unknown, |opened| Results::Named {
                opened,
                asked: false,
            });
        }
    }

    fn duty_of(&self, record: &JobRecord) -> Duty {
        let Some(own) = self.own else {
            return Duty::Nothing;
        };
        match record.awaited_statement() {
            Some((statement, stored)) if !stored.contains(&own) => match statement.holding {
                Holding::Inputs => Duty::Inputs,
                Holding::Results => Duty::Results(statement.attempt),
            },
            _ => Duty::Nothing,
        }
    }

    /// The job's record left the state.
    pub fn job_gone(&mut self, id: &JobId, unix_ms: u64) {
        self.end(id, 0, unix_ms);
    }

    fn job_ended(&mut self, record: &JobRecord, unix_ms: u64) {
        let keep_ms = if record.stage == Stage::Settled {
            self.retention.results_ms
        } else {
            0
        };
        self.end(&record.id, keep_ms, unix_ms);
    }

    fn end(&mut self, id: &JobId, keep_ms: u64, unix_ms: u64) {
        self.changed = true;
        let Some(job) = self.live.remove(id) else {
            return;
        };
        let until = unix_ms.saturating_add(keep_ms);
        let results: BTreeSet<_> = job.results().into_iter().collect();
        for blob in job.needs() {
            if self.held.contains(&blob) {
                self.kept.insert((
                    if results.contains(&blob) {
                        until
                    } else {
                        unix_ms
                    },
                    blob,
                ));
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

    /// True if a live job needs the blob.
    #[must_use]
    pub fn needs(&self, blob: &BlobId) -> bool {
        self.live
            .values()
            .any(|job| job.needs().any(|need| need == *blob))
    }

    /// A validator did not give a blob.
    pub fn fetch_failed(&mut self, blob: BlobId, from: ValidatorId, monotonic_ms: u64) {
        let Some(missing) = self.missing.get_mut(&blob) else {
            return;
        };
        if missing.asking == Some(from) {
            missing.asking = None;
            missing.holders.retain(|holder| *holder != from);
            let wait = if missing.holders.is_empty() {
                RETRY_MS
            } else {
                0
            };
            missing.not_before_ms = monotonic_ms.saturating_add(wait);
            self.changed = true;
        }
    }

    /// A validator says that it holds a blob.
    pub fn offered(&mut self, blob: BlobId, by: ValidatorId) {
        let Some(missing) = self.missing.get_mut(&blob) else {
            return;
        };
        if missing.holders.len() < MAX_HOLDERS && !missing.holders.contains(&by) {
            missing.holders.push(by);
            missing.not_before_ms = 0;
            self.changed = true;
        }
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
            job.results =
                match outcomes.filter(|outcomes| reproduces(&job.workload, &opened, outcomes)) {
                    Some(outcomes) => Results::Listed {
                        opened,
                        blobs: outcomes.blobs(),
                    },
                    None => Results::Contradicted { opened },
                };
        }
    }

    /// What this validator may vouch for and has not yet on chain, as of the last [`BlobBook::settle`].
    #[must_use]
    pub fn statements(&self) -> &[StoredStatement] {
        &self.statements
    }

    fn find_statements(&self) -> Vec<StoredStatement> {
        let mut all = Vec::new();
        for (id, job) in &self.live {
            let (attempt, holding, complete) = match job.duty {
                Duty::Nothing => continue,
                Duty::Inputs => {
                    let complete = job
                        .workload
                        .blobs()
                        .iter()
                        .all(|blob| self.held.contains(blob));
                    (Attempt(0), Holding::Inputs, complete)
                }
                Duty::Results(attempt) => {
                    let listed = matches!(job.results, Results::Listed { .. });
                    let complete =
                        listed && job.results().iter().all(|blob| self.held.contains(blob));
                    (attempt, Holding::Results, complete)
                }
            };
            if complete {
                all.push(StoredStatement {
                    job: *id,
                    attempt,
                    holding,
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

    /// When a missing blob is to be asked for, if nothing else happens.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        if self.peers.iter().all(|peer| Some(*peer) == self.own) || self.fetches() >= MAX_FETCHES {
            return None;
        }
        let waiting = self
            .missing
            .values()
            .filter(|missing| missing.asking.is_none());
        waiting.map(|missing| missing.not_before_ms).min()
    }

    fn fetches(&self) -> usize {
        self.missing
            .values()
            .filter(|missing| missing.asking.is_some())
            .count()
    }

    fn read_lists(&mut self) -> Vec<BlobRequest> {
        let mut requests = Vec::new();
        for job in self.live.values_mut() {
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

    fn start_fetches(&mut self, now_ms: u64, requests: &mut Vec<BlobRequest>) {
        let peers: Vec<_> = self
            .peers
            .iter()
            .copied()
            .filter(|peer| Some(*peer) != self.own)
            .collect();
        if peers.is_empty() {
            return;
        }
        let mut running = self.fetches();
        for (blob, missing) in &mut self.missing {
            if running >= MAX_FETCHES {
                break;
            }
            if missing.asking.is_some() || missing.not_before_ms > now_ms {
                continue;
            }
            let holder = missing
                .holders
                .iter()
                .copied()
                .find(|holder| peers.contains(holder));
            let next = first_peer(blob, peers.len()).wrapping_add(missing.asked) % peers.len();
            let from = holder.unwrap_or(peers[next]);
            missing.asked = missing.asked.wrapping_add(1);
            missing.asking = Some(from);
            running += 1;
            requests.push(BlobRequest::Fetch { blob: *blob, from });
        }
    }
}

/// The position of the peer that is asked first for a blob. Blobs begin at different peers, so that many missing blobs
/// are not all asked of one.
fn first_peer(blob: &BlobId, peers: usize) -> usize {
    let spread = blob
        .hash
        .0
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    usize::try_from(spread).map_or(0, |spread| spread % peers)
}

/// The bytes of blobs together.
fn bytes<'a>(blobs: impl IntoIterator<Item = &'a BlobId>) -> u128 {
    blobs.into_iter().map(|blob| u128::from(blob.length)).sum()
}

/// The primary's opening, where the stage has one.
fn claim_of(stage: &Stage) -> Option<Claim> {
    let opened = stage.opening()?;
    let outcomes = opened.outcomes;
    let limit = u64::try_from(MAX_OUTCOMES_BYTES).expect("a limit fits 64 bits");
    (outcomes.length <= limit).then_some(Claim {
        root: opened.root,
        salt: opened.salt,
        outcomes,
    })
}

/// True if the list holds one outcome per task, its leaves lead to the opened root, and what it names stays within the
/// job's limits.
fn reproduces(workload: &Workload, opened: &Claim, outcomes: &Outcomes) -> bool {
    let one_per_task = u32::try_from(outcomes.0.len()).is_ok_and(|tasks| tasks == workload.tasks);
    let bytes: u128 = outcomes
        .blobs()
        .iter()
        .map(|blob| u128::from(blob.length))
        .sum();
    let limit = u128::from(workload.limits.output_bytes) * u128::from(workload.tasks);
    let bounded = outcomes.blobs().iter().all(BlobId::is_allowed) && bytes <= limit;
    one_per_task
        && bounded
        && result_root_of(&opened.salt, &outcomes.leaves(workload)) == opened.root
}

#[cfg(test)]
mod tests;
