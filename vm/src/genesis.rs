//! The state of genesis.

use state::Writes;
use types::codec::{Bounded, encode};
use types::genesis::{Genesis, GenesisError};
use types::hash::Address;
use types::number::{Amount, Epoch};
use types::state_key::StateKey;

use crate::beacon::{Beacon, first_seed};
use crate::partner::{check_profile, new_partner};
use crate::{Account, ActionError, ChainRecord, EpochPartner, PartnerSnapshot, gas};

/// Why a genesis gives no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisStateError {
    /// What does not depend on the state machine.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A partner whose registration would be refused.
    #[error("partner {0}: {1}")]
    Partner(Address, Box<ActionError>),
    /// A block could not hold the dearest transaction.
    #[error("parameter block_gas_limit is {found}, the dearest transaction needs {needed}")]
    BlockGasLimit {
        /// What the parameters say.
        found: u64,
        /// Minimum that the rules demand.
        needed: u64,
    },
}

/// Everything in state before the first block. Partners whose bond reaches the minimum are active at once.
pub fn genesis_writes(genesis: &Genesis) -> Result<Writes, GenesisStateError> {
    genesis.check()?;
    let needed = gas::min_block_gas_limit().0;
    if genesis.params.block_gas_limit < needed {
        return Err(GenesisStateError::BlockGasLimit {
            found: genesis.params.block_gas_limit,
            needed,
        });
    }
    let mut writes = Writes::new();
    let chain_id = genesis.chain_id();
    let beacon = Beacon::genesis(chain_id);
    put(&mut writes, StateKey::Beacon, &beacon);
    put(&mut writes, StateKey::BeaconAt(beacon.step), &beacon.value);
    let first = Epoch::FIRST;
    let committee = genesis.committee().map_err(GenesisError::Committee)?;
    put(&mut writes, StateKey::Committee(first), &committee);
    put(&mut writes, StateKey::Params(first), &genesis.params);
    for epoch in [first, first.next()] {
        put(
            &mut writes,
            StateKey::EpochSeed(epoch),
            &first_seed(chain_id, epoch),
        );
    }
    for account in genesis
        .accounts
        .iter()
        .filter(|account| account.balance != Amount::ZERO)
    {
        let value = Account {
            balance: account.balance,
            ..Account::default()
        };
        put(&mut writes, StateKey::Account(account.address), &value);
    }
    write_partners(genesis, &mut writes)?;
    let supply = genesis.supply().unwrap_or_default();
    let liquid =
        Amount::sum(genesis.accounts.iter().map(|account| account.balance)).unwrap_or_default();
    let attempt_ms = genesis.params.compute.execute_window_ms;
    let chain = ChainRecord::at_genesis(supply, liquid, attempt_ms);
    put(&mut writes, StateKey::Chain, &chain);
    Ok(writes)
}

fn write_partners(genesis: &Genesis, writes: &mut Writes) -> Result<(), GenesisStateError> {
    let (mut index, mut snapshot) = (Vec::new(), Vec::new());
    for partner in &genesis.partners {
        check_profile(&genesis.params.compute.classes, &partner.profile)
            .map_err(|error| GenesisStateError::Partner(partner.address, Box::new(error)))?;
        let record = new_partner(partner.profile.clone(), partner.bond);
        put(writes, StateKey::Partner(partner.address), &record);
        if partner.bond >= genesis.params.compute.min_bond {
            index.push(partner.address);
            let (address, bond, profile) = (partner.address, partner.bond, record.profile);
            snapshot.push(EpochPartner {
                address,
                bond,
                profile,
            });
        }
    }
    put(writes, StateKey::PartnerIndex, &index);
    let snapshot =
        PartnerSnapshot(Bounded::new(snapshot).expect("the genesis check bounds the partners"));
    put(writes, StateKey::PartnerSnapshot(Epoch::FIRST), &snapshot);
    Ok(())
}

fn put<T: borsh::BorshSerialize>(writes: &mut Writes, key: StateKey, value: &T) {
    writes.insert(key, Some(encode(value)));
}
