//! `io.prometheus.client`: metrics as the host gathers them.

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricKind {
    /// It only grows.
    Counter = 0,
    /// It grows and falls.
    Gauge = 1,
}

/// Metrics of one name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricFamily {
    /// Name, unique among all that a VM gives.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// What it counts, for people.
    #[prost(string, optional, tag = "2")]
    pub help: Option<String>,
    /// Kind of the metrics.
    #[prost(enumeration = "MetricKind", optional, tag = "3")]
    pub kind: Option<i32>,
    /// The metrics.
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
}

/// What tells a metric from others of its name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricLabel {
    /// Name of the label.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// One metric; the value of its kind is set.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Labels, none if it is the only one of its name.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<MetricLabel>,
    /// Value of a gauge.
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<MetricValue>,
    /// Value of a counter.
    #[prost(message, optional, tag = "3")]
    pub counter: Option<MetricValue>,
}

/// A number.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct MetricValue {
    /// The number.
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
}

/// All metrics of a VM.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GatheredMetrics {
    /// One for each name.
    #[prost(message, repeated, tag = "1")]
    pub metric_families: Vec<MetricFamily>,
}
