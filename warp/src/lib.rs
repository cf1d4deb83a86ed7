//! Avalanche Warp messages about this chain's state: what they say, how they are written, and when a subnet's validators
//! have signed one.
//!
//! A subnet's validators sign, with the BLS keys that the P-chain knows, that the state after an accepted height has a
//! certain root ([`StateClaim`]). Whoever has the validators' weights and keys from a P-chain that it trusts aggregates
//! the signatures and checks them ([`WarpValidators`]); the result ([`SignedClaim`]) is the message as every chain of
//! Avalanche verifies it. Formats and rules are those of AvalancheGo, byte for byte. The only crate that names blst.
//!
//! What it leaves out: gathering signatures, asking a P-chain, and deciding which P-chain is to be trusted. Pure.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod claim;
mod id;
#[cfg(feature = "testing")]
pub mod testing;
mod validators;

pub use claim::{ClaimError, SIGNATURE_BYTES, SignedClaim, StateClaim};
pub use id::{AvalancheId, AvalancheNodeId};
pub use validators::{
    Aggregate, PUBLIC_KEY_BYTES, QUORUM_PERCENT, QuorumError, ValidatorsError, WarpValidators,
    WeighedNode,
};
