//! Committees with known keys for tests.

use types::committee::{Committee, Validator};
use types::key::{SecretKey, VrfPublicKey};
use types::number::Stake;

/// A committee of these stakes and its keys, both in the committee's order.
pub(crate) fn committee(stakes: &[u64]) -> (Committee, Vec<SecretKey>) {
    let mut keys: Vec<SecretKey> =
        (0..stakes.len()).map(|i| SecretKey::from_bytes(&[u8::try_from(i).unwrap() + 1; 32])).collect();
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
