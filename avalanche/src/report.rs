//! What the host shows of the VM: health as JSON, metrics as families.

use std::time::Duration;

use tokio::time::Instant;
use types::words::counted;

use crate::effect::Phase;
use crate::times::{CallTimes, CallTotal};
use crate::wire::metrics::{
    GatheredMetrics, Metric, MetricFamily, MetricKind, MetricLabel, MetricValue,
};

/// A chain that owes a block or a certificate for that long is not ready.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What the loop shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Height of the last accepted block.
    pub height: u64,
    /// Height of the newest block with a certificate.
    pub certified: Option<u64>,
    /// What the host does with the chain.
    pub phase: Phase,
    /// Blocks that were verified and not decided.
    pub processing: usize,
    /// Transactions in the mempool.
    pub mempool: usize,
    /// Nodes of the subnet that are connected.
    pub peers: usize,
    /// True if this node asks its host for a block.
    pub wanted: bool,
    /// Since when the same block or certificate is owed; none if nothing is.
    pub open_since: Option<Instant>,
    /// True once the chain has stopped.
    pub stopped: bool,
}

/// The details of a healthy chain.
pub fn health(standing: &Standing) -> Vec<u8> {
    let phase = match standing.phase {
        Phase::Starting => "starting",
        Phase::CatchingUp => "catching up",
        Phase::Normal => "normal",
    };
    let details = serde_json::json!({
        "height": standing.height,
        "certified_height": standing.certified,
        "phase": phase,
        "processing_blocks": standing.processing,
        "mempool_transactions": standing.mempool,
        "connected_nodes": standing.peers,
    });
    details.to_string().into_bytes()
}

/// Why a chain is not ready, in words; none if it is.
pub fn not_ready(standing: &Standing, now: Instant) -> Option<String> {
    let height = standing.height;
    match standing.phase {
        Phase::Starting => return Some("the chain starts".to_owned()),
        Phase::CatchingUp => {
            return Some(format!("the chain is catching up, at height {height}"));
        }
        Phase::Normal => {}
    }
    let stood = now.saturating_duration_since(standing.open_since?);
    if stood < STALLED_AFTER {
        return None;
    }
    let what = if standing.processing > 0 {
        let blocks = counted(standing.processing, "block");
        format!("the subnet has not decided {blocks} above height {height}")
    } else if standing.wanted {
        format!("the host asks for no block, though something waits for one above height {height}")
    } else {
        let certified = standing.certified.unwrap_or_default();
        format!(
            "the committee certifies no block: height {height} is accepted, {certified} is certified"
        )
    };
    let peers = counted(standing.peers, "node");
    let seconds = stood.as_secs();
    Some(format!(
        "{what}, for {seconds} s; {peers} of the subnet connected"
    ))
}

/// The metrics of a chain.
pub fn metrics(standing: &Standing, times: &CallTimes) -> GatheredMetrics {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let all = [
        (
            "height",
            "Height of the last accepted block",
            standing.height,
        ),
        (
            "certified_height",
            "Height of the newest block with a certificate of the committee",
            standing.certified.unwrap_or_default(),
        ),
        (
            "processing_blocks",
            "Blocks that were verified and are not decided",
            count(standing.processing),
        ),
        (
            "mempool_transactions",
            "Transactions that wait",
            count(standing.mempool),
        ),
        (
            "connected_nodes",
            "Nodes of the subnet that are connected",
            count(standing.peers),
        ),
    ];
    let gauges = all.map(|(name, help, value)| gauge(name, help, value));
    let calls = [
        counters(
            "calls",
            "Calls about blocks that were answered",
            times,
            |total| float(total.count),
        ),
        counters(
            "call_seconds",
            "Time that their answers took, without gRPC's",
            times,
            |total| total.took.as_secs_f64(),
        ),
    ];
    GatheredMetrics {
        metric_families: gauges.into_iter().chain(calls).collect(),
    }
}

/// One counter for each call that is timed.
fn counters(
    name: &str,
    help: &str,
    times: &CallTimes,
    value: impl Fn(CallTotal) -> f64,
) -> MetricFamily {
    let metric = |total: CallTotal| Metric {
        label: vec![MetricLabel {
            name: Some("call".to_owned()),
            value: Some(total.call.to_owned()),
        }],
        gauge: None,
        counter: Some(MetricValue {
            value: Some(value(total)),
        }),
    };
    MetricFamily {
        name: Some(format!("gridproof_{name}")),
        help: Some(help.to_owned()),
        kind: Some(MetricKind::Counter.into()),
        metric: times.totals().map(metric).collect(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floats, exact up to 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}

fn gauge(name: &str, help: &str, value: u64) -> MetricFamily {
    let value = MetricValue {
        value: Some(float(value)),
    };
    MetricFamily {
        name: Some(format!("gridproof_{name}")),
        help: Some(help.to_owned()),
        kind: Some(MetricKind::Gauge.into()),
        metric: vec![Metric {
            label: Vec::new(),
            gauge: Some(value),
            counter: None,
        }],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_chain_that_owes_something_for_long_is_not_ready() {
        let start = Instant::now();
        let idle = Standing {
            height: 5,
            certified: Some(5),
            phase: Phase::Normal,
            peers: 1,
            ..Standing::default()
        };
        let open = |standing: Standing| Standing {
            open_since: Some(start),
            ..standing
        };
        let soon = start + STALLED_AFTER - Duration::from_millis(1);
        let late = start + STALLED_AFTER;
        assert_eq!(
            not_ready(&idle, late),
            None,
            "an idle subnet makes no blocks"
        );
        let (processing, wanted, certified) = (2, true, Some(4));
        let cases = [
            (
                Standing { processing, ..idle },
                "not decided 2 blocks above height 5",
            ),
            (Standing { wanted, ..idle }, "asks for no block"),
            (
                Standing { certified, ..idle },
                "5 is accepted, 4 is certified",
            ),
        ];
        for (standing, words) in cases {
            assert_eq!(not_ready(&open(standing), soon), None);
            let reason = not_ready(&open(standing), late).unwrap();
            assert!(reason.contains(words), "{reason}");
            assert!(
                reason.ends_with("for 10 s; 1 node of the subnet connected"),
                "{reason}"
            );
        }
        for phase in [Phase::Starting, Phase::CatchingUp] {
            assert!(not_ready(&Standing { phase, ..idle }, start).is_some());
        }
    }

    #[test]
    fn health_is_json_and_names_of_metrics_are_unique() {
        let standing = Standing::default();
        let details: serde_json::Value = serde_json::from_slice(&health(&standing)).unwrap();
        assert_eq!(details["phase"], "starting");
        let families = metrics(&standing, &CallTimes::default()).metric_families;
        let names: BTreeSet<_> = families.iter().map(|family| &family.name).collect();
        assert_eq!(names.len(), families.len());
    }
}
