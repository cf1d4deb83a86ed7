//! The book of blobs: what it asks for, keeps, and vouches for.

use types::attestation::{Exit, Outcome, result_root_of};
use types::codec::{Bounded, encode};
use types::hash::Hash32;
use types::job::{
    Failed, FailureReason, Pending, PrimaryOpening, Revealing, Storing, TaskLimits, Workload,
};
use types::number::{BeaconStep, Fuel};
use types::testing::{no_parties, validator_id};

mod late;
mod states;

use super::fetch::RETRY_MS;
use super::*;

const OWN: ValidatorId = ValidatorId::ZERO;
const SALT: Hash32 = Hash32([7; 32]);
const RETENTION: Retention = Retention {
    results_ms: 1_000,
    quota_bytes: 10_000,
};

fn blob(content: &str) -> BlobId {
    BlobId::of(content.as_bytes())
}

fn workload() -> Workload {
    Workload {
        stdin: Some(blob("stdin")),
        limits: TaskLimits {
            fuel: Fuel(1),
            memory_bytes: 1,
            output_bytes: 100,
        },
        ..types::testing::workload(b"module", 1)
    }
}

fn record(stage: Stage) -> JobRecord {
    let spec = types::testing::job_spec(workload());
    let record = types::testing::job_record(JobId(Hash32([1; 32])), &spec, stage);
    JobRecord {
        attempt: Attempt(1),
        ..record
    }
}

impl BlobBook {
    /// Takes note of a job of [`workload`].
    fn see(&mut self, record: &JobRecord, unix_ms: u64) {
        self.see_workload(record, workload(), unix_ms);
    }

    fn see_workload(&mut self, record: &JobRecord, workload: Workload, unix_ms: u64) {
        let known = || Ok::<_, std::convert::Infallible>(workload);
        self.job_changed(record, known, unix_ms).unwrap();
    }
}

fn open(draw: Option<u64>) -> Stage {
    Stage::Pending(Pending {
        draw: draw.map(BeaconStep),
    })
}

fn outcomes(stdout: &str) -> Outcomes {
    let outcome = Outcome {
        exit: Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: blob(stdout),
        stderr: blob(""),
        outputs: Bounded::default(),
    };
    Outcomes(Bounded::new(vec![outcome]).unwrap())
}

fn agreed(list: &Outcomes) -> Stage {
    Stage::Storing(Storing {
        parties: no_parties(),
        opening: PrimaryOpening {
            root: result_root_of(&SALT, &list.leaves(&workload())),
            salt: SALT,
            leaves: Bounded::default(),
            outcomes: BlobId::of(&encode(list)),
        },
    })
}

fn book() -> BlobBook {
    BlobBook::new(Some(OWN), RETENTION, BTreeSet::new(), 0)
}

fn peers() -> BTreeSet<ValidatorId> {
    [OWN, validator_id(1), validator_id(2)].into()
}

fn fetches(requests: &[BlobRequest]) -> Vec<(BlobId, ValidatorId)> {
    let fetch = |request: &BlobRequest| match request {
        BlobRequest::Fetch { blob, from } => Some((*blob, *from)),
        _ => None,
    };
    requests.iter().filter_map(fetch).collect()
}

fn holding(book: &mut BlobBook) -> Vec<Holding> {
    book.settle(0, 0, &peers());
    book.statements()
        .iter()
        .map(|statement| statement.subject.holding)
        .collect()
}

#[test]
fn inputs_are_vouched_for_once_all_are_here_and_only_while_it_counts() {
    let mut book = book();
    book.see(&record(open(None)), 0);
    book.settle(0, 0, &peers());
    book.stored(blob("module"), 0);
    assert_eq!(holding(&mut book), []);
    book.stored(blob("stdin"), 0);
    assert_eq!(holding(&mut book), [Holding::Inputs]);
    let statement = book.statements()[0];
    assert_eq!(
        statement.bytes,
        blob("module").length + blob("stdin").length
    );
    assert_eq!(
        statement.subject.attempt,
        Attempt(0),
        "inputs are stored once, under attempt 0"
    );
    book.see(&record(open(Some(3))), 0);
    assert_eq!(holding(&mut book), [], "a quorum was there");
}

#[test]
fn a_missing_blob_is_asked_from_who_offers_it_then_round_the_committee() {
    let mut book = book();
    book.see(&record(open(None)), 0);
    book.settle(0, 0, &BTreeSet::new());
    book.offered(blob("module"), validator_id(2));
    let first = fetches(&book.settle(0, 0, &peers()));
    assert!(first.contains(&(blob("module"), validator_id(2))) && first.len() == 2);
    assert!(first.iter().all(|(_, from)| *from != OWN));
    assert_eq!(
        fetches(&book.settle(0, 0, &peers())),
        [],
        "one question per blob at a time"
    );
    book.fetch_failed(blob("module"), validator_id(2), 0);
    assert_eq!(fetches(&book.settle(RETRY_MS - 1, 0, &peers())), []);
    assert_eq!(book.next_wake_ms(), Some(RETRY_MS));
    let mut asked = BTreeSet::new();
    let mut now = RETRY_MS;
    for _ in 0..4 {
        for (missing, from) in fetches(&book.settle(now, 0, &peers())) {
            asked.insert(from);
            book.fetch_failed(missing, from, now);
        }
        now += RETRY_MS;
    }
    assert_eq!(asked.len(), 2, "both others are asked");
}

#[test]
fn results_are_stated_only_if_the_list_reproduces_the_opened_root() {
    let list = outcomes("out");
    for (read, expected) in [
        (Some(list.clone()), true),
        (Some(outcomes("other")), false),
        (None, false),
    ] {
        let mut book = book();
        book.see(&record(agreed(&list)), 0);
        book.settle(0, 0, &peers());
        let list_id = BlobId::of(&encode(&list));
        book.stored(list_id, 0);
        assert!(
            book.settle(0, 0, &peers())
                .contains(&BlobRequest::ReadOutcomes { blob: list_id })
        );
        book.outcomes_read(list_id, read.as_ref());
        book.settle(0, 0, &peers());
        for content in ["out", "other", ""] {
            book.stored(blob(content), 0);
        }
        assert_eq!(
            holding(&mut book) == [Holding::Results],
            expected,
            "{read:?}"
        );
    }
}

/// A customer with a verifier of its own must not read a result and then contradict it.
#[test]
fn results_are_asked_for_only_once_every_opening_agrees() {
    let list = outcomes("out");
    let id = BlobId::of(&encode(&list));
    let mut book = book();
    let Stage::Storing(Storing {
        parties, opening, ..
    }) = agreed(&list)
    else {
        panic!()
    };
    let opening = Some(opening);
    let revealing = Stage::Revealing(Revealing {
        parties,
        opening,
        unverified: false,
        spot: None,
        tried: false,
    });
    book.see(&record(revealing), 0);
    book.settle(0, 0, &BTreeSet::new());
    assert!(!book.missing().any(|missing| *missing == id));
    book.see(&record(agreed(&list)), 0);
    book.settle(0, 0, &BTreeSet::new());
    assert!(book.missing().any(|missing| *missing == id));
}

#[test]
fn outcomes_beyond_the_job_s_output_limit_are_refused() {
    let list = outcomes(&"x".repeat(101));
    let mut book = book();
    book.see(&record(agreed(&list)), 0);
    book.outcomes_read(BlobId::of(&encode(&list)), Some(&list));
    book.settle(0, 0, &peers());
    assert!(
        !book.missing().any(|id| *id == list.0[0].stdout),
        "nobody can make us store more than was asked for"
    );
}

#[test]
fn results_are_stated_with_the_fuel_that_they_took() {
    let said = |fuel| {
        let mut list = outcomes("out");
        list.0.as_mut_slice()[0].fuel = fuel;
        let mut book = book();
        book.see(&record(agreed(&list)), 0);
        book.outcomes_read(BlobId::of(&encode(&list)), Some(&list));
        for id in list.blobs().into_iter().chain([BlobId::of(&encode(&list))]) {
            book.stored(id, 0);
        }
        book.settle(0, 0, &peers());
        book.statements().first().map(|statement| statement.fuel)
    };
    assert_eq!(said(Fuel(0)), Some(Fuel(0)));
    assert_eq!(said(Fuel(1)), Some(Fuel(1)));
    assert_eq!(said(Fuel(2)), None, "more than a task of the job may use");
}

#[test]
fn what_ended_is_no_longer_asked_for() {
    let mut book = book();
    book.see(&record(open(None)), 0);
    book.settle(0, 0, &BTreeSet::new());
    assert_eq!(
        book.missing().collect::<BTreeSet<_>>(),
        BTreeSet::from([&blob("module"), &blob("stdin")])
    );
    book.see(
        &record(Stage::Failed(Failed {
            reason: FailureReason::NoInputs,
        })),
        0,
    );
    assert_eq!(fetches(&book.settle(0, 0, &peers())), []);
    assert_eq!(book.missing().count(), 0);
}

/// A settled job with all of its blobs here.
fn settled_book() -> (BlobBook, Outcomes) {
    let list = outcomes("out");
    let mut book = book();
    book.see(&record(agreed(&list)), 0);
    book.outcomes_read(BlobId::of(&encode(&list)), Some(&list));
    book.settle(0, 0, &peers());
    for id in workload()
        .blobs()
        .into_iter()
        .chain(list.blobs())
        .chain([BlobId::of(&encode(&list))])
    {
        book.stored(id, 0);
    }
    book.see(&record(Stage::Settled), 0);
    (book, list)
}

#[test]
fn inputs_and_results_of_a_settled_job_stay_for_their_time() {
    let (mut book, list) = settled_book();
    let all = [blob("module"), list.0[0].stdout];
    book.settle(999, 999, &peers());
    assert!(all.iter().all(|blob| book.holds(blob)));
    book.settle(1_000, 1_000, &peers());
    assert!(!all.iter().any(|blob| book.holds(blob)));
}

/// Referees run a task of a job that had settled: it needs its inputs again, from others if they are gone here.
#[test]
fn a_settled_job_that_is_challenged_is_live_again() {
    let (mut book, _) = settled_book();
    book.settle(1_000, 1_000, &peers());
    let first = TaskIndex(0);
    assert_eq!(book.complete_task(&record(Stage::Settled).id, first), None);
    let parties = no_parties();
    let challenged = record(Stage::Challenged(types::job::Challenged { parties }));
    book.see(&challenged, 1_000);
    book.settle(1_000, 1_000, &peers());
    assert!(book.missing().any(|missing| *missing == blob("module")));
    workload()
        .blobs()
        .into_iter()
        .for_each(|id| book.stored(id, 1_000));
    assert!(book.complete_task(&challenged.id, first).is_some());
}

#[test]
fn results_give_way_to_live_jobs_when_the_quota_is_reached_and_live_ones_never() {
    let (mut book, list) = settled_book();
    book.retention.quota_bytes = 12;
    book.see(&record(open(None)), 0);
    book.stored(blob("module"), 0);
    book.stored(blob("stdin"), 0);
    book.settle(0, 0, &peers());
    assert!(!book.holds(&list.0[0].stdout));
    book.retention.quota_bytes = 1;
    book.settle(5_000, 5_000, &peers());
    assert!(book.holds(&blob("module")) && book.holds(&blob("stdin")));
}

#[test]
fn what_came_in_part_for_a_job_that_ended_is_removed_unless_another_needs_it() {
    let dropped = |other: bool| {
        let mut book = book();
        book.see(&record(open(None)), 0);
        if other {
            let mut second = record(open(None));
            second.id = JobId(Hash32([2; 32]));
            book.see(&second, 0);
        }
        book.settle(0, 0, &BTreeSet::new());
        book.stored(blob("module"), 0);
        book.see(
            &record(Stage::Failed(Failed {
                reason: FailureReason::NoInputs,
            })),
            0,
        );
        book.settle(0, 0, &BTreeSet::new())
    };
    let all = [BlobRequest::Drop(vec![blob("stdin"), blob("module")])];
    let mut found = dropped(false);
    if let Some(BlobRequest::Drop(blobs)) = found.first_mut() {
        blobs.sort_by_key(|id| *id == blob("module"));
    }
    assert_eq!(found, all);
    assert_eq!(dropped(true), []);
}

#[test]
fn a_blob_that_rotted_is_fetched_again_while_a_job_needs_it() {
    let mut book = book();
    book.see(&record(open(None)), 0);
    book.stored(blob("module"), 0);
    book.stored(blob("stdin"), 0);
    assert_eq!(fetches(&book.settle(0, 0, &peers())), []);
    book.lost(&blob("module"));
    assert_eq!(fetches(&book.settle(0, 0, &peers())).len(), 1);
    assert_eq!(
        holding(&mut book),
        [],
        "nothing is vouched for that is not here"
    );
}

/// Opens a job that declares inputs of 1 GiB each and brings none of them.
fn declare(book: &mut BlobBook, job: u8) {
    let mut record = record(open(None));
    record.id = JobId(Hash32([job; 32]));
    let mut workload = workload();
    workload.module = BlobId {
        hash: Hash32([job; 32]),
        length: 1 << 30,
    };
    workload.stdin = Some(BlobId {
        hash: Hash32([!job; 32]),
        length: 1 << 30,
    });
    book.see_workload(&record, workload, 0);
    book.settle(0, 0, &peers());
}

#[test]
fn what_is_declared_and_never_comes_drops_no_results() {
    let (mut book, list) = settled_book();
    book.retention.quota_bytes = 4 << 30;
    for job in 10..200 {
        declare(&mut book, job);
    }
    assert!(book.holds(&list.0[0].stdout));
}

#[test]
fn there_is_room_for_the_largest_missing_blob_and_for_each_that_follows() {
    let kept = |n: u8| BlobId {
        hash: Hash32([n; 32]),
        length: 400,
    };
    let mut book = BlobBook::new(Some(OWN), RETENTION, (0..25).map(kept).collect(), 0);
    book.retention = Retention {
        results_ms: 1_000,
        quota_bytes: 10_000,
    };
    let record = record(open(None));
    let mut workload = workload();
    workload.module = BlobId {
        hash: Hash32([100; 32]),
        length: 3_000,
    };
    workload.stdin = Some(BlobId {
        hash: Hash32([101; 32]),
        length: 2_000,
    });
    book.see_workload(&record, workload.clone(), 0);
    book.settle(0, 0, &peers());
    let held = |book: &BlobBook| bytes(&book.held);
    assert_eq!(held(&book), 6_800, "7000 at most beside the largest");
    book.stored(workload.module, 0);
    book.settle(0, 0, &peers());
    assert_eq!(held(&book), 3_000 + 4_800, "8000 at most beside the other");
    book.stored(workload.stdin.unwrap(), 0);
    book.settle(0, 0, &peers());
    assert_eq!(held(&book), 5_000 + 4_800);
}

#[test]
fn results_of_an_attempt_that_was_followed_by_another_go() {
    let (first, second) = (outcomes("out"), outcomes("other"));
    let mut book = book();
    book.see(&record(agreed(&first)), 0);
    book.outcomes_read(BlobId::of(&encode(&first)), Some(&first));
    book.settle(0, 0, &peers());
    book.stored(BlobId::of(&encode(&first)), 0);
    book.stored(blob("out"), 0);
    book.see(&record(agreed(&second)), 0);
    book.settle(0, 0, &peers());
    assert!(!book.holds(&blob("out")) && !book.holds(&BlobId::of(&encode(&first))));
}

#[test]
fn blobs_that_nobody_offers_are_asked_of_different_validators() {
    let mut book = book();
    for job in 1..=4 {
        declare(&mut book, job);
    }
    let peers: BTreeSet<_> = (0..5).map(validator_id).collect();
    let mut first = BTreeSet::new();
    let mut fresh = self::book();
    fresh.live = book.live;
    for (_, from) in fetches(&fresh.settle(0, 0, &peers)) {
        first.insert(from);
    }
    assert!(first.len() >= 2, "all of one: {first:?}");
}
