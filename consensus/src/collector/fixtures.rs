//! Committees with known keys, and blocks, for tests.

use types::block::{Block, Body, Header};
use types::committee::{Committee, Validator};
use types::hash::{BlockId, ChainId, Hash32};
use types::key::{SecretKey, VrfPublicKey};
use types::number::{Amount, Gas, Height, ProtocolVersion, Stake, Timestamp, ValidatorIndex};

/// A committee of these stakes and its keys, both in the committee's order.
pub(crate) fn committee(stakes: &[u64]) -> (Committee, Vec<SecretKey>) {
    let mut keys: Vec<SecretKey> = (0..stakes.len())
        .map(|i| SecretKey::from_bytes(&[u8::try_from(i).unwrap() + 1; 32]))
        .collect();
    keys.sort_by_key(SecretKey::public);
    let member = |(key, stake): (&SecretKey, &u64)| Validator {
        key: key.public(),
        vrf_key: VrfPublicKey::default(),
        node_key: key.public(),
        stake: Stake(*stake),
    };
    let members = keys.iter().zip(stakes).map(member).collect();
    (Committee::new(members).unwrap(), keys)
}

/// A block without transactions.
pub(crate) fn empty_block(
    chain_id: ChainId,
    parent: BlockId,
    height: u64,
    timestamp: u64,
    proposer: ValidatorIndex,
) -> Block {
    let body = Body::default();
    let header = Header {
        protocol_version: ProtocolVersion(1),
        chain_id,
        height: Height(height),
        parent,
        timestamp: Timestamp(timestamp),
        proposer,
        transaction_root: body.root(),
        base_fee: Amount(1),
        next_committee: Hash32::ZERO,
        parent_state_root: Hash32::ZERO,
        parent_receipt_root: Hash32::ZERO,
        parent_gas_used: Gas(0),
    };
    Block { header, body }
}
