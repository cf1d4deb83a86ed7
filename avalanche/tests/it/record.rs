//! Power cuts: the host's database may lose its newest writes, and our store may not. The plugin never comes back ahead
//! of what is left of the host's record.

use gridproof_avalanche::wire::vm::HostState;

use crate::blocks::{json, recent, submit};
use crate::host::{Host, Routes};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_ahead_of_the_hosts_record_is_taken_back_to_it() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    let mut blocks = Vec::new();
    for nonce in 0..4 {
        submit(&host, &genesis, nonce).await;
        blocks.push(host.next().await);
    }
    let mut services = host.shutdown().await;
    assert_eq!(
        services.writes.lock().unwrap().len(),
        4,
        "one record for each accepted block"
    );
    for left in [3, 1, 0] {
        services.writes.lock().unwrap().truncate(left);
        let host = Host::of(1, Routes::default(), services).await;
        let last = host
            .initialize(&genesis, folder.path(), None)
            .await
            .unwrap();
        assert_eq!(usize::try_from(last.height).unwrap(), left);
        services = host.shutdown().await;
    }
    // The host fetches the blocks again: they lead to the same chain.
    let host = Host::of(1, Routes::default(), services).await;
    host.initialize(&genesis, folder.path(), None)
        .await
        .unwrap();
    host.set_state(HostState::Bootstrapping).await;
    for block in &blocks {
        host.verify(block).await.unwrap();
        host.accept(block).await.unwrap();
    }
    host.set_state(HostState::NormalOp).await;
    assert_eq!(json(&host, "v1/status").await["height"], 4);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_the_hosts_record_starts_where_it_is() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    submit(&host, &genesis, 0).await;
    host.next().await;
    let services = host.shutdown().await;
    let empty = tempfile::tempdir().unwrap();
    let host = Host::of(1, Routes::default(), services).await;
    let last = host.initialize(&genesis, empty.path(), None).await.unwrap();
    assert_eq!(last.height, 0);
    host.shutdown().await;
}
