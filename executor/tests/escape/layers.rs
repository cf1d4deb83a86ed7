//! Processes that enter some layers only: what gets through without a layer, and not with it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use gridproof_executor::cage::{CageGrants, CageLayer, LayerGap, LayerState, restrict};
use gridproof_executor::{NoResult, ProcessEnd, WorkerHandle, WorkerLimits};
use rustix::process::{Pid, Signal, kill_process};

use types::testing;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    MemorySection, MemoryType, Module, TypeSection,
};

use crate::attempts::in_a_worker;
use crate::place::{Place, REFUSED, SUCCEEDED};

/// Signals that end a process for what it tried.
const DEADLY: [Signal; 2] = [Signal::SYS, Signal::XFSZ];
/// Exit code of a child that lacks a layer on this machine.
const LACKING: u8 = 44;

/// A child: enters the layers that it is told, and starts a thread, in whose place a probe runs if there is one.
pub fn child(names: &[String]) -> ExitCode {
    let is_told = |layer: &CageLayer| names.iter().any(|name| name == layer.name());
    let layers: BTreeSet<_> = CageLayer::ALL.into_iter().filter(is_told).collect();
    let grants = CageGrants {
        data_bytes: 1 << 30,
        cpu_seconds: 60,
    };
    let report = restrict(&layers, grants).unwrap();
    let is_lacking = |layer: &CageLayer| {
        !matches!(
            report.state(*layer),
            LayerState::Held | LayerState::Partly(LayerGap::NoFilter)
        )
    };
    if layers.iter().any(is_lacking) {
        return ExitCode::from(LACKING);
    }
    let ended = std::thread::spawn(|| {
        // Ready, and as long as the pipe is open.
        let _ready = std::io::Write::write_all(&mut std::io::stdout(), b"r\n");
        std::io::stdin().read_to_end(&mut Vec::new())
    });
    ExitCode::from(u8::from(!matches!(ended.join(), Ok(Ok(_)))))
}

fn command(layers: &[CageLayer]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("child")
        .args(layers.iter().map(|layer| layer.name()))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// True if an attempt against a process gets through these layers; `None` if this machine lacks one of them.
fn attempted(layers: &[CageLayer], probe: &str, against: u32) -> Option<bool> {
    let (place, log) = (Place::new(), tempfile::tempfile().unwrap());
    let end = command(layers)
        .envs(place.environment(probe, against))
        // A log, as an operator may have one.
        .stderr(log)
        .status()
        .unwrap();
    match (end.code(), end.signal()) {
        (Some(SUCCEEDED), _) => Some(true),
        (Some(REFUSED), _) => Some(false),
        (None, Some(signal)) if DEADLY.iter().any(|deadly| deadly.as_raw() == signal) => {
            Some(false)
        }
        (Some(code), _) if code == i32::from(LACKING) => None,
        _ => panic!("{probe} ended with {end}"),
    }
}

/// Like [`attempted`], through layers that every machine has.
pub fn attempt(layers: &[CageLayer], probe: &str, against: u32) -> bool {
    attempted(layers, probe, against).unwrap()
}

fn all_but(left_out: &[CageLayer]) -> Vec<CageLayer> {
    let mut layers = CageLayer::ALL.to_vec();
    layers.retain(|layer| !left_out.contains(layer) && *layer != CageLayer::Threads);
    layers
}

pub fn every_layer_stops_something() {
    use CageLayer::{Capabilities, Landlock, Limits, Namespaces, Seccomp};
    // The layer, what else must be left out because it stops the same, and the attempt.
    let rows: [(CageLayer, &[CageLayer], &str); 16] = [
        (Seccomp, &[], "plain_fork"),
        (Seccomp, &[], "change_personality"),
        (Seccomp, &[], "look_at_key"),
        (Seccomp, &[], "memory_that_is_shared"),
        (Seccomp, &[], "be_dumpable"),
        (Seccomp, &[], "outlive_parent"),
        (Limits, &[], "fill_disk"),
        (Limits, &[], "private_memory"),
        (Limits, &[], "memory_made_writable"),
        (Limits, &[], "addresses"),
        (Landlock, &[Seccomp, Limits], "read_key"),
        (Landlock, &[Seccomp, Limits], "create_file"),
        (Landlock, &[Seccomp, Limits], "unlink_file"),
        (Landlock, &[Seccomp, Limits, Namespaces], "tcp_connect"),
        (Namespaces, &[Seccomp, Limits], "udp_send"),
        (Capabilities, &[Seccomp, Limits, Landlock], "unshare_mounts"),
    ];
    let mut seen = BTreeSet::new();
    for (layer, others, probe) in rows {
        let mut left_out = others.to_vec();
        let with = attempted(&all_but(&left_out), probe, std::process::id());
        left_out.push(layer);
        let without = attempted(&all_but(&left_out), probe, std::process::id());
        let (Some(with), Some(without)) = (with, without) else {
            eprintln!("{probe}: this machine lacks a layer of the cage");
            continue;
        };
        assert!(!with, "{probe} gets through {layer:?}");
        assert!(
            without,
            "{probe} does not get through without {layer:?}: it shows nothing"
        );
        seen.insert(layer);
    }
    assert!(seen.contains(&Limits), "no layer was seen");
}

pub fn threads_are_few() {
    let without = all_but(&[]);
    let with: Vec<_> = without
        .iter()
        .copied()
        .chain([CageLayer::Threads])
        .collect();
    match attempted(&with, "thread_bomb", std::process::id()) {
        None => eprintln!("the system does not hold this user to it"),
        Some(with) => assert!(!with && attempt(&without, "thread_bomb", std::process::id())),
    }
}

/// Another process of the same user, without privileges, looks at one that is in its cage.
pub fn nobody_looks_into_a_worker() {
    for (hidden, expected) in [(true, false), (false, true)] {
        let mut layers = vec![CageLayer::Capabilities];
        layers.extend(hidden.then_some(CageLayer::Undumpable));
        let mut observed = command(&layers).spawn().unwrap();
        observed
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut [0])
            .unwrap();
        let seen = attempt(
            &[CageLayer::Capabilities],
            "read_parent_environ",
            observed.id(),
        );
        drop(observed.stdin.take());
        observed.wait().unwrap();
        assert_eq!(seen, expected, "hidden: {hidden}");
    }
}

/// What a worker's program started dies with it if the worker leads a session, as it does in its cage.
pub fn the_group_is_killed() {
    for (leads, survives) in [(true, false), (false, true)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = format!(
            "sleep 1000 >/dev/null & echo $! >{0}.new; mv {0}.new {0}; wait",
            file.display()
        );
        let words = ["/usr/bin/setsid", "/bin/sh", "-c", &script];
        let words = if leads { &words } else { &words[1..] };
        let limits = WorkerLimits::for_inspection();
        let handle = WorkerHandle::spawn(Path::new(words[0]), &words[1..], limits).unwrap();
        let killer = handle.killer();
        let child = until(|| std::fs::read_to_string(&file).ok());
        let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
        killer.kill();
        assert_eq!(handle.inspect(), Err(NoResult::Cancelled));
        if survives {
            kill_process(child, Signal::KILL).unwrap();
        }
        until(|| is_gone(child).then_some(()));
    }
}

/// True if a process has ended, be it waited for or not.
fn is_gone(process: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.map_or(true, |text| text.contains(") Z "))
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::yield_now();
    }
}

/// A program that ends at once and begins with a memory of which the engine makes an image.
fn module_with_an_image() -> Vec<u8> {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    types.ty().function([], []);
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 2,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    exports.export("memory", ExportKind::Memory, 0);
    let mut code = CodeSection::new();
    let mut start = Function::new([]);
    start.instructions().end();
    code.function(&start);
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), vec![7; 65_536]);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}

/// A machine without seccomp: nothing runs unless the caller allows it, and then everything that the engine does works.
pub fn without_seccomp_nothing_runs_unasked() {
    let module = module_with_an_image();
    let place = Place::new();
    for (may_lack_seccomp, expected) in [
        (false, Err(NoResult::NotCaged(LayerGap::NotBuilt))),
        (true, Ok(())),
    ] {
        let mut limits = WorkerLimits::of(&testing::workload(&module, 1), Duration::from_mins(1));
        limits.may_lack_seccomp = may_lack_seccomp;
        assert_eq!(in_a_worker(&place, "no_seccomp", &module, limits), expected);
    }
}

pub fn a_worker_shows_its_cage() {
    let show = |binary: &str, arguments: &[&str]| {
        WorkerHandle::spawn(Path::new(binary), arguments, WorkerLimits::for_inspection())
            .unwrap()
            .inspect()
    };
    let report = show(env!("CARGO_BIN_EXE_worker"), &[]).unwrap();
    for layer in [CageLayer::Limits, CageLayer::Session, CageLayer::Undumpable] {
        assert_eq!(report.state(layer), LayerState::Held);
    }
    // No layer keeps another from being entered.
    for (layer, state) in report.layers() {
        let mut alone = vec![layer];
        alone.extend((layer == CageLayer::Threads).then_some(CageLayer::Namespaces));
        let ended = command(&alone).stdin(Stdio::null()).status().unwrap();
        assert_eq!(
            state == LayerState::Held,
            ended.success(),
            "{layer:?}: {state:?}"
        );
    }
    let end = show("/bin/false", &[]);
    assert_eq!(end, Err(NoResult::Crashed(ProcessEnd::Exited(1))));
}
