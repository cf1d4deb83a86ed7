//! Committees with known keys, for tests.

use types::committee::Committee;
use types::key::SecretKey;
use types::testing;

/// A committee of these stakes and its keys, both in the committee's order.
pub(crate) fn committee(stakes: &[u64]) -> (Committee, Vec<SecretKey>) {
    let validators = testing::validators(stakes);
    let keys = validators.into_iter().map(|validator| validator.key);
    (testing::committee(stakes), keys.collect())
}
