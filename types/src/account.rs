//! Values of the state that programs outside the state machine read by proof: accounts, partners, the partners that
//! count in an epoch, and the list of live jobs; and the rule of sortition, which every partner evaluates for itself.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use ruint::aliases::U256;

use crate::codec::Bounded;
use crate::hash::{Address, Domain, JobId};
use crate::job::PartnerProfile;
use crate::key::VrfOutput;
use crate::limits::{MAX_PARTNERS, MAX_UNBONDINGS};
use crate::number::{Amount, ChainTime, EngineClass, Fixed64, Nonce};

/// An account, under `StateKey::Account`. One that nobody ever paid is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// What it may spend.
    pub balance: Amount,
    /// Transactions that it sent.
    pub nonce: Nonce,
}

/// A registered partner, under `StateKey::Partner`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Partner {
    /// What it offers, as last registered.
    pub profile: PartnerProfile,
    /// Its bond, locked parts included, without what is being unbonded.
    pub bond: Amount,
    /// What of the bond live jobs lock.
    pub locks: BTreeMap<JobId, Amount>,
    /// On its way back to the account, soonest first.
    pub unbonding: Bounded<Unbonding, MAX_UNBONDINGS>,
    /// Jobs that it is primary of.
    pub running: u16,
    /// Value of its jobs that verification confirmed.
    pub verified_value: Amount,
}

/// Bond on its way back to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Unbonding {
    /// How much.
    pub amount: Amount,
    /// When it is paid.
    pub due: ChainTime,
}

impl Partner {
    /// What of the bond live jobs lock, together.
    #[must_use]
    pub fn locked(&self) -> Amount {
        Amount::sum(self.locks.values().copied()).unwrap_or(self.bond)
    }

    /// How many jobs it is bound to verify: those that lock a part of its bond and that it does not run.
    #[must_use]
    pub fn verifications(&self) -> usize {
        self.locks.len().saturating_sub(usize::from(self.running))
    }

    /// What of the bond no job locks.
    #[must_use]
    pub fn free(&self) -> Amount {
        self.bond.saturating_sub(self.locked())
    }
}

/// The partners that count in an epoch, under `StateKey::PartnerSnapshot`, sorted by address.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct PartnerSnapshot(pub Bounded<EpochPartner, MAX_PARTNERS>);

/// What of a partner counts in an epoch.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EpochPartner {
    /// Its account.
    pub address: Address,
    /// Its bond.
    pub bond: Amount,
    /// Keys, ask and attributes.
    pub profile: PartnerProfile,
}

impl PartnerSnapshot {
    /// The partner with an address.
    #[must_use]
    pub fn partner(&self, address: &Address) -> Option<&EpochPartner> {
        self.0
            .binary_search_by(|partner| partner.address.cmp(address))
            .ok()
            .and_then(|at| self.0.get(at))
    }

    /// The bonds of a class together, without that of `except`, which takes no part in the sortition on its own work.
    #[must_use]
    pub fn class_bond(&self, class: EngineClass, except: &Address) -> Amount {
        let taking_part = self
            .0
            .iter()
            .filter(|partner| partner.profile.class == class && partner.address != *except);
        Amount::sum(taking_part.map(|partner| partner.bond)).unwrap_or(Amount(u128::MAX))
    }
}

/// True if a sortition output draws a partner that holds `bond` of the `class_bond` taking part:
/// output / 2^64 < mu x bond / class bond, with mu = `expected_verifiers`; rounded down.
#[must_use]
pub fn is_drawn(
    output: &VrfOutput,
    expected_verifiers: Fixed64,
    bond: Amount,
    class_bond: Amount,
) -> bool {
    if class_bond == Amount::ZERO {
        return false;
    }
    // Both sides in units of 2^-64; the product of two 128-bit numbers fits 256 bits.
    let threshold =
        U256::from(expected_verifiers.0) * U256::from(bond.0) / U256::from(class_bond.0);
    U256::from(output.hash(Domain::SORTITION).low_u64()) < threshold
}

/// The jobs whose stage may still change, under `StateKey::LiveJobs`, ascending.
pub type LiveJobs = Vec<JobId>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_bond_is_the_chance_of_being_drawn() {
        let outputs: Vec<_> = (0u8..=255)
            .flat_map(|a| (0u8..8).map(move |b| [a, b]))
            .map(|seed| {
                let mut bytes = [0; 64];
                bytes[..2].copy_from_slice(&seed);
                VrfOutput(bytes)
            })
            .collect();
        let drawn = |mu: u128, bond: u128, class: u128| {
            outputs
                .iter()
                .filter(|output| is_drawn(output, Fixed64(mu), Amount(bond), Amount(class)))
                .count()
        };
        assert_eq!(
            drawn(1 << 64, 1, 1),
            outputs.len(),
            "mu = 1 and all of the bond"
        );
        assert_eq!(
            drawn(3 << 64, u128::MAX / 2, u128::MAX),
            outputs.len(),
            "no overflow"
        );
        assert_eq!(drawn(1 << 64, 0, 5), 0);
        assert_eq!(drawn(1 << 64, 1, 0), 0);
        let quarter = drawn(1 << 63, 1, 2);
        assert!(
            (outputs.len() / 5..outputs.len() * 3 / 10).contains(&quarter),
            "{quarter} of {}",
            outputs.len()
        );
    }
}
