//! What can be seen of the machine: limits, disk, folders, the cage of workers.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use executor::class::{ENGINE_VERSION, KNOWN, TARGET};
use executor::worker::{WorkerHandle, WorkerLimits};
use keys::{folder, keyfile};
use node::config::MetricsConfig;
use partner::room::{ByteCount, FreeRoom};
use rustix::process::{Resource, getrlimit};
use types::params::NEWEST_PROTOCOL_VERSION;

use crate::check::Check;
use crate::ui::now_ms;

/// Open files below which a daemon turns connections away.
const FEW_FILES: u64 = 4_096;
/// Free disk below which a daemon soon stops or pauses.
const LITTLE_DISK_BYTES: u64 = 1 << 30;
/// Days of growth that should fit on the disk.
const DAYS_AHEAD: u64 = 30;
/// Most entries of a folder that are counted for its size.
const MAX_ENTRIES: usize = 1_000_000;
const DAY_MS: u64 = 86_400_000;
/// Time for a listener of this machine to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// This build.
pub fn version() -> Check {
    let classes: Vec<_> = KNOWN.iter().map(ToString::to_string).collect();
    Check::fine(
        "version",
        format!(
            "gridproof {}, protocol versions up to {NEWEST_PROTOCOL_VERSION}, engine class {} (wasmtime {ENGINE_VERSION}, {TARGET})",
            env!("CARGO_PKG_VERSION"),
            classes.join(" ")
        ),
    )
}

/// What this user may have open.
pub fn open_files() -> Check {
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < FEW_FILES => Check::doubtful(
            "open_files",
            format!("at most {most} for this user"),
            format!("allow {FEW_FILES} or more: LimitNOFILE= of the systemd unit, or ulimit -Hn"),
        ),
        Some(most) => Check::fine("open_files", format!("at most {most}")),
        None => Check::fine("open_files", "no limit"),
    }
}

/// A folder that holds keys. A partner does not start where others may look into it; a validator's key files are refused by themselves.
pub fn key_folder(path: &Path, is_strict: bool) -> Check {
    match folder::check(path) {
        Ok(()) => Check::fine(
            "key_folder",
            format!("{}, for its owner alone", path.display()),
        ),
        Err(error @ folder::FolderError::TooOpen { .. }) => {
            let of = if is_strict {
                Check::wrong
            } else {
                Check::doubtful
            };
            let hint = format!("chmod 700 {}", path.display());
            of("key_folder", error.to_string(), hint)
        }
        Err(error) => Check::wrong(
            "key_folder",
            error.to_string(),
            "put the keys back from your copy; --dir names the folder that `init` made",
        ),
    }
}

/// Whether a copy of these key files is enough to have the keys; nothing where none can be read.
pub fn key_files(paths: &[PathBuf], dir: &Path) -> Option<Check> {
    let read = |path: &PathBuf| Some((path.file_name()?.to_owned(), keyfile::look(path).ok()?));
    let facts: Vec<_> = paths.iter().filter_map(read).collect();
    let plain = facts.iter().filter(|(_, facts)| !facts.encrypted);
    let plain: Vec<_> = plain.map(|(name, _)| name.to_string_lossy()).collect();
    if facts.is_empty() {
        return None;
    }
    Some(if plain.is_empty() {
        Check::fine("key_files", "encrypted")
    } else {
        let found = format!(
            "{} in plain text: who has a copy has the key",
            plain.join(", ")
        );
        let hint = format!("gridproof keys encrypt {}", dir.display());
        Check::doubtful("key_files", found, hint)
    })
}

/// Free disk, and when it is full if the folder grows on as it did. `since_ms` is its age; nothing where that says nothing.
pub fn disk(dir: &Path, since_ms: Option<u64>) -> Check {
    let free = match FreeRoom::free(dir) {
        Ok(room) => room.disk_bytes,
        Err(error) => {
            let hint = "is the disk mounted?";
            return Check::wrong("disk", format!("{}: {error}", dir.display()), hint);
        }
    };
    let used = size_bytes(dir);
    let growth = since_ms.and_then(|since_ms| growth(free, used, since_ms));
    let forecast = growth.map_or(String::new(), |(a_day, days)| {
        format!(
            "; {} a day on average, full in {days} days if it grows on like that",
            ByteCount(a_day)
        )
    });
    let found = format!(
        "{} free, {} used by {}{forecast}",
        ByteCount(free),
        ByteCount(used),
        dir.display()
    );
    if free < LITTLE_DISK_BYTES {
        return Check::wrong(
            "disk",
            found,
            "make room, or move the folder to a larger disk",
        );
    }
    if growth.is_some_and(|(_, days)| days < DAYS_AHEAD) {
        let hint = "plan a larger disk, or keep less: of a validator store.history in node.toml";
        return Check::doubtful("disk", found, hint);
    }
    Check::fine("disk", found)
}

/// How long ago a folder was made, in milliseconds, where the file system knows.
pub fn age_ms(folder: &Path) -> Option<u64> {
    let made = fs::metadata(folder).ok()?.created().ok()?;
    let made = made.duration_since(UNIX_EPOCH).ok()?;
    now_ms().checked_sub(u64::try_from(made.as_millis()).ok()?)
}

/// The bytes that came in a day on average, and the days until the rest is full; none for what is not a day old or does not grow.
fn growth(free: u64, used: u64, since_ms: u64) -> Option<(u64, u64)> {
    let days = u128::from(since_ms / DAY_MS);
    let a_day = u64::try_from(u128::from(used).checked_div(days)?).unwrap_or(u64::MAX);
    Some((a_day, free.checked_div(a_day)?))
}

/// The bytes of all files below a folder; links are not followed.
fn size_bytes(dir: &Path) -> u64 {
    let (mut left, mut bytes, mut seen) = (vec![dir.to_owned()], 0u64, 0usize);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MAX_ENTRIES {
                return bytes;
            }
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                left.push(entry.path());
            } else if found.is_file() {
                bytes = bytes.saturating_add(found.len());
            }
        }
    }
    bytes
}

/// Whether a daemon that does not run could listen at an address.
pub fn port(name: &'static str, key: &str, address: SocketAddr) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::fine(name, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Check::wrong(
            name,
            format!("{address} is taken by another process"),
            format!("find it with `ss -ltnp`, or set another {key}"),
        ),
        Err(error) => Check::wrong(
            name,
            format!("{address}: {error}"),
            format!("{key} must be an address of this machine, of a port that this user may use"),
        ),
    }
}

/// Where this machine finds what listens at an address.
pub fn from_here(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], listen.port())),
        _ => listen,
    }
}

/// Whether a daemon shows its metrics, or could if it ran.
pub fn metrics(config: &MetricsConfig, runs: bool) -> Check {
    let (name, key) = ("metrics_port", "metrics.listen");
    let Some(address) = config.listen else {
        return Check::skipped(name, format!("{key} is empty: no metrics are shown"));
    };
    if !runs {
        return port(name, key, address);
    }
    match TcpStream::connect_timeout(&from_here(address), CONNECT_TIMEOUT) {
        Ok(_) => Check::fine(name, format!("{address} answers")),
        Err(error) => Check::doubtful(
            name,
            format!("nobody shows metrics at {address}: {error}"),
            format!("the daemon's log says why; set another {key}, or \"\" for none"),
        ),
    }
}

/// The layers of the cage that this machine gives to workers; one line each.
pub fn cage() -> Vec<Check> {
    let inspected = std::env::current_exe()
        .map_err(|error| error.to_string())
        .and_then(|program| {
            WorkerHandle::spawn(&program, &["worker"], WorkerLimits::for_inspection())
                .and_then(WorkerHandle::inspect)
                .map_err(|error| error.to_string())
        });
    let report = match inspected {
        Ok(report) => report,
        Err(error) => {
            let hint = "tasks cannot run here: run `gridproof worker` by hand to see why it ends";
            return vec![Check::wrong("cage", error, hint)];
        }
    };
    let held: Vec<_> = report
        .layers()
        .filter(|(_, state)| state.gap().is_none())
        .map(|(layer, _)| layer.name())
        .collect();
    let mut checks = vec![Check::fine("cage", format!("held: {}", held.join(", ")))];
    for (layer, state) in report.layers() {
        if let Some(gap) = state.gap() {
            let found = format!("{} {}: {gap}", layer.name(), state.name());
            let hint = "a kernel with this layer, or a container that allows it, keeps strangers' programs apart better";
            checks.push(Check::doubtful("cage", found, hint));
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::check::Finding;

    #[test]
    fn a_folder_that_others_may_enter_is_wrong_and_says_how_to_mend_it() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(key_folder(root.path(), true).outcome, Finding::Fine);
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(key_folder(root.path(), false).outcome, Finding::Doubtful);
        let check = key_folder(root.path(), true);
        assert_eq!(check.outcome, Finding::Wrong);
        assert!(check.hint.unwrap().starts_with("chmod 700 "));
    }

    #[test]
    fn a_disk_that_will_be_full_soon_is_told_with_the_day() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("data"), vec![0; 1 << 20]).unwrap();
        let check = disk(root.path(), Some(10 * DAY_MS));
        assert!(check.found.contains("1 MiB used"), "{check:?}");
        assert!(check.found.contains("102.3 KiB a day"), "{check:?}");
        assert_eq!(growth(500, 200, 2 * DAY_MS), Some((100, 5)));
        assert_eq!(growth(500, 200, DAY_MS - 1), None, "too young to tell");
        assert_eq!(growth(500, 0, 2 * DAY_MS), None);
    }

    #[test]
    fn a_port_that_is_taken_is_called_so() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let check = port("rpc_port", "rpc.listen", address);
        assert_eq!(check.outcome, Finding::Wrong);
        assert!(check.hint.unwrap().contains("rpc.listen"));
        drop(taken);
        assert_eq!(
            port("rpc_port", "rpc.listen", address).outcome,
            Finding::Fine
        );
    }

    #[test]
    fn metrics_are_where_a_daemon_says_or_could_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = MetricsConfig::on_loopback(listener.local_addr().unwrap().port());
        assert_eq!(metrics(&config, true).outcome, Finding::Fine);
        assert_eq!(metrics(&config, false).outcome, Finding::Wrong);
        drop(listener);
        assert_eq!(metrics(&config, true).outcome, Finding::Doubtful);
        assert_eq!(metrics(&config, false).outcome, Finding::Fine);
        config.listen = None;
        assert_eq!(metrics(&config, true).outcome, Finding::Skipped);
    }
}
