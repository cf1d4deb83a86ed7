//! What peers may send: garbage, cut and changed blocks, foreign messages. Nothing of it fails a call that the host takes
//! for the chain's failure, and nothing is changed.

use gridproof_avalanche::message::PREFIX;
use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::vm::{
    AppFailure, AppGossip, AppRequest, AppResponse, BatchParse, BatchParsed, Connected,
    Disconnected, ParseBlock, ParsedBlock, VerifiedBlock, Verify,
};

use crate::blocks::{json, recent, submit};
use crate::host::Host;

async fn parses(host: &Host, bytes: Vec<u8>) -> bool {
    let question = ParseBlock { bytes };
    host.call::<_, ParsedBlock>("/vm.VM/ParseBlock", question)
        .await
        .is_ok()
}

async fn verifies(host: &Host, bytes: Vec<u8>) -> bool {
    let question = Verify {
        bytes,
        p_chain_height: Some(7),
    };
    host.call::<_, VerifiedBlock>("/vm.VM/BlockVerify", question)
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_blocks_are_refused_and_change_nothing() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    submit(&host, &genesis, 0).await;
    let block = host.build().await;
    let length = block.bytes.len();
    for at in (0..length).step_by(7) {
        let mut changed = block.bytes.clone();
        changed[at] ^= 0x10;
        assert!(!parses(&host, changed.clone()).await, "byte {at}");
        assert!(!verifies(&host, changed).await, "byte {at}");
    }
    for cut in [0, 1, 8, length / 2, length - 1] {
        assert!(!parses(&host, block.bytes[..cut].to_vec()).await);
    }
    let mut long = block.bytes.clone();
    long.resize(3 << 20, 0);
    assert!(!parses(&host, long).await);
    let request = vec![block.bytes.clone(), vec![1, 2, 3]];
    let parsed = host.call::<_, BatchParsed>("/vm.VM/BatchedParseBlock", BatchParse { request });
    assert!(parsed.await.is_err(), "as a whole");
    assert!(parses(&host, block.bytes.clone()).await);
    host.verify(&block).await.unwrap();
    host.accept(&block).await.unwrap();
    assert_eq!(json(&host, "v1/status").await["height"], 1);
    host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_of_a_peer_fails_a_call() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let host = Host::normal(&genesis, folder.path(), 1).await;
    let mut garbage: Vec<Vec<u8>> =
        vec![Vec::new(), vec![PREFIX], vec![2, 1, 2], vec![0xff; 4_096]];
    garbage.push([&[PREFIX][..], &[0xff; 64]].concat());
    garbage.push([&[PREFIX, 0, 0][..], &u32::MAX.to_le_bytes()].concat());
    for kind in 0..8 {
        garbage.push([&[PREFIX, kind][..], &[0; 200]].concat());
    }
    for node_id in [vec![9; 20], vec![9; 3], Vec::new()] {
        let connected = Connected {
            node_id: node_id.clone(),
            ..Connected::default()
        };
        let _: Empty = host.call("/vm.VM/Connected", connected).await.unwrap();
        for bytes in &garbage {
            let node_id = node_id.clone();
            let gossip = AppGossip {
                node_id: node_id.clone(),
                msg: bytes.clone(),
            };
            let _: Empty = host.call("/vm.VM/AppGossip", gossip).await.unwrap();
            let request = AppRequest {
                node_id: node_id.clone(),
                request_id: 1,
                deadline: None,
                request: bytes.clone(),
            };
            let _: Empty = host.call("/vm.VM/AppRequest", request).await.unwrap();
            let response = AppResponse {
                node_id: node_id.clone(),
                request_id: 1,
                response: bytes.clone(),
            };
            let _: Empty = host.call("/vm.VM/AppResponse", response).await.unwrap();
            let failure = AppFailure {
                node_id,
                request_id: 1,
                error_code: -1,
                error_message: "timeout".to_owned(),
            };
            let _: Empty = host.call("/vm.VM/AppRequestFailed", failure).await.unwrap();
        }
        let _: Empty = host
            .call("/vm.VM/Disconnected", Disconnected { node_id })
            .await
            .unwrap();
    }
    assert_eq!(json(&host, "v1/status").await["height"], 0);
    submit(&host, &genesis, 0).await;
    assert_eq!(host.next().await.height, 1);
    host.shutdown().await;
}
