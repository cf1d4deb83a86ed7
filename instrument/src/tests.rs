//! What metering promises, under an engine that has nothing to do with ours: what is charged is never less than what runs, and a limit
//! cuts a run where the text says.

mod control;
mod exact;
mod run;
mod vectors;

use arbitrary::Unstructured;
use wasm_smith::Config;

use crate::{PrepareError, prepare};
use control::Draws;
use exact::counting;
use run::{Ended, Limits, run};

/// Modules drawn, and the fuel that each has.
const MODULES: u64 = 400;
const FUEL: i64 = 20_000;

/// A module for a seed: nothing but control, or one of `wasm-smith` that imports nothing, if the seed's bytes make one.
fn drawn(seed: u64) -> Option<Vec<u8>> {
    if !seed.is_multiple_of(4) {
        return Some(control::program(seed));
    }
    let config = Config {
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        max_imports: 0,
        max_memory32_bytes: 4 << 16,
        max_table_elements: 100,
        min_funcs: 2,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    let mut draws = Draws::new(seed);
    let length = 400 + draws.below(4_000);
    let bytes: Vec<u8> = (0..length)
        .map(|_| u8::try_from(draws.below(256)).unwrap())
        .collect();
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    Some(module.to_bytes())
}

#[test]
fn what_is_charged_is_never_less_than_what_runs() {
    let (mut ended, mut cut, mut exact) = (0, 0, 0);
    for seed in 1..=MODULES {
        let Some(module) = drawn(seed) else {
            continue;
        };
        let prepared = match prepare(&module) {
            Ok(prepared) => prepared.bytes,
            Err(PrepareError::Refused(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let Some(metered) = run(&prepared, Limits::fuel(FUEL)) else {
            continue;
        };
        if metered.ended == Ended::OutOfFuel {
            cut += 1;
            continue;
        }
        // It ends, so the text that counts each operator ends too.
        let counted = run(&counting(&module), Limits::fuel(i64::MAX)).unwrap();
        let (charged, ran) = (FUEL - metered.left, i64::MAX - counted.left);
        assert!(charged >= ran, "seed {seed}: {charged} for {ran} units");
        exact += i32::from(charged == ran);
        if metered.ended == Ended::OutOfStack {
            continue;
        }
        assert_eq!(metered.ended, counted.ended, "seed {seed}");
        assert_eq!(metered.calls, counted.calls, "seed {seed}");
        ended += 1;
    }
    println!("{ended} ended, {exact} of them charged exactly; {cut} were cut");
    assert!(ended > 100 && cut > 10 && exact > 20, "too few were drawn");
}

#[test]
fn a_limit_cuts_a_run_by_its_text() {
    let mut cuts = 0;
    for seed in 1..=MODULES / 4 {
        let Some(Ok(prepared)) = drawn(seed).map(|module| prepare(&module)) else {
            continue;
        };
        let Some(whole) = run(&prepared.bytes, Limits::fuel(FUEL)) else {
            continue;
        };
        if matches!(whole.ended, Ended::OutOfFuel | Ended::OutOfStack) {
            continue;
        }
        let needed = FUEL - whole.left;
        let enough = run(&prepared.bytes, Limits::fuel(needed)).unwrap();
        assert_eq!((enough.ended, enough.left), (whole.ended, 0), "seed {seed}");
        for limit in [needed - 1, needed / 2, needed / 3, 1, 0] {
            if limit < 0 || limit >= needed {
                continue;
            }
            let limits = Limits::fuel(limit);
            let short = run(&prepared.bytes, limits).unwrap();
            assert_eq!(short.ended, Ended::OutOfFuel, "seed {seed} at {limit}");
            assert_eq!(Some(short), run(&prepared.bytes, limits), "seed {seed}");
            cuts += 1;
        }
    }
    assert!(cuts > 50, "{cuts}");
}

/// Less stack ends a recursion earlier, at the same call each time.
#[test]
fn a_recursion_takes_its_slots() {
    let module = wat::parse_str(
        "(module (func $deep (export \"f\") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 0))
                (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))))))",
    )
    .unwrap();
    let prepared = prepare(&module).unwrap().bytes;
    // 8, its parameter, three operands at the highest, and one for its 11 operators.
    let slots = 8 + 1 + 3 + 1;
    for depth in [1, 2, 10, 100] {
        let limits = Limits {
            fuel: i64::MAX,
            stack: slots * depth,
            argument: i32::try_from(depth - 1).unwrap(),
        };
        let ended = |limits| run(&prepared, limits).unwrap().ended;
        assert_eq!(ended(limits), Ended::Well);
        let less = Limits {
            stack: slots * depth - 1,
            ..limits
        };
        assert_eq!(ended(less), Ended::OutOfStack);
    }
}

#[test]
fn a_code_section_that_says_more_bytes_than_follow_is_refused() {
    // Found by fuzzing: the section of the one function says 37 bytes, of which 29 are there.
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0]);
    module.extend([10, 0x25, 1, 2, 0, 0x0b]);
    assert!(matches!(prepare(&module), Err(PrepareError::Refused(_))));
}
