//! Running one task, and how it ends.

use borsh::{BorshDeserialize, BorshSerialize};
use instrument::START_EXPORT;
use types::attestation::{Exit, Outcome, Trap};
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::Workload;
use types::number::{Fuel, TaskIndex};
use wasmtime::{InstancePre, Store};

use crate::class::THREAD_STACK_BYTES;
use crate::counters::{ProgramCounters, ProgramMark};
use crate::engine::{Program, ProgramBody, TaskEngine};
use crate::flaw::ENTRY;
use crate::inputs::Inputs;
use crate::limiter::BeginsTooLarge;
use crate::no_result::{HostStep, NoResult, WorkloadFlaw, host_error};
use crate::wasi::{ProgramEnd, TaskHost};

/// What a task left: its outcome and the bytes that the outcome names.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TaskRun {
    /// How it ended; equal on every machine.
    pub outcome: Outcome,
    /// Bytes of standard output, within the output limit.
    pub stdout: Vec<u8>,
    /// Bytes of standard error, within the output limit.
    pub stderr: Vec<u8>,
    /// The declared outputs in the workload's order; nothing where the file was not written.
    pub outputs: Vec<Option<Vec<u8>>>,
    /// Where one was asked for, the witness of the run, see [`crate::witness`].
    pub witness: Option<Hash32>,
}

/// Runs one task in this process, on a thread of its own with the class's stack. Nothing but its fuel limit ends
/// it: where a task must be stopped, run it in a [`crate::worker`].
pub fn run_task(
    program: &Program,
    workload: &Workload,
    index: TaskIndex,
    inputs: &Inputs,
) -> Result<TaskRun, NoResult> {
    if program.engine.prepares && program.engine.class() != workload.class {
        return Err(NoResult::Class {
            class: workload.class,
        });
    }
    if program.blob != workload.module {
        return Err(NoResult::Workload(WorkloadFlaw::OtherModule {
            program: program.blob,
            workload: workload.module,
        }));
    }
    let host = TaskHost::new(workload, index, inputs).map_err(NoResult::Workload)?;
    let upfront = inputs.upfront(workload);
    let limit = workload.limits.fuel.0;
    let Some(left) = limit.checked_sub(upfront) else {
        return Ok(finish(workload, host, Exit::OutOfFuel, limit));
    };
    match &program.body {
        ProgramBody::Unaffordable { complexity_fuel } if *complexity_fuel > left => {
            Ok(finish(workload, host, Exit::OutOfFuel, limit))
        }
        ProgramBody::Unaffordable { .. } => Err(NoResult::Workload(WorkloadFlaw::NotCompiled {
            program: program.blob,
        })),
        ProgramBody::Refused {
            complexity_fuel, ..
        } => match left.checked_sub(*complexity_fuel) {
            Some(left) => Ok(finish(workload, host, Exit::Invalid, limit - left)),
            None => Ok(finish(workload, host, Exit::OutOfFuel, limit)),
        },
        ProgramBody::Ready {
            instance,
            complexity_fuel,
        } => {
            let Some(left) = left.checked_sub(*complexity_fuel) else {
                return Ok(finish(workload, host, Exit::OutOfFuel, limit));
            };
            let run = || execute(&program.engine, instance, host, left, false);
            let ended = on_class_stack(run)??;
            Ok(close(workload, ended.host, ended.exit, ended.left))
        }
    }
}

/// Runs on a thread of its own with the class's stack.
pub(crate) fn on_class_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, NoResult> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("task".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn_scoped(scope, run)
            .map_err(|error| NoResult::HostMemory {
                step: HostStep::StartThread,
                message: error.to_string(),
            })?;
        thread.join().map_err(|_| NoResult::Engine {
            step: HostStep::Run,
            message: "it panicked".into(),
        })
    })
}

/// What a program that ended left.
pub(crate) struct EndedProgram {
    /// What it wrote.
    host: TaskHost,
    /// How it ended.
    exit: Exit,
    /// The fuel that was left.
    left: u64,
    /// What it held then, if that was asked for.
    pub(crate) mark: Option<ProgramMark>,
}

/// Runs the program with so much fuel; looks at what it held in the end if `is_marked`.
pub(crate) fn execute(
    engine: &TaskEngine,
    instance: &InstancePre<TaskHost>,
    host: TaskHost,
    left: u64,
    is_marked: bool,
) -> Result<EndedProgram, NoResult> {
    let mut store = Store::new(&engine.wasmtime, host);
    store.limiter(|host| &mut host.limiter);
    let begins_with = instance.module().resources_required();
    store.data_mut().limiter.begin(
        begins_with
            .num_memories
            .saturating_add(begins_with.num_tables),
    );
    let (mut counters, mut running) = (None, None);
    let result = instance.instantiate(&mut store).and_then(|instance| {
        running = Some(instance);
        if engine.prepares {
            counters = Some(ProgramCounters::begin(&instance, &mut store, left)?);
            if let Ok(start) = instance.get_typed_func::<(), ()>(&mut store, START_EXPORT) {
                start.call(&mut store, ())?;
            }
        }
        let entry = instance.get_typed_func::<(), ()>(&mut store, ENTRY)?;
        entry.call(&mut store, ())
    });
    let exit = result.map_or_else(|error| exit_of(&error), |()| Ok(Exit::Code { code: 0 }))?;
    let mark = is_marked.then(|| ProgramMark::of(&mut store, running.as_ref(), counters));
    let (exit, left) = match counters {
        Some(counters) => counters.settle(&mut store, exit),
        None => (exit, left),
    };
    Ok(EndedProgram {
        host: store.into_data(),
        exit,
        left,
        mark,
    })
}

/// How the program ended, by the error that ended it. What is not known to be the program's own end is the host's.
fn exit_of(error: &wasmtime::Error) -> Result<Exit, NoResult> {
    if error.downcast_ref::<BeginsTooLarge>().is_some() {
        return Ok(Exit::Trap { trap: Trap::Other });
    }
    if let Some(stop) = error.downcast_ref::<ProgramEnd>() {
        return Ok(match stop {
            ProgramEnd::Exit(code) => Exit::Code { code: *code },
            ProgramEnd::OutOfFuel => Exit::OutOfFuel,
            ProgramEnd::OutOfOutput => Exit::OutOfOutput,
            ProgramEnd::NoMemory => Exit::Trap { trap: Trap::Other },
        });
    }
    let trap = match error
        .downcast_ref::<wasmtime::Trap>()
        .ok_or_else(|| host_error(HostStep::Run, error))?
    {
        wasmtime::Trap::UnreachableCodeReached => Trap::Unreachable,
        wasmtime::Trap::MemoryOutOfBounds | wasmtime::Trap::TableOutOfBounds => Trap::OutOfBounds,
        wasmtime::Trap::IntegerOverflow
        | wasmtime::Trap::IntegerDivisionByZero
        | wasmtime::Trap::BadConversionToInteger => Trap::Arithmetic,
        wasmtime::Trap::IndirectCallToNull | wasmtime::Trap::BadSignature => Trap::IndirectCall,
        // The engine's own stack, fuel and interrupts among them: none of these is an end in the class.
        _ => return Err(host_error(HostStep::Run, error)),
    };
    Ok(Exit::Trap { trap })
}

/// Settles what is still to pay and keeps what the program left.
fn close(workload: &Workload, mut host: TaskHost, exit: Exit, left: u64) -> TaskRun {
    let limit = workload.limits.fuel.0;
    let growth = host.limiter.take_pending();
    let kept = host.kept_bytes(workload);
    match left
        .checked_sub(growth)
        .and_then(|left| left.checked_sub(kept))
    {
        Some(left) if exit != Exit::OutOfFuel => finish(workload, host, exit, limit - left),
        _ => finish(workload, host, Exit::OutOfFuel, limit),
    }
}

fn finish(workload: &Workload, mut host: TaskHost, exit: Exit, fuel: u64) -> TaskRun {
    let outputs: Vec<_> = workload
        .outputs
        .iter()
        .map(|output| host.tree.take_file(output.path.as_str()))
        .collect();
    let named = outputs
        .iter()
        .map(|output| output.as_deref().map(BlobId::of))
        .collect();
    let outcome = Outcome {
        exit,
        fuel: Fuel(fuel),
        stdout: BlobId::of(&host.stdout),
        stderr: BlobId::of(&host.stderr),
        outputs: Bounded::new(named)
            .expect("a workload declares as many outputs as an outcome holds"),
    };
    TaskRun {
        outcome,
        stdout: host.stdout,
        stderr: host.stderr,
        outputs,
        witness: None,
    }
}

impl TaskRun {
    /// True if the bytes are those that the outcome names.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let named = self
            .outputs
            .iter()
            .map(|output| output.as_deref().map(BlobId::of));
        BlobId::of(&self.stdout) == self.outcome.stdout
            && BlobId::of(&self.stderr) == self.outcome.stderr
            && named.eq(self.outcome.outputs.iter().copied())
    }
}

#[cfg(test)]
pub(crate) mod tests;
