//! Sections other than code: tables, memories and their segments, imports, exports, globals, names, start functions.

use types::attestation::Trap;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataCountSection, DataSection,
    ElementSection, Elements, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, InstructionSink, MemorySection, Module, RefType,
    StartSection, TableSection, TableType, TypeSection, ValType,
};

use super::BombEnd::{Invalid, OutOfFuel, Runs, Traps};
use super::{Bomb, bomb, function, ignore, pages};

const WASI: &str = "wasi_snapshot_preview1";

/// The sections of a module, those that are there, around one function of type 0.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) imports: Option<ImportSection>,
    /// Functions that are imported, which come before the module's own.
    pub(super) imported: u32,
    pub(super) tables: Option<TableSection>,
    pub(super) memory_pages: Option<u64>,
    pub(super) globals: Option<GlobalSection>,
    pub(super) exports: ExportSection,
    pub(super) start: Option<u32>,
    pub(super) elements: Option<ElementSection>,
    pub(super) data: Option<DataSection>,
    pub(super) data_count: Option<u32>,
    pub(super) custom: Vec<(String, Vec<u8>)>,
    pub(super) body: Option<Function>,
}

impl Sections {
    fn module(mut self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut code = CodeSection::new();
        code.function(&self.body.unwrap_or_else(|| function([], |_| ())));
        self.exports
            .export("_start", ExportKind::Func, self.imported);
        let mut module = Module::new();
        module.section(&types);
        self.imports.map(|imports| module.section(&imports).len());
        module.section(&functions);
        self.tables.map(|tables| module.section(&tables).len());
        if let Some(minimum) = self.memory_pages {
            let mut memories = MemorySection::new();
            memories.memory(pages(minimum));
            module.section(&memories);
        }
        self.globals.map(|globals| module.section(&globals).len());
        module.section(&self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        self.elements
            .map(|elements| module.section(&elements).len());
        if let Some(count) = self.data_count {
            module.section(&DataCountSection { count });
        }
        module.section(&code);
        self.data.map(|data| module.section(&data).len());
        for (name, data) in &self.custom {
            module.section(&CustomSection {
                name: name.into(),
                data: data.into(),
            });
        }
        module.finish()
    }
}

pub(super) fn of(change: impl FnOnce(&mut Sections)) -> Vec<u8> {
    let mut sections = Sections::default();
    change(&mut sections);
    sections.module()
}

fn table(minimum: u64) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum,
        maximum: None,
        shared: false,
    }
}

pub(super) fn tables(count: u32, each: u64) -> TableSection {
    let mut tables = TableSection::new();
    (0..count).for_each(|_| ignore(tables.table(table(each))));
    tables
}

fn of_tables() -> Vec<Bomb> {
    let with = |count, each| of(|sections| sections.tables = Some(tables(count, each)));
    let segments = |count: u32, each: usize, is_active: bool| {
        of(|sections| {
            sections.tables = Some(tables(1, 1_000_000));
            let mut elements = ElementSection::new();
            for _ in 0..count {
                let named = Elements::Functions(vec![0; each].into());
                if is_active {
                    elements.active(None, &ConstExpr::i32_const(0), named);
                } else {
                    elements.passive(named);
                }
            }
            sections.elements = Some(elements);
        })
    };
    let outside = of(|sections| {
        sections.tables = Some(tables(1, 1));
        let mut elements = ElementSection::new();
        elements.active(
            None,
            &ConstExpr::i32_const(1),
            Elements::Functions(vec![0].into()),
        );
        sections.elements = Some(elements);
    });
    let fills = of(|sections| {
        sections.tables = Some(tables(1, 1_000_000));
        sections.body = Some(function([], |code| {
            code.loop_(BlockType::Empty)
                .i32_const(0)
                .ref_func(0)
                .i32_const(1_000_000)
                .table_fill(0);
            code.br(0).end();
        }));
        sections.exports.export("self", ExportKind::Func, 0);
    });
    vec![
        bomb("64 tables", Runs, with(64, 1)),
        bomb("65 tables", Invalid, with(65, 1)),
        bomb("100,000 tables", Invalid, with(100_000, 0)),
        bomb("tables of 2^20 elements", Runs, with(1, 1 << 20)),
        bomb(
            "tables of 2^20 + 64 elements",
            Invalid,
            with(64, (1 << 14) + 1),
        ),
        bomb(
            "a table of 10,000,000 elements",
            Invalid,
            with(1, 10_000_000),
        ),
        bomb(
            "a table of 2^32 - 1 elements",
            Invalid,
            with(1, u64::from(u32::MAX)),
        ),
        bomb(
            "100,000 segments of a table",
            Invalid,
            segments(100_000, 10, true),
        ),
        bomb("1,024 segments of a table", Runs, segments(1_024, 10, true)),
        bomb(
            "1,024 segments of a table that nothing uses",
            Runs,
            segments(1_024, 10, false),
        ),
        bomb(
            "a segment of 1,000,000 elements",
            Runs,
            segments(1, 1_000_000, true),
        ),
        bomb(
            "100,000 segments of a table that nothing uses",
            Invalid,
            segments(100_000, 10, false),
        ),
        bomb(
            "a segment outside its table",
            Traps(Trap::OutOfBounds),
            outside,
        ),
        bomb("filling 1,000,000 elements for ever", OutOfFuel, fills),
    ]
}

fn data(segments: impl IntoIterator<Item = (i32, Vec<u8>)>) -> DataSection {
    let mut data = DataSection::new();
    for (at, bytes) in segments {
        data.active(0, &ConstExpr::i32_const(at), bytes);
    }
    data
}

fn of_memory() -> Vec<Bomb> {
    let with = |pages: u64, data: DataSection| {
        of(|sections| {
            sections.memory_pages = Some(pages);
            sections.data = Some(data);
        })
    };
    let none = || data([]);
    let each_page = |pages: i32| data((0..pages).map(|page| (page * 65_536, vec![1])));
    let ends = |pages: i32| data([(0, vec![1]), (pages * 65_536 - 1, vec![1])]);
    let passive = |count: u32, length: usize| {
        of(|sections| {
            sections.memory_pages = Some(1);
            let mut data = DataSection::new();
            (0..count).for_each(|_| ignore(data.passive(vec![7; length])));
            sections.data = Some(data);
            sections.data_count = Some(count);
        })
    };
    let looping = |body: fn(&mut InstructionSink<'_>)| {
        of(|sections| {
            sections.memory_pages = Some(1_000);
            sections.body = Some(function([], |code| {
                code.loop_(BlockType::Empty);
                body(code);
                code.br(0).end();
            }));
        })
    };
    vec![
        bomb(
            "a memory of 4 GiB",
            Traps(Trap::Other),
            with(65_536, none()),
        ),
        bomb("a memory of more than 4 GiB", Invalid, with(65_537, none())),
        bomb("a memory of 250 MiB", Runs, with(4_000, none())),
        bomb(
            "30,000 segments of data",
            Runs,
            with(16, data((0..30_000).map(|at| (at * 32, vec![7; 32])))),
        ),
        bomb(
            "100,000 segments of one byte",
            Runs,
            with(16, data((0..100_000).map(|at| (at * 7, vec![7])))),
        ),
        bomb(
            "100,000 segments over each other",
            Runs,
            with(1, data((0..100_000).map(|_| (0, vec![7; 64])))),
        ),
        bomb(
            "100,001 segments of data",
            Invalid,
            with(1, data((0..100_001).map(|_| (0, vec![7])))),
        ),
        bomb(
            "a byte in each of 4,000 pages",
            Runs,
            with(4_000, each_page(4_000)),
        ),
        bomb(
            "bytes at both ends of 250 MiB",
            Runs,
            with(4_000, ends(4_000)),
        ),
        bomb(
            "bytes at both ends of 4 GiB",
            Traps(Trap::Other),
            with(65_536, data([(0, vec![1]), (-1, vec![1])])),
        ),
        bomb(
            "10 MiB of data",
            Runs,
            with(160, data([(0, vec![7; 10 << 20])])),
        ),
        bomb(
            "10 MiB of zeros",
            Runs,
            with(160, data([(0, vec![0; 10 << 20])])),
        ),
        bomb(
            "data outside its memory",
            Traps(Trap::OutOfBounds),
            with(1, data([(65_536, vec![1])])),
        ),
        bomb(
            "100,000 segments that nothing uses",
            Runs,
            passive(100_000, 10),
        ),
        bomb(
            "growing for ever",
            OutOfFuel,
            looping(|code| ignore(code.i32_const(1).memory_grow(0).drop())),
        ),
        bomb(
            "filling 60 MiB for ever",
            OutOfFuel,
            looping(|code| {
                ignore(
                    code.i32_const(0)
                        .i32_const(7)
                        .i32_const(60_000_000)
                        .memory_fill(0),
                );
            }),
        ),
    ]
}

fn imports(count: u32, from: &str, name: &str, kind: u32) -> Vec<u8> {
    of(|sections| {
        let mut imports = ImportSection::new();
        (0..count).for_each(|_| ignore(imports.import(from, name, EntityType::Function(kind))));
        sections.imports = Some(imports);
        sections.imported = count;
    })
}

fn exports(count: u32, name: impl Fn(u32) -> String) -> Vec<u8> {
    of(|sections| {
        (1..count).for_each(|at| ignore(sections.exports.export(&name(at), ExportKind::Func, 0)));
    })
}

fn globals(count: u32) -> Vec<u8> {
    of(|sections| {
        let mut globals = GlobalSection::new();
        let kind = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        (0..count).for_each(|_| ignore(globals.global(kind, &ConstExpr::i64_const(1))));
        sections.globals = Some(globals);
    })
}

fn of_names() -> Vec<Bomb> {
    let custom = |count: usize, name: &str, length: usize| {
        of(|sections| sections.custom = vec![(name.to_owned(), vec![0xff; length]); count])
    };
    let long = |length| "n".repeat(length);
    let sums = of(|sections| {
        let mut globals = GlobalSection::new();
        let kind = GlobalType {
            val_type: ValType::I64,
            mutable: false,
            shared: false,
        };
        let one = ConstExpr::i64_const(1);
        let sum = (0..50_000).fold(one, |sum, _| sum.with_i64_const(1).with_i64_add());
        globals.global(kind, &sum);
        sections.globals = Some(globals);
    });
    vec![
        bomb("10,000 imports", Runs, imports(10_000, WASI, "fd_write", 1)),
        bomb(
            "100,000 imports",
            Runs,
            imports(100_000, WASI, "fd_write", 1),
        ),
        bomb(
            "1,000,001 imports",
            OutOfFuel,
            imports(1_000_001, WASI, "fd_write", 1),
        ),
        bomb(
            "100,000 imports of nothing",
            Invalid,
            imports(100_000, "env", "nothing", 0),
        ),
        bomb(
            "100,000 imports of another type",
            Invalid,
            imports(100_000, WASI, "fd_write", 0),
        ),
        bomb(
            "an import with a name of 99,999 bytes",
            Invalid,
            imports(1, &long(99_999), "x", 0),
        ),
        bomb(
            "an import with a name of 10 MiB",
            Invalid,
            imports(1, &long(10 << 20), "x", 0),
        ),
        bomb(
            "100,000 exports",
            Runs,
            exports(100_000, |at| at.to_string()),
        ),
        bomb(
            "100,001 exports",
            Invalid,
            exports(100_001, |at| at.to_string()),
        ),
        bomb(
            "100,000 exports of one name",
            Invalid,
            exports(100_000, |_| "same".to_owned()),
        ),
        bomb(
            "10,000 exports with names of 1,000 bytes",
            Runs,
            exports(10_000, |at| format!("{at:01000}")),
        ),
        bomb("100,000 globals", Runs, globals(100_000)),
        bomb("100,001 globals", Invalid, globals(100_001)),
        bomb("a first value of 50,000 sums", Runs, sums),
        bomb("100,000 custom sections", Runs, custom(100_000, "x", 1)),
        bomb("10 MiB of custom section", Runs, custom(1, "x", 10 << 20)),
        bomb(
            "1 MiB of names that are none",
            Runs,
            custom(1, "name", 1 << 20),
        ),
    ]
}

fn of_starts() -> Vec<Bomb> {
    let starting = |body: fn(&mut InstructionSink<'_>)| {
        of(|sections| {
            sections.memory_pages = Some(1);
            sections.start = Some(0);
            sections.body = Some(function([], body));
        })
    };
    vec![
        bomb(
            "a start function without end",
            OutOfFuel,
            starting(|code| ignore(code.loop_(BlockType::Empty).br(0).end())),
        ),
        bomb(
            "a start function that calls itself",
            Traps(Trap::StackOverflow),
            starting(|code| ignore(code.call(0))),
        ),
        bomb(
            "a start function that traps",
            Traps(Trap::Unreachable),
            starting(|code| ignore(code.unreachable())),
        ),
        bomb(
            "a start function that grows for ever",
            OutOfFuel,
            starting(|code| {
                code.loop_(BlockType::Empty)
                    .i32_const(1)
                    .memory_grow(0)
                    .drop()
                    .br(0)
                    .end();
            }),
        ),
    ]
}

pub fn all() -> Vec<Bomb> {
    [of_tables(), of_memory(), of_names(), of_starts()]
        .into_iter()
        .flatten()
        .collect()
}
