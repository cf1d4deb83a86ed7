//! What can go wrong between a client and a node.

use crate::error::ErrorBody;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not a URL of a node.
    #[error("{url:?} is not the URL of a node: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("no connection to {url}: {reason}")]
    NoConnection {
        /// The node's URL.
        url: String,
        /// What the system says.
        reason: String,
    },
    /// The connection broke before the answer was whole.
    #[error("{url} broke off while answering {path}: {reason}")]
    Broken {
        /// The node's URL.
        url: String,
        /// What was asked.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// No answer in time.
    #[error("{url} did not answer {path} within {seconds} s")]
    Timeout {
        /// The node's URL.
        url: String,
        /// What was asked.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The node refused.
    #[error("{url} refused {path} ({status} {}): {}", body.code, body.message)]
    Refused {
        /// The node's URL.
        url: String,
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: u16,
        /// What the node says.
        body: Box<ErrorBody>,
    },
    /// A longer answer than the route may give.
    #[error("{url} answers {path} with more than {limit} bytes")]
    TooLarge {
        /// The node's URL.
        url: String,
        /// What was asked.
        path: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not the answer of a node.
    #[error("{url} answers {path} with something else: {reason}")]
    Malformed {
        /// The node's URL.
        url: String,
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was waited for did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    WaitedTooLong {
        /// What was waited for.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
}

impl ClientError {
    /// A stable short name: the node's own code if it refused.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Url { .. } => "bad_url",
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
            Self::Url { .. } => "give a URL such as http://127.0.0.1:26600",
            Self::NoConnection { .. } => {
                "is the node running, and is this its `rpc.listen` address?"
            }
            Self::Broken { .. } => "try again; the node's log says more if it stays",
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
            Self::Url { .. } | Self::TooLarge { .. } | Self::Malformed { .. } => false,
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
        }
    }
}
