//! Jobs that survive the death of whoever works on them.

use std::path::Path;

use gridproof_testnet::devnet::Role;
use rpc::client::Client;
use rpc::model::JobView;
use types::job::Stage;

use crate::harness::{Net, finish, gridproof, histogram};

/// The newest job as a validator knows it.
fn newest_job(net: &Net, validator: usize) -> Option<JobView> {
    let client = Client::new(net.rpc(validator)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let job = client.jobs(true).await.ok()?.jobs.last()?.id;
        client.job(job).await.ok()
    })
}

fn verify(net: &Net, out: &Path) -> crate::harness::Output {
    let receipt = out.join("receipt.json");
    let genesis = net.devnet.genesis();
    gridproof(&[
        "job",
        "verify",
        "--receipt",
        receipt.to_str().unwrap(),
        "--genesis",
        genesis.to_str().unwrap(),
        "--outputs",
        out.to_str().unwrap(),
    ])
}

#[test]
fn a_job_settles_and_its_result_is_verified_offline() {
    let mut net = Net::up(27_300, 4);
    let spec = histogram(&net.scratch().join("job"), 2, 2);
    let (first, second) = (net.scratch().join("first"), net.scratch().join("second"));
    let child = net.spawn_job(&spec, &first);
    net.wait("the job in a block", 60, |net| newest_job(net, 1).is_some());
    net.kill("validator-2");
    let one = finish(child).success();
    net.restart("validator-2");
    let two = net.run_job(&spec, &second).success();
    assert_eq!(one["unblinded_root"], two["unblinded_root"], "two runs of one job give the same result");
    assert!(one["unblinded_root"].is_string());
    for path in ["0/hist", "1/hist", "0/stdout", "outcomes.bin"] {
        assert_eq!(std::fs::read(first.join(path)).unwrap(), std::fs::read(second.join(path)).unwrap(), "{path}");
    }
    net.devnet.stop();
    verify(&net, &first).success();
    let mut bytes = std::fs::read(first.join("1/hist")).unwrap();
    bytes[0] ^= 1;
    std::fs::write(first.join("1/hist"), bytes).unwrap();
    verify(&net, &first).failure(7);
}

#[test]
fn a_primary_that_dies_is_replaced_and_one_that_comes_back_opens_in_time() {
    let mut net = Net::up(27_400, 4);
    let spec = histogram(&net.scratch().join("job"), 1, 1);
    let out = net.scratch().join("replaced");
    let child = net.spawn_job(&spec, &out);
    let mut primary = None;
    net.wait("a primary", 60, |net| {
        primary = newest_job(net, 0).and_then(|job| match job.record.stage {
            Stage::Assigned { primary, .. } | Stage::Committed { primary, .. } => Some(primary.partner),
            _ => None,
        });
        primary.is_some()
    });
    let dead = net.partner_of(&primary.unwrap().to_string());
    net.kill(&dead);
    finish(child).success();
    net.restart(&dead);

    let out = net.scratch().join("returned");
    let child = net.spawn_job(&spec, &out);
    let mut committed = None;
    net.wait("a sealed claim", 60, |net| {
        committed = newest_job(net, 0).and_then(|job| match job.record.stage {
            Stage::Committed { primary, .. } | Stage::Announced { primary, .. } | Stage::Verifying { primary, .. } => {
                Some(primary.partner)
            }
            _ => None,
        });
        committed.is_some()
    });
    let name = net.partner_of(&committed.unwrap().to_string());
    net.kill(&name);
    net.restart(&name);
    let result = finish(child).success();
    assert_eq!(result["receipt"]["primary"], committed.unwrap().to_string(), "the primary that came back was paid");
    assert_eq!(net.names(Role::Partner).len(), 4);
}
