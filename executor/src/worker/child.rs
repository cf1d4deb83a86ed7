//! The child's side: opens the blobs, enters the cage, runs the tasks, answers, ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Signal, set_parent_process_death_signal};
use types::codec::{decode, encode};
use types::hash::BlobId;

use super::clock::CompileClock;
use super::frame;
use super::protocol::{ChildAnswer, CodeRequest, MAX_REQUEST_BYTES, TaskRequest, WorkerRequest};
use crate::cage::{CageGrants, CageLayer, CageReport, LayerState, restrict};
use crate::class::Compiler;
use crate::code::{ModuleCode, max_code_bytes};
use crate::engine::TaskEngine;
use crate::inputs::{Inputs, check_blob};
use crate::no_result::{InputProblem, NoResult};
use crate::task::run_task;
use crate::witness::run_witness;

/// What a child is granted that runs nothing.
const INSPECTION: CageGrants = CageGrants {
    data_bytes: 64 << 20,
    cpu_seconds: 10,
};

/// The child: reads a job from stdin, answers on stdout, ends. It never returns to anything that matters.
#[must_use]
pub fn main() -> ExitCode {
    let served = close_what_is_inherited().and_then(|()| serve());
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Closes what the parent, or whoever started it, left open beside the three standard streams.
fn close_what_is_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        inherited.extend(number.filter(|number| *number > 2));
    }
    for number in inherited {
        match nix::unistd::close(number) {
            // The listing's own descriptor is closed already.
            Ok(()) | Err(nix::errno::Errno::EBADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Enters every layer that this machine gives.
fn enter(grants: CageGrants) -> io::Result<CageReport> {
    restrict(&CageLayer::ALL.into(), grants)
}

fn serve() -> io::Result<()> {
    // Before the first wait. The session's layer says it again, after which nothing can change it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut stdin = io::stdin();
    let mut stdout = io::stdout();
    let request = frame::read(&mut stdin, MAX_REQUEST_BYTES)
        .map_err(io::Error::other)?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let request: WorkerRequest = decode(&request, request.len()).map_err(io::Error::other)?;
    let WorkerRequest::Run(request) = request else {
        return answer(&mut stdout, &ChildAnswer::Cage(enter(INSPECTION)?));
    };
    let blobs = match open_blobs(&request) {
        Ok(blobs) => blobs,
        Err(reason) => return answer(&mut stdout, &ChildAnswer::NoResult(reason)),
    };
    let code = request.code.as_ref().map(|code| open_code(&request, code));
    let report = enter(CageGrants {
        data_bytes: request.data_bytes,
        cpu_seconds: request.cpu_seconds,
    })?;
    if let LayerState::Missing(gap) | LayerState::Partly(gap) = report.state(CageLayer::Seccomp)
        && !request.may_lack_seccomp
    {
        return answer(&mut stdout, &ChildAnswer::NoResult(NoResult::NotCaged(gap)));
    }
    // The parent keeps the pipe open as long as it wants answers.
    std::thread::Builder::new()
        .name("parent".into())
        .stack_size(64 << 10)
        .spawn(move || {
            let ended = io::copy(&mut stdin, &mut io::sink());
            std::process::exit(i32::from(ended.is_err()) + 1);
        })?;
    match run(&request, &blobs, code, &mut stdout) {
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

fn run(
    request: &TaskRequest,
    blobs: &BTreeMap<BlobId, OpenBlob>,
    code: Option<OpenCode>,
    writer: &mut impl Write,
) -> Result<(), ChildStop> {
    let workload = &request.workload;
    let read = |blob: BlobId| {
        let opened = blobs.get(&blob).ok_or(InputProblem::NotNamed)?;
        opened.read(blob.length)
    };
    let blob = workload.module;
    let code = code.map(|kept| {
        // One that cannot be read is as if there was none.
        let kept = kept.0.and_then(|kept| kept.read(kept.length).ok());
        Arc::new(ModuleCode::new(blob, kept.as_deref()))
    });
    let module = read(blob).map_err(|problem| NoResult::Input { blob, problem })?;
    check_blob(blob, &module)?;
    let mut inputs = Inputs::load(workload, read)?.after_state(workload, &request.state, read)?;
    let engine = match &code {
        Some(code) if request.compiler == Compiler::Optimizing => {
            TaskEngine::with_code(workload.class, Arc::clone(code))
        }
        _ => TaskEngine::with_compiler(workload.class, request.compiler),
    }?;
    let judged = engine.judge(workload, &module)?;
    drop(module);
    let clock = match judged.compile_charge() {
        Some(charge) if request.compiler == Compiler::Optimizing => {
            Some(CompileClock::start(request.compile.of(charge), say_late)?)
        }
        _ => None,
    };
    let program = engine.finish(judged)?;
    if let Some(clock) = clock {
        clock.stop();
    }
    if let Some(kept) = code.and_then(|code| code.to_keep()) {
        answer(writer, &ChildAnswer::Code(kept))?;
    }
    answer(writer, &ChildAnswer::Prepared)?;
    for task in &request.tasks {
        let mut result = run_task(&program, workload, *task, &inputs)?;
        if let Some(draw) = &request.witness_draw {
            let used = result.outcome.fuel;
            let witness = run_witness(&program, workload, *task, &inputs, (used, draw))?;
            result.witness = Some(witness);
        }
        let told = ChildAnswer::Task(*task, Box::new(result));
        answer(writer, &told)?;
        if let ChildAnswer::Task(_, run) = told
            && workload.state.is_chain()
        {
            inputs = inputs.after_outputs(workload, run.outputs);
        }
    }
    Ok(())
}

/// Says that the compiler's time is used up, and ends the process.
fn say_late() {
    let said = answer(&mut io::stdout(), &ChildAnswer::CompileLate);
    std::process::exit(i32::from(said.is_err()) + 1);
}

/// A blob's file, opened before the cage is entered.
struct OpenBlob {
    path: String,
    length: u64,
    file: File,
}

/// The file with the module's compiled code, if there is one.
struct OpenCode(Option<OpenBlob>);

/// Opens it if it is there and not too long: it may have gone meanwhile.
fn open_code(request: &TaskRequest, code: &CodeRequest) -> OpenCode {
    let opened = code.file.clone().and_then(|path| {
        let file = File::open(&path).ok()?;
        let length = file.metadata().ok()?.len();
        Some(OpenBlob { path, length, file })
    });
    OpenCode(opened.filter(|opened| opened.length <= max_code_bytes(request.workload.module)))
}

fn open_blobs(request: &TaskRequest) -> Result<BTreeMap<BlobId, OpenBlob>, NoResult> {
    let mut opened = BTreeMap::new();
    for (blob, path) in &request.files {
        let file = open(path, blob.length).map_err(|problem| NoResult::Input {
            blob: *blob,
            problem,
        })?;
        let (path, length) = (path.clone(), blob.length);
        opened.insert(*blob, OpenBlob { path, length, file });
    }
    Ok(opened)
}

fn unreadable(path: &str, message: &impl ToString) -> InputProblem {
    InputProblem::Unreadable {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

/// Opens a file of `length` bytes; one of another length is not read at all.
fn open(path: &str, length: u64) -> Result<File, InputProblem> {
    let failed = |error: io::Error| unreadable(path, &error);
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    if found == length {
        Ok(file)
    } else {
        let path = path.to_owned();
        Err(InputProblem::OtherLength { path, found })
    }
}

impl OpenBlob {
    /// Reads `length` bytes from the start into as much memory.
    fn read(&self, length: u64) -> Result<Vec<u8>, InputProblem> {
        let Self { path, file, .. } = self;
        let mut file = file;
        let mut bytes = Vec::new();
        usize::try_from(length)
            .map_err(|error| unreadable(path, &error))
            .and_then(|length| {
                let reserved = bytes.try_reserve_exact(length);
                reserved.map_err(|error| unreadable(path, &error))
            })?;
        // The module may be an input as well.
        let read = file
            .rewind()
            .and_then(|()| file.take(length).read_to_end(&mut bytes));
        read.map_err(|error| unreadable(path, &error))?;
        Ok(bytes)
    }
}
