//! What Prometheus sees of a network: every process shows its metrics, on a port of its own and nowhere else.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::Net;

/// The series of a process and their values, as one read of its metrics shows them.
#[derive(Debug)]
struct Scrape(BTreeMap<String, f64>);

/// What a path of a URL answers: status line and body.
fn get(url: &str, path: &str) -> Option<(String, String)> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let mut stream = TcpStream::connect(authority).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

impl Scrape {
    /// Reads the metrics of a process; fails if they are not whole.
    #[track_caller]
    fn of(net: &Net, process: &str) -> Self {
        let all = net.devnet.manifest.processes.iter();
        let url = &all
            .clone()
            .find(|other| other.name == process)
            .unwrap()
            .metrics;
        let (status, text) = get(url, "/metrics").unwrap();
        assert!(status.contains("200"), "{process}: {status}");
        assert!(text.ends_with("# EOF\n"), "{process}: {text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(series.collect())
    }

    /// The value of a series, labels included.
    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in {self:?}"))
    }
}

#[test]
fn every_process_shows_its_metrics_on_a_listener_of_its_own() {
    let net = Net::up(2);
    net.wait("four validators that see each other", 60, |net| {
        (0..4)
            .all(|n| Scrape::of(net, &format!("validator-{n}")).value("gridproof_p2p_peers") > 2.5)
    });
    let first = Scrape::of(&net, "validator-1").value("gridproof_consensus_height");
    net.wait("a height that rises", 60, |net| {
        Scrape::of(net, "validator-1").value("gridproof_consensus_height") > first
    });
    for process in ["validator-0", "validator-3", "partner-0", "partner-1"] {
        let scrape = Scrape::of(&net, process);
        assert!(
            scrape.value("process_resident_memory_bytes") > 1e6,
            "{process}"
        );
        assert!(
            scrape.value("process_start_time_seconds") > 1.7e9,
            "{process}"
        );
    }
    let (status, _) = get(net.rpc(0), "/metrics").unwrap();
    assert!(status.contains("404"), "strangers see no metrics: {status}");
}
