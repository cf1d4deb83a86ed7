//! Modules that are small to send and dear to check, to compile or to start, with the end that each must have. The test
//! runs them as jobs, and the search for what is dear to compile looks at them first.

#![expect(clippy::too_many_lines, reason = "lists of bombs")]

mod bodies;
mod initial;
mod locals;
mod sections;

use types::attestation::Trap;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// All bombs.
pub fn all() -> Vec<Bomb> {
    let all = [
        locals::all(),
        bodies::all(),
        sections::all(),
        initial::all(),
    ];
    all.into_iter().flatten().collect()
}

/// How a bomb ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BombEnd {
    /// It breaks a rule of the class and is not compiled.
    Invalid,
    /// What is charged before the start, or while it runs, passes its limit.
    OutOfFuel,
    /// It runs and ends by itself.
    Runs,
    /// It traps.
    Traps(Trap),
}

/// A module, its name and how it must end.
pub struct Bomb {
    /// What it is made of.
    pub name: String,
    /// How it must end.
    pub end: BombEnd,
    /// Its bytes.
    pub module: Vec<u8>,
}

fn bomb(name: impl Into<String>, end: BombEnd, module: Vec<u8>) -> Bomb {
    let name = name.into();
    Bomb { name, end, module }
}

/// Ends a chain of calls.
fn ignore<T>(_: &mut T) {}

/// A module of one type `() -> ()` and the functions given, the first of which is `_start`.
fn of_functions(functions: &[Function]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    with_types(&types, &vec![0; functions.len()], functions)
}

/// A module of one function without locals.
fn of_body(body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    of_functions(&[function([], body)])
}

fn function(
    locals: impl IntoIterator<Item = (u32, ValType), IntoIter: ExactSizeIterator>,
    body: impl FnOnce(&mut InstructionSink<'_>),
) -> Function {
    let mut function = Function::new(locals);
    body(&mut function.instructions());
    function.instructions().end();
    function
}

/// A module of these types and functions, with a memory of one page, the first function of which is `_start`.
fn with_types(types: &TypeSection, kinds: &[u32], bodies: &[Function]) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    for kind in kinds {
        functions.function(*kind);
    }
    let mut memories = MemorySection::new();
    memories.memory(pages(1));
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    for body in bodies {
        code.function(body);
    }
    let mut module = Module::new();
    module
        .section(types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

fn pages(minimum: u64) -> MemoryType {
    MemoryType {
        minimum,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}
