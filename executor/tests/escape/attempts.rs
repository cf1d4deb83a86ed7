//! Every probe, in a real worker with its whole cage, and in a process with none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gridproof_executor::worker::WorkerJob;
use gridproof_executor::{NoResult, ProcessEnd, WorkerHandle, WorkerLimits};
use rustix::process::Signal;
use types::attestation::Exit;
use types::hash::BlobId;
use types::job::TaskState;
use types::number::TaskIndex;
use types::testing;

use crate::layers::attempt;
use crate::place::{Place, REFUSED, SUCCEEDED, probes};

/// A module that is never parsed, because the attempt comes before.
const MODULE: &[u8] = b"no module, and no byte of it is parsed";

/// Probes that get through for any user of any Linux where nothing stops them. What the others need besides, such as
/// root or a kernel that was built with it, not every machine has.
const ANYWHERE: [&str; 45] = [
    "read_passwd",
    "read_key",
    "read_key_by_own_root",
    "read_key_by_own_cwd",
    "read_own_proc",
    "list_root",
    "look_at_key",
    "ask_for_key",
    "overwrite_key",
    "create_file",
    "make_folder",
    "make_pipe_file",
    "unlink_file",
    "rename_file",
    "link_file",
    "symlink_file",
    "chmod_file",
    "truncate_file",
    "touch_file",
    "tcp_connect",
    "tcp_bind",
    "udp_send",
    "unix_connect",
    "abstract_connect",
    "netlink",
    "socket_pair",
    "plain_fork",
    "clone_process",
    "outlive",
    "execute",
    "execute_from_memory",
    "memory_file",
    "signal_parent",
    "signal_parent_thread",
    "queue_signal",
    "be_traced",
    "any_ioctl",
    "watch_files",
    "new_pipe",
    "more_descriptors",
    "be_dumpable",
    "outlive_parent",
    "new_filter",
    "memory_that_is_shared",
    "thread_bomb",
];

/// Runs a job in a real worker that makes an attempt as soon as it is in its cage.
pub fn in_a_worker(
    place: &Place,
    probe: &str,
    module: &[u8],
    limits: WorkerLimits,
) -> Result<(), NoResult> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module");
    std::fs::write(&path, module).unwrap();
    let job = WorkerJob {
        workload: testing::workload(module, 1),
        tasks: vec![TaskIndex(0)],
        state: TaskState::default(),
        witness_draw: None,
        files: BTreeMap::from([(BlobId::of(module), path)]),
    };
    let environment = place.environment(probe, std::process::id());
    let mut arguments: Vec<String> = environment
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    arguments.push(env!("CARGO_BIN_EXE_worker").to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    WorkerHandle::spawn(Path::new("/usr/bin/env"), &arguments, limits)
        .unwrap()
        .run_job(&job, |_, run| {
            assert_eq!(run.outcome.exit, Exit::Code { code: 0 });
            Ok(())
        })
        .map(|_| ())
}

pub fn nothing_gets_out() {
    let (mut out, mut harmed, mut killed) = (Vec::new(), Vec::new(), 0);
    let probes = probes();
    assert!(probes.len() >= 100, "the probes were not found");
    for &probe in &probes {
        let place = Place::new();
        let is_root = rustix::process::getuid().is_root();
        let limits = WorkerLimits::of(&testing::workload(MODULE, 1), Duration::from_mins(1));
        match in_a_worker(&place, probe, MODULE, limits).unwrap_err() {
            NoResult::Crashed(ProcessEnd::Killed(signal)) if signal == Signal::SYS.as_raw() => {
                killed += 1;
            }
            NoResult::Crashed(ProcessEnd::Exited(REFUSED)) => {}
            // The system does not count root's threads.
            NoResult::Crashed(ProcessEnd::Exited(SUCCEEDED))
                if probe == "thread_bomb" && is_root => {}
            end => out.push((probe, end)),
        }
        if !place.is_whole() {
            harmed.push(probe);
        }
    }
    assert!(
        out.is_empty(),
        "{} of {} got out or ended in another way: {out:?}",
        out.len(),
        probes.len()
    );
    assert!(harmed.is_empty(), "these left something: {harmed:?}");
    assert!(
        killed > probes.len() / 2,
        "{killed} of {} were killed",
        probes.len()
    );
}

pub fn without_a_cage_it_would() {
    let refused: Vec<_> = probes()
        .into_iter()
        .filter(|probe| !attempt(&[], probe, std::process::id()))
        .collect();
    let missed: Vec<_> = ANYWHERE
        .iter()
        .filter(|probe| refused.contains(probe))
        .collect();
    assert!(
        missed.is_empty(),
        "these attempts would fail anywhere: {missed:?}"
    );
}
