//! The light client: from the genesis that a reader trusts to a value in state and to a job's files, without trust in
//! any node.
//!
//! A certificate of a committee makes a header final, parents' ids lead from it back to another header, that header names
//! a state root, a path in the tree leads to a value. Every step is checked here, by code of its own: the tree's engine and
//! the node share none of it. The first committee is that of genesis; each next one is taken over a handover that the one
//! before finalized ([`Light::advance`]). A certificate counts for headers of its committee's own term only.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod document;
mod finality;
#[cfg(test)]
mod fixture;
mod handover;
mod job;
mod tree;

use types::committee::Committee;
use types::genesis::{Genesis, GenesisError};
use types::hash::ChainId;
use types::number::Epoch;
use types::params::Params;
use types::vote::Term;

pub use document::{DocumentError, FORMAT, MAX_DOCUMENT_BYTES};
pub use finality::{FinalityError, ProvenValue, ValueError};
pub use handover::HandoverError;
pub use job::{
    FileRef, JobEvidence, JobFiles, JobProofError, ReceiptStanding, StandingReceipt, Stream,
    VerifiedJob, files_of, verify_outcomes,
};
pub use tree::{TreeError, verify_state};

/// What a reader trusts: a chain and the committees of its terms of office, as far as they are proven.
#[derive(Debug, Clone)]
pub struct Light {
    chain: ChainId,
    /// The parameters of genesis; what is used of them, the epoch length, holds for good.
    params: Params,
    /// Each committee with the first epoch of its term, ascending; never empty.
    committees: Vec<(Epoch, Committee)>,
}

impl Light {
    /// A light client that trusts this genesis and its committee. Errors: a genesis that breaks its own rules.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self {
            chain: genesis.chain_id(),
            params: genesis.params.clone(),
            committees: vec![(Epoch::FIRST, genesis.committee()?)],
        })
    }

    /// Trusts the genesis of these bytes.
    pub fn from_bytes(genesis: &[u8]) -> Result<Self, GenesisError> {
        Self::new(&Genesis::from_bytes(genesis)?)
    }

    /// Id of the chain whose genesis is trusted.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The newest committee that is proven, with the first epoch of its term.
    #[must_use]
    pub fn newest_term(&self) -> Term<'_> {
        let (epoch, committee) = self.committees.last().expect("genesis has a committee");
        self.term_of(*epoch, committee)
    }

    /// The committee whose term begins with this epoch, if it is proven.
    #[must_use]
    pub fn term(&self, epoch: Epoch) -> Option<Term<'_>> {
        let known = self.committees.iter();
        let mut found = known.filter(|(first, _)| *first == epoch);
        found
            .next()
            .map(|(_, committee)| self.term_of(epoch, committee))
    }

    fn term_of<'a>(&self, epoch: Epoch, committee: &'a Committee) -> Term<'a> {
        Term {
            chain: self.chain,
            epoch,
            committee,
        }
    }

    /// The first epoch of the term after the one that begins with `epoch`, if it is proven.
    fn next_term(&self, epoch: Epoch) -> Option<Epoch> {
        let mut later = self.committees.iter().map(|(first, _)| *first);
        later.find(|first| *first > epoch)
    }
}
