//! Metrics of a process: what is counted, and the listener at which Prometheus reads it as OpenMetrics text.
//!
//! The only crate that names `prometheus-client`. Every metric is registered by its full name in a [`Catalogue`], which
//! knows its type, unit, labels and meaning; `docs/metrics.md` is compared with it. Values of a label come from a closed
//! set or from the committee, so that nobody outside adds time series. Who decides knows nothing of metrics: the shell
//! records what effects say, and what is counted elsewhere is read when somebody asks.

pub mod catalogue;
pub mod config;
pub mod disk;
pub mod heartbeat;
pub mod listener;
pub mod process;
pub mod value;

pub use catalogue::{Catalogue, MetricEntry, MetricType};
pub use config::MetricsConfig;
pub use heartbeat::Heartbeat;
pub use value::{Counter, Gauge, Histogram, Labelled};
