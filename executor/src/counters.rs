//! What a running program's counters and memory show, read from outside of it.

use borsh::BorshSerialize;
use instrument::{FUEL_EXPORT, STACK_EXPORT};
use types::attestation::{Exit, Trap};
use types::hash::BlobId;
use wasmtime::{Global, Instance, Store};

use crate::fuel;
use crate::wasi::TaskHost;

/// The counters of an instance of a prepared module.
#[derive(Clone, Copy)]
pub(crate) struct ProgramCounters {
    fuel: Global,
    stack: Global,
}

impl ProgramCounters {
    /// Finds the counters and gives the program its fuel.
    pub(crate) fn begin(
        instance: &Instance,
        store: &mut Store<TaskHost>,
        left: u64,
    ) -> wasmtime::Result<Self> {
        let mut counter = |name| {
            let global = instance.get_global(&mut *store, name);
            global.ok_or_else(|| wasmtime::Error::msg("the prepared module has no counters"))
        };
        let (fuel, stack) = (counter(FUEL_EXPORT)?, counter(STACK_EXPORT)?);
        fuel::write(&mut *store, fuel, left)?;
        store.data_mut().fuel = Some(fuel);
        Ok(Self { fuel, stack })
    }

    /// The counters of fuel and of the stack as they stand.
    fn raw(self, store: &mut Store<TaskHost>) -> Option<(i64, i64)> {
        let fuel = self.fuel.get(&mut *store).i64()?;
        Some((fuel, self.stack.get(store).i64()?))
    }

    /// The program's end and the fuel that was left, by the counters. Where one is below zero, that ended the program: a
    /// trap at that moment is the pass's own, or comes too late.
    pub(crate) fn settle(self, store: &mut Store<TaskHost>, exit: Exit) -> (Exit, u64) {
        let Some(left) = fuel::read(&mut *store, self.fuel) else {
            return (Exit::OutOfFuel, 0);
        };
        let is_trap = matches!(exit, Exit::Trap { .. });
        if is_trap && fuel::read(&mut *store, self.stack).is_none() {
            let trap = Trap::StackOverflow;
            return (Exit::Trap { trap }, left);
        }
        (exit, left)
    }
}

/// Name under which a program exports its memory, if it has one.
const MEMORY_EXPORT: &str = "memory";

/// What a program held when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize)]
pub(crate) struct ProgramMark {
    /// The counters of fuel and of the stack as they stood, below zero where one ended the program.
    counters: Option<(i64, i64)>,
    /// The exported memory; its length shows how far it has grown.
    memory: Option<BlobId>,
}

impl ProgramMark {
    /// Looks at an instance; at nothing where none came to be.
    pub(crate) fn of(
        store: &mut Store<TaskHost>,
        instance: Option<&Instance>,
        counters: Option<ProgramCounters>,
    ) -> Self {
        let memory = instance.and_then(|one| one.get_memory(&mut *store, MEMORY_EXPORT));
        Self {
            counters: counters.and_then(|counters| counters.raw(store)),
            memory: memory.map(|memory| BlobId::of(memory.data(&*store))),
        }
    }
}
