//! Which modules the class takes: the proposals, and rules that keep compiling cheap.
//!
//! A code generator is far from linear in a module's bytes: what it needs grows with locals, loops and nesting. So these have
//! limits, checked before anything is compiled, and what is below them is charged. A module that breaks a rule is
//! invalid on every machine, whatever engine it has.

use wasmparser::{
    BlockType, ConstExpr, ElementItems, ElementKind, FrameKind, FuncToValidate, FuncType,
    FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, TypeRef,
    ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::module::{ParsedBody, ParsedModule, RawSection, index};
use charge::TextCharge;
use initial::Initial;

pub(crate) mod charge;
mod initial;
mod rule;

pub use charge::Complexity;
pub use initial::DENSE_IMAGE_BYTES;
pub use rule::*;

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

/// Validates a module and checks the rules of the class.
pub fn accept(bytes: &[u8]) -> Result<(ParsedModule<'_>, Complexity), ClassRule> {
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let mut reading = Reading {
        bytes,
        module: ParsedModule::default(),
        complexity: Complexity::default(),
        initial: Initial::default(),
        type_values: 0,
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
    let mut complexity = reading.complexity;
    complexity.functions = wide(module.functions.len());
    reading.initial.charge(&module, &mut complexity)?;
    Ok((module, complexity))
}

pub(crate) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

struct Reading<'a> {
    bytes: &'a [u8],
    module: ParsedModule<'a>,
    complexity: Complexity,
    initial: Initial,
    /// Parameters and results of all types so far.
    type_values: u64,
    allocations: FuncValidatorAllocations,
}

impl<'a> Reading<'a> {
    /// Notes what a section says; the validator has seen it.
    fn section(&mut self, payload: Payload<'a>) -> Result<(), ClassRule> {
        // A code section may say that it is longer than what follows: the bytes then end before it does, which is refused there.
        if let Some((id, range)) = payload.as_section()
            && id != 0
            && let Some(content) = self.bytes.get(range)
        {
            self.module.sections.push(RawSection { id, content });
        }
        let module = &mut self.module;
        match payload {
            Payload::TypeSection(reader) => {
                for kind in reader.into_iter_err_on_gc_types() {
                    self.kind(kind?)?;
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                functions_fit(wide(module.functions.len()).saturating_add(reader.count().into()))?;
                for kind in reader {
                    module.functions.push(kind?);
                }
            }
            Payload::TableSection(reader) => {
                // A table begins with nulls: first values of tables are of a proposal that the class leaves out.
                for table in reader {
                    module.tables.push(table?.ty);
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
                    self.initial.first_value(&global.init_expr)?;
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
                segments_fit(reader.count().into())?;
                for element in reader {
                    self.element(element?)?;
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    let data = data?;
                    self.initial.data(&data, module)?;
                    module.data.push(data);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn kind(&mut self, kind: FuncType) -> Result<(), ClassRule> {
        self.type_values += wide(kind.params().len()) + wide(kind.results().len());
        let found = self.type_values;
        if found > MAX_TYPE_VALUES {
            return Err(ClassRule::TooManyTypeValues { found });
        }
        self.complexity.add_signature(values(&kind));
        self.module.types.push(kind);
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<(), ClassRule> {
        free(import.module)?;
        free(import.name)?;
        let module = &mut self.module;
        match import.ty {
            TypeRef::Func(kind) | TypeRef::FuncExact(kind) => {
                let signature = values(&module.types[index(kind)]);
                self.complexity.add_signature(signature);
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
        self.initial.element(&element, &self.module.tables)?;
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
        let bytes = wide(body.range().len());
        if bytes > MAX_BODY_BYTES {
            let (function, found) = (number, bytes);
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
            crowding: 0,
            body,
        };
        let signature = values(&self.module.types[index(type_index)]);
        self.complexity.add_signature(signature);
        let Flow {
            loops,
            branches,
            charge,
        } = self.operators(function, &mut read)?;
        read.crowding = charge.crowding;
        self.complexity.add_crowding(charge.crowding, read.values());
        self.complexity.code_bytes = self.complexity.code_bytes.saturating_add(bytes);
        self.complexity.operators = self.complexity.operators.saturating_add(charge.units);
        let found = branches.saturating_mul(declared);
        if found > MAX_BRANCH_LOCALS {
            let function = number;
            return Err(ClassRule::TooManyBranchLocals { function, found });
        }
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

    /// Validates a function's operators and counts its loops and branches.
    fn operators(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        read: &mut ParsedBody<'a>,
    ) -> Result<Flow, ClassRule> {
        let number = function.index;
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        validator.read_locals(&mut read.body.get_binary_reader())?;
        let mut reader = read.body.get_operators_reader()?;
        let (mut flow, mut targets, mut carried) = (Flow::default(), 0u64, 0u64);
        while !reader.eof() {
            let at = reader.original_position();
            let operator = reader.read()?;
            carried = carried.saturating_add(self.carries(&operator, &validator));
            if carried > MAX_CARRIED {
                let (function, found) = (number, carried);
                return Err(ClassRule::TooManyCarried { function, found });
            }
            validator.op(at, &operator)?;
            read.operators += 1;
            read.height = read.height.max(validator.operand_stack_height());
            let found = u64::from(validator.control_stack_height());
            // The function's own frame is one of them.
            if found > MAX_NESTING + 1 {
                let (function, found) = (number, found - 1);
                return Err(ClassRule::TooDeep { function, found });
            }
            flow.charge.add(charge::operator(&operator));
            match operator {
                Operator::Loop { .. } => {
                    flow.loops += 1;
                    flow.branches += 1;
                }
                Operator::If { .. } | Operator::Br { .. } | Operator::BrIf { .. } => {
                    flow.branches += 1;
                }
                Operator::BrTable { targets: table } => {
                    flow.branches += u64::from(table.len()) + 1;
                    targets = targets.saturating_add(u64::from(table.len()) + 1);
                    if targets > MAX_TABLE_TARGETS {
                        let (function, found) = (number, targets);
                        return Err(ClassRule::TooManyTargets { function, found });
                    }
                }
                Operator::Call { function_index } => {
                    let signature = values(self.module.function_type(function_index));
                    self.complexity.add_signature(signature);
                    read.calls.push(function_index);
                }
                Operator::CallIndirect { type_index, .. } => {
                    let signature = values(&self.module.types[index(type_index)]);
                    self.complexity.add_signature(signature);
                }
                Operator::RefFunc { function_index } => self.module.referenced.push(function_index),
                _ => {}
            }
        }
        reader.finish()?;
        read.calls.sort_unstable();
        read.calls.dedup();
        self.allocations = validator.into_allocations();
        Ok(flow)
    }

    /// The values that an operator carries somewhere, where these have a type of their own: two bytes may stand for a
    /// thousand of them. The operator need not be valid.
    fn carries(
        &self,
        operator: &Operator<'a>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> u64 {
        let values = |type_index: u32| {
            let kind = self.module.types.get(index(type_index));
            kind.map_or((0, 0), |kind| {
                (wide(kind.params().len()), wide(kind.results().len()))
            })
        };
        let block = |kind| match kind {
            BlockType::FuncType(type_index) => values(type_index),
            BlockType::Empty | BlockType::Type(_) => (0, 0),
        };
        let label = |depth: u32| {
            let frame = validator.get_control_frame(index(depth));
            frame.map_or(0, |frame| match (frame.kind, block(frame.block_type)) {
                (FrameKind::Loop, (parameters, _)) => parameters,
                (_, (_, results)) => results,
            })
        };
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                let (parameters, results) = block(*blockty);
                parameters + results
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                label(*relative_depth)
            }
            Operator::BrTable { targets } => {
                label(targets.default()).saturating_mul(u64::from(targets.len()) + 1)
            }
            Operator::Call { function_index } => {
                let kind = self.module.functions.get(index(*function_index));
                // One result is what most functions have.
                kind.map_or(0, |kind| values(*kind).1.saturating_sub(1))
            }
            Operator::CallIndirect { type_index, .. } => values(*type_index).1.saturating_sub(1),
            _ => 0,
        }
    }
}

/// What is counted of a function's flow of control.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    loops: u64,
    /// Loops, conditions, branches and targets of branch tables.
    branches: u64,
    charge: TextCharge,
}

/// Parameters and results of a type.
fn values(kind: &FuncType) -> usize {
    kind.params().len() + kind.results().len()
}

fn functions_fit(found: u64) -> Result<(), ClassRule> {
    if found > MAX_FUNCTIONS {
        return Err(ClassRule::TooManyFunctions { found });
    }
    Ok(())
}

fn segments_fit(found: u64) -> Result<(), ClassRule> {
    if found > MAX_ELEMENT_SEGMENTS {
        return Err(ClassRule::TooManySegments { found });
    }
    Ok(())
}

/// Refuses names of the pass's own.
fn free(name: &str) -> Result<(), ClassRule> {
    if name.starts_with(RESERVED) {
        let name = name.to_owned();
        return Err(ClassRule::ReservedName { name });
    }
    Ok(())
}
