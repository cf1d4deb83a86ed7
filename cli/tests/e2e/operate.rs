//! What an operator sees of a network: who takes part, and that a chain which stands still looks like it.

use rpc::model::ValidatorList;

use crate::harness::{Net, gridproof, histogram, text};

/// The committee as a validator shows it.
fn validators(net: &Net, number: usize) -> ValidatorList {
    let shown = gridproof(&["node", "validators", "--rpc", net.rpc(number)]).success();
    serde_json::from_value(shown).unwrap()
}

fn named<'a>(list: &'a ValidatorList, name: &str) -> &'a rpc::model::ValidatorView {
    let is_it = |view: &&rpc::model::ValidatorView| view.name.as_deref() == Some(name);
    list.validators.iter().find(is_it).unwrap()
}

#[test]
fn a_chain_that_stands_still_is_not_ready_and_names_who_is_missing() {
    let mut net = Net::up(0);
    net.wait("every name and a vote of each", 60, |net| {
        let list = validators(net, 0).validators;
        list.iter()
            .all(|view| view.name.is_some() && view.last_vote.is_some())
    });
    let list = validators(&net, 0);
    assert_eq!(list.validators.len(), 4);
    assert!(named(&list, "validator-0").own && named(&list, "validator-3").connected);
    assert!(!named(&list, "validator-1").addresses.is_empty());
    assert!(net.block_on(net.client(0).ready()).is_ok());

    net.kill("validator-2");
    net.kill("validator-3");
    let stalled = |net: &Net| {
        net.block_on(net.client(0).ready())
            .err()
            .map(|error| error.to_string())
    };
    net.wait("a node that says why it is not ready", 60, |net| {
        stalled(net)
            .is_some_and(|error| error.contains("validator-2") && error.contains("validator-3"))
    });
    let error = stalled(&net).unwrap();
    assert!(!error.contains("validator-1"), "it is heard: {error}");
    assert!(
        error.contains("2 of 4 validators, with 6 of 13 stake"),
        "{error}"
    );
    let status = gridproof(&["node", "status", "--rpc", net.rpc(0)]).success();
    assert!(
        status["stalled"].as_str().unwrap().contains("validator-2"),
        "{status}"
    );
    let log = std::fs::read_to_string(net.devnet.root().join("validator-0/output.log")).unwrap();
    assert!(
        log.contains("the chain stands still: no block for"),
        "{log}"
    );
    assert!(!named(&validators(&net, 0), "validator-2").connected);

    let dir = text(net.devnet.root()).to_owned();
    for name in ["validator-2", "validator-3"] {
        net.restart_by_command(name);
    }
    net.wait("a ready node", 60, |net| stalled(net).is_none());
    // The chain may have stood still in a view of one that was there; alone, one that is away holds nobody up and misses its own.
    gridproof(&["devnet", "stop", "validator-3", "--dir", &dir]).success();
    net.wait("views that validator-3 missed", 60, |net| {
        named(&validators(net, 0), "validator-3").missed > 0
    });
    gridproof(&["devnet", "restart", "validator-9", "--dir", &dir]).fails(
        3,
        "devnet",
        "no process validator-9",
        "validator-0, validator-1",
    );
}

#[test]
fn a_partner_reads_what_it_earned_what_is_offered_and_where_its_file_differs() {
    let net = Net::up(5);
    let spec = histogram(&net.scratch().join("job"), 2, 1);
    let done = net.run_job(&spec, &net.scratch().join("out")).success();
    let receipt = &done["receipt"];
    let primary = serde_json::from_value(receipt["primary"].clone()).unwrap();
    let dir = net.devnet.root().join(net.partner_of(primary));
    let status = || gridproof(&["partner", "status", "--dir", text(&dir)]).success();
    net.wait("its pay in the ledger", 60, |_| {
        status()["ledger"]["totals"]["earned"] == receipt["price"]
    });
    let shown = status();
    let ledger = &shown["ledger"];
    assert_eq!(ledger["days"].as_array().unwrap().len(), 1, "{ledger}");
    assert_eq!(ledger["latest"][0]["job"], receipt["job"], "{ledger}");
    assert_eq!(shown["differs_from_file"], serde_json::json!([]), "{shown}");
    assert!(
        shown["partner"]["chain_time"].as_u64().unwrap() > 0,
        "{shown}"
    );
    let log = std::fs::read_to_string(dir.join("output.log")).unwrap();
    let line = format!("ran job {}: earned ", receipt["job"].as_str().unwrap());
    assert!(log.contains(&line), "{log}");
    assert!(!log.contains("no_final_block"), "no false alarm in {log}");

    let file = dir.join("partner.toml");
    let old = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, old.replace("places = 2", "places = 3")).unwrap();
    let differs = status()["differs_from_file"].to_string();
    assert!(
        differs.contains("offer.places is 3") && differs.contains("2 on record"),
        "{differs}"
    );

    let offers = gridproof(&["partner", "offers", "--rpc", net.rpc(0)]).success();
    assert_eq!(offers["partners"].as_array().unwrap().len(), 5);
    assert_eq!(offers["demand"]["waiting"], 0);
    assert_eq!(offers["levels"][0]["ask"], "0.000001", "{offers}");
}
