//! What the machine has, so that a node takes a share of it instead of a fixed size.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Assumed where the system tells nothing, in bytes.
const UNKNOWN_MEMORY_BYTES: u64 = 2 << 30;
/// Assumed where the system sets no limit on open files.
const UNLIMITED_FILES: u64 = 65_536;

/// The memory that this process may use, in bytes: that of the machine, or the limit of its control group if that is
/// lower.
#[must_use]
pub fn memory_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let machine = meminfo_bytes(&read("/proc/meminfo")).unwrap_or(UNKNOWN_MEMORY_BYTES);
    let groups = [
        read("/sys/fs/cgroup/memory.max"),
        read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ];
    let limits = groups.iter().filter_map(|text| limit_bytes(text));
    limits.fold(machine, u64::min)
}

/// Lets this process have as many files open as the system allows it, up to a number that is always enough: the usual
/// limit of 1,024 is less than the connections that a node bears. What the system refuses stays as it was.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(UNLIMITED_FILES);
    let current = limit.current.unwrap_or(UNLIMITED_FILES);
    let raised = Rlimit {
        current: Some(allowed.min(UNLIMITED_FILES).max(current)),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current, "the limit on open files stays as it is");
    }
}

/// How many files this process may have open.
#[must_use]
pub fn open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    limit.current.unwrap_or(UNLIMITED_FILES)
}

/// A share of something, rounded down.
#[must_use]
pub fn share(of: u64, percent: u8) -> u64 {
    let share = u128::from(of) * u128::from(percent) / 100;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// The machine's memory in the text of `/proc/meminfo`.
fn meminfo_bytes(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim();
    kilobytes.parse::<u64>().ok()?.checked_mul(1_024)
}

/// A control group's limit; `max` is none.
fn limit_bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_system_are_understood() {
        let text = "MemFree:  1 kB\nMemTotal:       24620920 kB\nMemAvailable: 3 kB\n";
        assert_eq!(meminfo_bytes(text), Some(24_620_920 * 1_024));
        for strange in ["", "MemTotal: x kB", "MemTotal: 7 MB", "MemTotal"] {
            assert_eq!(meminfo_bytes(strange), None, "{strange:?}");
        }
        assert_eq!(limit_bytes("1073741824\n"), Some(1 << 30));
        for none in ["max\n", "", "0", "-1"] {
            assert_eq!(limit_bytes(none), None, "{none:?}");
        }
    }

    #[test]
    fn this_machine_has_memory_and_files() {
        assert!(memory_bytes() >= 64 << 20);
        assert!(open_files() >= 16);
    }

    #[test]
    fn a_share_is_rounded_down_and_never_overflows() {
        assert_eq!(share(1_000, 10), 100);
        assert_eq!(share(99, 1), 0);
        assert_eq!(share(u64::MAX, 100), u64::MAX);
        assert_eq!(share(u64::MAX, 200), u64::MAX);
    }
}
