//! A call whose panic is an answer: what it said comes back as a text. Aborts, such as of a full stack, still end the
//! process.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a call gives, or what its panic said. What the call changed is dropped with it, or was never changed: it works
/// on values of its own over a store that it only reads.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned())
    })
}
