//! The weight of a task: deterministic work, the unit of limits, deadlines and prices.
//!
//! ```text
//! weight = fuel
//!        + 64 x module bytes                     compiling and loading it
//!        + stdin bytes + input bytes             loading and hashing them
//!        + 100 x host calls + bytes moved        what host functions do
//!        + memory bytes / 64                     at the largest size reached
//!        + stdout + stderr + output bytes        hashing and keeping them
//! ```
//!
//! The first two lines are charged before anything runs, memory when it grows (settled with the next host call or at
//! the end), outputs at the end. A task whose charges pass its limit ends as `OutOfWeight` with its limit as weight.

use types::job::Workload;

/// Units per byte of the module: about what compiling it costs at the speed of one unit per nanosecond.
pub const PER_MODULE_BYTE: u64 = 64;
/// Units per call of a host function.
pub const PER_CALL: u64 = 100;
/// Bytes of linear memory per unit.
pub const MEMORY_BYTES_PER_UNIT: u64 = 64;

/// What a task costs before it runs: the sizes of its module and inputs.
#[must_use]
pub fn upfront(workload: &Workload) -> u64 {
    let inputs = workload.stdin.iter().chain(workload.inputs.iter().map(|input| &input.blob));
    inputs.fold(workload.module.length.saturating_mul(PER_MODULE_BYTE), |sum, blob| sum.saturating_add(blob.length))
}

/// What `bytes` of linear memory cost.
#[must_use]
pub fn memory(bytes: u64) -> u64 {
    bytes.div_ceil(MEMORY_BYTES_PER_UNIT)
}
