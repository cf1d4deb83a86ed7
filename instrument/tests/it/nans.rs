//! Where NaNs are made canonical: placement, by small texts.

use gridproof_instrument::accept::accept;
use gridproof_instrument::nan::{Canonical, NanWork, canonicalise};
use wasm_encoder::Instruction;

/// What is made canonical, by its comparison, and after which operator, for each function of a text.
fn places(text: &str) -> Vec<Vec<(usize, &'static str)>> {
    let bytes = wat::parse_str(text).unwrap();
    let (module, _) = accept(&bytes).unwrap();
    let found = canonicalise(&module, Canonical::WhereSeen).unwrap();
    assert_eq!(found.work().eager, 0);
    (0..module.bodies.len())
        .map(|at| {
            let insertions = found.insertions(&module, at).insertions;
            assert_eq!(insertions.len(), found.places(at));
            insertions
                .iter()
                .map(|insertion| {
                    let kind = insertion.code.iter().find_map(|code| match code {
                        Instruction::F32Ge => Some("f32"),
                        Instruction::F64Ge => Some("f64"),
                        Instruction::F32x4Ne => Some("f32x4"),
                        Instruction::F64x2Ne => Some("f64x2"),
                        _ => None,
                    });
                    (insertion.before.0 - 1, kind.unwrap())
                })
                .collect()
        })
        .collect()
}

/// Places of the only function, `body` with a memory and parameters `$x` (raw), `$p` and `$v`.
fn of(body: &str) -> Vec<(usize, &'static str)> {
    let text = format!(
        "(module (memory 1) (func (export \"f\") (param $x f64) (param $p i32) (param $v v128)
            (local $a f64) (local $b f64) (local $w v128) {body}))"
    );
    places(&text).remove(0)
}

#[test]
fn arithmetic_is_made_canonical_where_it_is_stored() {
    let found = of("local.get $p local.get $x local.get $x f64.add f64.sqrt f64.store");
    assert_eq!(found, [(4, "f64")]);
    let text = "local.get $p local.get $x local.get $x f64.add i64.reinterpret_f64 i64.store";
    assert_eq!(of(text), [(3, "f64")]);
}

#[test]
fn what_nobody_looks_at_stays() {
    assert_eq!(of("local.get $x f64.sqrt drop"), []);
    let compared = "local.get $x f64.sqrt local.get $x f64.lt drop";
    assert_eq!(of(compared), []);
    let truncated = "local.get $x f64.sqrt i32.trunc_f64_s drop";
    assert_eq!(of(truncated), []);
}

#[test]
fn raw_values_keep_their_bits() {
    assert_eq!(of("local.get $p local.get $x f64.store"), []);
    let moved = "local.get $p local.get $p f64.load f64.neg local.get $x f64.copysign f64.store";
    assert_eq!(of(moved), []);
    let constant = "local.get $p f64.const nan:0x4000000000001 f64.store";
    assert_eq!(of(constant), []);
    let integer = "local.get $p local.get $p f64.convert_i32_s f64.store";
    assert_eq!(of(integer), []);
}

#[test]
fn a_sum_in_a_loop_is_made_canonical_behind_it() {
    let found = of("loop
            local.get $a local.get $x f64.add local.set $a
            local.get $p br_if 0
        end
        local.get $p local.get $a f64.store");
    assert_eq!(found, [(9, "f64")]);
}

#[test]
fn where_kinds_meet_in_a_local_the_arithmetic_one_is_made_canonical_where_it_arises() {
    let found = of("local.get $x local.set $a
        loop
            local.get $p local.get $a f64.store
            local.get $a local.get $x f64.mul local.set $a
            local.get $p br_if 0
        end");
    assert_eq!(found, [(8, "f64")]);
    // The same without anybody who looks.
    let found = of("local.get $x local.set $a
        loop
            local.get $a f64.const 0 f64.lt drop
            local.get $a local.get $x f64.mul local.set $a
            local.get $p br_if 0
        end");
    assert_eq!(found, []);
}

#[test]
fn where_kinds_meet_on_the_stack_the_arithmetic_one_is_made_canonical_on_its_way() {
    let sum = "loop local.get $a local.get $x f64.add local.set $a local.get $p br_if 0 end";
    let select = "local.get $p local.get $x local.get $a local.get $p select f64.store";
    assert_eq!(of(&format!("{sum} {select}")), [(10, "f64")]);
    let label = "local.get $p
        local.get $p if (result f64) local.get $a else local.get $x end
        f64.store";
    assert_eq!(of(&format!("{sum} {label}")), [(11, "f64")]);
}

/// Two locals change places in each round: what holds for one in a round holds for the other in the next.
#[test]
fn locals_that_change_places_are_followed_to_the_end() {
    let found = of("local.get $x local.set $a
        loop
            local.get $b f64.sqrt
            local.get $a local.set $b
            local.set $a
            local.get $p br_if 0
        end
        local.get $p local.get $b f64.store");
    assert_eq!(found, [(4, "f64")]);
}

#[test]
fn signs_are_passed_on_until_somebody_looks() {
    let found = of("local.get $p local.get $x f64.sqrt f64.neg f64.abs f64.sqrt f64.store");
    assert_eq!(found, [(5, "f64")]);
    // A negated canonical NaN is not the canonical one.
    let found = of("local.get $p local.get $x f64.sqrt f64.neg f64.store");
    assert_eq!(found, [(2, "f64")]);
    let found = of("local.get $p local.get $x f64.sqrt local.set $a
        local.get $a f64.neg f64.store");
    assert_eq!(found, [(4, "f64")]);
    let abs = of("local.get $p local.get $x f64.sqrt f64.abs f64.store");
    assert_eq!(abs, [(3, "f64")]);
    let sign = of("local.get $p local.get $x local.get $x f64.sqrt f64.copysign f64.store");
    assert_eq!(sign, [(3, "f64")], "a NaN's sign goes to a number");
}

#[test]
fn calls_that_only_the_module_makes_are_followed() {
    let text = |open: &str| {
        format!(
            "(module (memory 1)
                (func $half {open} (param f64) (result f64) local.get 0 f64.const 0.5 f64.mul)
                (func (export \"f\") (param f64)
                    i32.const 0 local.get 0 f64.sqrt call $half f64.store))"
        )
    };
    assert_eq!(places(&text("")), [vec![], vec![(3, "f64")]]);
    let open = [vec![(2, "f64")], vec![(2, "f64")]];
    assert_eq!(places(&text("(export \"half\")")), open);
}

#[test]
fn a_parameter_joins_all_calls() {
    let found = places(
        "(module (memory 1)
            (func $store (param f64) i32.const 0 local.get 0 f64.store)
            (func (export \"f\") (param f64)
                local.get 0 call $store
                local.get 0 f64.sqrt call $store))",
    );
    assert_eq!(found, [vec![], vec![(3, "f64")]]);
    let found = places(
        "(module (memory 1) (table 1 funcref) (elem (i32.const 0) $store)
            (func $store (param f64) i32.const 0 local.get 0 f64.store)
            (func (export \"f\") (param f64) local.get 0 f64.sqrt call $store))",
    );
    assert_eq!(found, [vec![], vec![(1, "f64")]], "reached by the table");
}

#[test]
fn vectors_are_made_canonical_by_their_lanes() {
    let found = of("local.get $p local.get $v local.get $v f32x4.add v128.store");
    assert_eq!(found, [(3, "f32x4")]);
    let found = of("local.get $p local.get $v local.get $v f64x2.add
        f64x2.extract_lane 1 f64x2.splat v128.store");
    assert_eq!(found, [(5, "f64x2")]);
    let other = "local.get $v local.get $v f32x4.add local.get $v f64x2.add drop";
    assert_eq!(of(other), [(2, "f32x4")], "read by other lanes");
    let same = "local.get $v f32x4.sqrt local.get $v f32x4.add drop";
    assert_eq!(of(same), []);
    let bits = "local.get $v f32x4.sqrt local.get $v v128.xor drop";
    assert_eq!(of(bits), [(1, "f32x4")]);
}

#[test]
fn shuffles_of_whole_lanes_are_passed_on() {
    let shuffle = |lanes: &str| {
        of(&format!(
            "local.get $v f32x4.sqrt local.get $v f32x4.sqrt i8x16.shuffle {lanes}
            f32x4.sqrt drop"
        ))
    };
    assert_eq!(shuffle("4 5 6 7 16 17 18 19 0 1 2 3 12 13 14 15"), []);
    let bytes = shuffle("1 0 3 2 16 17 18 19 0 1 2 3 12 13 14 15");
    assert_eq!(bytes, [(1, "f32x4"), (3, "f32x4")]);
}

#[test]
fn text_that_no_control_reaches_has_no_places() {
    let found = of("local.get $p br_if 0
        return local.get $p local.get $x f64.sqrt f64.store
        f64.sqrt block loop local.get $x f64.sqrt local.set $x end end drop");
    assert_eq!(found, []);
}

fn work(text: &str) -> (NanWork, u64) {
    let bytes = wat::parse_str(text).unwrap();
    let (module, _) = accept(&bytes).unwrap();
    let found = canonicalise(&module, Canonical::WhereSeen).unwrap();
    (found.work(), u64::try_from(bytes.len()).unwrap())
}

/// Steps per byte that no text may cost more of. They are counted, so that the test is the same on every machine.
const STEPS_PER_BYTE: u64 = 100;

fn bomb(name: &str, text: &str) {
    let (work, bytes) = work(text);
    assert!(
        work.steps < STEPS_PER_BYTE * bytes + 20_000,
        "{name}: {work:?}, {bytes} bytes"
    );
}

fn function(locals: usize, body: &str) -> String {
    let locals = "f64 ".repeat(locals);
    format!("(module (memory 1) (func (export \"f\") (local {locals}) {body}))")
}

#[test]
fn no_text_costs_more_steps_than_its_length_allows() {
    let set = |local: usize| format!("(local.set {local} (f64.sqrt (local.get {local})))");
    let sets = |count: usize| (0..count).map(set).collect::<String>();
    let nested = |depth: usize, inner: &str| {
        format!("{}{inner}{}", "loop ".repeat(depth), "end ".repeat(depth))
    };
    bomb("loops by locals", &function(250, &nested(500, &sets(250))));
    bomb(
        "loops side by side",
        &function(
            100,
            &"loop local.get 0 f64.sqrt local.set 0 end ".repeat(1_000),
        ),
    );
    let changes: Vec<_> = (0..2_000)
        .map(|at| set(at * 37 % 4_000) + "(br_if 0 (i32.const 0))")
        .collect();
    let changes = changes.concat();
    bomb(
        "branches that each change a local",
        &function(4_000, &format!("block {changes} end")),
    );
    let labels: Vec<_> = (0..500).map(|label| label.to_string()).collect();
    let labels = labels.join(" ");
    let table = format!("(block (br_table {labels} 0 (i32.const 0)))");
    let tables: String = (0..4)
        .map(|round| {
            (0..1_000)
                .map(|at| set(round * 1_000 + at))
                .collect::<String>()
                + &table
        })
        .collect();
    let blocks = format!("{}{tables}{}", "block ".repeat(500), "end ".repeat(500));
    bomb("tables to all labels", &function(4_000, &blocks));
    let kinds = "f64 ".repeat(1_000);
    let gets: Vec<_> = (0..1_000).map(|at| format!("local.get {at} ")).collect();
    let wide = format!(
        "(module (type $wide (func (param {kinds}) (result {kinds}))) (func (export \"f\") (type $wide)
            {} {}))",
        gets.concat(),
        "block (type $wide) end ".repeat(30),
    );
    bomb("blocks of a thousand values", &wide);
    let calls = format!(
        "(module (func $g (param {kinds}) (result {kinds}) unreachable) (func (export \"f\") call $g {}
            {}))",
        "call $g ".repeat(60),
        "drop ".repeat(1_000),
    );
    // The first call takes its arguments from nowhere.
    bomb(
        "calls of a thousand values",
        &calls.replace("call $g call $g", "unreachable call $g"),
    );
    bomb(
        "arithmetic that is looked at",
        &function(
            1,
            &format!(
                "local.get 0 {} drop",
                "f64.sqrt f64.neg i64.reinterpret_f64 f64.reinterpret_i64 ".repeat(50_000)
            ),
        ),
    );
}

/// Honest texts are followed: a large function with many blocks and some locals.
#[test]
fn an_honest_text_is_followed() {
    let step = |at: usize| {
        let (to, from) = (at % 40, at * 7 % 40);
        format!(
            "block (br_if 0 (f64.lt (local.get {from}) (f64.const {at})))
                (local.set {to} (f64.add (local.get {from}) (local.get {to})))
                loop (local.set {from} (f64.mul (local.get {from}) (local.get {to})))
                    (br_if 0 (f64.gt (local.get {from}) (f64.const 1)))
                end
            end "
        )
    };
    let text = function(40, &(0..2_000).map(step).collect::<String>());
    assert_eq!(work(&text).0.eager, 0);
}

/// Of several values that arise at one place only the last lies on top there: nothing can be inserted for the others.
#[test]
fn what_lies_under_another_value_is_made_canonical_before_it_arises() {
    let sum = "local.get $x local.get $x f64.add f32.const 1";
    let loops = format!("{sum} loop (param f64 f32) loop (param f64 f32) drop drop end end");
    assert_eq!(of(&loops), [(2, "f64")]);
    let blocks = format!("block (result f64 f32) {sum} end loop (param f64 f32) drop drop end");
    assert_eq!(of(&blocks), [(3, "f64")]);
    let called = places(
        "(module
            (func (export \"f\") (param f64) local.get 0 call $two loop (param f64 f32) drop drop end)
            (func $two (param f64) (result f64 f32) local.get 0 local.get 0 f64.add f32.const 1))",
    );
    assert_eq!(called, [vec![], vec![(2, "f64")]]);
}
