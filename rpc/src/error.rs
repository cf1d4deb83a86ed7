//! What a node says when it refuses: one JSON body for every error, with a stable code.

use serde::{Deserialize, Serialize};
use types::number::Nonce;

/// The JSON body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A stable short name, such as `job_not_found`.
    pub code: String,
    /// One sentence: what was attempted and why it failed.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// True if the same request may succeed later without a change.
    pub retryable: bool,
    /// The nonce that the account's next transaction must have, where another one is why a transaction was refused. A
    /// retryable one was too far ahead of it: it is taken once those before it are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_nonce: Option<Nonce>,
    /// How long to wait before the same request is sent again, in milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
