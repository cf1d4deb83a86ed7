//! Names of the tree's nodes: the version that made a node, and the path that leads to it. A store only keeps bytes
//! under them.

use std::fmt;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use types::hash::Hash32;
use types::limits::HASH_BYTES;
use types::number::Height;

/// Nibbles of a key's hash: no path is longer.
pub(crate) const MAX_PATH_NIBBLES: u8 = 64;

/// A path from the root: the first nibbles of the hashes of all keys below it, the high half of a byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodePath {
    length: u8,
    /// Nibbles behind the path are zero.
    nibbles: [u8; HASH_BYTES],
}

impl NodePath {
    /// The path to the root.
    pub const ROOT: Self = Self {
        length: 0,
        nibbles: [0; HASH_BYTES],
    };

    /// How many nibbles it has; at most 64.
    #[must_use]
    pub fn len(&self) -> u8 {
        self.length
    }

    /// True for the path to the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The path of these nibbles, the first ones of a key's hash; `None` if they are more than a key has, or one is above 15.
    #[must_use]
    pub fn of_nibbles(nibbles: &[u8]) -> Option<Self> {
        let step = |path: Self, nibble: &u8| (*nibble < 16).then(|| path.child(*nibble)).flatten();
        nibbles.iter().try_fold(Self::ROOT, step)
    }

    /// Its nibbles, one a byte: in this form paths sort by the keys below them, and a path stands before those that go on
    /// from it.
    #[must_use]
    pub fn to_nibbles(&self) -> Vec<u8> {
        let key = Hash32(self.nibbles);
        (0..self.length).map(|depth| nibble(&key, depth)).collect()
    }

    /// The path one nibble longer; `None` if it is as long as a key already.
    pub(crate) fn child(&self, nibble: u8) -> Option<Self> {
        let mut nibbles = self.nibbles;
        let byte = nibbles.get_mut(usize::from(self.length / 2))?;
        *byte |= if self.length.is_multiple_of(2) {
            nibble << 4
        } else {
            nibble & 0x0f
        };
        Some(Self {
            length: self.length + 1,
            nibbles,
        })
    }

    /// True if the key's hash begins with this path.
    pub(crate) fn leads_to(&self, key: &Hash32) -> bool {
        let whole = usize::from(self.length / 2);
        self.nibbles[..whole] == key.0[..whole]
            && (self.length.is_multiple_of(2) || self.nibbles[whole] >> 4 == key.0[whole] >> 4)
    }

    /// The bytes that hold the path.
    fn bytes(&self) -> &[u8] {
        &self.nibbles[..usize::from(self.length.div_ceil(2))]
    }
}

/// The nibble of a key's hash at a depth below 64.
pub(crate) fn nibble(key: &Hash32, depth: u8) -> u8 {
    let byte = key.0[usize::from(depth / 2)];
    if depth.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 0x0f
    }
}

/// The name of a stored node: its version in eight big-endian bytes, the length of its path in one, and the path with
/// two nibbles a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    height: Height,
    path: NodePath,
}

impl NodeKey {
    /// The node of a version at a path.
    pub(crate) fn new(height: Height, path: NodePath) -> Self {
        Self { height, path }
    }

    /// The root of a version.
    pub(crate) fn root(height: Height) -> Self {
        Self::new(height, NodePath::ROOT)
    }

    /// The bytes under which a store keeps the node; they sort by version.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let path = self.path.bytes();
        let mut bytes = Vec::with_capacity(9 + path.len());
        bytes.extend(self.height.0.to_be_bytes());
        bytes.push(self.path.length);
        bytes.extend(path);
        bytes
    }

    /// The version that made the node.
    #[must_use]
    pub fn height(&self) -> Height {
        self.height
    }

    /// Where in the tree the node stands.
    #[must_use]
    pub fn path(&self) -> &NodePath {
        &self.path
    }
}

impl fmt::Display for NodeKey {
    /// The bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl BorshSerialize for NodePath {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&[self.length])?;
        writer.write_all(self.bytes())
    }
}

impl BorshSerialize for NodeKey {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&self.to_bytes())
    }
}

impl BorshDeserialize for NodePath {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let length = u8::deserialize_reader(reader)?;
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidData, text);
        if length > MAX_PATH_NIBBLES {
            return Err(invalid("a path is longer than a key"));
        }
        let mut nibbles = [0; HASH_BYTES];
        reader.read_exact(&mut nibbles[..usize::from(length.div_ceil(2))])?;
        if !length.is_multiple_of(2) && nibbles[usize::from(length / 2)] & 0x0f != 0 {
            return Err(invalid("a path has bits behind its end"));
        }
        Ok(Self { length, nibbles })
    }
}

impl BorshDeserialize for NodeKey {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let height = Height(u64::from_be_bytes(<[u8; 8]>::deserialize_reader(reader)?));
        let path = NodePath::deserialize_reader(reader)?;
        Ok(Self { height, path })
    }
}

#[cfg(test)]
mod tests {
    use types::codec::{decode, encode};

    use super::*;

    fn path(nibbles: &[u8]) -> NodePath {
        let step = |path: NodePath, nibble: &u8| path.child(*nibble).unwrap();
        nibbles.iter().fold(NodePath::ROOT, step)
    }

    #[test]
    fn a_path_leads_to_the_keys_that_begin_with_it() {
        let mut key = Hash32([0; HASH_BYTES]);
        key.0[..3].copy_from_slice(&[0xab, 0xcd, 0xef]);
        let nibbles = [0xa, 0xb, 0xc, 0xd, 0xe, 0xf];
        for length in 0..nibbles.len() {
            let right = path(&nibbles[..length]);
            assert!(right.leads_to(&key));
            assert_eq!(usize::from(right.len()), length);
            assert_eq!(right.is_empty(), length == 0);
            assert_eq!(nibble(&key, right.len()), nibbles[length]);
            for wrong in (0..16).filter(|wrong| *wrong != nibbles[length]) {
                assert!(!right.child(wrong).unwrap().leads_to(&key));
            }
        }
        let whole = path(&[0x1; 64]);
        assert!(whole.leads_to(&Hash32([0x11; HASH_BYTES])));
        assert!(!whole.leads_to(&Hash32([0x12; HASH_BYTES])));
        assert_eq!(whole.child(1), None, "no path is longer than a key");
    }

    #[test]
    fn a_name_has_one_encoding() {
        for length in 0..=64u8 {
            let nibbles: Vec<_> = (0..length).map(|at| (at % 16 * 7 + 1) % 16).collect();
            let name = NodeKey::new(Height(258), path(&nibbles));
            let bytes = encode(&name);
            assert_eq!(bytes, name.to_bytes());
            assert_eq!(decode::<NodeKey>(&bytes, 64), Ok(name));
            assert_eq!(
                NodePath::of_nibbles(&name.path.to_nibbles()),
                Some(name.path)
            );
            if !length.is_multiple_of(2) {
                let mut more = bytes.clone();
                *more.last_mut().unwrap() |= 1;
                assert!(decode::<NodeKey>(&more, 64).is_err());
            }
        }
        let mut long = encode(&NodeKey::root(Height(1)));
        long[8] = 65;
        long.extend([0; 33]);
        assert!(decode::<NodeKey>(&long, 64).is_err());
        assert!(decode::<NodeKey>(&[0; 8], 64).is_err());
    }

    #[test]
    fn names_sort_like_their_bytes() {
        let mut names: Vec<_> = (0..200u8)
            .map(|n| {
                let nibbles: Vec<_> = (0..n % 5).map(|at| (n >> at) % 16).collect();
                NodeKey::new(Height(u64::from(n % 3) << 7), path(&nibbles))
            })
            .collect();
        names.sort_unstable();
        let bytes: Vec<_> = names.iter().map(NodeKey::to_bytes).collect();
        assert!(bytes.is_sorted());
    }
}
