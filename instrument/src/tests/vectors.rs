//! Golden vectors: modules in text, the hash of what the pass makes of each, and the fuel of a run. A change there is a change of the class.

use std::fmt::Write as _;
use std::path::Path;

use super::run::{Limits, run};
use crate::prepare;

/// A name, and a module whose functions all end.
const MODULES: [(&str, &str); 6] = [
    ("empty", "(module)"),
    (
        "straight",
        "(module (func (export \"f\") (result i32) (i32.add (i32.const 1) (i32.const 2))))",
    ),
    (
        "loop",
        "(module (func (export \"f\") (result i32) (local i32)
            (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))
            (local.get 0)))",
    ),
    (
        "arms",
        "(module (func (export \"f\") (param i32) (result i32)
            (if (local.get 0) (then (nop)) (else (return (i32.const 7))))
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.mul (i32.mul (i32.mul (i32.mul (i32.mul (i32.const 1) (i32.const 2)) (i32.const 3)) (i32.const 4)) (i32.const 5)) (i32.const 6)))
                (else (i32.const 3)))))",
    ),
    (
        "switch",
        "(module (memory 1) (func $leaf (param i32) (result i32) (i32.popcnt (local.get 0)))
            (func (export \"f\") (param i32) (result i32)
                (block (block (block (br_table 0 1 2 (local.get 0)))
                    (return (call $leaf (i32.const 255))))
                    (memory.fill (i32.const 0) (i32.const 1) (i32.const 300))
                    (return (i32.load (i32.const 8))))
                (drop (memory.grow (i32.const 1)))
                (memory.size)))",
    ),
    (
        "recursion",
        "(module (table 1 funcref) (elem (i32.const 0) $even)
            (func $odd (export \"odd\") (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                    (else (call_indirect (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
            (func $even (export \"even\") (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
                (call $odd (i32.sub (local.get 0) (i32.const 1)))))",
    ),
];

/// To write them anew after a deliberate change: `GRIDPROOF_BLESS=1 cargo test -p gridproof-instrument vectors`.
#[test]
fn the_vectors_are_what_they_were() {
    let mut text = String::new();
    for (name, module) in MODULES {
        let module = wat::parse_str(module).unwrap();
        let prepared = prepare(&module).unwrap();
        let limits = Limits {
            argument: 9,
            ..Limits::fuel(1_000_000)
        };
        let run = run(&prepared.bytes, limits).unwrap();
        let fuel = limits.fuel - run.left;
        let (from, to) = (blake3::hash(&module), blake3::hash(&prepared.bytes));
        writeln!(text, "{name} {from} {to} {fuel} {:?}", run.calls).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/prepared.txt");
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}
