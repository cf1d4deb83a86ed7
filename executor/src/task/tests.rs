//! What only this side of the interface can see: that no engine's code decides an end, and which ends are the host's.

use types::job::CLASS_WASM_V2;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink, Module,
    TypeSection, ValType,
};

use super::*;
use crate::class::{self, Compiler};
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

/// Runs a module until its stack ends, under an engine with these settings.
fn run_out_of_stack(config: &wasmtime::Config, module: &[u8]) -> TaskRun {
    let engine = TaskEngine::with_config(CLASS_WASM_V2, config, true).unwrap();
    let program = engine.compile(module).unwrap();
    let run = run_task(
        &program,
        &workload(module),
        TaskIndex::ZERO,
        &Inputs::default(),
    );
    run.unwrap()
}

/// Hash of the machine code of a module.
fn code(config: &wasmtime::Config, module: &[u8]) -> String {
    let engine = TaskEngine::with_config(CLASS_WASM_V2, config, true).unwrap();
    let program = engine.compile(module).unwrap();
    let ProgramBody::Ready { instance, .. } = &program.body else {
        panic!("{:?}", program.refusal())
    };
    BlobId::of(instance.module().text()).hash.to_string()
}

/// Hash of the code of [`recursions`].
const FROZEN: [&str; 3] = [
    "e47b02b5b8adfada3f0084254d3bf4e16608145d0da87b4ee1b4e44863473a2b",
    "b946b31b6598800e00657a13826d19adbf2458e73f543e2bbc1d208b4a997247",
    "62ef87c73980e09e6ee71bee9ec671feb55e46fd2d95257613f299553dabb8f5",
];

/// What a processor has is seen by the engine only where it infers its features. With the named target the code is the
/// same on every processor.
#[test]
fn the_code_of_the_class_is_the_same_on_every_processor() {
    let named = class::config(CLASS_WASM_V2, Compiler::Optimizing).unwrap();
    let found = recursions().map(|module| code(&named, &module));
    assert_eq!(found, FROZEN);
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

/// Where a recursion ends is decided by the module alone: code with other frames, of all features of this processor or
/// without optimisation, gives the same run to the unit. With the engine's own limit floats recursed 20 % deeper on
/// one processor than on another, and vectors 75 %.
#[test]
fn a_recursion_ends_at_the_same_call_whatever_the_frames_are() {
    let mut plain = class::pinned();
    plain.cranelift_opt_level(wasmtime::OptLevel::None);
    let engines = [
        class::config(CLASS_WASM_V2, Compiler::Optimizing).unwrap(),
        class::pinned(),
        plain,
        class::config(CLASS_WASM_V2, Compiler::Baseline).unwrap(),
    ];
    for module in recursions() {
        let [first, others @ ..] = engines.each_ref().map(|config| {
            let run = run_out_of_stack(config, &module);
            (run, code(config, &module))
        });
        let trap = Trap::StackOverflow;
        assert_eq!(first.0.outcome.exit, Exit::Trap { trap });
        assert!(first.0.outcome.fuel < Fuel(LIMIT));
        for other in &others {
            assert_eq!(first.0, other.0);
        }
        assert!(
            others.iter().any(|other| other.1 != first.1),
            "the code differs, or nothing was tested"
        );
    }
}

/// A recursion whose frame keeps so many values across its call: each is made before it and asked for again behind it, by
/// as few operators as that takes, so that the frame is large for its slots.
fn hoarder(kind: ValType, values: i64) -> Vec<u8> {
    let value = |code: &mut InstructionSink<'_>, number: i64| {
        code.local_get(0);
        match kind {
            ValType::I64 => code.i64_const(number * 77_777_777_777).i64_mul(),
            ValType::F64 => code
                .f64_const(number.to_string().parse::<f64>().unwrap().into())
                .f64_mul(),
            _ => code.v128_const(i128::from(number) << 60).i8x16_add(),
        };
    };
    let join = |code: &mut InstructionSink<'_>| {
        match kind {
            ValType::I64 => code.i64_xor(),
            ValType::F64 => code.f64_add(),
            _ => code.v128_xor(),
        };
    };
    recursion(kind, |code| {
        value(code, 1);
        for number in 2..=values {
            value(code, number);
            join(code);
        }
        code.call(1);
        // In another order, so that the values are what is kept, not their sum.
        for number in (1..=values).rev() {
            value(code, number);
            join(code);
        }
    })
}

/// The class's limit comes before the engine's, with a quarter of the stack to spare: the frames that are largest for their slots,
/// beside those of [`recursions`], never meet the end of the machine's stack.
#[test]
fn the_class_ends_a_recursion_before_the_engine_does() {
    let scarce = [Compiler::Optimizing, Compiler::Baseline].map(|compiler| {
        let mut config = class::config(CLASS_WASM_V2, compiler).unwrap();
        config.max_wasm_stack(class::GUEST_STACK_BYTES / 4 * 3);
        config
    });
    let kinds = [ValType::I64, ValType::F64, ValType::V128];
    let hoarders = kinds
        .into_iter()
        .flat_map(|kind| [1, 4, 16, 64, 256, 1_024].map(|values| hoarder(kind, values)));
    for module in recursions().into_iter().chain(hoarders) {
        let trap = Trap::StackOverflow;
        for config in &scarce {
            let run = run_out_of_stack(config, &module);
            assert_eq!(run.outcome.exit, Exit::Trap { trap });
        }
    }
}

/// What the class does not know as a program's end is the host's: its own stack and its interrupts among them.
#[test]
fn a_trap_that_the_class_does_not_have_is_no_result() {
    for trap in [
        wasmtime::Trap::StackOverflow,
        wasmtime::Trap::OutOfFuel,
        wasmtime::Trap::Interrupt,
    ] {
        let error = wasmtime::Error::from(trap);
        assert!(matches!(exit_of(&error), Err(NoResult::Engine { .. })));
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

/// A trap that no program of the class can end with says that the engine went wrong, not how the program ended.
#[test]
fn unknown_traps_are_no_result() {
    for trap in [
        wasmtime::Trap::CannotEnterComponent,
        wasmtime::Trap::CastFailure,
        wasmtime::Trap::AllocationTooLarge,
        wasmtime::Trap::Interrupt,
        wasmtime::Trap::HeapMisaligned,
        wasmtime::Trap::DisabledOpcode,
    ] {
        let end = exit_of(&trap.into());
        assert!(matches!(end, Err(NoResult::Engine { .. })), "{end:?}");
    }
    let known = exit_of(&wasmtime::Trap::BadSignature.into());
    assert!(matches!(known, Ok(Exit::Trap { .. })), "{known:?}");
}
