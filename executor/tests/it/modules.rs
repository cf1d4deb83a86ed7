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
#[expect(
    clippy::too_many_lines,
    reason = "one section of a module after the other, in the order of the format"
)]
pub fn module_from(parts: &Parts, body: impl FnOnce(&mut Function)) -> Vec<u8> {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([I32; 4], [I32]);
    types.ty().function([I32], []);
    types.ty().function([I32; 2], [I32]);
    types.ty().function([I32, I64, I32], [I32]);
    types.ty().function([I64], [I64]);

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
    let shift = parts.import.map_or(0, |(from, name)| {
        imports.import(from, name, EntityType::Function(0));
        1
    });

    let mut functions = FunctionSection::new();
    functions.function(0).function(5);
    let mut tables = TableSection::new();
    for _ in 0..parts.tables {
        let element_type = wasm_encoder::RefType::FUNCREF;
        let (minimum, maximum) = (parts.table_elements, None);
        tables.table(TableType {
            element_type,
            table64: false,
            minimum,
            maximum,
            shared: false,
        });
    }
    let mut memories = MemorySection::new();
    let (minimum, maximum) = (parts.pages, parts.max_pages);
    memories.memory(MemoryType {
        minimum,
        maximum,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export(parts.entry, ExportKind::Func, START + shift);
    exports.export(parts.memory, ExportKind::Memory, 0);

    let mut code = CodeSection::new();
    let mut start = Function::new([(1, I32), (1, I64)]);
    body(&mut start);
    start.instructions().end();
    code.function(&start);
    let mut recurse = Function::new([]);
    recurse
        .instructions()
        .local_get(0)
        .i64_const(1)
        .i64_add()
        .call(RECURSE + shift)
        .i64_const(3)
        .i64_mul()
        .end();
    code.function(&recurse);
    let mut data = DataSection::new();
    data.active(
        0,
        &ConstExpr::i32_const(parts.data_at),
        parts.data.iter().copied(),
    );

    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&tables)
        .section(&memories);
    module.section(&exports);
    if parts.is_start_section {
        module.section(&StartSection {
            function_index: START + shift,
        });
    }
    module.section(&code).section(&data);
    module.finish()
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
