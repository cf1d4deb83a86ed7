//! The engine class: everything about the engine that an outcome depends on, in one place.
//!
//! Class 2 is what the crate `instrument` makes of a module, run by wasmtime 48.0.8 with Cranelift for x86-64 Linux. Fuel, the end
//! of a recursion, the bits of NaNs and what is refused are decided by the prepared module, not by the engine, which does nothing for
//! them. The target is named, so that no feature of the host's processor is inferred. Changing anything here that a program can see
//! makes a new class.

use borsh::{BorshDeserialize, BorshSerialize};
use instrument::stack::MAX_STACK_SLOTS;
use types::job::CLASS_WASM_V2;
use types::number::EngineClass;
use wasmtime::{Config, OptLevel, Strategy, WasmFeatures};

/// The classes that this build runs, ascending.
pub const KNOWN: [EngineClass; 1] = [CLASS_WASM_V2];
/// Version of wasmtime that this build runs them with.
pub const ENGINE_VERSION: &str = "48.0.8";
/// The machine that class 2 compiles for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Bytes of the machine's stack that a slot of the class's stack may take. A value takes at most 16, and a compiler that keeps
/// a value in a loop needs some four of the 32 operators that take a slot to make it. The largest frames that a test makes take 64.
const BYTES_PER_SLOT: u64 = 128;
/// Stack that the engine gives guest code, in bytes. The class's own limit ends a program long before.
pub const GUEST_STACK_BYTES: usize = 128 << 20;
/// Stack of the thread that runs guest code: the guest's part and room for the host functions under it.
pub const THREAD_STACK_BYTES: usize = GUEST_STACK_BYTES + (3 << 20);
/// Most tables of a program.
pub const MAX_TABLES: usize = 64;
/// Addresses reserved for a linear memory, so that it never moves.
const RESERVED_BYTES: u64 = 4 << 30;
/// Unmapped addresses behind it, for accesses with a constant offset.
const GUARD_BYTES: u64 = 32 << 20;

const _: () = {
    assert!(
        MAX_STACK_SLOTS * BYTES_PER_SLOT <= 128 << 20,
        "the class's limit comes before the engine's"
    );
};

/// What makes machine code of a prepared module. No outcome depends on it, only speed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Compiler {
    /// Cranelift: fast code; the time that it takes grows faster than some functions.
    Optimizing,
    /// Winch: one pass over each function, so that its time follows the text; the code is some times slower.
    Baseline,
}

/// Settings of a class, or nothing for a class that this build does not have.
pub(crate) fn config(class: EngineClass, compiler: Compiler) -> Option<Config> {
    if !KNOWN.contains(&class) {
        return None;
    }
    let mut config = pinned();
    match compiler {
        Compiler::Optimizing => config.target(TARGET).ok()?,
        // For the processor that it finds: vectors need AVX here.
        Compiler::Baseline => config.strategy(Strategy::Winch),
    };
    Some(config)
}

/// The settings of class 2 but for the target.
pub(crate) fn pinned() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(THREAD_STACK_BYTES)
        .memory_reservation(RESERVED_BYTES)
        .memory_guard_size(GUARD_BYTES)
        .guard_before_linear_memory(true)
        .memory_may_move(false)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(instrument::accept::DENSE_IMAGE_BYTES)
        .signals_based_traps(true)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .generate_address_map(false)
        .wasm_branch_hinting(true)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(instrument::accept::features(), true);
    config
}

/// wasmtime as it comes, at the same optimisation level: what the class is compared with.
pub(crate) fn plain() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(THREAD_STACK_BYTES);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_workspace_pins() {
        let manifest = include_str!("../../Cargo.toml");
        let pin = format!("wasmtime = {{ version = \"={ENGINE_VERSION}\"");
        assert!(manifest.contains(&pin), "{pin}");
    }

    #[test]
    fn a_class_that_is_known_has_settings_and_no_other_has() {
        for number in 0..100 {
            let class = EngineClass(number);
            for compiler in [Compiler::Optimizing, Compiler::Baseline] {
                let settings = config(class, compiler);
                assert_eq!(settings.is_some(), KNOWN.contains(&class), "{class}");
            }
        }
    }
}
