//! Modules drawn at random: full of NaNs with payloads, in memory, globals and constants.

use wasm_encoder::ValType::{self, F32, F64, I32, I64, V128};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Ieee32, Ieee64,
    ImportSection, Instruction, MemorySection, MemoryType, Module, RefType, TableSection,
    TableType, TypeSection,
};

use crate::body::{self, Shared, Signature, TYPES};
use crate::random::Random;

/// What a call may cost, in function entries and rounds of loops.
const FUEL: i32 = 400;
/// Name of the function that gives this anew.
pub const REFUEL: &str = "refuel";
/// Name of the host's function, and its module.
pub const HOST: &str = "host";

/// Parameters and result of the host's function: it mixes the bits that it is given and returns them as a float.
pub fn host() -> Signature {
    (vec![F64, F32], vec![F64])
}

/// The seed's module; `several` is whether its blocks may take or give several values.
pub fn draw(seed: u64, several: bool) -> Vec<u8> {
    let random = &mut Random::new(seed);
    let mut shared = Shared {
        functions: vec![host()],
        table: Vec::new(),
        several,
        types: Vec::new(),
    };
    let types_of = |random: &mut Random, most: usize| -> Vec<ValType> {
        const KINDS: [ValType; 7] = [F64, F32, V128, F64, F32, I32, I64];
        (0..random.below(most + 1))
            .map(|_| *random.pick(&KINDS))
            .collect()
    };
    let own = 2 + random.below(5);
    for _ in 0..own {
        let signature = (types_of(random, 3), types_of(random, 2));
        shared.functions.push(signature);
    }
    for function in 1..=own {
        if random.in_hundred(20) {
            shared.table.push(u32::try_from(function).unwrap());
        }
    }
    let bodies: Vec<_> = (1..=own)
        .map(|function| {
            let signature = shared.functions[function].clone();
            body::draw(&signature, random, &mut shared)
        })
        .collect();
    // About half the functions are reached by this module's direct calls only.
    let mut open: Vec<bool> = (0..own).map(|_| random.in_hundred(50)).collect();
    open[0] = true;
    encode(random, shared, &bodies, &open)
}

type Bodies = [(Vec<ValType>, Vec<Instruction<'static>>)];

fn encode(random: &mut Random, mut shared: Shared, bodies: &Bodies, open: &[bool]) -> Vec<u8> {
    let signatures = shared.functions.clone();
    let types: Vec<u32> = signatures
        .iter()
        .map(|signature| shared.type_of(signature))
        .collect();
    let refuel = shared.type_of(&(Vec::new(), Vec::new()));
    let (mut section, mut functions, mut code) = (
        TypeSection::new(),
        FunctionSection::new(),
        CodeSection::new(),
    );
    for (parameters, results) in &shared.types {
        let (parameters, results) = (parameters.iter().copied(), results.iter().copied());
        section.ty().function(parameters, results);
    }
    for ((locals, instructions), kind) in bodies.iter().zip(&types[1..]) {
        functions.function(*kind);
        let mut function = Function::new_with_locals_types(locals.iter().copied());
        for instruction in instructions {
            function.instruction(instruction);
        }
        code.function(&function);
    }
    functions.function(refuel);
    let mut function = Function::new([]);
    function
        .instructions()
        .i32_const(FUEL)
        .global_set(body::FUEL)
        .end();
    code.function(&function);
    let mut imports = ImportSection::new();
    imports.import(HOST, HOST, EntityType::Function(types[0]));
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let data: Vec<u8> = (0..80).flat_map(|_| random.wide().to_le_bytes()).collect();
    let mut segments = DataSection::new();
    segments.active(0, &ConstExpr::i32_const(0), data);
    let (tables, elements) = table(&shared.table);
    let globals = globals(random);
    let mut module = Module::new();
    module
        .section(&section)
        .section(&imports)
        .section(&functions)
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&exports(open, bodies.len()))
        .section(&elements)
        .section(&code)
        .section(&segments);
    module.finish()
}

fn table(functions: &[u32]) -> (TableSection, ElementSection) {
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: functions.len() as u64,
        maximum: None,
        shared: false,
    });
    let mut elements = ElementSection::new();
    elements.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(functions.into()),
    );
    (tables, elements)
}

fn globals(random: &mut Random) -> GlobalSection {
    let mut globals = GlobalSection::new();
    let kind = |val_type| GlobalType {
        val_type,
        mutable: true,
        shared: false,
    };
    globals.global(kind(I32), &ConstExpr::i32_const(FUEL));
    for val_type in TYPES {
        for _ in 0..2 {
            let value = match val_type {
                I32 => ConstExpr::i32_const(random.narrow().cast_signed()),
                I64 => ConstExpr::i64_const(random.wide().cast_signed()),
                F32 => ConstExpr::f32_const(Ieee32::new(random.narrow())),
                F64 => ConstExpr::f64_const(Ieee64::new(random.wide())),
                _ => ConstExpr::v128_const(random.vector().cast_signed()),
            };
            globals.global(kind(val_type), &value);
        }
    }
    globals
}

fn exports(open: &[bool], own: usize) -> ExportSection {
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    for global in 0..=u32::try_from(2 * TYPES.len()).unwrap() {
        exports.export(&format!("global{global}"), ExportKind::Global, global);
    }
    for (function, _) in (1u32..).zip(open).filter(|(_, open)| **open) {
        exports.export(&format!("function{function}"), ExportKind::Func, function);
    }
    let refuel = u32::try_from(own + 1).unwrap();
    exports.export(REFUEL, ExportKind::Func, refuel);
    exports
}
