//! Room on the disk that a process writes to.

use std::path::Path;

use rustix::fs::statvfs;

use crate::catalogue::Catalogue;

/// Registers the room of the disk that holds a folder.
pub fn register(all: &mut Catalogue, folder: &Path) {
    let free = all.gauge(
        "gridproof_disk_free_bytes",
        "Room that is left for this user on the disk of the process's folder.",
    );
    let size = all.gauge(
        "gridproof_disk_size_bytes",
        "Size of the disk of the process's folder.",
    );
    let folder = folder.to_owned();
    all.before_text(move || {
        // What the system does not say keeps its last value.
        if let Ok(disk) = statvfs(&folder) {
            free.set(disk.f_bavail.saturating_mul(disk.f_frsize));
            size.set(disk.f_blocks.saturating_mul(disk.f_frsize));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_a_folder_has_a_size_and_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut all = Catalogue::default();
        register(&mut all, folder.path());
        let text = all.text();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap().parse().unwrap()
        };
        let (free, size) = (
            value("gridproof_disk_free_bytes"),
            value("gridproof_disk_size_bytes"),
        );
        assert!(size > 0.0 && free <= size, "{free} of {size}");
    }
}
