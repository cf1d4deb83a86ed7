//! A job whose submission or upload goes wrong: nothing is paid that cannot be used, and the job's id is never lost.

use std::sync::atomic::Ordering;

use rpc_server::ApiError;
use types::hash::{ChainId, Hash32};
use types::job::Stage;

use super::super::fake::{CHAIN, RunningFake, start};
use super::*;

/// A spec with a module of three chunks in a folder.
async fn prepared(client: &Client, folder: &std::path::Path, name: &str) -> Prepared {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.resize(600_000, 7);
    std::fs::write(folder.join("module.wasm"), module).unwrap();
    let text = format!(
        "version: gridproof/v1\nname: {name}\nengine: {{type: wasm, params: {{module: module.wasm, args: [{name}]}}}}\n"
    );
    let path = folder.join("job.yaml");
    std::fs::write(&path, text).unwrap();
    Prepared::read(&path, Some(client), Ui::new(true))
        .await
        .unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

async fn submit_to(
    running: &RunningFake,
    chain: ChainId,
    prepared: &Prepared,
) -> Result<JobId, CommandFailure> {
    let folder = tempfile::tempdir().unwrap();
    let book = JobBook::at(folder.path().join("jobs.jsonl"));
    let terms = Terms {
        signing: Some(chain).into(),
        ..terms(&book)
    };
    submit_on(running, &terms, prepared).await
}

/// What a customer allows who minds nothing.
fn terms(book: &JobBook) -> Terms<'_> {
    Terms {
        signing: Some(CHAIN).into(),
        max_cost: None,
        again: false,
        book,
    }
}

async fn submit_on(
    running: &RunningFake,
    terms: &Terms<'_>,
    prepared: &Prepared,
) -> Result<JobId, CommandFailure> {
    let (client, key) = (&running.client, key());
    Box::pin(submit(client, &key, terms, prepared, Ui::new(true))).await
}

#[tokio::test]
async fn nobody_pays_twice_for_one_spec_without_saying_so() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let first = prepared(&running.client, folder.path(), "a").await;
    let book = JobBook::at(folder.path().join("jobs.jsonl"));
    let job = submit_on(&running, &terms(&book), &first).await.unwrap();
    assert_eq!(book.entries()[0].job, job);
    let failure = submit_on(&running, &terms(&book), &first)
        .await
        .unwrap_err();
    assert_eq!(failure.code, "already_submitted", "{failure}");
    assert!(failure.hint.unwrap().contains(&format!("--resume {job}")));
    assert_eq!(running.fake.taken.lock().unwrap().len(), 1);
    let again = Terms {
        again: true,
        ..terms(&book)
    };
    submit_on(&running, &again, &first).await.unwrap();
    // What is over is no reason, and another spec is none either.
    running
        .fake
        .jobs
        .lock()
        .unwrap()
        .values_mut()
        .for_each(|(record, _)| record.stage = Stage::Settled);
    submit_on(&running, &terms(&book), &first).await.unwrap();
    let other = prepared(&running.client, folder.path(), "b").await;
    submit_on(&running, &terms(&book), &other).await.unwrap();
    assert_eq!(running.fake.taken.lock().unwrap().len(), 4);
    assert_eq!(book.entries().len(), 4);
}

#[tokio::test]
async fn a_job_that_is_under_way_is_not_settled_yet() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    let job = submit_to(&running, CHAIN, &prepared).await.unwrap();
    let view = running.client.job(job).await.unwrap();
    let failure = super::super::wait::is_settled(&view).unwrap_err();
    assert_eq!(
        (failure.kind.code(), failure.code.as_str()),
        (16, "not_settled")
    );
    assert!(failure.hint.unwrap().contains(&job.to_string()));
}

#[tokio::test]
async fn a_job_is_on_record_before_its_transaction_is_sent() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    let book = JobBook::at(folder.path().join("jobs.jsonl"));
    // It is refused each time, so nothing was ever taken.
    running.fake.overtakes.store(u32::MAX, Ordering::Relaxed);
    submit_on(&running, &terms(&book), &prepared)
        .await
        .unwrap_err();
    assert!(running.fake.taken.lock().unwrap().is_empty());
    assert!(!book.entries().is_empty());
}

#[tokio::test]
async fn a_job_that_would_lock_more_than_allowed_is_not_submitted() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    let estimate = running.client.estimate(&prepared.spec).await.unwrap();
    let total = estimate.total.unwrap();
    let book = JobBook::at(folder.path().join("jobs.jsonl"));
    let with = async |most| {
        let terms = Terms {
            max_cost: Some(most),
            ..terms(&book)
        };
        submit_on(&running, &terms, &prepared).await
    };
    let failure = with(Amount(total.0 - 1)).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (ExitKind::Refused, "above_max_cost"),
        "{failure}"
    );
    assert!(failure.message.contains(&total.to_string()), "{failure}");
    assert!(running.fake.taken.lock().unwrap().is_empty());
    assert!(with(total).await.is_ok());
}

fn is_uploaded(running: &RunningFake, prepared: &Prepared) -> bool {
    let chunks = running.fake.chunks.lock().unwrap();
    let whole = |id| {
        chunks
            .get(&id)
            .is_some_and(|held| held.len() == usize::try_from(blobs::chunk_count(id)).unwrap())
    };
    prepared.files.iter().all(|file| whole(file.encoder.id()))
}

#[tokio::test]
async fn nothing_is_signed_for_another_chain_than_the_genesis_names() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    let failure = submit_to(&running, ChainId(Hash32([8; 32])), &prepared)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (ExitKind::BadInput, "other_chain"),
        "{failure}"
    );
    assert!(running.fake.jobs.lock().unwrap().is_empty());
    assert!(submit_to(&running, CHAIN, &prepared).await.is_ok());
}

#[tokio::test]
async fn a_node_that_cannot_take_a_chunk_now_is_asked_again() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    running.fake.busy.store(2, Ordering::SeqCst);
    let job = submit_to(&running, CHAIN, &prepared).await.unwrap();
    assert!(
        running.fake.jobs.lock().unwrap().contains_key(&job) && is_uploaded(&running, &prepared)
    );
}

#[tokio::test]
async fn a_job_whose_customer_sends_something_else_meanwhile_is_submitted_once() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let prepared = prepared(&running.client, folder.path(), "a").await;
    running.fake.overtakes.store(2, Ordering::SeqCst);
    let job = submit_to(&running, CHAIN, &prepared).await.unwrap();
    let jobs = running.fake.jobs.lock().unwrap();
    assert_eq!(jobs.keys().collect::<Vec<_>>(), [&job]);
}

#[tokio::test]
async fn an_upload_that_fails_names_the_job_and_can_be_resumed() {
    let (running, folder) = (start().await, tempfile::tempdir().unwrap());
    let other = prepared(&running.client, folder.path(), "b").await;
    let prepared = prepared(&running.client, folder.path(), "a").await;
    *running.fake.refuses.lock().unwrap() = Some(ApiError::refused(
        "blob_refused",
        "the quota is full",
        "later",
    ));
    let failure = submit_to(&running, CHAIN, &prepared).await.unwrap_err();
    let job = *running.fake.jobs.lock().unwrap().keys().next().unwrap();
    assert_eq!(failure.to_json()["job"], job.to_string(), "{failure}");
    assert!(
        failure.to_string().contains(&format!("--resume {job}")),
        "{failure}"
    );
    assert!(!is_uploaded(&running, &prepared));

    *running.fake.refuses.lock().unwrap() = None;
    let ui = Ui::new(true);
    let failure = Box::pin(resume(&running.client, job, &other, ui))
        .await
        .unwrap_err();
    assert_eq!(failure.code, "other_job", "{failure}");
    assert_eq!(
        Box::pin(resume(&running.client, job, &prepared, ui))
            .await
            .unwrap(),
        job
    );
    assert!(is_uploaded(&running, &prepared));
    assert_eq!(
        running.fake.jobs.lock().unwrap().len(),
        1,
        "nothing was submitted again"
    );
    let unknown = Box::pin(resume(&running.client, JobId::default(), &prepared, ui))
        .await
        .unwrap_err();
    assert_eq!(unknown.code, "job_not_found");
}
