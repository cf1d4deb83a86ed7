//! Overlays: what reads see, and what a reverted scope leaves behind.

use proptest::prelude::*;
use types::hash::Address;
use types::state_key::StateKey;

use super::*;
use crate::fixture::{key, seeded};

const A: StateKey = StateKey::Account(Address([1; 20]));
const B: StateKey = StateKey::Account(Address([2; 20]));

fn base() -> Writes {
    Writes::from([(A, Some(encode(&1u64)))])
}

#[test]
fn reads_see_writes_and_the_base_stays() {
    let base = base();
    let mut overlay = Overlay::new(&base);
    overlay.put(B, &7u64);
    overlay.delete(A);
    assert_eq!(overlay.get::<u64>(&A), Ok(None));
    assert_eq!(overlay.get::<u64>(&B), Ok(Some(7)));
    assert_eq!(read_as::<u64>(&base, &A), Ok(Some(1)));
    assert_eq!(
        overlay.into_writes(),
        Writes::from([(A, None), (B, Some(encode(&7u64)))])
    );
}

#[test]
fn a_reverted_scope_leaves_nothing_and_a_committed_one_belongs_to_the_outer() {
    let base = base();
    let mut overlay = Overlay::new(&base);
    overlay.put(A, &2u64);
    overlay.checkpoint();
    overlay.put(A, &3u64);
    overlay.put(A, &4u64);
    overlay.checkpoint();
    overlay.put(A, &5u64);
    overlay.put(B, &5u64);
    overlay.revert();
    assert_eq!(
        (overlay.get::<u64>(&A), overlay.get::<u64>(&B)),
        (Ok(Some(4)), Ok(None))
    );
    overlay.checkpoint();
    overlay.delete(A);
    overlay.commit();
    assert_eq!(overlay.get::<u64>(&A), Ok(None));
    overlay.revert();
    assert_eq!((overlay.get::<u64>(&A), overlay.depth()), (Ok(Some(2)), 0));
    overlay.revert();
    assert_eq!(
        (overlay.get::<u64>(&A), overlay.writes().len()),
        (Ok(Some(1)), 0)
    );
}

#[test]
fn a_value_of_another_type_is_named_with_its_key() {
    let base = Writes::from([(A, Some(vec![1, 2, 3]))]);
    assert!(matches!(
        Overlay::new(&base).get::<u64>(&A),
        Err(StateError::BadValue { key: A, .. })
    ));
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Checkpoint,
    Revert,
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5u8, any::<u8>()).prop_map(|(n, value)| Step::Put(n, value)),
        2 => (0..5u8).prop_map(Step::Delete),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Revert),
        1 => Just(Step::Commit),
    ]
}

proptest! {
    #![proptest_config(seeded(200))]

    /// Against copies: a checkpoint is a copy of all writes, a revert brings it back, a commit forgets it.
    #[test]
    fn scopes_are_copies_that_come_back(steps in prop::collection::vec(step(), 0..60)) {
        let base = Writes::from([(key(0), Some(encode(&100u8))), (key(1), Some(encode(&101u8)))]);
        let mut overlay = Overlay::new(&base);
        let (mut model, mut copies) = (Writes::new(), Vec::new());
        for step in steps {
            match step {
                Step::Put(n, value) => {
                    overlay.put(key(n), &value);
                    model.insert(key(n), Some(encode(&value)));
                }
                Step::Delete(n) => {
                    overlay.delete(key(n));
                    model.insert(key(n), None);
                }
                Step::Checkpoint => {
                    overlay.checkpoint();
                    copies.push(model.clone());
                }
                Step::Revert => {
                    overlay.revert();
                    model = copies.pop().unwrap_or_default();
                }
                Step::Commit => {
                    overlay.commit();
                    copies.pop();
                }
            }
            prop_assert_eq!(overlay.writes(), &model);
            prop_assert_eq!(overlay.depth(), copies.len());
            for n in 0..5 {
                let expected = model.get(&key(n)).or_else(|| base.get(&key(n))).cloned().flatten();
                prop_assert_eq!(overlay.read(&key(n)), Ok(expected));
            }
        }
        prop_assert_eq!(overlay.into_writes(), model);
    }
}

#[test]
fn a_failing_base_fails_reads_that_no_write_answers() {
    struct Failing;
    impl StateRead for Failing {
        fn read(&self, _: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
            Err(crate::StateStorageError::Stopped.into())
        }
    }
    let mut overlay = Overlay::new(&Failing);
    overlay.put(A, &1u64);
    assert_eq!(overlay.get::<u64>(&A), Ok(Some(1)));
    assert!(matches!(
        overlay.get::<u64>(&B),
        Err(StateError::Storage(_))
    ));
    overlay.delete(B);
    assert_eq!(overlay.get::<u64>(&B), Ok(None));
}

#[test]
fn values_longer_than_a_value_may_be_are_not_decoded() {
    let long = vec![0; MAX_STATE_VALUE_BYTES + 1];
    let base = Writes::from([(A, Some(long))]);
    let refused = read_as::<Vec<u8>>(&base, &A);
    assert!(matches!(refused, Err(StateError::BadValue { key: A, .. })));
}
