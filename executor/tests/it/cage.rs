//! Hand-written modules that try what a program should not be able to do, or do what must end the same everywhere.

use gridproof_executor::{NoResult, run_task};
use types::attestation::{Exit, Trap};
use types::limits::MAX_MODULE_BYTES;
use types::number::{Fuel, TaskIndex};
use wasm_encoder::{BlockType, InstructionSink, MemArg};

use crate::modules::{
    CLOCK_TIME_GET, PROC_EXIT, Parts, RANDOM_GET, RECURSE, START, module, module_of, write,
};
use crate::support::{Job, engine};

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

fn trap(trap: Trap) -> Exit {
    Exit::Trap { trap }
}

/// Exits with the number on the stack.
fn exit_with(code: &mut InstructionSink<'_>) {
    code.call(PROC_EXIT);
}

#[test]
fn every_trap_has_its_name() {
    assert_eq!(
        exit_of(|code| {
            code.unreachable();
        }),
        trap(Trap::Unreachable)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(65_536).i32_load(WORD).drop();
        }),
        trap(Trap::OutOfBounds)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(-4).i32_const(7).i32_store(WORD);
        }),
        trap(Trap::OutOfBounds)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(1).i32_const(0).i32_div_s().drop();
        }),
        trap(Trap::Arithmetic)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(i32::MIN).i32_const(-1).i32_div_s().drop();
        }),
        trap(Trap::Arithmetic)
    );
    assert_eq!(
        exit_of(|code| {
            code.f64_const(1e300.into()).i32_trunc_f64_s().drop();
        }),
        trap(Trap::Arithmetic)
    );
    assert_eq!(
        exit_of(|code| {
            code.f64_const(f64::NAN.into()).i64_trunc_f64_u().drop();
        }),
        trap(Trap::Arithmetic)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(1).call_indirect(0, 0);
        }),
        trap(Trap::IndirectCall)
    );
    assert_eq!(
        exit_of(|code| {
            code.i32_const(99).call_indirect(0, 0);
        }),
        trap(Trap::OutOfBounds)
    );
    let other_type = exit_of(|code| {
        code.i32_const(0)
            .ref_func(START)
            .table_set(0)
            .i32_const(1)
            .i32_const(0)
            .call_indirect(0, 2);
    });
    assert_eq!(other_type, trap(Trap::IndirectCall));
    assert_eq!(
        exit_of(|code| {
            code.i32_const(0)
                .i32_const(0)
                .i32_const(70_000)
                .memory_fill(0);
        }),
        trap(Trap::OutOfBounds)
    );
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

#[test]
fn a_module_that_the_class_cannot_run_is_invalid() {
    let ok = |code: &mut InstructionSink<'_>| {
        code.nop();
    };
    let parts = Parts::default;
    for (what, bytes) in [
        ("nothing", vec![]),
        ("not WASM", b"#!/bin/sh\necho hello\n".to_vec()),
        ("a header only", b"\0asm\x01\0\0\0".to_vec()),
        ("a component", b"\0asm\x0d\0\x01\0".to_vec()),
        ("cut", module(ok)[..40].to_vec()),
        (
            "ill-typed",
            module(|code| {
                code.i32_add();
            }),
        ),
        (
            "without a beginning",
            module_of(
                &Parts {
                    entry: "main",
                    ..parts()
                },
                ok,
            ),
        ),
        (
            "an unknown function",
            module_of(
                &Parts {
                    import: Some(("wasi_snapshot_preview1", "fd_frob")),
                    ..parts()
                },
                ok,
            ),
        ),
        (
            "an unknown module",
            module_of(
                &Parts {
                    import: Some(("env", "getpid")),
                    ..parts()
                },
                ok,
            ),
        ),
        (
            "a known function of another type",
            module_of(
                &Parts {
                    import: Some(("wasi_snapshot_preview1", "fd_read")),
                    ..parts()
                },
                ok,
            ),
        ),
        (
            "too many tables",
            module_of(
                &Parts {
                    tables: 65,
                    ..parts()
                },
                ok,
            ),
        ),
    ] {
        let run = Job::new(&bytes).run();
        assert_eq!(run.outcome.exit, Exit::Invalid, "{what}");
        assert!(
            run.stdout.is_empty() && run.outcome.fuel < Fuel(2_200_000),
            "{what}"
        );
    }
    assert_eq!(Job::new(&module(ok)).exit(), Exit::Code { code: 0 });
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
fn a_loop_without_end_ends_at_its_fuel() {
    let endless = module(|code| {
        code.loop_(BlockType::Empty).br(0).end();
    });
    for limit in [100_000, 3_000_000, 50_000_000] {
        let job = Job::new(&endless).with(|workload| workload.limits.fuel = Fuel(limit));
        let run = job.run();
        assert_eq!(
            (run.outcome.exit, run.outcome.fuel),
            (Exit::OutOfFuel, Fuel(limit))
        );
    }
}

#[test]
fn bulk_work_costs_what_it_moves() {
    let fill = |length: i32| {
        let parts = Parts {
            pages: 1_000,
            ..Parts::default()
        };
        let bytes = module_of(&parts, |code| {
            code.i32_const(0)
                .i32_const(1)
                .i32_const(length)
                .memory_fill(0);
        });
        Job::new(&bytes).run().outcome.fuel.0
    };
    let difference = fill(60_000_000) - fill(10_000_000);
    assert!(
        (50_000_000..50_001_000).contains(&difference),
        "{difference}"
    );
    let random = |length: i32| {
        let bytes = module(|code| {
            code.i32_const(0).i32_const(length).call(RANDOM_GET).drop();
        });
        Job::new(&bytes).run().outcome.fuel.0
    };
    assert_eq!(
        random(50_000) - random(0),
        50_000 + 64 * 2,
        "two more bytes of module"
    );
}

#[test]
fn memory_grows_up_to_the_jobs_limit_and_costs() {
    // Grows by so many pages and exits with what that gave.
    let grow = |pages: i32, limit: u64, most: Option<u64>| {
        let parts = Parts {
            max_pages: most,
            ..Parts::default()
        };
        let bytes = module_of(&parts, |code| {
            exit_with(code.i32_const(pages).memory_grow(0))
        });
        Job::new(&bytes)
            .with(|workload| workload.limits.memory_bytes = limit)
            .run()
            .outcome
    };
    let (granted, denied) = (Exit::Code { code: 1 }, Exit::Code { code: u32::MAX });
    assert_eq!(grow(15, 1 << 20, None).exit, granted);
    assert_eq!(grow(16, 1 << 20, None).exit, denied);
    assert_eq!(
        grow(5, 1 << 20, Some(4)).exit,
        denied,
        "the module's own maximum"
    );
    assert_eq!(
        grow(65_535, u64::MAX, None).exit,
        granted,
        "all that 32 bits can address"
    );
    assert_eq!(
        grow(65_536, u64::MAX, None).exit,
        denied,
        "more than 32 bits can address"
    );
    assert_eq!(
        grow(-1, u64::MAX, None).exit,
        Exit::OutOfFuel,
        "asking costs, whatever the answer"
    );
    let more = grow(101, 1 << 30, None).fuel.0 - grow(1, 1 << 30, None).fuel.0;
    assert!(
        (100 * 1_024..100 * 1_024 + 30_000).contains(&more),
        "{more}"
    );
}

#[test]
fn what_a_program_begins_with_is_limited_as_well() {
    let ok = |code: &mut InstructionSink<'_>| {
        code.nop();
    };
    let memory = module_of(
        &Parts {
            pages: 17,
            ..Parts::default()
        },
        ok,
    );
    let limited = |bytes: &[u8]| {
        Job::new(bytes)
            .with(|workload| workload.limits.memory_bytes = 1 << 20)
            .exit()
    };
    assert_eq!(limited(&memory), trap(Trap::Other));
    assert_eq!(
        limited(&module_of(
            &Parts {
                pages: 16,
                ..Parts::default()
            },
            ok
        )),
        Exit::Code { code: 0 }
    );
    let table = module_of(
        &Parts {
            table_elements: 1 << 21,
            ..Parts::default()
        },
        ok,
    );
    assert_eq!(limited(&table), trap(Trap::Other));
    let tables = module_of(
        &Parts {
            table_elements: 1 << 18,
            tables: 5,
            ..Parts::default()
        },
        ok,
    );
    assert_eq!(
        limited(&tables),
        trap(Trap::Other),
        "the limit is for all tables together"
    );
    let outside = module_of(
        &Parts {
            data: vec![1],
            data_at: 65_536,
            ..Parts::default()
        },
        ok,
    );
    assert_eq!(limited(&outside), trap(Trap::OutOfBounds));
}

#[test]
fn a_table_bomb_is_denied() {
    let bytes = module(|code| {
        code.ref_null(wasm_encoder::HeapType::FUNC)
            .i32_const(1 << 20)
            .table_grow(0);
        exit_with(code);
    });
    assert_eq!(Job::new(&bytes).exit(), Exit::Code { code: u32::MAX });
    let bytes = module(|code| {
        code.ref_null(wasm_encoder::HeapType::FUNC)
            .i32_const(1 << 19)
            .table_grow(0);
        exit_with(code);
    });
    assert_eq!(Job::new(&bytes).exit(), Exit::Code { code: 4 });
}

#[test]
fn deep_recursion_is_a_trap_that_keeps_nothing_of_its_depth() {
    let bytes = module(|code| {
        write(code, 1, 64, 4);
        code.drop().i64_const(1).call(RECURSE).drop();
    });
    let job = Job::new(&bytes);
    let run = job.run();
    assert_eq!(run.outcome.exit, trap(Trap::StackOverflow));
    assert_eq!(run.outcome.fuel, job.workload.limits.fuel);
    assert!(run.stdout.is_empty());
    assert_eq!(job.run(), run);
}

#[test]
fn an_output_bomb_ends_at_the_jobs_limit() {
    let bytes = module_of(
        &Parts {
            data: b"0123456789".to_vec(),
            ..Parts::default()
        },
        |code| {
            code.loop_(BlockType::Empty);
            write(code, 1, 64, 10);
            code.i32_eqz().br_if(0).end();
        },
    );
    let run = Job::new(&bytes)
        .with(|workload| workload.limits.output_bytes = 1_005)
        .run();
    assert_eq!(run.outcome.exit, Exit::OutOfOutput);
    assert_eq!(run.stdout.len(), 1_000);
    let run = Job::new(&bytes)
        .with(|workload| workload.limits.output_bytes = 0)
        .run();
    assert_eq!((run.outcome.exit, run.stdout.len()), (Exit::OutOfOutput, 0));
}

#[test]
fn outputs_are_paid_for_at_the_end() {
    let bytes = module(|code| {
        write(code, 1, 64, 5_000);
        code.drop();
    });
    let job = Job::new(&bytes);
    let needed = job.run().outcome.fuel.0;
    let short = job
        .with(|workload| workload.limits.fuel = Fuel(needed - 1))
        .run();
    assert_eq!(
        (short.outcome.exit, short.stdout.len()),
        (Exit::OutOfFuel, 5_000)
    );
}

#[test]
fn each_blob_that_a_task_may_leave_is_paid_for_before_it_begins() {
    let job = Job::new(&module(|code| {
        code.nop();
    }));
    let more = job
        .clone()
        .output("one", "/out/one")
        .output("two", "/out/two")
        .run()
        .outcome
        .fuel
        .0;
    assert_eq!(more - job.run().outcome.fuel.0, 2_000_000);
    assert!(
        job.run().outcome.fuel.0 > 2_000_000,
        "standard output and error are such blobs"
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

#[test]
fn a_module_too_dear_for_the_job_is_not_compiled() {
    // Not a module at all, which nobody finds out.
    let job = Job::new(&[7; 10_000])
        .with(|workload| workload.limits.fuel = Fuel(2_000_000 + 64 * 10_000 - 1));
    let program = engine().prepare(&job.workload, &[7; 10_000]).unwrap();
    let run = run_task(&program, &job.workload, TaskIndex(0), &job.inputs()).unwrap();
    assert_eq!(
        (run.outcome.exit, run.outcome.fuel),
        (Exit::OutOfFuel, job.workload.limits.fuel)
    );
    let affordable = job
        .clone()
        .with(|workload| workload.limits.fuel = Fuel(2_000_000 + 64 * 10_000));
    assert!(
        run_task(&program, &affordable.workload, TaskIndex(0), &job.inputs()).is_err(),
        "prepared for less"
    );
    assert_eq!(affordable.exit(), Exit::Invalid);
    let other = Job::new(&[8; 10]).workload;
    assert!(matches!(
        run_task(&program, &other, TaskIndex(0), &job.inputs()),
        Err(NoResult::Workload { .. })
    ));
}

#[test]
fn a_module_is_at_most_as_large_as_the_protocol_allows() {
    let sized = |size: usize| {
        let parts = Parts {
            pages: 1_700,
            data: vec![1; size],
            ..Parts::default()
        };
        module_of(&parts, |code| {
            code.nop();
        })
    };
    let most = usize::try_from(MAX_MODULE_BYTES).unwrap();
    // Lengths from 2^21 on are written in as many bytes as the largest.
    let frame = sized(1 << 21).len() - (1 << 21);
    let mut bytes = sized(most - frame);
    assert_eq!(bytes.len(), most);
    assert_eq!(engine().compile(&bytes).unwrap().refusal(), None);
    bytes.push(0);
    let larger = engine().compile(&bytes).unwrap();
    assert!(
        larger.refusal().unwrap().starts_with("larger than"),
        "{larger:?}"
    );
}
