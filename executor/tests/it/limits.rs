//! Limits of the job and of the class: fuel, memory, tables, stack, output, and the size of a module.

use gridproof_executor::{ModuleFlaw, NoResult, run_task};
use types::attestation::{Exit, Trap};
use types::limits::MAX_MODULE_BYTES;
use types::number::{Fuel, TaskIndex};
use wasm_encoder::{BlockType, InstructionSink};

use crate::modules::{Parts, RANDOM_GET, RECURSE, exit_with, module, module_of, trap, write};
use crate::support::{Job, engine};

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
        50_000 + (64 + 32) * 2,
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
            exit_with(code.i32_const(pages).memory_grow(0));
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
    assert_eq!(limited(&table), Exit::Invalid);
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
        Exit::Invalid,
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
fn deep_recursion_is_a_trap_like_any_other() {
    let bytes = module(|code| {
        write(code, 1, 64, 4);
        code.drop().i64_const(1).call(RECURSE).drop();
    });
    let job = Job::new(&bytes);
    let run = job.run();
    assert_eq!(run.outcome.exit, trap(Trap::StackOverflow));
    assert!(run.outcome.fuel < job.workload.limits.fuel);
    assert_eq!(run.stdout.len(), 4);
    assert_eq!(job.run(), run);
    // One unit less than it needs, and the fuel ends first.
    let short = job.with(|workload| workload.limits.fuel = Fuel(run.outcome.fuel.0 - 5));
    assert_eq!(short.exit(), Exit::OutOfFuel);
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
        Err(NoResult::Workload(_))
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
    let length = MAX_MODULE_BYTES + 1;
    assert_eq!(larger.refusal(), Some(&ModuleFlaw::TooLarge { length }));
}
