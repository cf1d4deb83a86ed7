//! What the node answers over HTTP: [`rpc_server::Backend`] over the store, the blobs and a channel into the node's loop.
//!
//! Reads go to the store at one height, so that an answer is true at the height it names whatever is committed
//! meanwhile. Only what the core alone knows (the mempool) is asked of the loop, through a bounded channel.

mod blob;
mod lately;
mod refusal;
mod signers;
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use blobs::BlobStore;
use rpc::limits::MAX_LISTED_JOBS;
use rpc::model::{
    AccountView, BlobStatus, BlockSelector, EstimateView, JobList, JobView, PartnerList,
    PartnerView, Status, Submitted, TransactionStatus,
};
use rpc_server::events::EventLog;
use rpc_server::{ApiError, Backend, FinalBlock};
use state::{ChainStore, DecidedState};
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use types::codec::encode;
use types::genesis::Genesis;
use types::hash::{Address, BlobId, ChainId, JobId, TransactionId, ValidatorId};
use types::job::JobSpec;
use types::number::{Height, Nonce, View};
use types::proof::ValueProof;
use types::signer::Signer;
use types::state_key::StateKey;
use types::transaction::{Action, SignedTransaction};
use vm::{Account, ChargeError, MempoolError, Rules};

use crate::meters::ChainMetrics;
pub use lately::{Alarms, RecentJobs};
use refusal::refused;
pub use rpc::model::{
    LastProposalView, LastVoteView, NodeSignature, StateSignatures, ValidatorList, ValidatorView,
    label,
};
pub use signers::StateSigners;
pub use view::At;

/// What the loop is asked.
#[derive(Debug)]
pub enum Question {
    /// Take transactions into the mempool.
    Submit {
        /// Signed transactions as they were decoded from the request.
        transactions: Vec<SignedTransaction>,
        /// Where the answer goes: for each transaction in its place.
        answer: oneshot::Sender<Vec<Result<TransactionId, MempoolError>>>,
    },
    /// The nonce that an account's next transaction should have, after those that wait.
    NextNonce {
        /// Account whose balance and nonce are asked for.
        address: Address,
        /// What is known of it in final state.
        account: Account,
        /// Where the answer goes.
        answer: oneshot::Sender<Nonce>,
    },
    /// Whether a transaction waits, and until which height it may be included.
    Pending {
        /// Id of the transaction that is asked for.
        id: TransactionId,
        /// Where the answer goes.
        answer: oneshot::Sender<Option<Height>>,
    },
    /// The committee with what was seen of each member.
    Validators {
        /// Where the answer goes.
        answer: oneshot::Sender<ValidatorList>,
    },
    /// A blob is complete on disk; nobody waits for an answer.
    BlobStored(BlobId),
}

/// What the loop tells about itself after each step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// View that consensus is in.
    pub view: View,
    /// Other members of the committee that are connected now.
    pub peers: u16,
    /// Transactions in the mempool.
    pub mempool_transactions: u64,
    /// Encoded bytes of the transactions in the mempool.
    pub mempool_bytes: u64,
    /// True if final blocks are known that are not executed yet.
    pub catching_up: bool,
    /// How far our clock is ahead of the other leaders', in milliseconds, if it is known.
    pub clock_ahead_ms: Option<i64>,
    /// Why the chain does not grow, for people; none while it does.
    pub stalled: Option<Arc<str>>,
}

/// The node as the HTTP interface sees it.
pub struct ChainBackend {
    /// Who signs for this validator; none where nothing is signed, or all of it in this process.
    pub signer: Option<Signer>,
    /// Rules by which submissions are checked and estimates made.
    pub rules: Arc<Rules>,
    /// Genesis of the chain, which the API serves.
    pub genesis: Arc<Genesis>,
    /// Decided blocks and state.
    pub store: Store,
    /// Store from which blobs are served and into which uploads go.
    pub blobs: BlobStore,
    /// Id of this validator; none on a node that only follows.
    pub validator: Option<ValidatorId>,
    /// What the long poll reads; the shell adds to it when a block is committed.
    pub events: Arc<EventLog>,
    /// Jobs that ended lately.
    pub recent: Arc<RecentJobs>,
    /// Way into the node's loop, for what only its core can answer.
    pub questions: mpsc::Sender<Question>,
    /// Out of the loop.
    pub live: watch::Receiver<Live>,
    /// What the operator must know; the shell adds to it.
    pub alarms: Arc<Alarms>,
    /// What the worker and the tasks of referees record.
    pub metrics: ChainMetrics,
    /// Who gathers signatures over the state; none where the chain's own committee orders the blocks.
    pub signers: Option<Box<dyn StateSigners>>,
}

impl ChainBackend {
    /// Runs a read over the newest decided state on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&At, &Rules) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (store, rules) = (self.store.clone(), self.rules.clone());
        let work = tokio::task::spawn_blocking(move || read(&At::tip(store), &rules));
        work.await
            .map_err(|error| ApiError::internal(format!("reading the state: {error}")))?
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, ApiError> {
        let busy = || {
            ApiError::unavailable(
                "busy",
                "the node has more questions than it can answer",
                "try again",
            )
        };
        let (answer, answered) = oneshot::channel();
        self.questions
            .try_send(question(answer))
            .map_err(|_| busy())?;
        answered.await.map_err(|_| {
            ApiError::unavailable(
                "stopping",
                "the node is stopping",
                "ask another node, or this one once it is back",
            )
        })
    }

    /// Why the signer of this node's key gave no signature when it was asked last; none if it did, or the key is here.
    #[must_use]
    pub fn signer_trouble(&self) -> Option<String> {
        self.signer.as_ref().and_then(Signer::trouble)
    }
}

#[async_trait]
impl Backend for ChainBackend {
    fn chain_id(&self) -> ChainId {
        self.rules.chain_id
    }

    async fn is_party(&self, address: Address) -> bool {
        let read = self.read(move |at, rules| {
            let is_party = vm::query::is_party(rules, at, &address);
            is_party.map_err(view::internal)
        });
        read.await.unwrap_or(false)
    }

    async fn ready(&self) -> Result<(), ApiError> {
        if let Some(reason) = self.signer_trouble() {
            return Err(ApiError::unavailable(
                "signer_away",
                &reason,
                "start gridproof signer, or look at its log; the node goes on when it is back",
            ));
        }
        let live = self.live.borrow().clone();
        if let Some(reason) = live.stalled {
            return Err(ApiError::unavailable(
                "stalled",
                reason.as_ref(),
                "/v1/validators says of each validator when it was heard last",
            ));
        }
        if live.catching_up {
            return Err(ApiError::unavailable(
                "catching_up",
                "the node is catching up",
                "ask another node meanwhile",
            ));
        }
        Ok(())
    }

    async fn status(&self) -> Result<Status, ApiError> {
        let (live, cursor) = (self.live.borrow().clone(), self.events.cursor());
        let (network, validator) = (self.genesis.name.to_string(), self.validator);
        let mempool = (live.mempool_transactions, live.mempool_bytes);
        let alarms = self.alarms.list();
        self.read(move |at, rules| {
            let (tip, block, chain) = (at.store.tip(), at.block()?, at.chain()?);
            let kept = at.store.kept();
            Ok(Status {
                chain_id: rules.chain_id,
                network,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol_version: rules.versions.version(at.height),
                next_version: view::next_version(&rules.versions, at.height),
                validator,
                committee_size: u16::try_from(rules.committee.members().len()).unwrap_or(u16::MAX),
                peers: live.peers,
                height: at.height,
                block_id: block.id(),
                block_time: block.header.timestamp,
                state_root: at
                    .store
                    .root_at(at.height)
                    .map_err(view::internal)
                    .unwrap_or(tip.root),
                chain_time: chain.chain_time,
                epoch: rules.epoch(at.height),
                view: live.view,
                classes: rules
                    .params
                    .compute
                    .classes
                    .iter()
                    .map(Into::into)
                    .collect(),
                min_fee: rules.params.min_fee,
                mempool_transactions: mempool.0,
                mempool_bytes: mempool.1,
                catching_up: live.catching_up,
                oldest_block: kept.blocks,
                oldest_transaction: kept.transactions,
                alarms,
                stalled: live.stalled.map(|reason| reason.to_string()),
                clock_ahead_ms: live.clock_ahead_ms,
                cursor,
            })
        })
        .await
    }

    async fn genesis(&self) -> Result<Vec<u8>, ApiError> {
        Ok(encode(self.genesis.as_ref()))
    }

    async fn block(&self, selector: BlockSelector) -> Result<FinalBlock, ApiError> {
        self.read(move |at, _| at.final_block(selector)).await
    }

    async fn account(&self, address: Address) -> Result<AccountView, ApiError> {
        let read = self.read(move |at, _| {
            let account = vm::query::account(at, &address).map_err(view::internal)?;
            let is_partner = vm::query::partner(at, &address)
                .map_err(view::internal)?
                .is_some();
            Ok((account, is_partner, at.height))
        });
        let (account, is_partner, height) = read.await?;
        let next_nonce = self
            .ask(|answer| Question::NextNonce {
                address,
                account,
                answer,
            })
            .await?;
        let Account { balance, nonce } = account;
        Ok(AccountView {
            address,
            balance,
            nonce,
            next_nonce,
            is_partner,
            height,
        })
    }

    async fn validators(&self) -> Result<ValidatorList, ApiError> {
        self.ask(|answer| Question::Validators { answer }).await
    }

    async fn partners(&self, after: Option<Address>) -> Result<PartnerList, ApiError> {
        self.read(move |at, rules| at.partner_list(rules, after))
            .await
    }

    async fn partner(&self, address: Address) -> Result<PartnerView, ApiError> {
        self.read(move |at, rules| {
            let partner = vm::query::partner(at, &address)
                .map_err(view::internal)?
                .ok_or_else(|| {
                    let hint =
                        "GET /v1/partners lists all; `gridproof partner start` registers one";
                    ApiError::not_found(
                        "partner",
                        format!("{address} is not registered as a partner"),
                        hint,
                    )
                })?;
            at.partner_with_duties(rules, address, &partner)
        })
        .await
    }

    async fn jobs(&self, live: bool) -> Result<JobList, ApiError> {
        let recent = self.recent.list();
        self.read(move |at, _| {
            let ids = if live {
                vm::query::live_jobs(at).map_err(view::internal)?
            } else {
                recent
            };
            at.job_list(ids, None)
        })
        .await
    }

    async fn jobs_of(&self, customer: Address, live: Option<bool>) -> Result<JobList, ApiError> {
        self.read(move |at, _| {
            let jobs = at.store.jobs_of(&customer, MAX_LISTED_JOBS);
            let jobs = jobs.map_err(view::internal)?.into_iter();
            at.job_list(jobs.map(|(_, job)| job), live)
        })
        .await
    }

    async fn job(&self, id: JobId) -> Result<JobView, ApiError> {
        self.read(move |at, _| at.job_view(id)).await
    }

    async fn transaction(&self, id: TransactionId) -> Result<TransactionStatus, ApiError> {
        if let Some(included) = self.read(move |at, _| at.included(id)).await? {
            return Ok(included);
        }
        match self.ask(|answer| Question::Pending { id, answer }).await? {
            Some(valid_until) => Ok(TransactionStatus::Pending { id, valid_until }),
            // It may have become final between the two looks.
            None => {
                self.read(move |at, _| at.included(id)?.ok_or_else(|| at.unknown_transaction(id)))
                    .await
            }
        }
    }

    async fn submit(&self, transaction: SignedTransaction) -> Result<Submitted, ApiError> {
        let none = || Err(ApiError::internal("the node's loop gave no answer"));
        let results = self.submit_batch(vec![transaction]).await;
        results.into_iter().next().unwrap_or_else(none)
    }

    async fn submit_batch(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Vec<Result<Submitted, ApiError>> {
        let job = |transaction: &SignedTransaction| {
            let is_job = matches!(transaction.transaction().action, Action::SubmitJob { .. });
            is_job.then(|| transaction.transaction().job_id())
        };
        let jobs: Vec<_> = transactions.iter().map(job).collect();
        let ids: Vec<_> = transactions.iter().map(SignedTransaction::id).collect();
        let question = |answer| Question::Submit {
            transactions,
            answer,
        };
        let results = match self.ask(question).await {
            Ok(results) => results,
            Err(error) => return vec![Err(error); ids.len()],
        };
        let mut answers = Vec::with_capacity(results.len());
        for ((result, job), id) in results.into_iter().zip(jobs).zip(ids) {
            let submitted = Submitted { id, job };
            answers.push(match result {
                Ok(_) | Err(MempoolError::Known(_)) => Ok(submitted),
                // Its nonce is used: perhaps by itself, in a block.
                Err(error @ MempoolError::Charge(ChargeError::Nonce { .. })) => {
                    let included = self.read(move |at, _| at.included(id)).await;
                    included.and_then(|block| match block {
                        Some(_) => Ok(submitted),
                        None => Err(refused(&error)),
                    })
                }
                Err(error) => Err(refused(&error)),
            });
        }
        answers
    }

    async fn estimate(&self, spec: JobSpec) -> Result<EstimateView, ApiError> {
        self.read(move |at, rules| {
            let estimate =
                vm::compute::estimate(rules, at, at.height, &spec).map_err(view::internal)?;
            Ok(view::estimate_view(at.height, estimate))
        })
        .await
    }

    async fn proof(&self, key: StateKey) -> Result<ValueProof, ApiError> {
        self.read(move |at, _| at.proof(&key)).await
    }

    async fn state_signatures(&self, height: Height) -> Result<StateSignatures, ApiError> {
        signers::signatures(self.signers.as_deref(), height).await
    }

    async fn blob(&self, id: BlobId) -> Result<BlobStatus, ApiError> {
        blob::status(self.blobs.clone(), id).await
    }

    async fn blob_chunk(&self, id: BlobId, chunk: u64) -> Result<Vec<u8>, ApiError> {
        blob::chunk(self.blobs.clone(), id, chunk).await
    }

    async fn put_blob_chunk(
        &self,
        job: JobId,
        id: BlobId,
        chunk: u64,
        bytes: Vec<u8>,
    ) -> Result<BlobStatus, ApiError> {
        let store = self.blobs.clone();
        self.read(move |at, _| blob::check_wanted(at, &store, job, id))
            .await?;
        let status = blob::put(self.blobs.clone(), id, chunk, bytes).await?;
        if status.complete {
            // The loop looks at the disk again later; a full channel only delays that.
            let _ = self.questions.try_send(Question::BlobStored(id));
        }
        Ok(status)
    }

    fn events(&self) -> &EventLog {
        &self.events
    }
}
