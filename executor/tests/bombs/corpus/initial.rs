//! What a module begins with: first values, segments and images that become code or bytes when it is compiled.

use wasm_encoder::{
    ConstExpr, DataSection, ElementSection, Elements, GlobalSection, GlobalType, RefType, ValType,
};

use super::BombEnd::{Invalid, Runs};
use super::sections::{of, tables};
use super::{Bomb, bomb, ignore};

/// An offset of 0 that no compiler takes for a constant without computing it.
fn computed() -> ConstExpr {
    ConstExpr::i32_const(0).with_i32_const(0).with_i32_add()
}

fn of_elements() -> Vec<Bomb> {
    let segments =
        |count: u32, offset: Option<&ConstExpr>, each: &dyn Fn() -> Elements<'static>| {
            of(|sections| {
                sections.tables = Some(tables(1, 1_000_000));
                let mut elements = ElementSection::new();
                for _ in 0..count {
                    match offset {
                        Some(offset) => elements.active(None, offset, each()),
                        None => elements.passive(each()),
                    };
                }
                sections.elements = Some(elements);
            })
        };
    let named = |count: usize| move || Elements::Functions(vec![0; count].into());
    let null = ConstExpr::ref_null(RefType::FUNCREF.heap_type);
    let written = |count: usize, value: &ConstExpr| {
        let list = vec![value.clone(); count];
        move || Elements::Expressions(RefType::FUNCREF, list.clone().into())
    };
    let (zero, sum) = (ConstExpr::i32_const(0), computed());
    let last = of(|sections| {
        sections.tables = Some(tables(64, 1 << 20));
        let mut elements = ElementSection::new();
        for at in 0..64 {
            let offset = ConstExpr::i32_const((1 << 20) - 1);
            elements.active(Some(at), &offset, Elements::Functions(vec![0].into()));
        }
        sections.elements = Some(elements);
    });
    vec![
        bomb(
            "1,024 unused segments of one element",
            Runs,
            segments(1_024, None, &named(1)),
        ),
        bomb(
            "10 unused segments of 1,000 elements",
            Runs,
            segments(10, None, &named(1_000)),
        ),
        bomb(
            "an unused segment of 100,000 elements",
            Invalid,
            segments(1, None, &named(100_000)),
        ),
        bomb(
            "1,024 segments at a computed place",
            Runs,
            segments(1_024, Some(&sum), &named(1)),
        ),
        bomb(
            "100,000 elements at a computed place",
            Invalid,
            segments(1, Some(&sum), &named(100_000)),
        ),
        bomb(
            "16,000 elements at a computed place",
            Runs,
            segments(1, Some(&sum), &named(16_000)),
        ),
        bomb(
            "16,000 elements by expression",
            Runs,
            segments(1, Some(&zero), &written(16_000, &ConstExpr::ref_func(0))),
        ),
        bomb(
            "100,000 elements that are null",
            Invalid,
            segments(1, Some(&zero), &written(100_000, &null)),
        ),
        bomb(
            "100,000 elements by expression",
            Invalid,
            segments(1, Some(&zero), &written(100_000, &ConstExpr::ref_func(0))),
        ),
        bomb("the last element of 64 tables of 2^20", Invalid, last),
    ]
}

fn of_data() -> Vec<Bomb> {
    let with = |pages: u64, data: DataSection| {
        of(|sections| {
            sections.memory_pages = Some(pages);
            sections.data = Some(data);
        })
    };
    let mut sums = DataSection::new();
    (0..4_000).for_each(|_| ignore(sums.active(0, &computed(), [7])));
    let mut ends = DataSection::new();
    ends.active(0, &ConstExpr::i32_const(0), [1]);
    ends.active(0, &ConstExpr::i32_const(15 << 20), [1]);
    let mut thin = DataSection::new();
    for at in 0..3_840 {
        thin.active(0, &ConstExpr::i32_const(at << 12), [1]);
    }
    vec![
        bomb(
            "4,000 segments of data at a computed place",
            Runs,
            with(1, sums),
        ),
        bomb("bytes at both ends of 15 MiB", Runs, with(256, ends)),
        bomb(
            "a byte in each of 3,840 blocks of 15 MiB",
            Runs,
            with(256, thin),
        ),
    ]
}

fn of_globals() -> Vec<Bomb> {
    let with = |count: u32, val_type: ValType, value: &ConstExpr| {
        of(|sections| {
            let mut globals = GlobalSection::new();
            let kind = GlobalType {
                val_type,
                mutable: false,
                shared: false,
            };
            (0..count).for_each(|_| ignore(globals.global(kind, value)));
            sections.globals = Some(globals);
        })
    };
    let sum = ConstExpr::i64_const(1).with_i64_const(2).with_i64_add();
    let function = ConstExpr::ref_func(0);
    vec![
        bomb(
            "20,000 globals that are sums",
            Invalid,
            with(20_000, ValType::I64, &sum),
        ),
        bomb(
            "16,000 globals that are functions",
            Runs,
            with(16_000, ValType::FUNCREF, &function),
        ),
        bomb(
            "20,000 globals that are functions",
            Invalid,
            with(20_000, ValType::FUNCREF, &function),
        ),
    ]
}

pub fn all() -> Vec<Bomb> {
    let all = [of_elements(), of_data(), of_globals()];
    all.into_iter().flatten().collect()
}
