//! What the server says when it refuses: the kind of an error gives the HTTP status, its body says the rest.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rpc::ErrorBody;
use types::number::Nonce;

/// The kind of an error, from which its HTTP status follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the request is not well formed.
    Malformed,
    /// 403: not for this host or origin.
    Forbidden,
    /// 404: no such thing.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 409: the request contradicts what the node knows.
    Conflict,
    /// 410: it was there and is no more.
    Gone,
    /// 413: a body above its limit.
    TooLarge,
    /// 422: well formed, but it breaks a rule of the chain.
    Refused,
    /// 500: the node failed.
    Internal,
    /// 503: the node cannot answer now; the same request may succeed later.
    Unavailable,
    /// 504: it took too long.
    Timeout,
}

impl ErrorKind {
    /// The HTTP status code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::Refused => 422,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// True if waiting alone may help.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }
}

/// An error of a [`crate::Backend`] or of the router: its kind and the body to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", body.code, body.message)]
pub struct ApiError {
    /// Gives the HTTP status.
    pub kind: ErrorKind,
    /// What the client reads.
    pub body: ErrorBody,
}

impl ApiError {
    /// An error of a kind; it is retryable if its kind is.
    pub fn new(
        kind: ErrorKind,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self {
            kind,
            body: ErrorBody {
                code: code.to_owned(),
                message,
                hint,
                retryable: kind.is_retryable(),
                expected_nonce: None,
                retry_after_ms: None,
            },
        }
    }

    /// The same error, said to be worth repeating or not.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.body.retryable = retryable;
        self
    }

    /// The same error, said to be about a nonce that is not the account's next.
    #[must_use]
    pub fn expected(mut self, nonce: Nonce) -> Self {
        self.body.expected_nonce = Some(nonce);
        self
    }

    /// The same error, said to be worth repeating after so many milliseconds.
    #[must_use]
    pub fn after(mut self, ms: u64) -> Self {
        self.body.retry_after_ms = Some(ms);
        self
    }

    /// 400: the request cannot be read.
    pub fn malformed(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, code, message, hint)
    }

    /// 404 with the code `<noun>_not_found`.
    pub fn not_found(noun: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::NotFound,
            &format!("{noun}_not_found"),
            message,
            hint,
        )
    }

    /// 422: a rule of the chain is broken; `code` names it.
    pub fn refused(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, code, message, hint)
    }

    /// 503: not now; retryable.
    pub fn unavailable(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message, hint)
    }

    /// 503 with the code `overloaded`: the node bears no more at the moment; retryable.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::unavailable(
            "overloaded",
            message,
            "try again in a second, or ask another node",
        )
    }

    /// 500 with the code `internal`: the node failed, and its log says more than the client is told.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::Internal,
            "internal",
            message,
            "the node's log says more; report it if it stays",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_which_status_may_be_tried_again() {
        let page = include_str!("../../docs/http.md");
        for kind in [
            ErrorKind::Malformed,
            ErrorKind::Forbidden,
            ErrorKind::NotFound,
            ErrorKind::MethodNotAllowed,
            ErrorKind::Gone,
            ErrorKind::TooLarge,
            ErrorKind::Refused,
            ErrorKind::Internal,
            ErrorKind::Unavailable,
            ErrorKind::Timeout,
        ] {
            let again = if kind.is_retryable() { "yes" } else { "no" };
            let row = format!("\n| {} | {again} | ", kind.status());
            assert!(page.contains(&row), "{row}");
        }
    }
}
