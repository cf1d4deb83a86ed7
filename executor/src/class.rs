//! The engine class: everything about the engine that an outcome depends on, in one place.
//!
//! Class 1 is wasmtime 48.0.8 with Cranelift for baseline x86-64 Linux. The target is named, so that no feature of the
//! host's processor is inferred; NaNs are canonical; threads and relaxed SIMD are off; fuel has a fixed price per
//! operator and per unit of bulk work. Changing anything here that a program can see makes a new class.

use types::job::CLASS_WASM_V1;
use types::number::EngineClass;
use wasmtime::{Config, OperatorCost, OptLevel, Strategy, WasmFeatures};

/// The machine that class 1 compiles for. Its frames decide how deep a program recurses.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Stack that guest code may use, in bytes.
pub const GUEST_STACK_BYTES: usize = 1 << 20;
/// Stack of the thread that runs guest code: the guest's part and room for the host functions under it.
pub const THREAD_STACK_BYTES: usize = 4 << 20;
/// Most elements in all tables of a program together.
pub const MAX_TABLE_ELEMENTS: usize = 1 << 20;
/// Most tables of a program.
pub const MAX_TABLES: usize = 64;
/// Addresses reserved for a linear memory, so that it never moves.
const RESERVED_BYTES: u64 = 4 << 30;
/// Unmapped addresses behind it, for accesses with a constant offset.
const GUARD_BYTES: u64 = 32 << 20;

const _: () = {
    assert!(
        GUEST_STACK_BYTES * 2 <= THREAD_STACK_BYTES,
        "host functions run on what the guest leaves"
    );
};

/// Settings of a class, or nothing for a class that this build does not have.
pub(crate) fn config(class: EngineClass) -> Option<Config> {
    if class != CLASS_WASM_V1 {
        return None;
    }
    let mut config = pinned();
    config.target(TARGET).ok()?;
    Some(config)
}

/// The settings of class 1 but for the target.
pub(crate) fn pinned() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .operator_cost(operator_cost())
        .max_wasm_stack(GUEST_STACK_BYTES)
        .memory_reservation(RESERVED_BYTES)
        .memory_guard_size(GUARD_BYTES)
        .guard_before_linear_memory(true)
        .memory_may_move(false)
        .memory_init_cow(false)
        .signals_based_traps(true)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .generate_address_map(false);
    features(&mut config);
    config
}

/// The proposals of class 1: WebAssembly 2.0, which is what C, Rust and Go compilers emit. All else is refused.
fn features(config: &mut Config) {
    let allowed = WasmFeatures::WASM2
        .union(WasmFeatures::BULK_MEMORY_OPT)
        .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
        .union(WasmFeatures::EXTENDED_CONST)
        .difference(WasmFeatures::GC_TYPES);
    config
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(allowed, true);
}

/// One unit per operator but for those that generate no code; bulk operations per byte or element; growth per page.
fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    cost.variable.memory_grow_per_page = 255;
    cost
}

/// wasmtime as it comes, at the same optimisation level: what the class is compared with.
pub(crate) fn plain() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK_BYTES);
    config
}
