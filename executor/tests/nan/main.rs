//! Canonical NaNs by the pass against those that an engine makes itself, after every operator, on random modules.
//!
//! `GRIDPROOF_MODULES` says how many modules, `GRIDPROOF_SEED` which seed is the first (`scripts/fuzz-class` sets both).
//! What is compared: results, traps, globals and memories, bit for bit.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "how much was compared is shown")]

mod body;
mod operations;
mod program;
mod random;
mod run;
mod smith;
mod statements;

use instrument::accept::accept;
use instrument::nan::{Canonical, canonicalise};
use instrument::{PrepareError, prepare, with_canonical_nans};
use run::{Seen, first, second};

/// Room for the stacks of guests.
const STACK: usize = 64 << 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Seeds that noticed a fault, planted (ADR 51) or found: every run begins with them.
const NOTICED: [u64; 11] = [3, 45, 110, 202, 517, 538, 679, 1199, 2770, 5262, 7295];

/// The seeds of a run: those that the environment names, or the ones above and the first few.
fn seeds(default: u64) -> Vec<u64> {
    let first = number("GRIDPROOF_SEED", 1);
    let drawn = first..first + number("GRIDPROOF_MODULES", default);
    let is_named = ["GRIDPROOF_SEED", "GRIDPROOF_MODULES"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some());
    let noticed = NOTICED.into_iter().filter(|_| !is_named);
    let seeds: Vec<u64> = noticed.chain(drawn.clone()).collect();
    println!("{} seeds, {drawn:?} among them", seeds.len());
    seeds
}

/// Runs where there is room for deep recursion.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(test);
    if let Err(panic) = thread.unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

/// One seed in so many is a module of `wasm-smith`, the others are of our own generator, full of NaNs.
const SMITH: u64 = 4;

/// The seed's module; `several` is whether blocks may take or give several values.
fn module(seed: u64, several: bool) -> Option<Vec<u8>> {
    if seed.is_multiple_of(SMITH) {
        smith::draw(seed, several)
    } else {
        Some(program::draw(seed, several))
    }
}

/// What the pass made of the seed's module; nothing if the class refuses it.
fn made<T>(seed: u64, made: Result<T, PrepareError>) -> Option<T> {
    match made {
        Ok(prepared) => Some(prepared),
        Err(PrepareError::Refused(rule)) => {
            assert!(seed.is_multiple_of(SMITH), "seed {seed}: {rule}");

            None
        }
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

#[derive(Debug, Default)]
struct Tally {
    compared: u64,
    /// They are told from others if nothing is made canonical.
    differ_without: u64,
    /// They have functions that cost too much to follow.
    eager: u64,
    /// The class refuses them.
    refused: u64,
    /// They do not begin.
    dead: u64,
    /// The engine's stack ended a call.
    deep: u64,
    /// The second engine contradicts the first even where every operator is made canonical.
    contradicted: u64,
}

impl Tally {
    /// That the test can fail, if there are enough modules to tell.
    fn judge(&self) {
        println!("{self:?}");
        if self.compared < 100 {
            return;
        }
        assert!(self.differ_without * 5 > self.compared, "{self:?}");
        assert!(self.eager * 50 > self.compared, "{self:?}");
        assert!(self.contradicted * 100 <= self.compared, "{self:?}");
    }
}

fn compare(seed: u64, what: &str, expected: &Seen, found: Option<&Seen>) {
    let found = found.unwrap_or_else(|| panic!("seed {seed}, {what}: does not begin"));
    for (left, right) in expected.calls.iter().zip(&found.calls) {
        assert_eq!(
            left, right,
            "seed {seed}, {what}: left expected, right found"
        );
    }
    assert_eq!(
        expected, found,
        "seed {seed}, {what}: left expected, right found"
    );
}

/// A module, and what is seen of it when the engine makes NaNs canonical after every operator: the truth.
fn expected(
    seed: u64,
    several: bool,
    truth: &wasmtime::Engine,
    tally: &mut Tally,
) -> Option<(Vec<u8>, Seen)> {
    let original = module(seed, several)?;
    let Some((parsed, _)) = made(seed, accept(&original).map_err(PrepareError::Refused)) else {
        tally.refused += 1;
        return None;
    };
    let Some(shown) = first::run(truth, &original, seed).unwrap() else {
        tally.dead += 1;
        return None;
    };
    if shown.overflowed() {
        tally.deep += 1;
        return None;
    }
    let work = canonicalise(&parsed, Canonical::WhereSeen).unwrap().work();
    tally.eager += u64::from(work.eager > 0);
    tally.compared += 1;
    Some((original, shown))
}

#[test]
fn where_seen_is_as_good_as_where_made() {
    with_room(|| {
        let truth = first::engine(true, true);
        let plain = [first::engine(false, true), first::engine(false, false)];
        let baseline = first::baseline();
        let mut tally = Tally::default();
        for seed in seeds(300) {
            let Some((original, expected)) = expected(seed, true, &truth, &mut tally) else {
                continue;
            };
            let engine = &plain[usize::from(seed.is_multiple_of(2))];
            let seen = made(seed, with_canonical_nans(&original, Canonical::WhereSeen)).unwrap();
            let run = first::run(engine, &seen, seed).unwrap();
            compare(seed, "where seen", &expected, run.as_ref());
            let all = made(seed, prepare(&original)).unwrap();
            let run = first::run(engine, &all.bytes, seed).unwrap();
            compare(seed, "the whole pass", &expected, run.as_ref());
            let run = first::run(&baseline, &all.bytes, seed).unwrap();
            compare(seed, "the baseline compiler", &expected, run.as_ref());
            let without = first::run(engine, &original, seed).unwrap();
            tally.differ_without += u64::from(without.as_ref() != Some(&expected));
        }
        tally.judge();
    });
}

/// Hash over what the pass writes for some modules. Where it puts its code decides how long a prepared function is, which has a
/// limit: a change is one of the class.
const FROZEN: &str = "47bc71c22f9ad0b3153f2936b93d9ea7482cd8fedf83e308f454bb9f345ec159";

#[test]
fn the_places_are_frozen() {
    let mut hasher = blake3::Hasher::new();
    for seed in 1..=60 {
        let module = program::draw(seed, true);
        hasher.update(&with_canonical_nans(&module, Canonical::WhereSeen).unwrap());
    }
    assert_eq!(hasher.finalize().to_string(), FROZEN);
}

/// wasmi 2.0.0 itself errs in some modules: it takes one of several values of a block for another, so that blocks have single
/// ones here, and seldom the wrong operand of a `select`. So it is no judge of modules in which it contradicts the truth even
/// where every operator is made canonical.
#[test]
fn a_second_engine_sees_the_same() {
    with_room(|| {
        let truth = first::engine(true, true);
        let interpreter = second::engine();
        let mut tally = Tally::default();
        for seed in seeds(200) {
            let Some((original, expected)) = expected(seed, false, &truth, &mut tally) else {
                continue;
            };
            let run = |canonical| {
                let bytes = made(seed, with_canonical_nans(&original, canonical)).unwrap();
                second::run(&interpreter, &bytes, seed).unwrap()
            };
            if run(Canonical::WhereMade).as_ref() == Some(&expected) {
                let seen = run(Canonical::WhereSeen);
                compare(seed, "wasmi, where seen", &expected, seen.as_ref());
            } else {
                tally.contradicted += 1;
            }
            let without = second::run(&interpreter, &original, seed).unwrap();
            tally.differ_without += u64::from(without.as_ref() != Some(&expected));
        }
        tally.judge();
    });
}
