//! What compiling is charged by, in numbers: the example of `docs/spec/executor.md` and one module for each term.

use gridproof_instrument::accept::{
    ClassRule, Complexity, MAX_COMPUTED, MAX_TABLE_ELEMENTS, accept,
};
use gridproof_instrument::prepare;

fn complexity(text: &str) -> Complexity {
    prepare(&wat::parse_str(text).unwrap()).unwrap().complexity
}

/// A function whose text is this, in a module with a memory and a table.
fn of_text(text: &str) -> Complexity {
    complexity(&format!(
        "(module (memory 1) (table 1 funcref) (type $none (func)) (func (export \"_start\") {text}))"
    ))
}

#[test]
fn the_example_of_the_spec() {
    let found = complexity(
        "(module (memory 1) (func (export \"_start\") (local i32 f64)
            (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (f64.store (i32.const 8) (f64.sqrt (local.get 1)))
                (br_if 0 (i32.lt_u (local.get 0) (i32.const 9))))))",
    );
    let expected = Complexity {
        functions: 1,
        locals: 2,
        loop_locals: 2,
        code_bytes: 31,
        operators: 3_000,
        signatures: 0,
        // A loop, a branch and one place.
        crowding: (7 + 1 + 4) * (7 + 1 + 4),
        // Two locals and two operands.
        crowded_values: (7 + 1 + 4) * 4,
        computed: 0,
        constant_operators: 0,
        table_elements: 0,
        image_bytes: 0,
        places: 1_000,
    };
    assert_eq!(found, expected);
    let sum = 60_000 + 3_500 + 64 * 4 + 32 * 31 + 3_000 + 144 / 10 + 20 * 48 + 1_000;
    assert_eq!(found.fuel(), sum);
}

#[test]
fn operators_cost_what_compiling_them_takes() {
    for (text, units, crowding) in [
        ("nop", 0, 0),
        ("block end", 0, 1),
        ("i32.const 1 if end", 0, 1),
        ("return", 0, 1),
        (
            "block i32.const 0 br_table 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 end",
            0,
            3,
        ),
        ("loop end", 3_000, 7),
        ("call 0", 300, 1),
        ("i32.const 0 call_indirect (type $none)", 3_500, 4),
        ("i32.const 0 table.get 0 drop", 6_000, 4),
        ("ref.null func i32.const 0 table.grow 0 drop", 6_000, 4),
        ("i32.const 0 i32.const 0 i32.const 0 memory.fill", 2_500, 1),
        ("i32.const 0 memory.grow drop", 2_500, 1),
        ("f64.const 0 f64.floor drop", 1_000, 1),
        ("v128.const i64x2 0 0 f32x4.nearest drop", 4_000, 1),
        ("f64.const 0 f64.sqrt drop", 0, 0),
    ] {
        let found = of_text(text);
        let square = crowding * crowding;
        assert_eq!((found.operators, found.crowding), (units, square), "{text}");
    }
}

#[test]
fn places_are_charged_where_the_pass_makes_them() {
    let stored = of_text("i32.const 0 f64.const 2 f64.sqrt f64.store");
    assert_eq!((stored.places, stored.crowding), (1_000, 16));
    let dropped = of_text("f64.const 2 f64.sqrt drop");
    assert_eq!((dropped.places, dropped.crowding), (0, 0));
    let vector = of_text("i32.const 0 v128.const i64x2 0 0 f64x2.sqrt v128.store");
    assert_eq!((vector.places, vector.crowding), (1_500, 25));
    let text =
        "(module (memory 1) (func (export \"_start\") i32.const 0 f64.const 2 f64.sqrt f64.store))";
    let bytes = wat::parse_str(text).unwrap();
    let (_, known) = accept(&bytes).unwrap();
    assert_eq!(known.places, 0, "of the text alone");
    assert!(known.fuel() < stored.fuel());
}

#[test]
fn many_parameters_cost_wherever_they_are_named() {
    let of_parameters = |count: usize| {
        let parameters = "i32 ".repeat(count);
        complexity(&format!(
            "(module (type (func (param {parameters}))) (func (type 0)) (func (export \"_start\")))"
        ))
        .signatures
    };
    // The type and the function; the type of `_start` takes nothing.
    assert_eq!(of_parameters(8), 2 * 64);
    assert_eq!(of_parameters(20), 2 * (400 + 12 * 1_000));
}

/// The square makes one long function dearer than many short ones of the same text.
#[test]
fn crowded_functions_cost_more() {
    let branches = |functions: usize, each: usize| {
        let body = "i32.const 1 br_if 0 ".repeat(each);
        let functions = format!("(func {body})").repeat(functions);
        complexity(&format!("(module {functions} (func (export \"_start\")))")).crowding
    };
    assert_eq!(branches(1, 1_000), 1_000_000);
    assert_eq!(branches(10, 100), 100_000);
}

/// What a module with this beside an empty `_start` begins with: computed values, operators of constants, elements and bytes laid out.
fn begins(text: &str) -> [u64; 4] {
    let found = complexity(&format!("(module {text} (func $f (export \"_start\")))"));
    [
        found.computed,
        found.constant_operators,
        found.table_elements,
        found.image_bytes,
    ]
}

#[test]
fn first_values_that_are_no_constants_are_computed() {
    assert_eq!(begins("(global i64 (i64.const 1))"), [0; 4]);
    assert_eq!(
        begins("(global v128 (v128.const i64x2 1 2)) (global f32 (f32.const 1))"),
        [0; 4]
    );
    assert_eq!(
        begins("(global i64 (i64.add (i64.const 1) (i64.const 2)))"),
        [1, 2, 0, 0]
    );
    assert_eq!(begins("(global funcref (ref.func $f))"), [1, 0, 0, 0]);
    assert_eq!(begins("(global funcref (ref.null func))"), [1, 0, 0, 0]);
}

#[test]
fn elements_are_laid_out_or_computed() {
    let table = "(table 9 funcref)";
    for (segments, expected) in [
        ("(elem (i32.const 2) func $f $f)", [0, 0, 4, 0]),
        ("(elem (i32.const 7) func $f $f)", [0, 0, 9, 0]),
        (
            "(elem (i32.const 7) func $f) (elem (i32.const 0) func $f)",
            [0, 0, 8, 0],
        ),
        // Outside, at a computed place, by expression, and in no table yet: the values and the segment itself.
        ("(elem (i32.const 8) func $f $f)", [3, 0, 0, 0]),
        ("(elem (i32.const -1) func $f)", [2, 0, 0, 0]),
        (
            "(elem (offset (i32.add (i32.const 0) (i32.const 0))) func $f)",
            [2, 2, 0, 0],
        ),
        (
            "(elem (i32.const 0) funcref (ref.func $f) (ref.null func))",
            [3, 0, 0, 0],
        ),
        ("(elem func $f $f $f)", [4, 0, 0, 0]),
        ("(elem declare func $f)", [0; 4]),
        // What follows a segment that is not laid out is not laid out.
        (
            "(elem (i32.const 9) func $f) (elem (i32.const 0) func $f)",
            [4, 0, 0, 0],
        ),
        // But an unused one stands in no order.
        ("(elem func $f) (elem (i32.const 0) func $f)", [2, 0, 1, 0]),
    ] {
        assert_eq!(
            begins(&format!("{table} {segments}")),
            expected,
            "{segments}"
        );
    }
}

#[test]
fn data_is_laid_out_if_it_lies_close_together() {
    for (text, expected) in [
        ("(memory 1) (data (i32.const 5) \"abc\")", [0, 0, 0, 3]),
        (
            "(memory 1) (data (i32.const 5) \"abc\") (data (i32.const 65535) \"d\")",
            [0, 0, 0, 65_531],
        ),
        ("(memory 1) (data (i32.const 5) \"\")", [0; 4]),
        ("(memory 1) (data \"never copied\")", [0; 4]),
        // 16 MiB apart, and a byte less.
        (
            "(memory 257) (data (i32.const 0) \"a\") (data (i32.const 0xffffff) \"b\")",
            [2, 0, 0, 0],
        ),
        (
            "(memory 257) (data (i32.const 0) \"a\") (data (i32.const 0xfffffe) \"b\")",
            [0, 0, 0, (16 << 20) - 1],
        ),
        // One segment that is not laid out, and none is.
        (
            "(memory 1) (data (i32.const 0) \"a\") (data (i32.const 65536) \"b\")",
            [2, 0, 0, 0],
        ),
        (
            "(memory 1) (data (i32.const 0) \"a\") (data (offset (i32.sub (i32.const 9) (i32.const 8))) \"b\")",
            [2, 2, 0, 0],
        ),
    ] {
        assert_eq!(begins(text), expected, "{text}");
    }
}

#[test]
fn what_a_module_begins_with_is_limited() {
    let refused = |text: &str| {
        let text = format!("(module {text} (func $f (export \"_start\")))");
        accept(&wat::parse_str(text).unwrap()).map(|_| ()).err()
    };
    let names = |count: u64| {
        format!(
            "(elem func {})",
            "$f ".repeat(usize::try_from(count).unwrap())
        )
    };
    assert_eq!(refused(&names(MAX_COMPUTED - 1)), None);
    let found = MAX_COMPUTED + 1;
    assert_eq!(
        refused(&names(MAX_COMPUTED)),
        Some(ClassRule::TooManyComputed { found })
    );
    let tables = |more: u64| {
        format!(
            "(table {} funcref) (table {more} funcref)",
            MAX_TABLE_ELEMENTS - 1
        )
    };
    assert_eq!(refused(&tables(1)), None);
    let found = MAX_TABLE_ELEMENTS + 1;
    assert_eq!(
        refused(&tables(2)),
        Some(ClassRule::TooManyTableElements { found })
    );
}

#[test]
fn each_beginning_has_its_price() {
    let base = complexity("(module (func (export \"_start\")))").fuel();
    for (text, units) in [
        (
            "(global i64 (i64.add (i64.const 1) (i64.const 2)))",
            5_000 + 2 * 250,
        ),
        ("(table 900 funcref) (elem (i32.const 899) func $f)", 900),
        (
            "(memory 1) (data (i32.const 0) \"a\") (data (i32.const 65535) \"b\")",
            8_192,
        ),
    ] {
        let found = complexity(&format!("(module {text} (func $f (export \"_start\")))"));
        assert_eq!(found.fuel() - base, units, "{text}");
    }
}
