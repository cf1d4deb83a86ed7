//! The WebAssembly programs of `tests/programs` and the examples, compiled by `scripts/programs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where a compiled program is. All are compiled at first use, into a folder below `scratch`: the caller's
/// `CARGO_TARGET_TMPDIR`. Panics where they cannot be compiled; the script says what is missing.
#[must_use]
pub fn program_path(scratch: &str, name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(scratch).join("programs");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/programs");
        let status = Command::new(&script)
            .arg(&folder)
            .status()
            .expect("the script can be started");
        assert!(
            status.success(),
            "{} cannot build the test programs; what is missing is said above",
            script.display()
        );
        folder
    });
    folder.join(format!("{name}.wasm"))
}
