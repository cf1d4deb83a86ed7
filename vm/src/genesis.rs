//! The state of genesis.

use state::Writes;
use types::codec::{Bounded, encode};
use types::genesis::{Genesis, GenesisError};
use types::hash::Address;
use types::limits::PARTNER_PAGES;
use types::number::{Amount, Epoch};
use types::snapshot::{EpochPartner, PageVersion, PartnerIndex, PartnerPage, page_of};
use types::state_key::StateKey;

use crate::beacon::{Beacon, first_seed};
use crate::partner::{check_profile, new_partner};
use crate::{Account, ActionError, ChainRecord, gas};

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
    let mut pages: [Vec<EpochPartner>; PARTNER_PAGES] = std::array::from_fn(|_| Vec::new());
    for partner in &genesis.partners {
        check_profile(&genesis.params.compute.classes, &partner.profile)
            .map_err(|error| GenesisStateError::Partner(partner.address, Box::new(error)))?;
        let record = new_partner(partner.profile.clone(), partner.bond);
        put(writes, StateKey::Partner(partner.address), &record);
        let page = pages.get_mut(usize::from(page_of(&partner.address)));
        if let Some(page) = page.filter(|_| partner.bond >= genesis.params.compute.min_bond) {
            page.push(EpochPartner {
                address: partner.address,
                bond: partner.bond,
                profile: record.profile,
            });
        }
    }
    let mut index = PartnerIndex::default();
    for (version, (number, page)) in index.0.iter_mut().zip((0u8..).zip(pages)) {
        let page = PartnerPage(Bounded::new(page).expect("the genesis check bounds the partners"));
        *version = PageVersion::new(Epoch::FIRST, &page);
        if version.partners > 0 {
            put(writes, StateKey::PartnerPage(number, Epoch::FIRST), &page);
        }
    }
    put(writes, StateKey::PartnerIndex, &index);
    put(writes, StateKey::PartnerSnapshot(Epoch::FIRST), &index);
    Ok(())
}

fn put<T: borsh::BorshSerialize>(writes: &mut Writes, key: StateKey, value: &T) {
    writes.insert(key, Some(encode(value)));
}
