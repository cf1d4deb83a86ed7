//! Validators that die and come back.

use rpc::client::Client;
use rpc::model::BlockSelector;
use types::hash::Hash32;
use types::number::Height;

use crate::harness::{Net, gridproof};

/// State root after a height, as the header above it tells.
fn root_after(net: &Net, validator: usize, height: u64) -> Hash32 {
    let client = Client::new(net.rpc(validator)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let block = runtime.block_on(client.block(BlockSelector::Height(Height(height + 1)))).unwrap();
    block.header.parent_state_root
}

#[test]
fn all_validators_killed_at_once_go_on() {
    let mut net = Net::up(27_000, 0);
    let before = net.heights().into_iter().flatten().max().unwrap();
    let names = net.names(gridproof_testnet::devnet::Role::Validator);
    for name in &names {
        net.kill(name);
    }
    for name in &names {
        net.restart(name);
    }
    net.wait("blocks above those before the kill", 60, |net| {
        net.heights().iter().all(|height| height.is_some_and(|h| h > before + 5))
    });
    let roots: Vec<_> = (0..4).map(|validator| root_after(&net, validator, before + 3)).collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "{roots:?}");
}

#[test]
fn money_moves_while_one_validator_is_dead_and_it_catches_up() {
    let mut net = Net::up(27_100, 0);
    net.kill("validator-0");
    let to = "00000000000000000000000000000000000000aa";
    let key = net.customer().to_owned();
    for _ in 0..3 {
        let sent = gridproof(&["wallet", "send", "--key", &key, "--to", to, "--amount", "1.5", "--rpc", net.rpc(1)]);
        assert!(sent.success()["height"].as_u64().unwrap() > 0);
    }
    net.restart("validator-0");
    let height = net.heights()[1].unwrap();
    net.wait("the restarted validator at the others' height", 60, |net| net.heights()[0].is_some_and(|h| h > height));
    assert_eq!(root_after(&net, 0, height - 1), root_after(&net, 1, height - 1));
    let balance = gridproof(&["wallet", "balance", "--address", to, "--rpc", net.rpc(0)]).success();
    assert_eq!(balance["balance"], "4.5");
}
