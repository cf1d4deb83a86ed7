//! Writes the prepared module: the original text with the parts' insertions, and what they need of globals and exports.
//!
//! All that is new stands behind what was there (types, globals, locals, exports), so that no index of the original text
//! changes and its operators are copied byte for byte. Custom sections and the start section are left out.

use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, ConstExpr, Encode, ExportKind, ExportSection,
    GlobalSection, GlobalType, Instruction, Module, RawSection as WrittenSection, Section,
    SectionId, ValType,
};
use wasmparser::ExternalKind;

use crate::accept::{ClassRule, MAX_PREPARED_BODY_BYTES, MAX_PREPARED_BYTES, wide};
use crate::insertion::FunctionInsertions;
use crate::module::{ParsedBody, ParsedModule, RawSection, index};
use crate::narrow;

/// A global that the pass adds, under the name that the host finds it by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddedGlobal {
    /// Name of its export.
    pub(crate) name: &'static str,
    /// Its first value.
    pub(crate) value: i64,
}

/// What the pass changes of a module.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Function types to add; the first has the index that follows the module's own.
    pub(crate) types: Vec<(Vec<ValType>, Vec<ValType>)>,
    /// Mutable globals of 64 bits to add; the first has the index that follows the module's own.
    pub(crate) globals: Vec<AddedGlobal>,
    /// The name under which the function of the start section is exported.
    pub(crate) start: &'static str,
}

/// Sections in the order of the format, which is not that of their numbers.
const ORDER: [SectionId; 12] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// The prepared module. `insertions` gives, for a function that the module defines, by its place among these, what each part
/// inserts into it, in the order in which they stand before one operator.
pub(crate) fn emit(
    module: &ParsedModule<'_>,
    changes: &Changes,
    mut insertions: impl FnMut(usize) -> Vec<FunctionInsertions>,
) -> Result<Vec<u8>, ClassRule> {
    let mut written = Module::new();
    for id in ORDER {
        let number = u8::from(id);
        let raw = module.sections.iter().find(|raw| raw.id == number);
        match id {
            SectionId::Type if !changes.types.is_empty() => {
                write_types(&mut written, raw, changes);
            }
            SectionId::Global if !changes.globals.is_empty() => {
                write_globals(&mut written, raw, changes);
            }
            SectionId::Export => write_exports(&mut written, module, changes),
            SectionId::Start => {}
            SectionId::Code if raw.is_some() => {
                let mut code = CodeSection::new();
                let mut hints = BranchHints::new();
                for (body, at) in module.bodies.iter().zip(0..) {
                    let (bytes, unlikely) = function(body, &insertions(index(at)));
                    let number = module.imported_functions + at;
                    check_length(number, bytes.len(), code.byte_len())?;
                    code.raw(&bytes);
                    if !unlikely.is_empty() {
                        hints.function_hints(number, unlikely);
                    }
                }
                written.section(&hints).section(&code);
            }
            _ => copy(&mut written, raw),
        }
    }
    Ok(written.finish())
}

/// Refuses what grew too long: `before` are the bytes of the functions that were written before this one.
fn check_length(function: u32, length: usize, before: usize) -> Result<(), ClassRule> {
    let found = wide(length);
    if found > MAX_PREPARED_BODY_BYTES {
        return Err(ClassRule::PreparedBodyTooLong { function, found });
    }
    let found = found.saturating_add(wide(before));
    if found > MAX_PREPARED_BYTES {
        return Err(ClassRule::PreparedTooLong { found });
    }
    Ok(())
}

fn copy(written: &mut Module, raw: Option<&RawSection<'_>>) {
    if let Some(raw) = raw {
        written.section(&WrittenSection {
            id: raw.id,
            data: raw.content,
        });
    }
}

/// The items of a section that is a list, and their number.
fn items<'a>(raw: Option<&RawSection<'a>>) -> (u32, &'a [u8]) {
    let Some(raw) = raw else {
        return (0, &[]);
    };
    let mut reader = wasmparser::BinaryReader::new(raw.content, 0);
    let count = reader.read_var_u32().expect("the section was validated");
    (count, &raw.content[reader.current_position()..])
}

/// A section: the items that were there, then `added`.
fn write_longer(
    written: &mut Module,
    id: SectionId,
    raw: Option<&RawSection<'_>>,
    added: u32,
    bytes: &[u8],
) {
    let (count, old) = items(raw);
    let mut content = Vec::with_capacity(old.len() + bytes.len() + 5);
    (count + added).encode(&mut content);
    content.extend_from_slice(old);
    content.extend_from_slice(bytes);
    written.section(&WrittenSection {
        id: u8::from(id),
        data: &content,
    });
}

/// The items of a section that was just built, without its length and count, and their number.
fn built(section: &impl Section) -> (u32, Vec<u8>) {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
    let read = "a section begins with its length and its count";
    reader.read_var_u32().expect(read);
    let count = reader.read_var_u32().expect(read);
    let at = reader.current_position();
    (count, bytes.split_off(at))
}

fn write_types(written: &mut Module, raw: Option<&RawSection<'_>>, changes: &Changes) {
    let mut section = wasm_encoder::TypeSection::new();
    for (parameters, results) in &changes.types {
        section
            .ty()
            .function(parameters.iter().copied(), results.iter().copied());
    }
    let (added, bytes) = built(&section);
    write_longer(written, SectionId::Type, raw, added, &bytes);
}

fn write_globals(written: &mut Module, raw: Option<&RawSection<'_>>, changes: &Changes) {
    let mut section = GlobalSection::new();
    for global in &changes.globals {
        let kind = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        section.global(kind, &ConstExpr::i64_const(global.value));
    }
    let (added, bytes) = built(&section);
    write_longer(written, SectionId::Global, raw, added, &bytes);
}

fn write_exports(written: &mut Module, module: &ParsedModule<'_>, changes: &Changes) {
    let mut section = ExportSection::new();
    for export in &module.exports {
        let kind = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        section.export(export.name, kind, export.index);
    }
    let own = u32::try_from(module.globals.len()).unwrap_or(u32::MAX);
    for (global, at) in changes.globals.iter().zip(own..) {
        section.export(global.name, ExportKind::Global, at);
    }
    if let Some(start) = module.start {
        section.export(changes.start, ExportKind::Func, start);
    }
    written.section(&section);
}

/// For each instruction, the one behind it.
fn following<'i>(
    code: &'i [Instruction<'static>],
) -> impl Iterator<Item = Option<&'i Instruction<'static>>> {
    code.iter().skip(1).map(Some).chain([None])
}

/// One function: its own locals and then the parts' ones, its operators with the parts' code before them.
/// Also where its inserted conditions stand, which rarely hold: engines that read hints keep what they guard out of the way.
fn function(body: &ParsedBody<'_>, parts: &[FunctionInsertions]) -> (Vec<u8>, Vec<BranchHint>) {
    let text = body.text();
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 4);
    // Canonical NaNs number their locals first, metering its own behind these.
    let scratch: Vec<ValType> = parts
        .iter()
        .rev()
        .flat_map(|part| part.locals.iter().copied())
        .collect();
    let groups = body.groups.len() + scratch.len();
    groups.encode(&mut bytes);
    for (count, kind) in &body.groups {
        count.encode(&mut bytes);
        encoded(*kind).encode(&mut bytes);
    }
    for kind in scratch {
        1u32.encode(&mut bytes);
        kind.encode(&mut bytes);
    }
    let mut unlikely = Vec::new();
    let mut waiting: Vec<_> = parts
        .iter()
        .map(|part| part.insertions.iter().peekable())
        .collect();
    for (at, placed) in body.operators().into_iter().enumerate() {
        for part in &mut waiting {
            while let Some(insertion) = part.next_if(|next| next.before.0 == at) {
                for (instruction, next) in insertion.code.iter().zip(following(&insertion.code)) {
                    if matches!(instruction, Instruction::If(_)) {
                        unlikely.push(BranchHint {
                            branch_func_offset: narrow(bytes.len()),
                            // What is rare stands in the second arm of a condition that has nothing in the first.
                            branch_hint_value: u32::from(matches!(next, Some(Instruction::Else))),
                        });
                    }
                    instruction.encode(&mut bytes);
                }
            }
        }
        bytes.extend_from_slice(&text[placed.bytes]);
    }
    (bytes, unlikely)
}

/// A type of the class in the encoder's words.
pub(crate) fn encoded(kind: wasmparser::ValType) -> ValType {
    match kind {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(reference) if reference.is_extern_ref() => ValType::EXTERNREF,
        wasmparser::ValType::Ref(_) => ValType::FUNCREF,
    }
}
