//! What a chain's genesis fixes for its state machine.

use std::collections::BTreeSet;

use types::committee::{Committee, CommitteeError};
use types::genesis::Genesis;
use types::hash::{ChainId, Hash32, ValidatorId};
use types::number::{Epoch, Gas, Height};
use types::params::Params;

/// The rules of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Signed by everything.
    pub chain_id: ChainId,
    /// What the network chose.
    pub params: Params,
    /// The committee; the same in all epochs.
    pub committee: Committee,
    /// All money at genesis.
    pub supply: types::number::Amount,
    /// Makes the coefficients of batch verification unpredictable. Without it signatures are verified one by one.
    batch_secret: Option<Hash32>,
}

impl Rules {
    /// The rules that follow from a genesis on its own L1.
    pub fn new(genesis: &Genesis) -> Result<Self, CommitteeError> {
        Ok(Self {
            chain_id: genesis.chain_id(),
            params: genesis.params.clone(),
            committee: genesis.committee()?,
            supply: genesis.supply().unwrap_or_default(),
            batch_secret: None,
        })
    }

    /// Verifies signatures in batches from now on. `secret` must be random and stay in the process; it never
    /// changes a verdict.
    #[must_use]
    pub fn with_batch_secret(mut self, secret: Hash32) -> Self {
        self.batch_secret = Some(secret);
        self
    }

    /// The secret for batches, if there is one.
    #[must_use]
    pub fn batch_secret(&self) -> Option<&Hash32> {
        self.batch_secret.as_ref()
    }

    /// The epoch of a height, see [`Params::epoch`].
    #[must_use]
    pub fn epoch(&self, height: Height) -> Epoch {
        self.params.epoch(height)
    }

    /// True for the last block of an epoch.
    #[must_use]
    pub fn is_boundary(&self, height: Height) -> bool {
        height != Height::ZERO && height.0.is_multiple_of(self.params.epoch_length.max(1))
    }

    /// What the header of a height says of the next committee: its hash on a boundary block, else zero.
    #[must_use]
    pub fn next_committee(&self, height: Height) -> Hash32 {
        if self.is_boundary(height) {
            self.committee.hash()
        } else {
            Hash32::ZERO
        }
    }

    /// True if validators hold a quorum of the stake.
    #[must_use]
    pub fn is_quorum(&self, validators: &BTreeSet<ValidatorId>) -> bool {
        self.committee.stake_of_ids(validators) >= self.committee.thresholds().quorum
    }

    /// Maximum gas of a block.
    #[must_use]
    pub fn block_gas_limit(&self) -> Gas {
        Gas(self.params.block_gas_limit)
    }
}
