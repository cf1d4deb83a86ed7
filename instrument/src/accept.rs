//! Which modules the class takes: the proposals, and rules that keep compiling cheap.
//!
//! A code generator is far from linear in a module's bytes: what it needs grows with locals, loops and nesting. So these have
//! limits, checked before anything is compiled, and what is below them is charged. A module that breaks a rule is
//! invalid on every machine, whatever engine it has.

use wasmparser::{
    ConstExpr, ElementItems, ElementKind, FuncToValidate, FuncValidatorAllocations, FunctionBody,
    Operator, Parser, Payload, TableInit, TypeRef, ValType, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

use crate::module::{ParsedBody, ParsedModule, RawSection, index};

/// Most parameters and locals of a function.
pub const MAX_LOCALS: u64 = 4_096;
/// Most parameters and locals of all functions together.
pub const MAX_LOCALS_IN_ALL: u64 = 1 << 20;
/// Most blocks, loops and conditions within one another.
pub const MAX_NESTING: u64 = 4_096;
/// Most bytes of a function's body.
pub const MAX_BODY_BYTES: u64 = 1 << 20;
/// Most branch targets in all branch tables of a function, defaults included.
pub const MAX_TABLE_TARGETS: u64 = 1 << 16;
/// Most loops times parameters and locals of a function.
pub const MAX_LOOP_LOCALS: u64 = 1 << 17;
/// Most bytes of a function's body with what the pass inserts: what validation takes.
pub const MAX_PREPARED_BODY_BYTES: u64 = 7_654_321;
/// Most bytes of a prepared module.
pub const MAX_PREPARED_BYTES: u64 = 1 << 29;
/// Most types, most globals and most exports of a module.
pub const MAX_ITEMS: u64 = 100_000;
/// Beginning of names that the pass keeps for itself: no import and no export may have one.
pub const RESERVED: &str = "gridproof:";
/// Units for each byte of a module, each parameter and local, and each of these for every loop of its function.
pub const COMPILE_PRICE: u64 = 64;

/// Why the class does not take a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassRule {
    /// Not a valid module of the class's proposals.
    #[error("not a valid module of the class's proposals: {message}")]
    Invalid {
        /// Message of the validator, for people; nothing is decided by it.
        message: String,
    },
    /// A function has too many parameters and locals.
    #[error(
        "function {function} has {found} parameters and locals, at most {MAX_LOCALS} are allowed"
    )]
    TooManyLocals {
        /// Index of the function.
        function: u32,
        /// Its parameters and locals.
        found: u64,
    },
    /// All functions together have too many parameters and locals.
    #[error(
        "{found} parameters and locals in all functions, at most {MAX_LOCALS_IN_ALL} are allowed"
    )]
    TooManyLocalsInAll {
        /// Parameters and locals up to the function that passed the limit.
        found: u64,
    },
    /// Blocks lie too deep within one another.
    #[error("function {function} nests blocks {found} deep, at most {MAX_NESTING} are allowed")]
    TooDeep {
        /// Index of the function.
        function: u32,
        /// Depth that passed the limit.
        found: u64,
    },
    /// A function's body is too long.
    #[error("function {function} has {found} bytes, at most {MAX_BODY_BYTES} are allowed")]
    BodyTooLong {
        /// Index of the function.
        function: u32,
        /// Bytes of its body.
        found: u64,
    },
    /// A function's branch tables have too many targets.
    #[error(
        "function {function} has {found} targets in branch tables, at most {MAX_TABLE_TARGETS} are allowed"
    )]
    TooManyTargets {
        /// Index of the function.
        function: u32,
        /// Targets up to the table that passed the limit.
        found: u64,
    },
    /// A function has too many loops for its locals.
    #[error(
        "function {function} has {found} loops times locals, at most {MAX_LOOP_LOCALS} are allowed"
    )]
    TooManyLoopLocals {
        /// Index of the function.
        function: u32,
        /// Its loops times its parameters and locals.
        found: u64,
    },
    /// A function's body is too long with what the pass inserts.
    #[error(
        "function {function} has {found} bytes when it is prepared, at most {MAX_PREPARED_BODY_BYTES} are allowed"
    )]
    PreparedBodyTooLong {
        /// Index of the function.
        function: u32,
        /// Bytes of its prepared body.
        found: u64,
    },
    /// The module is too long with what the pass inserts.
    #[error("the prepared module has {found} bytes, at most {MAX_PREPARED_BYTES} are allowed")]
    PreparedTooLong {
        /// Bytes of the prepared module up to the function that passed the limit.
        found: u64,
    },
    /// A list of the module is too long for the pass to add to it.
    #[error("{found} types, globals or exports, at most {MAX_ITEMS} of each are allowed")]
    TooManyItems {
        /// Length of the longest of these lists.
        found: u64,
    },
    /// An import or an export has a name of the pass's own.
    #[error("the name {name:?} is reserved")]
    ReservedName {
        /// The name.
        name: String,
    },
}

impl From<wasmparser::Error> for ClassRule {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid {
            message: error.to_string(),
        }
    }
}

/// The proposals of the class: WebAssembly 2.0 without references to the host, and extended constants. All else is
/// refused.
#[must_use]
pub fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        .union(WasmFeatures::BULK_MEMORY_OPT)
        .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
        .union(WasmFeatures::EXTENDED_CONST)
        .difference(WasmFeatures::GC_TYPES)
}

/// What is counted of a module's functions to charge for compiling them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Complexity {
    /// Parameters and locals of all functions.
    pub locals: u64,
    /// Loops times parameters and locals, summed over all functions.
    pub loop_locals: u64,
}

impl Complexity {
    /// Units that compiling costs beside those for the module's bytes.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        COMPILE_PRICE.saturating_mul(self.locals.saturating_add(self.loop_locals))
    }
}

/// Validates a module and checks the rules of the class.
pub fn accept(bytes: &[u8]) -> Result<(ParsedModule<'_>, Complexity), ClassRule> {
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let mut reading = Reading {
        bytes,
        module: ParsedModule::default(),
        complexity: Complexity::default(),
        allocations: FuncValidatorAllocations::default(),
    };
    let mut validator = Validator::new_with_features(features());
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => reading.function(function, body)?,
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {
                reading.section(payload)?;
            }
        }
    }
    let module = reading.module;
    let lists = [
        module.types.len(),
        module.globals.len(),
        module.exports.len(),
    ];
    let found = wide(lists.into_iter().max().unwrap_or(0));
    if found > MAX_ITEMS {
        return Err(ClassRule::TooManyItems { found });
    }
    Ok((module, reading.complexity))
}

pub(crate) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

struct Reading<'a> {
    bytes: &'a [u8],
    module: ParsedModule<'a>,
    complexity: Complexity,
    allocations: FuncValidatorAllocations,
}

impl<'a> Reading<'a> {
    /// Notes what a section says; the validator has seen it.
    fn section(&mut self, payload: Payload<'a>) -> Result<(), ClassRule> {
        if let Some((id, range)) = payload.as_section()
            && id != 0
        {
            let content = &self.bytes[range];
            self.module.sections.push(RawSection { id, content });
        }
        let module = &mut self.module;
        match payload {
            Payload::TypeSection(reader) => {
                for kind in reader.into_iter_err_on_gc_types() {
                    module.types.push(kind?);
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for kind in reader {
                    module.functions.push(kind?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    let table = table?;
                    self.module.tables.push(table.ty);
                    if let TableInit::Expr(value) = table.init {
                        self.references(&value)?;
                    }
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    module.memories.push(memory?);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    self.module.globals.push(global.ty);
                    self.references(&global.init_expr)?;
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    free(export.name)?;
                    module.exports.push(export);
                }
            }
            Payload::StartSection { func, .. } => module.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    self.element(element?)?;
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    module.data.push(data?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<(), ClassRule> {
        free(import.module)?;
        free(import.name)?;
        let module = &mut self.module;
        match import.ty {
            TypeRef::Func(kind) | TypeRef::FuncExact(kind) => {
                module.functions.push(kind);
                module.imported_functions += 1;
            }
            TypeRef::Table(kind) => module.tables.push(kind),
            TypeRef::Memory(kind) => module.memories.push(kind),
            TypeRef::Global(kind) => {
                module.globals.push(kind);
                module.imported_globals += 1;
            }
            TypeRef::Tag(_) => {}
        }
        module.imports.push(import);
        Ok(())
    }

    fn element(&mut self, element: wasmparser::Element<'a>) -> Result<(), ClassRule> {
        match &element.items {
            ElementItems::Functions(functions) => {
                // A declaration alone puts nothing into a table; `ref.func` in a body does.
                if !matches!(element.kind, ElementKind::Declared) {
                    for function in functions.clone() {
                        self.module.referenced.push(function?);
                    }
                }
            }
            ElementItems::Expressions(_, values) => {
                for value in values.clone() {
                    self.references(&value?)?;
                }
            }
        }
        self.module.elements.push(element);
        Ok(())
    }

    /// Notes the functions that a constant expression refers to.
    fn references(&mut self, value: &ConstExpr<'a>) -> Result<(), ClassRule> {
        for operator in value.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.module.referenced.push(function_index);
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: FunctionBody<'a>,
    ) -> Result<(), ClassRule> {
        let (number, type_index) = (function.index, function.ty);
        let found = wide(body.range().len());
        if found > MAX_BODY_BYTES {
            let function = number;
            return Err(ClassRule::BodyTooLong { function, found });
        }
        let mut locals: Vec<ValType> = self.module.types[index(type_index)].params().to_vec();
        let parameters = locals.len();
        let mut groups = Vec::new();
        let mut declared = wide(parameters);
        for group in body.get_locals_reader()? {
            let (count, kind) = group?;
            declared = declared.saturating_add(count.into());
            if declared <= MAX_LOCALS {
                locals.extend(std::iter::repeat_n(kind, index(count)));
                groups.push((count, kind));
            }
        }
        self.count_locals(number, declared)?;
        let mut read = ParsedBody {
            type_index,
            locals,
            parameters,
            groups,
            operators: 0,
            height: 0,
            calls: Vec::new(),
            body,
        };
        let loops = self.operators(function, &mut read)?;
        let found = loops.saturating_mul(declared);
        if found > MAX_LOOP_LOCALS {
            let function = number;
            return Err(ClassRule::TooManyLoopLocals { function, found });
        }
        self.complexity.loop_locals = self.complexity.loop_locals.saturating_add(found);
        self.module.bodies.push(read);
        Ok(())
    }

    fn count_locals(&mut self, function: u32, found: u64) -> Result<(), ClassRule> {
        if found > MAX_LOCALS {
            return Err(ClassRule::TooManyLocals { function, found });
        }
        self.complexity.locals += found;
        let found = self.complexity.locals;
        if found > MAX_LOCALS_IN_ALL {
            return Err(ClassRule::TooManyLocalsInAll { found });
        }
        Ok(())
    }

    /// Validates a function's operators and gives the number of its loops.
    fn operators(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        read: &mut ParsedBody<'a>,
    ) -> Result<u64, ClassRule> {
        let number = function.index;
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        validator.read_locals(&mut read.body.get_binary_reader())?;
        let mut reader = read.body.get_operators_reader()?;
        let (mut loops, mut targets) = (0u64, 0u64);
        while !reader.eof() {
            let at = reader.original_position();
            let operator = reader.read()?;
            validator.op(at, &operator)?;
            read.operators += 1;
            read.height = read.height.max(validator.operand_stack_height());
            let found = u64::from(validator.control_stack_height());
            // The function's own frame is one of them.
            if found > MAX_NESTING + 1 {
                let (function, found) = (number, found - 1);
                return Err(ClassRule::TooDeep { function, found });
            }
            match operator {
                Operator::Loop { .. } => loops += 1,
                Operator::BrTable { targets: table } => {
                    targets = targets.saturating_add(u64::from(table.len()) + 1);
                    if targets > MAX_TABLE_TARGETS {
                        let (function, found) = (number, targets);
                        return Err(ClassRule::TooManyTargets { function, found });
                    }
                }
                Operator::Call { function_index } => read.calls.push(function_index),
                Operator::RefFunc { function_index } => self.module.referenced.push(function_index),
                _ => {}
            }
        }
        reader.finish()?;
        read.calls.sort_unstable();
        read.calls.dedup();
        self.allocations = validator.into_allocations();
        Ok(loops)
    }
}

/// Refuses names of the pass's own.
fn free(name: &str) -> Result<(), ClassRule> {
    if name.starts_with(RESERVED) {
        let name = name.to_owned();
        return Err(ClassRule::ReservedName { name });
    }
    Ok(())
}
