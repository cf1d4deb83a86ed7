//! The plugin as a process that is killed at each step of accepting a block. After each start it is never ahead of the
//! host's record, and the chain goes on with the same blocks.

use std::path::Path;

use gridproof_avalanche::plugin;
use gridproof_avalanche::record::AcceptedRecord;
use gridproof_avalanche::wire::vm::{BuiltBlock, HostState, LastAccepted};
use types::codec::decode;
use types::genesis::Genesis;

use crate::blocks::{json, recent, submit};
use crate::host::{Host, KillAt, Services};

/// Not a test but the plugin's process: this program, started again by [`Host::with_process`]. It ends at the first panic,
/// also at one that is contained.
#[tokio::test(flavor = "multi_thread")]
async fn plugin_process() {
    if let Ok(engine) = std::env::var(gridproof_avalanche::ENGINE_ADDRESS) {
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            std::process::abort();
        }));
        plugin::run(&engine, 45).await.unwrap();
    }
}

/// Starts the plugin again, and gives it the accepted blocks that it lacks, as the host does.
async fn start(
    genesis: &Genesis,
    folder: &Path,
    services: Services,
    accepted: &[BuiltBlock],
) -> Host {
    let host = Host::with_process(services).await;
    let last: LastAccepted = host.initialize(genesis, folder, Some(1)).await.unwrap();
    let writes = host.services.writes.lock().unwrap().last().cloned();
    let record = writes.map_or(0, |(_, value)| {
        let record: AcceptedRecord = decode(&value, 64).unwrap();
        record.height.0
    });
    assert_eq!(last.height, record, "the record names what is here");
    let known = usize::try_from(last.height).unwrap();
    if let Some(newest) = known.checked_sub(1) {
        assert_eq!(last.id, accepted[newest].id);
    }
    host.set_state(HostState::Bootstrapping).await;
    for block in &accepted[known..] {
        host.verify(block).await.unwrap();
        host.accept(block).await.unwrap();
    }
    host.set_state(HostState::NormalOp).await;
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_step_of_an_accept_it_goes_on_with_the_same_chain() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), recent(1));
    let mut services = Services::default();
    let mut accepted: Vec<BuiltBlock> = Vec::new();
    let (mut nonce, mut is_shown_next) = (0, false);
    let steps = [
        None,
        Some(KillAt::BeforeRecord),
        Some(KillAt::AfterRecord),
        None,
        Some(KillAt::BeforeRecord),
        Some(KillAt::BeforeRecord),
        Some(KillAt::AfterRecord),
    ];
    for step in steps {
        let host = start(&genesis, folder.path(), services, &accepted).await;
        // The block that shows the state of the one before.
        if std::mem::take(&mut is_shown_next) {
            accepted.push(host.next().await);
        }
        submit(&host, &genesis, nonce).await;
        host.wanted().await;
        let block = host.build().await;
        host.verify(&block).await.unwrap();
        // Without a step it is killed before the block is accepted, and the block and its transaction are gone.
        if let Some(step) = step {
            *host.services.kill.lock().unwrap() = Some((step, host.process()));
            let refused = host.accept(&block).await;
            assert!(refused.is_err(), "the plugin dies in it: {step:?}");
            accepted.push(block);
            nonce += 1;
            is_shown_next = true;
        }
        services = host.kill().await;
    }
    let host = start(&genesis, folder.path(), services, &accepted).await;
    let expected = u64::try_from(accepted.len()).unwrap();
    assert_eq!(json(&host, "v1/status").await["height"], expected);
    host.kill().await;
}
