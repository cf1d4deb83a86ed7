//! What is decided before anything is compiled, shown by an engine that cannot compile here; and that such an engine is not made.

use types::job::CLASS_WASM_V2;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use super::*;
use crate::class::MAX_TABLES;

/// The smallest module that is a program.
fn empty_program() -> Vec<u8> {
    Parts::default().module()
}

/// The class's settings for a machine that this one is not.
fn of_another_machine() -> wasmtime::Config {
    let mut config = class::pinned();
    config.target("x86_64-unknown-freebsd").unwrap();
    config
}

/// An engine that can compile nothing for this machine.
fn blind_engine() -> TaskEngine {
    TaskEngine::unproven(CLASS_WASM_V2, &of_another_machine(), true).unwrap()
}

/// A program of one function that has `locals` locals and does nothing.
struct Parts<'a> {
    entry: &'a str,
    entry_parameters: &'a [ValType],
    imports: &'a [(&'a str, &'a str, EntityType)],
    tables: usize,
    locals: u32,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            entry: "_start",
            entry_parameters: &[],
            imports: &[],
            tables: 0,
            locals: 0,
        }
    }
}

impl Parts<'_> {
    fn module(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types
            .ty()
            .function(self.entry_parameters.iter().copied(), []);
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        types.ty().function([ValType::I64; 4], [ValType::I32]);
        let mut imports = ImportSection::new();
        let mut imported = 0;
        for (module, name, kind) in self.imports {
            imports.import(module, name, *kind);
            imported += u32::from(matches!(kind, EntityType::Function(_)));
        }
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut tables = TableSection::new();
        for _ in 0..self.tables {
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: 1,
                maximum: None,
                shared: false,
            });
        }
        let mut exports = ExportSection::new();
        exports.export(self.entry, ExportKind::Func, imported);
        let mut code = CodeSection::new();
        let mut body = Function::new([(self.locals, ValType::I64)]);
        body.instructions().end();
        code.function(&body);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&tables)
            .section(&exports)
            .section(&code);
        module.finish()
    }
}

#[test]
fn an_engine_that_cannot_run_here_is_not_made() {
    let made = TaskEngine::with_config(CLASS_WASM_V2, &of_another_machine(), true);
    assert!(matches!(made, Err(NoResult::Engine { .. })), "{made:?}");
}

#[test]
fn a_valid_module_that_does_not_compile_is_no_result() {
    let engine = blind_engine();
    let compiled = engine.compile(&empty_program());
    assert!(
        matches!(compiled, Err(NoResult::Engine { .. })),
        "{compiled:?}"
    );
    assert!(
        engine.compile(b"no module").unwrap().refusal().is_some(),
        "an invalid one is refused on any machine"
    );
}

/// The flaw that an engine finds in a module without compiling it, whatever the job can pay.
fn flaw_of(parts: &Parts<'_>) -> ModuleFlaw {
    let found = [u64::MAX, 0].map(|left| {
        let program = blind_engine().compile_within(&parts.module(), left);
        program.unwrap().refusal().cloned()
    });
    assert_eq!(found[0], found[1], "a refusal does not depend on the job");
    found[0].clone().unwrap()
}

#[test]
fn what_a_module_lacks_is_found_before_it_is_compiled() {
    let kind = EntityType::Function(1);
    let wasi = "wasi_snapshot_preview1";
    let memory = EntityType::Memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let elsewhere = Parts {
        entry: "main",
        ..Parts::default()
    };
    assert_eq!(flaw_of(&elsewhere), ModuleFlaw::NoEntry);
    let asks = Parts {
        entry_parameters: &[ValType::I32],
        ..Parts::default()
    };
    assert_eq!(flaw_of(&asks), ModuleFlaw::NoEntry);
    let full = Parts {
        tables: MAX_TABLES + 1,
        ..Parts::default()
    };
    let found = u64::try_from(MAX_TABLES).unwrap() + 1;
    assert_eq!(flaw_of(&full), ModuleFlaw::TooManyTables { found });
    for (module, name, kind) in [
        (wasi, "fd_create", kind),
        ("env", "fd_write", kind),
        (wasi, "fd_write", memory),
    ] {
        let parts = Parts {
            imports: &[
                (wasi, "fd_write", EntityType::Function(1)),
                (module, name, kind),
            ],
            ..Parts::default()
        };
        let (module, name) = (module.to_owned(), name.to_owned());
        assert_eq!(flaw_of(&parts), ModuleFlaw::UnknownImport { module, name });
    }
    let typed = Parts {
        imports: &[(wasi, "fd_write", EntityType::Function(2))],
        ..Parts::default()
    };
    let name = "fd_write".to_owned();
    assert_eq!(flaw_of(&typed), ModuleFlaw::ImportType { name });
}

#[test]
fn a_module_that_cannot_be_paid_for_is_not_prepared() {
    let dear = Parts {
        locals: 4_096,
        ..Parts::default()
    };
    let complexity = accept(&dear.module()).unwrap().1;
    let program = blind_engine().compile_within(&dear.module(), complexity.fuel() - 1);
    assert!(matches!(
        program.unwrap().body,
        ProgramBody::Unaffordable { .. }
    ));
    let compiled = blind_engine().compile_within(&dear.module(), complexity.fuel());
    assert!(compiled.is_err(), "it is compiled where it can be paid for");
}

/// The types that imports are judged by are those that the linker has.
#[test]
fn every_host_function_links_with_its_type() {
    let engine = TaskEngine::new(CLASS_WASM_V2).unwrap();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    let mut count = 0;
    for (name, kind) in engine.functions.all() {
        let encoded = |kinds: &[wasmparser::ValType]| -> Vec<ValType> {
            let kinds = kinds.iter();
            let encoded = |kind: &wasmparser::ValType| match kind {
                wasmparser::ValType::I32 => ValType::I32,
                _ => ValType::I64,
            };
            kinds.map(encoded).collect()
        };
        count += 1;
        types
            .ty()
            .function(encoded(kind.params()), encoded(kind.results()));
        imports.import("wasi_snapshot_preview1", name, EntityType::Function(count));
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, count);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instructions().end();
    code.function(&body);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&exports)
        .section(&code);
    let program = engine.compile(&module.finish()).unwrap();
    assert_eq!(program.refusal(), None);
    assert_eq!(count, 46, "the functions of WASI preview 1");
}
