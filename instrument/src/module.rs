//! A parsed module: what the parts of the pass read, by index as WebAssembly counts.
//!
//! It borrows the module's bytes. Operators are read function by function, so that a large module is never held as a
//! list of operators. What it holds was validated by [`crate::accept`]; it is made nowhere else.

use std::ops::Range;

use wasmparser::{
    Data, Element, Export, FuncType, FunctionBody, GlobalType, Import, MemoryType, Operator,
    TableType, ValType,
};

/// Index of an operator in its function's text, from 0; the last one is the function's own `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperatorIndex(pub usize);

/// A section as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSection<'a> {
    /// Number of the section in the binary format.
    pub(crate) id: u8,
    /// Its content, without number and length.
    pub(crate) content: &'a [u8],
}

/// A module that the class accepts.
#[derive(Clone, Default)]
pub struct ParsedModule<'a> {
    /// All function types.
    pub types: Vec<FuncType>,
    /// All imports, in order.
    pub imports: Vec<Import<'a>>,
    /// For each function, the imported ones first, the index of its type.
    pub functions: Vec<u32>,
    /// Number of imported functions.
    pub imported_functions: u32,
    /// All tables, the imported ones first.
    pub tables: Vec<TableType>,
    /// All memories, the imported ones first.
    pub memories: Vec<MemoryType>,
    /// All globals, the imported ones first.
    pub globals: Vec<GlobalType>,
    /// Number of imported globals.
    pub imported_globals: u32,
    /// All exports, in order.
    pub exports: Vec<Export<'a>>,
    /// The function of the start section.
    pub start: Option<u32>,
    /// All element segments.
    pub elements: Vec<Element<'a>>,
    /// All data segments.
    pub data: Vec<Data<'a>>,
    /// The functions that the module defines, in order: the first has index `imported_functions`.
    pub bodies: Vec<ParsedBody<'a>>,
    /// All sections but custom ones, in order.
    pub(crate) sections: Vec<RawSection<'a>>,
    /// Function references that a global's first value or a table's makes, beside element segments.
    pub(crate) referenced: Vec<u32>,
}

/// A function that the module defines.
#[derive(Debug, Clone)]
pub struct ParsedBody<'a> {
    /// Its type's index.
    pub type_index: u32,
    /// Types of its parameters, then of its locals.
    pub locals: Vec<ValType>,
    /// Number of parameters, which are the first of `locals`.
    pub parameters: usize,
    /// Its declarations of locals, as they stand.
    pub(crate) groups: Vec<(u32, ValType)>,
    /// Number of operators.
    pub(crate) operators: usize,
    /// Largest number of operands on its stack.
    pub(crate) height: u32,
    /// The functions that it calls directly, in ascending order, each once.
    pub(crate) calls: Vec<u32>,
    /// How much its text crowds it, without places where NaNs are made canonical.
    pub(crate) crowding: u64,
    pub(crate) body: FunctionBody<'a>,
}

/// An operator and the bytes of the function's text that hold it.
#[derive(Debug, Clone)]
pub struct PlacedOperator<'a> {
    /// The operator.
    pub operator: Operator<'a>,
    /// Its bytes, counted from the function's first operator.
    pub(crate) bytes: Range<usize>,
}

impl<'a> ParsedModule<'a> {
    /// Type of a function, imported or not.
    #[must_use]
    pub fn function_type(&self, function: u32) -> &FuncType {
        &self.types[index(self.functions[index(function)])]
    }

    /// A function that the module defines; nothing for an imported one.
    #[must_use]
    pub fn defined(&self, function: u32) -> Option<&ParsedBody<'a>> {
        let at = function.checked_sub(self.imported_functions)?;
        self.bodies.get(index(at))
    }
}

impl<'a> ParsedBody<'a> {
    /// Its operators in order, at [`OperatorIndex`] 0 and up. They are read anew by each call.
    #[must_use]
    pub fn operators(&self) -> Vec<PlacedOperator<'a>> {
        let mut found = Vec::with_capacity(self.operators);
        let mut reader = self
            .body
            .get_operators_reader()
            .expect("the body was validated");
        let first = reader.original_position();
        while !reader.eof() {
            let start = reader.original_position() - first;
            let operator = reader.read().expect("the body was validated");
            let bytes = start..reader.original_position() - first;
            found.push(PlacedOperator { operator, bytes });
        }
        found
    }

    /// Its parameters, locals and operands at its highest stack.
    pub(crate) fn values(&self) -> u64 {
        let locals = u64::try_from(self.locals.len()).unwrap_or(u64::MAX);
        locals.saturating_add(self.height.into())
    }

    /// The bytes of its operators.
    pub(crate) fn text(&self) -> &'a [u8] {
        let mut reader = self
            .body
            .get_operators_reader()
            .expect("the body was validated")
            .get_binary_reader();
        let length = reader.bytes_remaining();
        reader.read_bytes(length).expect("so many bytes are left")
    }
}

/// An index of the binary format as one of a list.
#[must_use]
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
