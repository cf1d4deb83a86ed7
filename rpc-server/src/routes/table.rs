//! The table of routes that answer as soon as they can: path, weight, handler, and what programs are told of it.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use rpc::limits::{MAX_CHUNK_BODY_BYTES, MAX_REQUEST_BYTES, MAX_SUBMITTED_BYTES};

use super::{
    App, Route, account, binary, blob, blob_chunk, block, documented, estimate, has_blob, job,
    jobs, partner, partners, proof, put_blob_chunk, read, ready, state_signatures, submit,
    submit_batch, transaction, write,
};
use crate::openapi::{self, operation};

/// The routes that answer as soon as they can.
pub(super) fn requests() -> Vec<Route> {
    let mut all = chain_routes();
    all.extend(work_routes());
    all.extend(blob_routes());
    all
}

/// What is told of the chain, its accounts and its partners.
fn chain_routes() -> Vec<Route> {
    let status = async |State(app): State<App>| app.backend.status().await.map(Json);
    let genesis = async |State(app): State<App>| app.backend.genesis().await.map(binary);
    let validators = async |State(app): State<App>| app.backend.validators().await.map(Json);
    let described = async || Json(openapi::document(&documented()));
    let reads = |summary| operation("GET", summary);
    vec![
        read("/readyz", 1, get(ready)).is(reads("Whether the node takes work")
            .gives("Ready")
            .fails(&["catching_up", "signer_away", "stalled"])),
        read("/v1/openapi.json", 4, get(described)).is(reads("This document").gives("OpenApi")),
        read("/v1/status", 1, get(status))
            .is(reads("The node and its newest state").gives("Status")),
        read("/v1/genesis", 4, get(genesis)).is(reads("The genesis").gives_bytes()),
        read("/v1/blocks/{block}", 4, get(block)).is(reads(
            "A final block, by height or id, or `latest`",
        )
        .gives("Block")
        .or_bytes()
        .fails(&["bad_block", "block_not_found", "pruned"])),
        read("/v1/accounts/{address}", 1, get(account))
            .is(reads("An account").gives("Account").fails(&["bad_address"])),
        read("/v1/validators", 4, get(validators)).is(reads(
            "The validators, as this one sees them",
        )
        .gives("ValidatorList")
        .fails(&["busy", "stopping"])),
        read("/v1/partners", 16, get(partners)).is(reads(
            "The active partners, ascending by address",
        )
        .query(&[(
            "after",
            "string",
            "partners above this address: `next` of the request before",
        )])
        .gives("PartnerList")
        .fails(&["bad_query"])),
        read("/v1/partners/{address}", 4, get(partner)).is(reads("A partner")
            .gives("Partner")
            .fails(&["bad_address", "partner_not_found"])),
        read("/v1/proofs/{*key}", 2, get(proof)).is(reads("A value of the state with its proof")
            .gives("Proof")
            .or_bytes()
            .fails(&["bad_state_key", "no_final_block"])),
        read("/v1/state-signatures/{height}", 2, get(state_signatures)).is(reads(
            "Signatures of nodes over the state after a block, where a host orders the blocks",
        )
        .gives("StateSignatures")
        .fails(&["bad_height"])),
    ]
}

/// The routes of transactions and jobs.
fn work_routes() -> Vec<Route> {
    let (tx, txs) = (MAX_REQUEST_BYTES, MAX_SUBMITTED_BYTES);
    let reads = |summary| operation("GET", summary);
    let takes = |summary| operation("POST", summary);
    vec![
        read("/v1/jobs", 16, get(jobs)).is(reads("Jobs, oldest first")
            .query(&[
                (
                    "live",
                    "boolean",
                    "true: jobs that have not ended; false: those that ended lately",
                ),
                ("customer", "string", "jobs of this account alone"),
            ])
            .gives("JobList")
            .fails(&["bad_query"])),
        read("/v1/jobs/{id}", 2, get(job)).is(reads("A job")
            .gives("Job")
            .fails(&["bad_job_id", "job_not_found"])),
        write("/v1/transactions", 1, tx, post(submit)).is(takes("Submits a transaction")
            .takes("Submit")
            .gives_with(202, "Submitted")
            .fails(&["bad_transaction", "transaction_refused", "busy", "stopping"])),
        write("/v1/transactions/batch", 8, txs, post(submit_batch)).is(takes(
            "Submits several transactions",
        )
        .takes("SubmitBatch")
        .gives("SubmittedBatch")
        .fails(&["bad_transactions"])),
        read("/v1/transactions/{id}", 1, get(transaction)).is(reads("Where a transaction stands")
            .gives("TransactionStatus")
            .fails(&[
                "bad_transaction_id",
                "transaction_not_found",
                "pruned",
                "busy",
                "stopping",
            ])),
        write("/v1/estimate", 4, tx, post(estimate)).is(takes(
            "What a job would cost and how it would be checked",
        )
        .takes("JobSpec")
        .gives("Estimate")
        .fails(&["bad_job_spec"])),
    ]
}

/// Blobs and their chunks.
fn blob_routes() -> Vec<Route> {
    let chunk = "/v1/blobs/{hash}/{length}/chunks/{chunk}";
    let chunks = get(blob_chunk).put(put_blob_chunk);
    let blob_codes = &["bad_blob_hash", "bad_blob_length", "blob_not_found"];
    let chunk_codes = &[
        "bad_blob_hash",
        "bad_blob_length",
        "bad_chunk",
        "blob_not_found",
    ];
    let reads = |summary| operation("GET", summary);
    vec![
        read("/v1/blobs/{hash}/{length}", 1, get(blob).head(has_blob))
            .is(reads("What is here of a blob")
                .gives("BlobStatus")
                .fails(blob_codes))
            .is(operation("HEAD", "200 if all of a blob is here, 404 if not").fails(blob_codes)),
        write(chunk, 4, MAX_CHUNK_BODY_BYTES, chunks)
            .is(reads("A chunk of a blob with its proof")
                .gives_bytes()
                .fails(chunk_codes))
            .is(
                operation("PUT", "Uploads a chunk of a blob that a live job names")
                    .query(&[("job", "string", "the job that names the blob; required")])
                    .takes_bytes()
                    .gives("BlobStatus")
                    .fails(&[
                        "bad_blob_hash",
                        "bad_blob_length",
                        "bad_chunk",
                        "bad_query",
                        "blob_refused",
                        "blob_not_named",
                        "job_not_found",
                    ]),
            ),
    ]
}
