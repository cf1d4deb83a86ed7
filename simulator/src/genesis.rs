//! The chain of a scenario: keys that follow from positions, a committee with the scenario's stakes, rich customers,
//! bonded partners.

use std::collections::BTreeMap;

use types::codec::Text;
use types::committee::Validator;
use types::genesis::{Genesis, GenesisAccount, GenesisPartner};
use types::job::{CLASS_WASM_V2, PartnerProfile};
use types::key::{SecretKey, VrfSecretKey};
use types::number::{Amount, SQUARE, Stake, Timestamp};
use types::params::Params;

/// Unix time at which every simulation begins, in milliseconds.
pub const BEGIN_UNIX_MS: u64 = 1_700_000_000_000;

/// The keys of one member.
#[derive(Debug, Clone)]
pub struct MemberKeys {
    /// The key that signs its votes.
    pub validator: SecretKey,
    /// The key that proves its beacon outputs.
    pub vrf: VrfSecretKey,
}

/// The keys of one partner and what it offers.
#[derive(Debug, Clone)]
pub struct PartnerKeys {
    /// The key that signs its transactions.
    pub account: SecretKey,
    /// The key that proves its sortitions.
    pub vrf: VrfSecretKey,
    /// The profile that it is registered with.
    pub profile: PartnerProfile,
    /// Its bond at genesis.
    pub bond: Amount,
}

/// A chain before its first block, and everybody's keys.
#[derive(Debug, Clone)]
pub struct SimulatedChain {
    /// Genesis that all simulated nodes start from.
    pub genesis: Genesis,
    /// Keys of the validators, by position in the committee.
    pub members: Vec<MemberKeys>,
    /// Keys of the accounts that send transfers.
    pub customers: Vec<SecretKey>,
    /// Keys and profiles of the partners.
    pub partners: Vec<PartnerKeys>,
    /// Key of the account that submits jobs.
    pub job_customer: SecretKey,
}

/// Number of partners of every simulated chain.
const PARTNERS: usize = 4;

fn vrf(kind: u8, number: usize) -> VrfSecretKey {
    let mut scalar = [kind; 32];
    scalar[0] = u8::try_from(number).unwrap_or(u8::MAX);
    VrfSecretKey::from_bytes(&scalar).expect("a number below 2^252")
}

fn partner(number: usize) -> PartnerKeys {
    let (account, vrf) = (key(4, number), vrf(8, number));
    let profile = PartnerProfile {
        name: Text::new(format!("partner {number}")).expect("short"),
        classes: [CLASS_WASM_V2].into(),
        vrf_key: vrf.public(),
        ask: Amount(SQUARE.0 / 1_000_000),
        places: 2,
        attributes: BTreeMap::new(),
    };
    PartnerKeys {
        account,
        vrf,
        profile,
        bond: Amount(10_000 * SQUARE.0),
    }
}

fn key(kind: u8, number: usize) -> SecretKey {
    let mut seed = [kind; 32];
    seed[0] = u8::try_from(number).unwrap_or(u8::MAX);
    SecretKey::from_bytes(&seed)
}

/// The chain of a committee with these stakes, by position.
#[must_use]
pub fn world(stakes: &[u64]) -> SimulatedChain {
    let mut keys: Vec<_> = (0..stakes.len())
        .map(|number| {
            (
                MemberKeys {
                    validator: key(1, number),
                    vrf: vrf(7, number),
                },
                key(2, number).public(),
            )
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
    let rich = |address| GenesisAccount {
        address,
        balance: Amount(1_000 * SQUARE.0),
    };
    let (partners, job_customer) = ((0..PARTNERS).map(partner).collect::<Vec<_>>(), key(5, 0));
    let members = keys
        .iter()
        .map(|(keys, _)| keys.validator.public().address());
    let others = partners
        .iter()
        .map(|partner| &partner.account)
        .chain(&customers)
        .chain([&job_customer]);
    let mut accounts: Vec<_> = others
        .map(|key| key.public().address())
        .chain(members)
        .map(rich)
        .collect();
    accounts.sort_by_key(|account| account.address);
    let mut registered: Vec<_> = partners
        .iter()
        .map(|partner| GenesisPartner {
            address: partner.account.public().address(),
            bond: partner.bond,
            profile: partner.profile.clone(),
        })
        .collect();
    registered.sort_by_key(|partner| partner.address);
    let genesis = Genesis {
        name: Text::new("simulation").expect("short"),
        time: Timestamp(BEGIN_UNIX_MS),
        params: Params::devnet(),
        accounts,
        validators,
        partners: registered,
    };
    let members = keys.into_iter().map(|(keys, _)| keys).collect();
    SimulatedChain {
        genesis,
        members,
        customers,
        partners,
        job_customer,
    }
}
