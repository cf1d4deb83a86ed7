//! Growth of memory and tables: the job's limit decides, never the host.
//!
//! A growth beyond the job's limit fails as WebAssembly says (`memory.grow` gives -1). A growth that the job allows
//! and the host refuses must not be seen by the program: it ends the run without a result.
//!
//! What a program begins with is decided on first, each memory and table once, before any of its code runs. One that
//! begins with more than the limits allow cannot run at all, which is an end of its own.

use instrument::accept::MAX_TABLE_ELEMENTS;
use wasmtime::ResourceLimiter;

use crate::fuel;

/// What the engine says when a growth passes what a 32-bit memory can ever be; the program sees -1 on every host.
const BEYOND_TYPE: &str = "memory growth exceeds memory type's limits";

/// The host refused memory that the job allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host refused a growth that the job allows: {0}")]
pub(crate) struct HostRefused(pub(crate) String);

/// A memory or table is larger from the start than the job allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the program begins with more memory than the job allows, or larger tables than the class does"
)]
pub(crate) struct BeginsTooLarge;

/// Decides on growth and counts what it costs.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: u64,
    table_elements: usize,
    /// Units for growth that were not charged yet.
    pending: u64,
    /// Memories and tables that the program begins with and that were not decided on yet.
    beginning: u32,
}

fn widened(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

impl Limiter {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            table_elements: 0,
            pending: 0,
            beginning: 0,
        }
    }

    /// The program begins with so many memories and tables: the next decisions are on these.
    pub(crate) fn begin(&mut self, memories_and_tables: u32) {
        self.beginning = memories_and_tables;
    }

    /// Units for growth since the last call.
    pub(crate) fn take_pending(&mut self) -> u64 {
        std::mem::take(&mut self.pending)
    }

    fn decide(&mut self, allowed: bool) -> wasmtime::Result<bool> {
        let is_beginning = self.beginning > 0;
        self.beginning = self.beginning.saturating_sub(1);
        if is_beginning && !allowed {
            Err(wasmtime::Error::new(BeginsTooLarge))
        } else {
            Ok(allowed)
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed =
            widened(desired) <= self.memory_bytes && maximum.is_none_or(|most| desired <= most);
        if allowed {
            let growth =
                fuel::memory(widened(desired)) - fuel::memory(widened(current.min(desired)));
            self.pending = self.pending.saturating_add(growth);
        }
        self.decide(allowed)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        let text = format!("{error:#}");
        if text == BEYOND_TYPE {
            Ok(())
        } else {
            Err(wasmtime::Error::new(HostRefused(text)))
        }
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let allowed =
            widened(total) <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|most| desired <= most);
        if allowed {
            self.table_elements = total;
        }
        self.decide(allowed)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(HostRefused(format!("{error:#}"))))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        crate::class::MAX_TABLES
    }

    fn memories(&self) -> usize {
        1
    }
}
