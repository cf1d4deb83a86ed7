//! One node without sybil protection: the whole life of a job, the node's end and its return.

use std::sync::atomic::Ordering;

use crate::network::{Network, gridproof, run, text};

#[test]
fn a_job_settles_behind_the_nodes_own_port() {
    let mut net = Network::up(1, 5);
    let url = net.url(0).to_owned();
    let chain = net.state["chain"].as_str().unwrap().to_owned();
    let node = net.state["nodes"][0]["uri"].as_str().unwrap().to_owned();
    let (host, plugins) = (std::env::var("AVALANCHEGO").unwrap(), net.path("plugins"));
    let doctor = [
        "avalanche",
        "doctor",
        "--avalanchego",
        &host,
        "--plugin-dir",
        text(&plugins),
        "--node",
        &node,
        "--chain",
        &chain,
    ];
    let checks = gridproof(&doctor);
    for check in checks["checks"].as_array().unwrap() {
        assert_ne!(check["outcome"], "wrong", "{check}");
    }
    net.job("first", &url);

    // An orderly stop, then a power cut: each time the chain goes on from the same block.
    for command in ["stop", "kill"] {
        let (height, before) = (net.height(0).unwrap(), net.send(&url));
        let id = net.block(0, height).unwrap();
        net.harness(&[command]);
        let (code, wrong) = run(&doctor);
        assert_eq!(
            (code, &wrong["error"]["code"]),
            (3, &"doctor".into()),
            "{wrong}"
        );
        net.state = net.harness(&["start"]);
        net.wait("the node's answer", 30, |net| net.height(0).is_some());
        assert_eq!(net.block(0, height), Some(id), "after {command}");
        assert!(net.sent(0) > 0, "{before}");
    }
    net.job("second", &url);
}

/// Kills come while blocks are accepted, at whatever step that is: four clients send all the time, and each round waits for another
/// number of transfers. `killed_at_each_step_of_an_accept_it_goes_on_with_the_same_chain` goes through the steps one by one.
#[test]
fn what_was_final_stays_final_when_node_or_plugin_is_killed_under_load() {
    let mut net = Network::up(1, 0);
    let url = net.url(0).to_owned();
    let mut confirmed = 0;
    for round in 0..8 {
        let (height, first) = (net.height(0).unwrap(), net.sent(0));
        let id = net.block(0, height);
        let mut last = (height, id);
        let sent = net.send_until(&url, |sent| {
            net.wait("transfers", 60, |_| sent.load(Ordering::SeqCst) > 9 + round);
            let height = net.height(0).unwrap();
            last = (height, net.block(0, height));
            let what = if round % 2 == 0 {
                "kill"
            } else {
                "kill-plugin"
            };
            net.harness(&[what, "--node", "0"]);
        });
        confirmed += u128::from(sent);
        if round % 2 == 1 {
            net.harness(&["stop", "--node", "0"]);
        }
        net.state = net.harness(&["start", "--node", "0"]);
        net.wait("the node's answer", 30, |net| net.height(0).is_some());
        let (height, id) = last;
        assert!(id.is_some() && net.block(0, height) == id, "round {round}");
        let now = net.sent(0);
        assert!(
            now >= first + u128::from(sent),
            "round {round}: {sent} after {first}, now {now}"
        );
    }
    net.send(&url);
    assert!(net.sent(0) > confirmed, "{confirmed} were final");
}
