//! What one owner asks of a genesis: a validator or a partner with its public keys, signed on the owner's machine by each of
//! them. Who puts entries together can leave one out, but change nothing in it, and needs no owner's secret.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Genesis, GenesisAccount, GenesisError, GenesisPartner};
use crate::codec::Text;
use crate::committee::Validator;
use crate::hash::{Address, Domain, Hash32};
use crate::key::{KeyError, PublicKey, SecretKey, Signature, VrfProof, VrfPublicKey, VrfSecretKey};
use crate::limits::MAX_NAME_BYTES;
use crate::number::{Amount, Timestamp};
use crate::params::Params;
use crate::spec::PartnerProfile;

/// Longest multiaddress in an entry, in bytes.
pub const MAX_ENTRY_ADDRESS_BYTES: usize = 128;
/// Most entries that one genesis is made of.
pub const MAX_ENTRIES: usize = 4_096;

/// What an owner does in the network.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum EntryOffice {
    /// Orders transactions.
    Validator {
        /// Where the others find it, as a multiaddress.
        address: Text<MAX_ENTRY_ADDRESS_BYTES>,
        /// Its keys and the stake that it asks for.
        member: Validator,
    },
    /// Runs jobs.
    Partner {
        /// Key of its account.
        account: PublicKey,
        /// The bond that it asks for.
        bond: Amount,
        /// What it offers.
        profile: PartnerProfile,
    },
}

/// What one owner asks of a genesis.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisEntry {
    /// Name of the network that it is for, and for no other.
    pub network: Text<MAX_NAME_BYTES>,
    /// What the owner is called, for people.
    pub owner: Text<MAX_NAME_BYTES>,
    /// What its account is to hold before the first block, beside a bond.
    pub balance: Amount,
    /// What it does.
    pub office: EntryOffice,
}

/// The secret keys of an office: what signs an entry, in this order, and what proves its VRF key.
#[derive(Debug, Clone, Copy)]
pub struct EntryKeys<'a> {
    /// A validator's own key and its node key, or a partner's account key.
    pub signers: &'a [SecretKey],
    /// The VRF key.
    pub vrf: &'a VrfSecretKey,
}

/// An entry with the proof that its author holds every key in it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedEntry {
    /// By the keys of the office, in their order.
    pub signatures: Vec<Signature>,
    /// By its VRF key.
    pub vrf_proof: VrfProof,
    /// What is signed.
    pub entry: GenesisEntry,
}

/// Why entries make no genesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The entry is for another network.
    #[error("the entry of {owner} is for the network {found}, this one is {expected}")]
    OtherNetwork {
        /// What the owner is called.
        owner: String,
        /// Network in the entry.
        found: String,
        /// Network of the genesis.
        expected: String,
    },
    /// A signature is missing, too many, or wrong: its author lacks a key, or the entry was changed.
    #[error("the entry of {owner} is not signed by the keys in it: {why}")]
    NotSigned {
        /// What the owner is called.
        owner: String,
        /// What is wrong.
        why: String,
    },
    /// One key is in two entries, or twice in one.
    #[error("the entry of {owner} names the key {key}, which is named before")]
    KeyTwice {
        /// What the owner of the second one is called.
        owner: String,
        /// The key, or an account's address.
        key: String,
    },
    /// More entries than one genesis is made of.
    #[error("there are {0} entries, at most {MAX_ENTRIES} make a genesis")]
    TooMany(usize),
    /// What they make is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

impl GenesisEntry {
    /// Address of the account that the entry funds.
    #[must_use]
    pub fn account(&self) -> Address {
        match &self.office {
            EntryOffice::Validator { member, .. } => member.key.address(),
            EntryOffice::Partner { account, .. } => account.address(),
        }
    }

    fn signers(&self) -> Vec<PublicKey> {
        match &self.office {
            EntryOffice::Validator { member, .. } => vec![member.key, member.node_key],
            EntryOffice::Partner { account, .. } => vec![*account],
        }
    }

    fn vrf_key(&self) -> VrfPublicKey {
        match &self.office {
            EntryOffice::Validator { member, .. } => member.vrf_key,
            EntryOffice::Partner { profile, .. } => profile.vrf_key,
        }
    }

    fn signing_hash(&self) -> Hash32 {
        Hash32::of(Domain::SIGN_GENESIS_ENTRY, self)
    }

    /// Signs the entry. Keys that are not those in it make one that no genesis takes.
    #[must_use]
    pub fn sign(self, keys: EntryKeys<'_>) -> SignedEntry {
        let message = self.signing_hash();
        SignedEntry {
            signatures: keys.signers.iter().map(|key| key.sign(&message)).collect(),
            vrf_proof: keys.vrf.prove(&message),
            entry: self,
        }
    }
}

impl SignedEntry {
    /// Checks that every key in the entry has signed it.
    pub fn verify(&self) -> Result<(), EntryError> {
        let entry = &self.entry;
        let not_signed = |why: String| EntryError::NotSigned {
            owner: entry.owner.to_string(),
            why,
        };
        let signers = entry.signers();
        if signers.len() != self.signatures.len() {
            let (needed, found) = (signers.len(), self.signatures.len());
            let why = format!("signatures needed: {needed}, found: {found}");
            return Err(not_signed(why));
        }
        let message = entry.signing_hash();
        let wrong = |error: KeyError| not_signed(error.to_string());
        for (key, signature) in signers.iter().zip(&self.signatures) {
            key.verify(&message, signature).map_err(wrong)?;
        }
        let vrf = entry.vrf_key();
        vrf.verify(&message, &self.vrf_proof).map_err(wrong)?;
        Ok(())
    }
}

impl Genesis {
    /// The genesis that entries make, whatever their order: validators and partners as they ask, their accounts beside
    /// those that are given. Each entry is verified, for this network alone, and no key may be named twice.
    pub fn of_entries(
        name: Text<MAX_NAME_BYTES>,
        time: Timestamp,
        params: Params,
        accounts: Vec<GenesisAccount>,
        entries: &[SignedEntry],
    ) -> Result<Self, EntryError> {
        if entries.len() > MAX_ENTRIES {
            return Err(EntryError::TooMany(entries.len()));
        }
        let mut genesis = Self {
            name,
            time,
            params,
            accounts,
            validators: Vec::new(),
            partners: Vec::new(),
        };
        let mut named = BTreeSet::new();
        for signed in entries {
            signed.verify()?;
            let entry = &signed.entry;
            if entry.network != genesis.name {
                return Err(EntryError::OtherNetwork {
                    owner: entry.owner.to_string(),
                    found: entry.network.to_string(),
                    expected: genesis.name.to_string(),
                });
            }
            let keys = entry.signers().into_iter().map(|key| key.0);
            for key in keys.chain([entry.vrf_key().0]) {
                if !named.insert(key) {
                    let (owner, key) = (entry.owner.to_string(), Hash32(key).to_string());
                    return Err(EntryError::KeyTwice { owner, key });
                }
            }
            genesis.take(entry);
        }
        genesis.accounts.sort_by_key(|account| account.address);
        genesis.validators.sort_by_key(|validator| validator.key);
        genesis.partners.sort_by_key(|partner| partner.address);
        genesis.check()?;
        Ok(genesis)
    }

    fn take(&mut self, entry: &GenesisEntry) {
        let address = entry.account();
        self.accounts.push(GenesisAccount {
            address,
            balance: entry.balance,
        });
        match &entry.office {
            EntryOffice::Validator { member, .. } => self.validators.push(member.clone()),
            EntryOffice::Partner { bond, profile, .. } => self.partners.push(GenesisPartner {
                address,
                bond: *bond,
                profile: profile.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
