//! One line of a log that comes again and again does not drown the others, and cannot fill a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Lines that one place of the program may write in a window.
const MAX_LINES: u64 = 100;
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);

/// Lets each place of the program that logs write some lines a window, and counts the rest. Debug and trace lines, which
/// somebody asked for, pass. Its clones count together.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Arc<Mutex<BTreeMap<&'static str, PlaceLines>>>);

/// What one place wrote in this window.
#[derive(Debug, Clone, Copy)]
struct PlaceLines {
    place: &'static Metadata<'static>,
    lines: u64,
}

impl Throttle {
    /// True if a place may write one more line.
    fn takes(&self, place: &'static Metadata<'static>) -> bool {
        if *place.level() > Level::INFO {
            return true;
        }
        // By file and line, which an event is named after: as many entries as the program has lines that log.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place_lines = places
            .entry(place.name())
            .or_insert(PlaceLines { place, lines: 0 });
        place_lines.lines += 1;
        place_lines.lines <= MAX_LINES
    }

    /// Begins a new window; gives the places that wrote too much in the last one, with the number of lines left out.
    fn next_window(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let places = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let crowded = places.into_values().filter(|place| place.lines > MAX_LINES);
        crowded
            .map(|place| (place.place, place.lines - MAX_LINES))
            .collect()
    }

    /// Begins a new window every ten seconds, on a thread of its own, and says what was left out.
    pub fn start(&self) -> std::io::Result<()> {
        let throttle = self.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread does nothing else, and nobody waits for it"
        )]
        let run = move || {
            loop {
                std::thread::sleep(WINDOW);
                throttle.tell();
            }
        };
        std::thread::Builder::new()
            .name("log-limit".to_owned())
            .spawn(run)
            .map(drop)
    }

    fn tell(&self) {
        for (place, left_out) in self.next_window() {
            let (target, line) = (place.target(), place.line().unwrap_or(0));
            tracing::warn!(
                "{left_out} more lines of {target} (line {line} of its source) in {} s are left out; at most {MAX_LINES} are written",
                WINDOW.as_secs()
            );
        }
    }
}

impl<S> Filter<S> for Throttle {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.takes(event.metadata())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_repeats_is_left_out_and_counted() {
        let (written, throttle) = (Written::default(), Throttle::default());
        let sink = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || sink.clone())
            .with_filter(throttle.clone());
        let count = |text: &str| {
            let bytes = written.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap().matches(text).count()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let repeat = |times: u64| {
                for _ in 0..times {
                    tracing::warn!("the same");
                    tracing::debug!("a detail");
                }
            };
            repeat(MAX_LINES + 7);
            tracing::info!("another");
            assert_eq!(count("the same"), 100);
            assert_eq!(count("a detail"), 107, "who asks for details gets them");
            assert_eq!(count("another"), 1, "others are not counted with it");
            throttle.tell();
            assert_eq!(count("7 more lines of gridproof::logging"), 1);
            repeat(1);
            assert_eq!(count("the same"), 101, "a new window");
            throttle.tell();
            assert_eq!(count("more lines"), 1, "nothing was left out");
        });
    }
}
