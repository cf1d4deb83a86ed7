//! The other validators as a source of chunks, over p2p.

use chain::blob_tasks::{AskError, ChunkSource};
use p2p::RequestError;
use types::hash::ValidatorId;

/// Source of chunks over the validators' connections.
#[derive(Clone)]
pub(super) struct Peers(pub p2p::Handle);

impl ChunkSource for Peers {
    async fn ask(&self, from: ValidatorId, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let answer = self.0.request(from, request).await.map_err(ask_error)?;
        Ok(answer.into())
    }
}

fn ask_error(error: RequestError) -> AskError {
    match error {
        RequestError::Timeout(_) => AskError::Slow,
        other => AskError::Refused(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_times_out_is_slow_and_one_that_is_refused_is_not() {
        let from = types::testing::validator_id(1);
        assert!(matches!(
            ask_error(RequestError::Timeout(from)),
            AskError::Slow
        ));
        assert!(matches!(
            ask_error(RequestError::NotConnected(from)),
            AskError::Refused(_)
        ));
    }
}
