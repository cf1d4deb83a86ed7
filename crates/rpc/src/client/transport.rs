//! One HTTP exchange: deadlines, bounded reading, and errors by their cause.

use std::error::Error;
use std::time::Duration;

use reqwest::{Method, Response, Url, redirect};
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::error::ErrorBody;
use crate::limits::MAX_JSON_BYTES;

/// Largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// Time to connect, within the time for the whole exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than a server keeps it, so that no request meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A pool of connections to one node.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    base: String,
    http: reqwest::Client,
    timeout: Duration,
}

/// A request before it is sent.
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Option<Vec<u8>>,
    limit: usize,
    timeout: Duration,
}

impl Transport {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        let fail = |reason: &str| ClientError::Url { url: url.to_owned(), reason: reason.to_owned() };
        let parsed: Url = url.parse().map_err(|_| fail("it does not parse"))?;
        if parsed.scheme() != "http" {
            return Err(fail("the scheme must be http; TLS is for a proxy before the node"));
        }
        if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(fail("it must end after host and port"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(fail("it must not hold a user name or password"));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| fail(&cause(&error)))?;
        Ok(Self { base: parsed.as_str().trim_end_matches('/').to_owned(), http, timeout })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.long_poll(path, Duration::ZERO).await
    }

    pub(super) async fn long_poll<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, ClientError> {
        let timeout = self.timeout.saturating_add(wait);
        let request = Request { method: Method::GET, path, body: None, limit: MAX_JSON_BYTES, timeout };
        self.parse(path, &self.exchange(request).await?)
    }

    pub(super) async fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.exchange(Request { method: Method::GET, path, body: None, limit, timeout: self.timeout }).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        self.send_body(Method::POST, path, body).await
    }

    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        self.send_body(Method::PUT, path, body).await
    }

    /// A route that answers with success or an error and nothing to read.
    pub(super) async fn probe(&self, path: &str) -> Result<(), ClientError> {
        self.bytes(path, MAX_ERROR_BYTES).await.map(|_| ())
    }

    /// HEAD: true on success, false on 404.
    pub(super) async fn exists(&self, path: &str) -> Result<bool, ClientError> {
        let request = Request { method: Method::HEAD, path, body: None, limit: 0, timeout: self.timeout };
        match self.exchange(request).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn malformed(&self, path: &str, reason: &impl ToString) -> ClientError {
        ClientError::Malformed { url: self.base.clone(), path: path.to_owned(), reason: reason.to_string() }
    }

    async fn send_body<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let request = Request { method, path, body: Some(body), limit: MAX_JSON_BYTES, timeout: self.timeout };
        self.parse(path, &self.exchange(request).await?)
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|error| self.malformed(path, &error))
    }

    /// Sends a request and reads its answer, all within the request's time.
    async fn exchange(&self, request: Request<'_>) -> Result<Vec<u8>, ClientError> {
        let (path, timeout) = (request.path, request.timeout);
        match tokio::time::timeout(timeout, self.exchange_untimed(request)).await {
            Ok(result) => result,
            Err(_) => Err(self.timeout(path, timeout)),
        }
    }

    async fn exchange_untimed(&self, request: Request<'_>) -> Result<Vec<u8>, ClientError> {
        let path = request.path;
        let mut builder = self.http.request(request.method, format!("{}{path}", self.base));
        if let Some(body) = request.body {
            builder = builder.header("content-type", "application/octet-stream").body(body);
        }
        let response = builder.send().await.map_err(|error| self.failure(path, &error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return self.read(path, response, request.limit).await;
        }
        let text = self.read(path, response, MAX_ERROR_BYTES).await.unwrap_or_default();
        let body = Box::new(serde_json::from_slice(&text).unwrap_or_else(|_| plain_error(status)));
        Err(ClientError::Refused { url: self.base.clone(), path: path.to_owned(), status, body })
    }

    async fn read(&self, path: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.failure(path, &error))? {
            if all.len() + part.len() > limit {
                return Err(ClientError::TooLarge { url: self.base.clone(), path: path.to_owned(), limit });
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    fn timeout(&self, path: &str, after: Duration) -> ClientError {
        ClientError::Timeout { url: self.base.clone(), path: path.to_owned(), seconds: after.as_secs() }
    }

    fn failure(&self, path: &str, error: &reqwest::Error) -> ClientError {
        let (url, path, reason) = (self.base.clone(), path.to_owned(), cause(error));
        if error.is_connect() {
            return ClientError::NoConnection { url, reason };
        }
        ClientError::Broken { url, path, reason }
    }
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
        hint: "is this a gridproof node, and not a proxy?".into(),
        retryable: matches!(status, 429 | 502 | 503 | 504),
    }
}
