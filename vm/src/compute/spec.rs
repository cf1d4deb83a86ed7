//! What a job's spec must satisfy whoever is there to run it: limits, sizes, counts, order and paths.

use std::collections::BTreeSet;

use types::job::{
    JobSpec, JobTerms, TaskLimits, Verification, Workload, is_environment_key, is_input_target,
    is_output_path,
};
use types::limits::{
    MAX_ARGUMENTS, MAX_ATTRIBUTES, MAX_BLOB_BYTES, MAX_JOB_INPUT_BYTES, MAX_JOB_OUTPUT_BYTES,
    MAX_MIN_VERIFIERS, MAX_MODULE_BYTES, MAX_TASK_FUEL, MAX_TASK_MEMORY_BYTES,
    MAX_TASK_OUTPUT_BYTES, MAX_TASKS, MAX_WINDOW_MS,
};
use types::number::{Amount, EngineClass, Height};
use types::params::ComputeParams;

use super::JobError;
use super::price::{class_params, execute_window_ms, min_fuel, result_bytes, store_window_ms};

/// Names beside which a job's outputs are laid down.
const RESERVED_NAMES: [&str; 5] = ["", ".", "..", "stdout", "stderr"];

/// Checks a spec against the network's parameters, as they are for a block of `height`, and the protocol's limits; gives its
/// terms.
// Rule C7.
pub fn check_spec(
    params: &ComputeParams,
    height: Height,
    spec: &JobSpec,
) -> Result<JobTerms, JobError> {
    let terms = JobTerms::of(spec);
    let workload = &spec.workload;
    check_class(params, height, workload.class)?;
    within("tasks", workload.tasks.array().into(), 1, count(MAX_TASKS))?;
    check_blobs(workload, &terms)?;
    check_limits(workload, &terms)?;
    let max_fuel = class_params(params, workload.class)?.max_task_fuel;
    within("limits.fuel", terms.fuel.0.into(), 0, max_fuel.into())?;
    check_windows(params, &terms)?;
    within(
        "max_wait_ms",
        terms.max_wait_ms.into(),
        0,
        MAX_WINDOW_MS.into(),
    )?;
    check_inputs(workload)?;
    check_outputs(workload)?;
    check_environment(workload)?;
    spec.check_chain().map_err(JobError::BadChain)?;
    within(
        "constraints.attributes",
        count(spec.constraints.attributes.len()),
        0,
        count(MAX_ATTRIBUTES),
    )?;
    check_verification(&spec.verification)?;
    Ok(terms)
}

/// A class takes jobs between its heights. What was taken before goes on: nothing but this looks at them.
// Rule C7.
fn check_class(params: &ComputeParams, height: Height, class: EngineClass) -> Result<(), JobError> {
    let known = class_params(params, class)?;
    let from = known.from_height;
    match known.until_height {
        _ if height < from => Err(JobError::ClassNotYetOpen {
            class,
            height,
            from,
        }),
        Some(until) if height >= until => Err(JobError::ClassClosed {
            class,
            height,
            until,
        }),
        _ => Ok(()),
    }
}

fn count(length: usize) -> u128 {
    u128::try_from(length).unwrap_or(u128::MAX)
}

fn within(what: &'static str, found: u128, min: u128, max: u128) -> Result<(), JobError> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(JobError::OutOfLimits {
            what,
            found,
            min,
            max,
        })
    }
}

// Rules C8, C9.
fn check_limits(workload: &Workload, terms: &JobTerms) -> Result<(), JobError> {
    let TaskLimits {
        fuel,
        memory_bytes,
        output_bytes,
    } = workload.limits;
    within(
        "limits.fuel",
        fuel.0.into(),
        min_fuel(workload),
        MAX_TASK_FUEL.into(),
    )?;
    within(
        "limits.memory_bytes",
        memory_bytes.into(),
        1,
        MAX_TASK_MEMORY_BYTES.into(),
    )?;
    within(
        "limits.output_bytes",
        output_bytes.into(),
        0,
        MAX_TASK_OUTPUT_BYTES.into(),
    )?;
    within(
        "limits.output_bytes of all tasks",
        result_bytes(terms),
        0,
        MAX_JOB_OUTPUT_BYTES.into(),
    )
}

/// No window may be so long that those who are bound to the job are bound for good.
// Rule C11.
fn check_windows(params: &ComputeParams, terms: &JobTerms) -> Result<(), JobError> {
    let execute = execute_window_ms(params, terms, terms.tasks.count());
    within(
        "milliseconds to execute the fuel of all tasks",
        execute.into(),
        0,
        MAX_WINDOW_MS.into(),
    )?;
    within(
        "milliseconds to store all outputs",
        store_window_ms(params, terms).into(),
        0,
        MAX_WINDOW_MS.into(),
    )
}

// Rule C7.
fn check_blobs(workload: &Workload, terms: &JobTerms) -> Result<(), JobError> {
    within(
        "bytes of the module",
        workload.module.length.into(),
        1,
        MAX_MODULE_BYTES.into(),
    )?;
    for blob in workload
        .stdin
        .iter()
        .chain(workload.inputs.iter().map(|input| &input.blob))
    {
        within(
            "bytes of an input",
            blob.length.into(),
            0,
            MAX_BLOB_BYTES.into(),
        )?;
    }
    within(
        "bytes of all inputs",
        terms.input_bytes.into(),
        1,
        MAX_JOB_INPUT_BYTES.into(),
    )
}

fn check_inputs(workload: &Workload) -> Result<(), JobError> {
    let targets: Vec<_> = workload
        .inputs
        .iter()
        .map(|input| input.target.as_str())
        .collect();
    check_sorted("inputs", &targets)?;
    check_paths(
        &targets,
        is_input_target,
        "outside /out and the system's folders",
    )
}

fn check_outputs(workload: &Workload) -> Result<(), JobError> {
    let names: Vec<_> = workload
        .outputs
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    check_sorted("outputs", &names)?;
    if let Some(bad) = names
        .iter()
        .find(|name| RESERVED_NAMES.contains(name) || name.contains(['/', '\\']))
    {
        return Err(JobError::BadOutputName((*bad).to_owned()));
    }
    check_paths(
        &workload
            .outputs
            .iter()
            .map(|output| output.path.as_str())
            .collect::<Vec<_>>(),
        is_output_path,
        "below /out/",
    )
}

fn check_sorted(what: &'static str, items: &[&str]) -> Result<(), JobError> {
    match items.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(JobError::NotSorted {
            what,
            item: pair[1].to_owned(),
        }),
        None => Ok(()),
    }
}

/// Each path is in its plain form where it may be, and no file is at or below another one's path.
fn check_paths(
    paths: &[&str],
    may_be: impl Fn(&str) -> bool,
    place: &'static str,
) -> Result<(), JobError> {
    let mut files = BTreeSet::new();
    for path in paths {
        if !may_be(path) {
            return Err(JobError::BadPath {
                path: (*path).to_owned(),
                place,
            });
        }
        if !files.insert(*path) {
            return Err(JobError::PathTaken((*path).to_owned()));
        }
    }
    for path in paths {
        if path
            .match_indices('/')
            .any(|(at, _)| files.contains(&path[..at]))
        {
            return Err(JobError::PathTaken((*path).to_owned()));
        }
    }
    Ok(())
}

// Rule C10.
fn check_environment(workload: &Workload) -> Result<(), JobError> {
    within(
        "environment",
        count(workload.environment.len()),
        0,
        count(MAX_ARGUMENTS),
    )?;
    match workload
        .environment
        .keys()
        .map(types::codec::Text::as_str)
        .find(|key| !is_environment_key(key))
    {
        Some(key) => Err(JobError::BadEnvironmentKey(key.to_owned())),
        None => Ok(()),
    }
}

fn check_verification(verification: &Verification) -> Result<(), JobError> {
    within(
        "min_verifiers",
        verification.min_verifiers.into(),
        0,
        MAX_MIN_VERIFIERS.into(),
    )?;
    if let Some(tasks) = verification.tasks_per_verifier {
        within("tasks_per_verifier", tasks.into(), 1, u32::MAX.into())?;
    }
    let (task, value) = (verification.task_value_at_risk, verification.value_at_risk);
    if task > value || (task == Amount::ZERO && value > Amount::ZERO) {
        return Err(JobError::BadTaskValue { task, value });
    }
    Ok(())
}
