//! Several nodes: transactions spread, every validator proposes, and a quorum's votes make certificates.

use std::time::Duration;

use gridproof_avalanche::wire::vm::HostState;
use light::Light;
use types::codec::decode;
use types::genesis::Genesis;
use types::proof::ValueProof;
use types::state_key::StateKey;
use types::testing::numbered::{CUSTOMER, key};

use crate::blocks::{json, recent, submit};
use crate::host::{Host, Routes, Services};

/// Nodes of a network, all connected, each with a validator's key.
pub async fn nodes(genesis: &Genesis, folders: &[tempfile::TempDir]) -> Vec<Host> {
    let routes = Routes::default();
    let mut hosts = Vec::new();
    for (number, folder) in (1..).zip(folders) {
        let host = Host::of(number, routes.clone(), Services::default()).await;
        host.initialize(genesis, folder.path(), Some(number))
            .await
            .unwrap();
        host.set_state(HostState::NormalOp).await;
        hosts.push(host);
    }
    for host in &hosts {
        for other in hosts.iter().filter(|other| other.node_id != host.node_id) {
            host.connect(&other.node_id).await;
        }
    }
    hosts
}

/// Has one node build a block, and all decide it.
pub async fn decide(hosts: &[Host], builder: usize) {
    hosts[builder].wanted().await;
    let block = hosts[builder].build().await;
    for host in hosts {
        host.verify(&block).await.unwrap();
        host.prefer(&block).await;
    }
    for host in hosts {
        host.accept(&block).await.unwrap();
    }
}

/// Asks until the answer is right, for a minute at most.
async fn until<F: Future<Output = bool>>(mut asked: impl FnMut() -> F) {
    let all = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !asked().await {
            ticks.tick().await;
        }
    };
    let limit = Duration::from_mins(1);
    tokio::time::timeout(limit, all)
        .await
        .expect("it comes true within a minute");
}

pub fn folders(count: usize) -> Vec<tempfile::TempDir> {
    (0..count).map(|_| tempfile::tempdir().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_given_to_one_node_is_proposed_by_another_and_proven_by_all() {
    let (genesis, folders) = (recent(4), folders(4));
    let hosts = nodes(&genesis, &folders).await;
    submit(&hosts[0], &genesis, 0).await;
    decide(&hosts, 3).await;
    decide(&hosts, 2).await;
    let customer = key(CUSTOMER).public().address();
    let light = Light::new(&genesis).unwrap();
    for host in &hosts {
        assert_eq!(json(host, "v1/status").await["height"], 2);
        // The votes are on their way; height 2 shows the state after height 1.
        let path = format!("v1/proofs/account/{customer}");
        until(async || {
            let answer = host.http("GET", &path, Vec::new()).await;
            if answer.code != 200 {
                return false;
            }
            let proof: ValueProof = decode(&answer.body, 1 << 20).unwrap();
            let proven = light
                .verify_value(&proof, &StateKey::Account(customer))
                .unwrap();
            proven.height.0 == 1
        })
        .await;
    }
    for host in hosts {
        host.shutdown().await;
    }
}
