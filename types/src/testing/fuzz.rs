//! Fuzzing of decoders on stable Rust: valid bytes are changed, cut and joined, and a decoder must refuse or accept what comes,
//! and never panic.
//!
//! There is no instrumentation. What takes its place: an input whose answer was not seen before (another error, or another place at
//! which decoding stopped) is kept and changed further, so that a run works its way into a format. A run follows from its
//! seed, which is printed, and from the number of cases: `GRIDPROOF_FUZZ_CASES` (2,000 by default, short enough for every run
//! of the tests; `scripts/fuzz-decoders` runs millions). An input that makes a decoder panic is printed in hex. What it leaves
//! out: faults that need more than the structure that the seeds show.

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use borsh::{BorshDeserialize, BorshSerialize};

use super::Random;
use crate::codec::{decode, encode};
use crate::hash::{Domain, Hash32};

/// Cases of a target where the environment says nothing.
const CASES: u64 = 2_000;
/// Inputs that are kept to be changed further.
const MAX_KEPT: usize = 1_024;
/// Changes of one input at most.
const MAX_CHANGES: u64 = 6;
/// The longest input that is made, in bytes.
const MAX_INPUT_BYTES: usize = 1 << 20;
/// Values that lengths, counts and tags go wrong at.
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

/// How a decoder answered; equal answers have equal marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerMark(Hash32);

impl AnswerMark {
    /// The mark of an answer: that it was accepted, or the words of its error.
    pub fn of<T, E: Display>(answer: &Result<T, E>) -> Self {
        let words = match answer {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        Self(Hash32::of(Domain::LOG_RECORD, &words))
    }
}

/// Gives a decoder each seed, then as many changed inputs as the environment asks for. A panic of `take` ends the test, after
/// the input was printed.
pub fn fuzz(target: &str, seeds: Vec<Vec<u8>>, take: impl FnMut(&[u8]) -> AnswerMark) {
    let given = std::env::var("GRIDPROOF_FUZZ_CASES").ok();
    let cases = given.and_then(|text| text.parse().ok()).unwrap_or(CASES);
    run(target, seeds, cases, take);
}

#[expect(
    clippy::print_stdout,
    reason = "tests show their output when they fail"
)]
fn run(target: &str, seeds: Vec<Vec<u8>>, cases: u64, mut take: impl FnMut(&[u8]) -> AnswerMark) {
    let mut random = Random::printed(number_of(target));
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    let mut give = |input: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| take(input))).unwrap_or_else(|panic| {
            println!("{target} panics on {}", hex::encode(input));
            resume_unwind(panic)
        })
    };
    for seed in seeds {
        seen.insert(give(&seed));
        kept.push(seed);
    }
    assert!(!kept.is_empty(), "{target} has no seed");
    for _ in 0..cases {
        let input = changed(&kept, &mut random);
        if seen.insert(give(&input)) && kept.len() < MAX_KEPT {
            kept.push(input);
        }
    }
    println!("{target}: {cases} cases, {} answers", seen.len());
}

/// The same for a canonical format: what is accepted encodes to what was given.
pub fn fuzz_canonical<T: BorshSerialize + BorshDeserialize + Debug>(
    target: &str,
    seeds: Vec<Vec<u8>>,
    limit: usize,
) {
    fuzz(target, seeds, |input| {
        let answer = decode::<T>(input, limit);
        if let Ok(value) = &answer {
            let again = encode(value);
            assert_eq!(again, input, "a second encoding of a {}", type_name::<T>());
        }
        AnswerMark::of(&answer)
    });
}

/// A seed of its own for each target.
fn number_of(target: &str) -> u64 {
    target.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn below(random: &mut Random, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    usize::try_from(random.next_u64() % bound).unwrap_or(0)
}

/// One of the kept inputs with a few changes.
fn changed(kept: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = kept[below(random, kept.len())].clone();
    for _ in 0..=random.next_u64() % MAX_CHANGES {
        change(&mut input, kept, random);
    }
    input.truncate(MAX_INPUT_BYTES);
    input
}

/// A range of positions of an input.
fn slice(input: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let from = below(random, input.len() + 1);
    let longest = (input.len() - from).min(1 << (random.next_u64() % 10));
    from..from + below(random, longest + 1)
}

fn change(input: &mut Vec<u8>, kept: &[Vec<u8>], random: &mut Random) {
    let at = below(random, input.len());
    let edge = EDGES[below(random, EDGES.len())];
    match random.next_u64() % 10 {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << (random.next_u64() % 8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = edge.to_le_bytes()[0];
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next_u64().to_le_bytes()[0];
            }
        }
        3 => overwrite(input, at, &edge.to_le_bytes()),
        4 => overwrite(input, at, &u64::from(edge).to_be_bytes()),
        5 => drop(input.drain(slice(input, random))),
        6 => {
            let part = input[slice(input, random)].to_vec();
            let at = below(random, input.len() + 1);
            input.splice(at..at, part);
        }
        7 => {
            let other = &kept[below(random, kept.len())];
            let part = other[slice(other, random)].to_vec();
            let place = slice(input, random);
            input.splice(place, part);
        }
        8 => input.truncate(at),
        _ => {
            let bytes = random.next_u64().to_le_bytes();
            input.splice(at..at, bytes[..=below(random, 8)].to_vec());
        }
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in input.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoder with a fault behind three right bytes in a row, each a bit away from the seed's.
    fn faulty(input: &[u8]) -> AnswerMark {
        let matching = b"abd".iter().zip(input).take_while(|(a, b)| a == b);
        let right = matching.count();
        assert!(right < 3 || input.len() < 5, "the planted fault");
        AnswerMark::of(&Err::<(), _>(format!("stopped at {right}")))
    }

    #[test]
    fn a_planted_fault_is_reached_step_by_step() {
        let found = catch_unwind(|| run("planted", vec![b"``````".to_vec()], 50_000, faulty));
        let found = found.map_err(|panic| panic.downcast_ref::<&str>().copied());
        assert_eq!(found, Err(Some("the planted fault")));
    }

    #[test]
    fn a_second_encoding_is_found() {
        #[derive(Debug, BorshSerialize)]
        struct Loose(bool);
        impl BorshDeserialize for Loose {
            fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
                u8::deserialize_reader(reader).map(|byte| Self(byte != 0))
            }
        }
        let found = catch_unwind(|| fuzz_canonical::<Loose>("loose", vec![vec![1]], 8));
        assert!(found.is_err(), "0 and 1 are not the only bytes it takes");
    }
}
