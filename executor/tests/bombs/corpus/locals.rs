//! Locals, parameters and types: what a frame holds, and what every join of the control flow must carry.

use wasm_encoder::{BlockType, Function, InstructionSink, TypeSection, ValType};

use super::BombEnd::{Invalid, OutOfFuel, Runs};
use super::{Bomb, bomb, function, ignore, of_functions, with_types};

/// Sets all locals of a function, calls another, and adds them up, so that all live across the call.
fn all_live(code: &mut InstructionSink<'_>, count: u32) {
    for local in 0..count {
        code.i64_const(i64::from(local)).local_set(local);
    }
    code.call(1).i64_const(0);
    for local in 0..count {
        code.local_get(local).i64_add();
    }
    code.drop();
}

fn nothing() -> Function {
    function([], |_| ())
}

/// Loops within one another that all change all locals.
fn loops_over_locals(loops: u32, locals: u32) -> Vec<u8> {
    of_functions(&[function([(locals, ValType::I64)], |code| {
        for at in 0..loops {
            code.loop_(BlockType::Empty)
                .local_get(at % locals)
                .i64_const(1)
                .i64_add()
                .local_set((at * 7 + 1) % locals)
                .local_get(at % locals)
                .i64_eqz()
                .br_if(0);
        }
        for _ in 0..loops {
            code.end();
        }
    })])
}

fn of_locals() -> Vec<Bomb> {
    let declared = |count| of_functions(&[function([(count, ValType::I64)], |_| ())]);
    let runs = |count| vec![(1, ValType::I64); count];
    let many = |functions: usize, locals| {
        let one = function([(locals, ValType::I64)], |_| ());
        of_functions(&vec![one; functions])
    };
    let live = |count| {
        let user = function([(count, ValType::I64)], |code| all_live(code, count));
        of_functions(&[user, nothing()])
    };
    let vectors = function([(4_096, ValType::V128)], |code| {
        for local in 0..4_096 {
            code.i32_const(7).i32x4_splat().local_set(local);
        }
        code.call(1).v128_const(0);
        for local in 0..4_096 {
            code.local_get(local).i32x4_add();
        }
        code.drop();
    });
    let copies = function([(4_096, ValType::I64)], |code| {
        for step in 0..150_000u32 {
            code.local_get(step * 17 % 4_096)
                .local_set(step * 31 % 4_096);
        }
    });
    vec![
        bomb("4,096 locals", Runs, declared(4_096)),
        bomb("4,097 locals", Invalid, declared(4_097)),
        bomb(
            "50,000 locals, the most that the format takes",
            Invalid,
            declared(50_000),
        ),
        bomb("2^32 - 1 locals", Invalid, declared(u32::MAX)),
        bomb(
            "4,096 locals in runs of one",
            Runs,
            of_functions(&[function(runs(4_096), |_| ())]),
        ),
        bomb(
            "500,000 runs of locals",
            Invalid,
            of_functions(&[function(runs(500_000), |_| ())]),
        ),
        bomb("256 functions of 4,096 locals", Runs, many(256, 4_096)),
        bomb("257 functions of 4,096 locals", Invalid, many(257, 4_096)),
        bomb(
            "10,000 functions of 50,000 locals",
            Invalid,
            many(10_000, 50_000),
        ),
        bomb("100,000 functions of 10 locals", Runs, many(100_000, 10)),
        bomb("4,096 locals that live across a call", Runs, live(4_096)),
        bomb(
            "4,096 vectors that live across a call",
            Runs,
            of_functions(&[vectors, nothing()]),
        ),
        bomb(
            "150,000 copies between 4,096 locals",
            Runs,
            of_functions(&[copies]),
        ),
    ]
}

fn of_loops() -> Vec<Bomb> {
    let branches = |count: u32| {
        of_functions(&[function([(4_000, ValType::I64)], |code| {
            code.block(BlockType::Empty);
            for at in 0..count {
                code.local_get(at % 4_000).i64_eqz().br_if(0);
                code.i64_const(i64::from(at)).local_set(at * 13 % 4_000);
            }
            code.end();
        })])
    };
    let joins = |count: u32| {
        of_functions(&[function([(4_000, ValType::I64)], |code| {
            for at in 0..count {
                code.local_get(at % 4_000)
                    .i64_eqz()
                    .if_(BlockType::Empty)
                    .i64_const(i64::from(at))
                    .local_set(at * 13 % 4_000)
                    .end();
            }
        })])
    };
    vec![
        bomb(
            "512 loops over 256 locals",
            OutOfFuel,
            loops_over_locals(512, 256),
        ),
        bomb(
            "32 loops over 4,096 locals",
            OutOfFuel,
            loops_over_locals(32, 4_096),
        ),
        bomb(
            "200 loops over 655 locals",
            OutOfFuel,
            loops_over_locals(200, 655),
        ),
        bomb(
            "200 loops over 5,000 locals",
            Invalid,
            loops_over_locals(200, 5_000),
        ),
        bomb(
            "4,096 loops over 32 locals",
            OutOfFuel,
            loops_over_locals(4_096, 32),
        ),
        bomb(
            "4,096 loops over 33 locals",
            Invalid,
            loops_over_locals(4_096, 33),
        ),
        bomb("2,000 branches over 4,000 locals", Runs, branches(2_000)),
        bomb(
            "60,000 branches over 4,000 locals",
            Invalid,
            branches(60_000),
        ),
        bomb("2,000 joins over 4,000 locals", Runs, joins(2_000)),
        bomb("30,000 joins over 4,000 locals", Invalid, joins(30_000)),
    ]
}

fn of_parameters() -> Vec<Bomb> {
    let callee = |parameters: usize, results: usize| {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types
            .ty()
            .function(vec![ValType::I64; parameters], vec![ValType::I64; results]);
        let called = function([], |code| {
            for _ in 0..results {
                code.i64_const(1);
            }
        });
        let user = move |calls: usize| {
            function([], |code| {
                for _ in 0..calls {
                    (0..parameters).for_each(|_| ignore(code.i64_const(1)));
                    code.call(1);
                    (0..results).for_each(|_| ignore(code.drop()));
                }
            })
        };
        move |calls| with_types(&types, &[0, 1], &[user(calls), called.clone()])
    };
    let types = |count: u32, parameters: usize| {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        for at in 1..count {
            // No two are the same.
            let mut kinds = vec![ValType::I32; parameters];
            for (bit, kind) in kinds.iter_mut().take(20).enumerate() {
                *kind = if at >> bit & 1 == 1 {
                    ValType::I64
                } else {
                    ValType::F32
                };
            }
            types.ty().function(kinds, []);
        }
        with_types(&types, &[0], &[nothing()])
    };
    let mut wide = TypeSection::new();
    wide.ty().function([], []);
    wide.ty().function([], vec![ValType::I64; 1_000]);
    let results = function([], |code| {
        (0..1_000).for_each(|_| ignore(code.i64_const(1)));
    });
    let calls = function([], |code| {
        (0..500_000).for_each(|_| ignore(code.call(1)));
        code.unreachable();
    });
    let leaving = with_types(&wide, &[0, 1], &[calls, results]);
    vec![
        bomb("1,000 parameters", Runs, callee(1_000, 0)(1)),
        bomb("1,001 parameters", Invalid, callee(1_001, 0)(1)),
        bomb("1,000 results", Runs, callee(0, 1_000)(1)),
        bomb(
            "60 calls with 1,000 parameters and results",
            Runs,
            callee(1_000, 1_000)(60),
        ),
        bomb(
            "200 calls with 1,000 parameters and results",
            Invalid,
            callee(1_000, 1_000)(200),
        ),
        bomb(
            "500,000 calls that leave 1,000 values each",
            Invalid,
            leaving,
        ),
        bomb("3,000 types of 20 parameters", Runs, types(3_000, 20)),
        bomb("100,000 types", Invalid, types(100_000, 20)),
        bomb(
            "10,000 types of 1,000 parameters",
            Invalid,
            types(10_000, 1_000),
        ),
    ]
}

pub fn all() -> Vec<Bomb> {
    [of_locals(), of_loops(), of_parameters()]
        .into_iter()
        .flatten()
        .collect()
}
