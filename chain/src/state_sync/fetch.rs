//! Fetching a state: asks nodes as the plan says, checks each answer when it comes, and keeps what is right on disk.

use std::collections::{BTreeMap, BTreeSet};

use state::StateError;
use state::subtree::{MAX_SUBTREE_BYTES, Subtree};
use state::tree::NodePath;
use store::{StagedBlock, StagedStore};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet, block_in_place};
use types::block::Header;
use types::codec::{Bounded, decode, encode};
use types::hash::{Hash32, ValidatorId};
use types::limits::MAX_BLOCK_TRANSACTIONS;
use types::number::Height;
use types::signed_block::SignedBlock;
use types::transaction::TransactionReceipt;

use super::plan::{ASKED_OF_ALL, GIVE_UP_MS, SyncAnswer, SyncPlan};
use super::request::{MAX_SYNC_ANSWER_BYTES, SyncRequest};
use crate::blob_tasks::{AskError, ChunkSource};
use crate::clock::Clock;

/// Why a state does not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The header is that of the genesis block, which has no parent.
    #[error("the genesis block has no state below it")]
    Genesis,
    /// Nobody gives it.
    #[error("nobody has given anything right for {} s", GIVE_UP_MS / 1_000)]
    GivenUp,
    /// Nobody tells any more which nodes are connected.
    #[error("the network ends")]
    Ended,
    /// The disk does not take it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A request's task ended.
    #[error("a request ended: {0}")]
    Task(#[from] JoinError),
}

/// The blocks that came beside the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedBlocks {
    /// The block whose header was trusted.
    pub block: SignedBlock,
    /// Its parent, unless the state was whole already.
    pub parent: Option<StagedBlock>,
}

/// Fetches what is missing of a state, and the blocks beside it. What came is kept whatever the end is. `nodes` are those
/// that are connected. Needs a tokio runtime with threads.
pub async fn fetch<N: ChunkSource>(
    staged: &StagedStore,
    network: &N,
    mut nodes: watch::Receiver<BTreeSet<ValidatorId>>,
    clock: Clock,
) -> Result<FetchedBlocks, FetchError> {
    let mut fetching = Fetching::new(staged, clock)?;
    let mut asking: JoinSet<(ValidatorId, SyncRequest, Result<Vec<u8>, AskError>)> = JoinSet::new();
    loop {
        fetching.plan.connected(nodes.borrow_and_update().clone());
        block_in_place(|| fetching.look())?;
        if fetching.plan.open().next().is_none() {
            return fetching.end();
        }
        let now = clock.now().monotonic;
        if fetching.plan.is_given_up(now) {
            return Err(FetchError::GivenUp);
        }
        while let Some((to, request)) = fetching.plan.ask(now) {
            let network = network.clone();
            asking.spawn(async move { (to, request, network.ask(to, encode(&request)).await) });
        }
        tokio::select! {
            Some(answered) = asking.join_next() => {
                let (from, request, answer) = answered?;
                let answer = block_in_place(|| fetching.take(from, request, answer))?;
                fetching.plan.ended(clock.now().monotonic, from, request, answer);
            }
            changed = nodes.changed() => changed.map_err(|_| FetchError::Ended)?,
            () = tokio::time::sleep_until(clock.instant(fetching.plan.wake(now))) => {}
        }
    }
}

/// A fetch under way.
struct Fetching<'a> {
    staged: &'a StagedStore,
    target: Header,
    below: Height,
    is_whole: bool,
    plan: SyncPlan,
    /// What the pieces that are asked for must hash to.
    hashes: BTreeMap<NodePath, Hash32>,
    block: Option<SignedBlock>,
    parent: Option<SignedBlock>,
    receipts: Option<Vec<TransactionReceipt>>,
}

impl<'a> Fetching<'a> {
    fn new(staged: &'a StagedStore, clock: Clock) -> Result<Self, FetchError> {
        let target = staged.target().clone();
        let below = target.height.checked_sub(1).ok_or(FetchError::Genesis)?;
        let is_whole = staged.is_whole()?;
        let mut plan = SyncPlan::new(clock.now().monotonic);
        plan.want(SyncRequest::Block(target.height));
        if !is_whole {
            plan.want(SyncRequest::Block(below));
            plan.want(SyncRequest::Receipts(below));
        }
        Ok(Self {
            staged,
            target,
            below,
            is_whole,
            plan,
            hashes: BTreeMap::new(),
            block: None,
            parent: None,
            receipts: None,
        })
    }

    /// Looks for pieces that are wanted and not asked for.
    fn look(&mut self) -> Result<(), StateError> {
        let open = self.plan.open().filter_map(|request| match request {
            SyncRequest::Subtree { path, .. } => Some(*path),
            _ => None,
        });
        let open: BTreeSet<_> = open.collect();
        if self.is_whole || open.len() >= ASKED_OF_ALL {
            return Ok(());
        }
        let height = self.below;
        for (path, hash) in self.staged.wanted(ASKED_OF_ALL - open.len(), &open)? {
            self.hashes.insert(path, hash);
            self.plan.want(SyncRequest::Subtree { height, path });
        }
        Ok(())
    }

    /// Checks an answer and keeps it. An error is one of our own disk.
    fn take(
        &mut self,
        from: ValidatorId,
        request: SyncRequest,
        answer: Result<Vec<u8>, AskError>,
    ) -> Result<SyncAnswer, StateError> {
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::debug!(%error, from = %from.0, ?request, "nothing came");
                return Ok(SyncAnswer::Nothing);
            }
        };
        let is_right = bytes.len() <= MAX_SYNC_ANSWER_BYTES && self.enter(request, &bytes)?;
        if !is_right {
            tracing::warn!(from = %from.0, ?request, "something else came than was asked for");
            return Ok(SyncAnswer::Wrong);
        }
        Ok(SyncAnswer::Right)
    }

    /// Keeps an answer if it is right.
    fn enter(&mut self, request: SyncRequest, bytes: &[u8]) -> Result<bool, StateError> {
        match request {
            SyncRequest::Block(height) => {
                let (expected, place) = if height == self.target.height {
                    (self.target.id(), &mut self.block)
                } else {
                    (self.target.parent, &mut self.parent)
                };
                let block = SignedBlock::from_bytes(bytes).ok();
                *place = block.filter(|block| block.block().id() == expected);
                Ok(place.is_some())
            }
            SyncRequest::Receipts(_) => {
                let receipts: Result<Bounded<_, MAX_BLOCK_TRANSACTIONS>, _> =
                    decode(bytes, MAX_SYNC_ANSWER_BYTES);
                let receipts = receipts.ok().map(Bounded::into_inner);
                let expected = self.target.parent_receipt_root;
                self.receipts = receipts.filter(|all| TransactionReceipt::root(all) == expected);
                Ok(self.receipts.is_some())
            }
            SyncRequest::Subtree { path, .. } => {
                let Some(hash) = self.hashes.get(&path) else {
                    return Ok(false);
                };
                let piece = decode::<Subtree>(bytes, MAX_SUBTREE_BYTES);
                let Some(checked) = piece.ok().and_then(|piece| piece.check(&path, hash).ok())
                else {
                    return Ok(false);
                };
                self.staged.enter(&path, &checked)?;
                self.hashes.remove(&path);
                Ok(true)
            }
        }
    }

    fn end(self) -> Result<FetchedBlocks, FetchError> {
        let parent = match (self.parent, self.receipts) {
            (Some(parent), Some(receipts)) => Some(StagedBlock {
                block: parent.block().block().as_ref().clone(),
                receipts,
                proposer: parent.proposer(),
            }),
            _ => None,
        };
        let block = self.block.ok_or(FetchError::GivenUp)?;
        Ok(FetchedBlocks { block, parent })
    }
}
