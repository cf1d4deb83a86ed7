//! Names of the tree's nodes. A tree hands them out; a store only keeps bytes under them.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use types::number::Height;

/// The name of a stored node: its version in eight big-endian bytes, the length of its path in one, and the path with
/// two nibbles a byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct NodeKey(Vec<u8>);

impl NodeKey {
    /// A name of the form above.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes under which a store keeps the node; they sort by version.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version that made the node; 0 for a name that is too short to have one.
    #[must_use]
    pub fn height(&self) -> Height {
        let version = self.0.first_chunk::<8>().copied().unwrap_or_default();
        Height(u64::from_be_bytes(version))
    }
}

impl fmt::Display for NodeKey {
    /// The bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
