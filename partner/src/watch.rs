//! Reading the chain through endpoints that nobody trusts.
//!
//! Every value is taken with its proof and checked against genesis. A proven state is read from one endpoint, the account
//! first, so that what the jobs show is never older than the nonce; nothing in it may be older than the account, or
//! than anything in the proven state before. What did not change is not read again. Which endpoint is asked is decided by the newest provable height among those that
//! are not set aside. An endpoint that takes too long is left for the next one: windows of the chain close meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use borsh::BorshDeserialize;
use futures::future::join_all;
use light::{FinalityError, Light, ValueError};
use rpc::{ClientError, ProofKey};
use tokio::time::timeout;
use types::account::Account;
use types::chain_record::ChainRecord;
use types::codec::decode;
use types::hash::{Address, JobId};
use types::job::{JobRecord, JobSpec, Stage, Workload};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::{ChainTime, Epoch, Height, Timestamp};
use types::params::{Params, UnknownProtocolVersion};
use types::snapshot::{PartnerIndex, PartnerPage, page_of};
use types::state_key::StateKey;

use self::jobs::SeenJobs;
use crate::core::ProvenState;
use crate::endpoints::{Endpoint, Endpoints};

/// How long an endpoint has for its head, and for a proven state.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The same where all endpoints are slow.
const MAX_TIMEOUT: Duration = Duration::from_secs(16);

mod jobs;

/// Why a value was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The endpoint gave no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The endpoint's answer is not proven.
    #[error("the proof of {} is wrong: {why}", ProofKey(*key))]
    Unproven {
        /// What was asked for.
        key: StateKey,
        /// What is wrong with the answer.
        why: String,
    },
    /// A quorum follows a version of the protocol that this program does not know: nothing it says can be judged.
    #[error(transparent)]
    Version(#[from] UnknownProtocolVersion),
    /// A proven value that this version cannot read.
    #[error(
        "the value of {} is proven and not understood: {why} (hint: is there a newer version?)",
        ProofKey(*key)
    )]
    Strange {
        /// What was asked for.
        key: StateKey,
        /// What is wrong with it.
        why: String,
    },
    /// Proven to be absent, though every state that this version knows has it.
    #[error("{} is proven to be absent (hint: is there a newer version?)", ProofKey(*key))]
    Absent {
        /// What was asked for.
        key: StateKey,
    },
    /// True, but older than what is known.
    #[error("at height {found}, behind {known}")]
    Behind {
        /// The height of the answer.
        found: Height,
        /// Highest height that was proven to this watcher.
        known: Height,
    },
}

/// Reads proven states, one after the other.
#[derive(Debug)]
pub struct ChainWatch {
    endpoints: Endpoints,
    light: Light,
    address: Address,
    /// No proven state may hold anything older.
    floor: Height,
    /// The parameters in force, once they were read.
    in_force: Option<ParamsInForce>,
    /// The account's page, as epochs see it: that never changes.
    pages: BTreeMap<Epoch, PartnerPage>,
    /// The live jobs, of which only those are read again that changed.
    seen: SeenJobs,
    /// Specs never change either: the workloads of the live jobs that the account is a party to.
    workloads: BTreeMap<JobId, Arc<Workload>>,
    /// Grows when no endpoint gives a proven state in time, so that one does in the end; a slow one among others changes nothing.
    time_limit: Duration,
}

impl ChainWatch {
    /// Watches for the account `address`; nothing below `floor` is believed.
    #[must_use]
    pub fn new(endpoints: Endpoints, light: Light, address: Address, floor: Height) -> Self {
        Self {
            endpoints,
            light,
            address,
            floor,
            in_force: None,
            pages: BTreeMap::new(),
            seen: SeenJobs::default(),
            workloads: BTreeMap::new(),
            time_limit: TIMEOUT,
        }
    }

    /// A proven state from the endpoint that is ahead of the others; nothing if none has a new enough one.
    pub async fn proven_state(&mut self) -> Option<ProvenState> {
        let (endpoints, time_limit) = (self.endpoints.clone(), self.time_limit);
        for endpoint in self.by_height(&endpoints).await {
            match timeout(time_limit, self.read_from(endpoint)).await {
                Ok(Ok(proven)) => {
                    endpoint.fine();
                    self.time_limit = time_limit.saturating_sub(time_limit / 8).max(TIMEOUT);
                    return Some(proven);
                }
                Ok(Err(error)) => blame(endpoint, &error),
                Err(_) => too_slow(endpoint, time_limit),
            }
        }
        self.time_limit = time_limit.saturating_mul(2).min(MAX_TIMEOUT);
        None
    }

    /// The available endpoints, newest provable height first; those that give none in time are left out.
    async fn by_height<'a>(&self, endpoints: &'a Endpoints) -> Vec<&'a Endpoint> {
        let available = endpoints.available(Instant::now());
        if let [only] = available[..] {
            return vec![only];
        }
        let reader = |endpoint: &'a Endpoint| ProofReader {
            endpoint,
            light: &self.light,
            floor: Height::ZERO,
        };
        let heads = join_all(available.into_iter().map(|endpoint| async move {
            match timeout(
                self.time_limit,
                reader(endpoint).read::<Account>(StateKey::Account(self.address)),
            )
            .await
            {
                Ok(Ok((height, _))) => return Some((height, endpoint)),
                Ok(Err(error)) => blame(endpoint, &error),
                Err(_) => too_slow(endpoint, self.time_limit),
            }
            None
        }));
        let mut heads: Vec<_> = heads.await.into_iter().flatten().collect();
        heads.sort_by_key(|(height, _)| std::cmp::Reverse(*height));
        heads.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    async fn read_from(&mut self, endpoint: &Endpoint) -> Result<ProvenState, ReadError> {
        let reader = ProofReader {
            endpoint,
            light: &self.light,
            floor: self.floor,
        };
        let key = StateKey::Account(self.address);
        let (height, time, account) = reader.read_timed::<Account>(key).await?;
        let reader = ProofReader {
            floor: height,
            ..reader
        };
        let in_force = reader.in_force(self.in_force.as_ref(), height).await?;
        let (partner_at, partner) = reader.read(StateKey::Partner(self.address)).await?;
        let (seen, live_at) = self.seen.renewed(reader).await?;
        let newest = partner_at.max(live_at);
        let (live, jobs) = (seen.live(), seen.jobs());
        let workloads = self.workloads_of(&reader, jobs.values()).await?;
        let wanted = announcing_epochs(jobs.values());
        let mut pages = self.pages.clone();
        pages.retain(|epoch, _| wanted.contains(epoch));
        for epoch in &wanted {
            if !pages.contains_key(epoch) {
                let page = reader.page(*epoch, &self.address).await?;
                pages.extend(page.map(|page| (*epoch, page)));
            }
        }
        (self.pages, self.floor) = (pages.clone(), newest);
        (self.seen, self.workloads) = (seen, workloads.clone());
        let params = Arc::clone(&in_force.params);
        self.in_force = Some(in_force);
        let account = account.unwrap_or_default();
        Ok(ProvenState {
            height,
            newest,
            time,
            clock: self
                .in_force
                .as_ref()
                .map_or((ChainTime::ZERO, time), |known| known.clock),
            account,
            partner,
            live,
            jobs,
            workloads,
            params,
            pages,
        })
    }

    /// The workloads of the jobs that the account is a party to; what was read before is not read again. Other jobs' specs,
    /// which may be many and large, are never read.
    async fn workloads_of(
        &self,
        reader: &ProofReader<'_>,
        records: impl Iterator<Item = &JobRecord>,
    ) -> Result<BTreeMap<JobId, Arc<Workload>>, ReadError> {
        let mut all = BTreeMap::new();
        for record in records.filter(|record| is_party(record, &self.address)) {
            let workload = if let Some(known) = self.workloads.get(&record.id) {
                Arc::clone(known)
            } else {
                let key = StateKey::JobSpec(record.id);
                let (_, spec) = reader.required::<JobSpec>(key).await?;
                Arc::new(spec.workload)
            };
            all.insert(record.id, workload);
        }
        Ok(all)
    }
}

/// True if a partner is primary or verifier of a job now.
fn is_party(record: &JobRecord, own: &Address) -> bool {
    let primary = record.stage.primary();
    primary.is_some_and(|primary| primary.partner == *own) || record.stage.verifier(own).is_some()
}

/// The epochs whose partners the live jobs draw verifiers from.
fn announcing_epochs<'a>(records: impl Iterator<Item = &'a JobRecord>) -> BTreeSet<Epoch> {
    let epoch = |record: &JobRecord| match &record.stage {
        Stage::Announcing(announcing) => Some(announcing.epoch),
        _ => None,
    };
    records.filter_map(epoch).collect()
}

/// The parameters in force, as they were proven.
#[derive(Debug, Clone)]
struct ParamsInForce {
    /// The first epoch in which they are in force.
    since: Epoch,
    /// The epoch of the state that last said so: they may change with the next one.
    checked: Epoch,
    /// The chain time of that state, and its timestamp.
    clock: (ChainTime, Timestamp),
    params: Arc<Params>,
}

/// Reads proven values from one endpoint.
#[derive(Debug, Clone, Copy)]
struct ProofReader<'a> {
    endpoint: &'a Endpoint,
    light: &'a Light,
    floor: Height,
}

impl ProofReader<'_> {
    /// The parameters in force in the state after `height`. What was known is read again only as far as it may have
    /// changed: the chain's record once an epoch, the parameters when the record names others.
    async fn in_force(
        &self,
        known: Option<&ParamsInForce>,
        height: Height,
    ) -> Result<ParamsInForce, ReadError> {
        if let Some(known) = known.filter(|known| known.params.epoch(height) == known.checked) {
            return Ok(known.clone());
        }
        let (at, time, record) = self.read_timed::<ChainRecord>(StateKey::Chain).await?;
        let key = StateKey::Chain;
        let record = record.ok_or(ReadError::Absent { key })?;
        let since = record.params_since;
        let params = match known.filter(|known| known.since == since) {
            Some(known) => Arc::clone(&known.params),
            None => Arc::new(self.required(StateKey::Params(since)).await?.1),
        };
        Ok(ParamsInForce {
            since,
            checked: params.epoch(at),
            clock: (record.chain_time, time),
            params,
        })
    }

    /// The page of an address as an epoch sees it; nothing if that is not kept any more.
    async fn page(
        &self,
        epoch: Epoch,
        address: &Address,
    ) -> Result<Option<PartnerPage>, ReadError> {
        let (_, index) = self
            .read::<PartnerIndex>(StateKey::PartnerSnapshot(epoch))
            .await?;
        let (index, number) = (index.as_ref(), page_of(address));
        let Some(version) = index.and_then(|index| index.version(number)) else {
            return Ok(None);
        };
        if version.partners == 0 {
            return Ok(Some(PartnerPage::default()));
        }
        let key = StateKey::PartnerPage(number, version.since);
        Ok(self.read(key).await?.1)
    }

    /// A value that every state has.
    async fn required<T: BorshDeserialize>(&self, key: StateKey) -> Result<(Height, T), ReadError> {
        let (at, value) = self.read(key).await?;
        Ok((at, value.ok_or(ReadError::Absent { key })?))
    }

    /// A value, or its absence, with the height after which it is true.
    async fn read<T: BorshDeserialize>(
        &self,
        key: StateKey,
    ) -> Result<(Height, Option<T>), ReadError> {
        let (height, _, value) = self.read_timed(key).await?;
        Ok((height, value))
    }

    /// The same with the timestamp of that block's child, which names the state.
    async fn read_timed<T: BorshDeserialize>(
        &self,
        key: StateKey,
    ) -> Result<(Height, Timestamp, Option<T>), ReadError> {
        let proof = self.endpoint.client.proof(&key).await?;
        let proven = self.light.verify_value(&proof, &key);
        let proven = proven.map_err(|error| match error {
            ValueError::Finality(FinalityError::Version(unknown)) => unknown.into(),
            error => ReadError::Unproven {
                key,
                why: error.to_string(),
            },
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
            proven.header.timestamp,
            value.map_err(|error| ReadError::Strange {
                key,
                why: error.to_string(),
            })?,
        ))
    }
}

fn too_slow(endpoint: &Endpoint, time_limit: Duration) {
    endpoint.failed(
        Instant::now(),
        &format!("no answer within {} ms", time_limit.as_millis()),
    );
}

fn blame(endpoint: &Endpoint, error: &ReadError) {
    let now = Instant::now();
    match error {
        ReadError::Client(ClientError::Refused { body, .. })
            if matches!(body.code.as_str(), "no_final_block" | "catching_up") =>
        {
            endpoint.is_not_ready(now, &error.to_string());
        }
        ReadError::Client(_)
        | ReadError::Version(_)
        | ReadError::Strange { .. }
        | ReadError::Absent { .. } => {
            endpoint.failed(now, &error.to_string());
        }
        ReadError::Unproven { .. } => endpoint.lied(now, &error.to_string()),
        // Catching up is no fault.
        ReadError::Behind { .. } => {
            tracing::debug!(endpoint = endpoint.client.url(), %error, "endpoint is behind");
        }
    }
}

#[cfg(test)]
mod tests;
