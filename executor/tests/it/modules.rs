//! Hand-written modules: a memory, the WASI functions they use, and the body of `_start`.

use types::attestation::{Exit, Trap};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, InstructionSink, MemorySection, MemoryType, Module,
    StartSection, TableSection, TableType, TypeSection, ValType,
};

/// Index of the first function of the module itself: those before are imported.
pub const FD_WRITE: u32 = 0;
pub const PROC_EXIT: u32 = 1;
pub const RANDOM_GET: u32 = 2;
pub const CLOCK_TIME_GET: u32 = 3;
pub const START: u32 = 4;
/// A function that calls itself for ever, with an argument.
pub const RECURSE: u32 = 5;

/// What a module is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub pages: u64,
    pub max_pages: Option<u64>,
    pub table_elements: u64,
    pub tables: u32,
    pub data: Vec<u8>,
    pub data_at: i32,
    pub is_start_section: bool,
    pub entry: &'static str,
    pub memory: &'static str,
    pub import: Option<(&'static str, &'static str)>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            pages: 1,
            max_pages: None,
            table_elements: 4,
            tables: 1,
            data: Vec::new(),
            data_at: 64,
            is_start_section: false,
            entry: "_start",
            memory: "memory",
            import: None,
        }
    }
}

/// A module whose `_start` has the given body and two locals, an i32 and an i64.
pub fn module(body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    module_of(&Parts::default(), body)
}

pub fn module_of(parts: &Parts, body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    module_from(parts, |function| body(&mut function.instructions()))
}

/// As [`module_of`], with a body that is given the function itself.
pub fn module_from(parts: &Parts, body: impl FnOnce(&mut Function)) -> Vec<u8> {
    // An import of the test's own moves the functions of the module up by one.
    let shift = u32::from(parts.import.is_some());
    let mut functions = FunctionSection::new();
    functions.function(0).function(5);
    let mut exports = ExportSection::new();
    exports.export(parts.entry, ExportKind::Func, START + shift);
    exports.export(parts.memory, ExportKind::Memory, 0);
    let mut code = CodeSection::new();
    let mut start = Function::new([(1, ValType::I32), (1, ValType::I64)]);
    body(&mut start);
    start.instructions().end();
    code.function(&start).function(&recursion(RECURSE + shift));
    let mut data = DataSection::new();
    let at = ConstExpr::i32_const(parts.data_at);
    data.active(0, &at, parts.data.iter().copied());

    let mut module = Module::new();
    module
        .section(&types())
        .section(&imports(parts))
        .section(&functions)
        .section(&tables(parts))
        .section(&memory(parts))
        .section(&exports);
    if parts.is_start_section {
        let function_index = START + shift;
        module.section(&StartSection { function_index });
    }
    module.section(&code).section(&data);
    module.finish()
}

/// The types of all functions, imported ones and the module's own, by index.
fn types() -> TypeSection {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([I32; 4], [I32]);
    types.ty().function([I32], []);
    types.ty().function([I32; 2], [I32]);
    types.ty().function([I32, I64, I32], [I32]);
    types.ty().function([I64], [I64]);
    types
}

/// The functions of WASI, then the test's own import.
fn imports(parts: &Parts) -> ImportSection {
    let mut imports = ImportSection::new();
    let wasi = "wasi_snapshot_preview1";
    for (name, kind) in [
        ("fd_write", 1),
        ("proc_exit", 2),
        ("random_get", 3),
        ("clock_time_get", 4),
    ] {
        imports.import(wasi, name, EntityType::Function(kind));
    }
    if let Some((from, name)) = parts.import {
        imports.import(from, name, EntityType::Function(0));
    }
    imports
}

fn tables(parts: &Parts) -> TableSection {
    let mut tables = TableSection::new();
    for _ in 0..parts.tables {
        tables.table(TableType {
            element_type: wasm_encoder::RefType::FUNCREF,
            table64: false,
            minimum: parts.table_elements,
            maximum: None,
            shared: false,
        });
    }
    tables
}

fn memory(parts: &Parts) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: parts.pages,
        maximum: parts.max_pages,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

/// A function with this index that calls itself for ever.
fn recursion(index: u32) -> Function {
    let mut recurse = Function::new([]);
    recurse
        .instructions()
        .local_get(0)
        .i64_const(1)
        .i64_add()
        .call(index)
        .i64_const(3)
        .i64_mul()
        .end();
    recurse
}

/// Writes `length` bytes of memory from `at` on to a descriptor; the error number is on the stack.
pub fn write(code: &mut InstructionSink<'_>, fd: i32, at: i32, length: i32) {
    let word = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    code.i32_const(0).i32_const(at).i32_store(word);
    code.i32_const(4).i32_const(length).i32_store(word);
    code.i32_const(fd)
        .i32_const(0)
        .i32_const(1)
        .i32_const(8)
        .call(FD_WRITE);
}

/// The exit of a program that trapped.
pub fn trap(trap: Trap) -> Exit {
    Exit::Trap { trap }
}

/// Exits with the number on the stack.
pub fn exit_with(code: &mut InstructionSink<'_>) {
    code.call(PROC_EXIT);
}
