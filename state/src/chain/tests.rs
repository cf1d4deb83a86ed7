//! Proofs that a store gives: which headers and which root, and what it says when it cannot.

use types::hash::{Address, Hash32, JobId};
use types::signed_block::ProposerSignature;
use types::vote::{Certificate, Subject};

use super::*;
use crate::fixture::{certificate, finalized, holds, key, next, store, writes};
use crate::{ErrorClass, MemoryStore, StateStorageError};

/// A chain of that many heights, of which these have a finalization.
fn chain(heights: u64, finalized_at: &[u64]) -> MemoryStore {
    let store = store(&[(0, Some(1)), (1, Some(2))]);
    for height in 1..=heights {
        let value = u8::try_from(height % 251).unwrap();
        let mut decision = next(&store, writes(&[(2, Some(value)), (3, None)]));
        if finalized_at.contains(&height) {
            decision = finalized(decision);
        }
        store.commit(&decision, Durability::Buffered).unwrap();
    }
    store
}

#[test]
fn a_finality_proof_reaches_to_the_next_finalization_and_no_further() {
    let store = chain(9, &[3, 4, 8]);
    for (height, finalized) in [(0, 3), (1, 3), (3, 3), (4, 4), (5, 8), (8, 8)] {
        let proof = store.finality_proof(Height(height)).unwrap();
        let heights: Vec<_> = proof.headers.iter().map(|header| header.height.0).collect();
        assert_eq!(heights, (height..=finalized).collect::<Vec<_>>());
        let last = proof.headers.last().unwrap().id();
        assert!(finalizes(&proof.certificate, &last));
        for pair in proof.headers.windows(2) {
            assert_eq!(pair[1].parent, pair[0].id());
        }
    }
    for height in [9, 10, 1_000] {
        let missing = store.finality_proof(Height(height));
        assert_eq!(missing, Err(StateError::NotFinal(Height(height))));
    }
}

#[test]
fn a_path_that_is_too_long_says_so_and_does_not_say_that_nothing_is_final() {
    let limit = u64::try_from(MAX_HEADER_PATH).unwrap();
    let store = chain(limit + 2, &[limit + 2]);
    let finalized = Height(limit + 2);
    for height in [0, 1, 2] {
        let error = store.finality_proof(Height(height)).unwrap_err();
        let expected = StateError::PathTooLong {
            height: Height(height),
            finalized,
            headers: limit + 3 - height,
            limit: MAX_HEADER_PATH,
        };
        assert_eq!(error, expected);
        assert_eq!(error.class(), ErrorClass::NotAvailable);
    }
    let longest = store.finality_proof(Height(3)).unwrap();
    assert_eq!(longest.headers.len(), MAX_HEADER_PATH);
}

#[test]
fn a_value_proof_is_under_the_root_that_the_newest_final_header_carries() {
    let store = chain(7, &[2, 5]);
    for n in 0..6 {
        let proof = store.value_proof(&key(n)).unwrap();
        let header = &proof.finality.headers[0];
        assert_eq!(
            (header.height, proof.finality.headers.len()),
            (Height(5), 1)
        );
        assert_eq!(Ok(header.parent_state_root), store.root_at(Height(4)));
        assert_eq!(Ok(proof.value.clone()), store.read_at(Height(4), &key(n)));
        let value = proof.value.as_deref();
        let root = header.parent_state_root;
        assert!(holds(&root, &key(n).hash(), value, &proof.proof), "key {n}");
    }
    assert_eq!(store.value_proof(&key(2)).unwrap().value, Some(vec![4]));
    assert_eq!(store.value_proof(&key(3)).unwrap().value, None);
    let nothing_final = chain(3, &[]).value_proof(&key(0));
    assert_eq!(nothing_final, Err(StateError::NotFinal(Height(3))));
}

#[test]
fn a_value_proof_whose_root_is_pruned_says_what_is_kept() {
    let store = chain(100, &[2]);
    let pruned = store.value_proof(&key(0));
    assert_eq!(
        pruned,
        Err(StateError::NotKept {
            height: Height(1),
            oldest: store.oldest(),
            tip: Height(100)
        })
    );
}

#[test]
fn blocks_are_found_by_id_and_by_height() {
    let store = chain(4, &[]);
    for height in (0..=4).map(Height) {
        let block = store.block_at(height).unwrap().unwrap();
        assert_eq!(store.block(&block.id()), Ok(Some(block.clone())));
        assert_eq!(store.header_at(height), Ok(Some(block.header)));
    }
    assert_eq!(store.block(&BlockId::default()), Ok(None));
    assert_eq!(store.header_at(Height(5)), Ok(None));
}

#[test]
fn only_a_finalization_of_the_block_finalizes_it() {
    let store = store(&[(0, Some(1))]);
    let good = next(&store, writes(&[(0, Some(2))]));
    let block = good.block.id();
    let parent_view = types::number::View(0);
    let other = BlockId(Hash32([9; 32]));
    for subject in [
        Subject::Notarize { parent_view, block },
        Subject::Finalize { block: other },
        Subject::Nullify,
    ] {
        let finality = Some(certificate(1, subject));
        let decision = Decision {
            finality,
            ..good.clone()
        };
        let refused = decision.check(&store.tip());
        assert_eq!(refused, Err(StateError::WrongCertificate(block)));
    }
    assert_eq!(good.check(&store.tip()), Ok(()));
    assert_eq!(finalized(good).check(&store.tip()), Ok(()));
}

#[test]
fn a_late_finalization_is_of_the_block_of_its_height() {
    let store = chain(3, &[]);
    let block = |height| store.header_at(Height(height)).unwrap().unwrap().id();
    let of = |block| certificate(1, Subject::Finalize { block });
    assert_eq!(
        check_late_finality(&store, Height(2), &of(block(2))),
        Ok(())
    );
    for finality in [of(block(3)), certificate(1, Subject::Nullify)] {
        let refused = Err(StateError::WrongCertificate(block(2)));
        assert_eq!(check_late_finality(&store, Height(2), &finality), refused);
        assert_eq!(store.finalize(Height(2), &finality), refused);
    }
    assert!(store.finality_proof(Height(1)).is_err(), "none was kept");
    assert_eq!(store.finalize(Height(2), &of(block(2))), Ok(()));
    assert!(store.finality_proof(Height(1)).is_ok());
}

#[test]
fn a_decision_fits_one_tip() {
    let store = store(&[(0, Some(1))]);
    let good = next(&store, writes(&[(0, Some(2))]));
    let tip = store.tip();
    let elsewhere = Tip {
        block: BlockId(Hash32([9; 32])),
        ..tip
    };
    let higher = Tip {
        height: Height(1),
        ..tip
    };
    for wrong in [elsewhere, higher] {
        let refused = good.check(&wrong).unwrap_err();
        assert!(matches!(refused, StateError::NotNext { .. }), "{refused}");
        assert_eq!(refused.class(), ErrorClass::Diverged);
    }
    let root = Hash32([7; 32]);
    let refused = good.check(&Tip { root, ..tip });
    let block = good.block.id();
    let named = tip.root;
    assert_eq!(
        refused,
        Err(StateError::WrongParentRoot { block, named, root })
    );
}

/// A store whose certificate is stored under the height of another block.
struct Swapped(MemoryStore);

impl StateRead for Swapped {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.read(key)
    }
}

impl TreeNodes for Swapped {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.0.node(key)
    }
}

impl DecidedState for Swapped {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        self.0.snapshot()
    }
    fn tip(&self) -> Tip {
        self.0.tip()
    }
    fn oldest(&self) -> Height {
        self.0.oldest()
    }
    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.0.root_at(height)
    }
    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.read_at(height, key)
    }
}

impl ChainStore for Swapped {
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError> {
        self.0.commit(decision, durability)
    }
    fn undo(&self) -> Result<Tip, StateError> {
        self.0.undo()
    }
    fn kept(&self) -> KeptHeights {
        self.0.kept()
    }
    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        self.0.block_at(height)
    }
    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        self.0.height_of(block)
    }
    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        self.0.receipts_at(height)
    }
    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        self.0.transaction(id)
    }

    fn jobs_of(
        &self,
        customer: &Address,
        limit: usize,
    ) -> Result<Vec<(Height, JobId)>, StateError> {
        self.0.jobs_of(customer, limit)
    }
    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError> {
        self.0.finalize(height, finality)
    }

    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError> {
        self.0.proposer_at(height)
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        let found = self.0.certificate_from(height)?;
        Ok(found.map(|(height, certificate)| (height.saturating_sub(1), certificate)))
    }
    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        self.certificate_from(Height::ZERO)
    }
}

#[test]
fn a_certificate_under_another_height_is_damage_and_proves_nothing() {
    let store = Swapped(chain(5, &[4]));
    let damaged = StateError::Storage(StateStorageError::Damaged(StoreDamage::OtherCertificate(
        Height(3),
    )));
    assert_eq!(store.finality_proof(Height(1)), Err(damaged.clone()));
    assert_eq!(store.value_proof(&key(0)), Err(damaged.clone()));
    assert_eq!(damaged.class(), ErrorClass::Damaged);
}
