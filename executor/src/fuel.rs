//! The fuel of a task: deterministic work, the unit of limits, deadlines and prices.
//!
//! ```text
//! fuel = instructions, by the regions of the prepared module
//!        + 64 x module bytes                     reading, compiling and loading it
//!        + its complexity                        the same, by what makes compiling dear: [`instrument::accept::Complexity`]
//!        + 1,000,000 x (2 + declared outputs)    laying down stdout, stderr and each output
//!        + stdin, input and state bytes           loading and hashing them
//!        + 100 x host calls + bytes moved        what host functions do
//!        + memory bytes / 64                     at the largest size reached
//!        + stdout + stderr + output bytes        hashing and keeping them
//! ```
//!
//! What is known before anything runs (module, outputs, stdin and inputs) is charged then, memory when it grows (settled
//! with the next host call or at the end), what was written at the end. A task whose charges pass its limit ends as
//! `OutOfFuel` with its limit as fuel.

use types::job::Workload;
use wasmtime::{AsContextMut, Global, Val};

/// Units per blob that a task may leave, be it ever so small: a partner makes each durable by itself, in about five
/// writes that wait for its disk. 1,024 tasks of 32 outputs each would otherwise cost minutes that no window has.
pub const PER_KEPT_BLOB: u64 = 1_000_000;
/// Units per call of a host function.
pub const PER_CALL: u64 = 100;
/// Bytes of linear memory per unit.
pub const MEMORY_BYTES_PER_UNIT: u64 = 64;

/// What a task costs before it runs: the sizes of its module and inputs, and the number of blobs that it may leave.
#[must_use]
pub fn upfront(workload: &Workload) -> u64 {
    let kept = u64::try_from(workload.outputs.len())
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    workload
        .loading_fuel()
        .saturating_add(kept.saturating_mul(PER_KEPT_BLOB))
}

/// What `bytes` of linear memory cost.
#[must_use]
pub fn memory(bytes: u64) -> u64 {
    bytes.div_ceil(MEMORY_BYTES_PER_UNIT)
}

/// The fuel that is left by a counter of a prepared module; nothing if more was charged than there was.
pub(crate) fn read(store: impl AsContextMut, counter: Global) -> Option<u64> {
    u64::try_from(counter.get(store).i64()?).ok()
}

/// Sets the counter of a prepared module.
pub(crate) fn write(store: impl AsContextMut, counter: Global, left: u64) -> wasmtime::Result<()> {
    // No limit of a job is near 2^63.
    counter.set(store, Val::I64(i64::try_from(left).unwrap_or(i64::MAX)))
}
