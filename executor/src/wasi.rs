//! WASI preview 1 by our own host functions, of which every answer is the same on every machine.
//!
//! A call sees the program's memory, the task's [`TaskHost`] state and the remaining fuel, from which it pays. Clocks
//! start at the workload's time and advance by one nanosecond per unit of fuel; waiting advances them at once.
//! Random bytes come from a stream seeded by the workload and the task's index. There are no sockets and no links.

mod abi;
mod clock;
mod descriptors;
mod directories;
mod files;
mod guest;
mod link;
mod paths;
mod process;
mod tree;

use std::sync::Arc;

use types::codec::Text;
use types::hash::{Domain, Hash32};
use types::job::Workload;
use types::number::TaskIndex;
use wasmtime::{Caller, Extern, Global, Memory};

use crate::fuel::{self, PER_CALL};
use crate::inputs::Inputs;
use crate::limiter::Limiter;
use crate::no_result::WorkloadFlaw;
use abi::Errno;
use descriptors::Descriptors;
use guest::Guest;
use tree::Tree;

pub(crate) use link::HostFunctions;

/// Why a call ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramEnd {
    #[error("exit with code {0}")]
    Exit(u32),
    #[error("the fuel limit was reached")]
    OutOfFuel,
    #[error("the output limit was reached")]
    OutOfOutput,
    #[error("the program exports no memory")]
    NoMemory,
}

/// What a call may give instead of success: a number for the program, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFailure {
    Errno(Errno),
    End(ProgramEnd),
}

impl From<Errno> for CallFailure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ProgramEnd> for CallFailure {
    fn from(end: ProgramEnd) -> Self {
        Self::End(end)
    }
}

/// The state of a task outside its memory.
#[derive(Debug)]
pub(crate) struct TaskHost {
    pub(crate) limiter: Limiter,
    pub(crate) tree: Tree,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    descriptors: Descriptors,
    stdin: Arc<Vec<u8>>,
    stdin_position: usize,
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    random: blake3::OutputReader,
    fuel_limit: u64,
    output_limit: u64,
    clock_start_ns: u64,
    /// Time that was waited for rather than worked for.
    waited_ns: u64,
    memory: Option<Memory>,
    /// The counter of fuel in the prepared module, once there is an instance; a module that was not prepared has none.
    pub(crate) fuel: Option<Global>,
}

fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

impl TaskHost {
    /// The state that a task starts from, or which rule its workload breaks.
    pub(crate) fn new(
        workload: &Workload,
        index: TaskIndex,
        inputs: &Inputs,
    ) -> Result<Self, WorkloadFlaw> {
        let start = workload.clock_start_ns;
        let mut tree = Tree::new(start);
        for (path, bytes) in inputs.files.iter().chain(&inputs.state) {
            if !tree.add_input(path, Arc::clone(bytes), start) {
                let target = path.clone();
                return Err(WorkloadFlaw::InputTarget { target });
            }
        }
        for output in &workload.outputs {
            let path = output.path.as_str();
            if !tree.prepare_output(path, start) {
                let path = path.to_owned();
                return Err(WorkloadFlaw::OutputPath { path });
            }
        }
        let arguments =
            std::iter::once("program").chain(workload.arguments.iter().map(Text::as_str));
        let mut environment: std::collections::BTreeMap<&str, String> = workload
            .environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().to_owned()))
            .collect();
        environment.insert("GRIDPROOF_TASK_COUNT", workload.tasks.array().to_string());
        environment.insert("GRIDPROOF_TASK_INDEX", index.to_string());
        let seed = Hash32::of(Domain::TASK_RANDOM, &(workload.random_seed, index));
        Ok(Self {
            limiter: Limiter::new(workload.limits.memory_bytes),
            tree,
            stdout: Vec::new(),
            stderr: Vec::new(),
            descriptors: Descriptors::new(),
            stdin: Arc::clone(&inputs.stdin),
            stdin_position: 0,
            arguments: arguments.map(terminated).collect(),
            environment: environment
                .iter()
                .map(|(key, value)| terminated(&format!("{key}={value}")))
                .collect(),
            random: blake3::Hasher::new_keyed(&seed.0).finalize_xof(),
            fuel_limit: workload.limits.fuel.0,
            output_limit: workload.limits.output_bytes,
            clock_start_ns: start,
            waited_ns: 0,
            memory: None,
            fuel: None,
        })
    }

    /// Bytes of standard output, standard error and the declared outputs, which are kept and paid for.
    pub(crate) fn kept_bytes(&self, workload: &Workload) -> u64 {
        let streams = self.stdout.len().saturating_add(self.stderr.len());
        let files = workload
            .outputs
            .iter()
            .map(|output| self.tree.file_bytes(output.path.as_str()));
        files.fold(
            u64::try_from(streams).unwrap_or(u64::MAX),
            u64::saturating_add,
        )
    }

    /// Bytes that count towards the output limit.
    fn output_bytes(&self) -> u64 {
        let streams = self.stdout.len().saturating_add(self.stderr.len());
        self.tree
            .used()
            .saturating_add(u64::try_from(streams).unwrap_or(u64::MAX))
    }
}

/// One host call in progress.
pub(crate) struct Call<'a> {
    pub(crate) guest: Guest<'a>,
    pub(crate) host: &'a mut TaskHost,
    /// Fuel that is left.
    left: u64,
}

impl Call<'_> {
    /// Pays for moving `bytes`.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), ProgramEnd> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(ProgramEnd::OutOfFuel)
    }

    /// Makes sure that `growth` more bytes of output are within the limit.
    pub(crate) fn reserve_output(&self, growth: u64) -> Result<(), ProgramEnd> {
        match self.host.output_bytes().checked_add(growth) {
            Some(total) if total <= self.host.output_limit => Ok(()),
            _ => Err(ProgramEnd::OutOfOutput),
        }
    }

    /// Nanoseconds since the task began, of fuel and of waiting.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        (self.host.fuel_limit - self.left).saturating_add(self.host.waited_ns)
    }

    /// Nanoseconds since the Unix epoch.
    pub(crate) fn now_ns(&self) -> u64 {
        self.host.clock_start_ns.saturating_add(self.elapsed_ns())
    }
}

/// Runs the body of a host function: finds the memory, pays for the call, and turns its failure into a number.
fn call(
    caller: &mut Caller<'_, TaskHost>,
    body: impl FnOnce(&mut Call<'_>) -> Result<(), CallFailure>,
) -> wasmtime::Result<u32> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory,
            _ => return Err(wasmtime::Error::new(ProgramEnd::NoMemory)),
        },
    };
    // Without metering there is no fuel to read; every call then begins with all of it.
    let counter = caller.data().fuel;
    let left = match counter {
        Some(counter) => fuel::read(&mut *caller, counter).ok_or(ProgramEnd::OutOfFuel)?,
        None => caller.data().fuel_limit,
    };
    let (bytes, host) = memory.data_and_store_mut(&mut *caller);
    host.memory = Some(memory);
    let growth = host.limiter.take_pending();
    let mut call = Call {
        guest: Guest(bytes),
        host,
        left,
    };
    let result = match call.charge(growth.saturating_add(PER_CALL)) {
        Ok(()) => body(&mut call),
        Err(end) => Err(end.into()),
    };
    let left = call.left;
    if let Some(counter) = counter {
        fuel::write(&mut *caller, counter, left)?;
    }
    match result {
        Ok(()) => Ok(0),
        Err(CallFailure::Errno(errno)) => Ok(errno.0),
        Err(CallFailure::End(end)) => Err(wasmtime::Error::new(end)),
    }
}

#[cfg(test)]
mod tests;
