//! Compiled code of one module, kept between jobs: what the engine's code generator made of each function.
//!
//! A worker is given what an earlier worker made of the same module, or nothing, and gives back what it made itself. The engine asks
//! for each function by a key of its own, a hash over all that the code generator is given, and reads an answer with its
//! own decoder. What it asks for and does not find it compiles.
//!
//! Promises: the engine gets the same code from here as from compiling, if what is given is what an earlier worker made of
//! this module. Nothing that was made is answered within the same compilation, and where two functions of a module
//! have one key and different code nothing is kept, so that no fault in a key can change a program. Bytes that are
//! damaged, cut or of another format are as if nothing was given.
//!
//! Left out: whose code it is. Whoever keeps it must give it to workers of the same module, class and build alone, and
//! let nobody else write it: code is run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use types::codec::{decode, encode};
use types::hash::BlobId;
use wasmtime::CacheStore;

/// Bytes of the hash in front of kept code.
const HASH_BYTES: usize = 32;
/// Most bytes of kept code per byte of a module: programs have 2.5 to 4.
const CODE_FACTOR: u64 = 16;
/// Most bytes of kept code; of a module with more nothing is kept.
const MAX_CODE_BYTES: u64 = 128 << 20;
/// Bytes of kept code that any module may have, for what the engine adds to each.
const CODE_ROOM: u64 = 64 << 10;

/// Hash of what the code generator is given for a function.
type FunctionKey = [u8; 32];
type FunctionCode = BTreeMap<FunctionKey, Vec<u8>>;

/// Most bytes that the code of a module may have to be kept.
#[must_use]
pub fn max_code_bytes(module: BlobId) -> u64 {
    let by_length = module.length.saturating_mul(CODE_FACTOR);
    by_length.saturating_add(CODE_ROOM).min(MAX_CODE_BYTES)
}

/// The code of a module: what was given, and what is made in addition.
#[derive(Debug)]
pub struct ModuleCode {
    given: FunctionCode,
    made: Mutex<MadeCode>,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct MadeCode {
    functions: FunctionCode,
    bytes: u64,
    /// True once nothing can be kept: too many bytes, or a key that stands for two functions.
    is_void: bool,
}

impl ModuleCode {
    /// Begins with what an earlier worker kept for `module`, or with nothing.
    #[must_use]
    pub fn new(module: BlobId, kept: Option<&[u8]>) -> Self {
        Self {
            given: kept.and_then(open).unwrap_or_default(),
            made: Mutex::default(),
            max_bytes: max_code_bytes(module),
        }
    }

    /// The code that was made, to be kept; nothing if some was given, or if it must not be kept. Meant for the moment at which
    /// the module is compiled and nothing of it has run.
    ///
    /// Some of the engine's keys differ from one compilation of a module to the next, so that some functions are compiled
    /// again, to the same code. What was given is not replaced for their sake.
    #[must_use]
    pub fn to_keep(&self) -> Option<Vec<u8>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.is_void || made.functions.is_empty() || !self.given.is_empty() {
            return None;
        }
        let mut kept = vec![0; HASH_BYTES];
        kept.extend(encode(&made.functions));
        let hash = blake3::hash(&kept[HASH_BYTES..]);
        kept[..HASH_BYTES].copy_from_slice(hash.as_bytes());
        let fits = u64::try_from(kept.len()).is_ok_and(|length| length <= self.max_bytes);
        fits.then_some(kept)
    }
}

/// What is kept, if it is whole.
fn open(kept: &[u8]) -> Option<FunctionCode> {
    let (hash, encoded) = kept.split_at_checked(HASH_BYTES)?;
    if blake3::hash(encoded).as_bytes() != hash {
        return None;
    }
    decode(encoded, encoded.len()).ok()
}

impl CacheStore for ModuleCode {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = FunctionKey::try_from(key).ok()?;
        self.given.get(&key).map(|code| Cow::Borrowed(&**code))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(key) = FunctionKey::try_from(key) else {
            made.is_void = true;
            return false;
        };
        if made.is_void {
            return false;
        }
        if let Some(same) = made.functions.get(&key) {
            made.is_void = *same != code;
            return !made.is_void;
        }
        let length = u64::try_from(code.len()).unwrap_or(u64::MAX);
        made.bytes = made.bytes.saturating_add(length);
        if made.bytes > self.max_bytes {
            // What is there already is of no use without the rest.
            *made = MadeCode {
                is_void: true,
                ..MadeCode::default()
            };
            return false;
        }
        made.functions.insert(key, code);
        true
    }
}

#[cfg(test)]
mod tests;
