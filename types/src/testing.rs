//! What tests of every crate are made of: validators with keys, a genesis, blocks without transactions, certificates,
//! jobs, compiled programs, and numbers that follow from a seed.
//!
//! Everything here follows from its arguments, so a test that fails fails again. Built for tests and with the feature
//! `testing` only; the feature adds this module and changes nothing else.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub mod fuzz;
mod jobs;
pub mod numbered;
mod programs;
mod property;

pub use jobs::{chain, job_record, job_spec, no_parties, no_policy, workload};
pub use programs::program_path;
pub use property::seeded;

use crate::block::{Block, Body, Header};
use crate::codec::{Bounded, Text, encode};
use crate::committee::{Committee, Validator};
use crate::genesis::Genesis;
use crate::hash::{Address, BlockId, ChainId, Hash32, ValidatorId};
use crate::key::{SecretKey, VrfSecretKey};
use crate::limits::ADDRESS_BYTES;
use crate::number::{
    Amount, Epoch, Gas, Height, Nonce, ProtocolVersion, Stake, Timestamp, ValidatorIndex, View,
};
use crate::params::Params;
use crate::transaction::{Action, Transaction};
use crate::vote::{Certificate, Statement, Subject, Vote};

/// Numbers that follow from a seed, the same on every machine: ChaCha with 8 rounds.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The numbers of a seed that is printed, so that a test which fails says how to repeat it. The environment
    /// variable `GRIDPROOF_TEST_SEED` replaces the seed.
    #[must_use]
    #[expect(
        clippy::print_stdout,
        reason = "tests show their output when they fail"
    )]
    pub fn printed(seed: u64) -> Self {
        let given = std::env::var("GRIDPROOF_TEST_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok()).unwrap_or(seed);
        println!("repeat with GRIDPROOF_TEST_SEED={seed}");
        Self::new(seed)
    }

    /// The next number, of all 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound.max(1)
    }

    /// A number in `low..high`; `low` if the range is empty.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// A position in a list of `length` items; 0 if it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length fits 64 bits");
        usize::try_from(self.below(length)).expect("below a length")
    }

    /// True in `per_mille` of 1,000 cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// Fills `bytes` with the next random bytes of the seed.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A stream of its own that follows from this one.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

/// A validator with its secrets.
#[derive(Debug, Clone)]
pub struct TestValidator {
    /// Signs votes, proposals and statements.
    pub key: SecretKey,
    /// Secret of the key that proves its beacon outputs.
    pub vrf_key: VrfSecretKey,
    /// The node's own key.
    pub node_key: SecretKey,
    /// Stake in the test committee.
    pub stake: Stake,
}

impl TestValidator {
    /// Id of the validator, the address of its key.
    #[must_use]
    pub fn id(&self) -> ValidatorId {
        self.key.public().validator_id()
    }

    /// What genesis and the committee say of it.
    #[must_use]
    pub fn public(&self) -> Validator {
        Validator {
            key: self.key.public(),
            vrf_key: self.vrf_key.public(),
            node_key: self.node_key.public(),
            stake: self.stake,
        }
    }
}

/// Validators with these stakes, in the committee's order: the first stake is that of the lowest key.
#[must_use]
pub fn validators(stakes: &[u64]) -> Vec<TestValidator> {
    let secret = |role: u8, number: u16| {
        let mut bytes = [role; 32];
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        // The highest byte of a scalar must be low; for ed25519 any bytes are a key.
        bytes[31] = 0;
        bytes
    };
    let numbers = (1u16..).take(stakes.len());
    let mut all: Vec<_> = numbers
        .map(|number| TestValidator {
            key: SecretKey::from_bytes(&secret(0xa0, number)),
            vrf_key: VrfSecretKey::from_bytes(&secret(0xb0, number)).expect("a canonical scalar"),
            node_key: SecretKey::from_bytes(&secret(0xc0, number)),
            stake: Stake::ZERO,
        })
        .collect();
    all.sort_by_key(|validator| validator.key.public());
    for (validator, stake) in all.iter_mut().zip(stakes) {
        validator.stake = Stake(*stake);
    }
    all
}

/// The committee of [`validators`] with these stakes.
#[must_use]
pub fn committee(stakes: &[u64]) -> Committee {
    let members = validators(stakes)
        .into_iter()
        .map(|validator| validator.public());
    Committee::new(members.collect()).expect("sorted, with stakes above zero")
}

/// A genesis with a devnet's parameters and the [`validators`] with these stakes; no accounts, no partners.
#[must_use]
pub fn genesis(stakes: &[u64]) -> Genesis {
    Genesis {
        name: Text::new("test").expect("a short name"),
        time: Timestamp(1_000),
        params: Params::devnet(),
        accounts: Vec::new(),
        validators: validators(stakes)
            .iter()
            .map(TestValidator::public)
            .collect(),
        partners: Vec::new(),
    }
}

/// An id of no validator with keys, for tests that only tell ids apart: ascending with `number`.
#[must_use]
pub fn validator_id(number: u8) -> ValidatorId {
    ValidatorId(Address([number; ADDRESS_BYTES]))
}

/// A block without transactions. What it says of its parent's results is zero.
#[must_use]
pub fn empty_block(
    chain_id: ChainId,
    parent: BlockId,
    height: Height,
    timestamp: Timestamp,
    proposer: ValidatorId,
) -> Block {
    let body = Body::default();
    let header = Header {
        protocol_version: ProtocolVersion(1),
        chain_id,
        height,
        parent,
        timestamp,
        proposer,
        transaction_root: body.root(),
        base_fee: Params::devnet().min_fee,
        next_committee: Hash32::ZERO,
        parent_state_root: Hash32::ZERO,
        parent_receipt_root: Hash32::ZERO,
        parent_gas_used: Gas::ZERO,
    };
    Block { header, body }
}

/// The block with transfers of about that many bytes, all the same: it is whole, and cannot be executed.
#[must_use]
pub fn filled(mut block: Block, bytes: usize) -> Block {
    let key = SecretKey::from_bytes(&[4; 32]);
    let transfer = Transaction {
        chain_id: block.header.chain_id,
        sender: key.public(),
        nonce: Nonce(0),
        valid_until: Height(1),
        fee: Amount(1),
        action: Action::Transfer {
            to: Address::default(),
            amount: Amount(1),
        },
    }
    .sign(&key);
    let count = bytes / encode(&transfer).len();
    block.body.transactions =
        Bounded::new(vec![transfer; count]).expect("as many as a block holds");
    block.header.transaction_root = block.body.root();
    block
}

/// A certificate of the first term in view 7, signed by members given with their positions in the committee.
#[must_use]
pub fn certificate(chain: ChainId, subject: Subject, signers: &[(u16, &SecretKey)]) -> Certificate {
    let statement = Statement {
        epoch: Epoch::FIRST,
        view: View(7),
        subject,
    };
    let sign =
        |(at, key): &(u16, &SecretKey)| Vote::sign(statement, ValidatorIndex(*at), key, chain);
    let votes: Vec<_> = signers.iter().map(sign).collect();
    Certificate::from_votes(statement, &votes)
}

/// One SQUARE many times: an amount for accounts and bonds.
#[must_use]
pub fn square(count: u128) -> Amount {
    Amount(crate::number::SQUARE.0 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random::new(7);
        let first: Vec<_> = (0..2).map(|_| random.next_u64()).collect();
        let mut again = Random::new(7);
        assert_eq!(first, [again.next_u64(), again.next_u64()]);
        assert_ne!(first, [Random::new(8).next_u64(), first[1]]);
    }

    #[test]
    fn ranges_hold_and_chances_are_about_right() {
        let mut random = Random::printed(7);
        assert!((0..1_000).all(|_| (3..9).contains(&random.range(3, 9))));
        assert_eq!(
            (random.range(5, 5), random.below(0), random.index(0)),
            (5, 0, 0)
        );
        let hits = (0..10_000).filter(|_| random.chance(300)).count();
        assert!((2_700..3_300).contains(&hits), "{hits}");
    }

    #[test]
    fn the_genesis_passes_its_own_check() {
        for stakes in [&[1u64][..], &[4, 3, 3, 3], &[7; 256]] {
            assert_eq!(genesis(stakes).check(), Ok(()));
            let found: Vec<_> = committee(stakes)
                .members()
                .iter()
                .map(|m| m.stake.0)
                .collect();
            assert_eq!(found, stakes);
        }
    }
}
