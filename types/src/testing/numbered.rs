//! People with numbers: keys, a genesis and transfers for tests that name validators and accounts 1, 2, 3, ... Number
//! [`CUSTOMER`] is a rich account that is no validator.

use crate::codec::Text;
use crate::committee::Validator;
use crate::genesis::{Genesis, GenesisAccount};
use crate::key::{SecretKey, VrfSecretKey};
use crate::number::{Height, Nonce, Stake, Timestamp};
use crate::params::Params;
use crate::transaction::{Action, SignedTransaction, Transaction};

use super::square;

/// Number of the rich customer.
pub const CUSTOMER: u8 = 100;
/// Unix time of the genesis, in milliseconds.
pub const GENESIS_MS: u64 = 1_700_000_000_000;

/// The key of a validator or account.
#[must_use]
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
}

/// The VRF key of a validator or account; numbers that differ by 16 share one.
#[must_use]
pub fn vrf_key(number: u8) -> VrfSecretKey {
    VrfSecretKey::from_bytes(&[number & 0x0f; 32]).expect("a canonical scalar")
}

/// A chain with validators 1 to `members` of equal stake. Each of them has an account, and so has the customer, of 1,000
/// SQUARE each.
#[must_use]
pub fn genesis(members: u8) -> Genesis {
    let mut validators: Vec<_> = (1..=members)
        .map(|number| Validator {
            key: key(number).public(),
            vrf_key: vrf_key(number).public(),
            node_key: key(number + 50).public(),
            stake: Stake(1),
        })
        .collect();
    validators.sort_by_key(|validator| validator.key);
    let mut accounts: Vec<_> = (1..=members)
        .chain([CUSTOMER])
        .map(|number| GenesisAccount {
            address: key(number).public().address(),
            balance: square(1_000),
        })
        .collect();
    accounts.sort_by_key(|account| account.address);
    Genesis {
        name: Text::new("test").expect("a short name"),
        time: Timestamp(GENESIS_MS),
        params: Params::devnet(),
        accounts,
        validators,
        partners: Vec::new(),
    }
}

/// A transfer of five base units from an account to that of validator 1, at the minimum fee.
#[must_use]
pub fn transfer(genesis: &Genesis, sender: u8, nonce: u64) -> SignedTransaction {
    let sender = key(sender);
    Transaction {
        chain_id: genesis.chain_id(),
        sender: sender.public(),
        nonce: Nonce(nonce),
        valid_until: Height(1_000),
        fee: genesis.params.min_fee,
        action: Action::Transfer {
            to: key(1).public().address(),
            amount: crate::number::Amount(5),
        },
    }
    .sign(&sender)
}
