//! One node without sybil protection: the whole life of a job, the node's end and its return.

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
        let balance = gridproof(&[
            "wallet",
            "balance",
            "--address",
            &"11".repeat(20),
            "--rpc",
            &url,
        ]);
        assert!(
            balance["balance"]
                .as_str()
                .is_some_and(|amount| amount != "0"),
            "{before}: {balance}"
        );
    }
    net.job("second", &url);
}
