//! What only this side of the interface can see: how deep a program came, and that the host's processor is not seen.

use types::codec::Bounded;
use types::hash::Hash32;
use types::job::{CLASS_WASM_V1, TaskLimits};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink, Module, TypeSection, ValType,
};

use super::*;
use crate::class;

const LIMIT: u64 = 1 << 40;

/// A module that recurses without end through a function of one argument and result of the given type.
fn recursion(kind: ValType, body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([kind], [kind]);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut exports = ExportSection::new();
    exports.export(ENTRY, ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut start = Function::new([]);
    match kind {
        ValType::I64 => start.instructions().i64_const(1).call(1).drop().end(),
        ValType::F64 => start.instructions().f64_const(1.5.into()).call(1).drop().end(),
        _ => start.instructions().v128_const(77).call(1).drop().end(),
    };
    code.function(&start);
    let mut recurse = Function::new([(2, kind)]);
    body(&mut recurse.instructions());
    recurse.instructions().end();
    code.function(&recurse);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// Three functions whose frames hold what the processor's features could change: integers, floats and vectors that
/// live across the call, and operations that newer processors have instructions for.
fn recursions() -> [Vec<u8>; 3] {
    [
        recursion(ValType::I64, |code| {
            code.local_get(0).i64_popcnt().local_set(1).local_get(0).i64_ctz().local_set(2);
            code.local_get(0).i64_const(3).i64_add().call(1);
            code.local_get(1).i64_add().local_get(2).i64_rotl();
        }),
        recursion(ValType::F64, |code| {
            code.local_get(0).f64_floor().local_set(1).local_get(0).f64_nearest().local_set(2);
            code.local_get(0).local_get(1).f64_add().call(1);
            code.local_get(1).f64_mul().local_get(2).f64_add();
        }),
        recursion(ValType::V128, |code| {
            code.local_get(0).i8x16_popcnt().local_set(1).local_get(0).f64x2_floor().local_set(2);
            code.local_get(0).local_get(1).i8x16_swizzle().call(1);
            code.local_get(1).i32x4_mul().local_get(2).f64x2_add();
        }),
    ]
}

fn workload(module: &[u8]) -> Workload {
    Workload {
        class: CLASS_WASM_V1,
        module: BlobId::of(module),
        arguments: Bounded::default(),
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks: 1,
        limits: TaskLimits { weight: Weight(LIMIT), memory_bytes: 1 << 20, output_bytes: 1 << 20 },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    }
}

/// Fuel used until the stack ended, which counts the calls.
fn depth(config: &wasmtime::Config, module: &[u8]) -> u64 {
    let engine = Engine::with_config(CLASS_WASM_V1, config, true).unwrap();
    let program = engine.compile(module).unwrap();
    let Body::Ready(instance) = &program.body else { panic!("{:?}", program.refusal()) };
    let host = Host::new(&workload(module), TaskIndex::ZERO, &Inputs::default()).unwrap();
    let run = || execute(&engine, instance, host, LIMIT);
    let (_, exit, left) = on_class_stack(run).unwrap().unwrap();
    assert_eq!(exit, Exit::Trap { trap: Trap::StackOverflow });
    LIMIT - left
}

#[test]
fn the_class_recurses_equally_deep_in_every_run() {
    let config = class::config(CLASS_WASM_V1).unwrap();
    for module in recursions() {
        let first = depth(&config, &module);
        assert!(first > 10_000, "{first}");
        assert_eq!(depth(&config, &module), first);
    }
}

/// With the host's features inferred, floats and vectors recurse up to three quarters deeper on the machine where this
/// was written. The named target has no features, so a frame has one size; a depth may only differ by what frames of
/// the host's own code take of the stack, which is less than a thousandth.
#[test]
fn features_of_this_processor_are_not_inferred() {
    let (named, inferred) = (class::config(CLASS_WASM_V1).unwrap(), class::pinned());
    for (module, frozen) in recursions().iter().zip([240_232, 120_112, 102_952]) {
        let (depth, inferred) = (depth(&named, module), depth(&inferred, module));
        println!("fuel until the stack ends: {depth} with the named target, {inferred} with inferred features");
        assert!(depth.abs_diff(frozen) <= frozen / 1_000, "{depth} instead of {frozen}");
    }
    let engine = wasmtime::Engine::new(&named).unwrap();
    assert_eq!(engine.get_target().as_deref(), Some(class::TARGET));
    assert_eq!(engine.get_cranelift_flags_enabled().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(engine.get_cranelift_flags_set().collect::<Vec<_>>(), [("", ""); 0]);
}
