//! The light client: from the genesis that a reader trusts to a value in state and to a job's files, without trust in
//! any node.
//!
//! A certificate of the committee makes a header final, parents' ids lead from it back to another header, that header
//! names a state root, a path in the tree leads to a value. Every step is checked here, by code of its own: the tree's
//! engine and the node share none of it. The committee is that of genesis; a header that announces another one is
//! refused.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod document;
mod finality;
#[cfg(test)]
mod fixture;
mod job;
mod tree;

use types::committee::Committee;
use types::genesis::{Genesis, GenesisError};
use types::hash::ChainId;

pub use document::{DocumentError, FORMAT, MAX_DOCUMENT_BYTES};
pub use finality::{FinalityError, Value, ValueError, minimal_certificate};
pub use job::{
    Evidence, FileRef, JobError, JobFiles, Stream, VerifiedJob, files_of, verify_outcomes,
};
pub use tree::{TreeError, verify_state};

/// What a reader trusts: a chain and its committee.
#[derive(Debug, Clone)]
pub struct Light {
    chain: ChainId,
    committee: Committee,
}

impl Light {
    /// Trusts a genesis.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self {
            chain: genesis.chain_id(),
            committee: genesis.committee()?,
        })
    }

    /// Trusts the genesis of these bytes.
    pub fn from_bytes(genesis: &[u8]) -> Result<Self, GenesisError> {
        Self::new(&Genesis::from_bytes(genesis)?)
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The committee whose quorum makes a block final.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        &self.committee
    }
}
