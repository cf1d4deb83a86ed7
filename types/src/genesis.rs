//! Genesis: the one value from which a chain and its id follow.

mod entry;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::block::{Body, Header};
use crate::codec::{CodecError, Text, decode, encode};
use crate::committee::{Committee, CommitteeError, Validator};
use crate::hash::{Address, BlockId, ChainId, Domain, Hash32, ValidatorId};
use crate::key::KeyError;
use crate::limits::{MAX_GENESIS_BYTES, MAX_NAME_BYTES, MAX_PAGE_PARTNERS, PARTNER_PAGES};
use crate::number::{Amount, Gas, Height, Timestamp};
use crate::params::{Params, ParamsError};
use crate::snapshot::page_of;
use crate::spec::PartnerProfile;
use crate::versions::VersionSchedule;

pub use entry::{
    EntryError, EntryKeys, EntryOffice, GenesisEntry, MAX_ENTRIES, MAX_ENTRY_ADDRESS_BYTES,
    SignedEntry,
};

/// The genesis of a chain: canonical borsh, shown as TOML.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Name of the network.
    pub name: Text<MAX_NAME_BYTES>,
    /// Timestamp of height 0.
    pub time: Timestamp,
    /// Rules the network chose.
    pub params: Params,
    /// Accounts, sorted by address, each once.
    pub accounts: Vec<GenesisAccount>,
    /// The committee, sorted by key.
    pub validators: Vec<Validator>,
    /// Partners that count from the first epoch on, sorted by account.
    pub partners: Vec<GenesisPartner>,
}

/// An account's first balance.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Address of the account that is funded.
    pub address: Address,
    /// What it holds before the first block.
    pub balance: Amount,
}

/// A partner that is registered from the start.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisPartner {
    /// Address of the partner's account.
    pub address: Address,
    /// Its bond, beside the account's balance.
    pub bond: Amount,
    /// Its keys, ask and attributes.
    pub profile: PartnerProfile,
}

/// Why a genesis is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The bytes are not the canonical encoding of a genesis.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The validators are no committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// A key of a validator or partner is weak or invalid.
    #[error("the {kind} key of {owner} is not valid: {error}")]
    Key {
        /// What the key is for.
        kind: GenesisKey,
        /// Address of the validator's own key, or of the partner's account.
        owner: Address,
        /// The rule that the key breaks.
        error: KeyError,
    },
    /// More partners of one page than there may be.
    #[error("{found} partners of one page of addresses, at most {MAX_PAGE_PARTNERS} are allowed")]
    TooManyPartners {
        /// Number of partners of a page.
        found: usize,
    },
    /// Accounts are not in ascending order of address, each once.
    #[error("accounts must be sorted by address, each once; {0} is out of place")]
    AccountsNotSorted(Address),
    /// Partners are not in ascending order of address, each once.
    #[error("partners must be sorted by address, each once; {0} is out of place")]
    PartnersNotSorted(Address),
    /// The sum of all money does not fit 128 bits.
    #[error("balances and bonds together overflow")]
    Supply,
    /// A parameter that cannot work.
    #[error(transparent)]
    Params(#[from] ParamsError),
}

/// What a key of the genesis is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenesisKey {
    /// Signs a validator's votes.
    #[error("validator")]
    Validator,
    /// A validator's identity on the network.
    #[error("node")]
    Node,
    /// Proves a validator's beacon outputs.
    #[error("validator VRF")]
    ValidatorVrf,
    /// Proves a partner's sortitions.
    #[error("partner VRF")]
    PartnerVrf,
}

/// The first address that is not above the one before it.
fn out_of_place(mut addresses: impl Iterator<Item = Address>) -> Option<Address> {
    let mut before = None;
    addresses.find(|address| before.replace(*address) >= Some(*address))
}

impl Genesis {
    /// Decodes and checks a genesis.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self = decode(bytes, MAX_GENESIS_BYTES)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// Checks everything that does not depend on state.
    pub fn check(&self) -> Result<(), GenesisError> {
        self.committee()?;
        for validator in &self.validators {
            let owner = validator.key.address();
            let bad = |kind| move |error| GenesisError::Key { kind, owner, error };
            let (key, node_key) = (&validator.key, &validator.node_key);
            key.check_strong().map_err(bad(GenesisKey::Validator))?;
            node_key.check_strong().map_err(bad(GenesisKey::Node))?;
            let vrf_key = &validator.vrf_key;
            vrf_key.check().map_err(bad(GenesisKey::ValidatorVrf))?;
        }
        for partner in &self.partners {
            let (kind, owner) = (GenesisKey::PartnerVrf, partner.address);
            let vrf_key = &partner.profile.vrf_key;
            vrf_key
                .check()
                .map_err(|error| GenesisError::Key { kind, owner, error })?;
        }
        let mut places = [0usize; PARTNER_PAGES];
        for partner in &self.partners {
            if let Some(taken) = places.get_mut(usize::from(page_of(&partner.address))) {
                *taken += 1;
            }
        }
        if let Some(found) = places.into_iter().find(|taken| *taken > MAX_PAGE_PARTNERS) {
            return Err(GenesisError::TooManyPartners { found });
        }
        if let Some(account) = out_of_place(self.accounts.iter().map(|account| account.address)) {
            return Err(GenesisError::AccountsNotSorted(account));
        }
        if let Some(partner) = out_of_place(self.partners.iter().map(|partner| partner.address)) {
            return Err(GenesisError::PartnersNotSorted(partner));
        }
        self.supply().ok_or(GenesisError::Supply)?;
        Ok(self.params.check()?)
    }

    /// The committee of the first epoch.
    pub fn committee(&self) -> Result<Committee, CommitteeError> {
        Committee::new(self.validators.clone())
    }

    /// All money: balances and bonds.
    #[must_use]
    pub fn supply(&self) -> Option<Amount> {
        let balances = self.accounts.iter().map(|account| account.balance);
        Amount::sum(balances.chain(self.partners.iter().map(|partner| partner.bond)))
    }

    /// The header of height 0. Nothing comes before it: its parent and all that it says of its parent are zero. The
    /// state of genesis is what the header of height 1 names.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            protocol_version: VersionSchedule::of_genesis(&self.params).version(Height::ZERO),
            chain_id: self.chain_id(),
            height: Height::ZERO,
            parent: BlockId::default(),
            timestamp: self.time,
            proposer: ValidatorId::ZERO,
            transaction_root: Body::default().root(),
            base_fee: self.params.min_fee,
            next_committee: Hash32::ZERO,
            parent_state_root: Hash32::ZERO,
            parent_receipt_root: Hash32::ZERO,
            parent_gas_used: Gas::ZERO,
        }
    }

    /// The chain's id on its own L1 (host chain id zero).
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId(Hash32::of_parts(
            Domain::CHAIN,
            &[&Hash32::ZERO.0, &encode(self)],
        ))
    }
}
