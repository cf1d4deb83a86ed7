//! Reading the chain through servers that nobody trusts.
//!
//! Every value is taken with its proof and checked against genesis. A view is read from one server, the account
//! first, so that what the jobs show is never older than the nonce; nothing in it may be older than the account, or
//! than anything in the view before. Which server is asked is decided by the newest provable height among those that
//! are not set aside. A server that takes too long is left for the next one: windows of the chain close meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use borsh::BorshDeserialize;
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use light::Light;
use rpc::ClientError;
use tokio::time::timeout;
use types::account::{Account, LiveJobs, PartnerSnapshot};
use types::codec::decode;
use types::hash::{Address, JobId};
use types::job::{JobRecord, Stage};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::{Epoch, Height};
use types::params::Params;
use types::state_key::StateKey;

use crate::core::View;
use crate::servers::{Server, Servers};

/// Values read from one server at the same time.
const PARALLEL_READS: usize = 8;
/// How long a server has for its head, and for a view.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where all servers are slow.
const MAX_PATIENCE: Duration = Duration::from_secs(16);

/// Why a value was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server gave no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server's answer is not proven.
    #[error("the proof of {key:?} is wrong: {why}")]
    Unproven {
        /// What was asked for.
        key: StateKey,
        /// What is wrong with the answer.
        why: String,
    },
    /// A proven value that this version cannot read.
    #[error(
        "the value of {key:?} is proven and not understood: {why} (hint: is there a newer version?)"
    )]
    Strange {
        /// What was asked for.
        key: StateKey,
        /// What is wrong with it.
        why: String,
    },
    /// True, but older than what is known.
    #[error("at height {found}, behind {known}")]
    Behind {
        /// The height of the answer.
        found: Height,
        /// What is known.
        known: Height,
    },
}

/// Reads views, one after the other.
#[derive(Debug)]
pub struct Watch {
    servers: Servers,
    light: Light,
    address: Address,
    params: Params,
    /// No view may hold anything older.
    floor: Height,
    /// Snapshots never change once they are written.
    snapshots: BTreeMap<Epoch, PartnerSnapshot>,
    /// Grows when no server gives a view in time, so that one does in the end; a slow one among others changes nothing.
    patience: Duration,
}

impl Watch {
    /// Watches for the account `address`; nothing below `floor` is believed.
    #[must_use]
    pub fn new(
        servers: Servers,
        light: Light,
        address: Address,
        params: Params,
        floor: Height,
    ) -> Self {
        Self {
            servers,
            light,
            address,
            params,
            floor,
            snapshots: BTreeMap::new(),
            patience: PATIENCE,
        }
    }

    /// A view from the server that is ahead of the others; nothing if none has a new enough one.
    pub async fn view(&mut self) -> Option<View> {
        let (servers, patience) = (self.servers.clone(), self.patience);
        for server in self.by_height(&servers).await {
            match timeout(patience, self.view_from(server)).await {
                Ok(Ok(view)) => {
                    server.fine();
                    self.patience = patience.saturating_sub(patience / 8).max(PATIENCE);
                    return Some(view);
                }
                Ok(Err(error)) => blame(server, &error),
                Err(_) => too_slow(server, patience),
            }
        }
        self.patience = patience.saturating_mul(2).min(MAX_PATIENCE);
        None
    }

    /// The available servers, newest provable height first; those that give none in time are left out.
    async fn by_height<'a>(&self, servers: &'a Servers) -> Vec<&'a Server> {
        let available = servers.available(Instant::now());
        if let [only] = available[..] {
            return vec![only];
        }
        let reader = |server: &'a Server| Reader {
            server,
            light: &self.light,
            floor: Height::ZERO,
        };
        let heads = join_all(available.into_iter().map(|server| async move {
            match timeout(
                self.patience,
                reader(server).read::<Account>(StateKey::Account(self.address)),
            )
            .await
            {
                Ok(Ok((height, _))) => return Some((height, server)),
                Ok(Err(error)) => blame(server, &error),
                Err(_) => too_slow(server, self.patience),
            }
            None
        }));
        let mut heads: Vec<_> = heads.await.into_iter().flatten().collect();
        heads.sort_by_key(|(height, _)| std::cmp::Reverse(*height));
        heads.into_iter().map(|(_, server)| server).collect()
    }

    async fn view_from(&mut self, server: &Server) -> Result<View, ReadError> {
        let reader = Reader {
            server,
            light: &self.light,
            floor: self.floor,
        };
        let (height, account) = reader
            .read::<Account>(StateKey::Account(self.address))
            .await?;
        let reader = Reader {
            floor: height,
            ..reader
        };
        let (partner_at, partner) = reader.read(StateKey::Partner(self.address)).await?;
        let (live_at, live) = reader.read::<LiveJobs>(StateKey::LiveJobs).await?;
        let live: BTreeSet<JobId> = live.unwrap_or_default().into_iter().collect();
        let mut newest = partner_at.max(live_at);
        let records: Vec<(JobId, Height, Option<JobRecord>)> = stream::iter(live.iter().copied())
            .map(|job| async move {
                reader
                    .read(StateKey::Job(job))
                    .await
                    .map(|(height, record)| (job, height, record))
            })
            .buffered(PARALLEL_READS)
            .try_collect()
            .await?;
        let mut jobs = BTreeMap::new();
        for (job, record_at, record) in records {
            newest = newest.max(record_at);
            jobs.extend(record.map(|record| (job, record)));
        }
        let wanted = committed_epochs(jobs.values(), &self.params);
        let mut snapshots = self.snapshots.clone();
        snapshots.retain(|epoch, _| wanted.contains(epoch));
        for epoch in &wanted {
            if !snapshots.contains_key(epoch) {
                let (_, snapshot) = reader.read(StateKey::PartnerSnapshot(*epoch)).await?;
                snapshots.extend(snapshot.map(|snapshot| (*epoch, snapshot)));
            }
        }
        (self.snapshots, self.floor) = (snapshots.clone(), newest);
        let account = account.unwrap_or_default();
        Ok(View {
            height,
            newest,
            account,
            partner,
            live,
            jobs,
            snapshots,
        })
    }
}

/// The epochs whose partners the live jobs draw verifiers from.
fn committed_epochs<'a>(
    records: impl Iterator<Item = &'a JobRecord>,
    params: &Params,
) -> BTreeSet<Epoch> {
    let epoch = |record: &JobRecord| match &record.stage {
        Stage::Announcing { committed, .. } => Some(params.epoch(committed.height)),
        _ => None,
    };
    records.filter_map(epoch).collect()
}

/// Reads proven values from one server.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    server: &'a Server,
    light: &'a Light,
    floor: Height,
}

impl Reader<'_> {
    /// A value, or its absence, with the height after which it is true.
    async fn read<T: BorshDeserialize>(
        &self,
        key: StateKey,
    ) -> Result<(Height, Option<T>), ReadError> {
        let proof = self.server.client.proof(&key).await?;
        let proven = self.light.verify_value(&proof, &key);
        let proven = proven.map_err(|error| ReadError::Unproven {
            key,
            why: error.to_string(),
        })?;
        if proven.height < self.floor {
            return Err(ReadError::Behind {
                found: proven.height,
                known: self.floor,
            });
        }
        let value = proven
            .bytes
            .map(|bytes| decode(bytes, MAX_STATE_VALUE_BYTES))
            .transpose();
        Ok((
            proven.height,
            value.map_err(|error| ReadError::Strange {
                key,
                why: error.to_string(),
            })?,
        ))
    }
}

fn too_slow(server: &Server, patience: Duration) {
    server.failed(
        Instant::now(),
        &format!("no answer within {} ms", patience.as_millis()),
    );
}

fn blame(server: &Server, error: &ReadError) {
    let now = Instant::now();
    match error {
        ReadError::Client(_) | ReadError::Strange { .. } => server.failed(now, &error.to_string()),
        ReadError::Unproven { .. } => server.lied(now, &error.to_string()),
        // Catching up is no fault.
        ReadError::Behind { .. } => {
            tracing::debug!(server = server.client.url(), %error, "server is behind")
        }
    }
}

#[cfg(test)]
mod tests;
