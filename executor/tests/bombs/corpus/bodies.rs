//! Bodies: nesting, branch tables, long straight text, operators that become much code, and graphs of calls.

use types::attestation::Trap;
use wasm_encoder::{
    BlockType, ConstExpr, DataSection, Function, GlobalSection, GlobalType, InstructionSink,
    MemArg, TypeSection, ValType,
};

use super::BombEnd::{Invalid, OutOfFuel, Runs, Traps};
use super::sections::{Sections, of};
use super::{Bomb, bomb, function, ignore, of_body, of_functions, with_types};

/// Largest body of a function in the class, in bytes.
const BODY: usize = 1 << 20;

fn nested(depth: u32, open: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    of_body(|code| {
        (0..depth).for_each(|_| open(code));
        (0..depth).for_each(|_| ignore(code.end()));
    })
}

/// Repeats something.
fn times(count: usize, repeat: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    of_body(|code| (0..count).for_each(|_| repeat(code)))
}

/// Repeats what takes `each` bytes as often as a body has room for.
fn repeated(each: usize, repeat: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    of_body(|code| (0..(BODY - 64) / each).for_each(|_| repeat(code)))
}

fn of_nesting() -> Vec<Bomb> {
    let block = |code: &mut InstructionSink<'_>| ignore(code.block(BlockType::Empty));
    let condition = |code: &mut InstructionSink<'_>| {
        code.i32_const(1).if_(BlockType::Empty);
    };
    let dead = of_body(|code| {
        code.unreachable();
        (0..100_000).for_each(|_| ignore(code.block(BlockType::Empty).end()));
    });
    // Labels that carry many values: each is a join with as many parameters.
    let carrying = |values: usize, depth: u32| {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types
            .ty()
            .function(vec![ValType::I64; values], vec![ValType::I64; values]);
        let body = function([], |code| {
            (0..values).for_each(|_| ignore(code.i64_const(1)));
            for _ in 0..depth {
                code.block(BlockType::FunctionType(1)).i32_const(0).br_if(0);
            }
            (0..depth).for_each(|_| ignore(code.end()));
            (0..values).for_each(|_| ignore(code.drop()));
        });
        with_types(&types, &[0], &[body])
    };
    vec![
        bomb(
            "4,096 blocks within one another",
            Runs,
            nested(4_096, block),
        ),
        bomb(
            "4,097 blocks within one another",
            Invalid,
            nested(4_097, block),
        ),
        bomb(
            "500,000 blocks within one another",
            Invalid,
            nested(500_000, block),
        ),
        bomb(
            "4,096 conditions within one another",
            Runs,
            nested(4_096, condition),
        ),
        bomb(
            "4,096 loops within one another",
            Runs,
            nested(4_096, |code| ignore(code.loop_(BlockType::Empty))),
        ),
        bomb("100,000 blocks that nothing reaches", OutOfFuel, dead),
        bomb(
            "300,000 blocks one after the other",
            OutOfFuel,
            repeated(3, |code| ignore(code.block(BlockType::Empty).end())),
        ),
        bomb(
            "100,000 loops one after the other",
            OutOfFuel,
            repeated(10, |code| ignore(code.loop_(BlockType::Empty).end())),
        ),
        bomb(
            "20 labels that carry 1,000 values",
            Runs,
            carrying(1_000, 20),
        ),
        bomb(
            "4,000 labels that carry 1,000 values",
            Invalid,
            carrying(1_000, 4_000),
        ),
    ]
}

fn of_branch_tables() -> Vec<Bomb> {
    let table = |targets: usize| {
        of_body(|code| {
            code.block(BlockType::Empty).i32_const(3);
            code.br_table(vec![0; targets], 0).end();
        })
    };
    let distinct = of_body(|code| {
        (0..4_000).for_each(|_| ignore(code.block(BlockType::Empty)));
        code.i32_const(3)
            .br_table((0..65_519).map(|at| at % 4_000).collect::<Vec<_>>(), 0);
        (0..4_000).for_each(|_| ignore(code.end()));
    });
    let of_locals = function([(4_000, ValType::I64)], |code| {
        (0..500).for_each(|_| ignore(code.block(BlockType::Empty)));
        code.local_get(0).i32_wrap_i64();
        code.br_table((0..65_519).map(|at| at % 500).collect::<Vec<_>>(), 0);
        for at in 0..500u32 {
            code.end().i64_const(7).local_set(at * 7);
        }
    });
    let full = function([], |code| {
        code.block(BlockType::Empty).i32_const(3);
        code.br_table(vec![0; 65_519], 0).end();
    });
    vec![
        bomb("65,520 branch targets", Runs, table(65_519)),
        bomb("65,521 branch targets", Invalid, table(65_520)),
        bomb("1,000,000 branch targets", Invalid, table(1_000_000)),
        bomb("65,520 branch targets, 4,000 labels", Runs, distinct),
        bomb(
            "65,520 branch targets over 4,000 locals",
            Invalid,
            of_functions(&[of_locals]),
        ),
        bomb(
            "64 functions of 65,520 branch targets",
            Runs,
            of_functions(&vec![full; 64]),
        ),
    ]
}

const AT: MemArg = MemArg {
    offset: 0,
    align: 0,
    memory_index: 0,
};

fn of_long_text() -> Vec<Bomb> {
    let deep = of_body(|code| {
        (0..300_000).for_each(|_| ignore(code.i64_const(1)));
        (0..300_000).for_each(|_| ignore(code.drop()));
    });
    let deep_calls = of_functions(&[
        function([], |code| {
            (0..50_000).for_each(|_| ignore(code.i32_const(1).i32_load(AT)));
            (0..50_000).for_each(|_| ignore(code.call(1)));
            (0..50_000).for_each(|_| ignore(code.drop()));
        }),
        function([], |_| ()),
    ]);
    let calls = of_functions(&[
        function([], |code| (0..200_000).for_each(|_| ignore(code.call(1)))),
        function([], |_| ()),
    ]);
    let sum = of_functions(&[function([(1, ValType::F64)], |code| {
        (0..140_000).for_each(|_| ignore(code.local_get(0).local_get(0).f64_div().local_set(0)));
    })]);
    let canonical = times(20_000, |code| {
        code.i32_const(0)
            .i32_const(0)
            .f64_load(AT)
            .f64_sqrt()
            .f64_store(AT);
    });
    let convert = repeated(9, |code| {
        code.i32_const(0).f64_load(AT).i64_trunc_sat_f64_u().drop();
    });
    let vectors = times(10_000, |code| {
        code.i32_const(0)
            .v128_load(AT)
            .i32_const(0)
            .v128_load(AT)
            .f64x2_mul()
            .f64x2_sqrt()
            .i8x16_popcnt()
            .drop();
    });
    let shuffles = repeated(40, |code| {
        code.v128_const(1).v128_const(2).i8x16_swizzle().drop();
    });
    let divide = repeated(16, |code| {
        code.i32_const(0)
            .i64_load(AT)
            .i32_const(0)
            .i64_load(AT)
            .i64_const(1)
            .i64_or()
            .i64_rem_s()
            .drop();
    });
    let copies = repeated(11, |code| {
        code.i32_const(0)
            .i32_const(0)
            .i32_const(0)
            .memory_copy(0, 0);
    });
    let grows = times(50_000, |code| {
        code.i32_const(0).memory_grow(0).drop();
    });
    vec![
        bomb(
            "a body of 1 MiB that does nothing",
            Runs,
            repeated(1, |code| ignore(code.nop())),
        ),
        bomb(
            "a body of more than 1 MiB",
            Invalid,
            of_body(|code| (0..=BODY).for_each(|_| ignore(code.nop()))),
        ),
        bomb("300,000 operands at the same time", Runs, deep),
        bomb(
            "50,000 operands that live across 50,000 calls",
            OutOfFuel,
            deep_calls,
        ),
        bomb("200,000 calls", OutOfFuel, calls),
        bomb("140,000 divisions of floats", Runs, sum),
        bomb("20,000 square roots that are stored", Runs, canonical),
        bomb("110,000 conversions of floats", Runs, convert),
        bomb("10,000 vectors", Runs, vectors),
        bomb("26,000 swizzles", Runs, shuffles),
        bomb("65,000 remainders", Runs, divide),
        bomb("95,000 copies of memory", OutOfFuel, copies),
        bomb("50,000 growths of memory", Runs, grows),
    ]
}

fn of_call_graphs() -> Vec<Bomb> {
    let chain = |length: u32, last: u32| -> Vec<Function> {
        (0..length)
            .map(|at| {
                function([], |code| {
                    ignore(code.call(if at + 1 < length { at + 1 } else { last }));
                })
            })
            .collect()
    };
    let mut open = chain(20_000, 0);
    open.pop();
    open.push(function([], |_| ()));
    let complete: Vec<_> = (0..300)
        .map(|_| function([], |code| (0..300).for_each(|at| ignore(code.call(at)))))
        .collect();
    let acyclic: Vec<_> = (0..1_000u32)
        .map(|own| {
            function([], |code| {
                code.i32_const(0).if_(BlockType::Empty);
                (own + 1..1_000).for_each(|at| ignore(code.call(at)));
                code.end();
            })
        })
        .collect();
    vec![
        bomb("a chain of 20,000 functions", Runs, of_functions(&open)),
        bomb(
            "a ring of 20,000 functions",
            Traps(Trap::StackOverflow),
            of_functions(&chain(20_000, 0)),
        ),
        bomb(
            "300 functions that call each other",
            Traps(Trap::StackOverflow),
            of_functions(&complete),
        ),
        bomb(
            "1,000 functions that call all later ones",
            Runs,
            of_functions(&acyclic),
        ),
        bomb(
            "100,000 empty functions",
            Runs,
            of_functions(&vec![function([], |_| ()); 100_000]),
        ),
        bomb(
            "200,001 empty functions",
            Invalid,
            of_functions(&vec![function([], |_| ()); 200_001]),
        ),
    ]
}

fn of_long_lives() -> Vec<Bomb> {
    // Each is read twice, so that what was read first is kept for the second: the optimising compiler looks at each value that lives long
    // again for each one that lives shortly.
    let twice = |globals: u32, sections: &mut Sections| {
        let kind = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        let mut list = GlobalSection::new();
        (0..globals).for_each(|_| ignore(list.global(kind, &ConstExpr::i32_const(7))));
        sections.globals = Some(list);
        sections.body = Some(function([], |code| {
            for _ in 0..2 {
                (0..globals).for_each(|at| ignore(code.global_get(at).i32_const(3).i32_mul()));
                (1..globals).for_each(|_| ignore(code.i32_add()));
                code.global_set(0);
            }
        }));
    };
    // Beside what is as dear for either compiler.
    let with_ends = of(|sections| {
        twice(4_000, sections);
        sections.memory_pages = Some(256);
        let mut ends = DataSection::new();
        ends.active(0, &ConstExpr::i32_const(0), [1]);
        ends.active(0, &ConstExpr::i32_const(15 << 20), [1]);
        sections.data = Some(ends);
    });
    let sums = |globals| of(|sections| twice(globals, sections));
    vec![
        bomb("sums of 1,500 globals, twice", Runs, sums(1_500)),
        bomb("sums of 3,000 globals, twice", Runs, sums(3_000)),
        bomb("sums of 6,000 globals, twice", Runs, sums(6_000)),
        bomb(
            "sums of 4,000 globals, and bytes at both ends of 15 MiB",
            Runs,
            with_ends,
        ),
    ]
}

pub fn all() -> Vec<Bomb> {
    [
        of_nesting(),
        of_branch_tables(),
        of_long_text(),
        of_call_graphs(),
        of_long_lives(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
