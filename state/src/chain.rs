//! The interface of a store of decided blocks, in memory or on disk: state at the kept heights, blocks, certificates,
//! receipts, proofs, and undo.
//!
//! It promises that an answer is checked against the records beside it, and leaves out how anything is stored.

use std::sync::Arc;

use types::block::{Block, Header};
use types::codec::Bounded;
use types::hash::{Address, BlockId, Hash32, JobId, TransactionId};
use types::limits::{MAX_HEADER_PATH, STATE_ROOT_LAG};
use types::number::Height;
use types::proof::{FinalityProof, StateProof, ValueProof};
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::{Certificate, Subject};

use crate::damage::{StoreDamage, StoredRecord, TreeCorruption};
use crate::diff::{Diff, Tip};
use crate::kept::KeptHeights;
use crate::tree::{self, NodeKey, StateNode, TreeNodes};
use crate::{StateError, StateRead};

/// The decided state: its tip and the [`KEPT_HEIGHTS`](types::limits::KEPT_HEIGHTS) heights below it.
/// [`StateRead::read`] reads the state after the tip.
pub trait DecidedState: StateRead + TreeNodes + Send + Sync {
    /// The same state to read a height of for a while: what is decided meanwhile does not show. Reads may fail once the
    /// height is no longer kept, never differ.
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError>;

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
    let proof = tree::prove(&Nodes(state), height, &root, &key.hash())?;
    let found = proof
        .leaf
        .filter(|(leaf, _)| *leaf == key.hash())
        .map(|(_, value)| value);
    if found != value.as_deref().map(crate::tree::value_hash) {
        return Err(StateError::CorruptTree {
            height,
            corruption: TreeCorruption::FlatValue { key: *key },
        });
    }
    Ok((value, proof))
}

/// Nodes of any decided state, so that unsized ones can be borrowed as nodes.
struct Nodes<'a, T: ?Sized>(&'a T);

impl<T: TreeNodes + ?Sized> TreeNodes for Nodes<'_, T> {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.0.node(key)
    }
}

/// A decided block with everything that is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Header and body; shared with whoever executed the block.
    pub block: Arc<Block>,
    /// The changes of state that executing the block made.
    pub diff: Arc<Diff>,
    /// The receipts of the block's transactions, in their order.
    pub receipts: Vec<TransactionReceipt>,
    /// The block's finalization; `None` for a block that a later block's finalization decides.
    pub finality: Option<Certificate>,
    /// The proposer's signature, where blocks travel with one.
    pub proposer: Option<ProposerSignature>,
}

impl Decision {
    /// Checks that block, diff and certificate belong together and come next after `tip`.
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
            return Err(StateError::WrongParentRoot {
                block,
                named: header.parent_state_root,
                root: tip.root,
            });
        }
        match &self.finality {
            Some(certificate) if !finalizes(certificate, &block) => {
                Err(StateError::WrongCertificate(block))
            }
            _ => Ok(()),
        }
    }
}

/// Checks that a certificate finalizes the block that a store keeps at a height.
pub fn check_late_finality(
    store: &(impl ChainStore + ?Sized),
    height: Height,
    finality: &Certificate,
) -> Result<(), StateError> {
    let header = stored_header(store, height)?;
    let block = header.id();
    if finalizes(finality, &block) {
        Ok(())
    } else {
        Err(StateError::WrongCertificate(block))
    }
}

/// True if the certificate's statement finalizes this block; its signatures are not looked at.
fn finalizes(certificate: &Certificate, block: &BlockId) -> bool {
    matches!(certificate.statement.subject, Subject::Finalize { block: finalized } if finalized == *block)
}

/// When a commit is safe from a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Synced,
    /// Some time later, in the order of the commits. Enough where the block can be fetched and executed again.
    Buffered,
}

/// A store of decided blocks. Handles are cheap to clone and share one store.
pub trait ChainStore: DecidedState {
    /// Decides the block after the tip: all of it or, after a crash, nothing of it.
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError>;

    /// Adds the finalization of a block that was decided without one. Refused unless it finalizes the block that is
    /// kept at this height; its signatures are the caller's to verify. A newer one replaces an older one of the height.
    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError>;

    /// Takes the newest block back and returns the tip below it. Views that are open across this may fail.
    fn undo(&self) -> Result<Tip, StateError>;

    /// What is still here; it moves up with commits and down with undo.
    fn kept(&self) -> KeptHeights;

    /// The block at a height; none if it is not decided, or not kept.
    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError>;

    /// The height of a decided block.
    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError>;

    /// The receipts of the block at a height.
    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError>;

    /// Height and position in its block of a decided transaction, as far down as transactions are kept.
    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError>;

    /// The newest jobs of a customer, newest first and at most `limit`, each with the height of the block that took it in;
    /// as far down as transactions are kept.
    fn jobs_of(&self, customer: &Address, limit: usize)
    -> Result<Vec<(Height, JobId)>, StateError>;

    /// The proposer's signature of the block at a height; none if it is not kept, or came without one.
    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError>;

    /// The finalization at the lowest height that has one, from `height` on.
    fn certificate_from(&self, height: Height)
    -> Result<Option<(Height, Certificate)>, StateError>;

    /// The finalization of the greatest height, with that height; none before the first.
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

    /// Proof that the block at a height is final: the headers from it to the next finalization, and that.
    fn finality_proof(&self, height: Height) -> Result<FinalityProof, StateError> {
        let lowest = self.kept().blocks;
        if height < lowest {
            return Err(StateError::Pruned { height, lowest });
        }
        let (finalized, certificate) = self
            .certificate_from(height)?
            .ok_or(StateError::NotFinal(height))?;
        // Asked before anything is read: a path that is too long would be read in vain.
        let headers = finalized.0.saturating_sub(height.0).saturating_add(1);
        let too_long = || StateError::PathTooLong {
            height,
            finalized,
            headers,
            limit: MAX_HEADER_PATH,
        };
        if usize::try_from(headers).map_or(true, |headers| headers > MAX_HEADER_PATH) {
            return Err(too_long());
        }
        let mut path = Bounded::<_, MAX_HEADER_PATH>::default();
        for at in height.0..=finalized.0 {
            let header = stored_header(self, Height(at))?;
            path.push(header).map_err(|_| too_long())?;
        }
        if let Some(last) = path.last() {
            check_finalized(finalized, last, &certificate)?;
        }
        Ok(FinalityProof {
            headers: path,
            certificate,
        })
    }

    /// A value (or its absence) under the newest root that a final header carries: the state after the parent of the
    /// newest block with a finalization.
    fn value_proof(&self, key: &StateKey) -> Result<ValueProof, StateError> {
        let (finalized, certificate) = self
            .newest_certificate()?
            .ok_or(StateError::NotFinal(self.tip().height))?;
        let header = stored_header(self, finalized)?;
        check_finalized(finalized, &header, &certificate)?;
        let (value, proof) = prove(self, finalized.saturating_sub(STATE_ROOT_LAG), key)?;
        let mut headers = Bounded::default();
        headers
            .push(header)
            .expect("a path has room for one header");
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

/// The header of a height at which or above which a certificate is stored, so that it must be there.
fn stored_header(store: &(impl ChainStore + ?Sized), height: Height) -> Result<Header, StateError> {
    let record = StoredRecord::Block;
    store
        .header_at(height)?
        .ok_or_else(|| StoreDamage::MissingAt { record, height }.into())
}

/// A certificate must finalize the block of the height that it is stored under.
fn check_finalized(
    height: Height,
    header: &Header,
    certificate: &Certificate,
) -> Result<(), StoreDamage> {
    if finalizes(certificate, &header.id()) {
        Ok(())
    } else {
        Err(StoreDamage::OtherCertificate(height))
    }
}

#[cfg(test)]
mod tests;
