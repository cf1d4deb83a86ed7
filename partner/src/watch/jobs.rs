//! Following the live jobs: a proven index says when each shard of them last changed, a shard when each job's record did.
//! Only what changed since it was read is read again, so that a look costs what happens and not what is there.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use types::account::{LiveIndex, LiveJobs};
use types::hash::JobId;
use types::job::JobRecord;
use types::number::Height;
use types::state_key::StateKey;

use super::{ProofReader, ReadError};

/// Values read from one endpoint at the same time.
const PARALLEL_READS: usize = 8;

/// A value, and the height after which it was proven.
#[derive(Debug, Clone)]
struct SeenValue<T> {
    at: Height,
    value: T,
}

/// The live jobs as they were read last.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenJobs {
    shards: BTreeMap<u8, SeenValue<LiveJobs>>,
    records: BTreeMap<JobId, SeenValue<Option<JobRecord>>>,
}

impl SeenJobs {
    /// The live jobs now, and the highest height at which something of it was proven.
    pub(super) async fn renewed(
        &self,
        reader: ProofReader<'_>,
    ) -> Result<(Self, Height), ReadError> {
        let (index_at, index) = reader.read::<LiveIndex>(StateKey::LiveIndex).await?;
        let changed = (0u8..).zip(index.unwrap_or_default().0);
        let changed = changed.filter(|(_, changed)| *changed != Height::ZERO);
        let shards = renew(&self.shards, changed, |number| async move {
            let (at, jobs) = reader.read(StateKey::LiveJobs(number)).await?;
            let value: Option<LiveJobs> = jobs;
            Ok((
                number,
                SeenValue {
                    at,
                    value: value.unwrap_or_default(),
                },
            ))
        });
        let shards = shards.await?;
        let changed = shards.values().flat_map(|shard| &shard.value);
        let changed = changed.map(|(job, changed)| (*job, *changed));
        let records = renew(&self.records, changed, |job| async move {
            let (at, value) = reader.read(StateKey::Job(job)).await?;
            Ok((job, SeenValue { at, value }))
        });
        let all = Self {
            records: records.await?,
            shards,
        };
        let heights = all.shards.values().map(|seen| seen.at);
        let heights = heights.chain(all.records.values().map(|seen| seen.at));
        let newest = heights.fold(index_at, Height::max);
        Ok((all, newest))
    }

    /// Ids of all live jobs.
    pub(super) fn live(&self) -> BTreeSet<JobId> {
        self.records.keys().copied().collect()
    }

    /// Their records.
    pub(super) fn jobs(&self) -> BTreeMap<JobId, JobRecord> {
        let known = |(job, seen): (&JobId, &SeenValue<Option<JobRecord>>)| {
            Some((*job, seen.value.clone()?))
        };
        self.records.iter().filter_map(known).collect()
    }
}

/// Each key with what is known of it, read again where it changed after that.
async fn renew<
    K: Ord + Copy,
    T: Clone,
    R: Future<Output = Result<(K, SeenValue<T>), ReadError>>,
>(
    known: &BTreeMap<K, SeenValue<T>>,
    changed: impl Iterator<Item = (K, Height)>,
    read: impl Fn(K) -> R,
) -> Result<BTreeMap<K, SeenValue<T>>, ReadError> {
    let (mut all, mut stale) = (BTreeMap::new(), Vec::new());
    for (key, changed) in changed {
        match known.get(&key).filter(|seen| seen.at >= changed) {
            Some(seen) => drop(all.insert(key, seen.clone())),
            None => stale.push(key),
        }
    }
    let read: Vec<_> = stream::iter(stale)
        .map(read)
        .buffered(PARALLEL_READS)
        .try_collect()
        .await?;
    all.extend(read);
    Ok(all)
}
