//! One HTTP exchange: deadlines, bounded reading, errors by their cause, and the next endpoint where one does not
//! answer.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Response, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::away::{ServerNews, ServersAway};
use super::{ClientError, UrlRule};
use crate::error::ErrorBody;
use crate::limits::MAX_JSON_BYTES;
use crate::signature::{RequestSigner, SIGNATURE_HEADER};

/// Largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// The content type of every shape in [`crate::model`].
const JSON: &str = "application/json";
/// The content type of canonical bytes, as they are sent and asked for.
const BYTES: &str = "application/octet-stream";
/// Time to connect, within the time for the whole exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than a server keeps it, so that no request meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause between two looks at servers that are away.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A pool of connections to one or more nodes, of which one is asked as long as it answers.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    bases: Arc<[String]>,
    /// Index of the one that is asked.
    current: Arc<AtomicUsize>,
    away: ServersAway,
    http: reqwest::Client,
    timeout: Duration,
    /// Signs every request, if somebody asks under his own name.
    signer: Option<Arc<RequestSigner>>,
}

/// A request to whichever endpoint answers.
struct OutgoingRequest<'a> {
    method: Method,
    path: &'a str,
    body: Option<Vec<u8>>,
    /// The content type that is asked for.
    accept: &'static str,
    /// Longest answer, in bytes.
    limit: usize,
    timeout: Duration,
    failover: Failover,
}

/// What follows when an endpoint does not answer, or cannot now. Either way the next one is asked from then on.
#[derive(Clone, Copy)]
enum Failover {
    /// The next one is asked the same.
    Repeat,
    /// The next one is asked the same if this one has not heard the question.
    RepeatUnheard,
    /// The caller is told: the question is one for this endpoint alone.
    Tell,
}

impl Failover {
    fn repeats(self, error: &ClientError) -> bool {
        match self {
            Self::Repeat => true,
            Self::RepeatUnheard => matches!(error, ClientError::NoConnection { .. }),
            Self::Tell => false,
        }
    }
}

impl Transport {
    pub(super) fn new<S: AsRef<str>>(urls: &[S], timeout: Duration) -> Result<Self, ClientError> {
        let bases = urls
            .iter()
            .map(|url| base(url.as_ref()))
            .collect::<Result<Arc<[_]>, _>>()?;
        if bases.is_empty() {
            let url = String::new();
            return Err(ClientError::Url {
                url,
                rule: UrlRule::Given,
            });
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| ClientError::NoClient {
                urls: bases.join(", "),
                reason: cause(&error),
            })?;
        Ok(Self {
            away: ServersAway::new(bases.len()),
            bases,
            current: Arc::default(),
            http,
            timeout,
            signer: None,
        })
    }

    /// Signs every request from now on.
    pub(super) fn sign_with(&mut self, signer: RequestSigner) {
        self.signer = Some(Arc::new(signer));
    }

    /// Tells of endpoints that go and come from now on.
    pub(super) fn listen(&mut self, listener: impl Fn(ServerNews<'_>) + Send + Sync + 'static) {
        self.away.listen(listener);
    }

    /// Looks every now and then at the endpoints that are away, so that their return is told.
    pub(super) async fn look_after_away(&self) -> Infallible {
        loop {
            tokio::time::sleep_until(Instant::now() + LOOK_PAUSE).await;
            for endpoint in self.away.away() {
                let call = self.get_call("/livez", JSON, MAX_ERROR_BYTES);
                // What it answers does not matter.
                let _ = self.ask_one(endpoint, &call).await;
            }
        }
    }

    /// URL of the endpoint that is asked now.
    pub(super) fn base(&self) -> &str {
        &self.bases[self.current()]
    }

    /// Index of the endpoint that is asked now.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Asks the next endpoint from now on, unless somebody has turned away from this one already.
    fn turn_from(&self, endpoint: usize) {
        let next = (endpoint + 1) % self.bases.len();
        let _ = self
            .current
            .compare_exchange(endpoint, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.parse(path, &self.get(path, JSON, MAX_JSON_BYTES).await?)
    }

    /// Cursors are an endpoint's own: an error turns to the next one, and the caller takes a new cursor there.
    pub(super) async fn long_poll<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, ClientError> {
        let timeout = self.timeout.saturating_add(wait);
        let (method, failover) = (Method::GET, Failover::Tell);
        let call = OutgoingRequest {
            method,
            path,
            body: None,
            accept: JSON,
            limit: MAX_JSON_BYTES,
            timeout,
            failover,
        };
        self.parse(path, &self.exchange(call).await?)
    }

    /// Canonical bytes, of which at most `limit` are read.
    pub(super) async fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.get(path, BYTES, limit).await
    }

    async fn get(
        &self,
        path: &str,
        accept: &'static str,
        limit: usize,
    ) -> Result<Vec<u8>, ClientError> {
        self.exchange(self.get_call(path, accept, limit)).await
    }

    fn get_call<'a>(
        &self,
        path: &'a str,
        accept: &'static str,
        limit: usize,
    ) -> OutgoingRequest<'a> {
        OutgoingRequest {
            method: Method::GET,
            path,
            body: None,
            accept,
            limit,
            timeout: self.timeout,
            failover: Failover::Repeat,
        }
    }

    /// A question with a body: it changes nothing.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.send_body(Method::POST, path, body, Failover::Repeat)
            .await
    }

    /// After an error other than no connection the endpoint may have done what was asked.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.send_body(Method::POST, path, body, Failover::RepeatUnheard)
            .await
    }

    /// A piece of something: the next endpoint lacks the pieces before it.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.send_body(Method::PUT, path, body, Failover::Tell)
            .await
    }

    /// A route that answers with success or an error and nothing to read.
    pub(super) async fn probe(&self, path: &str) -> Result<(), ClientError> {
        self.get(path, JSON, MAX_ERROR_BYTES).await.map(|_| ())
    }

    /// HEAD: true on success, false on 404.
    pub(super) async fn exists(&self, path: &str) -> Result<bool, ClientError> {
        let (method, failover) = (Method::HEAD, Failover::Repeat);
        let call = OutgoingRequest {
            method,
            path,
            body: None,
            accept: JSON,
            limit: 0,
            timeout: self.timeout,
            failover,
        };
        match self.exchange(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn malformed(&self, path: &str, reason: &impl ToString) -> ClientError {
        ClientError::Malformed {
            url: self.base().to_owned(),
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    async fn send_body<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        failover: Failover,
    ) -> Result<T, ClientError> {
        let (body, timeout) = (Some(body), self.timeout);
        let call = OutgoingRequest {
            method,
            path,
            body,
            accept: JSON,
            limit: MAX_JSON_BYTES,
            timeout,
            failover,
        };
        self.parse(path, &self.exchange(call).await?)
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|error| self.malformed(path, &error))
    }

    /// Asks one endpoint, and remembers whether it answers.
    async fn ask_one(
        &self,
        endpoint: usize,
        call: &OutgoingRequest<'_>,
    ) -> Result<Vec<u8>, ClientError> {
        let exchange = Exchange {
            http: &self.http,
            signer: self.signer.as_deref(),
            base: &self.bases[endpoint],
            path: call.path,
        };
        let result = match tokio::time::timeout(call.timeout, exchange.run(call)).await {
            Ok(result) => result,
            Err(_) => Err(exchange.timeout(call.timeout)),
        };
        self.away.asked(endpoint, exchange.base, &result);
        result
    }

    /// Sends a request and reads its answer; each endpoint that is asked has the request's time for all of it.
    async fn exchange(&self, call: OutgoingRequest<'_>) -> Result<Vec<u8>, ClientError> {
        let mut unasked = self.bases.len();
        loop {
            let endpoint = self.current();
            let result = self.ask_one(endpoint, &call).await;
            unasked -= 1;
            match result {
                Err(error) if error.is_retryable() => {
                    self.turn_from(endpoint);
                    if unasked == 0 || !call.failover.repeats(&error) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// A request to one endpoint.
struct Exchange<'a> {
    http: &'a reqwest::Client,
    signer: Option<&'a RequestSigner>,
    base: &'a str,
    path: &'a str,
}

impl Exchange<'_> {
    async fn run(&self, call: &OutgoingRequest<'_>) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{}", self.base, self.path);
        let mut builder = self
            .http
            .request(call.method.clone(), url)
            .header("accept", call.accept);
        if let Some(signer) = self.signer {
            let body = call.body.as_deref().unwrap_or_default();
            let signature = signer.sign_now(call.method.as_str(), call.path, body);
            builder = builder.header(SIGNATURE_HEADER, signature.to_string());
        }
        if let Some(body) = &call.body {
            builder = builder.header("content-type", BYTES).body(body.clone());
        }
        let response = builder.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return self.read(response, call.limit).await;
        }
        let text = self
            .read(response, MAX_ERROR_BYTES)
            .await
            .unwrap_or_default();
        let body = Box::new(serde_json::from_slice(&text).unwrap_or_else(|_| plain_error(status)));
        Err(ClientError::Refused {
            url: self.base.to_owned(),
            path: self.path.to_owned(),
            status,
            body,
        })
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| self.failure(&error))?
        {
            if all.len() + part.len() > limit {
                return Err(ClientError::TooLarge {
                    url: self.base.to_owned(),
                    path: self.path.to_owned(),
                    limit,
                });
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    fn timeout(&self, after: Duration) -> ClientError {
        ClientError::Timeout {
            url: self.base.to_owned(),
            path: self.path.to_owned(),
            seconds: after.as_secs(),
        }
    }

    fn failure(&self, error: &reqwest::Error) -> ClientError {
        let (url, path, reason) = (self.base.to_owned(), self.path.to_owned(), cause(error));
        if error.is_connect() {
            return ClientError::NoConnection { url, reason };
        }
        ClientError::Broken { url, path, reason }
    }
}

/// The URL of a node without the slash at its end. It may have a path: a host that routes to several nodes has one for each.
fn base(url: &str) -> Result<String, ClientError> {
    let fail = |rule| ClientError::Url {
        url: url.to_owned(),
        rule,
    };
    let parsed: Url = url.parse().map_err(|_| fail(UrlRule::Parses))?;
    if parsed.scheme() != "http" {
        return Err(fail(UrlRule::Scheme));
    }
    let is_route = parsed.path().split('/').any(|segment| segment == "v1");
    if is_route || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(fail(UrlRule::EndsBeforeRoute));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(fail(UrlRule::NoUser));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

/// The innermost cause, which says what happened.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// For an error without a body of ours: an answer to HEAD, or a proxy's page.
fn plain_error(status: u16) -> ErrorBody {
    ErrorBody {
        code: format!("http_{status}"),
        message: format!("the answer has HTTP status {status} and no error body"),
        hint: "is this the URL of a gridproof node? behind AvalancheGo the chain must be bootstrapped first".into(),
        retryable: matches!(status, 429 | 502 | 503 | 504),
        expected_nonce: None,
        retry_after_ms: None,
    }
}
