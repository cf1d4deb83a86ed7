//! The routes: parse, bound, ask the backend, render.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use borsh::BorshDeserialize;
use serde::Deserialize;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use types::codec::{Bounded, decode, encode};
use types::hash::{Address, BlobId, Hash32, JobId};
use types::job::JobSpec;
use types::limits::BLOB_CHUNK_BYTES;
use types::number::Height;
use types::transaction::SignedTransaction;

use crate::admission::{Admission, RouteCost, admit, is_json};
use crate::backend::{Backend, FinalBlock};
use crate::config::ServerConfig;
use crate::counts::{RequestCounts, count};
use crate::error::{ApiError, ErrorKind};
use crate::grpc::{self, CallCost, HealthEnd};
use crate::guard::{Guard, panicked, protect};
use crate::openapi::{Operation, operation};
use crate::party::PartyBook;
use rpc::limits::{
    MAX_CHUNK_BODY_BYTES, MAX_REQUEST_BYTES, MAX_SUBMITTED, MAX_SUBMITTED_BYTES, MAX_WAIT_MS,
};
use rpc::model::{
    BlockSelector, BlockView, JobSpecView, ProofView, SpecViewError, SubmitBatchRequest,
    SubmitRequest, SubmitResult, SubmittedBatch,
};
use rpc::{ProofKey, ProofKeyError};

mod events;
mod table;

use table::requests;

/// What every handler sees: the backend, the event log and the limits.
#[derive(Clone)]
struct App {
    backend: Arc<dyn Backend>,
    stopped: watch::Receiver<bool>,
    /// Longest time of a stream: it ends before its client's time to take an answer is over.
    longest_stream: Duration,
}

/// What a handler gives back.
type Reply = Result<Response, ApiError>;

/// A path, what answers there, what a request to it costs, and what programs are told of it.
struct Route {
    path: &'static str,
    handlers: MethodRouter<App>,
    cost: RouteCost,
    operations: Vec<Operation>,
}

impl Route {
    /// The same route with what one of its methods does.
    fn is(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }
}

/// A route that takes no body. A weight is about how many times the work of reading one value it is.
fn read(path: &'static str, weight: usize, handlers: MethodRouter<App>) -> Route {
    write(path, weight, 0, handlers)
}

/// A route that takes a body of so many bytes.
fn write(path: &'static str, weight: usize, max_body: usize, handlers: MethodRouter<App>) -> Route {
    Route {
        path,
        handlers,
        cost: RouteCost { weight, max_body },
        operations: Vec::new(),
    }
}

/// Answers whether the process is alive. Outside of the room for requests: it must answer while the node is overloaded.
const LIVE: &str = "/livez";

/// Every path that there is, with its parameters in braces.
#[must_use]
pub fn paths() -> Vec<&'static str> {
    documented().into_iter().map(|(path, _)| path).collect()
}

/// Every path with what its methods do.
fn documented() -> Vec<(&'static str, Vec<Operation>)> {
    let routes = requests().into_iter().chain(events::polls());
    let routes = routes.map(|route| (route.path, route.operations));
    let live = operation("GET", "True as long as the process serves").gives("Live");
    routes.chain([(LIVE, vec![live])]).collect()
}

/// Counts of every route by HTTP and gRPC.
pub(crate) fn counts() -> RequestCounts {
    let calls = grpc::calls().into_iter().map(|(path, _)| path);
    let own = paths().into_iter().chain([grpc::REFLECTION]);
    RequestCounts::of(own.map(str::to_owned).chain(calls))
}

/// The whole router of a server that is guarded by `guard` and stops when `stopped` says so.
pub(crate) fn router(
    backend: Arc<dyn Backend>,
    config: &ServerConfig,
    guard: Guard,
    stopped: watch::Receiver<bool>,
    counts: RequestCounts,
) -> Router {
    let admission = Admission::new(config, PartyBook::new(backend.clone()));
    let longest_wait = Duration::from_millis(MAX_WAIT_MS);
    let app = App {
        backend,
        stopped,
        longest_stream: longest_wait.min(config.client_timeout * 5 / 6),
    };
    let mut router = Router::new();
    for route in requests() {
        let gate = from_fn_with_state(admission.request(route.cost), admit);
        router = router.route(route.path, route.handlers.route_layer(gate));
    }
    for route in events::polls() {
        let gate = from_fn_with_state(admission.poll(longest_wait, 0), admit);
        router = router.route(route.path, route.handlers.route_layer(gate));
    }
    router = router.route(
        LIVE,
        get(async || Json(serde_json::json!({ "live": true }))),
    );
    let mut router = router.with_state(app.clone());
    if config.grpc {
        let calls = calls(&admission, app, config.grpc_reflection, longest_wait);
        router = router.merge(calls);
    }
    let router = router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(guard, protect))
        .layer(from_fn_with_state(counts, count));
    if config.grpc {
        router.layer(from_fn(grpc::word))
    } else {
        router
    }
}

/// The same routes by gRPC, over handlers without gates: each call has its own.
fn calls(admission: &Admission, app: App, reflection: bool, longest_wait: Duration) -> Router {
    let (mut handlers, mut costs) = (Router::new(), BTreeMap::new());
    for route in requests() {
        let path = route.path.replace("{*", "{");
        costs.insert(path, CallCost::Request(route.cost));
        handlers = handlers.route(route.path, route.handlers);
    }
    for route in events::polls() {
        costs.insert(route.path.to_owned(), CallCost::Poll(longest_wait));
        handlers = handlers.route(route.path, route.handlers);
    }
    let end = HealthEnd {
        longest: app.longest_stream,
        stopped: app.stopped.clone(),
    };
    let handlers = handlers.fallback(no_route).with_state(app);
    grpc::router(admission, &costs, &handlers, reflection, &end)
}

async fn no_route(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(100).collect();
    ApiError::not_found(
        "route",
        format!("there is no route {path:?}"),
        "routes start with /v1/; docs/http.md lists them",
    )
}

async fn no_method(request: Request) -> ApiError {
    let message = format!("{} does not exist for this route", request.method());
    ApiError::new(
        ErrorKind::MethodNotAllowed,
        "method_not_allowed",
        message,
        "see the `allow` header for what does",
    )
}

async fn ready(State(app): State<App>) -> Result<Json<serde_json::Value>, ApiError> {
    app.backend.ready().await?;
    Ok(Json(serde_json::json!({ "ready": true })))
}

async fn block(State(app): State<App>, Path(text): Path<String>, headers: HeaderMap) -> Reply {
    let hint = "give a height, a block id of 64 hex digits, or `latest`";
    let bad = || {
        ApiError::malformed(
            "bad_block",
            format!("{:?} names no block", shortened(&text)),
            hint,
        )
    };
    let selector = match text.as_str() {
        "latest" => BlockSelector::Latest,
        id if id.len() == 64 => BlockSelector::Id(id.parse().map_err(|_| bad())?),
        height => BlockSelector::Height(Height(height.parse().map_err(|_| bad())?)),
    };
    let FinalBlock { block, receipts } = app.backend.block(selector).await?;
    if accepts_bytes(&headers) {
        return Ok(binary(encode(&block)));
    }
    Ok(Json(BlockView::new(&block, &receipts)).into_response())
}

async fn account(State(app): State<App>, Path(text): Path<String>) -> Reply {
    Ok(Json(app.backend.account(parse("address", &text)?).await?).into_response())
}

async fn partner(State(app): State<App>, Path(text): Path<String>) -> Reply {
    Ok(Json(app.backend.partner(parse("address", &text)?).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnersQuery {
    after: Option<Address>,
}

async fn partners(
    State(app): State<App>,
    query: Result<Query<PartnersQuery>, QueryRejection>,
) -> Reply {
    let PartnersQuery { after } = self::query(query)?;
    Ok(Json(app.backend.partners(after).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsQuery {
    live: Option<bool>,
    customer: Option<Address>,
}

async fn jobs(State(app): State<App>, query: Result<Query<JobsQuery>, QueryRejection>) -> Reply {
    let JobsQuery { live, customer } = self::query(query)?;
    let jobs = match customer {
        Some(customer) => app.backend.jobs_of(customer, live).await?,
        None => app.backend.jobs(live.unwrap_or(true)).await?,
    };
    Ok(Json(jobs).into_response())
}

async fn job(State(app): State<App>, Path(text): Path<String>) -> Reply {
    Ok(Json(app.backend.job(parse("job_id", &text)?).await?).into_response())
}

async fn transaction(State(app): State<App>, Path(text): Path<String>) -> Reply {
    let id = parse("transaction_id", &text)?;
    Ok(Json(app.backend.transaction(id).await?).into_response())
}

async fn submit(State(app): State<App>, request: Request) -> Reply {
    let transaction = value(request, "transaction", MAX_REQUEST_BYTES, |json| {
        let request: SubmitRequest = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        from_hex(&request.transaction)
    })
    .await?;
    let submitted = app.backend.submit(transaction).await?;
    Ok((StatusCode::ACCEPTED, Json(submitted)).into_response())
}

fn from_hex(digits: &str) -> Result<SignedTransaction, String> {
    let bytes = hex::decode(digits).map_err(|e| e.to_string())?;
    decode(&bytes, MAX_REQUEST_BYTES).map_err(|e| e.to_string())
}

async fn submit_batch(State(app): State<App>, request: Request) -> Reply {
    let transactions: Bounded<SignedTransaction, MAX_SUBMITTED> =
        value(request, "transactions", MAX_SUBMITTED_BYTES, |json| {
            let request: SubmitBatchRequest =
                serde_json::from_slice(json).map_err(|e| e.to_string())?;
            if request.transactions.len() > MAX_SUBMITTED {
                return Err(format!("at most {MAX_SUBMITTED} are allowed"));
            }
            let all = request.transactions.iter();
            let all = all
                .map(|digits| from_hex(digits))
                .collect::<Result<_, _>>()?;
            Bounded::new(all).map_err(|e| e.to_string())
        })
        .await?;
    let results = app.backend.submit_batch(transactions.into_inner()).await;
    let results = results.into_iter().map(|result| match result {
        Ok(submitted) => SubmitResult::Accepted(submitted),
        Err(error) => SubmitResult::Refused(error.body),
    });
    let results = results.collect();
    Ok(Json(SubmittedBatch { results }).into_response())
}

async fn estimate(State(app): State<App>, request: Request) -> Reply {
    let spec: JobSpec = value(request, "job_spec", MAX_REQUEST_BYTES, |json| {
        let view: JobSpecView = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        view.try_into().map_err(|e: SpecViewError| e.to_string())
    })
    .await?;
    Ok(Json(app.backend.estimate(spec).await?).into_response())
}

async fn proof(State(app): State<App>, Path(text): Path<String>, headers: HeaderMap) -> Reply {
    let ProofKey(key) = text.parse().map_err(|error: ProofKeyError| {
        let hint =
            "give a kind and its argument, such as account/{address}; docs/http.md lists all";
        ApiError::malformed("bad_state_key", error.to_string(), hint)
    })?;
    let proof = app.backend.proof(key).await?;
    if accepts_bytes(&headers) {
        return Ok(binary(encode(&proof)));
    }
    Ok(Json(ProofView::new(&proof)).into_response())
}

async fn state_signatures(State(app): State<App>, Path(text): Path<String>) -> Reply {
    let height = text.parse().map_err(|_| {
        let message = format!("{:?} is no height", shortened(&text));
        ApiError::malformed(
            "bad_height",
            message,
            "give the height of an accepted block",
        )
    })?;
    Ok(Json(app.backend.state_signatures(Height(height)).await?).into_response())
}

async fn blob(State(app): State<App>, Path(path): Path<(String, String)>) -> Reply {
    Ok(Json(app.backend.blob(blob_id(&path.0, &path.1)?).await?).into_response())
}

async fn has_blob(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let complete = app.backend.blob(blob_id(&path.0, &path.1)?).await?.complete;
    Ok(if complete {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    })
}

async fn blob_chunk(State(app): State<App>, Path(path): Path<(String, String, String)>) -> Reply {
    let (id, chunk) = chunk_of(&path)?;
    let bytes = app.backend.blob_chunk(id, chunk).await?;
    if bytes.len() > MAX_CHUNK_BODY_BYTES {
        tracing::error!(
            blob = %id,
            chunk,
            bytes = bytes.len(),
            "a blob chunk is longer than a chunk may be"
        );
        return Err(ApiError::internal("a chunk is longer than it may be"));
    }
    Ok(binary(bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    job: JobId,
}

async fn put_blob_chunk(
    State(app): State<App>,
    Path(path): Path<(String, String, String)>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    request: Request,
) -> Reply {
    let (id, chunk) = chunk_of(&path)?;
    let job = self::query(query)?.job;
    let bytes = body(request).await?;
    Ok(Json(app.backend.put_blob_chunk(job, id, chunk, bytes).await?).into_response())
}

/// A part of a path that must parse.
fn parse<T: FromStr<Err: std::fmt::Display>>(noun: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| {
        let message = format!(
            "{:?} is no {}: {error}",
            shortened(text),
            noun.replace('_', " ")
        );
        ApiError::malformed(&format!("bad_{noun}"), message, "check the path")
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(ApiError::malformed(
            "bad_query",
            error.body_text(),
            "check the query parameters",
        )),
    }
}

fn blob_id(hash: &str, length: &str) -> Result<BlobId, ApiError> {
    let id = BlobId {
        hash: parse::<Hash32>("blob_hash", hash)?,
        length: parse("blob_length", length)?,
    };
    if !id.is_allowed() {
        return Err(ApiError::malformed(
            "bad_blob_length",
            format!("no blob has {length} bytes"),
            "check the path",
        ));
    }
    Ok(id)
}

fn chunk_of((hash, length, chunk): &(String, String, String)) -> Result<(BlobId, u64), ApiError> {
    let (id, chunk) = (blob_id(hash, length)?, parse::<u64>("chunk", chunk)?);
    // The empty blob has one empty chunk.
    let chunks = id.length.div_ceil(BLOB_CHUNK_BYTES).max(1);
    if chunk >= chunks {
        let message = format!("chunk {chunk} of a blob that has {chunks}");
        return Err(ApiError::malformed(
            "bad_chunk",
            message,
            "chunks are counted from 0",
        ));
    }
    Ok((id, chunk))
}

/// All of a request's body, which is whole and within its route's limit when a handler sees it.
async fn body(request: Request) -> Result<Vec<u8>, ApiError> {
    let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let bytes = bytes.map_err(|_| ApiError::internal("a body was lost"))?;
    Ok(bytes.into())
}

/// The value in a request's body: as `from_json` reads it if the content type says so, else in its canonical bytes.
async fn value<T: BorshDeserialize>(
    request: Request,
    noun: &str,
    limit: usize,
    from_json: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, ApiError> {
    let read = if is_json(&request) {
        // JSON writes bytes as hex digits and names every field.
        from_json(&body(request).await?)
    } else {
        decode(&body(request).await?, limit).map_err(|error| error.to_string())
    };
    read.map_err(|error| {
        let message = format!("the body is no {}: {error}", noun.replace('_', " "));
        let hint = "send its canonical borsh bytes, or JSON with the content type application/json";
        ApiError::malformed(&format!("bad_{noun}"), message, hint)
    })
}

/// True if whoever asks takes canonical bytes.
fn accepts_bytes(headers: &HeaderMap) -> bool {
    let kinds = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    kinds.is_some_and(|kinds| kinds.contains("application/octet-stream"))
}

fn binary(bytes: Vec<u8>) -> Response {
    let kind = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (kind, bytes).into_response()
}
