//! The same router without a socket: for a host that receives the requests itself and passes each on as a whole, as
//! AvalancheGo does for a VM.
//!
//! The host checks which `Host` a request names, so that is not checked here; a request of a web page, which has an
//! `Origin`, is refused as everywhere. Answers are whole: long polls work, streams do not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::backend::Backend;
use crate::config::ServerConfig;
use crate::counts::RequestCounts;
use crate::error::ApiError;
use crate::guard::Guard;
use crate::routes;

/// A request that a host received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedRequest {
    /// Method, as `GET`.
    pub method: String,
    /// Path and query, the path as the routes know it.
    pub target: String,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The answer for the host to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedAnswer {
    /// Status code.
    pub status: u16,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The routes and their limits, to be called by a host.
#[derive(Debug)]
pub struct EmbeddedServer {
    router: Router,
    stop: watch::Sender<bool>,
}

impl EmbeddedServer {
    /// The routes over a backend. Of the configuration the limits of requests count, those of connections do not.
    #[must_use]
    pub fn new(config: &ServerConfig, backend: Arc<dyn Backend>) -> Self {
        let (stop, stopped) = watch::channel(false);
        // A host passes on no trailers, with which calls by gRPC end.
        let mut config = config.clone();
        config.grpc = false;
        // The host counts what it passes on.
        let counts = RequestCounts::default();
        Self {
            router: routes::router(backend, &config, Guard::behind_host(), stopped, counts),
            stop,
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: PassedRequest) -> PassedAnswer {
        match self.routed(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let response = axum::response::IntoResponse::into_response(error);
                whole(response).await.unwrap_or_else(|| PassedAnswer {
                    status: 500,
                    headers: Vec::new(),
                    body: Vec::new(),
                })
            }
        }
    }

    async fn routed(&self, passed: PassedRequest) -> Result<PassedAnswer, ApiError> {
        let malformed = || {
            ApiError::malformed(
                "request",
                "the request's method, target or a header is malformed",
                "send a request that HTTP allows",
            )
        };
        let method = Method::from_bytes(passed.method.as_bytes()).map_err(|_| malformed())?;
        let target: Uri = passed.target.parse().map_err(|_| malformed())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &passed.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| malformed())?;
            headers.append(name, value);
        }
        let mut request = Request::new(Body::from(passed.body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        let Ok(response) = self.router.clone().oneshot(request).await;
        whole(response)
            .await
            .ok_or_else(|| ApiError::internal("the answer broke off"))
    }

    /// Ends long polls; what comes after that is answered as before.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Takes the body as a whole; none if it breaks off.
async fn whole(response: axum::response::Response) -> Option<PassedAnswer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes().to_vec();
    // Every header that the routes set is text.
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Some(PassedAnswer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body,
    })
}
