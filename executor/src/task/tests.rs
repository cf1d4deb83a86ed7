//! What only this side of the interface can see: how deep a program came, and that the host's processor is not seen.

use types::job::CLASS_WASM_V1;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink, Module,
    TypeSection, ValType,
};

use super::*;
use crate::class;
use crate::limiter::HostRefused;

/// The fuel limit of [`workload`].
pub(crate) const LIMIT: u64 = 1 << 40;

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
        ValType::F64 => start
            .instructions()
            .f64_const(1.5.into())
            .call(1)
            .drop()
            .end(),
        _ => start.instructions().v128_const(77).call(1).drop().end(),
    };
    code.function(&start);
    let mut recurse = Function::new([(2, kind)]);
    body(&mut recurse.instructions());
    recurse.instructions().end();
    code.function(&recurse);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module.finish()
}

/// Three functions whose frames hold what the processor's features could change: integers, floats and vectors that
/// live across the call, and operations that newer processors have instructions for.
fn recursions() -> [Vec<u8>; 3] {
    [
        recursion(ValType::I64, |code| {
            code.local_get(0)
                .i64_popcnt()
                .local_set(1)
                .local_get(0)
                .i64_ctz()
                .local_set(2);
            code.local_get(0).i64_const(3).i64_add().call(1);
            code.local_get(1).i64_add().local_get(2).i64_rotl();
        }),
        recursion(ValType::F64, |code| {
            code.local_get(0)
                .f64_floor()
                .local_set(1)
                .local_get(0)
                .f64_nearest()
                .local_set(2);
            code.local_get(0).local_get(1).f64_add().call(1);
            code.local_get(1).f64_mul().local_get(2).f64_add();
        }),
        recursion(ValType::V128, |code| {
            code.local_get(0)
                .i8x16_popcnt()
                .local_set(1)
                .local_get(0)
                .f64x2_floor()
                .local_set(2);
            code.local_get(0).local_get(1).i8x16_swizzle().call(1);
            code.local_get(1).i32x4_mul().local_get(2).f64x2_add();
        }),
    ]
}

/// One task of a module without inputs or outputs.
pub(crate) fn workload(module: &[u8]) -> Workload {
    let mut workload = types::testing::workload(module, 1);
    workload.limits.fuel = Fuel(LIMIT);
    workload
}

/// Fuel used until the stack ended, which counts the calls.
fn depth(config: &wasmtime::Config, module: &[u8]) -> u64 {
    let engine = TaskEngine::with_config(CLASS_WASM_V1, config, true).unwrap();
    let program = engine.compile(module).unwrap();
    let ProgramBody::Ready(instance) = &program.body else {
        panic!("{:?}", program.refusal())
    };
    let host = TaskHost::new(&workload(module), TaskIndex::ZERO, &Inputs::default()).unwrap();
    let run = || execute(&engine, instance, host, LIMIT);
    let (_, exit, left) = on_class_stack(run).unwrap().unwrap();
    assert_eq!(
        exit,
        Exit::Trap {
            trap: Trap::StackOverflow
        }
    );
    LIMIT - left
}

/// Hash of the machine code of a module.
fn code(config: &wasmtime::Config, module: &[u8]) -> String {
    let engine = TaskEngine::with_config(CLASS_WASM_V1, config, true).unwrap();
    let program = engine.compile(module).unwrap();
    let ProgramBody::Ready(instance) = &program.body else {
        panic!("{:?}", program.refusal())
    };
    BlobId::of(instance.module().text()).hash.to_string()
}

/// Fuel until the stack ends, and the hash of the code, of [`recursions`].
const FROZEN: [(u64, &str); 3] = [
    (
        240_232,
        "2e00ae30b325259e19746786ae85f908150d98142970642cc63c8807a3802532",
    ),
    (
        120_112,
        "170ca3ac1a7e9e34078707fb0338a80056d456d5ddb78cedfdf2a652829ee968",
    ),
    (
        102_952,
        "331d056a05de574d0b21375442e93384920e7b4b4668c23e8e226fd7f0350b53",
    ),
];

/// What a processor has is seen by the engine only where it infers its features. With the named target the code is the
/// same on every processor, so that a frame has the same size.
#[test]
fn the_code_of_the_class_is_the_same_on_every_processor() {
    let named = class::config(CLASS_WASM_V1).unwrap();
    for (module, (_, frozen)) in recursions().iter().zip(FROZEN) {
        assert_eq!(code(&named, module), frozen);
    }
    let engine = wasmtime::Engine::new(&named).unwrap();
    assert_eq!(engine.get_target().as_deref(), Some(class::TARGET));
    assert_eq!(
        engine.get_cranelift_flags_enabled().collect::<Vec<_>>(),
        [""; 0]
    );
    assert_eq!(
        engine.get_cranelift_flags_set().collect::<Vec<_>>(),
        [("", ""); 0]
    );
}

/// And the stack has room for equally many frames, in every run and on every processor. Between builds a depth may
/// differ by what frames of the host's own code take of the stack, which is less than a thousandth.
#[test]
fn the_class_recurses_equally_deep_on_every_processor() {
    let named = class::config(CLASS_WASM_V1).unwrap();
    for (module, (frozen, _)) in recursions().iter().zip(FROZEN) {
        let first = depth(&named, module);
        assert!(
            first.abs_diff(frozen) <= frozen / 1_000,
            "{first} instead of {frozen}"
        );
        assert_eq!(depth(&named, module), first);
    }
}

/// Inferring the features of the processor where this was written made floats recurse 20 % and vectors 75 % deeper. It
/// is the code alone that makes the difference.
#[test]
fn equal_code_recurses_equally_deep() {
    let (named, inferred) = (class::config(CLASS_WASM_V1).unwrap(), class::pinned());
    for module in recursions() {
        let (is_equal, depths) = (
            code(&named, &module) == code(&inferred, &module),
            [&named, &inferred],
        );
        let [depth, other] = depths.map(|config| depth(config, &module));
        println!(
            "fuel until the stack ends: {depth} with the named target, {other} with inferred features"
        );
        assert!(!is_equal || depth == other);
    }
}

#[test]
fn what_the_host_refuses_is_never_an_end_of_the_program() {
    let refused = wasmtime::Error::new(HostRefused("no memory".into()));
    let exhausted = wasmtime::Error::new(wasmtime::OutOfMemory::new(77));
    let system = wasmtime::Error::new(rustix::io::Errno::NOMEM).context("while mapping");
    for error in [refused, exhausted, system] {
        assert!(
            matches!(exit_of(&error), Err(NoResult::HostMemory { .. })),
            "{error:#}"
        );
    }
    let unknown = wasmtime::Error::msg("something new");
    assert!(matches!(exit_of(&unknown), Err(NoResult::Engine { .. })));
    let too_large = wasmtime::Error::new(BeginsTooLarge);
    assert_eq!(exit_of(&too_large), Ok(Exit::Trap { trap: Trap::Other }));
}
