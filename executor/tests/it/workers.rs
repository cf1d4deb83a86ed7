//! Real child processes: results equal those in this process, limits hold, and whatever goes wrong is no result.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gridproof_executor::worker::{WorkerJob, WorkerKiller};
use gridproof_executor::{NoResult, ProcessEnd, TaskRun, WorkerHandle, WorkerLimits};
use rustix::process::{Pid, Signal, kill_process};
use types::attestation::Exit;
use types::hash::BlobId;
use types::job::{TaskSet, TaskState};
use types::number::{Fuel, TaskIndex};
use wasm_encoder::BlockType;

use crate::modules::{Parts, module, module_of};
use crate::support::{Job, numbers, program};

const WALL: Duration = Duration::from_mins(1);

/// The worker binary, which cargo builds before the tests.
pub fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_worker"))
}

/// A job's blobs in files of a folder.
pub fn on_disk(job: &Job, tasks: u32, folder: &Path) -> WorkerJob {
    let files = job.blobs.iter().map(|(blob, bytes)| {
        let path = folder.join(blob.hash.to_string());
        std::fs::write(&path, bytes).unwrap();
        (*blob, path)
    });
    WorkerJob {
        workload: job.workload.clone(),
        tasks: (0..tasks).map(TaskIndex).collect(),
        state: TaskState::default(),
        witness_draw: None,
        files: files.collect(),
    }
}

fn run(job: &WorkerJob, limits: WorkerLimits) -> (Vec<(TaskIndex, TaskRun)>, Result<(), NoResult>) {
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    let mut runs = Vec::new();
    let result = handle.run_job(job, |task, run| {
        runs.push((task, run));
        Ok(())
    });
    (runs, result.map(|_| ()))
}

fn run_with(job: &Job, change: impl FnOnce(&mut WorkerLimits)) -> Result<(), NoResult> {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = WorkerLimits::of(&job.workload, WALL);
    change(&mut limits);
    run(&on_disk(job, 1, folder.path()), limits).1
}

fn endless() -> Job {
    let bytes = module(|code| {
        code.loop_(BlockType::Empty).br(0).end();
    });
    Job::new(&bytes).with(|workload| workload.limits.fuel = Fuel(1 << 50))
}

#[test]
fn a_worker_gives_the_outcomes_that_this_process_gives() {
    let job = Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv")
        .with(|workload| workload.tasks = TaskSet::all(3));
    let folder = tempfile::tempdir().unwrap();
    let (runs, result) = run(
        &on_disk(&job, 3, folder.path()),
        WorkerLimits::of(&job.workload, WALL),
    );
    assert_eq!(result, Ok(()));
    let here: Vec<_> = (0..3)
        .map(|index| (TaskIndex(index), job.try_run(index).unwrap()))
        .collect();
    assert!(runs == here);
}

/// Compiling takes far more memory than a module has bytes.
#[test]
fn a_worker_has_room_to_compile_a_go_program() {
    let job = Job::new(&program("words"))
        .input("/in/data", b"some words")
        .output("words", "/out/words.csv")
        .with(|workload| {
            (workload.limits.memory_bytes, workload.limits.output_bytes) = (32 << 20, 1 << 10);
        });
    let folder = tempfile::tempdir().unwrap();
    let limits = WorkerLimits::of(&job.workload, WALL.saturating_mul(5));
    let (runs, result) = run(&on_disk(&job, 1, folder.path()), limits);
    assert_eq!(result, Ok(()));
    assert_eq!(runs, [(TaskIndex(0), job.run())]);
    assert_eq!(
        runs[0].1.outputs[0].as_deref(),
        Some(b"some,1\nwords,1\n".as_slice())
    );
}

#[test]
fn a_module_that_cannot_run_has_a_result_as_well() {
    let job = Job::new(b"this is no module");
    let folder = tempfile::tempdir().unwrap();
    let (runs, result) = run(
        &on_disk(&job, 1, folder.path()),
        WorkerLimits::of(&job.workload, WALL),
    );
    assert_eq!((result, runs[0].1.outcome.exit), (Ok(()), Exit::Invalid));
}

/// Waits until a worker runs a task, which it does on a thread of that name.
fn wait_for_a_task(worker: u32) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let threads = PathBuf::from(format!("/proc/{worker}/task"));
    let is_task = |thread: std::io::Result<std::fs::DirEntry>| {
        let name = std::fs::read_to_string(thread?.path().join("comm"))?;
        Ok::<_, std::io::Error>(name.trim() == "task")
    };
    // Threads come and go while they are listed.
    while !std::fs::read_dir(&threads)
        .unwrap()
        .any(|thread| is_task(thread).unwrap_or(false))
    {
        assert!(Instant::now() < deadline, "it never runs a task");
        std::thread::yield_now();
    }
}

/// Lets a worker run the endless job and does something to it once the task runs.
fn during_a_task(wall: Duration, act: impl FnOnce(u32, &WorkerKiller)) -> (u32, NoResult) {
    let (job, folder) = (endless(), tempfile::tempdir().unwrap());
    let job = on_disk(&job, 1, folder.path());
    let limits = WorkerLimits::of(&job.workload, wall);
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    let (id, killer) = (handle.id(), handle.killer());
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| handle.run_job(&job, |_, _| Ok(())));
        wait_for_a_task(id);
        act(id, &killer);
        running.join().unwrap()
    });
    (id, result.unwrap_err())
}

fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn a_worker_that_takes_too_long_is_killed() {
    let wall = Duration::from_secs(4);
    let started = Instant::now();
    let (id, end) = during_a_task(wall, |id, _| assert!(exists(id)));
    assert_eq!(
        end,
        NoResult::TimedOut {
            milliseconds: 4_000
        }
    );
    assert!(started.elapsed() >= wall && !exists(id));
}

#[test]
fn a_worker_that_uses_up_its_processor_time_is_no_result() {
    let result = run_with(&endless(), |limits| limits.cpu = Duration::ZERO);
    assert!(matches!(result, Err(NoResult::Crashed(_))), "{result:?}");
}

#[test]
fn a_worker_can_be_cancelled_from_another_thread() {
    let (id, end) = during_a_task(WALL, |_, killer| killer.kill());
    assert_eq!(end, NoResult::Cancelled);
    assert!(!exists(id));
}

/// Whatever kills a worker from outside, or what it did against the cage, is never how the program ended.
#[test]
fn a_worker_that_a_signal_ends_is_no_result() {
    for signal in [Signal::SYS, Signal::XFSZ, Signal::ABORT, Signal::KILL] {
        let (id, end) = during_a_task(WALL, |id, _| {
            let id = Pid::from_raw(id.try_into().unwrap()).unwrap();
            kill_process(id, signal).unwrap();
        });
        let killed = ProcessEnd::Killed(signal.as_raw());
        assert_eq!(end, NoResult::Crashed(killed));
        assert!(!exists(id));
    }
}

#[test]
fn memory_that_the_job_allows_and_the_host_refuses_is_no_result() {
    // Grows to half of what the job allows and leaves with what the growth gave.
    let bytes = module(|code| {
        code.i32_const(16_384)
            .memory_grow(0)
            .call(crate::modules::PROC_EXIT);
    });
    let job = Job::new(&bytes).with(|workload| workload.limits.memory_bytes = 2 << 30);
    assert_eq!(run_with(&job, |_| ()), Ok(()));
    let result = run_with(&job, |limits| limits.data_bytes = 512 << 20);
    assert!(
        matches!(result, Err(NoResult::HostMemory { .. })),
        "{result:?}"
    );
}

#[test]
fn a_refusal_by_the_host_is_no_result_in_a_start_section_too() {
    // Asks for more than the job allows, which is denied on every host, then for less.
    let parts = Parts {
        is_start_section: true,
        ..Parts::default()
    };
    let bytes = module_of(&parts, |code| {
        code.i32_const(60_000)
            .memory_grow(0)
            .drop()
            .i32_const(16_384)
            .memory_grow(0)
            .call(crate::modules::PROC_EXIT);
    });
    let job = Job::new(&bytes).with(|workload| workload.limits.memory_bytes = 2 << 30);
    assert_eq!(job.exit(), Exit::Code { code: 1 });
    let result = run_with(&job, |limits| limits.data_bytes = 512 << 20);
    assert!(
        matches!(result, Err(NoResult::HostMemory { .. })),
        "{result:?}"
    );
}

#[test]
fn wrong_inputs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::new(&program("histogram")).input("/in/data", b"1\n2\n");
    let blob = BlobId::of(b"1\n2\n");
    let limits = WorkerLimits::of(&job.workload, WALL);

    let mut missing = on_disk(&job, 1, folder.path());
    missing.files.remove(&blob);
    assert!(
        matches!(run(&missing, limits.clone()).1, Err(NoResult::Input { blob: named, .. }) if named == blob)
    );

    let gone = on_disk(&job, 1, folder.path());
    std::fs::remove_file(&gone.files[&blob]).unwrap();
    assert!(
        matches!(run(&gone, limits.clone()).1, Err(NoResult::Input { blob: named, .. }) if named == blob)
    );

    for changed in ["1\n3\n", "1\n2\n\n", "1\n"] {
        let job = on_disk(&job, 1, folder.path());
        std::fs::write(&job.files[&blob], changed).unwrap();
        let result = run(&job, limits.clone()).1;
        assert!(
            matches!(result, Err(NoResult::Input { blob: named, .. }) if named == blob),
            "{changed:?}"
        );
    }
}

/// A blob is counted once in a worker's limits, as on chain, so it is held once.
#[test]
fn a_blob_under_many_targets_is_held_once() {
    let bytes = module(|code| {
        code.nop();
    });
    let blob = vec![7; 64 << 20];
    let mut job = Job::new(&bytes).stdin(&blob);
    for target in 0..64 {
        job = job.input(&format!("/in/{target:02}"), b"");
    }
    let named = job.workload.stdin.unwrap();
    job = job.with(|workload| {
        workload
            .inputs
            .as_mut_slice()
            .iter_mut()
            .for_each(|input| input.blob = named);
    });
    job.blobs.remove(&BlobId::of(b""));
    assert_eq!(run_with(&job, |_| ()), Ok(()));
    // Nor is there ever a second copy of it beside the stack of the task.
    let scarce = |limits: &mut WorkerLimits| limits.data_bytes = (64 + 164) << 20;
    assert_eq!(run_with(&job, scarce), Ok(()));
}

#[test]
fn what_is_no_worker_is_no_result() {
    let (job, folder) = (Job::new(b"any"), tempfile::tempdir().unwrap());
    let job = on_disk(&job, 1, folder.path());
    let limits = WorkerLimits {
        wall: Duration::from_secs(2),
        ..WorkerLimits::of(&job.workload, WALL)
    };
    let spawn = |binary: &str, arguments: &[&str]| {
        WorkerHandle::spawn(Path::new(binary), arguments, limits.clone())
    };
    let start = spawn("/nonexistent/gridproof", &[]);
    assert!(matches!(start, Err(NoResult::Start { .. })), "{start:?}");
    let ended = |binary, arguments: &[&str]| {
        spawn(binary, arguments)
            .unwrap()
            .run_job(&job, |_, _| Ok(()))
            .map(|_| ())
    };
    assert_eq!(
        ended("/bin/false", &[]),
        Err(NoResult::Crashed(ProcessEnd::Exited(1)))
    );
    // What it reads is a frame, but no answer.
    assert!(matches!(ended("/bin/cat", &[]), Err(NoResult::Garbled(_))));
    assert!(matches!(
        ended("/bin/echo", &["far more than eight bytes"]),
        Err(NoResult::Garbled(_))
    ));
    assert_eq!(
        ended("/bin/sleep", &["1000"]),
        Err(NoResult::TimedOut {
            milliseconds: 2_000
        })
    );
}

#[test]
fn a_worker_sees_no_environment() {
    let (job, folder) = (endless(), tempfile::tempdir().unwrap());
    let job = on_disk(&job, 1, folder.path());
    let limits = WorkerLimits::of(&job.workload, WALL);
    // Whatever this program prints is taken for an answer.
    let handle = WorkerHandle::spawn(Path::new("/usr/bin/env"), &[], limits).unwrap();
    let result = handle.run_job(&job, |_, _| Ok(()));
    assert!(matches!(result, Err(NoResult::Crashed(_))), "{result:?}");
}

#[test]
fn a_worker_has_its_limits() {
    let (job, folder) = (endless(), tempfile::tempdir().unwrap());
    let job = on_disk(&job, 1, folder.path());
    let mut limits = WorkerLimits::of(&job.workload, WALL);
    (limits.data_bytes, limits.cpu) = (700 << 20, Duration::from_secs(55));
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    let (pid, killer) = (handle.id(), handle.killer());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| handle.run_job(&job, |_, _| Ok(())));
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        // The last limit is set when the job has arrived.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !read("limits").contains("734003200") {
            assert!(Instant::now() < deadline, "{}", read("limits"));
            std::thread::yield_now();
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while !read("limits")
            .lines()
            .any(|line| line.starts_with("Max cpu time") && line.contains("56"))
        {
            assert!(Instant::now() < deadline, "{}", read("limits"));
        }
        let limits = read("limits");
        let limit = |name: &str| {
            limits
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        assert!(limit("Max core file size").contains(" 0 "), "{limits}");
        assert!(limit("Max open files").contains(" 0 "), "{limits}");
        assert!(limit("Max file size").contains(" 0 "), "{limits}");
        assert!(
            !limit("Max address space").contains("unlimited"),
            "{limits}"
        );
        assert!(
            read("status").contains("NoNewPrivs:\t1"),
            "{}",
            read("status")
        );
        let status = read("status");
        for held in ["Seccomp:\t2", "CapEff:\t0000000000000000"] {
            assert!(status.contains(held), "{status}");
        }
        killer.kill();
        assert_eq!(running.join().unwrap(), Err(NoResult::Cancelled));
    });
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "the worker is gone when its job is"
    );
}

#[test]
fn a_worker_without_a_parent_ends() {
    let mut child = std::process::Command::new(worker())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&7u64.to_le_bytes()).unwrap();
    drop(stdin);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_caller_that_has_had_enough_ends_the_job() {
    let job = Job::new(&program("kernel")).with(|workload| workload.tasks = TaskSet::all(5));
    let folder = tempfile::tempdir().unwrap();
    let job = on_disk(&job, 5, folder.path());
    let handle = WorkerHandle::spawn(
        &worker(),
        &["worker"],
        WorkerLimits::of(&job.workload, WALL),
    )
    .unwrap();
    let mut seen = 0;
    let result = handle.run_job(&job, |_, _| {
        seen += 1;
        if seen == 2 {
            Err(NoResult::Cancelled)
        } else {
            Ok(())
        }
    });
    assert_eq!((result, seen), (Err(NoResult::Cancelled), 2));
}
