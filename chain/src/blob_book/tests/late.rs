//! A job settles once enough validators hold its results; those who do not yet fetch them all the same.

use super::*;

/// A job that settles before the list of its outcomes is here; the list and the one result.
fn settled_too_early(book: &mut BlobBook) -> [BlobId; 2] {
    let list = outcomes("result");
    book.see(&record(agreed(&list)), 0);
    book.settle(0, 0, &peers());
    book.see(&record(Stage::Settled), 0);
    book.settle(0, 0, &peers());
    [BlobId::of(&encode(&list)), list.0[0].stdout]
}

fn misses(book: &BlobBook, blob: BlobId) -> bool {
    book.missing().any(|missing| *missing == blob)
}

#[test]
fn results_that_were_not_here_when_their_job_settled_are_fetched() {
    let mut book = book();
    let [list, result] = settled_too_early(&mut book);
    assert!(misses(&book, list));
    book.stored(list, 10);
    let asked = book.settle(10, 10, &peers());
    assert!(asked.contains(&BlobRequest::ReadOutcomes { blob: list }));
    book.outcomes_read(list, Some(&outcomes("result")));
    book.settle(20, 20, &peers());
    assert!(misses(&book, result));
    for blob in outcomes("result").blobs() {
        book.stored(blob, 30);
    }
    book.settle(30, 30, &peers());
    assert_eq!(book.live.len(), 0, "it is over once they are here");
    book.settle(1_029, 1_029, &peers());
    assert!(book.holds(&result), "kept as other results are");
    book.settle(1_030, 1_030, &peers());
    assert!(!book.holds(&result));
}

#[test]
fn results_of_a_settled_job_that_nobody_gives_are_given_up() {
    let mut book = book();
    let [list, _] = settled_too_early(&mut book);
    book.settle(LATE_MS - 1, LATE_MS - 1, &peers());
    assert!(misses(&book, list));
    for peer in peers() {
        book.fetch_failed(list, peer, LATE_MS);
    }
    book.settle(LATE_MS, LATE_MS, &peers());
    assert!(!misses(&book, list));
    assert_eq!(book.live.len(), 0);
}

#[test]
fn nothing_is_vouched_for_after_a_job_has_settled() {
    let mut book = book();
    let [list, _] = settled_too_early(&mut book);
    book.stored(list, 10);
    book.outcomes_read(list, Some(&outcomes("result")));
    for blob in [outcomes("result").blobs(), workload().blobs()].concat() {
        book.stored(blob, 10);
    }
    assert_eq!(holding(&mut book), []);
}

#[test]
fn a_job_that_failed_needs_nothing_more() {
    let mut book = book();
    let list = outcomes("result");
    book.see(&record(agreed(&list)), 0);
    let reason = FailureReason::NoInputs;
    book.see(&record(Stage::Failed(Failed { reason })), 0);
    book.settle(0, 0, &peers());
    assert_eq!(book.missing().count(), 0);
}

#[test]
fn a_settled_job_that_is_challenged_is_not_given_up() {
    let mut book = book();
    settled_too_early(&mut book);
    let parties = no_parties();
    let challenged = record(Stage::Challenged(types::job::Challenged { parties }));
    book.see(&challenged, 1_000);
    book.settle(LATE_MS, LATE_MS, &peers());
    assert_eq!(book.live.len(), 1);
}
