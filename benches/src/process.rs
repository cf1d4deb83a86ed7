//! What processes cost, as /proc tells it: CPU time, memory, bytes written.

use std::ops::Sub;

use testnet::devnet::process::status_field;

/// What some processes used since their start, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessCost {
    /// User and system time, in milliseconds (ticks of 10).
    pub cpu_ms: u64,
    /// Bytes that were sent to the disk.
    pub bytes_written: u64,
}

impl ProcessCost {
    /// The cost so far of the processes.
    pub fn of(pids: &[u32]) -> Self {
        Self {
            cpu_ms: pids.iter().map(|pid| cpu_ms(*pid)).sum(),
            bytes_written: pids
                .iter()
                .map(|pid| field(&read(*pid, "io"), "write_bytes:"))
                .sum(),
        }
    }
}

impl Sub for ProcessCost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms.saturating_sub(before.cpu_ms),
            bytes_written: self.bytes_written.saturating_sub(before.bytes_written),
        }
    }
}

/// Most memory that each process held at any time, summed, in MiB.
pub fn peak_memory_mb(pids: &[u32]) -> u64 {
    let kib: u64 = pids
        .iter()
        .map(|pid| field(&read(*pid, "status"), "VmHWM:"))
        .sum();
    kib >> 10
}

/// User and system time of a process (fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms).
pub fn cpu_ms(pid: u32) -> u64 {
    let ticks = |number| {
        let field = status_field(pid, number)?;
        field.parse::<u64>().ok()
    };
    let user = ticks(11).unwrap_or_default();
    (user + ticks(12).unwrap_or_default()) * 10
}

/// A file of a process; empty if the process is gone.
fn read(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// The number behind a name that starts a line.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let status = "Name:\tnode\nVmPeak:\t  99 kB\nVmHWM:\t   2048 kB\n";
        assert_eq!(field(status, "VmHWM:"), 2_048);
        assert_eq!(
            field("rchar: 5\nwrite_bytes: 4096\n", "write_bytes:"),
            4_096
        );
        assert_eq!(field("", "VmHWM:"), 0);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(peak_memory_mb(&[std::process::id()]) > 0);
    }
}
