//! The chain of a scenario: keys that follow from positions, a committee with the scenario's stakes, rich customers.

use types::codec::Text;
use types::committee::Validator;
use types::genesis::{Genesis, GenesisAccount};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{Amount, SQUARE, Stake, Timestamp};
use types::params::Params;

use super::scenario::Committee;

/// Unix time at which every simulation begins, in milliseconds.
pub const BEGIN_UNIX_MS: u64 = 1_700_000_000_000;

/// The keys of one member.
#[derive(Debug, Clone)]
pub struct MemberKeys {
    /// Signs votes.
    pub validator: SecretKey,
    /// Proves beacon outputs.
    pub vrf: VrfSecretKey,
}

/// A chain and everybody's keys.
#[derive(Debug, Clone)]
pub struct World {
    /// The genesis.
    pub genesis: Genesis,
    /// By position in the committee.
    pub members: Vec<MemberKeys>,
    /// Accounts that send transfers.
    pub customers: Vec<SecretKey>,
}

fn key(kind: u8, number: usize) -> SecretKey {
    let mut seed = [kind; 32];
    seed[0] = u8::try_from(number).unwrap_or(u8::MAX);
    SecretKey::from_bytes(&seed)
}

/// The chain of a committee.
#[must_use]
pub fn world(committee: Committee) -> World {
    let stakes = committee.stakes();
    let mut keys: Vec<_> = (0..stakes.len())
        .map(|number| {
            let mut scalar = [7; 32];
            scalar[0] = u8::try_from(number).unwrap_or(u8::MAX);
            let vrf = VrfSecretKey::from_bytes(&scalar).expect("a number below 2^252");
            (MemberKeys { validator: key(1, number), vrf }, key(2, number).public())
        })
        .collect();
    keys.sort_by_key(|(keys, _)| keys.validator.public());
    let validators: Vec<_> = keys
        .iter()
        .zip(stakes)
        .map(|((keys, node_key), stake)| Validator {
            key: keys.validator.public(),
            vrf_key: keys.vrf.public(),
            node_key: *node_key,
            stake: Stake(*stake),
        })
        .collect();
    let customers: Vec<_> = (0..2).map(|number| key(3, number)).collect();
    let rich = |address| GenesisAccount { address, balance: Amount(1_000 * SQUARE.0) };
    let members = keys.iter().map(|(keys, _)| keys.validator.public().address());
    let mut accounts: Vec<_> =
        customers.iter().map(|customer| customer.public().address()).chain(members).map(rich).collect();
    accounts.sort_by_key(|account| account.address);
    let genesis = Genesis {
        name: Text::new("simulation").expect("short"),
        time: Timestamp(BEGIN_UNIX_MS),
        params: Params::devnet(),
        accounts,
        validators,
        partners: Vec::new(),
    };
    World { genesis, members: keys.into_iter().map(|(keys, _)| keys).collect(), customers }
}
