//! The child's side: limits itself, runs the tasks, answers, ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use types::codec::{decode, encode};
use types::hash::BlobId;

use super::frame;
use super::protocol::{Answer, MAX_REQUEST_BYTES, Request};
use crate::engine::Engine;
use crate::inputs::Inputs;
use crate::task::{NoResult, run_task};

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

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(most),
            maximum: Some(most),
        },
    )?)
}

fn serve() -> io::Result<()> {
    let mut stdin = io::stdin();
    let request =
        frame::read(&mut stdin, MAX_REQUEST_BYTES)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let most = usize::try_from(MAX_REQUEST_BYTES).map_err(io::Error::other)?;
    let request: Request = decode(&request, most).map_err(io::Error::other)?;
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
        Err(End::NoResult(reason)) => answer(&mut stdout, &Answer::NoResult(reason)),
        Err(End::Pipe(error)) => Err(error),
    }
}

/// Why the child stops before all tasks are answered.
enum End {
    NoResult(NoResult),
    Pipe(io::Error),
}

impl From<NoResult> for End {
    fn from(reason: NoResult) -> Self {
        Self::NoResult(reason)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

fn answer(writer: &mut impl Write, answer: &Answer) -> io::Result<()> {
    frame::write(writer, &encode(answer))
}

fn run(request: &Request, writer: &mut impl Write) -> Result<(), End> {
    let workload = &request.workload;
    let files: BTreeMap<_, _> = request
        .files
        .iter()
        .map(|(blob, path)| (*blob, path.as_str()))
        .collect();
    let read = |blob: BlobId| {
        let path = files.get(&blob).ok_or("no file was named for it")?;
        read_file(path, blob.length).map_err(|error| format!("{path}: {error}"))
    };
    let engine = Engine::new(workload.class)?;
    let module = read(workload.module).map_err(|error| NoResult::Input {
        blob: workload.module,
        error,
    })?;
    if BlobId::of(&module) != workload.module {
        let error = "its bytes have another hash or length".into();
        return Err(NoResult::Input {
            blob: workload.module,
            error,
        }
        .into());
    }
    let inputs = Inputs::load(workload, read)?;
    let program = engine.prepare(workload, &module)?;
    drop(module);
    answer(writer, &Answer::Prepared)?;
    for task in &request.tasks {
        let result = run_task(&program, workload, *task, &inputs)?;
        answer(writer, &Answer::Task(*task, Box::new(result)))?;
    }
    Ok(())
}

/// Reads a file of `length` bytes into as much memory; one of another length is not read at all.
fn read_file(path: &str, length: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != length {
        return Err(io::Error::other(format!(
            "it has {found} bytes instead of {length}"
        )));
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(usize::try_from(length).map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
