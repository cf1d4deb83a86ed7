//! One HTTP exchange: deadlines, bounded reading, errors by their cause, and the next server where one does not answer.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Response, Url, redirect};
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::error::ErrorBody;
use crate::limits::MAX_JSON_BYTES;

/// Largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// What the client can read.
const ACCEPT: &str = "application/json, application/octet-stream";
/// Time to connect, within the time for the whole exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than a server keeps it, so that no request meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A pool of connections to one or more nodes, of which one is asked as long as it answers.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    bases: Arc<[String]>,
    /// Which of them is asked.
    current: Arc<AtomicUsize>,
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
    failover: Failover,
}

/// What follows when a server does not answer, or cannot now. Either way the next one is asked from then on.
#[derive(Clone, Copy)]
enum Failover {
    /// The next one is asked the same.
    Repeat,
    /// The next one is asked the same if this one has not heard the question.
    RepeatUnheard,
    /// The caller is told: its question is one for this server alone.
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
        let fail = |reason: String| ClientError::Url {
            url: bases.join(","),
            reason,
        };
        if bases.is_empty() {
            return Err(fail("no server is given".to_owned()));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| fail(cause(&error)))?;
        Ok(Self {
            bases,
            current: Arc::default(),
            http,
            timeout,
        })
    }

    /// The server that is asked now.
    pub(super) fn base(&self) -> &str {
        &self.bases[self.current()]
    }

    /// The place of the server that is asked now.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Asks the next server from now on, unless somebody has turned away from this one already.
    fn turn_from(&self, server: usize) {
        let next = (server + 1) % self.bases.len();
        let _ = self
            .current
            .compare_exchange(server, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.parse(path, &self.bytes(path, MAX_JSON_BYTES).await?)
    }

    /// Cursors are a server's own: an error turns to the next server, and the caller takes a new cursor there.
    pub(super) async fn long_poll<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, ClientError> {
        let timeout = self.timeout.saturating_add(wait);
        let (method, failover) = (Method::GET, Failover::Tell);
        let request = Request {
            method,
            path,
            body: None,
            limit: MAX_JSON_BYTES,
            timeout,
            failover,
        };
        self.parse(path, &self.exchange(request).await?)
    }

    pub(super) async fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        let (method, failover) = (Method::GET, Failover::Repeat);
        self.exchange(Request {
            method,
            path,
            body: None,
            limit,
            timeout: self.timeout,
            failover,
        })
        .await
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

    /// After an error other than no connection the server may have done what was asked.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.send_body(Method::POST, path, body, Failover::RepeatUnheard)
            .await
    }

    /// A piece of something: the next server lacks the pieces before it.
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
        self.bytes(path, MAX_ERROR_BYTES).await.map(|_| ())
    }

    /// HEAD: true on success, false on 404.
    pub(super) async fn exists(&self, path: &str) -> Result<bool, ClientError> {
        let (method, failover) = (Method::HEAD, Failover::Repeat);
        let request = Request {
            method,
            path,
            body: None,
            limit: 0,
            timeout: self.timeout,
            failover,
        };
        match self.exchange(request).await {
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
        let request = Request {
            method,
            path,
            body,
            limit: MAX_JSON_BYTES,
            timeout,
            failover,
        };
        self.parse(path, &self.exchange(request).await?)
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|error| self.malformed(path, &error))
    }

    /// Sends a request and reads its answer; each server that is asked has the request's time for all of it.
    async fn exchange(&self, request: Request<'_>) -> Result<Vec<u8>, ClientError> {
        let mut unasked = self.bases.len();
        loop {
            let server = self.current();
            let exchange = Exchange {
                http: &self.http,
                base: &self.bases[server],
                path: request.path,
            };
            let result = match tokio::time::timeout(request.timeout, exchange.run(&request)).await {
                Ok(result) => result,
                Err(_) => Err(exchange.timeout(request.timeout)),
            };
            unasked -= 1;
            match result {
                Err(error) if error.is_retryable() => {
                    self.turn_from(server);
                    if unasked == 0 || !request.failover.repeats(&error) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// A request to one server.
struct Exchange<'a> {
    http: &'a reqwest::Client,
    base: &'a str,
    path: &'a str,
}

impl Exchange<'_> {
    async fn run(&self, request: &Request<'_>) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{}", self.base, self.path);
        // Proofs come as canonical bytes to whoever takes them, else as JSON.
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header("accept", ACCEPT);
        if let Some(body) = &request.body {
            builder = builder
                .header("content-type", "application/octet-stream")
                .body(body.clone());
        }
        let response = builder.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return self.read(response, request.limit).await;
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

/// The URL of a node without the slash at its end.
fn base(url: &str) -> Result<String, ClientError> {
    let fail = |reason: &str| ClientError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let parsed: Url = url.parse().map_err(|_| fail("it does not parse"))?;
    if parsed.scheme() != "http" {
        return Err(fail(
            "the scheme must be http; TLS is for a proxy before the node",
        ));
    }
    if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(fail("it must end after host and port"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(fail("it must not hold a user name or password"));
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
        hint: "is this a gridproof node, and not a proxy?".into(),
        retryable: matches!(status, 429 | 502 | 503 | 504),
    }
}
