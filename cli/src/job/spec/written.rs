//! A job's spec as YAML again, from what is on chain. What is read back from it is the same spec; files are named by hash.

use std::collections::BTreeMap;

use serde::Serialize;
use types::hash::{BlobId, Hash32};
use types::job::{JobSpec, Workload};

use super::FORMAT;
use super::checks::NS_PER_SECOND;

#[derive(Serialize)]
struct WrittenDocument<'a> {
    version: &'static str,
    name: &'a str,
    engine: WrittenEngine<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<WrittenInput<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<WrittenOutput<'a>>,
    tasks: WrittenTasks<'a>,
    resources: WrittenResources,
    #[serde(skip_serializing_if = "WrittenConstraints::is_empty")]
    constraints: WrittenConstraints<'a>,
    verification: WrittenVerification,
    payment: WrittenPayment,
    determinism: WrittenDeterminism,
}

#[derive(Serialize)]
struct WrittenEngine<'a> {
    r#type: &'static str,
    params: WrittenParams<'a>,
}

#[derive(Serialize)]
struct WrittenParams<'a> {
    module: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
}

#[derive(Serialize)]
struct WrittenInput<'a> {
    source: String,
    target: &'a str,
}

#[derive(Serialize)]
struct WrittenOutput<'a> {
    name: &'a str,
    path: &'a str,
}

#[derive(Serialize)]
struct WrittenTasks<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    array: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indices: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<&'a str>,
}

#[derive(Serialize)]
struct WrittenResources {
    fuel: u64,
    memory: u64,
    output: u64,
    wait: u64,
}

#[derive(Serialize)]
struct WrittenConstraints<'a> {
    attributes: BTreeMap<&'a str, &'a str>,
}

impl WrittenConstraints<'_> {
    fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }
}

#[derive(Serialize)]
struct WrittenVerification {
    verifiers: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<String>,
    value_at_risk: String,
    task_value_at_risk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<String>,
}

#[derive(Serialize)]
struct WrittenPayment {
    price: String,
}

#[derive(Serialize)]
struct WrittenDeterminism {
    clock: u64,
    random_seed: Hash32,
}

/// Why a spec cannot be written as YAML: another client made something that the format has no words for.
#[derive(Debug, thiserror::Error)]
pub enum UnwrittenSpec {
    /// The clock starts within a second.
    #[error("its clock starts at {0} ns, which is no whole second")]
    ClockStart(u64),
    /// The text could not be made.
    #[error("{0}")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

/// The spec as YAML.
pub fn yaml(spec: &JobSpec) -> Result<String, UnwrittenSpec> {
    let workload = &spec.workload;
    if !workload.clock_start_ns.is_multiple_of(NS_PER_SECOND) {
        return Err(UnwrittenSpec::ClockStart(workload.clock_start_ns));
    }
    let checks = &spec.verification;
    let tasks = checks.tasks_per_verifier.map(|tasks| match tasks {
        u32::MAX => "all".to_owned(),
        tasks => tasks.to_string(),
    });
    let confidence = checks.confidence_ppm;
    let attributes = spec.constraints.attributes.iter();
    let document = WrittenDocument {
        version: FORMAT,
        name: spec.name.as_str(),
        engine: engine(spec),
        inputs: workload
            .inputs
            .iter()
            .map(|input| WrittenInput {
                source: source(input.blob),
                target: input.target.as_str(),
            })
            .collect(),
        outputs: workload
            .outputs
            .iter()
            .map(|output| WrittenOutput {
                name: output.name.as_str(),
                path: output.path.as_str(),
            })
            .collect(),
        tasks: written_tasks(workload),
        resources: WrittenResources {
            fuel: workload.limits.fuel.0,
            memory: workload.limits.memory_bytes,
            output: workload.limits.output_bytes,
            wait: spec.max_wait_ms,
        },
        constraints: WrittenConstraints {
            attributes: attributes
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        },
        verification: WrittenVerification {
            verifiers: checks.min_verifiers,
            tasks,
            value_at_risk: checks.value_at_risk.to_string(),
            task_value_at_risk: checks.task_value_at_risk.to_string(),
            confidence: (confidence > 0).then(|| format!("0.{confidence:06}")),
        },
        payment: WrittenPayment {
            price: spec.price_cap.to_string(),
        },
        determinism: WrittenDeterminism {
            clock: workload.clock_start_ns / NS_PER_SECOND,
            random_seed: workload.random_seed,
        },
    };
    Ok(serde_saphyr::to_string(&document)?)
}

fn written_tasks(workload: &Workload) -> WrittenTasks<'_> {
    let (tasks, is_chain) = (&workload.tasks, workload.state.is_chain());
    let indices = tasks.indices().map(|index| index.0);
    let name = |at: usize| Some(workload.outputs.get(at)?.name.as_str());
    WrittenTasks {
        array: (!is_chain).then_some(tasks.array()),
        indices: (!tasks.is_whole()).then(|| indices.collect()),
        chain: is_chain.then_some(tasks.array()),
        state: workload.state.positions().filter_map(name).collect(),
    }
}

fn engine(spec: &JobSpec) -> WrittenEngine<'_> {
    let workload = &spec.workload;
    let environment = workload.environment.iter();
    WrittenEngine {
        r#type: "wasm",
        params: WrittenParams {
            module: source(workload.module),
            args: workload
                .arguments
                .iter()
                .map(types::codec::Text::as_str)
                .collect(),
            env: environment
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            stdin: workload.stdin.map(source),
        },
    }
}

fn source(blob: BlobId) -> String {
    format!("blake3:{}:{}", blob.hash, blob.length)
}

#[cfg(test)]
mod tests;
