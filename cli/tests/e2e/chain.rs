//! Validators that die and come back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keys::keyfile::{KeyKind, read_secret};
use rpc::client::Client;
use rpc::model::BlockSelector;
use testnet::devnet::process::wait_until;
use types::hash::{Address, Hash32};
use types::key::SecretKey;
use types::number::{Amount, Height};
use types::transaction::{Action, Transaction};

use crate::harness::{Net, gridproof};

/// State root after a height, as the header above it tells.
fn root_after(net: &Net, validator: usize, height: u64) -> Hash32 {
    let block = net
        .block_on(
            net.client(validator)
                .block(BlockSelector::Height(Height(height + 1))),
        )
        .unwrap();
    block.header.parent_state_root
}

#[test]
fn all_validators_killed_at_once_go_on() {
    let mut net = Net::up(0);
    let before = net.heights().into_iter().flatten().max().unwrap();
    let names = net.names(testnet::devnet::ProcessRole::Validator);
    for name in &names {
        net.kill(name);
    }
    for name in &names {
        net.restart(name);
    }
    net.wait("blocks above those before the kill", 60, |net| {
        net.heights()
            .iter()
            .all(|height| height.is_some_and(|h| h > before + 5))
    });
    let roots: Vec<_> = (0..4)
        .map(|validator| root_after(&net, validator, before + 3))
        .collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "{roots:?}");
}

#[test]
fn money_moves_while_one_validator_is_dead_and_it_catches_up() {
    let mut net = Net::up(0);
    net.kill("validator-0");
    let to = "00000000000000000000000000000000000000aa";
    let key = net.customer().to_owned();
    for _ in 0..3 {
        let sent = gridproof(&[
            "wallet",
            "send",
            "--key",
            &key,
            "--to",
            to,
            "--amount",
            "1.5",
            "--rpc",
            net.rpc(1),
        ]);
        assert!(sent.success()["height"].as_u64().unwrap() > 0);
    }
    net.restart("validator-0");
    let height = net.heights()[1].unwrap();
    net.wait("the restarted validator at the others' height", 60, |net| {
        net.heights()[0].is_some_and(|h| h > height)
    });
    assert_eq!(
        root_after(&net, 0, height - 1),
        root_after(&net, 1, height - 1)
    );
    let balance = gridproof(&["wallet", "balance", "--address", to, "--rpc", net.rpc(0)]).success();
    assert_eq!(balance["balance"], "4.5");
}

/// Keeps transfers in the mempool, so that blocks come at the pace of a busy network, until told to stop.
async fn load(client: Client, key: SecretKey, done: &AtomicBool) {
    let mut tick = tokio::time::interval(Duration::from_millis(30));
    let status = client.status().await.unwrap();
    let mut nonce = client
        .account(key.public().address())
        .await
        .unwrap()
        .next_nonce;
    while !done.load(Ordering::Relaxed) {
        let transfer = Transaction {
            chain_id: status.chain_id,
            sender: key.public(),
            nonce,
            valid_until: Height(status.height.0 + 5_000),
            fee: status.min_fee,
            action: Action::Transfer {
                to: Address([7; 20]),
                amount: Amount(1),
            },
        };
        // Refused while as many as the mempool takes of one sender are waiting.
        if client.submit(&transfer.sign(&key)).await.is_ok() {
            nonce = nonce.next();
        }
        tick.tick().await;
    }
}

/// How many blocks the dead validator misses: more than the 64 heights for which others keep old tree nodes. With one
/// of four leaders dead about two blocks come in a second, so hundreds are for `GRIDPROOF_TEST_MISSED_BLOCKS=500`.
fn missed_blocks() -> u64 {
    std::env::var("GRIDPROOF_TEST_MISSED_BLOCKS").map_or(80, |blocks| blocks.parse().unwrap())
}

#[test]
fn a_validator_that_missed_many_blocks_catches_up() {
    let mut net = Net::up(0);
    net.kill("validator-3");
    let start = net.heights().into_iter().flatten().max().unwrap();
    let (client, key) = (
        net.client(0),
        read_secret(
            net.customer().as_ref(),
            KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )
        .unwrap(),
    );
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(load(client, key, &done));
        });
        let goal = start + missed_blocks();
        let reached = wait_until(Duration::from_secs(60 + missed_blocks()), || {
            net.heights()[0].is_some_and(|height| height > goal)
        });
        // Before a failure, or the scope would wait for the load for ever.
        done.store(true, Ordering::Relaxed);
        assert!(reached, "three validators do not reach height {goal}");
    });
    net.restart("validator-3");
    let height = net.heights()[0].unwrap();
    net.wait("the restarted validator at the others' height", 60, |net| {
        net.heights()[3].is_some_and(|h| h > height)
    });
    let roots: Vec<_> = (0..4)
        .map(|validator| root_after(&net, validator, height - 1))
        .collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "{roots:?}");
}
