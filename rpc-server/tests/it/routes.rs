//! Every route: what it gives, and what it says to a request that it cannot read.

use std::sync::atomic::Ordering;

use rpc::limits::MAX_CHUNK_BODY_BYTES;
use rpc::model::{
    BlockSelector, HeaderView, JobSpecView, ProfileView, SubmitRequest, TransactionStatus,
};
use types::codec::encode;
use types::hash::{Address, BlobId, BlockId, Hash32, JobId, TransactionId};
use types::job::Stage;
use types::number::{Amount, Height, Nonce};
use types::state_key::StateKey;

use crate::fake::{raw, request, send, send_json, start};
use crate::samples;

#[tokio::test]
async fn liveness_and_readiness() {
    let running = start().await;
    running.client.live().await.unwrap();
    running.client.ready().await.unwrap();
    running.fake.ready.store(false, Ordering::SeqCst);
    running.client.live().await.unwrap();
    let error = running.client.ready().await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("catching_up", true));
    let answer = request(running.address, "GET", "/readyz").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "catching_up")
    );
    assert!(answer.head.contains("retry-after: 1"));
}

#[tokio::test]
async fn status_genesis_and_blocks() {
    let running = start().await;
    let status = running.client.status().await.unwrap();
    assert_eq!(
        (status.height, status.min_fee),
        (Height(9), "0.001".parse().unwrap())
    );
    let text = String::from_utf8(request(running.address, "GET", "/v1/status").await.body).unwrap();
    assert!(
        text.contains("\"min_fee\":\"0.001\"") && text.contains("\"height\":9"),
        "{text}"
    );
    assert_eq!(running.client.genesis().await.unwrap(), [1, 2, 3]);
    let id = samples::header(9).id();
    for selector in [
        BlockSelector::Latest,
        BlockSelector::Height(Height(9)),
        BlockSelector::Id(id),
    ] {
        let block = running.client.block(selector).await.unwrap();
        assert_eq!(
            (block.id, block.header, block.transactions.len()),
            (id, HeaderView::from(&samples::header(9)), 1)
        );
    }
    let head = format!(
        "GET /v1/blocks/9 HTTP/1.1\r\nHost: {}\r\nAccept: application/octet-stream\r\n\
         Connection: close\r\n\r\n",
        running.address
    );
    let bytes = raw(running.address, head.as_bytes()).await.body;
    assert_eq!(bytes, encode(&samples::block()), "what hashes cover");
    for missing in [
        BlockSelector::Height(Height(10)),
        BlockSelector::Id(BlockId(Hash32([0; 32]))),
    ] {
        let error = running.client.block(missing).await.unwrap_err();
        assert!(
            error.is_not_found() && error.code() == "block_not_found",
            "{error}"
        );
    }
    for bad in [
        "newest",
        "-1",
        "18446744073709551616",
        &"g".repeat(64),
        &"A".repeat(64),
    ] {
        let answer = request(running.address, "GET", &format!("/v1/blocks/{bad}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_block"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn accounts_and_partners() {
    let running = start().await;
    let account = running.client.account(samples::ALICE).await.unwrap();
    assert_eq!(
        (account.address, account.balance),
        (samples::ALICE, "1.5".parse().unwrap())
    );
    let part = running.client.partners(None).await.unwrap();
    assert_eq!((part.partners.len(), part.next), (1, Some(samples::BOB)));
    let rest = running.client.partners(part.next).await.unwrap();
    assert_eq!((rest.partners.len(), rest.next), (0, None));
    let all = running.client.all_partners().await.unwrap();
    assert_eq!((all.partners, all.next), (part.partners, None));
    assert_eq!(
        running.client.partner(samples::BOB).await.unwrap().profile,
        ProfileView::from(&samples::profile())
    );
    let error = running.client.partner(Address([0; 20])).await.unwrap_err();
    assert_eq!(error.code(), "partner_not_found");
    let answer = request(running.address, "GET", "/v1/partners?after=zz").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"));
    for path in [
        "/v1/accounts/12",
        "/v1/partners/zz",
        "/v1/accounts/%00",
        "/v1/accounts/A1",
    ] {
        let answer = request(running.address, "GET", path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_address"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn jobs() {
    let running = start().await;
    let live = running.client.jobs(true).await.unwrap();
    assert_eq!(
        (live.jobs[0].stage.as_str(), live.jobs[0].live),
        ("pending", true)
    );
    let ended = running.client.jobs(false).await.unwrap();
    assert_eq!(
        (ended.jobs[0].stage.as_str(), ended.jobs[0].live),
        ("settled", false)
    );
    let default = request(running.address, "GET", "/v1/jobs").await;
    assert_eq!(
        serde_json::from_slice::<rpc::model::JobList>(&default.body).unwrap(),
        live
    );
    let of = |customer, live| running.client.jobs_of(customer, live);
    assert_eq!(of(samples::ALICE, None).await.unwrap(), live);
    assert_eq!(of(samples::ALICE, Some(false)).await.unwrap(), ended);
    assert_eq!(of(samples::BOB, None).await.unwrap().jobs, []);
    let answer = request(running.address, "GET", "/v1/jobs?customer=zz").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"));
    *running.fake.stage.lock().unwrap() = Some(Stage::Settled);
    let job = running.client.job(samples::JOB).await.unwrap();
    assert_eq!(job.receipt, Some((&samples::job_receipt()).into()));
    assert_eq!(job.canonical_spec(), Ok(samples::spec()));
    let error = running
        .client
        .job(JobId(Hash32([0; 32])))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "job_not_found");
    for (path, code) in [
        ("/v1/jobs/5", "bad_job_id"),
        ("/v1/jobs?live=maybe", "bad_query"),
        ("/v1/jobs?alive=true", "bad_query"),
    ] {
        let answer = request(running.address, "GET", path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path}"
        );
    }
}

#[tokio::test]
async fn transactions() {
    let running = start().await;
    let signed = samples::transaction();
    let submitted = running.client.submit(&signed).await.unwrap();
    assert_eq!((submitted.id, submitted.job), (signed.id(), None));
    let status = running.client.transaction(signed.id()).await.unwrap();
    assert_eq!(
        status,
        TransactionStatus::Pending {
            id: signed.id(),
            valid_until: Height(100)
        }
    );
    running.fake.included.lock().unwrap().insert(signed.id());
    let status = running.client.transaction(signed.id()).await.unwrap();
    assert!(matches!(
        status,
        TransactionStatus::Included {
            height: Height(9),
            ..
        }
    ));
    let types::transaction::SignedTransaction::Native(mut later) = signed.clone();
    later.transaction.nonce = Nonce(7);
    let later = types::transaction::SignedTransaction::Native(later);
    let error = running.client.submit(&later).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_retryable()),
        ("nonce_too_high", false)
    );
    let error = running
        .client
        .transaction(TransactionId(Hash32([0; 32])))
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    let trailing = [encode(&signed), vec![0]].concat();
    for body in [vec![], vec![0xff; 100], trailing] {
        let answer = send(running.address, "POST", "/v1/transactions", &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_transaction")
        );
    }
    let body = SubmitRequest {
        transaction: hex::encode(encode(&signed)),
    };
    let json = serde_json::to_vec(&body).unwrap();
    let answer = send_json(running.address, "/v1/transactions", &json).await;
    assert_eq!(
        (answer.status, answer.json()["id"].as_str()),
        (202, Some(signed.id().to_string().as_str()))
    );
    for body in [b"{}".as_slice(), b"", &b"[".repeat(100_000), &json[1..]] {
        let answer = send_json(running.address, "/v1/transactions", body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_transaction")
        );
    }
    let answer = request(running.address, "GET", "/v1/transactions/xyz").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "bad_transaction_id")
    );
}

#[tokio::test]
async fn estimates() {
    let running = start().await;
    let estimate = running.client.estimate(&samples::spec()).await.unwrap();
    assert_eq!(estimate.policy, Some((&samples::policy()).into()));
    assert_eq!(estimate.total, Some(Amount(6 * types::number::SQUARE.0)));
    assert_eq!(estimate.refusal.unwrap().message, "histogram is too cheap");
    let json = serde_json::to_vec(&JobSpecView::from(&samples::spec())).unwrap();
    let answer = send_json(running.address, "/v1/estimate", &json).await;
    assert_eq!(
        serde_json::from_slice::<rpc::model::EstimateView>(&answer.body)
            .unwrap()
            .policy,
        Some((&samples::policy()).into())
    );
    let answer = send(running.address, "POST", "/v1/estimate", b"{}").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "bad_job_spec")
    );
}

#[tokio::test]
async fn proofs() {
    let running = start().await;
    let present = running.client.proof(&StateKey::Chain).await.unwrap();
    assert_eq!(present, samples::value_proof(Some(vec![1, 2])));
    let absent = running
        .client
        .proof(&StateKey::Account(samples::ALICE))
        .await
        .unwrap();
    assert_eq!(absent.value, None);
    // Whoever does not ask for bytes reads JSON that holds the same bytes.
    let shown = request(running.address, "GET", "/v1/proofs/chain")
        .await
        .json();
    assert_eq!(
        (shown["value"].as_str(), shown["proof"].as_str()),
        (Some("0102"), Some(hex::encode(encode(&present)).as_str()))
    );
    for bad in [
        "zz",
        "01",
        "Chain",
        "chain/1",
        "account",
        "account/12",
        "epoch-seed/01",
        "beacon-at/-1",
        "unbondings/5/5",
    ] {
        let answer = request(running.address, "GET", &format!("/v1/proofs/{bad}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_state_key"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn signatures_over_a_state() {
    let running = start().await;
    let signed = running.client.state_signatures(Height(8)).await.unwrap();
    assert_eq!((signed.height, signed.signatures.len()), (Height(8), 2));
    assert_eq!(signed.signatures[1].signature, [2; 96]);
    let none = running.client.state_signatures(Height(10)).await;
    assert!(none.unwrap_err().is_not_found());
    let answer = request(running.address, "GET", "/v1/state-signatures/latest").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_height"));
}

#[tokio::test]
async fn blobs_chunk_by_chunk() {
    let running = start().await;
    let id = BlobId {
        hash: Hash32([4; 32]),
        length: (256 << 10) + 1,
    };
    assert!(!running.client.has_blob(id).await.unwrap());
    assert_eq!(running.client.blob(id).await.unwrap().missing, [0, 1]);
    assert_eq!(
        running.client.blob_chunk(id, 0).await.unwrap_err().code(),
        "blob_not_found"
    );
    let largest = vec![7; MAX_CHUNK_BODY_BYTES];
    let status = running
        .client
        .put_blob_chunk(samples::JOB, id, 0, largest.clone())
        .await
        .unwrap();
    assert_eq!((status.complete, status.missing), (false, vec![1]));
    let status = running
        .client
        .put_blob_chunk(samples::JOB, id, 1, vec![1])
        .await
        .unwrap();
    assert!(status.complete);
    assert_eq!(
        *running.fake.last_upload.lock().unwrap(),
        Some(samples::JOB)
    );
    assert!(running.client.has_blob(id).await.unwrap());
    assert_eq!(running.client.blob_chunk(id, 0).await.unwrap(), largest);
    running
        .fake
        .chunks
        .lock()
        .unwrap()
        .insert((id, 0), vec![7; MAX_CHUNK_BODY_BYTES + 1]);
    assert_eq!(
        running.client.blob_chunk(id, 0).await.unwrap_err().code(),
        "internal",
        "a chunk too long is not sent"
    );
    let empty = BlobId {
        hash: Hash32([4; 32]),
        length: 0,
    };
    running
        .client
        .put_blob_chunk(samples::JOB, empty, 0, vec![])
        .await
        .unwrap();
    assert!(running.client.has_blob(empty).await.unwrap());
}

#[tokio::test]
async fn chunks_of_blobs_that_cannot_be_are_refused_by_name() {
    let running = start().await;
    let (hash, job) = (Hash32([4; 32]), samples::JOB);
    for (path, code) in [
        (
            format!("/v1/blobs/xx/5/chunks/0?job={job}"),
            "bad_blob_hash",
        ),
        (
            format!("/v1/blobs/{hash}/many/chunks/0?job={job}"),
            "bad_blob_length",
        ),
        (
            format!("/v1/blobs/{hash}/{}/chunks/0?job={job}", u64::MAX),
            "bad_blob_length",
        ),
        (
            format!("/v1/blobs/{hash}/5/chunks/1?job={job}"),
            "bad_chunk",
        ),
        (
            format!("/v1/blobs/{hash}/5/chunks/x?job={job}"),
            "bad_chunk",
        ),
        (format!("/v1/blobs/{hash}/5/chunks/0"), "bad_query"),
        (format!("/v1/blobs/{hash}/5/chunks/0?job=7"), "bad_query"),
    ] {
        let answer = send(running.address, "PUT", &path, b"bytes").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path}"
        );
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_named() {
    let running = start().await;
    for path in [
        "/",
        "/v2/status",
        "/v1",
        "/v1/status/",
        "/admin",
        "/v1/blobs/aa",
    ] {
        let answer = request(running.address, "GET", path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "route_not_found"),
            "{path}"
        );
    }
    for (method, path) in [
        ("POST", "/v1/status"),
        ("DELETE", "/v1/jobs"),
        ("PUT", "/v1/transactions"),
        ("PATCH", "/livez"),
        ("BREW", "/v1/events"),
    ] {
        let answer = request(running.address, method, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        assert!(answer.head.contains("\r\nallow: "), "{}", answer.head);
    }
}

/// A server that reads head and body in one go must not take the body for an endless head.
#[tokio::test]
async fn many_large_chunks_over_one_connection() {
    let running = start().await;
    let id = BlobId {
        hash: Hash32([5; 32]),
        length: 8 * (256 << 10),
    };
    for chunk in 0..8 {
        let bytes = vec![7; MAX_CHUNK_BODY_BYTES];
        running
            .client
            .put_blob_chunk(samples::JOB, id, chunk, bytes)
            .await
            .unwrap();
    }
    assert!(running.client.has_blob(id).await.unwrap());
}
