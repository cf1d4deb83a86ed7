//! Five nodes that validate the subnet, and two that join late: by executing every block, and by the state of others.

use crate::network::{Network, text};

#[test]
fn five_nodes_are_one_chain_whatever_happens_to_some() {
    let mut net = Network::up(5, 5);
    // Every node takes a transaction, and every node has it.
    for node in 0..5 {
        net.send(net.url(node));
    }
    for node in 1..5 {
        net.catches_up(node, 0);
    }
    net.job("first", &net.urls());

    eprintln!("the subnet's validators sign the receipt's state, and no other");
    warp(&net);

    eprintln!("a node is killed, the chain goes on, the node comes back");
    net.harness(&["kill", "--node", "2"]);
    let before = net.height(0).unwrap();
    net.send(net.url(0));
    assert!(net.height(0).unwrap() > before);
    net.harness(&["start", "--node", "2"]);
    net.catches_up(2, 0);

    // Without its plugin a node stays connected and answers no question about the chain. Until the others bench it, most of
    // their polls fail, so nothing is said here about how fast the chain goes on meanwhile.
    eprintln!("a plugin is killed: its node is restarted by its operator");
    let killed = net.harness(&["kill-plugin", "--node", "1"]);
    assert_eq!(killed["killed"].as_array().unwrap().len(), 1, "{killed}");
    net.wait("an unhealthy node", 30, |net| !net.health(1).0);
    net.harness(&["stop", "--node", "1"]);
    net.harness(&["start", "--node", "1"]);
    net.send(net.url(1));
    net.catches_up(1, 0);

    stall(&mut net);

    eprintln!("a node joins late, and executes every block");
    net.state = net.harness(&["add"]);
    net.catches_up(5, 0);
    assert!(net.block(5, 1).is_some(), "from the first one on");

    eprintln!("a node joins late, and takes the state of others");
    let config = "state_sync = true\nsummary_interval = 8\nleast_synced_heights = 8\n";
    let config = net.write("syncs.toml", config);
    net.state = net.harness(&["add", "--config", text(&config)]);
    net.catches_up(6, 0);
    assert_eq!(net.block(6, 1), None, "it began above");
    // It is told of what comes then, and serves what it has.
    net.send(net.url(6));
    net.catches_up(6, 0);

    eprintln!("all nodes are killed at once, and start again");
    let (height, id) = (net.height(0).unwrap(), net.block(0, net.height(0).unwrap()));
    net.harness(&["kill"]);
    net.state = net.harness(&["start"]);
    for node in 0..7 {
        net.wait("an answer", 60, |net| net.height(node) >= Some(height));
        assert_eq!(net.block(node, height), id, "node {node}");
    }
    net.send(net.url(3));

    eprintln!("the subnet becomes an L1");
    net.state = net.harness(&["convert"]);
    net.send(net.url(4));
    for node in 1..7 {
        net.catches_up(node, 0);
    }
    net.job("last", &net.urls());
    let signed = net.signed("last", 4);
    assert_eq!(signed["total_weight"], 5 * WEIGHT, "{signed}");
}

/// The weight of each validator.
const WEIGHT: u64 = 49_463;

/// Without three of five nothing is decided: the host says so of the chain, with the reason, until they are back.
fn stall(net: &mut Network) {
    eprintln!("three nodes are killed, and the chain is known to stand still");
    net.wait("a healthy node", 60, |net| net.health(0).0);
    net.harness(&["kill", "--node", "2,3,4"]);
    net.send_during(0, |net| {
        let stands = |checks: &str| {
            ["has not decided", "asks for no block", "certifies no block"]
                .iter()
                .any(|words| checks.contains(words))
        };
        net.wait("words on a chain that stands still", 90, |net| {
            let (healthy, checks) = net.health(0);
            !healthy && stands(&checks)
        });
        net.state = net.harness(&["start", "--node", "2,3,4"]);
    });
    net.wait("a healthy node again", 60, |net| net.health(0).0);
    for node in 1..5 {
        net.catches_up(node, 0);
    }
}

/// What the subnet signed is a message of Avalanche; another root gets no signature of any of the five.
fn warp(net: &Network) {
    let signed = net.signed("first", 3);
    let signers = signed["signers"].as_u64().unwrap();
    assert!(signers >= 4, "{signed}");
    assert_eq!(signed["signed_weight"], signers * WEIGHT, "{signed}");
    let message = signed["warp_message"].as_str().unwrap();
    let verdict = net.harness(&["warp-verify", "--node", "2", "--message", message]);
    assert_eq!(
        (&verdict["valid"], &verdict["signers"]),
        (&true.into(), &signers.into())
    );
    // The root of the same height as anybody may ask for it, and a forged one.
    let height = signed["height"].to_string();
    let root = message[140..204].to_owned();
    let good = net.harness(&["warp-sign", "--height", &height, "--root", &root]);
    let forged = net.harness(&["warp-sign", "--height", &height, "--root", &"ab".repeat(32)]);
    for node in 0..5 {
        assert_eq!(
            good["answers"][node]["signature"].as_str().unwrap().len(),
            192,
            "{good}"
        );
        let refused = forged["answers"][node]["error"]
            .as_str()
            .unwrap_or_default();
        assert!(refused.contains("refused with code"), "{forged}");
    }
}
