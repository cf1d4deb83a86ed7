//! Prepares a module for its class: bytes to bytes, so that what a program can see is decided by its text and by no engine.
//!
//! [`prepare`] checks the rules of the class ([`accept`]) and writes the module anew with the insertions of its parts
//! ([`insertion`]): metering, and canonical NaNs ([`nan`]). What it writes is validated again. The rules are in
//! `docs/spec/executor.md`. It names no engine.

pub mod accept;
pub mod insertion;
pub mod meter;
pub mod module;
pub mod nan;
pub mod stack;

mod emit;

use std::collections::BTreeMap;

use accept::{ClassRule, Complexity, charge};
use emit::{AddedGlobal, Changes, encoded};
use insertion::FunctionInsertions;
use meter::CounterGlobals;
use module::ParsedModule;
use nan::{Canonical, CanonicalNans, NanError};
use stack::{MAX_STACK_SLOTS, StackCheck};
use wasm_encoder::{BlockType, ValType};

/// Name of the global that holds the fuel that is left: 64 bits, set by the host before anything runs. Below zero it is used up.
pub const FUEL_EXPORT: &str = "gridproof:fuel";
/// Name of the global that holds the slots of the stack that are left: 64 bits. Below zero the stack is used up.
pub const STACK_EXPORT: &str = "gridproof:stack";
/// Name under which the function of a start section is exported; the host calls it before the program's entry.
pub const START_EXPORT: &str = "gridproof:start";

/// A module that an engine may compile and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedModule {
    /// The prepared module.
    pub bytes: Vec<u8>,
    /// What compiling it is charged by, beside its length.
    pub complexity: Complexity,
}

/// Why there is no prepared module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The module breaks a rule of its class: it is invalid on every machine.
    #[error(transparent)]
    Refused(#[from] ClassRule),
    /// Its NaNs cannot be made canonical. That is a fault of this program and says nothing about the module.
    #[error(transparent)]
    Nan(#[from] NanError),
    /// What the pass wrote is no valid module. That is a fault of this program and says nothing about the module.
    #[error("the prepared module is not valid: {message}")]
    Output {
        /// Message of the validator, for people; nothing is decided by it.
        message: String,
    },
}

/// Prepares a module.
pub fn prepare(bytes: &[u8]) -> Result<PreparedModule, PrepareError> {
    let (module, complexity) = accept::accept(bytes)?;
    let plan = plan(&module, complexity)?;
    let bytes = plan.write()?;
    let complexity = plan.complexity();
    Ok(PreparedModule { bytes, complexity })
}

/// An accepted module of which it is known where NaNs are made canonical, and so what compiling it costs.
pub struct Plan<'m, 'a> {
    module: &'m ParsedModule<'a>,
    nans: CanonicalNans,
    complexity: Complexity,
}

/// Finds the places where an accepted module's NaNs are made canonical. `complexity` is that of its text.
pub fn plan<'m, 'a>(
    module: &'m ParsedModule<'a>,
    complexity: Complexity,
) -> Result<Plan<'m, 'a>, NanError> {
    let nans = nan::canonicalise(module, Canonical::WhereSeen)?;
    let mut complexity = Complexity {
        crowding: 0,
        crowded_values: 0,
        places: 0,
        ..complexity
    };
    for (at, body) in module.bodies.iter().enumerate() {
        let (single, vectors) = nans.places_by_width(at);
        let charge = charge::places(single, vectors);
        let crowding = body.crowding.saturating_add(charge.crowding);
        complexity.add_crowding(crowding, body.values());
        complexity.places = complexity.places.saturating_add(charge.units);
    }
    Ok(Plan {
        module,
        nans,
        complexity,
    })
}

impl Plan<'_, '_> {
    /// What compiling the module is charged by, beside its length: that of its text and more.
    #[must_use]
    pub fn complexity(&self) -> Complexity {
        self.complexity
    }

    /// The prepared module. The only rules that are left to break are those of its own length.
    pub fn write(&self) -> Result<Vec<u8>, PrepareError> {
        checked(instrumented(self.module, &self.nans)?)
    }
}

/// A module with canonical NaNs and nothing else of the pass: what an engine's own switch for them is compared with.
pub fn with_canonical_nans(bytes: &[u8], canonical: Canonical) -> Result<Vec<u8>, PrepareError> {
    let (module, _) = accept::accept(bytes)?;
    let nans = nan::canonicalise(&module, canonical)?;
    let changes = Changes {
        start: START_EXPORT,
        ..Changes::default()
    };
    checked(emit::emit(&module, &changes, |at| {
        vec![nans.insertions(&module, at)]
    })?)
}

/// What the pass wrote, if it is a valid module.
fn checked(bytes: Vec<u8>) -> Result<Vec<u8>, PrepareError> {
    wasmparser::Validator::new_with_features(accept::features())
        .validate_all(&bytes)
        .map_err(|error| PrepareError::Output {
            message: error.to_string(),
        })?;
    Ok(bytes)
}

/// A length that the format bounds to 32 bits.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn instrumented(module: &ParsedModule<'_>, nans: &CanonicalNans) -> Result<Vec<u8>, ClassRule> {
    let first_global = narrow(module.globals.len());
    let counters = CounterGlobals {
        fuel: first_global,
        stack: first_global + 1,
    };
    let stack = i64::try_from(MAX_STACK_SLOTS).unwrap_or(i64::MAX);
    let global = |name, value| AddedGlobal { name, value };
    let mut changes = Changes {
        types: Vec::new(),
        globals: vec![global(FUEL_EXPORT, 0), global(STACK_EXPORT, stack)],
        start: START_EXPORT,
    };
    let mut added = BTreeMap::new();
    let checks: Vec<Option<StackCheck>> = stack::plan(module)
        .into_iter()
        .zip(&module.bodies)
        .map(|(slots, body)| {
            let block = |slots| StackCheck {
                slots,
                block: result_block(module, body.type_index, &mut changes, &mut added),
            };
            slots.map(block)
        })
        .collect();
    emit::emit(module, &changes, |at| {
        let body = &module.bodies[at];
        let nan = nans.insertions(module, at);
        let operators = body.operators();
        let first_local = narrow(body.locals.len() + nan.locals.len());
        let meter = meter::insertions(&operators, counters, checks[at], first_local);
        let exits = checks[at].map_or_else(FunctionInsertions::default, |check| {
            stack::exits(
                &operators,
                counters.stack,
                meter::stack_local(first_local),
                check,
            )
        });
        vec![meter, nan, exits]
    })
}

/// Type of a block that takes nothing and leaves the results of a function type; added where the module has none.
fn result_block(
    module: &ParsedModule<'_>,
    type_index: u32,
    changes: &mut Changes,
    added: &mut BTreeMap<u32, u32>,
) -> BlockType {
    let results = module.types[module::index(type_index)].results();
    if results.len() < 2 {
        let only = results.first().copied().map(encoded);
        return only.map_or(BlockType::Empty, BlockType::Result);
    }
    // Its own type will do, if it takes nothing.
    let kind = &module.types[module::index(type_index)];
    if kind.params().is_empty() {
        return BlockType::FunctionType(type_index);
    }
    if let Some(added) = added.get(&type_index) {
        return BlockType::FunctionType(*added);
    }
    let results: Vec<ValType> = results.iter().copied().map(encoded).collect();
    changes.types.push((vec![], results));
    let last = narrow(module.types.len() + changes.types.len() - 1);
    added.insert(type_index, last);
    BlockType::FunctionType(last)
}

#[cfg(test)]
mod tests;
