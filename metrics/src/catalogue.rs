//! The catalogue: every metric of a process with its type, unit, labels and meaning, and their text.

use std::fmt;

use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::value::{Counter, Gauge, Histogram, Labelled};

/// Units that the end of a name may say.
const UNITS: &[&str] = &["seconds", "bytes", "square", "fuel", "percent"];

/// Bounds of times that a disk or a processor takes, in seconds.
const SHORT: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];
/// Bounds of times of the protocol over a network, in seconds.
const MIDDLE: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0,
];
/// Bounds of times of tasks and compilations, in seconds.
const LONG: &[f64] = &[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// The kinds of metrics, as OpenMetrics has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricType {
    /// It only grows within one run of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by range, their sum and their number.
    Histogram,
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// What a catalogue knows of a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricEntry {
    /// Full name, as Prometheus shows it; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricType,
    /// Unit, if it has one; the name ends in it, but for a counter's `_total`.
    pub unit: Option<&'static str>,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
    /// What it counts, for people.
    pub meaning: &'static str,
}

/// For which times a histogram has ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRange {
    /// 0.5 ms to 5 s: disk, processor.
    Short,
    /// 10 ms to 30 s: the protocol over a network.
    Middle,
    /// 10 ms to an hour: tasks and compilations.
    Long,
}

impl TimeRange {
    fn histogram(self) -> Histogram {
        Histogram::new(match self {
            Self::Short => SHORT,
            Self::Middle => MIDDLE,
            Self::Long => LONG,
        })
    }
}

/// Sets values that are kept elsewhere, before they are shown.
type Refresh = Box<dyn Fn() + Send + Sync>;

/// The metrics of a process.
#[derive(Default)]
pub struct Catalogue {
    registry: Registry,
    entries: Vec<MetricEntry>,
    refresh: Vec<Refresh>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Catalogue {
    /// What it holds, in the order of registration.
    #[must_use]
    pub fn entries(&self) -> &[MetricEntry] {
        &self.entries
    }

    /// A counter; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, meaning: &'static str) -> Counter {
        let counter = Counter::default();
        let entry = entry(name, MetricType::Counter, &[], meaning);
        self.add(entry, counter.0.clone());
        counter
    }

    /// A counter for each set of labels.
    pub fn counters(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Labelled<Counter> {
        let entry = entry(name, MetricType::Counter, labels, meaning);
        self.family(entry, Family::default())
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &'static str, meaning: &'static str) -> Gauge {
        let gauge = Gauge::default();
        let entry = entry(name, MetricType::Gauge, &[], meaning);
        self.add(entry, gauge.0.clone());
        gauge
    }

    /// A gauge for each set of labels.
    pub fn gauges(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
    ) -> Labelled<Gauge> {
        let entry = entry(name, MetricType::Gauge, labels, meaning);
        self.family(entry, Family::default())
    }

    /// A histogram of times.
    pub fn histogram(
        &mut self,
        name: &'static str,
        range: TimeRange,
        meaning: &'static str,
    ) -> Histogram {
        let histogram = range.histogram();
        let entry = entry(name, MetricType::Histogram, &[], meaning);
        self.add(entry, histogram.0.clone());
        histogram
    }

    /// A histogram of times for each set of labels.
    pub fn histograms(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        range: TimeRange,
        meaning: &'static str,
    ) -> Labelled<Histogram> {
        let make: fn() -> Histogram = match range {
            TimeRange::Short => || TimeRange::Short.histogram(),
            TimeRange::Middle => || TimeRange::Middle.histogram(),
            TimeRange::Long => || TimeRange::Long.histogram(),
        };
        let entry = entry(name, MetricType::Histogram, labels, meaning);
        self.family(entry, Family::new_with_constructor(make))
    }

    /// Has values set that are kept elsewhere, each time before they are shown. It may read the disk.
    pub fn before_text(&mut self, refresh: impl Fn() + Send + Sync + 'static) {
        self.refresh.push(Box::new(refresh));
    }

    /// Everything as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        for refresh in &self.refresh {
            refresh();
        }
        let mut text = String::new();
        // Writing to a string cannot fail; a reader notices a text without its end.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    fn family<T>(
        &mut self,
        entry: MetricEntry,
        family: Family<crate::value::LabelPairs, T>,
    ) -> Labelled<T>
    where
        Family<crate::value::LabelPairs, T>: Metric,
    {
        let labels = entry.labels;
        self.add(entry, family.clone());
        Labelled { labels, family }
    }

    fn add(&mut self, entry: MetricEntry, metric: impl Metric) {
        let known = self.entries.iter().any(|other| other.name == entry.name);
        debug_assert!(!known, "{} is registered twice", entry.name);
        // The library puts the ends there again.
        let stem = entry.name.strip_suffix("_total").unwrap_or(entry.name);
        match entry.unit {
            Some(unit) => {
                let stem = stem.strip_suffix(unit).unwrap_or(stem);
                let (stem, unit) = (stem.trim_end_matches('_'), Unit::Other(unit.to_owned()));
                let meaning = entry.meaning.trim_end_matches('.');
                self.registry
                    .register_with_unit(stem, meaning, unit, metric);
            }
            None => self
                .registry
                .register(stem, entry.meaning.trim_end_matches('.'), metric),
        }
        self.entries.push(entry);
    }
}

fn entry(
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> MetricEntry {
    debug_assert_eq!(
        kind == MetricType::Counter,
        name.ends_with("_total"),
        "{name}: counters end in _total, and nothing else does"
    );
    let stem = name.strip_suffix("_total").unwrap_or(name);
    let last = stem.rsplit('_').next();
    let unit = UNITS.iter().copied().find(|unit| Some(*unit) == last);
    MetricEntry {
        name,
        kind,
        unit,
        labels,
        meaning,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_name_is_shown_as_it_was_given_with_its_unit_and_labels() {
        let mut all = Catalogue::default();
        let sent = all.counters("a_sent_bytes_total", &["channel"], "Bytes sent.");
        let times = all.histogram("a_sync_seconds", TimeRange::Short, "Time of a sync.");
        let height = all.gauge("a_height", "Newest final block.");
        all.before_text(move || height.set(7));
        sent.of(&["blobs"]).add(1 << 20);
        times.observe(Duration::from_millis(3));
        let text = all.text();
        for line in [
            "# HELP a_sent_bytes Bytes sent.",
            "# UNIT a_sent_bytes bytes",
            "a_sent_bytes_total{channel=\"blobs\"} 1048576.0",
            "a_sync_seconds_bucket{le=\"0.005\"} 1",
            "a_height 7.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        let units: Vec<_> = all.entries().iter().map(|entry| entry.unit).collect();
        assert_eq!(units, [Some("bytes"), Some("seconds"), None]);
    }

    #[test]
    fn what_is_cleared_is_not_shown_any_more() {
        let mut all = Catalogue::default();
        let gauges = all.gauges("a_connected", &["validator"], "Whether it is connected.");
        gauges.of(&["1"]).set_bool(true);
        assert!(all.text().contains("validator=\"1\""));
        gauges.clear();
        assert!(!all.text().contains("validator=\"1\""));
    }
}
