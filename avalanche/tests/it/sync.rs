//! State sync as the host drives it: a node that joins late takes the state of others, goes on from the summary's block, and
//! is not harmed by nodes that lie, nor by an end in the middle.

use std::path::Path;
use std::time::Duration;

use gridproof_avalanche::grpc::{self, HostConnection};
use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::vm::{
    AcceptSummary, AppRequest, AppResponse, BuiltBlock, EventFound, FoundBlock, GetBlock,
    GetSummary, HostEvent, HostState, IdAtHeight, IdFound, LastAccepted, ParseSummary,
    ParsedSummary, Summary, SummaryAccepted, SummaryAtHeight, SyncEnabled, WireError,
};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use types::block::Block;
use types::genesis::{Genesis, GenesisAccount};
use types::hash::{Address, Domain, Hash32};
use types::signed_block::SignedBlock;
use types::testing::numbered::{CUSTOMER, key};
use types::testing::square;
use types::whole::WholeBlock;

use crate::blocks::{json, recent, submit};
use crate::host::{Host, Routes, Services};

/// A chain whose state takes many pieces.
pub fn large() -> Genesis {
    let mut genesis = recent(1);
    let more = (0..12_000u32).map(|number| {
        let mut address = [0; 20];
        address.copy_from_slice(&Hash32::of(Domain::DRAW, &number).0[..20]);
        GenesisAccount {
            address: Address(address),
            balance: square(1),
        }
    });
    genesis.accounts.extend(more);
    genesis.accounts.sort_by_key(|account| account.address);
    genesis
}

/// The node with the chain: some blocks above the newest summary, whose block changed something.
pub async fn source(genesis: &Genesis, folder: &Path, routes: &Routes) -> Host {
    let host = Host::of(1, routes.clone(), Services::default()).await;
    host.initialize_with(genesis, folder, Some(1), "summary_interval = 3")
        .await
        .unwrap();
    host.set_state(HostState::Bootstrapping).await;
    host.set_state(HostState::NormalOp).await;
    host.next().await;
    for nonce in 0..5 {
        submit(&host, genesis, nonce).await;
        host.next().await;
        host.next().await;
    }
    host
}

/// The configuration of a node that joins.
pub const JOINING: &str = "state_sync = true\nleast_synced_heights = 1";

/// A node that joins, over what is left of its services' database and its folder.
async fn joining(genesis: &Genesis, folder: &Path, routes: &Routes, services: Services) -> Host {
    let host = Host::of(2, routes.clone(), services).await;
    host.initialize_with(genesis, folder, None, JOINING)
        .await
        .unwrap();
    let enabled: SyncEnabled = host
        .call("/vm.VM/StateSyncEnabled", Empty {})
        .await
        .unwrap();
    assert!(enabled.enabled && enabled.err == 0);
    host.set_state(HostState::StateSyncing).await;
    host
}

pub async fn newest(host: &Host) -> Summary {
    let found: Summary = host
        .call("/vm.VM/GetLastStateSummary", Empty {})
        .await
        .unwrap();
    assert_eq!(found.err, 0);
    found
}

pub async fn ongoing(host: &Host) -> Option<Summary> {
    let method = "/vm.VM/GetOngoingSyncStateSummary";
    let found: Summary = host.call(method, Empty {}).await.unwrap();
    (found.err != i32::from(WireError::NotFound)).then_some(found)
}

pub async fn accept(host: &Host, bytes: &[u8]) -> i32 {
    let bytes = bytes.to_vec();
    let accepted: SummaryAccepted = host
        .call("/vm.VM/StateSummaryAccept", AcceptSummary { bytes })
        .await
        .unwrap();
    assert_eq!(accepted.err, 0);
    accepted.mode
}

pub async fn finished(host: &Host) {
    let found: EventFound = host.call("/vm.VM/WaitForEvent", Empty {}).await.unwrap();
    assert_eq!(found.message, i32::from(HostEvent::StateSyncFinished));
}

/// The block of a height, as a node hands it on.
pub async fn block(host: &Host, height: u64) -> BuiltBlock {
    let found: IdFound = host
        .call("/vm.VM/GetBlockIDAtHeight", IdAtHeight { height })
        .await
        .unwrap();
    let id = found.blk_id;
    let question = GetBlock { id: id.clone() };
    let found: FoundBlock = host.call("/vm.VM/GetBlock", question).await.unwrap();
    BuiltBlock {
        id,
        parent_id: found.parent_id,
        bytes: found.bytes,
        height,
        timestamp: found.timestamp,
        verify_with_context: false,
    }
}

/// Bootstraps from the summary's block to the source's newest, and compares the two nodes.
pub async fn goes_on(host: &Host, source: &Host, summary: &Summary) {
    let last = host.set_state(HostState::Bootstrapping).await;
    assert_eq!((last.height, &last.id), (summary.height, &summary.id));
    assert_eq!(last.bytes, block(source, summary.height).await.bytes);
    let tip = json(source, "v1/status").await["height"].as_u64().unwrap();
    for height in summary.height + 1..=tip {
        let block = block(source, height).await;
        host.verify(&block).await.unwrap();
        host.accept(&block).await.unwrap();
    }
    host.set_state(HostState::NormalOp).await;
    let customer = key(CUSTOMER).public().address();
    for path in [
        format!("v1/accounts/{customer}"),
        format!("v1/blocks/{tip}"),
    ] {
        let ours = host.http("GET", &path, Vec::new()).await;
        let theirs = source.http("GET", &path, Vec::new()).await;
        assert_eq!((ours.code, theirs.code), (200, 200), "{path}");
        assert_eq!(ours.body, theirs.body, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_node_takes_the_state_of_others_and_goes_on_from_the_summarys_block() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (genesis, routes) = (large(), Routes::default());
    let source = source(&genesis, theirs.path(), &routes).await;
    let summary = newest(&source).await;
    assert_eq!(summary.height, 9, "of 11 blocks, at a multiple of 3");
    let at = GetSummary { height: 9 };
    let same: SummaryAtHeight = source.call("/vm.VM/GetStateSummary", at).await.unwrap();
    assert_eq!(
        (same.id, same.bytes),
        (summary.id.clone(), summary.bytes.clone())
    );
    for height in [0, 12, u64::MAX] {
        let at = GetSummary { height };
        let none: SummaryAtHeight = source.call("/vm.VM/GetStateSummary", at).await.unwrap();
        assert_eq!(none.err, i32::from(WireError::NotFound));
    }
    let host = joining(&genesis, ours.path(), &routes, Services::default()).await;
    assert!(ongoing(&host).await.is_none());
    let bytes = summary.bytes.clone();
    let parsed: ParsedSummary = host
        .call("/vm.VM/ParseStateSummary", ParseSummary { bytes })
        .await
        .unwrap();
    assert_eq!((parsed.id, parsed.height), (summary.id.clone(), 9));
    host.connect(&source.node_id).await;
    // The host waits already.
    let waiting = host.plugin.clone();
    let waiting = tokio::spawn(async move {
        let found: EventFound = waiting.call("/vm.VM/WaitForEvent", Empty {}).await.unwrap();
        found.message
    });
    assert_eq!(
        accept(&host, &summary.bytes).await,
        2,
        "the host waits for it"
    );
    assert_eq!(
        waiting.await.unwrap(),
        i32::from(HostEvent::StateSyncFinished)
    );
    goes_on(&host, &source, &summary).await;
    assert_eq!(
        json(&host, "v1/status").await["peers"],
        1,
        "still connected"
    );
    // After a restart it is a node like any other.
    let services = host.shutdown().await;
    let host = Host::of(2, routes, services).await;
    let last: LastAccepted = host.initialize(&genesis, ours.path(), None).await.unwrap();
    assert_eq!(last.height, 11);
    host.shutdown().await;
    source.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_sync_goes_on_after_a_restart() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (genesis, routes) = (large(), Routes::default());
    let source = source(&genesis, theirs.path(), &routes).await;
    let summary = newest(&source).await;
    let services = Services::default();
    *services.passed_on.lock().unwrap() = Some(9);
    let host = joining(&genesis, ours.path(), &routes, services).await;
    host.connect(&source.node_id).await;
    assert_eq!(accept(&host, &summary.bytes).await, 2);
    // Those that are lost are asked only once those before are answered, since few are asked of one node.
    let requests = host.services.requests.clone();
    until(|| requests.lock().unwrap().len() >= 11).await;
    let services = host.shutdown().await;
    *services.passed_on.lock().unwrap() = None;
    services.requests.lock().unwrap().clear();
    let host = joining(&genesis, ours.path(), &routes, services).await;
    assert_eq!(ongoing(&host).await.unwrap(), summary);
    host.connect(&source.node_id).await;
    assert_eq!(accept(&host, &summary.bytes).await, 2);
    finished(&host).await;
    let asked = host.services.requests.lock().unwrap().len();
    // The root's node, its sixteen children, two blocks and receipts, less what had come.
    assert!((10..18).contains(&asked), "{asked}");
    goes_on(&host, &source, &summary).await;
    host.shutdown().await;
    source.shutdown().await;
}

pub async fn until(mut is_true: impl FnMut() -> bool) {
    let all = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !is_true() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all)
        .await
        .expect("within a minute");
}

/// A node that answers every request with bytes of its own.
async fn liar(number: u8, routes: &Routes, lie: Vec<u8>) {
    let node_id = vec![number; 20];
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let (own, known) = (node_id.clone(), routes.clone());
    let service = tower::service_fn(move |request| {
        let (own, known, lie) = (own.clone(), known.clone(), lie.clone());
        grpc::answer(request, async move |asked: AppRequest| {
            let asker = known.lock().unwrap().get(&asked.node_id).cloned().unwrap();
            let answer = AppResponse {
                node_id: own,
                request_id: asked.request_id,
                response: lie,
            };
            tokio::spawn(async move {
                let _: Empty = asker.call("/vm.VM/AppResponse", answer).await.unwrap();
            });
            Ok(Empty {})
        })
    });
    tokio::spawn(async move {
        let incoming = TcpIncoming::from(socket);
        Server::builder()
            .serve_with_incoming(service, incoming)
            .await
            .unwrap();
    });
    let limit = Duration::from_secs(10);
    let connection = HostConnection::dial(&address, limit).await.unwrap();
    routes.lock().unwrap().insert(node_id, connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_lie_are_asked_once_and_change_nothing() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (genesis, routes) = (large(), Routes::default());
    let source = source(&genesis, theirs.path(), &routes).await;
    let summary = newest(&source).await;
    // Nothing, noise, a block that is not asked for, values of another state, too much.
    let lies = [
        Vec::new(),
        vec![0xa5; 400],
        block(&source, 2).await.bytes,
        vec![0, 0, 0, 0, 0],
        vec![0; 2 << 20],
    ];
    let host = joining(&genesis, ours.path(), &routes, Services::default()).await;
    for (number, lie) in (10..).zip(lies) {
        liar(number, &routes, lie).await;
        host.connect(&[number; 20]).await;
    }
    host.connect(&source.node_id).await;
    assert_eq!(accept(&host, &summary.bytes).await, 2);
    finished(&host).await;
    goes_on(&host, &source, &summary).await;
    host.shutdown().await;
    source.shutdown().await;
}

/// The host's nodes agree on a block that breaks a rule: more of them than Snowman bears are faulty. Nothing of it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_of_an_invalid_block_ends_the_sync_and_blocks_are_executed() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (genesis, routes) = (large(), Routes::default());
    let source = source(&genesis, theirs.path(), &routes).await;
    let right = SignedBlock::from_bytes(&block(&source, 9).await.bytes).unwrap();
    let Block { mut header, body } = right.block().block().as_ref().clone();
    header.parent_gas_used.0 += 1;
    let summary = gridproof_avalanche::sync::summary_bytes(&header);
    let forged = WholeBlock::new(Block { header, body }).unwrap();
    let forged = SignedBlock::sign(forged, &key(1)).to_bytes();
    liar(10, &routes, forged).await;
    let host = joining(&genesis, ours.path(), &routes, Services::default()).await;
    host.connect(&[10; 20]).await;
    let requests = host.services.requests.clone();
    assert_eq!(accept(&host, &summary).await, 2);
    // It is asked for the block and its parent, and gives the block; who is honest has another one there.
    until(|| requests.lock().unwrap().len() >= 2).await;
    host.connect(&source.node_id).await;
    finished(&host).await;
    assert!(ongoing(&host).await.is_none(), "nothing of it is kept");
    let last = host.set_state(HostState::Bootstrapping).await;
    assert_eq!(
        (last.height, last.id),
        (0, genesis.header().id().0.0.to_vec())
    );
    for height in 1..=11 {
        let block = block(&source, height).await;
        host.verify(&block).await.unwrap();
        host.accept(&block).await.unwrap();
    }
    host.shutdown().await;
    source.shutdown().await;
}

/// What the host does not agree on, or peers make up, is skipped or refused without an error that reaches the host.
#[tokio::test(flavor = "multi_thread")]
async fn summaries_that_are_none_or_save_nothing_are_skipped() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = source(&genesis, folder.path(), &Routes::default()).await;
    let summary = newest(&host).await;
    assert_eq!(accept(&host, &summary.bytes).await, 1, "not enabled");
    for bytes in [Vec::new(), vec![7; 100], vec![7; 4 << 20]] {
        let question = ParseSummary {
            bytes: bytes.clone(),
        };
        let none: ParsedSummary = host
            .call("/vm.VM/ParseStateSummary", question)
            .await
            .unwrap();
        assert_eq!(none.err, i32::from(WireError::NotFound));
        assert_eq!(accept(&host, &bytes).await, 1);
    }
    submit(&host, &genesis, 5).await;
    host.next().await;
    host.shutdown().await;
}
