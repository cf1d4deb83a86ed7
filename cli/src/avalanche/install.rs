//! The plugin's files: the binary under the VM's id, and beside it the protocol that it is to speak.
//!
//! The host takes every file of the folder for a plugin, named by its id up to the last dot, and does not start if one is
//! named otherwise. It passes over names in which only the first character is a dot: so are ours beside the plugin.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use avalanche::plugin::protocol_file;
use serde_json::json;

use super::HostArgs;
use super::host::{self, HostError};
use super::vm_id::VmId;
use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// Installs this binary.
pub fn run(host: &HostArgs, vm: VmId, ui: Ui) -> Result<(), CommandFailure> {
    let version = host::spoken_version(&host.avalanchego).map_err(|error| failure(&error))?;
    let binary = std::env::current_exe()?;
    let plugin = write(&host.plugin_dir, vm, version.rpcchainvm, &binary).map_err(|error| {
        let message = format!("cannot install into {}: {error}", host.plugin_dir.display());
        CommandFailure::new(ExitKind::Storage, "install", message)
            .hint("give a folder of the node's own with --plugin-dir, and run this as the user that owns it")
    })?;
    let text = format!(
        "{} for {} (plugin protocol {})\nrestart the node; it reads its plugins when it starts",
        plugin.display(),
        version.application,
        version.rpcchainvm
    );
    ui.result(
        &json!({ "plugin": plugin, "vm_id": vm.to_string(), "host": version.application, "protocol": version.rpcchainvm }),
        &text,
    );
    Ok(())
}

fn failure(error: &HostError) -> CommandFailure {
    let kind = match error {
        HostError::OtherProtocol { .. } => ExitKind::UnknownVersion,
        HostError::Run { .. } | HostError::NoVersion { .. } => ExitKind::BadInput,
    };
    CommandFailure::new(kind, "avalanchego", error.to_string()).hint(error.hint())
}

/// Writes both files, each whole or not at all; a node that starts meanwhile sees the old plugin or the new one.
fn write(plugin_dir: &Path, vm: VmId, protocol: u32, binary: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(plugin_dir)?;
    let (plugin, new) = (
        plugin_dir.join(vm.to_string()),
        plugin_dir.join(format!(".{vm}-new")),
    );
    let pinned = protocol_file(&plugin);
    let mut file = File::create(&new)?;
    writeln!(file, "{protocol}")?;
    file.sync_all()?;
    fs::rename(&new, &pinned)?;
    fs::copy(binary, &new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, &plugin)?;
    File::open(plugin_dir)?.sync_all()?;
    Ok(plugin)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use avalanche::plugin::protocol_of;

    use super::*;

    /// A program that answers like an AvalancheGo of a protocol.
    pub fn stand_in(folder: &Path, protocol: u32) -> PathBuf {
        let path = folder.join(format!("host-{protocol}"));
        let answer = format!(
            r#"{{"application":"avalanchego/1.2.3","database":"v1.4.5","rpcchainvm":{protocol},"commit":"","go":"1"}}"#
        );
        fs::write(
            &path,
            format!("#!/bin/sh\n[ \"$1\" = --version-json ] && echo '{answer}'\n"),
        )
        .unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_plugin_is_pinned_to_the_hosts_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let vm = VmId::of_name("test").unwrap();
        let plugin_dir = folder.path().join("a/plugins");
        for protocol in [45, 46] {
            let avalanchego = stand_in(folder.path(), protocol);
            let host = HostArgs {
                avalanchego,
                plugin_dir: plugin_dir.clone(),
            };
            run(&host, vm, Ui::new(true)).unwrap();
            let mode = fs::metadata(plugin_dir.join(vm.to_string()))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o755);
            let plugin = plugin_dir.join(vm.to_string());
            assert_eq!(protocol_of(&plugin).unwrap(), protocol);
        }
        // What lies there, as the host sees it: one id; the rest has no name before its last dot.
        let mut names: Vec<_> = fs::read_dir(&plugin_dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [format!(".{vm}-protocol"), vm.to_string()]);
    }

    #[test]
    fn hosts_of_other_protocols_and_other_programs_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let vm = VmId::of_name("test").unwrap();
        let plugin_dir = folder.path().join("plugins");
        let cases = [
            (
                stand_in(folder.path(), 44),
                ExitKind::UnknownVersion,
                "update AvalancheGo",
            ),
            (
                stand_in(folder.path(), 47),
                ExitKind::UnknownVersion,
                "made for this AvalancheGo",
            ),
            (
                PathBuf::from("/bin/true"),
                ExitKind::BadInput,
                "--avalanchego",
            ),
            (
                folder.path().join("missing"),
                ExitKind::BadInput,
                "--avalanchego",
            ),
        ];
        for (avalanchego, kind, hint) in cases {
            let host = HostArgs {
                avalanchego,
                plugin_dir: plugin_dir.clone(),
            };
            let failure = run(&host, vm, Ui::new(true)).unwrap_err();
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.hint.as_deref().unwrap().contains(hint), "{failure}");
            assert!(!plugin_dir.exists(), "nothing is written");
        }
    }
}
