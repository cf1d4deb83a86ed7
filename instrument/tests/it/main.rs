//! Tests of the pass, from outside.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod charges;
mod nans;

use gridproof_instrument::prepare;

/// A module that exports a function `_start` without a body's worth of work.
#[test]
fn the_empty_program_is_prepared() {
    let module = wat::parse_str("(module (func (export \"_start\")) (memory 1))").unwrap();
    let prepared = prepare(&module).unwrap();
    assert_eq!(prepared.complexity.locals, 0);
    assert!(prepare(b"\0asm").is_err());
}
