//! What a module begins with: first values and segments, and how much of them the engine computes in code.
//!
//! The engine lays out the beginnings that constants alone decide: tables and memories as they will be, which take time by their
//! length, not by the module's. The rest it compiles into one function, which takes tens of microseconds for each value. So what is laid
//! out is charged by its length, and what is computed is charged and limited. Real programs compute nothing.

use std::collections::BTreeMap;

use wasmparser::{
    ConstExpr, Data, DataKind, Element, ElementItems, ElementKind, Operator, TableType,
};

use super::rule::{ClassRule, MAX_COMPUTED, MAX_TABLE_ELEMENTS};
use super::{Complexity, wide};
use crate::module::{ParsedModule, index};

/// A memory whose bytes lie within so many is laid out, however few they are.
pub const DENSE_IMAGE_BYTES: u64 = 16 << 20;
/// Bytes of a page of memory.
const PAGE: u64 = 1 << 16;

/// What a constant expression is made of.
#[derive(Debug, Clone, Copy)]
struct InitialValue {
    /// True if it is one number or vector.
    is_constant: bool,
    /// The number, where it is one of `i32`.
    number: Option<u64>,
}

/// Where the bytes of a memory lie that its segments set.
#[derive(Debug, Clone, Copy)]
struct Image {
    low: u64,
    high: u64,
    bytes: u64,
}

impl Image {
    fn span(self) -> u64 {
        self.high - self.low
    }

    /// True if the engine lays it out: it is not much longer than what it is made of, or short.
    fn is_dense(self) -> bool {
        self.span() < self.bytes.saturating_mul(2) || self.span() < DENSE_IMAGE_BYTES
    }
}

/// What a module begins with, as far as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Initial {
    /// First values, elements and segments that are computed.
    computed: u64,
    /// Operators of constant expressions beside the first of each.
    operators: u64,
    /// Length of each table as far as it is laid out.
    tables: BTreeMap<u32, u64>,
    /// True once an element segment was met that is not laid out: those after it are not either.
    is_past_tables: bool,
    images: BTreeMap<u32, Image>,
    /// Data segments that are copied when an instance begins.
    active: u64,
    /// True once one of these has a place that is computed or outside of its memory.
    has_computed_data: bool,
}

impl Initial {
    /// Notes the first value of a global.
    pub(super) fn first_value(&mut self, value: &ConstExpr<'_>) -> Result<(), ClassRule> {
        if !self.value(value)?.is_constant {
            self.computed += 1;
        }
        Ok(())
    }

    /// Notes an element segment of a module whose tables are known.
    pub(super) fn element(
        &mut self,
        element: &Element<'_>,
        tables: &[TableType],
    ) -> Result<(), ClassRule> {
        let (length, is_named) = match &element.items {
            ElementItems::Functions(functions) => (u64::from(functions.count()), true),
            ElementItems::Expressions(_, values) => {
                for value in values.clone() {
                    self.value(&value?)?;
                }
                (u64::from(values.count()), false)
            }
        };
        let place = match &element.kind {
            ElementKind::Declared => return Ok(()),
            ElementKind::Passive => None,
            ElementKind::Active {
                table_index,
                offset_expr,
            } => {
                let place = self.value(offset_expr)?.number;
                let table = table_index.unwrap_or(0);
                let end = place.map(|place| place.saturating_add(length));
                let least = tables.get(index(table)).map_or(0, |table| table.initial);
                let end = end.filter(|end| *end <= least);
                let end = end.filter(|_| is_named && !self.is_past_tables);
                self.is_past_tables |= end.is_none();
                end.map(|end| (table, end))
            }
        };
        match place {
            Some((table, end)) => {
                let laid = self.tables.entry(table).or_default();
                *laid = end.max(*laid);
            }
            None => self.computed = self.computed.saturating_add(length + 1),
        }
        Ok(())
    }

    /// Notes a data segment of a module whose memories are known.
    pub(super) fn data(
        &mut self,
        data: &Data<'_>,
        module: &ParsedModule<'_>,
    ) -> Result<(), ClassRule> {
        let DataKind::Active {
            memory_index,
            offset_expr,
        } = &data.kind
        else {
            return Ok(());
        };
        self.active += 1;
        let bytes = wide(data.data.len());
        let pages = module.memories.get(index(*memory_index));
        let least = pages.map_or(0, |memory| memory.initial.saturating_mul(PAGE));
        let low = self.value(offset_expr)?.number;
        let Some(low) = low.filter(|low| low.saturating_add(bytes) <= least) else {
            self.has_computed_data = true;
            return Ok(());
        };
        if bytes > 0 {
            let high = low + bytes;
            let image = self.images.entry(*memory_index);
            let image = image.or_insert(Image {
                low,
                high,
                bytes: 0,
            });
            image.low = image.low.min(low);
            image.high = image.high.max(high);
            image.bytes = image.bytes.saturating_add(bytes);
        }
        Ok(())
    }

    fn value(&mut self, value: &ConstExpr<'_>) -> Result<InitialValue, ClassRule> {
        let (mut count, mut is_constant, mut number) = (0u64, false, None);
        for operator in value.get_operators_reader() {
            match operator? {
                Operator::End => continue,
                Operator::I32Const { value } => {
                    (is_constant, number) = (true, Some(u64::from(value.cast_unsigned())));
                }
                Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }
                | Operator::V128Const { .. } => is_constant = true,
                _ => is_constant = false,
            }
            count += 1;
        }
        let more = count.saturating_sub(1);
        self.operators = self.operators.saturating_add(more);
        let is_constant = is_constant && more == 0;
        Ok(InitialValue {
            is_constant,
            number: number.filter(|_| is_constant),
        })
    }

    /// Adds to the charge what the module begins with, once all of it was read.
    pub(super) fn charge(
        mut self,
        module: &ParsedModule<'_>,
        complexity: &mut Complexity,
    ) -> Result<(), ClassRule> {
        let begins = module.tables.iter().map(|table| table.initial);
        let found = begins.fold(0, u64::saturating_add);
        if found > MAX_TABLE_ELEMENTS {
            return Err(ClassRule::TooManyTableElements { found });
        }
        complexity.table_elements = self.tables.values().copied().fold(0, u64::saturating_add);
        let are_dense = self.images.values().all(|image| image.is_dense());
        if are_dense && !self.has_computed_data {
            let spans = self.images.values().map(|image| image.span());
            complexity.image_bytes = spans.fold(0, u64::saturating_add);
        } else {
            self.computed = self.computed.saturating_add(self.active);
        }
        let found = self.computed;
        if found > MAX_COMPUTED {
            return Err(ClassRule::TooManyComputed { found });
        }
        complexity.computed = found;
        complexity.constant_operators = self.operators;
        Ok(())
    }
}
