//! Signatures over the state of whoever orders the blocks in the committee's stead: a subnet's validators.

use async_trait::async_trait;
use rpc::model::StateSignatures;
use rpc_server::ApiError;
use state::StateError;
use types::number::Height;

use super::view::internal;

/// Gathers what nodes sign of a state.
#[async_trait]
pub trait StateSigners: Send + Sync + 'static {
    /// What nodes have signed of the state after a height, within a few seconds; none if this node has not accepted it.
    async fn signatures(&self, height: Height) -> Result<Option<StateSignatures>, StateError>;
}

/// The answer of the interface.
pub(super) async fn signatures(
    signers: Option<&dyn StateSigners>,
    height: Height,
) -> Result<StateSignatures, ApiError> {
    let no_subnet = || {
        let message =
            "this chain is no subnet: its committee certifies blocks, nobody signs states";
        ApiError::not_found("state_signatures", message, "ask for a proof: /v1/proofs")
    };
    let found = signers.ok_or_else(no_subnet)?.signatures(height).await;
    found.map_err(internal)?.ok_or_else(|| {
        let message = format!("no state is known after height {height}");
        ApiError::not_found(
            "state",
            message,
            "wait until this node has accepted the block",
        )
    })
}
