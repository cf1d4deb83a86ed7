//! What a node says when it refuses: one JSON body for every error, with a stable code.

use serde::{Deserialize, Serialize};

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
}
