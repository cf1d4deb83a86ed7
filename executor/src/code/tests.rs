//! What is kept and what is not; that kept code is the code that compiling gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::job::CLASS_WASM_V2;
use types::testing::fuzz::{AnswerMark, fuzz};
use wasmtime::{Engine, Module};

use super::*;
use crate::class::{self, Compiler};

/// Three functions, two of them alike, and the entry.
fn module() -> Vec<u8> {
    use wasm_encoder as e;
    let mut types = e::TypeSection::new();
    types.ty().function([e::ValType::I64], [e::ValType::I64]);
    types.ty().function([], []);
    let mut functions = e::FunctionSection::new();
    for index in [0, 0, 0, 1] {
        functions.function(index);
    }
    let mut code = e::CodeSection::new();
    for constant in [3, 5, 3] {
        let mut body = e::Function::new([]);
        body.instructions()
            .local_get(0)
            .i64_const(constant)
            .i64_mul()
            .end();
        code.function(&body);
    }
    let mut body = e::Function::new([]);
    body.instructions()
        .i64_const(7)
        .call(0)
        .call(1)
        .call(2)
        .drop()
        .end();
    code.function(&body);
    let mut exports = e::ExportSection::new();
    exports.export("_start", e::ExportKind::Func, 3);
    let mut module = e::Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&exports)
        .section(&code);
    module.finish()
}

fn blob() -> BlobId {
    BlobId::of(&module())
}

/// The machine code that an engine makes of the module, with its tables.
fn compiled(code: Option<&Arc<ModuleCode>>) -> Vec<u8> {
    let mut config = class::config(CLASS_WASM_V2, Compiler::Optimizing).unwrap();
    if let Some(code) = code {
        config
            .enable_incremental_compilation(Arc::clone(code) as Arc<dyn CacheStore>)
            .unwrap();
    }
    let engine = Engine::new(&config).unwrap();
    let prepared = instrument::prepare(&module()).unwrap();
    let module = Module::new(&engine, prepared.bytes).unwrap();
    module.serialize().unwrap()
}

/// What is kept after a first compilation.
fn kept() -> Vec<u8> {
    let code = Arc::new(ModuleCode::new(blob(), None));
    compiled(Some(&code));
    code.to_keep().unwrap()
}

#[test]
fn kept_code_is_what_compiling_gives() {
    let plain = compiled(None);
    let first = Arc::new(ModuleCode::new(blob(), None));
    assert_eq!(compiled(Some(&first)), plain);
    let kept = first.to_keep().expect("something was made");
    let second = Arc::new(ModuleCode::new(blob(), Some(&kept)));
    assert_eq!(compiled(Some(&second)), plain);
    assert!(second.made.lock().unwrap().functions.is_empty());
    assert_eq!(second.to_keep(), None);
    assert_eq!(self::kept(), kept, "equal modules leave equal bytes");
}

#[test]
fn what_lacks_a_function_still_gives_the_same_code() {
    let mut part: FunctionCode = open(&kept()).unwrap();
    let first = *part.keys().next().unwrap();
    part.remove(&first);
    let code = ModuleCode {
        given: part,
        ..ModuleCode::new(blob(), None)
    };
    let code = Arc::new(code);
    assert_eq!(compiled(Some(&code)), compiled(None));
    assert_eq!(code.made.lock().unwrap().functions.len(), 1);
    assert_eq!(code.to_keep(), None);
}

#[test]
fn damaged_code_is_as_if_there_was_none() {
    let whole = kept();
    assert!(open(&whole).is_some());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(open(&flipped).is_none(), "byte {at}");
        assert!(open(&whole[..at]).is_none(), "cut at {at}");
    }
    // Also with the right hash over something else.
    for other in [vec![], vec![0xff; 4], vec![1, 0, 0, 0]] {
        let hash = blake3::hash(&other);
        assert!(open(&[hash.as_bytes(), other.as_slice()].concat()).is_none());
    }
    let code = Arc::new(ModuleCode::new(blob(), Some(&whole[1..])));
    assert_eq!(compiled(Some(&code)), compiled(None));
    assert_eq!(code.to_keep(), Some(whole));
}

#[test]
fn nothing_is_kept_where_a_key_stands_for_two_functions() {
    let code = ModuleCode::new(blob(), None);
    let (key, other) = ([1; 32], [2; 32]);
    assert!(code.insert(&key, vec![1]));
    assert!(code.get(&key).is_none(), "each function is compiled itself");
    assert!(code.insert(&key, vec![1]) && code.to_keep().is_some());
    assert!(!code.insert(&key, vec![2]));
    assert!(!code.insert(&other, vec![1]) && code.to_keep().is_none());
    let strange = ModuleCode::new(blob(), None);
    assert!(strange.insert(&key, vec![1]));
    assert!(!strange.insert(&key[1..], vec![1]) && strange.to_keep().is_none());
}

#[test]
fn too_much_code_is_not_kept() {
    let room = max_code_bytes(blob());
    assert_eq!(room, 16 * blob().length + (64 << 10));
    let large = BlobId {
        length: u64::MAX,
        ..blob()
    };
    assert_eq!(max_code_bytes(large), 128 << 20);
    let half = usize::try_from(room / 2).unwrap();
    let code = ModuleCode::new(blob(), None);
    assert!(code.insert(&[1; 32], vec![0; half]) && code.to_keep().is_some());
    assert!(!code.insert(&[2; 32], vec![0; half + 1]) && code.to_keep().is_none());
    // Of what fits by itself, not with its keys, nothing is kept either.
    let code = ModuleCode::new(blob(), None);
    let keys: BTreeSet<_> = (0..8).map(|number| [number; 32]).collect();
    assert!(keys.iter().all(|key| code.insert(key, vec![0; half / 4])));
    assert_eq!(code.to_keep(), None);
}

#[test]
fn fuzz_kept_code() {
    let key = |byte| FunctionKey::from([byte; std::mem::size_of::<FunctionKey>()]);
    let code: FunctionCode = [(key(1), vec![1, 2, 3]), (key(2), Vec::new())].into();
    fuzz("kept code", vec![encode(&code)], |input| {
        let kept = [&blake3::hash(input).as_bytes()[..], input].concat();
        AnswerMark::of(&open(&kept).ok_or("no code"))
    });
}

#[test]
fn fuzz_modules() {
    fuzz("module", vec![module()], |input| {
        let answer = instrument::prepare(input);
        if let Ok(prepared) = &answer {
            // What is prepared was valid, and is.
            assert!(wasmparser::validate(input).is_ok());
            wasmparser::validate(&prepared.bytes).unwrap();
        }
        AnswerMark::of(&answer)
    });
}
