//! Blobs down and up through endpoints of all kinds.

use std::collections::BTreeSet;
use std::path::Path;

use types::hash::Hash32;
use types::limits::BLOB_CHUNK_BYTES;
use types::number::Attempt;

use super::*;
use crate::assignment::AssignmentRole;
use crate::endpoints::Endpoints;
use crate::fixture::{FakeEndpoint, RunningEndpoint, chain, serve};
use crate::runner::WorkerProcess;

const ASSIGNMENT: Assignment = Assignment {
    job: JobId(Hash32([1; 32])),
    attempt: Attempt(0),
    role: AssignmentRole::Primary,
};

async fn endpoint() -> RunningEndpoint {
    serve(FakeEndpoint::new(chain())).await
}

fn work(dir: &Path, endpoints: &[&RunningEndpoint]) -> JobRunner {
    let urls: Vec<_> = endpoints
        .iter()
        .map(|endpoint| endpoint.url.clone())
        .collect();
    let backend = Box::new(WorkerProcess {
        program: "/nonexistent".into(),
        may_lack_seccomp: false,
        room: crate::runner::TaskRoom::new(1, 0),
        code: None,
        metrics: crate::meters::WorkerMetrics::default(),
    });
    JobRunner::open(
        dir,
        Endpoints::new(&urls, None).unwrap(),
        backend,
        64 << 20,
        &BTreeSet::from([ASSIGNMENT]),
    )
    .unwrap()
}

/// Three chunks, the last one short.
fn bytes() -> Vec<u8> {
    let length = usize::try_from(2 * BLOB_CHUNK_BYTES + 77).unwrap();
    (0u8..=250).cycle().take(length).collect()
}

#[tokio::test]
async fn chunks_that_are_wrong_are_asked_of_another() {
    let (empty, liar, honest) = (endpoint().await, endpoint().await, endpoint().await);
    let id = BlobId::of(&bytes());
    for endpoint in [&liar, &honest] {
        endpoint.fake.lock().blobs.insert(id, bytes());
    }
    liar.fake.lock().lies = true;
    let dir = tempfile::tempdir().unwrap();
    let work = work(dir.path(), &[&empty, &liar, &honest]);
    work.fetch(work.inputs(), &[id], &Cancel::default())
        .await
        .unwrap();
    assert_eq!(work.inputs.read(id).unwrap(), bytes());
    let available: Vec<_> = work
        .endpoints
        .available(Instant::now())
        .iter()
        .map(|endpoint| endpoint.client.url().to_owned())
        .collect();
    assert_eq!(available, [empty.url.clone(), honest.url.clone()]);
}

#[tokio::test]
async fn a_fetch_waits_for_a_blob_until_it_is_cancelled() {
    let endpoint = endpoint().await;
    let dir = tempfile::tempdir().unwrap();
    let (work, cancel, id) = (
        work(dir.path(), &[&endpoint]),
        Cancel::default(),
        BlobId::of(b"later"),
    );
    let wanted = [id];
    let fetch = work.fetch(work.inputs(), &wanted, &cancel);
    let bring = async {
        while endpoint.fake.lock().requests < 2 {
            tokio::task::yield_now().await;
        }
        endpoint.fake.lock().blobs.insert(id, b"later".to_vec());
    };
    let (fetched, ()) = tokio::join!(fetch, bring);
    fetched.unwrap();
    cancel.cancel();
    assert!(
        work.fetch(work.inputs(), &[BlobId::of(b"never")], &cancel)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn results_go_to_one_server_that_takes_all_of_them() {
    let (refusing, taking) = (endpoint().await, endpoint().await);
    refusing.fake.lock().refuses = true;
    let dir = tempfile::tempdir().unwrap();
    let work = work(dir.path(), &[&refusing, &taking]);
    let results = work.results_of(&ASSIGNMENT).unwrap();
    let blobs = [
        results.put_bytes(b"the list").unwrap(),
        results.put_bytes(&bytes()).unwrap(),
    ];
    drop(results);
    assert!(work.upload(ASSIGNMENT, &blobs, 0).await.unwrap());
    for blob in blobs {
        let all: Vec<u8> = taking.fake.lock().taken[&blob]
            .values()
            .flatten()
            .copied()
            .collect();
        assert_eq!(BlobId::of(&all), blob);
    }
    assert!(refusing.fake.lock().taken.is_empty());
    let asked = taking.fake.lock().requests;
    assert!(work.upload(ASSIGNMENT, &blobs, 0).await.unwrap());
    assert_eq!(taking.fake.lock().requests, asked, "nothing is sent twice");
    taking.fake.lock().refuses = true;
    taking.fake.lock().taken.clear();
    assert!(
        !work.upload(ASSIGNMENT, &blobs, 0).await.unwrap(),
        "nobody takes them"
    );
}

#[tokio::test]
async fn a_server_that_says_to_have_everything_is_not_the_only_one_that_gets_results() {
    let (liar, honest) = (endpoint().await, endpoint().await);
    liar.fake.lock().claims_all = true;
    let dir = tempfile::tempdir().unwrap();
    let work = work(dir.path(), &[&liar, &honest]);
    let blob = work
        .results_of(&ASSIGNMENT)
        .unwrap()
        .put_bytes(b"result")
        .unwrap();
    assert!(
        work.upload(ASSIGNMENT, &[blob], 0).await.unwrap(),
        "its word"
    );
    assert!(honest.fake.lock().taken.is_empty());
    assert!(work.upload(ASSIGNMENT, &[blob], 1).await.unwrap());
    assert!(honest.fake.lock().taken.contains_key(&blob));
}
