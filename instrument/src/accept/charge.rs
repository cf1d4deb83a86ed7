//! What compiling a module is charged by: counts of its text that a code generator's work follows, each with a price.
//!
//! Prices are such that a machine of a devnet's lowest speed, 20 ns a unit, compiles for what it is paid; the search of
//! `scripts/bench compile` looks for modules that are dearer. Work that grows with the square of a function's branches has a price by its
//! square, so that no function needs a limit for it.

use wasmparser::Operator;

use super::wide;

/// Units for each byte of a module, each parameter and local, and each of these for every loop of its function.
pub const COMPILE_PRICE: u64 = 64;
/// Units for the module itself.
pub const MODULE_PRICE: u64 = 60_000;
/// Units for each function, imported ones included.
pub const FUNCTION_PRICE: u64 = 3_500;
/// Units for each byte of a function's body, beside those for a byte of the module.
pub const CODE_PRICE: u64 = 32;
/// Units for each parameter, local and operand at the highest stack, times its function's crowding.
pub const CROWDED_VALUE_PRICE: u64 = 20;
/// Parameters and results that a type, a function or a call has for nothing.
pub const FREE_SIGNATURE: u64 = 8;
/// Units for each one above these.
pub const SIGNATURE_PRICE: u64 = 1_000;
/// Squares of crowding for a unit.
pub const CROWDING_PER_UNIT: u64 = 10;
/// Units for each place where a single float is made canonical.
pub const PLACE_PRICE: u64 = 1_000;
/// Units for each place where a vector is made canonical.
pub const VECTOR_PLACE_PRICE: u64 = 1_500;
/// Units for each first value, element and segment that is computed when an instance begins.
pub const COMPUTED_PRICE: u64 = 5_000;
/// Units for each operator of a constant expression but its first.
pub const CONSTANT_OPERATOR_PRICE: u64 = 250;
/// Bytes of a memory that is laid out, for a unit.
pub const IMAGE_BYTES_PER_UNIT: u64 = 8;

/// Crowding by a place where a single float is made canonical.
const PLACE_CROWDING: u64 = 4;
/// Crowding by a place where a vector is made canonical.
const VECTOR_PLACE_CROWDING: u64 = 5;

/// What is counted of a module to charge for compiling it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Complexity {
    /// Functions, imported ones included.
    pub functions: u64,
    /// Parameters and locals of all functions.
    pub locals: u64,
    /// Loops times parameters and locals, summed over all functions.
    pub loop_locals: u64,
    /// Bytes of all functions' bodies.
    pub code_bytes: u64,
    /// Units of operators that take more than their bytes pay for.
    pub operators: u64,
    /// Units of the values that types, functions and calls take and give.
    pub signatures: u64,
    /// Squares of the functions' crowding.
    pub crowding: u64,
    /// Parameters, locals and the highest stack, times crowding, summed over all functions.
    pub crowded_values: u64,
    /// First values, elements and segments that are computed when an instance begins.
    pub computed: u64,
    /// Operators of constant expressions beside the first of each.
    pub constant_operators: u64,
    /// Elements of tables that are laid out, each table up to the last one that is set.
    pub table_elements: u64,
    /// Bytes of memories that are laid out, each from the first to the last one that is set.
    pub image_bytes: u64,
    /// Units of the places where NaNs are made canonical. Nothing as long as these are not known.
    pub places: u64,
}

impl Complexity {
    /// Units that compiling costs beside those for the module's bytes.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        let locals = self.locals.saturating_add(self.loop_locals);
        [
            MODULE_PRICE,
            FUNCTION_PRICE.saturating_mul(self.functions),
            COMPILE_PRICE.saturating_mul(locals),
            CODE_PRICE.saturating_mul(self.code_bytes),
            self.operators,
            self.signatures,
            self.crowding / CROWDING_PER_UNIT,
            CROWDED_VALUE_PRICE.saturating_mul(self.crowded_values),
            COMPUTED_PRICE.saturating_mul(self.computed),
            CONSTANT_OPERATOR_PRICE.saturating_mul(self.constant_operators),
            self.table_elements,
            self.image_bytes / IMAGE_BYTES_PER_UNIT,
            self.places,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Adds a type, a function or a call with so many parameters and results.
    pub(crate) fn add_signature(&mut self, values: usize) {
        let values = wide(values);
        let many = values.saturating_sub(FREE_SIGNATURE);
        let units = values.saturating_mul(values) + many.saturating_mul(SIGNATURE_PRICE);
        self.signatures = self.signatures.saturating_add(units);
    }

    /// Adds the crowding of a function that has so many values: parameters, locals and operands at its highest stack.
    pub(crate) fn add_crowding(&mut self, crowding: u64, values: u64) {
        let square = crowding.saturating_mul(crowding);
        self.crowding = self.crowding.saturating_add(square);
        let times = crowding.saturating_mul(values);
        self.crowded_values = self.crowded_values.saturating_add(times);
    }
}

/// What one operator, or all of a function, adds to the charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextCharge {
    /// Units beside those of its bytes.
    pub(crate) units: u64,
    /// How much it crowds the function: by what it adds to the work of each other operator that crowds.
    pub(crate) crowding: u64,
}

impl TextCharge {
    const fn new(units: u64, crowding: u64) -> Self {
        Self { units, crowding }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.units = self.units.saturating_add(other.units);
        self.crowding = self.crowding.saturating_add(other.crowding);
    }
}

/// The charge of places where NaNs are made canonical: so many of single floats and of vectors.
pub(crate) fn places(single: usize, vectors: usize) -> TextCharge {
    let (single, vectors) = (wide(single), wide(vectors));
    TextCharge {
        units: single
            .saturating_mul(PLACE_PRICE)
            .saturating_add(vectors.saturating_mul(VECTOR_PLACE_PRICE)),
        crowding: single
            .saturating_mul(PLACE_CROWDING)
            .saturating_add(vectors.saturating_mul(VECTOR_PLACE_CROWDING)),
    }
}

/// The charge of an operator beside that of its bytes.
pub(crate) fn operator(operator: &Operator<'_>) -> TextCharge {
    use Operator as O;
    match operator {
        O::Block { .. } | O::If { .. } | O::Br { .. } | O::BrIf { .. } | O::Return => {
            TextCharge::new(0, 1)
        }
        O::Loop { .. } => TextCharge::new(3_000, 7),
        O::BrTable { targets } => TextCharge::new(0, u64::from(targets.len()) / 32 + 1),
        O::Call { .. } | O::RefFunc { .. } => TextCharge::new(300, 1),
        O::CallIndirect { .. } => TextCharge::new(3_500, 4),
        O::TableGet { .. }
        | O::TableSet { .. }
        | O::TableGrow { .. }
        | O::TableFill { .. }
        | O::TableCopy { .. }
        | O::TableInit { .. }
        | O::ElemDrop { .. } => TextCharge::new(6_000, 4),
        O::MemoryCopy { .. }
        | O::MemoryFill { .. }
        | O::MemoryInit { .. }
        | O::MemoryGrow { .. }
        | O::DataDrop { .. } => TextCharge::new(2_500, 1),
        // Calls of the compiler's library, for each lane of a vector.
        O::F32Ceil
        | O::F32Floor
        | O::F32Trunc
        | O::F32Nearest
        | O::F64Ceil
        | O::F64Floor
        | O::F64Trunc
        | O::F64Nearest => TextCharge::new(1_000, 1),
        O::F32x4Ceil
        | O::F32x4Floor
        | O::F32x4Trunc
        | O::F32x4Nearest
        | O::F64x2Ceil
        | O::F64x2Floor
        | O::F64x2Trunc
        | O::F64x2Nearest => TextCharge::new(4_000, 1),
        _ => TextCharge::default(),
    }
}
