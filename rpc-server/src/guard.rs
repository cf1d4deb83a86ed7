//! What stands before every handler: which host and origin a request may name, and what follows a panic.
//!
//! A node listens on loopback, where every web page that its operator opens can reach it. A page of another site is
//! told by its `Origin`; a page whose name was rebound to our address (DNS rebinding) by its `Host`.

use std::any::Any;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, ErrorKind};

/// Which hosts and origins a request may name.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// Names under which the server may be addressed.
    hosts: Arc<BTreeSet<String>>,
    /// The address it listens on; unspecified admits every address. None behind a host, which checks names itself.
    listen: Option<IpAddr>,
    /// The key of the configuration that adds names, for the hint.
    key: &'static str,
}

impl Guard {
    /// The rules of a server that listens at `address`.
    pub(crate) fn new(allowed_hosts: &[String], address: SocketAddr, key: &'static str) -> Self {
        let names = allowed_hosts.iter().map(|name| name.to_ascii_lowercase());
        Self {
            hosts: Arc::new(names.chain(["localhost".to_owned()]).collect()),
            listen: Some(address.ip()),
            key,
        }
    }

    /// The rules behind a host that passes requests on, and checked which name they came under.
    pub(crate) fn behind_host() -> Self {
        Self {
            hosts: Arc::default(),
            listen: None,
            key: "",
        }
    }

    /// True if a request may name this host: a configured name, a loopback name, or an address of ours. An address
    /// cannot be rebound by a foreign name server, so where we listen on all of them, any will do.
    fn knows(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => {
                ip.is_loopback()
                    || self
                        .listen
                        .is_some_and(|listen| ip == listen || listen.is_unspecified())
                    || self.hosts.contains(bare)
            }
            Err(_) => self.hosts.contains(&host.to_ascii_lowercase()),
        }
    }

    fn check_host(&self, request: &Request) -> Result<String, ApiError> {
        let mut headers = request.headers().get_all(header::HOST).iter();
        let authority = match (headers.next(), headers.next()) {
            (Some(one), None) => one.to_str().ok(),
            _ => None,
        };
        let named = request
            .uri()
            .authority()
            .map(axum::http::uri::Authority::as_str)
            .or(authority);
        let Some(authority) = named else {
            return Err(ApiError::malformed(
                "no_host",
                "the request names no host",
                "send one Host header",
            ));
        };
        if self.knows(without_port(authority)) && authority_matches(request, authority) {
            return Ok(authority.to_owned());
        }
        let message = format!("this server is not {:?}", shortened(authority));
        let key = self.key;
        let hint = format!("use its address, or add the name to `{key}` in its configuration");
        Err(ApiError::new(
            ErrorKind::Forbidden,
            "foreign_host",
            message,
            hint,
        ))
    }
}

/// An absolute request target and the Host header must agree.
fn authority_matches(request: &Request, authority: &str) -> bool {
    let host = request.headers().get(header::HOST);
    request.uri().authority().is_none()
        || host.is_none_or(|host| host.as_bytes() == authority.as_bytes())
}

/// A page may call only the server that it came from, which serves none.
fn check_origin(request: &Request, authority: &str) -> Result<(), ApiError> {
    let own = format!("http://{authority}");
    for origin in request.headers().get_all(header::ORIGIN) {
        if origin.as_bytes() != own.as_bytes() {
            let message = "web pages of other origins may not use this server";
            return Err(ApiError::new(
                ErrorKind::Forbidden,
                "foreign_origin",
                message,
                "send no Origin header",
            ));
        }
    }
    Ok(())
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Enough of a foreign text to recognise it in a message.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The outermost layer: refuses foreign hosts and origins.
pub(crate) async fn protect(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let checked = if guard.listen.is_none() {
        // Under which name the host is reached is not known here: no page is of the same origin.
        check_origin(&request, "")
    } else {
        let authority = guard.check_host(&request);
        authority.and_then(|authority| check_origin(&request, &authority))
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Answers for a handler that panicked. What it said stays in the log.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the layer calls"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = text, "a request handler panicked");
    ApiError::internal("the node failed while answering").into_response()
}
