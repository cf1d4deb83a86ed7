//! What the host shows of the VM: health as JSON, metrics as families.

use crate::effect::Phase;
use crate::shell::Standing;
use crate::times::{CallTimes, CallTotal};
use crate::wire::metrics::{
    GatheredMetrics, Metric, MetricFamily, MetricKind, MetricLabel, MetricValue,
};

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
    fn health_is_json_and_names_of_metrics_are_unique() {
        let standing = Standing::default();
        let details: serde_json::Value = serde_json::from_slice(&health(&standing)).unwrap();
        assert_eq!(details["phase"], "starting");
        let families = metrics(&standing, &CallTimes::default()).metric_families;
        let names: BTreeSet<_> = families.iter().map(|family| &family.name).collect();
        assert_eq!(names.len(), families.len());
    }
}
