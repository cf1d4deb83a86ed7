//! Canonical NaNs: not done by the pass yet.

use crate::insertion::FunctionInsertions;
use crate::module::ParsedModule;

/// For each function that the module defines, the code that makes NaNs canonical where a program can see them.
#[must_use]
pub fn canonicalise(module: &ParsedModule<'_>) -> Vec<FunctionInsertions> {
    vec![FunctionInsertions::default(); module.bodies.len()]
}
