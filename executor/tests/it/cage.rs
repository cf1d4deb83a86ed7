//! Hand-written modules that try to leave their cage, or do things that must end the same everywhere.

use types::attestation::{Exit, Trap};
use types::number::Fuel;
use wasm_encoder::{BlockType, InstructionSink, MemArg};

use crate::modules::{
    CLOCK_TIME_GET, Parts, RANDOM_GET, START, exit_with, module, module_of, trap, write,
};
use crate::support::Job;

const WORD: MemArg = MemArg {
    offset: 0,
    align: 2,
    memory_index: 0,
};
const LONG: MemArg = MemArg {
    offset: 0,
    align: 3,
    memory_index: 0,
};

fn exit_of(body: impl FnOnce(&mut InstructionSink<'_>)) -> Exit {
    Job::new(&module(body)).exit()
}

/// Ends a chain of instructions.
fn ignore(_: &mut InstructionSink<'_>) {}

/// The body of a program and how it ends.
type Ending = (fn(&mut InstructionSink<'_>), Trap);

/// Each trap with the programs that end with it.
const TRAPS: [Ending; 11] = [
    (|code| ignore(code.unreachable()), Trap::Unreachable),
    (
        |code| ignore(code.i32_const(65_536).i32_load(WORD).drop()),
        Trap::OutOfBounds,
    ),
    (
        |code| ignore(code.i32_const(-4).i32_const(7).i32_store(WORD)),
        Trap::OutOfBounds,
    ),
    (
        |code| ignore(code.i32_const(1).i32_const(0).i32_div_s().drop()),
        Trap::Arithmetic,
    ),
    (
        |code| ignore(code.i32_const(i32::MIN).i32_const(-1).i32_div_s().drop()),
        Trap::Arithmetic,
    ),
    (
        |code| ignore(code.f64_const(1e300.into()).i32_trunc_f64_s().drop()),
        Trap::Arithmetic,
    ),
    (
        |code| ignore(code.f64_const(f64::NAN.into()).i64_trunc_f64_u().drop()),
        Trap::Arithmetic,
    ),
    (
        |code| ignore(code.i32_const(1).call_indirect(0, 0)),
        Trap::IndirectCall,
    ),
    (
        |code| ignore(code.i32_const(99).call_indirect(0, 0)),
        Trap::OutOfBounds,
    ),
    // An element of another type.
    (
        |code| {
            code.i32_const(0).ref_func(START).table_set(0);
            code.i32_const(1).i32_const(0).call_indirect(0, 2);
        },
        Trap::IndirectCall,
    ),
    (
        |code| {
            code.i32_const(0).i32_const(0).i32_const(70_000);
            code.memory_fill(0);
        },
        Trap::OutOfBounds,
    ),
];

#[test]
fn every_trap_has_its_name() {
    for (at, (body, expected)) in TRAPS.into_iter().enumerate() {
        assert_eq!(exit_of(body), trap(expected), "program {at}");
    }
}

#[test]
fn exits_are_what_the_program_says() {
    assert_eq!(exit_of(|_| ()), Exit::Code { code: 0 });
    for status in [0i32, 1, 255, 256, -1] {
        let code = u32::from_le_bytes(status.to_le_bytes());
        assert_eq!(
            exit_of(|sink| exit_with(sink.i32_const(status))),
            Exit::Code { code }
        );
    }
}

/// Modules that the class cannot run, each with what is wrong with it.
fn invalid_modules() -> Vec<(&'static str, Vec<u8>)> {
    let parts = |change: fn(&mut Parts)| {
        let mut parts = Parts::default();
        change(&mut parts);
        module_of(&parts, |code| ignore(code.nop()))
    };
    let importing = |name| {
        let parts = Parts {
            import: Some(name),
            ..Parts::default()
        };
        module_of(&parts, |code| ignore(code.nop()))
    };
    let whole = module(|code| ignore(code.nop()));
    vec![
        ("nothing", vec![]),
        ("not WASM", b"#!/bin/sh\necho hello\n".to_vec()),
        ("a header only", b"\0asm\x01\0\0\0".to_vec()),
        ("a component", b"\0asm\x0d\0\x01\0".to_vec()),
        ("cut", whole[..40].to_vec()),
        ("ill-typed", module(|code| ignore(code.i32_add()))),
        ("without a beginning", parts(|parts| parts.entry = "main")),
        (
            "an unknown function",
            importing(("wasi_snapshot_preview1", "fd_frob")),
        ),
        ("an unknown module", importing(("env", "getpid"))),
        (
            "a known function of another type",
            importing(("wasi_snapshot_preview1", "fd_read")),
        ),
        ("too many tables", parts(|parts| parts.tables = 65)),
    ]
}

#[test]
fn a_module_that_the_class_cannot_run_is_invalid() {
    for (what, bytes) in invalid_modules() {
        let run = Job::new(&bytes).run();
        assert_eq!(run.outcome.exit, Exit::Invalid, "{what}");
        assert!(
            run.stdout.is_empty() && run.outcome.fuel < Fuel(2_200_000),
            "{what}"
        );
    }
    let whole = module(|code| ignore(code.nop()));
    assert_eq!(Job::new(&whole).exit(), Exit::Code { code: 0 });
}

/// What a module lacks is found in its text before anything is compiled, so it pays for its bytes and nothing else.
#[test]
fn a_module_without_an_entry_pays_for_its_bytes_alone() {
    const LOOPS: u64 = 20_000;
    let of_entry = |entry| {
        let parts = Parts {
            entry,
            ..Parts::default()
        };
        module_of(&parts, |code| {
            for _ in 0..LOOPS {
                code.loop_(wasm_encoder::BlockType::Empty).end();
            }
        })
    };
    let (good, bad) = (of_entry("_start"), of_entry("_begin"));
    assert_eq!(good.len(), bad.len());
    let upfront = gridproof_executor::fuel::upfront(&Job::new(&bad).workload);
    let (good, bad) = (Job::new(&good).run().outcome, Job::new(&bad).run().outcome);
    assert_eq!(
        (good.exit, bad.exit),
        (Exit::Code { code: 0 }, Exit::Invalid)
    );
    assert_eq!(bad.fuel.0, upfront);
    assert!(good.fuel.0 > upfront + 64 * 2 * LOOPS);
}

#[test]
fn proposals_outside_the_class_are_refused() {
    let relaxed = module(|code| {
        code.v128_const(0)
            .v128_const(0)
            .v128_const(0)
            .f32x4_relaxed_madd()
            .drop();
    });
    let atomic = module(|code| {
        code.i32_const(0).i32_atomic_load(WORD).drop();
    });
    let tail = module(|code| {
        code.return_call(START);
    });
    for bytes in [relaxed, atomic, tail] {
        assert_eq!(Job::new(&bytes).exit(), Exit::Invalid);
    }
    let simd = module(|code| {
        code.v128_const(3)
            .v128_const(4)
            .i32x4_add()
            .i32x4_extract_lane(0);
        exit_with(code);
    });
    assert_eq!(Job::new(&simd).exit(), Exit::Code { code: 7 });
}

/// The bits of what an operation gives when it makes a NaN, as exit code: the upper half of a double.
fn nan_bits(make: impl FnOnce(&mut InstructionSink<'_>)) -> Exit {
    exit_of(|code| {
        make(code);
        code.i64_reinterpret_f64()
            .i64_const(32)
            .i64_shr_u()
            .i32_wrap_i64();
        exit_with(code);
    })
}

#[test]
fn every_nan_has_the_same_bits() {
    let payload = f64::from_bits(0xfff4_0000_dead_beef);
    let canonical = Exit::Code { code: 0x7ff8_0000 };
    assert_eq!(
        nan_bits(|code| {
            code.f64_const(0.0.into()).f64_const(0.0.into()).f64_div();
        }),
        canonical
    );
    assert_eq!(
        nan_bits(|code| {
            code.f64_const((-1.0).into()).f64_sqrt();
        }),
        canonical
    );
    assert_eq!(
        nan_bits(|code| {
            code.f64_const(payload.into())
                .f64_const(1.0.into())
                .f64_add();
        }),
        canonical
    );
    assert_eq!(
        nan_bits(|code| {
            code.f64_const(payload.into())
                .f64_const(1.0.into())
                .f64_min();
        }),
        canonical
    );
    assert_eq!(
        nan_bits(|code| {
            code.f32_const(f32::NAN.into()).f64_promote_f32();
        }),
        canonical
    );
}

#[test]
fn the_start_section_runs_in_the_same_cage() {
    let parts = Parts {
        is_start_section: true,
        ..Parts::default()
    };
    assert_eq!(
        Job::new(&module_of(&parts, |code| exit_with(code.i32_const(9)))).exit(),
        Exit::Code { code: 9 }
    );
    let endless = module_of(&parts, |code| {
        code.loop_(BlockType::Empty).br(0).end();
    });
    let job = Job::new(&endless).with(|workload| workload.limits.fuel = Fuel(10_000_000));
    assert_eq!(job.exit(), Exit::OutOfFuel);
    assert_eq!(
        Job::new(&module_of(&parts, |code| {
            code.unreachable();
        }))
        .exit(),
        trap(Trap::Unreachable)
    );
}

#[test]
fn pointers_outside_memory_are_answered_not_followed() {
    let fault = Exit::Code { code: 21 };
    assert_eq!(
        exit_of(|code| exit_with(code.i32_const(65_530).i32_const(20).call(RANDOM_GET))),
        fault
    );
    assert_eq!(
        exit_of(|code| exit_with(code.i32_const(-1).i32_const(-1).call(RANDOM_GET))),
        fault
    );
    assert_eq!(
        exit_of(|code| exit_with(
            code.i32_const(0)
                .i64_const(0)
                .i32_const(-8)
                .call(CLOCK_TIME_GET)
        )),
        fault
    );
    assert_eq!(
        exit_of(|code| {
            write(code, 1, 65_000, 1_000);
            exit_with(code);
        }),
        fault
    );
    assert_eq!(
        exit_of(|code| exit_with(
            code.i32_const(1)
                .i32_const(-8)
                .i32_const(1)
                .i32_const(8)
                .call(0)
        )),
        fault
    );
    let no_memory = module_of(
        &Parts {
            memory: "other",
            ..Parts::default()
        },
        |code| {
            code.i32_const(0).i32_const(4).call(RANDOM_GET).drop();
        },
    );
    assert_eq!(Job::new(&no_memory).exit(), trap(Trap::Other));
}

#[test]
fn the_clock_is_the_start_plus_the_fuel() {
    // Writes both clocks to standard output.
    let bytes = module(|code| {
        code.i32_const(0)
            .i64_const(0)
            .i32_const(64)
            .call(CLOCK_TIME_GET)
            .drop();
        code.i32_const(1)
            .i64_const(0)
            .i32_const(72)
            .call(CLOCK_TIME_GET)
            .drop();
        write(code, 1, 64, 16);
        code.drop();
    });
    let job = Job::new(&bytes);
    let run = job.run();
    let clock = |at: usize| u64::from_le_bytes(run.stdout[at..at + 8].try_into().unwrap());
    let upfront = gridproof_executor::fuel::upfront(&job.workload);
    let since = clock(0) - job.workload.clock_start_ns;
    assert!(
        since > upfront && since < clock(8) && clock(8) < run.outcome.fuel.0,
        "{since} {}",
        clock(8)
    );
}

#[test]
fn the_same_run_twice_is_the_same_run() {
    let bytes = module(|code| {
        code.i32_const(128).i32_const(64).call(RANDOM_GET).drop();
        code.i32_const(0)
            .i64_const(0)
            .i32_const(192)
            .call(CLOCK_TIME_GET)
            .drop();
        code.loop_(BlockType::Empty)
            .i32_const(200)
            .i32_const(200)
            .i64_load(LONG)
            .i64_const(1)
            .i64_add()
            .i64_store(LONG);
        code.local_get(0)
            .i32_const(1)
            .i32_add()
            .local_tee(0)
            .i32_const(1_000)
            .i32_lt_u()
            .br_if(0)
            .end();
        write(code, 1, 128, 80);
        code.drop();
    });
    let job = Job::new(&bytes);
    assert_eq!(job.run(), job.run());
}
