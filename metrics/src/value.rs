//! The values behind metrics. Clones share one value; each is an atomic and may be set from any thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::metrics::histogram;
use prometheus_client::metrics::{MetricType as EncodedType, TypedMetric};

/// A count that only grows within one run of the process.
#[derive(Debug, Clone, Default)]
pub struct Counter(pub(crate) counter::Counter<f64, AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds a number of things, or of bytes.
    pub fn add(&self, more: u64) {
        self.0.inc_by(float(more));
    }

    /// Adds a time, in seconds.
    pub fn add_time(&self, time: Duration) {
        self.0.inc_by(time.as_secs_f64());
    }

    /// Takes over what something else counted since its start; `total` never shrinks.
    pub fn set(&self, total: u64) {
        self.set_float(float(total));
    }

    /// The same for seconds.
    pub fn set_float(&self, total: f64) {
        self.0.inner().store(total.to_bits(), Ordering::Relaxed);
    }
}

/// A value that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(pub(crate) gauge::Gauge<f64, AtomicU64>);

impl Gauge {
    /// Sets it to a number of things, or of bytes. Above 2^53 the lowest bits are lost.
    pub fn set(&self, now: u64) {
        self.0.set(float(now));
    }

    /// Sets it to a length.
    pub fn set_len(&self, now: usize) {
        self.set(u64::try_from(now).unwrap_or(u64::MAX));
    }

    /// Sets it to 1 if something holds, else to 0.
    pub fn set_bool(&self, holds: bool) {
        self.set(u64::from(holds));
    }

    /// Sets it to a fraction, or to seconds.
    pub fn set_float(&self, now: f64) {
        self.0.set(now);
    }

    /// Adds one; whoever does takes it off again with [`Gauge::dec`].
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Takes one off.
    pub fn dec(&self) {
        self.0.dec();
    }
}

/// How often a time fell into each of a row of ranges.
#[derive(Debug, Clone)]
pub struct Histogram(pub(crate) histogram::Histogram);

impl Histogram {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self(histogram::Histogram::new(bounds.iter().copied()))
    }

    /// Counts one time.
    pub fn observe(&self, time: Duration) {
        self.observe_float(time.as_secs_f64());
    }

    /// Counts one value in the metric's unit.
    pub fn observe_float(&self, value: f64) {
        self.0.observe(value);
    }
}

/// The library's traits for our names of its values.
macro_rules! encoded {
    ($($value:ident is $kind:ident;)*) => {
        $(
            impl TypedMetric for $value {
                const TYPE: EncodedType = EncodedType::$kind;
            }

            impl EncodeMetric for $value {
                fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
                    self.0.encode(encoder)
                }

                fn metric_type(&self) -> EncodedType {
                    Self::TYPE
                }
            }
        )*
    };
}

encoded! {
    Counter is Counter;
    Gauge is Gauge;
    Histogram is Histogram;
}

/// Names and values of labels, in the order of the names.
pub(crate) type LabelPairs = Vec<(&'static str, String)>;

/// One value for each set of labels.
pub struct Labelled<T> {
    pub(crate) labels: &'static [&'static str],
    pub(crate) family: Family<LabelPairs, T>,
}

impl<T> fmt::Debug for Labelled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl<T> Clone for Labelled<T> {
    fn clone(&self) -> Self {
        Self {
            labels: self.labels,
            family: self.family.clone(),
        }
    }
}

impl<T: Clone> Labelled<T> {
    /// The value under these labels, given in the order of their names; it is made when it is first asked for. The
    /// values must be of a bounded set.
    #[must_use]
    pub fn of(&self, values: &[&str]) -> T {
        debug_assert_eq!(values.len(), self.labels.len(), "one value for each label");
        let pairs = self.labels.iter().zip(values);
        let pairs = pairs.map(|(name, value)| (*name, (*value).to_owned()));
        self.family.get_or_create_owned(&pairs.collect())
    }

    /// Forgets all values: what is not set again is not shown any more.
    pub fn clear(&self) {
        self.family.clear();
    }
}

/// A number as a float: exact up to 2^53, then rounded.
#[must_use]
pub fn float(number: u64) -> f64 {
    let [high, low] = [number >> 32, number & u64::from(u32::MAX)];
    let half = |part: u64| u32::try_from(part).map_or(0.0, f64::from);
    half(high) * 4_294_967_296.0 + half(low)
}

/// The same for a number of 128 bits.
#[must_use]
pub fn float_wide(number: u128) -> f64 {
    let half = |part: u128| u64::try_from(part).map_or(0.0, float);
    half(number >> 64) * 18_446_744_073_709_551_616.0 + half(number & u128::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_as_far_as_a_float_is() {
        let exact = [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 53) - 1];
        for (number, expected) in exact.into_iter().zip([
            0.0,
            1.0,
            4_294_967_295.0,
            4_294_967_296.0,
            9_007_199_254_740_991.0,
        ]) {
            assert!((float(number) - expected).abs() < f64::EPSILON, "{number}");
        }
        assert!(float(u64::MAX) > float(u64::MAX / 2));
        let wide = 10_000 * 10_u128.pow(18);
        assert!((float_wide(wide) - 1e22).abs() < 1e7);
    }

    #[test]
    fn what_was_counted_elsewhere_replaces_the_count() {
        let counter = Counter::default();
        counter.add(3);
        counter.set(7);
        counter.inc();
        assert!((counter.0.get() - 8.0).abs() < f64::EPSILON);
    }
}
