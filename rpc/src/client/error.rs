//! What can go wrong between a client and a node.

use crate::error::ErrorBody;

/// A rule for the URL of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRule {
    /// At least one URL is needed.
    #[error("no endpoint is given")]
    Given,
    /// It must be a URL.
    #[error("it does not parse")]
    Parses,
    /// Nodes do not speak TLS.
    #[error("the scheme must be http; TLS is for a proxy before the node")]
    Scheme,
    /// A path may only lead to the node, such as that of a chain behind AvalancheGo; the routes are the client's business.
    #[error("it must end before /v1, and hold no query")]
    EndsBeforeRoute,
    /// Nodes know no users.
    #[error("it must not hold a user name or password")]
    NoUser,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A text is not the URL of a node.
    #[error("{url:?} is not the URL of a node: {rule}")]
    Url {
        /// Text that was given.
        url: String,
        /// The rule that it breaks.
        rule: UrlRule,
    },
    /// The HTTP client cannot be set up on this machine.
    #[error("no client of {urls} can be made: {reason}")]
    NoClient {
        /// URLs of the endpoints, with commas between them.
        urls: String,
        /// Innermost cause, as the HTTP client says it.
        reason: String,
    },
    /// The connection cannot be made.
    #[error("no connection to {url}: {reason}")]
    NoConnection {
        /// URL of the endpoint.
        url: String,
        /// Innermost cause, as the system says it.
        reason: String,
    },
    /// The connection broke before the answer was whole.
    #[error("{url} broke off while answering {path}: {reason}")]
    Broken {
        /// URL of the endpoint.
        url: String,
        /// Path of the request, with its query.
        path: String,
        /// Innermost cause, as the system says it.
        reason: String,
    },
    /// No answer in time.
    #[error("{url} did not answer {path} within {seconds} s")]
    Timeout {
        /// URL of the endpoint.
        url: String,
        /// Path of the request, with its query.
        path: String,
        /// Seconds that were waited.
        seconds: u64,
    },
    /// The node answered with an error status.
    #[error("{url} refused {path} ({status} {}): {}", body.code, body.message)]
    Refused {
        /// URL of the endpoint.
        url: String,
        /// Path of the request, with its query.
        path: String,
        /// HTTP status of the answer, 400 to 599.
        status: u16,
        /// Error body of the node.
        body: Box<ErrorBody>,
    },
    /// A longer answer than the route may give.
    #[error("{url} answers {path} with more than {limit} bytes")]
    TooLarge {
        /// URL of the endpoint.
        url: String,
        /// Path of the request, with its query.
        path: String,
        /// Most bytes that the route may answer.
        limit: usize,
    },
    /// Not the answer of a node.
    #[error("{url} answers {path} with something else: {reason}")]
    Malformed {
        /// URL of the endpoint.
        url: String,
        /// Path of the request, with its query.
        path: String,
        /// How it differs from what was expected.
        reason: String,
    },
    /// What was waited for did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    WaitedTooLong {
        /// The event that was waited for.
        what: String,
        /// Seconds that were waited.
        seconds: u64,
    },
}

impl ClientError {
    /// URL of the endpoint that it is about; none if it is about all of them.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url { url, .. }
            | Self::NoConnection { url, .. }
            | Self::Broken { url, .. }
            | Self::Timeout { url, .. }
            | Self::Refused { url, .. }
            | Self::TooLarge { url, .. }
            | Self::Malformed { url, .. } => Some(url),
            Self::NoClient { .. } | Self::WaitedTooLong { .. } => None,
        }
    }

    /// True if no whole answer came: the server cannot be reached, broke off or took too long.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::NoConnection { .. } | Self::Broken { .. } | Self::Timeout { .. }
        )
    }

    /// A stable short name: the node's own code if it refused.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Url { .. } => "bad_url",
            Self::NoClient { .. } => "no_client",
            Self::NoConnection { .. } => "no_connection",
            Self::Broken { .. } => "connection_broken",
            Self::Timeout { .. } => "timeout",
            Self::Refused { body, .. } => &body.code,
            Self::TooLarge { .. } => "answer_too_large",
            Self::Malformed { .. } => "malformed_answer",
            Self::WaitedTooLong { .. } => "waited_too_long",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Url { .. } => "give a URL such as http://127.0.0.1:26601",
            Self::NoClient { .. } => "check this machine's limits of memory and open files",
            Self::NoConnection { .. } => {
                "is the node running, and is this its `rpc.listen` address?"
            }
            Self::Broken { .. } => {
                "try again; if it stays, is this its `rpc.listen` address, and not the one for other validators?"
            }
            Self::Timeout { .. } => {
                "the node is busy or unreachable: try again or ask another node"
            }
            Self::Refused { body, .. } => &body.hint,
            Self::TooLarge { .. } | Self::Malformed { .. } => {
                "is this a gridproof node of the same version?"
            }
            Self::WaitedTooLong { .. } => "it may still happen: look again, or wait longer",
        }
    }

    /// True if the same call may succeed later without a change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::NoClient { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => false,
            Self::NoConnection { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::WaitedTooLong { .. } => true,
            Self::Refused { body, .. } => body.retryable,
        }
    }

    /// True if the node said that the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// The body of a refusal.
    #[must_use]
    pub fn refusal(&self) -> Option<&ErrorBody> {
        match self {
            Self::Refused { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The error in the form in which `--json` shows every error.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        let (code, message, hint) = (
            self.code().to_owned(),
            self.to_string(),
            self.hint().to_owned(),
        );
        ErrorBody {
            code,
            message,
            hint,
            retryable: self.is_retryable(),
            expected_nonce: self.refusal().and_then(|body| body.expected_nonce),
            retry_after_ms: self.refusal().and_then(|body| body.retry_after_ms),
        }
    }
}
