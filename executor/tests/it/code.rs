//! Compiled code that is kept between workers: it saves compiling, changes no outcome, and is taken before anything ran.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gridproof_executor::class::Compiler;
use gridproof_executor::code::max_code_bytes;
use gridproof_executor::worker::{CodeExchange, CompileTime, WorkerJob};
use gridproof_executor::{AnswerFlaw, NoResult, TaskRun, WorkerHandle, WorkerLimits};
use types::job::TaskSet;
use types::number::TaskIndex;

use crate::support::{Job, numbers, program};
use crate::workers::{on_disk, worker};

const WALL: Duration = Duration::from_mins(1);

/// What happened, in its order.
#[derive(Debug, PartialEq)]
enum Seen {
    Kept(Vec<u8>),
    Ran(TaskIndex, Box<TaskRun>),
}

fn run(job: &WorkerJob, file: Option<&Path>) -> (Vec<Seen>, Result<Compiler, NoResult>) {
    let limits = WorkerLimits {
        // The code of a build without optimisation takes its time.
        compile: CompileTime::UNLIMITED,
        ..WorkerLimits::of(&job.workload, WALL)
    };
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    exchange(handle, job, file)
}

fn exchange(
    handle: WorkerHandle,
    job: &WorkerJob,
    file: Option<&Path>,
) -> (Vec<Seen>, Result<Compiler, NoResult>) {
    let seen = std::cell::RefCell::default();
    let mut keep = |code| Vec::push(&mut seen.borrow_mut(), Seen::Kept(code));
    let code = CodeExchange {
        file,
        keep: &mut keep,
    };
    let result = handle.run_job_with_code(job, Some(code), |task, run| {
        seen.borrow_mut().push(Seen::Ran(task, Box::new(run)));
        Ok(())
    });
    (seen.into_inner(), result)
}

fn histogram() -> Job {
    Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv")
        .with(|workload| workload.tasks = TaskSet::all(2))
}

/// What a job's run is without kept code.
fn plain(job: &WorkerJob) -> Vec<Seen> {
    let limits = WorkerLimits::of(&job.workload, WALL);
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    let mut runs = Vec::new();
    let result = handle.run_job(job, |task, run| {
        runs.push(Seen::Ran(task, Box::new(run)));
        Ok(())
    });
    result.unwrap();
    runs
}

/// Splits off what was kept: it must come first.
fn kept_first(mut seen: Vec<Seen>) -> (Option<Vec<u8>>, Vec<Seen>) {
    let runs = seen.split_off(usize::from(matches!(seen.first(), Some(Seen::Kept(_)))));
    assert!(runs.iter().all(|one| matches!(one, Seen::Ran(..))));
    let kept = match seen.pop() {
        Some(Seen::Kept(code)) => Some(code),
        _ => None,
    };
    (kept, runs)
}

#[test]
fn a_later_worker_compiles_nothing_and_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let job = on_disk(&histogram(), 2, folder.path());
    let expected = plain(&job);
    let (first, result) = run(&job, None);
    result.unwrap();
    let (kept, runs) = kept_first(first);
    assert_eq!(runs, expected);
    let kept = kept.expect("the first worker gives its code before any task");
    let file = folder.path().join("code");
    std::fs::write(&file, &kept).unwrap();
    let (second, result) = run(&job, Some(&file));
    result.unwrap();
    assert_eq!(second, expected, "what was kept is not given again");
    // Gone, damaged, cut, too long or another module's: compiled again.
    std::fs::remove_file(&file).unwrap();
    let mut flipped = kept.clone();
    flipped[kept.len() / 2] ^= 1;
    let too_long = usize::try_from(max_code_bytes(job.workload.module) + 1).unwrap();
    for damaged in [
        None,
        Some(flipped),
        Some(kept[1..].to_vec()),
        Some(vec![0; too_long]),
    ] {
        if let Some(bytes) = damaged {
            std::fs::write(&file, bytes).unwrap();
        }
        let (seen, result) = run(&job, Some(&file));
        result.unwrap();
        let (again, runs) = kept_first(seen);
        assert_eq!(runs, expected);
        assert_eq!(again.as_ref(), Some(&kept));
    }
}

/// A program that answers with the given frames, whatever it is asked.
fn says(folder: &Path, frames: &[&[u8]]) -> WorkerHandle {
    let mut said = Vec::new();
    for frame in frames {
        said.extend(u64::try_from(frame.len()).unwrap().to_le_bytes());
        said.extend_from_slice(frame);
    }
    let file = folder.join("said");
    std::fs::write(&file, said).unwrap();
    let script = format!("exec cat {}", file.display());
    let limits = WorkerLimits::for_inspection();
    WorkerHandle::spawn(&PathBuf::from("/bin/sh"), &["-c", &script], limits).unwrap()
}

#[test]
fn code_is_taken_once_before_anything_ran_and_only_if_asked_for() {
    const CODE: &[u8] = &[0, 3, 0, 0, 0, 7, 7, 7];
    const PREPARED: &[u8] = &[1];
    const LATE: &[u8] = &[2];
    let folder = tempfile::tempdir().unwrap();
    let job = on_disk(&histogram(), 1, folder.path());
    let says = |frames: &[&[u8]]| says(folder.path(), frames);
    let not_asked = || Err(NoResult::Garbled(AnswerFlaw::NotAsked));
    let late = || Err(NoResult::Garbled(AnswerFlaw::OtherAnswer(TaskIndex(0))));
    let taken = vec![Seen::Kept(vec![7; 3])];
    let (seen, result) = exchange(says(&[CODE, CODE]), &job, None);
    assert_eq!((&seen, result), (&taken, not_asked()));
    let (seen, result) = exchange(says(&[CODE, PREPARED, CODE]), &job, None);
    assert_eq!((seen, result), (taken, late()));
    let (seen, result) = exchange(says(&[PREPARED, CODE]), &job, None);
    assert_eq!((seen, result), (vec![], late()));
    let unasked = says(&[CODE]).run_job(&job, |_, _| Ok(()));
    assert_eq!(unasked, not_asked());
    // The optimising compiler can be late once; then a second worker is asked for the other one's code.
    let (seen, result) = exchange(says(&[CODE, LATE]), &job, None);
    assert_eq!((seen, result), (vec![Seen::Kept(vec![7; 3])], not_asked()));
    let (seen, result) = exchange(says(&[PREPARED, LATE]), &job, None);
    assert_eq!((seen, result), (vec![], late()));
    // More than the module may have.
    let length = max_code_bytes(job.workload.module) + 1;
    let mut long = vec![0];
    long.extend(u32::try_from(length).unwrap().to_le_bytes());
    long.resize(long.len() + usize::try_from(length).unwrap(), 0);
    let (seen, result) = exchange(says(&[&long]), &job, None);
    assert_eq!((seen, result), (vec![], not_asked()));
}
