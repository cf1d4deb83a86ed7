//! A node whose plugin is killed at each step of a state sync, and whose host loses its record. There is always one store, it
//! is never ahead of the host's record, and the node comes to the same chain.

use std::path::{Path, PathBuf};

use gridproof_avalanche::wire::Empty;
use gridproof_avalanche::wire::vm::{EventFound, HostState, LastAccepted, Summary};
use types::genesis::Genesis;

use crate::host::{Host, KillAt, Routes, Services};
use crate::sync::{
    JOINING, accept, block, finished, goes_on, large, newest, ongoing, source, until,
};

/// A network with a node that joins and dies.
struct Joining {
    genesis: Genesis,
    routes: Routes,
    folder: tempfile::TempDir,
    source: Host,
    summary: Summary,
    services: Services,
}

impl Joining {
    async fn new(theirs: &Path) -> Self {
        let (genesis, routes) = (large(), Routes::default());
        let source = source(&genesis, theirs, &routes).await;
        Self {
            summary: newest(&source).await,
            folder: tempfile::tempdir().unwrap(),
            services: Services::default(),
            genesis,
            routes,
            source,
        }
    }

    /// Starts its plugin, which says that this is its height.
    async fn start(&self, height: u64) -> Host {
        let host = Host::process_of(2, self.routes.clone(), self.services.clone()).await;
        let folder = self.folder.path();
        let started = host.initialize_with(&self.genesis, folder, None, JOINING);
        let last: LastAccepted = started.await.unwrap();
        assert_eq!(last.height, height);
        for left in ["staged", "replaced"] {
            let is_left = self.own(left).exists();
            assert!(!is_left || height == 0, "{left} is still there");
        }
        host
    }

    /// Starts its plugin, which says whether a sync has begun, and begins one or goes on.
    async fn sync(&self, has_begun: bool) -> Host {
        let host = self.start(0).await;
        host.set_state(HostState::StateSyncing).await;
        host.connect(&self.source.node_id).await;
        let begun = has_begun.then(|| self.summary.clone());
        assert_eq!(ongoing(&host).await, begun);
        host
    }

    fn own(&self, name: &str) -> PathBuf {
        self.folder.path().join("gridproof").join(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_of_a_sync_it_comes_to_the_same_chain() {
    let theirs = tempfile::tempdir().unwrap();
    let mut net = Joining::new(theirs.path()).await;
    println!("while pieces come");
    for pieces in [3, 4] {
        *net.services.passed_on.lock().unwrap() = Some(pieces);
        let asked = net.services.requests.lock().unwrap().len();
        let host = net.sync(asked > 0).await;
        assert_eq!(accept(&host, &net.summary.bytes).await, 2);
        let requests = net.services.requests.clone();
        until(|| requests.lock().unwrap().len() > asked + pieces).await;
        net.services = host.kill().await;
    }
    *net.services.passed_on.lock().unwrap() = None;
    println!("before and after the host has it on record");
    for step in [KillAt::BeforeRecord, KillAt::AfterRecord] {
        let host = net.sync(true).await;
        *net.services.kill.lock().unwrap() = Some((step, host.process()));
        assert_eq!(accept(&host, &net.summary.bytes).await, 2);
        let found: Result<EventFound, _> = host.call("/vm.VM/WaitForEvent", Empty {}).await;
        assert!(found.is_err(), "it dies in it");
        net.services = host.kill().await;
        assert!(net.own("staged").exists(), "{step:?}");
    }
    println!("between the two renames, and before the old store is removed");
    std::fs::rename(net.own("db"), net.own("replaced")).unwrap();
    net.services = net.start(9).await.kill().await;
    std::fs::create_dir(net.own("replaced")).unwrap();
    let host = net.start(9).await;
    goes_on(&host, &net.source, &net.summary).await;
    host.kill().await;
    net.source.shutdown().await;
}

/// The host has lost the outer block that the synced state rests on: the node begins again, and executes blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_synced_store_ahead_of_the_hosts_record_is_removed() {
    let theirs = tempfile::tempdir().unwrap();
    let mut net = Joining::new(theirs.path()).await;
    let host = net.sync(false).await;
    assert_eq!(accept(&host, &net.summary.bytes).await, 2);
    finished(&host).await;
    goes_on(&host, &net.source, &net.summary).await;
    net.services = host.kill().await;
    // What is above the synced state can be taken back.
    net.services.writes.lock().unwrap().truncate(2);
    net.services = net.start(10).await.kill().await;
    net.services.writes.lock().unwrap().clear();
    let host = net.start(0).await;
    host.set_state(HostState::Bootstrapping).await;
    for height in 1..=11 {
        let block = block(&net.source, height).await;
        host.verify(&block).await.unwrap();
        host.accept(&block).await.unwrap();
    }
    host.kill().await;
    net.source.shutdown().await;
}
