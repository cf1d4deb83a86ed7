//! The child's side: limits itself, runs the tasks, answers, ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use types::codec::{decode, encode};
use types::hash::BlobId;

use super::frame;
use super::protocol::{ChildAnswer, MAX_REQUEST_BYTES, WorkerRequest};
use crate::engine::TaskEngine;
use crate::inputs::{Inputs, check_blob};
use crate::no_result::{InputProblem, NoResult};
use crate::task::run_task;

/// Files that the child may have open at a time: the three pipes, an input, and some that the system opens.
const MAX_OPEN_FILES: u64 = 32;

/// The child: reads a job from stdin, answers on stdout, ends. It never returns to anything that matters.
#[must_use]
pub fn main() -> ExitCode {
    let served = harden().and_then(|()| serve());
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What does not depend on the job: die with the parent, gain no privileges, leave no core.
fn harden() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, MAX_OPEN_FILES)
}

fn limit(resource: Resource, max: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(max),
            maximum: Some(max),
        },
    )?)
}

fn serve() -> io::Result<()> {
    let mut stdin = io::stdin();
    let request = frame::read(&mut stdin, MAX_REQUEST_BYTES)
        .map_err(io::Error::other)?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let request: WorkerRequest = decode(&request, request.len()).map_err(io::Error::other)?;
    limit(Resource::Data, request.data_bytes)?;
    limit(Resource::Cpu, request.cpu_seconds)?;
    // The parent keeps the pipe open as long as it wants answers.
    std::thread::Builder::new()
        .name("parent".into())
        .stack_size(64 << 10)
        .spawn(move || {
            let ended = io::copy(&mut stdin, &mut io::sink());
            std::process::exit(i32::from(ended.is_err()) + 1);
        })?;
    let mut stdout = io::stdout();
    match run(&request, &mut stdout) {
        Ok(()) => Ok(()),
        Err(ChildStop::NoResult(reason)) => answer(&mut stdout, &ChildAnswer::NoResult(reason)),
        Err(ChildStop::Pipe(error)) => Err(error),
    }
}

/// Why the child stops before all tasks are answered.
enum ChildStop {
    NoResult(NoResult),
    Pipe(io::Error),
}

impl From<NoResult> for ChildStop {
    fn from(reason: NoResult) -> Self {
        Self::NoResult(reason)
    }
}

impl From<io::Error> for ChildStop {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

fn answer(writer: &mut impl Write, answer: &ChildAnswer) -> io::Result<()> {
    frame::write(writer, &encode(answer))
}

fn run(request: &WorkerRequest, writer: &mut impl Write) -> Result<(), ChildStop> {
    let workload = &request.workload;
    let files: BTreeMap<_, _> = request
        .files
        .iter()
        .map(|(blob, path)| (*blob, path.as_str()))
        .collect();
    let read = |blob: BlobId| {
        let path = files.get(&blob).ok_or(InputProblem::NotNamed)?;
        read_file(path, blob.length)
    };
    let engine = TaskEngine::new(workload.class)?;
    let blob = workload.module;
    let module = read(blob).map_err(|problem| NoResult::Input { blob, problem })?;
    check_blob(blob, &module)?;
    let inputs = Inputs::load(workload, read)?;
    let program = engine.prepare(workload, &module)?;
    drop(module);
    answer(writer, &ChildAnswer::Prepared)?;
    for task in &request.tasks {
        let result = run_task(&program, workload, *task, &inputs)?;
        answer(writer, &ChildAnswer::Task(*task, Box::new(result)))?;
    }
    Ok(())
}

/// Reads a file of `length` bytes into as much memory; one of another length is not read at all.
fn read_file(path: &str, length: u64) -> Result<Vec<u8>, InputProblem> {
    let unreadable = |message: String| InputProblem::Unreadable {
        path: path.to_owned(),
        message,
    };
    let failed = |error: io::Error| unreadable(error.to_string());
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    if found != length {
        let path = path.to_owned();
        return Err(InputProblem::OtherLength { path, found });
    }
    let mut bytes = Vec::new();
    usize::try_from(length)
        .map_err(|error| unreadable(error.to_string()))
        .and_then(|length| {
            let reserved = bytes.try_reserve_exact(length);
            reserved.map_err(|error| unreadable(error.to_string()))
        })?;
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
