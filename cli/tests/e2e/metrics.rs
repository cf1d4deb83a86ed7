//! What Prometheus sees of a network: every process shows its metrics, on a port of its own and nowhere else; the document,
//! the dashboards and the alert rules name what is shown.

mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use queries::{KnownMetrics, dashboards, folder, of_alerts, of_dashboards};

use crate::harness::{Net, histogram};

/// Metrics that have no series before what they count has happened, which a healthy network does not show.
const RARE: [&str; 7] = [
    "gridproof_consensus_bans_total",
    "gridproof_consensus_faults_total",
    "gridproof_mempool_refused_total",
    "gridproof_partner_deadline_seconds",
    "gridproof_partner_no_result_total",
    "gridproof_referee_tasks_total",
    "gridproof_referee_task_seconds",
];

/// The series of a process and their values, as one read of its metrics shows them.
#[derive(Debug)]
struct Scrape(BTreeMap<String, f64>);

/// What a path of a URL answers: status line and body.
pub fn get(url: &str, path: &str) -> Option<(String, String)> {
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
        let mut all = net.devnet.manifest.processes.iter();
        let url = &all.find(|other| other.name == process).unwrap().metrics;
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

    /// The sum of the series of a metric whose labels contain a text.
    fn sum(&self, metric: &str, label: &str) -> f64 {
        let own = self.0.iter().filter(|(series, _)| {
            let rest = series.strip_prefix(metric);
            rest.is_some_and(|rest| {
                (rest.is_empty() || rest.starts_with('{')) && rest.contains(label)
            })
        });
        own.map(|(_, value)| value).sum()
    }

    /// The value of a metric without labels.
    fn value(&self, metric: &str) -> f64 {
        self.sum(metric, "")
    }

    /// Names of all series, without labels.
    fn names(&self) -> BTreeSet<String> {
        let names = self
            .0
            .keys()
            .map(|series| series.split('{').next().unwrap());
        names.map(str::to_owned).collect()
    }
}

/// What validators and partners register.
fn known() -> KnownMetrics {
    let all = [node::meters::entries(), partner::meters::entries()].concat();
    let known = all.into_iter().map(|entry| {
        let labels = entry.labels.iter().map(|label| (*label).to_owned());
        (entry.name.to_owned(), labels.collect())
    });
    known.collect()
}

#[test]
fn every_process_shows_its_metrics_on_a_listener_of_its_own() {
    let net = Net::up(2);
    let height = |net: &Net| Scrape::of(net, "validator-1").value("gridproof_consensus_height");
    net.wait("four validators that see each other", 60, |net| {
        (0..4)
            .all(|n| Scrape::of(net, &format!("validator-{n}")).value("gridproof_p2p_peers") > 2.5)
    });
    let limit = Scrape::of(&net, "validator-2").value("gridproof_chain_block_gas_limit");
    let expected = types::params::Params::devnet().block_gas_limit;
    assert_eq!(limit.to_string(), expected.to_string());
    let first = height(&net);
    net.wait("a height that rises", 60, |net| height(net) > first);
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

#[test]
fn a_network_that_ran_a_job_shows_what_dashboards_and_alerts_ask_for() {
    let net = Net::up(5);
    let spec = histogram(&net.scratch().join("job"), 2, 1);
    net.run_job(&spec, &net.scratch().join("out")).success();
    let partners: Vec<_> = (0..5).map(|n| format!("partner-{n}")).collect();
    let all = |net: &Net, metric: &str, label: &str| -> f64 {
        partners
            .iter()
            .map(|name| Scrape::of(net, name).sum(metric, label))
            .sum()
    };
    net.wait("pay in a partner's ledger", 60, |net| {
        all(net, "gridproof_partner_ledger_square", "earned") > 0.0
    });
    // The primary runs both tasks, a verifier at least one of them.
    assert!(all(&net, "gridproof_partner_tasks_total", "success") > 2.5);
    assert!(all(&net, "gridproof_partner_fuel_total", "") > 1e3);
    assert!(all(&net, "gridproof_partner_prepare_seconds_total", "") > 0.0);
    assert!(all(&net, "gridproof_partner_executions_total", "done") > 1.5);
    let validator = Scrape::of(&net, "validator-0");
    let settled = validator.sum("gridproof_jobs_ended_total", "settled");
    assert!((settled - 1.0).abs() < f64::EPSILON, "{validator:?}");
    assert!(
        validator.sum("gridproof_jobs_live", "").abs() < f64::EPSILON,
        "{validator:?}"
    );
    for (metric, label) in [
        ("gridproof_consensus_certificates_total", "finalization"),
        (
            "gridproof_consensus_certificate_seconds_count",
            "notarization",
        ),
        ("gridproof_p2p_received_bytes_total", "consensus"),
        ("gridproof_p2p_sent_frames_total", "consensus"),
        ("gridproof_chain_work_seconds_count", "execute"),
        ("gridproof_chain_work_seconds_count", "commit"),
        ("gridproof_vote_log_sync_seconds_count", ""),
        ("gridproof_chain_transactions_total", "performed"),
        ("gridproof_chain_gas_total", ""),
        ("gridproof_chain_block_gas", ""),
        ("gridproof_partners_locked_square", ""),
        ("gridproof_disk_free_bytes", ""),
    ] {
        assert!(
            validator.sum(metric, label) > 0.0,
            "{metric} {label}: {validator:?}"
        );
    }
    let mut shown = validator.names();
    shown.extend(
        partners
            .iter()
            .flat_map(|name| Scrape::of(&net, name).names()),
    );
    let known = known();
    for query in of_dashboards().into_iter().chain(of_alerts()) {
        for metric in query.metrics(&known).unwrap() {
            let is_shown = ["", "_count"]
                .iter()
                .any(|end| shown.contains(&format!("{metric}{end}")));
            let place = &query.place;
            assert!(
                is_shown || RARE.contains(&metric.as_str()),
                "{place}: no series of {metric}"
            );
        }
    }
}

#[test]
fn dashboards_and_alerts_ask_for_what_is_registered_and_leave_nothing_out() {
    assert!(dashboards().len() >= 5);
    let (known, mut used) = (known(), BTreeSet::new());
    let (panels, alerts) = (of_dashboards(), of_alerts());
    assert!(
        panels.len() > 50 && alerts.len() > 15,
        "{} {}",
        panels.len(),
        alerts.len()
    );
    for query in panels.into_iter().chain(alerts) {
        used.extend(query.metrics(&known).unwrap());
    }
    // What only explains others, or is asked for by hand.
    let by_hand = [
        "gridproof_store_compactions",
        "gridproof_store_oldest_block",
        "gridproof_consensus_block_time_seconds",
        "gridproof_partner_height",
        "gridproof_validator_stake",
        "process_virtual_memory_bytes",
    ];
    let unused: Vec<_> = known
        .keys()
        .filter(|name| !used.contains(*name) && !by_hand.contains(&name.as_str()))
        .collect();
    assert_eq!(unused, Vec::<&String>::new(), "on no dashboard");
}

#[test]
fn the_document_lists_what_is_registered() {
    let table = |title: &str, entries: Vec<metrics::MetricEntry>| {
        let mut text = format!(
            "\n## {title}\n\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
        );
        let mut lines: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let labels: Vec<_> = entry
                    .labels
                    .iter()
                    .map(|label| format!("`{label}`"))
                    .collect();
                let (unit, labels) = (entry.unit.unwrap_or_default(), labels.join(", "));
                format!(
                    "| `{}` | {} | {unit} | {labels} | {} |\n",
                    entry.name, entry.kind, entry.meaning
                )
            })
            .collect();
        lines.sort();
        text.extend(lines);
        text
    };
    let tables = table("Of a validator", node::meters::entries())
        + &table("Of a partner", partner::meters::entries());
    let path = folder("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let head = page.split("\n## Of a validator\n").next().unwrap();
    let expected = format!("{head}{tables}");
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(page, expected, "GRIDPROOF_BLESS=1 writes it anew");
    }
}
