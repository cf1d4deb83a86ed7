//! What a spec may be, whatever the chain holds: limits, class, paths, names, environment keys, values at risk.

use types::codec::{Bounded, Text};
use types::hash::BlobId;
use types::job::{Input, JobSpec, Output, StateOutputs, TaskSet};
use types::limits::{
    MAX_BLOB_BYTES, MAX_MIN_VERIFIERS, MAX_MODULE_BYTES, MAX_TASK_FUEL, MAX_TASK_MEMORY_BYTES,
    MAX_TASK_OUTPUT_BYTES,
};
use types::number::{Amount, EngineClass, Fuel, Height, SQUARE};
use vm::compute::spec::check_spec;

use super::code;
use crate::fixture::square;
use crate::job::world::{World, spec};

fn inputs(spec: &mut JobSpec, targets: &[&str]) {
    let input = |target: &&str| Input {
        blob: BlobId::of(b"input"),
        target: Text::new(*target).unwrap(),
    };
    spec.workload.inputs = Bounded::new(targets.iter().map(input).collect()).unwrap();
}

fn outputs(spec: &mut JobSpec, files: &[(&str, &str)]) {
    let output = |(name, path): &(&str, &str)| Output {
        name: Text::new(*name).unwrap(),
        path: Text::new(*path).unwrap(),
    };
    spec.workload.outputs = Bounded::new(files.iter().map(output).collect()).unwrap();
}

/// What the devnet's slowest partner does in a third of a week, less the window that there is anyway, and a millisecond
/// for the inputs.
const A_WEEKS_FUEL: u64 = (7 * 24 * 3_600 * 1_000 - 15_000 - 1) / 3 * 50_000;

type Change = fn(&mut JobSpec);

/// Specs that are one beyond a limit.
const BEYOND: [Change; 18] = [
    |s| {
        let attribute = |n: u8| (Text::new(format!("a{n}")).unwrap(), Text::default());
        s.constraints.attributes = (0..33).map(attribute).collect();
    },
    |s| s.workload.tasks = TaskSet::all(0),
    |s| s.workload.tasks = TaskSet::all(1_025),
    |s| s.workload.limits.fuel = Fuel(0),
    // 64 for each byte of the module, one for each byte of the input.
    |s| s.workload.limits.fuel = Fuel(64 * 6 + 5 - 1),
    |s| {
        s.workload.tasks = TaskSet::all(17);
        s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES;
        s.workload.limits.fuel = Fuel(1_000);
    },
    |s| s.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4 + 50_000),
    |s| {
        // A week to execute, and the inputs.
        s.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4);
        s.workload.stdin = Some(BlobId {
            length: 5_000,
            ..BlobId::of(b"x")
        });
    },
    |s| s.workload.limits.fuel = Fuel(MAX_TASK_FUEL + 1),
    |s| s.workload.limits.memory_bytes = 0,
    |s| s.workload.limits.memory_bytes = MAX_TASK_MEMORY_BYTES + 1,
    |s| s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES + 1,
    |s| s.workload.module.length = 0,
    |s| s.workload.module.length = MAX_MODULE_BYTES + 1,
    |s| {
        s.workload.stdin = Some(BlobId {
            length: MAX_BLOB_BYTES + 1,
            ..BlobId::of(b"x")
        });
    },
    |s| s.verification.min_verifiers = MAX_MIN_VERIFIERS + 1,
    |s| s.verification.tasks_per_verifier = Some(0),
    |s| {
        let blob = |n: u8| BlobId {
            length: MAX_BLOB_BYTES,
            ..BlobId::of(&[n])
        };
        let input = |n: u8| Input {
            blob: blob(n),
            target: Text::new(format!("/in/{n}")).unwrap(),
        };
        s.workload.inputs = Bounded::new((0..4).map(input).collect()).unwrap();
    },
];

/// Specs that are at a limit.
const WITHIN: [Change; 7] = [
    |s| s.workload.limits.memory_bytes = MAX_TASK_MEMORY_BYTES,
    |s| s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES,
    |s| {
        s.workload.module.length = MAX_MODULE_BYTES;
        s.workload.limits.fuel = Fuel(64 * MAX_MODULE_BYTES + 5);
        s.price_cap = square(50);
    },
    |s| {
        s.workload.stdin = Some(BlobId {
            length: MAX_BLOB_BYTES,
            ..BlobId::of(b"x")
        });
        s.workload.limits.fuel = Fuel(64 * 6 + 5 + MAX_BLOB_BYTES);
        s.price_cap = square(50);
    },
    |s| s.workload.limits.fuel = Fuel(64 * 6 + 5),
    |s| {
        s.workload.tasks = TaskSet::all(16);
        s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES;
        s.workload.limits.fuel = Fuel(1_000);
    },
    |s| {
        s.workload.tasks = TaskSet::all(1_024);
        s.workload.limits.fuel = Fuel(1_000);
    },
];

#[test]
fn limits_are_inclusive_and_what_is_beyond_is_refused() {
    for change in BEYOND {
        assert_eq!(code(change), "out_of_limits");
    }
    for change in WITHIN {
        let mut spec = spec();
        change(&mut spec);
        // So much fuel at so low a price that bonds can pay for its referees.
        let mut cheap =
            World::with_partners(|_| {}, |profile| profile.ask = Amount(SQUARE.0 / 8_000));
        cheap.submit(&spec);
    }
    let mut longest = spec();
    longest.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4);
    assert_eq!(
        check_spec(
            &World::new().chain.genesis.params.compute,
            Height(1),
            &longest
        ),
        Ok(types::job::JobTerms::of(&longest))
    );
}

#[test]
fn an_unknown_class_is_refused() {
    assert_eq!(
        code(|spec| spec.workload.class = EngineClass(9)),
        "unknown_class"
    );
}

#[test]
fn inputs_and_outputs_are_sorted_plain_and_apart() {
    assert_eq!(code(|s| inputs(s, &["/in/b", "/in/a"])), "not_sorted");
    assert_eq!(code(|s| inputs(s, &["/in/a", "/in/a"])), "not_sorted");
    for bad in [
        "/in",
        "/in/",
        "/in/a/",
        "/in//a",
        "/in/../out/a",
        "/in/./a",
        "in/a",
        "/out/a",
        "/tmp/a",
        "/dev/null",
        "",
    ] {
        assert_eq!(code(|s| inputs(s, &[bad])), "bad_path", "{bad}");
    }
    assert_eq!(code(|s| inputs(s, &["/in/a", "/in/a/b"])), "path_taken");
    assert_eq!(
        code(|s| outputs(s, &[("b", "/out/b"), ("a", "/out/a")])),
        "not_sorted"
    );
    assert_eq!(
        code(|s| outputs(s, &[("a", "/out/x"), ("b", "/out/x")])),
        "path_taken"
    );
    assert_eq!(
        code(|s| outputs(s, &[("a", "/out/x/y"), ("b", "/out/x")])),
        "path_taken"
    );
    assert_eq!(code(|s| outputs(s, &[("a", "/in/x")])), "bad_path");
    for bad in ["", ".", "..", "stdout", "stderr", "a/b", "a\\b"] {
        assert_eq!(
            code(|s| outputs(s, &[(bad, "/out/x")])),
            "bad_output_name",
            "{bad}"
        );
    }
    let mut good = spec();
    inputs(
        &mut good,
        &["/in/a", "/in/a.b", "/in/b/c", "/share/yosys/x"],
    );
    outputs(&mut good, &[("a", "/out/x/y"), ("b", "/out/x.y")]);
    World::new().submit(&good);
}

#[test]
fn environment_keys_are_plain_and_not_the_networks() {
    for bad in ["", "A=B", "GRIDPROOF_TASK_INDEX", "GRIDPROOF_TASK_OTHER"] {
        let code = code(|s| {
            s.workload
                .environment
                .insert(Text::new(bad).unwrap(), Text::new("1").unwrap());
        });
        assert_eq!(code, "bad_environment_key", "{bad}");
    }
    let many = |count: u32| {
        let mut spec = spec();
        for n in 0..count {
            spec.workload
                .environment
                .insert(Text::new(format!("K{n}")).unwrap(), Text::default());
        }
        World::new().try_submit(&spec).err()
    };
    assert_eq!(many(256), None);
    assert_eq!(many(257).as_deref(), Some("out_of_limits"));
}

#[test]
fn the_loss_from_one_task_is_within_the_loss_from_all() {
    assert_eq!(
        code(|s| s.verification.task_value_at_risk = square(2)),
        "bad_task_value"
    );
    assert_eq!(
        code(|s| s.verification.task_value_at_risk = Amount::ZERO),
        "bad_task_value"
    );
    let mut nothing = spec();
    nothing.verification.value_at_risk = Amount::ZERO;
    nothing.verification.task_value_at_risk = Amount::ZERO;
    World::new().submit(&nothing);
}

#[test]
fn a_chain_is_checked_as_a_chain() {
    let state = |spec: &mut JobSpec, positions: &[u8]| {
        spec.workload.state = StateOutputs(Bounded::new(positions.to_vec()).unwrap());
    };
    assert_eq!(code(|s| state(s, &[1])), "bad_chain", "there is one output");
    let lower = |s: &mut JobSpec| {
        state(s, &[0]);
        s.verification.task_value_at_risk = Amount(1);
    };
    assert_eq!(code(lower), "bad_chain");
    let folder = |s: &mut JobSpec| {
        state(s, &[0]);
        inputs(s, &["/in/state/hist"]);
    };
    assert_eq!(code(folder), "bad_chain");
    assert_eq!(
        code(|s| s.workload.tasks = TaskSet::all(0)),
        "out_of_limits"
    );
}
