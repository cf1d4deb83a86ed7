//! What is answered from a store whose finalizations are far apart.

use std::sync::atomic::{AtomicUsize, Ordering};

use consensus::{Message, Range, Request};
use state::tree::{NodeKey, StateNode, TreeNodes};
use state::{Decision, Durability, KeptHeights, StateRead, Tip};
use types::block::{Block, Header};
use types::hash::{Address, JobId};
use types::limits::MAX_HEADER_PATH;
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::Certificate;

use super::*;

/// A store with few finalizations: those at `finalised`, and the newest one far above its blocks.
struct Sparse {
    store: MemoryStore,
    finalised: Vec<Height>,
    newest: (Height, Certificate),
    /// Headers that were read one by one.
    headers: AtomicUsize,
}

impl StateRead for Sparse {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.store.read(key)
    }
}

impl TreeNodes for Sparse {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.store.node(key)
    }
}

impl DecidedState for Sparse {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        self.store.snapshot()
    }

    fn tip(&self) -> Tip {
        self.store.tip()
    }

    fn oldest(&self) -> Height {
        self.store.oldest()
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.store.root_at(height)
    }

    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.store.read_at(height, key)
    }
}

impl ChainStore for Sparse {
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError> {
        self.store.commit(decision, durability)
    }

    fn undo(&self) -> Result<Tip, StateError> {
        self.store.undo()
    }

    fn kept(&self) -> KeptHeights {
        self.store.kept()
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        self.store.block_at(height)
    }

    fn header_at(&self, height: Height) -> Result<Option<Header>, StateError> {
        self.headers.fetch_add(1, Ordering::Relaxed);
        Ok(self
            .store
            .block_at(height.min(self.tip().height))?
            .map(|block| block.header))
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        self.store.height_of(block)
    }

    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        self.store.receipts_at(height)
    }

    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        self.store.transaction(id)
    }

    fn jobs_of(
        &self,
        customer: &Address,
        limit: usize,
    ) -> Result<Vec<(Height, JobId)>, StateError> {
        self.store.jobs_of(customer, limit)
    }

    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError> {
        self.store.finalize(height, finality)
    }

    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError> {
        self.store.proposer_at(height)
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        match self.finalised.iter().find(|at| **at >= height) {
            Some(at) => self.store.certificate_from(*at),
            None => Ok(Some(self.newest.clone())),
        }
    }

    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        Ok(Some(self.newest.clone()))
    }
}

fn sparse(finalised: &[u64], newest_above_tip: usize) -> Sparse {
    let mut host = Host::of(1);
    host.pass(5_000);
    let (tip, certificate) = host.store.newest_certificate().unwrap().unwrap();
    assert!(tip.0 > 6, "blocks to serve");
    let newest = (
        Height(tip.0 + u64::try_from(newest_above_tip).unwrap()),
        certificate,
    );
    let finalised = finalised.iter().copied().map(Height).collect();
    Sparse {
        store: host.store,
        finalised,
        newest,
        headers: AtomicUsize::new(0),
    }
}

fn range(store: &Sparse) -> Option<Box<Range>> {
    match crate::serve::answer(store, Request::Range(Height(2))).unwrap()? {
        Message::Range(range) => Some(range),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_range_ends_with_a_finalization_of_its_own_where_the_next_is_out_of_reach() {
    let store = sparse(&[1, 3, 5], MAX_HEADER_PATH + 1);
    let range = range(&store).expect("blocks up to a finalization");
    let heights: Vec<_> = range
        .blocks
        .iter()
        .map(|block| block.header.height.0)
        .collect();
    assert_eq!((heights, range.headers.len()), (vec![2, 3, 4, 5], 0));
    let last = range.blocks.last().unwrap().id();
    assert_eq!(
        range.certificate.statement.subject,
        Subject::Finalize { block: last }
    );
}

#[test]
fn a_path_that_is_too_long_is_not_read() {
    let store = sparse(&[1], MAX_HEADER_PATH + 1);
    assert!(range(&store).is_none());
    let proof = store.finality_proof(Height(2));
    assert!(
        matches!(
            proof,
            Err(StateError::PathTooLong { height: Height(2), limit, .. }) if limit == MAX_HEADER_PATH
        ),
        "{proof:?}"
    );
    assert_eq!(store.headers.load(Ordering::Relaxed), 0);
    let longest = sparse(&[1], MAX_HEADER_PATH);
    assert_eq!(range(&longest).unwrap().headers.len(), MAX_HEADER_PATH);
}
