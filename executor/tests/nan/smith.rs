//! Modules drawn by `wasm-smith`, made such that they end and that what they leave can be looked at.

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasm_smith::{Config, Module};
use wasmparser::{ExternalKind, Parser, Payload};

use crate::random::Random;

/// What a module may cost, in function entries and rounds of loops.
const FUEL: u32 = 400;

/// A module, if the bytes that the seed gives make one; `several` is whether blocks may take or give several values.
pub fn draw(seed: u64, several: bool) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let length = 300 + random.below(4_000);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.bits().to_le_bytes())
        .take(length / 8)
        .flatten()
        .collect();
    let config = Config {
        allow_start_export: false,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        max_imports: 0,
        max_memory32_bytes: 4 << 16,
        max_table_elements: 100,
        max_tables: 2,
        min_funcs: 2,
        min_globals: 2,
        min_memories: 1,
        max_instructions: 400,
        memory64_enabled: false,
        multi_value_enabled: several,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    let unstructured = &mut arbitrary::Unstructured::new(&bytes);
    let mut module = Module::new(config, unstructured).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(close_some(&module.to_bytes(), &mut random))
}

/// Takes two thirds of the functions from the exports, so that only the module's own calls reach some of them.
fn close_some(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.unwrap();
        if let Payload::ExportSection(reader) = &payload {
            let mut exports = ExportSection::new();
            for export in reader.clone() {
                let export = export.unwrap();
                let kind = match export.kind {
                    ExternalKind::Func if random.in_hundred(66) => continue,
                    ExternalKind::Func => ExportKind::Func,
                    ExternalKind::Table => ExportKind::Table,
                    ExternalKind::Memory => ExportKind::Memory,
                    _ => ExportKind::Global,
                };
                exports.export(export.name, kind, export.index);
            }
            module.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            let data = &bytes[range];
            module.section(&RawSection { id, data });
        }
    }
    module.finish()
}
