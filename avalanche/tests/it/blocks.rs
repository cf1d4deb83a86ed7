//! A block's life under the host: built, parsed, verified, accepted or rejected, found again.

use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::metrics::GatheredMetrics;
use gridproof_avalanche::wire::vm::{
    AncestorsFound, AncestorsWanted, BatchParse, BatchParsed, FoundBlock, GetBlock, HealthReport,
    HostState, IdAtHeight, IdFound, LastAccepted, ParseBlock, ParsedBlock, PluginVersion,
    WireError,
};
use types::codec::encode;
use types::genesis::Genesis;
use types::number::Timestamp;
use types::testing::numbered::{CUSTOMER, genesis, transfer};

use crate::host::Host;

/// A genesis of `members` validators whose time is as recent as the host wants it.
pub fn recent(members: u8) -> Genesis {
    Genesis {
        time: now(),
        ..genesis(members)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chain's genesis has a recent time"
)]
fn now() -> Timestamp {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

/// Submits the customer's transfer of this nonce.
pub async fn submit(host: &Host, genesis: &Genesis, nonce: u64) {
    let body = encode(&transfer(genesis, CUSTOMER, nonce));
    let answer = host.http("POST", "v1/transactions", body).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.code, 202, "{text}");
}

/// A JSON answer of the API.
pub async fn json(host: &Host, path: &str) -> serde_json::Value {
    let answer = host.http("GET", path, Vec::new()).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.code, 200, "{path}: {text}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_chain_a_plugin_has_a_version_and_an_end() {
    let host = Host::start().await;
    assert_eq!(host.announcement.protocol_version, 45);
    let version: PluginVersion = host.call("/vm.VM/Version", Empty {}).await.unwrap();
    assert_eq!(version.version, env!("CARGO_PKG_VERSION"));
    let health = host
        .call::<_, HealthReport>("/vm.VM/Health", Empty {})
        .await;
    assert!(health.is_err());
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_becomes_a_block_that_is_accepted_and_found() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::start().await;
    let last = host
        .initialize(&genesis, folder.path(), Some(1))
        .await
        .unwrap();
    assert_eq!(last.id, genesis.header().id().0.0);
    assert_eq!((last.height, last.parent_id.len()), (0, 32));
    let again = host.initialize(&genesis, folder.path(), None).await;
    assert!(again.is_err(), "once is enough");
    let question = ParseBlock {
        bytes: last.bytes.clone(),
    };
    let parsed: ParsedBlock = host.call("/vm.VM/ParseBlock", question).await.unwrap();
    assert_eq!((parsed.id, parsed.height), (last.id.clone(), 0));
    host.set_state(HostState::Bootstrapping).await;
    assert!(!host.wants_soon().await);
    host.set_state(HostState::NormalOp).await;
    let last = host.next().await;
    assert_eq!(last.height, 1, "the block that shows the state of genesis");
    assert!(!host.wants_soon().await, "an idle subnet makes no blocks");

    submit(&host, &genesis, 0).await;
    host.wanted().await;
    let block = host.build().await;
    assert_eq!((block.height, &block.parent_id), (2, &last.id));
    let question = GetBlock {
        id: block.id.clone(),
    };
    let missing: FoundBlock = host
        .call("/vm.VM/GetBlock", question.clone())
        .await
        .unwrap();
    assert_eq!(missing.err, i32::from(WireError::NotFound));
    host.verify(&block).await.unwrap();
    host.verify(&block).await.unwrap();
    let found: FoundBlock = host
        .call("/vm.VM/GetBlock", question.clone())
        .await
        .unwrap();
    assert_eq!(found.bytes, block.bytes);
    host.prefer(&block).await;
    host.accept(&block).await.unwrap();
    let found: FoundBlock = host.call("/vm.VM/GetBlock", question).await.unwrap();
    assert_eq!(
        (found.bytes, found.parent_id),
        (block.bytes.clone(), last.id.clone())
    );
    let question = IdAtHeight { height: 2 };
    let id: IdFound = host
        .call("/vm.VM/GetBlockIDAtHeight", question)
        .await
        .unwrap();
    assert_eq!(id.blk_id, block.id);
    let question = IdAtHeight { height: 3 };
    let none: IdFound = host
        .call("/vm.VM/GetBlockIDAtHeight", question)
        .await
        .unwrap();
    assert_eq!(none.err, i32::from(WireError::NotFound));

    // The state after a block is shown by the next one; after that nothing is to be done.
    let next = host.next().await;
    assert_eq!(next.height, 3);
    assert!(!host.wants_soon().await);
    let status = json(&host, "v1/status").await;
    assert_eq!(
        (&status["height"], &status["catching_up"]),
        (&3.into(), &false.into())
    );
    let last: LastAccepted = host.set_state(HostState::NormalOp).await;
    assert_eq!((last.height, last.id), (3, next.id));
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_live_side_by_side_until_one_is_accepted() {
    let genesis = recent(2);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let left_host = Host::normal(&genesis, folders[0].path(), 1).await;
    let right_host = Host::normal(&genesis, folders[1].path(), 2).await;
    submit(&left_host, &genesis, 0).await;
    let (left, right) = (left_host.build().await, right_host.build().await);
    assert_ne!(left.id, right.id);
    for block in [&left, &right] {
        left_host.verify(block).await.unwrap();
        right_host.verify(block).await.unwrap();
    }
    // A child of one, and then the other way round.
    left_host.prefer(&left).await;
    let child = left_host.build().await;
    assert_eq!((child.height, &child.parent_id), (2, &left.id));
    left_host.verify(&child).await.unwrap();
    left_host.prefer(&right).await;
    left_host.verify(&left).await.unwrap();
    assert!(left_host.accept(&child).await.is_err(), "out of order");
    for host in [&left_host, &right_host] {
        host.accept(&left).await.unwrap();
        host.reject(&right).await;
        assert!(
            host.verify(&right).await.is_err(),
            "it can never be accepted"
        );
        host.verify(&child).await.unwrap();
        host.accept(&child).await.unwrap();
        assert_eq!(json(host, "v1/status").await["height"], 2);
    }
    left_host.shutdown().await;
    right_host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ancestors_and_batches_keep_order_and_limits() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    let mut blocks = Vec::new();
    for nonce in 0..3 {
        submit(&host, &genesis, nonce).await;
        blocks.push(host.next().await);
    }
    let wanted = |count, size| AncestorsWanted {
        blk_id: blocks[2].id.clone(),
        max_blocks_num: count,
        max_blocks_size: size,
        max_blocks_retrieval_ns: 1_000_000_000,
    };
    let path = "/vm.VM/GetAncestors";
    let all: AncestorsFound = host.call(path, wanted(100, 1 << 20)).await.unwrap();
    assert_eq!(all.blks_bytes.len(), 4, "down to genesis");
    assert_eq!(all.blks_bytes[0], blocks[2].bytes);
    assert_eq!(all.blks_bytes[2], blocks[0].bytes);
    let two: AncestorsFound = host.call(path, wanted(2, 1 << 20)).await.unwrap();
    assert_eq!(two.blks_bytes, all.blks_bytes[..2]);
    let one: AncestorsFound = host.call(path, wanted(100, 10)).await.unwrap();
    assert_eq!(one.blks_bytes, all.blks_bytes[..1]);
    let mut unknown = wanted(100, 1 << 20);
    unknown.blk_id = vec![7; 32];
    let none: AncestorsFound = host.call(path, unknown).await.unwrap();
    assert!(none.blks_bytes.is_empty());
    let request = all.blks_bytes.clone();
    let path = "/vm.VM/BatchedParseBlock";
    let parsed: BatchParsed = host.call(path, BatchParse { request }).await.unwrap();
    let heights: Vec<_> = parsed.response.iter().map(|block| block.height).collect();
    assert_eq!(heights, [3, 2, 1, 0]);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_chain_was() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    submit(&host, &genesis, 0).await;
    let block = host.next().await;
    let services = host.shutdown().await;
    let host = Host::of(1, crate::host::Routes::default(), services).await;
    let last = host
        .initialize(&genesis, folder.path(), None)
        .await
        .unwrap();
    assert_eq!(
        (last.height, last.id, last.bytes),
        (1, block.id, block.bytes)
    );
    host.set_state(HostState::NormalOp).await;
    assert_eq!(
        host.next().await.height,
        2,
        "the block that shows the last state"
    );
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_key_follows() {
    let genesis = recent(1);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let leader = Host::normal(&genesis, folders[0].path(), 1).await;
    let follower = Host::start().await;
    follower
        .initialize(&genesis, folders[1].path(), None)
        .await
        .unwrap();
    let health = follower.call::<_, HealthReport>("/vm.VM/Health", Empty {});
    let refused = health.await.unwrap_err();
    assert!(refused.message().contains("the chain starts"), "{refused}");
    follower.set_state(HostState::NormalOp).await;
    submit(&leader, &genesis, 0).await;
    let block = leader.next().await;
    follower.verify(&block).await.unwrap();
    follower.accept(&block).await.unwrap();
    assert!(!follower.wants_soon().await);
    let built = follower
        .call::<_, gridproof_avalanche::wire::vm::BuiltBlock>(
            "/vm.VM/BuildBlock",
            gridproof_avalanche::wire::vm::BuildBlock::default(),
        )
        .await;
    assert!(built.is_err());
    let health: HealthReport = follower.call("/vm.VM/Health", Empty {}).await.unwrap();
    let details: serde_json::Value = serde_json::from_slice(&health.details).unwrap();
    assert_eq!(
        (&details["height"], &details["phase"]),
        (&1.into(), &"normal".into())
    );
    let metrics: GatheredMetrics = follower.call("/vm.VM/Gather", Empty {}).await.unwrap();
    assert!(!metrics.metric_families.is_empty());
    leader.shutdown().await;
    follower.shutdown().await;
}
