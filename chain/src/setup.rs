//! What a chain is told once.

use std::collections::BTreeSet;
use std::sync::Arc;
use types::hash::{BlockId, ValidatorId};

use types::key::VrfSecretKey;
use types::signer::Signer;
use vm::Rules;

use crate::blob_book::Retention;

/// The validator that runs this chain, with the keys of its duties.
#[derive(Debug, Clone)]
pub struct OwnValidator {
    /// Id of the validator, the address of its key.
    pub id: ValidatorId,
    /// Signs the validator's stored statements and votes as a referee.
    pub signer: Signer,
    /// Key that proves the validator's beacon outputs.
    pub vrf_key: VrfSecretKey,
}

/// The configuration of a chain.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Rules by which blocks are built and executed.
    pub rules: Arc<Rules>,
    /// The validator that runs it; none on a node that only follows, and owes nothing.
    pub own: Option<OwnValidator>,
    /// What is kept of blobs beyond what live jobs need.
    pub retention: Retention,
    /// Most transactions and bytes that wait.
    pub mempool: vm::MempoolLimits,
    /// Blocks that failed in execution in an earlier run, see [`crate::Effect::Quarantine`].
    pub quarantined: BTreeSet<BlockId>,
}
