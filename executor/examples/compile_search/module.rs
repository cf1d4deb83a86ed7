//! A whole module around the functions that a genome draws.

use types::testing::Random;
use wasm_encoder::ValType::{I32, I64};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use crate::body::{BLOCK_TYPE, Drawing, FUNCTION_TYPE, Surroundings, TYPES};
use crate::genome::Genome;

/// Type of the imported functions.
const IMPORT_TYPE: u32 = 3;

/// The module of a genome.
pub fn draw(genome: &Genome) -> Vec<u8> {
    let [imports, exports, references, globals, segments, types] = genome.lists;
    let mut module = Module::new();
    let mut imported = ImportSection::new();
    for _ in 0..imports {
        let kind = EntityType::Function(IMPORT_TYPE);
        imported.import("wasi_snapshot_preview1", "fd_write", kind);
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    for _ in 0..genome.functions {
        functions.function(FUNCTION_TYPE);
    }
    let around = Surroundings {
        first_function: imports + 1,
        globals: (globals / 5 + 1) * 5,
        imports,
    };
    let named = |count: u32| (0..count).map(move |at| imports + at % (genome.functions + 1));
    let mut exported = ExportSection::new();
    exported.export("_start", ExportKind::Func, imports);
    exported.export("memory", ExportKind::Memory, 0);
    for (at, function) in named(exports).enumerate() {
        exported.export(&at.to_string(), ExportKind::Func, function);
    }
    let mut elements = ElementSection::new();
    let in_table: Vec<u32> = named(references + 2).collect();
    elements.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(in_table.into()),
    );
    let mut data = DataSection::new();
    for at in 0..segments {
        let at = i32::try_from(at % 60_000).unwrap_or(0);
        data.active(0, &ConstExpr::i32_const(at), [7]);
    }
    module
        .section(&all_types(genome, types))
        .section(&imported)
        .section(&functions)
        .section(&tables(references + 2))
        .section(&memory())
        .section(&all_globals(around.globals))
        .section(&exported)
        .section(&elements)
        .section(&DataCountSection { count: segments })
        .section(&code(genome, around))
        .section(&data);
    module.finish()
}

fn all_types(genome: &Genome, more: u32) -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let parameters: Vec<ValType> = TYPES
        .into_iter()
        .zip(genome.parameters)
        .flat_map(|(kind, count)| std::iter::repeat_n(kind, count.into()))
        .collect();
    let results = usize::from(genome.results);
    let carried = usize::from(genome.carried);
    types
        .ty()
        .function(parameters, std::iter::repeat_n(I32, results));
    debug_assert_eq!(types.len() - 1, FUNCTION_TYPE);
    let many = || std::iter::repeat_n(I32, carried).collect::<Vec<_>>();
    types.ty().function(many(), many());
    debug_assert_eq!(types.len() - 1, BLOCK_TYPE);
    types.ty().function([I32; 4], [I32]);
    debug_assert_eq!(types.len() - 1, IMPORT_TYPE);
    for at in 0..more.min(20_000) {
        // Each type differs from all others by the places of its two kinds of numbers.
        let kinds = (0..15).map(|bit| if at >> bit & 1 == 1 { I32 } else { I64 });
        types.ty().function(kinds.take(3).collect::<Vec<_>>(), []);
    }
    types
}

fn tables(elements: u32) -> TableSection {
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: elements.into(),
        maximum: None,
        shared: false,
    });
    tables
}

fn memory() -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

fn all_globals(count: u32) -> GlobalSection {
    let mut globals = GlobalSection::new();
    for at in 0..count {
        let at = usize::try_from(at % 5).unwrap_or(0);
        let value = match TYPES[at] {
            I32 => ConstExpr::i32_const(1),
            I64 => ConstExpr::i64_const(1),
            ValType::F32 => ConstExpr::f32_const(1.0.into()),
            ValType::F64 => ConstExpr::f64_const(1.0.into()),
            _ => ConstExpr::v128_const(1),
        };
        let kind = GlobalType {
            val_type: TYPES[at],
            mutable: true,
            shared: false,
        };
        globals.global(kind, &value);
    }
    globals
}

fn code(genome: &Genome, around: Surroundings) -> CodeSection {
    let mut code = CodeSection::new();
    let mut start = Function::new([]);
    start.instructions().end();
    code.function(&start);
    let mut random = Random::new(genome.seed);
    let mut drawing = Drawing::new(genome, around, &mut random);
    let bytes = usize::try_from(genome.bytes / genome.functions).unwrap_or(0);
    for _ in 0..genome.functions {
        code.function(&drawing.body(bytes));
    }
    code
}
