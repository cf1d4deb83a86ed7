//! States of a chain: when they are vouched for, and what referees begin with.

use types::job::{Assigned, Duties, HandedOn, Primary, TaskSet};
use types::number::Amount;

use super::*;

/// A chain of three tasks, which hand on their one output.
fn chain() -> Workload {
    types::testing::chain(Workload {
        tasks: TaskSet::all(3),
        ..workload()
    })
}

fn states(files: &[Option<&str>]) -> TaskStates {
    let state = |file: Option<&str>| Bounded::new(vec![file.map(blob)]).unwrap();
    TaskStates(Bounded::new(files.iter().copied().map(state).collect()).unwrap())
}

fn id_of(states: &TaskStates) -> BlobId {
    BlobId::of(&encode(states))
}

/// The job while its primary waits for validators to hold these states, or in a later stage.
fn handed_on(list: BlobId, stage: Option<Stage>) -> JobRecord {
    let primary = Primary {
        partner: types::hash::Address::default(),
        price: Amount::ZERO,
        bond: Amount::ZERO,
    };
    let waiting = Stage::Assigned(Assigned {
        primary,
        duties: Some(Duties::default()),
    });
    let held = stage.is_some();
    JobRecord {
        states: Some(HandedOn { list, held }),
        ..record(stage.unwrap_or(waiting))
    }
}

/// The book of a validator that holds the inputs and has read the list.
fn read(states: &TaskStates) -> BlobBook {
    let (mut book, list) = (book(), id_of(states));
    book.see_workload(&handed_on(list, None), chain(), 0);
    book.settle(0, 0, &peers());
    for blob in [blob("module"), blob("stdin"), list] {
        book.stored(blob, 0);
    }
    let asked = book.settle(0, 0, &peers());
    assert!(asked.contains(&BlobRequest::ReadStates { blob: list }));
    book.states_read(list, Some(states));
    book
}

#[test]
fn states_are_vouched_for_once_all_of_their_files_are_here() {
    let mut book = read(&states(&[Some("one"), Some("two")]));
    let job = handed_on(blob(""), None).id;
    assert_eq!(holding(&mut book), []);
    book.stored(blob("one"), 0);
    assert_eq!(holding(&mut book), []);
    assert!(book.complete_task(&job, TaskIndex(2)).is_none());
    book.stored(blob("two"), 0);
    assert_eq!(holding(&mut book), [Holding::States]);
    let statement = book.statements()[0];
    assert_eq!(statement.subject.attempt, Attempt(1));
    assert_eq!(statement.fuel, Fuel(0));
    for (task, before) in [(0, None), (1, Some("one")), (2, Some("two"))] {
        let (_, found) = book.complete_task(&job, TaskIndex(task)).unwrap();
        assert_eq!(found.first().copied().flatten(), before.map(blob));
    }
}

#[test]
fn a_list_that_is_none_of_the_job_is_never_vouched_for() {
    let long = "x".repeat(101);
    let none = TaskStates(Bounded::new(vec![TaskState::default(); 2]).unwrap());
    for (wrong, why) in [
        (states(&[Some("one")]), "too short"),
        (states(&[Some("one"), Some("two"), None]), "too long"),
        (states(&[Some("one"), Some(&long)]), "over the limit"),
        (none, "of no files"),
    ] {
        let mut book = read(&wrong);
        for content in ["one", "two", &long] {
            book.stored(blob(content), 0);
        }
        assert_eq!(holding(&mut book), [], "{why}");
    }
    let mut book = read(&states(&[None, None]));
    assert_eq!(holding(&mut book), [Holding::States], "nothing was written");
    let list = id_of(&states(&[None, None]));
    book.see_workload(&handed_on(list, Some(open(Some(1)))), chain(), 0);
    assert_eq!(holding(&mut book), [], "nobody waits for it any more");
}

#[test]
fn results_whose_links_are_broken_are_never_vouched_for() {
    let outcome = |state: &str| Outcome {
        exit: Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: blob(""),
        stderr: blob(""),
        outputs: Bounded::new(vec![Some(blob(state))]).unwrap(),
    };
    let results = Outcomes(Bounded::new(["one", "two", "end"].map(outcome).into()).unwrap());
    let opening = PrimaryOpening {
        root: result_root_of(&SALT, &results.leaves(&chain())),
        salt: SALT,
        leaves: Bounded::default(),
        outcomes: BlobId::of(&encode(&results)),
    };
    for (handed, expected) in [(["one", "two"], true), (["one", "2"], false)] {
        let list = states(&handed.map(Some));
        let mut book = read(&list);
        let stage = Stage::Storing(Storing {
            parties: no_parties(),
            opening: opening.clone(),
        });
        book.see_workload(&handed_on(id_of(&list), Some(stage)), chain(), 0);
        book.settle(0, 0, &peers());
        book.stored(opening.outcomes, 0);
        book.settle(0, 0, &peers());
        book.outcomes_read(opening.outcomes, Some(&results));
        book.settle(0, 0, &peers());
        for content in ["one", "two", "2", "end", ""] {
            book.stored(blob(content), 0);
        }
        let vouched = holding(&mut book) == [Holding::Results];
        assert_eq!(vouched, expected, "{handed:?}");
    }
}
