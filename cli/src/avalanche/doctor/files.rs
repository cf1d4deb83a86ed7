//! What can be seen in files: the plugin directory as AvalancheGo reads it, the protocol's pin, limits, configuration.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use avalanche::config::Config;
use avalanche::plugin::protocol_file;
use rustix::process::{Resource, getrlimit};
use types::words::counted;

use crate::avalanche::vm_id::VmId;
use crate::check::Check;

/// Open files that AvalancheGo asks the system for unless told otherwise.
const DEFAULT_OPEN_FILES: u64 = 32_768;
/// Names that AvalancheGo takes beside ids: those of the VMs that it brings along.
const BUILT_IN: [&str; 4] = ["platform", "avm", "evm", "xsvm"];

/// The directory, every name in it, and the plugin.
pub fn plugin_dir(folder: &Path, vm: VmId) -> Vec<Check> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // As the host does it: a link is no directory, wherever it leads.
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    });
    let shown = folder.display();
    match entries {
        Err(error) => vec![Check::wrong(
            "plugin_dir",
            format!("{shown}: {error}"),
            "make the folder, readable for the node's user, and give it to the node as --plugin-dir",
        )],
        Ok(names) => vec![
            Check::fine(
                "plugin_dir",
                format!("{shown}, {}", counted(names.len(), "file")),
            ),
            names_check(folder, &names, vm),
            plugin(folder, vm),
        ],
    }
}

/// The name by which AvalancheGo knows a file of the directory: up to the last dot; empty if it passes over the file.
fn known_as(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn names_check(folder: &Path, names: &[String], vm: VmId) -> Check {
    let stops = |name: &&String| {
        let known = known_as(name);
        !(known.is_empty() || BUILT_IN.contains(&known) || VmId::parse(known).is_some())
    };
    let bad: Vec<_> = names.iter().filter(stops).map(String::as_str).collect();
    if !bad.is_empty() {
        return Check::wrong(
            "plugin_names",
            format!("{} in {}", bad.join(", "), folder.display()),
            "move these files away: a node does not start with a file here that is not named by a VM's id",
        );
    }
    let id = vm.to_string();
    let same: Vec<_> = names
        .iter()
        .filter(|name| known_as(name) == id)
        .map(String::as_str)
        .collect();
    if same.len() > 1 {
        return Check::wrong(
            "plugin_names",
            format!("{} are all this VM to the node", same.join(", ")),
            "keep one: the node drops what follows the last dot, and takes the last of them",
        );
    }
    Check::fine("plugin_names", "every file is named by an id, or hidden")
}

fn plugin(folder: &Path, vm: VmId) -> Check {
    let name = "plugin";
    let path = folder.join(vm.to_string());
    let install = "run `gridproof avalanche install`, then restart the node";
    let found = match fs::metadata(&path) {
        Ok(found) => found,
        Err(error) => return Check::wrong(name, format!("{}: {error}", path.display()), install),
    };
    if !found.is_file() {
        return Check::wrong(name, format!("{} is no file", path.display()), install);
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Check::wrong(
            name,
            format!("{} is not executable", path.display()),
            format!("chmod 755 {}", path.display()),
        );
    }
    match same_bytes(&path) {
        Ok(true) => Check::fine(name, format!("{} is this gridproof", path.display())),
        Ok(false) => Check::doubtful(
            name,
            format!("{} is another build than this gridproof", path.display()),
            "run `gridproof avalanche install` with the build that the node is to run",
        ),
        Err(error) => Check::wrong(
            name,
            format!("{}: {error}", path.display()),
            "make it readable for the node's user",
        ),
    }
}

/// True if the file holds the same bytes as this program.
fn same_bytes(path: &Path) -> io::Result<bool> {
    let own = std::env::current_exe()?;
    if fs::metadata(path)?.len() != fs::metadata(&own)?.len() {
        return Ok(false);
    }
    Ok(fs::read(path)? == fs::read(own)?)
}

/// The protocol that the plugin was installed for, beside the host's.
pub fn pin(folder: &Path, vm: VmId, host: Option<u32>) -> Check {
    let name = "protocol";
    let Some(host) = host else {
        return Check::skipped(name, "the host's protocol is not known");
    };
    let path = protocol_file(&folder.join(vm.to_string()));
    let again =
        "run `gridproof avalanche install` again for this AvalancheGo, then restart the node";
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == host.to_string() => {
            Check::fine(name, format!("installed for {host}, the host's"))
        }
        Ok(text) => Check::wrong(
            name,
            format!("installed for {:?}, the host speaks {host}", text.trim()),
            again,
        ),
        Err(error) => Check::wrong(name, format!("{}: {error}", path.display()), again),
    }
}

/// The limit of open files, which AvalancheGo raises or refuses to start.
pub fn open_files() -> Check {
    let most = getrlimit(Resource::Nofile).maximum;
    match most {
        Some(most) if most < DEFAULT_OPEN_FILES => Check::doubtful(
            "open_files",
            format!("at most {most} for this user, AvalancheGo asks for {DEFAULT_OPEN_FILES}"),
            format!("raise the limit (ulimit -Hn), or start the node with --fd-limit={most}"),
        ),
        Some(most) => Check::fine("open_files", format!("at most {most}")),
        None => Check::fine("open_files", "no limit"),
    }
}

/// The chain's configuration, which the node reads when it starts: the one file `config.*` in the folder of the chain.
pub fn chain_config(folder: &Path, chain: &str) -> Check {
    let name = "chain_config";
    let folder = folder.join(chain);
    let shown = folder.display();
    let defaults =
        "without it the chain runs with its defaults; the folder is named by the chain's id";
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => return Check::doubtful(name, format!("{shown}: {error}"), defaults),
    };
    let files = entries.flatten().map(|entry| entry.path());
    let files: Vec<_> = files
        .filter(|path| path.file_stem().is_some_and(|stem| stem == "config"))
        .filter(|path| path.extension().is_some())
        .collect();
    let [file] = files.as_slice() else {
        return match files.len() {
            0 => Check::doubtful(name, format!("{shown} holds no config.toml"), defaults),
            many => Check::wrong(
                name,
                format!("{shown} holds {many} files config.*"),
                "keep one of them: with several the node does not start",
            ),
        };
    };
    let read = fs::read(file).map_err(|error| error.to_string());
    let config =
        read.and_then(|bytes| Config::from_bytes(&bytes).map_err(|error| error.to_string()));
    match config {
        Ok(_) => Check::fine(name, file.display().to_string()),
        Err(error) => Check::wrong(
            name,
            format!("{}: {error}", file.display()),
            "mend it, then restart the node",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;
    use crate::check::Finding;

    fn vm() -> VmId {
        VmId::of_name("test").unwrap()
    }

    /// The outcome of the check of a name, among several.
    fn outcome(checks: &[Check], name: &str) -> Finding {
        let check = checks.iter().find(|check| check.name == name);
        check.unwrap_or_else(|| panic!("no {name}")).outcome
    }

    #[test]
    fn names_are_read_as_the_host_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let id = vm().to_string();
        let check = || outcome(&plugin_dir(dir, vm()), "plugin_names");
        for fine in [
            id.clone(),
            ".hidden".into(),
            format!(".{id}-protocol"),
            "evm".into(),
        ] {
            fs::write(dir.join(fine), "").unwrap();
            assert_eq!(check(), Finding::Fine);
        }
        fs::create_dir(dir.join("a folder")).unwrap();
        assert_eq!(check(), Finding::Fine);
        // A hidden file with a second dot is none to the host; an id with an ending is the id.
        for wrong in ["gridproof", ".two.dots", "README.md", &format!("{id}.old")] {
            fs::write(dir.join(wrong), "").unwrap();
            assert_eq!(check(), Finding::Wrong, "{wrong}");
            fs::remove_file(dir.join(wrong)).unwrap();
        }
        let missing = plugin_dir(&dir.join("missing"), vm());
        assert_eq!(outcome(&missing, "plugin_dir"), Finding::Wrong);
    }

    #[test]
    fn the_plugin_must_be_a_program_and_for_this_host() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let path = dir.join(vm().to_string());
        let check = || outcome(&plugin_dir(dir, vm()), "plugin");
        assert_eq!(check(), Finding::Wrong);
        fs::create_dir(&path).unwrap();
        assert_eq!(check(), Finding::Wrong);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "another build").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check(), Finding::Wrong);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(check(), Finding::Doubtful);
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        assert_eq!(check(), Finding::Fine);

        assert_eq!(pin(dir, vm(), Some(45)).outcome, Finding::Wrong);
        fs::write(protocol_file(&dir.join(vm().to_string())), "45\n").unwrap();
        assert_eq!(pin(dir, vm(), Some(45)).outcome, Finding::Fine);
        assert_eq!(pin(dir, vm(), Some(46)).outcome, Finding::Wrong);
        assert_eq!(pin(dir, vm(), None).outcome, Finding::Skipped);
    }

    #[test]
    fn a_chains_configuration_lies_below_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(chain_config(dir, "chain").outcome, Finding::Doubtful);
        fs::create_dir(dir.join("chain")).unwrap();
        assert_eq!(chain_config(dir, "chain").outcome, Finding::Doubtful);
        let file = dir.join("chain/config.toml");
        for (text, expected) in [
            ("", Finding::Fine),
            ("kept_events = 1_000", Finding::Fine),
            ("kept_event = 1_000", Finding::Wrong),
            ("{}", Finding::Wrong),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(chain_config(dir, "chain").outcome, expected, "{text}");
        }
        fs::write(&file, "").unwrap();
        fs::write(dir.join("chain/config.json"), "").unwrap();
        assert_eq!(
            chain_config(dir, "chain").outcome,
            Finding::Wrong,
            "two files"
        );
    }
}
