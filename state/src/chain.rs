//! What a store of decided blocks offers, whether in memory or on disk: state at the kept heights, blocks,
//! certificates, receipts, proofs, and undo.

use std::sync::Arc;

use types::block::{Block, Header};
use types::codec::Bounded;
use types::hash::{BlockId, Hash32, TransactionId};
use types::limits::MAX_HEADER_PATH;
use types::number::Height;
use types::proof::{FinalityProof, StateProof, ValueProof};
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::{Certificate, Subject};

use crate::tree::{Jellyfish, StateTree, TreeNodes};
use crate::{Diff, StateError, StateRead, Tip};

/// The decided state: its tip and the [`KEPT_HEIGHTS`](types::limits::KEPT_HEIGHTS) heights below it.
/// [`StateRead::read`] reads the state after the tip.
pub trait DecidedState: StateRead + TreeNodes + Send + Sync {
    /// The newest decided block.
    fn tip(&self) -> Tip;

    /// The lowest height whose state can be read and proven.
    fn oldest(&self) -> Height;

    /// The state root after a kept height.
    fn root_at(&self, height: Height) -> Result<Hash32, StateError>;

    /// A value after a kept height. Blocks decided meanwhile do not show.
    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError>;

    /// A value (or its absence) after a kept height, and the path to it under that height's root.
    fn prove(
        &self,
        height: Height,
        key: &StateKey,
    ) -> Result<(Option<Vec<u8>>, StateProof), StateError> {
        prove(self, height, key)
    }
}

/// Reads and proves; the flat value and the tree must agree.
fn prove(
    state: &(impl DecidedState + ?Sized),
    height: Height,
    key: &StateKey,
) -> Result<(Option<Vec<u8>>, StateProof), StateError> {
    let root = state.root_at(height)?;
    let value = state.read_at(height, key)?;
    let proof = Jellyfish.prove(&Nodes(state), height, &root, &key.hash())?;
    let found = proof
        .leaf
        .filter(|(leaf, _)| *leaf == key.hash())
        .map(|(_, value)| value);
    if found != value.as_deref().map(crate::tree::value_hash) {
        let reason = format!("the flat value of {key:?} is not the one in the tree");
        return Err(StateError::Corrupt { height, reason });
    }
    Ok((value, proof))
}

/// Nodes of any decided state, so that unsized ones can be borrowed as nodes.
struct Nodes<'a, T: ?Sized>(&'a T);

impl<T: TreeNodes + ?Sized> TreeNodes for Nodes<'_, T> {
    fn node(&self, key: &crate::tree::NodeKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.node(key)
    }
}

/// A decided block with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The block; shared with whoever executed it.
    pub block: Arc<Block>,
    /// Its diff.
    pub diff: Arc<Diff>,
    /// The receipts of its transactions, in their order.
    pub receipts: Vec<TransactionReceipt>,
    /// Its finalization; nothing for a block that a later one's finalization decides.
    pub finality: Option<Certificate>,
}

impl Decision {
    /// Checks that the decision fits itself and comes next after `tip`.
    pub fn check(&self, tip: &Tip) -> Result<(), StateError> {
        let (header, diff) = (&self.block.header, &self.diff);
        let block = self.block.id();
        if diff.block != block {
            return Err(StateError::WrongDiff {
                block,
                diff: diff.block,
            });
        }
        let parents = [header.parent, diff.parent];
        let heights = [header.height, diff.height];
        if parents != [tip.block; 2] || heights != [tip.height.next(); 2] {
            return Err(StateError::NotNext {
                block,
                height: header.height,
                tip: tip.block,
                tip_height: tip.height,
            });
        }
        if header.parent_state_root != tip.root {
            let (expected, found) = (header.parent_state_root, tip.root);
            return Err(StateError::RootMismatch {
                height: tip.height,
                expected,
                found,
            });
        }
        match self
            .finality
            .as_ref()
            .map(|certificate| certificate.statement.subject)
        {
            None => Ok(()),
            Some(Subject::Finalize { block: finalized }) if finalized == block => Ok(()),
            Some(_) => Err(StateError::WrongCertificate(block)),
        }
    }
}

/// When a commit is safe from a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Synced,
    /// Some time later, in order. Enough where the block can be fetched and executed again.
    Buffered,
}

/// A store of decided blocks. Handles are cheap to clone and share one store.
pub trait ChainStore: DecidedState {
    /// Decides the block after the tip: all of it or, after a crash, nothing of it.
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError>;

    /// Takes the newest block back; gives the tip there is now. Views that are open across this may fail.
    fn undo(&self) -> Result<Tip, StateError>;

    /// The block at a height.
    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError>;

    /// The height of a decided block.
    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError>;

    /// The receipts of the block at a height.
    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError>;

    /// Height and position in its block of a decided transaction.
    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError>;

    /// The finalization at the lowest height that has one, from `height` on.
    fn certificate_from(&self, height: Height)
    -> Result<Option<(Height, Certificate)>, StateError>;

    /// The newest finalization.
    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError>;

    /// A decided block by its id.
    fn block(&self, id: &BlockId) -> Result<Option<Block>, StateError> {
        self.height_of(id)?
            .map_or(Ok(None), |height| self.block_at(height))
    }

    /// The header at a height.
    fn header_at(&self, height: Height) -> Result<Option<Header>, StateError> {
        Ok(self.block_at(height)?.map(|block| block.header))
    }

    /// Why the block at a height is final: the headers from it to the next finalization, and that.
    fn finality_proof(&self, height: Height) -> Result<FinalityProof, StateError> {
        let not_final = || StateError::NotFinal(height);
        let (last, certificate) = self.certificate_from(height)?.ok_or_else(not_final)?;
        // Asked before anything is read: a path that is too long would be read in vain.
        if !usize::try_from(last.0.saturating_sub(height.0))
            .is_ok_and(|above| above < MAX_HEADER_PATH)
        {
            return Err(not_final());
        }
        let mut headers = Bounded::<_, MAX_HEADER_PATH>::default();
        for at in height.0..=last.0 {
            let header = self.header_at(Height(at))?.ok_or_else(not_final)?;
            headers.push(header).map_err(|_| not_final())?;
        }
        Ok(FinalityProof {
            headers,
            certificate,
        })
    }

    /// A value (or its absence) under the newest root that a final header carries: the state after the parent of the
    /// newest block with a finalization.
    fn value_proof(&self, key: &StateKey) -> Result<ValueProof, StateError> {
        let (last, certificate) = self
            .newest_certificate()?
            .ok_or(StateError::NotFinal(self.tip().height))?;
        let header = self.header_at(last)?.ok_or(StateError::NotFinal(last))?;
        let (value, proof) = prove(self, last.saturating_sub(1), key)?;
        let headers = Bounded::new(vec![header]).map_err(|_| StateError::NotFinal(last))?;
        Ok(ValueProof {
            value,
            proof,
            finality: FinalityProof {
                headers,
                certificate,
            },
        })
    }
}
