//! What the system says of this process, under the names that every Prometheus client uses for it.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::catalogue::Catalogue;
use crate::value::{Counter, Gauge, float};

/// Registers the metrics of the process, and which program it is.
pub fn register(all: &mut Catalogue, version: &str) {
    let build = all.gauges(
        "gridproof_build_info",
        &["version"],
        "Always 1; the label says which program runs.",
    );
    build.of(&[version]).set(1);
    let process = ProcessMetrics {
        cpu: all.counter(
            "process_cpu_seconds_total",
            "Processor time of this process, without the workers that ended.",
        ),
        resident: all.gauge("process_resident_memory_bytes", "Memory in use."),
        virtual_memory: all.gauge("process_virtual_memory_bytes", "Address space in use."),
        open_files: all.gauge("process_open_fds", "Open file descriptors."),
        max_files: all.gauge("process_max_fds", "Limit of open file descriptors."),
        threads: all.gauge("process_threads", "Threads."),
        start: all.gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
        ),
    };
    all.before_text(move || process.refresh());
}

struct ProcessMetrics {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    threads: Gauge,
    start: Gauge,
}

impl ProcessMetrics {
    /// Reads /proc; what it does not say keeps its last value.
    fn refresh(&self) {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(read) = ProcessStat::parse(&stat) {
            let ticks = float(clock_ticks_per_second().max(1));
            let page = u64::try_from(page_size()).unwrap_or_default();
            self.cpu.set_float(float(read.cpu_ticks) / ticks);
            self.threads.set(read.threads);
            self.virtual_memory.set(read.virtual_bytes);
            self.resident.set(read.resident_pages.saturating_mul(page));
            if let Some(boot) = boot_time() {
                self.start
                    .set_float(float(boot) + float(read.start_ticks) / ticks);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            self.open_files.set_len(open.count());
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            self.max_files.set(limit);
        }
    }
}

/// When the system started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Fields of /proc/PID/stat, see proc(5).
#[derive(Debug, PartialEq, Eq)]
struct ProcessStat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl ProcessStat {
    fn parse(stat: &str) -> Option<Self> {
        // The command stands in parentheses and may hold spaces and parentheses; the state follows as field 3.
        let rest = stat.rsplit_once(')')?.1;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 50 0 0 0 30 12 0 0 20 0 9 0 1234 99000 88 \
                    18446744073709551615 1 1";
        let expected = ProcessStat {
            cpu_ticks: 42,
            threads: 9,
            start_ticks: 1_234,
            virtual_bytes: 99_000,
            resident_pages: 88,
        };
        assert_eq!(ProcessStat::parse(stat), Some(expected));
        for broken in ["", "7 (a", "7 (a) S 1 2 3"] {
            assert_eq!(ProcessStat::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_has_memory_threads_and_open_files() {
        let mut all = Catalogue::default();
        register(&mut all, "1.2.3");
        let text = all.text();
        assert!(text.contains("gridproof_build_info{version=\"1.2.3\"} 1.0"));
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_threads",
            "process_start_time_seconds",
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            assert!(value.is_some_and(|value| value > 0.0), "{name}: {line:?}");
        }
    }
}
