//! Why a class cannot run a module, found in its text alone: nothing is compiled for it.
//!
//! Rules of the text come first ([`instrument::accept`]), then tables, the entry and imports in their order. A module that is refused is
//! invalid whatever it would have cost to compile.

use instrument::accept::ClassRule;
use instrument::module::ParsedModule;
use types::limits::MAX_MODULE_BYTES;
use types::number::EngineClass;
use wasmparser::{ExternalKind, TypeRef};

use crate::class::MAX_TABLES;
use crate::wasi::HostFunctions;

/// Where every program begins: a function without parameters or results.
pub(crate) const ENTRY: &str = "_start";

/// Why a class cannot run a module: every task of it ends as `Invalid`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFlaw {
    /// Larger than [`MAX_MODULE_BYTES`].
    #[error("larger than {MAX_MODULE_BYTES} bytes: it has {length}")]
    TooLarge {
        /// Length of the module, in bytes.
        length: u64,
    },
    /// A rule of the class.
    #[error("not a module of engine class {class}: {rule}")]
    Rule {
        /// Engine class of the rule.
        class: EngineClass,
        /// The rule that it breaks.
        rule: ClassRule,
    },
    /// More tables than [`MAX_TABLES`].
    #[error("{found} tables, at most {MAX_TABLES} are allowed")]
    TooManyTables {
        /// Tables that the module has.
        found: u64,
    },
    /// No exported function `_start` without parameters and results.
    #[error("no function {ENTRY:?} without parameters and results")]
    NoEntry,
    /// An import of another name than those of WASI preview 1, or one that is no function.
    #[error("no function {name:?} of {module:?} can be imported")]
    UnknownImport {
        /// Module that the import names.
        module: String,
        /// Name of the import in it.
        name: String,
    },
    /// A function of WASI preview 1 with another type.
    #[error("the function {name:?} that it imports has another type")]
    ImportType {
        /// Name of the import.
        name: String,
    },
}

/// What a module lacks, or has and must not, beside the rules of its text.
pub(crate) fn find(module: &ParsedModule<'_>, functions: &HostFunctions) -> Option<ModuleFlaw> {
    if module.tables.len() > MAX_TABLES {
        let found = u64::try_from(module.tables.len()).unwrap_or(u64::MAX);
        return Some(ModuleFlaw::TooManyTables { found });
    }
    let is_entry = |export: &&wasmparser::Export<'_>| {
        export.name == ENTRY && matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact)
    };
    let entry = module.exports.iter().find(is_entry);
    let kind = entry.map(|entry| module.function_type(entry.index));
    if kind.is_none_or(|kind| !kind.params().is_empty() || !kind.results().is_empty()) {
        return Some(ModuleFlaw::NoEntry);
    }
    let flaw = |import| import_flaw(module, functions, import);
    module.imports.iter().find_map(flaw)
}

fn import_flaw(
    module: &ParsedModule<'_>,
    functions: &HostFunctions,
    import: &wasmparser::Import<'_>,
) -> Option<ModuleFlaw> {
    let known = functions.function_type(import.module, import.name);
    let (TypeRef::Func(asked), Some(known)) = (import.ty, known) else {
        return Some(ModuleFlaw::UnknownImport {
            module: import.module.to_owned(),
            name: import.name.to_owned(),
        });
    };
    let asked = usize::try_from(asked)
        .ok()
        .map(|asked| &module.types[asked]);
    (asked != Some(known)).then(|| ModuleFlaw::ImportType {
        name: import.name.to_owned(),
    })
}
