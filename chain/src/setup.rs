//! What a chain is told once.

use std::sync::Arc;
use types::hash::ValidatorId;

use types::key::{SecretKey, VrfSecretKey};
use vm::Rules;

use crate::blob_book::Retention;

/// The validator that runs this chain, with the keys of its duties.
#[derive(Debug, Clone)]
pub struct OwnValidator {
    /// Its id.
    pub id: ValidatorId,
    /// Signs stored statements.
    pub key: SecretKey,
    /// Proves beacon outputs.
    pub vrf_key: VrfSecretKey,
}

/// The configuration of a chain.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The chain's rules.
    pub rules: Arc<Rules>,
    /// The validator that runs it.
    pub own: OwnValidator,
    /// What is kept of blobs beyond what live jobs need.
    pub retention: Retention,
    /// Most transactions and bytes that wait.
    pub mempool: vm::MempoolLimits,
}
