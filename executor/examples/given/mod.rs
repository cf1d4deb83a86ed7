//! What the programs that run foreign modules under the class give to a task: texts of a list in JSON, and files by the path
//! at which the task sees them.

use std::collections::BTreeMap;

use anyhow::Result;
use gridproof_executor::{InputProblem, Inputs};
use serde_json::Value;
use types::codec::{Bounded, Text};
use types::hash::BlobId;
use types::job::{Input, Workload};

/// The texts of a list; none if it is no list.
pub fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Texts as a workload holds them. Errors: one too many or too long.
pub fn bounded<const ITEMS: usize, const BYTES: usize, const LINES: bool>(
    all: &[String],
) -> Result<Bounded<Text<BYTES, LINES>, ITEMS>> {
    let all = all.iter().map(|text| Text::new(text.as_str()));
    Ok(Bounded::new(all.collect::<Result<_, _>>()?)?)
}

/// Files as inputs of a workload. Errors: one too many, or a path too long.
pub fn inputs<const ITEMS: usize>(
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Bounded<Input, ITEMS>> {
    let inputs = files.iter().map(|(target, bytes)| -> Result<Input> {
        let target = Text::new(target.as_str())?;
        Ok(Input {
            blob: BlobId::of(bytes),
            target,
        })
    });
    Ok(Bounded::new(inputs.collect::<Result<_>>()?)?)
}

/// What a workload names, found among these bytes.
pub fn load<'a>(
    workload: &Workload,
    held: &(impl Iterator<Item = &'a Vec<u8>> + Clone),
) -> Result<Inputs> {
    Ok(Inputs::load(workload, |blob| {
        let bytes = held.clone().find(|bytes| BlobId::of(bytes) == blob);
        bytes.cloned().ok_or(InputProblem::NotNamed)
    })?)
}
