//! Rows of tasks, and what they begin with.

use std::collections::BTreeSet;
use std::sync::Mutex;

use executor::TaskRun;
use types::attestation::{Exit, Outcome};
use types::codec::{Bounded, encode};
use types::hash::{Hash32, JobId};
use types::number::{Attempt, Fuel};

use super::*;
use crate::assignment::{Assignment, AssignmentRole};
use crate::endpoints::Endpoints;
use crate::runner::{ExecutionBackend, TakeRun};

const TASKS: u32 = 5;

/// What a task leaves that begins with some bytes: these and one more.
fn next(before: &[u8]) -> Vec<u8> {
    [before, b"+"].concat()
}

fn ran(state: Vec<u8>) -> TaskRun {
    let outcome = Outcome {
        exit: Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: BlobId::of(b""),
        stderr: BlobId::of(b""),
        outputs: Bounded::new(vec![Some(BlobId::of(&state))]).unwrap(),
    };
    TaskRun {
        outcome,
        stdout: Vec::new(),
        stderr: Vec::new(),
        outputs: vec![Some(state)],
        witness: None,
    }
}

/// A back end that runs [`next`], and remembers which tasks it was asked for.
#[derive(Debug, Clone, Default)]
struct Appender(Arc<Mutex<Vec<Vec<u32>>>>);

impl ExecutionBackend for Appender {
    fn run(&self, job: BackendJob, _: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult> {
        let tasks = job.tasks.iter().map(|task| task.0);
        self.0.lock().unwrap().push(tasks.collect());
        let before = job.state.first().copied().flatten();
        let mut state = before.map_or(Vec::new(), |blob| std::fs::read(&job.files[&blob]).unwrap());
        for task in job.tasks {
            state = next(&state);
            take(task, ran(state.clone()))?;
        }
        Ok(())
    }
}

/// Runs `tasks` over the states that a primary handed on, and gives the rows that were run and what was found.
fn check(handed_on: &[&[u8]], tasks: &[u32]) -> (Vec<Vec<u32>>, Vec<RanTask>) {
    let dir = tempfile::tempdir().unwrap();
    let backend = Appender::default();
    let endpoints = Endpoints::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
    let boxed = Box::new(backend.clone());
    let runner = JobRunner::open(dir.path(), endpoints, boxed, 1 << 20, &BTreeSet::new());
    let runner = Arc::new(runner.unwrap());
    runner.inputs().put_bytes(b"module").unwrap();
    let execution = TaskExecution {
        assignment: Assignment {
            job: JobId(Hash32([1; 32])),
            attempt: Attempt(0),
            role: AssignmentRole::Verifier,
        },
        workload: types::testing::chain(types::testing::workload(b"module", TASKS)),
        tasks: tasks.iter().copied().map(TaskIndex).collect(),
        states: None,
        task_wall_ms: 1_000,
    };
    let store = BlobStore::open(&dir.path().join("states"), 1 << 20).unwrap();
    let state = |bytes: &&[u8]| Bounded::new(vec![Some(store.put_bytes(bytes).unwrap())]).unwrap();
    let states = TaskStates(Bounded::new(handed_on.iter().map(state).collect()).unwrap());
    assert!(encode(&states).len() <= MAX_STATES_BYTES);
    let mut found = Vec::new();
    while let Some(first) = execution.tasks.get(found.len()) {
        let before = states.before(*first).unwrap();
        let blobs: Vec<_> = before.iter().flatten().copied().collect();
        let next = TaskRow {
            tasks: row(&execution.tasks[found.len()..]),
            files: runner.files_of(&execution, &store, &blobs).unwrap(),
            before,
        };
        let cancel = Cancel::default();
        found.extend(runner.run_row(&execution, next, &states, &cancel).unwrap());
    }
    let rows = backend.0.lock().unwrap().clone();
    (rows, found)
}

fn states(found: &[RanTask]) -> Vec<(u32, Option<BlobId>, BlobId)> {
    let state = |ran: &RanTask| {
        let before = ran.before.first().copied().flatten();
        (ran.task.0, before, ran.outcome.outputs[0].unwrap())
    };
    found.iter().map(state).collect()
}

const RIGHT: [&[u8]; 4] = [b"+", b"++", b"+++", b"++++"];

#[test]
fn a_row_begins_once_and_goes_on_by_itself() {
    let blob = |bytes: &[u8]| BlobId::of(bytes);
    let (rows, found) = check(&RIGHT, &[1, 2, 3]);
    assert_eq!(rows, [[1, 2, 3]]);
    let expected = [
        (1, Some(blob(b"+")), blob(b"++")),
        (2, Some(blob(b"++")), blob(b"+++")),
        (3, Some(blob(b"+++")), blob(b"++++")),
    ];
    assert_eq!(states(&found), expected);
    let (rows, found) = check(&RIGHT, &[0, 1, 4]);
    assert_eq!(rows, [vec![0, 1], vec![4]]);
    assert_eq!(states(&found)[0], (0, None, blob(b"+")));
    assert_eq!(states(&found)[2], (4, Some(blob(b"++++")), blob(b"+++++")));
}

#[test]
fn after_a_wrong_state_the_rest_begins_with_what_the_primary_says() {
    let wrong: [&[u8]; 4] = [b"+", b"bad", b"bad+", b"bad++"];
    let (rows, found) = check(&wrong, &[0, 1, 2, 3, 4]);
    assert_eq!(rows, [vec![0, 1, 2, 3, 4], vec![2, 3, 4]]);
    let blob = |bytes: &[u8]| BlobId::of(bytes);
    let expected = [
        (0, None, blob(b"+")),
        (1, Some(blob(b"+")), blob(b"++")),
        (2, Some(blob(b"bad")), blob(b"bad+")),
        (3, Some(blob(b"bad+")), blob(b"bad++")),
        (4, Some(blob(b"bad++")), blob(b"bad+++")),
    ];
    assert_eq!(states(&found), expected);
}

#[test]
fn a_list_that_ends_too_early_begins_nothing() {
    let short = TaskStates(Bounded::new(vec![TaskState::default()]).unwrap());
    assert!(short.before(TaskIndex(0)).is_some());
    assert!(short.before(TaskIndex(1)).is_some());
    assert_eq!(short.before(TaskIndex(2)), None);
}
