//! The rules that a block follows: what genesis fixes for good, and the committee and parameters in force, which state
//! holds.

use std::borrow::Cow;

use borsh::BorshDeserialize;
use state::{StateRead, read_as};
use types::committee::{Committee, CommitteeError};
use types::genesis::Genesis;
use types::hash::{ChainId, Hash32};
use types::number::{Amount, Epoch, Gas, Height, ProtocolVersion};
use types::params::Params;
use types::state_key::StateKey;
use types::versions::VersionSchedule;

use crate::{Abort, Corruption};

/// The rules in force after some block. State is their source: what stands under [`StateKey::Committee`] and
/// [`StateKey::Params`] of an epoch never changes, so a copy is right as long as the chain's record names the same epochs.
/// [`Rules::in_force`] checks that and reads what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Id of the chain, which every signature covers.
    pub chain_id: ChainId,
    /// All money at genesis, in units.
    pub supply: Amount,
    /// The network's choices in force.
    pub params: Params,
    /// The first epoch in which these parameters are in force.
    pub params_since: Epoch,
    /// The committee in office.
    pub committee: Committee,
    /// The first epoch of the committee's term: the number that its votes carry.
    pub committee_since: Epoch,
    /// Which version of the protocol is in force at which height: what genesis fixes, and this node's upgrades.
    pub versions: VersionSchedule,
    /// Makes the coefficients of batch verification unpredictable. Without it signatures are verified one by one.
    batch_secret: Option<Hash32>,
}

impl Rules {
    /// The rules in force at genesis on its own L1, as genesis writes them into state.
    pub fn new(genesis: &Genesis) -> Result<Self, CommitteeError> {
        Ok(Self {
            chain_id: genesis.chain_id(),
            supply: genesis.supply().unwrap_or_default(),
            params: genesis.params.clone(),
            params_since: Epoch::FIRST,
            committee: genesis.committee()?,
            committee_since: Epoch::FIRST,
            versions: VersionSchedule::of_genesis(&genesis.params),
            batch_secret: None,
        })
    }

    /// The rules for the child of the block that `state` is after: these, or others read from the state.
    pub fn in_force(&self, state: &dyn StateRead) -> Result<Cow<'_, Self>, Abort> {
        let record = crate::chain_record(state)?;
        let (committee_since, params_since) = (record.committee_since, record.params_since);
        if (self.committee_since, self.params_since) == (committee_since, params_since) {
            return Ok(Cow::Borrowed(self));
        }
        Ok(Cow::Owned(Self {
            params: required(
                state,
                &StateKey::Params(params_since),
                Corruption::NoParams(params_since),
            )?,
            params_since,
            committee: required(
                state,
                &StateKey::Committee(committee_since),
                Corruption::NoCommittee(committee_since),
            )?,
            committee_since,
            ..self.clone()
        }))
    }

    /// Verifies signatures in batches from now on. `secret` must be random and stay in the process; it never
    /// changes a verdict.
    #[must_use]
    pub fn with_batch_secret(mut self, secret: Hash32) -> Self {
        self.batch_secret = Some(secret);
        self
    }

    /// Follows another schedule of versions than that of genesis alone.
    #[must_use]
    pub fn with_versions(mut self, versions: VersionSchedule) -> Self {
        self.versions = versions;
        self
    }

    /// The secret for batches, if there is one.
    #[must_use]
    pub fn batch_secret(&self) -> Option<&Hash32> {
        self.batch_secret.as_ref()
    }

    /// The version of the protocol at a height; the node must stop where this build does not know it.
    pub fn protocol_version(&self, height: Height) -> Result<ProtocolVersion, Abort> {
        Ok(self.versions.known_version(height)?)
    }

    /// The epoch of a height, see [`Params::epoch`].
    #[must_use]
    pub fn epoch(&self, height: Height) -> Epoch {
        self.params.epoch(height)
    }

    /// True for the last block of an epoch.
    #[must_use]
    pub fn is_boundary(&self, height: Height) -> bool {
        self.params.is_boundary(height)
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

    /// Maximum gas of a block.
    #[must_use]
    pub fn block_gas_limit(&self) -> Gas {
        Gas(self.params.block_gas_limit)
    }
}

fn required<T: BorshDeserialize>(
    state: &dyn StateRead,
    key: &StateKey,
    missing: Corruption,
) -> Result<T, Abort> {
    read_as(state, key)?.ok_or_else(|| missing.into())
}
