//! An operator pauses a partner, drains it, changes its price and stops it, while it runs.

use std::path::PathBuf;

use rpc::model::PartnerView;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Net, finish, gridproof, histogram, text};
use crate::job::primary_in;

fn folder(net: &Net, name: &str) -> PathBuf {
    net.devnet.root().join(name)
}

/// A command of the partner with this name.
fn command(net: &Net, name: &str, what: &str) -> Value {
    gridproof(&["partner", what, "--dir", text(&folder(net, name))]).success()
}

/// What the first validator knows of a partner.
fn view(net: &Net, name: &str) -> PartnerView {
    let status = command(net, name, "status");
    let address = status["address"].as_str().unwrap().parse().unwrap();
    let client = net.client(0);
    net.block_on(async { client.partner(address).await.unwrap() })
}

/// What a process said so far.
fn log(net: &Net, name: &str) -> String {
    let mut processes = net.devnet.manifest.processes.iter();
    let process = processes.find(|process| process.name == name).unwrap();
    std::fs::read_to_string(process.log()).unwrap_or_default()
}

/// Waits for a line of a process' log.
fn wait_for_line(net: &Net, name: &str, line: &str) {
    net.wait(line, 60, |net| log(net, name).contains(line));
}

/// Asks a daemon to stop, and waits until it has.
fn stop(net: &mut Net, name: &str) {
    net.signal(name, Signal::TERM);
    let process = net.devnet.process_mut(name).unwrap().clone();
    net.wait("the end of the daemon", 60, |_| !process.is_running());
}

#[test]
fn a_partner_that_is_drained_stops_without_a_duty() {
    let mut net = Net::up(5);
    let spec = histogram(&net.scratch().join("job"), 2, 2);
    let out = net.scratch().join("out");
    let child = net.spawn_job(&spec, &out);
    let stages = ["assigned", "announcing", "appointing", "verifying"];
    let primary = primary_in(&net, "a primary", &stages);
    let name = net.partner_of(primary);
    let places = view(&net, &name).profile.places;
    let drained = command(&net, &name, "drain");
    assert_eq!(drained["safe_to_stop"], json!(true));
    let partner = &drained["partner"];
    assert_eq!(
        (&partner["running"], &partner["verifying"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(partner["profile"]["places"], json!(0));
    finish(child).success();

    stop(&mut net, &name);
    assert!(log(&net, &name).contains("stopped: no duty is open"));
    // Another job runs without it.
    let again = net.run_job(&spec, &net.scratch().join("again")).success();
    assert_ne!(again["receipt"]["primary"], json!(primary));
    // What is stopped is resumed by the command itself, and the daemon keeps it so.
    let resumed = command(&net, &name, "resume");
    assert_eq!(resumed["partner"]["profile"]["places"], json!(places));
    net.restart(&name);
    wait_for_line(&net, &name, "partner starts");
    command(&net, &name, "pause");
    assert_eq!(view(&net, &name).profile.places, 0);
    command(&net, &name, "resume");
    assert_eq!(view(&net, &name).profile.places, places);
}

#[test]
fn a_price_is_read_again_and_a_stop_names_open_duties() {
    let mut net = Net::up(5);
    let spec = histogram(&net.scratch().join("job"), 2, 2);
    let file = folder(&net, "partner-0").join("partner.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let ask = before
        .lines()
        .find(|line| line.starts_with("ask = "))
        .unwrap();
    let dearer = before.replace(ask, "ask = \"0.000123\"");
    std::fs::write(&file, "ask = [").unwrap();
    net.signal("partner-0", Signal::HUP);
    wait_for_line(&net, "partner-0", "the configuration is not taken over");
    std::fs::write(&file, dearer).unwrap();
    net.signal("partner-0", Signal::HUP);
    wait_for_line(&net, "partner-0", "the configuration is taken over");
    let asked = "0.000123".parse().unwrap();
    net.wait("the new price", 60, |net| {
        view(net, "partner-0").profile.ask == asked
    });

    let child = net.spawn_job(&spec, &net.scratch().join("out"));
    let stages = ["assigned", "announcing", "appointing", "verifying"];
    let name = net.partner_of(primary_in(&net, "a primary", &stages));
    // It knows of the duty once it is at work on it.
    wait_for_line(&net, &name, "executing");
    stop(&mut net, &name);
    assert!(log(&net, &name).contains("stopped with an open duty"));
    net.restart(&name);
    finish(child).success();
}
