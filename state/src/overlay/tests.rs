//! Overlays: what reads see, and what a reverted scope leaves behind.

use types::hash::Address;
use types::state_key::StateKey;

use super::*;

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
