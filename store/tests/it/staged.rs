//! A state that arrives: from the pieces of one store another comes to be, across deaths of the process, and goes on like it.

use std::collections::BTreeSet;
use std::path::Path;

use gridproof_store::{
    ChainStore, DecidedState, Durability, StagedBlock, StagedStore, Store, StoreSettings,
};
use state::subtree::Subtree;
use state::{StateError, StateRead};
use types::block::Header;
use types::number::Height;

use crate::fixture::{KEYS, genesis, genesis_writes, key, linear};

/// The height whose state goes over; the source is some heights above it.
const HEIGHT: Height = Height(20);

fn open(directory: &Path) -> Store {
    Store::open(directory, &genesis("staged"), genesis_writes()).unwrap()
}

fn source(directory: &Path) -> Store {
    let store = open(directory);
    for _ in 0..30 {
        store.commit(&linear(&store), Durability::Buffered).unwrap();
    }
    store
}

fn staged(directory: &Path, target: &Header) -> StagedStore {
    let chain = genesis("staged").chain_id();
    StagedStore::begin(directory, chain, target, &StoreSettings::default()).unwrap()
}

/// Fetches so many pieces; false if nothing is wanted any more. Splits the first pieces into nodes, as a large state does.
fn fetch(source: &Store, staged: &StagedStore, pieces: usize) -> bool {
    for _ in 0..pieces {
        let wanted = staged.wanted(1, &BTreeSet::new()).unwrap();
        let Some((path, hash)) = wanted.first() else {
            return false;
        };
        let piece = if path.is_empty() {
            root(source)
        } else {
            source.subtree(HEIGHT, path).unwrap().unwrap()
        };
        let checked = piece.check(path, hash).unwrap();
        staged.enter(path, &checked).unwrap();
        // Entering it twice changes nothing.
        staged.enter(path, &checked).unwrap();
    }
    true
}

/// The root's node, though all values would fit one piece.
fn root(source: &Store) -> Subtree {
    use state::tree::{NodeKey, TreeNodes};
    let name = [&HEIGHT.0.to_be_bytes()[..], &[0]].concat();
    let name: NodeKey = types::codec::decode(&name, 64).unwrap();
    let node = source.node(&name).unwrap().unwrap();
    Subtree::Node(types::codec::Bounded::new(node.to_bytes()).unwrap())
}

fn parent(source: &Store) -> StagedBlock {
    StagedBlock {
        block: source.block_at(HEIGHT).unwrap().unwrap(),
        receipts: source.receipts_at(HEIGHT).unwrap().unwrap(),
        proposer: source.proposer_at(HEIGHT).unwrap(),
    }
}

#[test]
fn a_state_arrives_over_restarts_and_the_store_goes_on() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(theirs.path());
    let target = source.header_at(HEIGHT.next()).unwrap().unwrap();
    let mut restarts = 0;
    loop {
        let staged = staged(ours.path(), &target);
        assert!(!staged.is_whole().unwrap());
        if !fetch(&source, &staged, 2) {
            staged.finish(&parent(&source)).unwrap();
            break;
        }
        restarts += 1;
    }
    assert!(restarts > 2, "two pieces at a time");
    let whole = StagedStore::open(ours.path(), &StoreSettings::default());
    assert!(whole.unwrap().unwrap().is_whole().unwrap());
    let arrived = open(ours.path());
    assert_eq!(arrived.tip().height, HEIGHT);
    for n in 0..=KEYS {
        let (ours, theirs) = (arrived.read(&key(n)), source.read_at(HEIGHT, &key(n)));
        assert_eq!(ours, theirs);
        assert_eq!(
            arrived.prove(HEIGHT, &key(n)),
            source.prove(HEIGHT, &key(n))
        );
    }
    arrived.audit().unwrap();
    // The blocks above, with the roots that they have there.
    while arrived.tip().height < source.tip().height {
        let next = linear(&arrived);
        arrived.commit(&next, Durability::Buffered).unwrap();
    }
    assert_eq!(arrived.tip(), source.tip());
    arrived.undo().unwrap();
    arrived.audit().unwrap();
    let below = HEIGHT.saturating_sub(1);
    assert_eq!(arrived.block_at(below), Ok(None));
    let refused = arrived.finality_proof(below);
    assert!(
        matches!(refused, Err(StateError::Pruned { .. })),
        "{refused:?}"
    );
}

#[test]
fn another_block_begins_anew_and_half_a_state_is_no_store() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(theirs.path());
    let target = source.header_at(HEIGHT.next()).unwrap().unwrap();
    assert!(
        StagedStore::open(ours.path(), &StoreSettings::default())
            .unwrap()
            .is_none()
    );
    fetch(&source, &staged(ours.path(), &target), 2);
    let half = Store::open(ours.path(), &genesis("staged"), genesis_writes());
    assert!(half.is_err(), "{half:?}");
    let later = source.header_at(HEIGHT.next().next()).unwrap().unwrap();
    let anew = staged(ours.path(), &later);
    let wanted = anew.wanted(9, &BTreeSet::new()).unwrap();
    assert_eq!(wanted.len(), 1);
    assert_eq!(wanted[0].1, later.parent_state_root);
    assert_eq!(anew.target(), &later);
}

/// A value that the disk changed after it was checked is noticed before the state is used.
#[test]
fn a_root_that_differs_at_the_end_is_refused() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(theirs.path());
    let target = source.header_at(HEIGHT.next()).unwrap().unwrap();
    let staged = staged(ours.path(), &target);
    let wanted = staged.wanted(1, &BTreeSet::new()).unwrap();
    let (path, hash) = wanted[0];
    let piece = source.subtree(HEIGHT, &path).unwrap().unwrap();
    let mut checked = piece.check(&path, &hash).unwrap();
    checked.values[0].2.push(1);
    staged.enter(&path, &checked).unwrap();
    let refused = staged.finish(&parent(&source));
    assert!(
        matches!(refused, Err(StateError::RootMismatch { .. })),
        "{refused:?}"
    );
}
