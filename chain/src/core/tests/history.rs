//! What the interface says of blocks and transactions that a node no longer keeps.

use rpc::model::BlockSelector;
use rpc_server::ErrorKind;
use state::Durability;
use store::{KeptHistory, Store, StoreSettings};

use super::*;
use crate::backend::At;

#[test]
fn what_is_pruned_is_said_to_be_pruned_with_the_lowest_height_kept() {
    let mut host = Host::of(1);
    let old = transfer(&host.genesis, 0);
    host.submit(old.clone());
    for _ in 0..90 {
        host.grow();
    }
    let new = transfer(&host.genesis, 1);
    host.submit(new.clone());
    for _ in 90..100 {
        host.grow();
    }
    let history = KeptHistory {
        state: Some(64),
        blocks: Some(70),
        transactions: Some(66),
    };
    let settings = StoreSettings {
        history,
        ..StoreSettings::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let writes = vm::genesis_writes(&host.genesis).unwrap();
    let store = Store::open_with(directory.path(), &host.genesis, writes, settings).unwrap();
    for effect in &host.seen {
        if let Effect::Committed { decision, .. } = effect {
            store.commit(decision, Durability::Buffered).unwrap();
        }
    }
    let (first, at) = (host.store.block_at(Height(1)), At::tip(store));
    assert_eq!(at.height, Height(100));

    let pruned = at.final_block(BlockSelector::Height(Height(29)));
    let pruned = pruned.unwrap_err();
    assert_eq!(
        (pruned.kind, &*pruned.body.code),
        (ErrorKind::Gone, "pruned")
    );
    assert!(pruned.body.message.contains("height 30"), "{pruned}");
    assert!(at.final_block(BlockSelector::Height(Height(30))).is_ok());
    assert!(at.final_block(BlockSelector::Latest).is_ok());
    let by_id = BlockSelector::Id(first.unwrap().unwrap().id());
    for unknown in [by_id, BlockSelector::Height(Height(101))] {
        let unknown = at.final_block(unknown).unwrap_err();
        assert_eq!(unknown.kind, ErrorKind::NotFound);
        assert!(
            unknown.body.hint.contains("blocks from height 30 on"),
            "{}",
            unknown.body.hint
        );
    }

    assert_eq!(at.included(old.id()), Ok(None));
    let unknown = at.unknown_transaction(old.id());
    assert_eq!(unknown.kind, ErrorKind::NotFound);
    assert!(
        unknown.body.hint.contains("transactions from height 34 on"),
        "{}",
        unknown.body.hint
    );
    assert!(at.included(new.id()).unwrap().is_some());
}
