//! Chunks and their proofs, without any disk.
//!
//! The encoding of chunk `n` is the bao slice of its 256 KiB without a length header: the hash pairs on the way from
//! the root down to the chunk, each 64 bytes, then the chunk's bytes. For one blob id and `n` exactly one encoding is
//! valid, and its length follows from the id, so nothing is allocated for bytes that could not be right.

use std::io::Read;

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::{DecodeResponseIter, ReadAt, encode_ranges_validated, outboard};
use bao_tree::io::{BaoContentItem, EncodeError};
use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};
use types::hash::{BlobId, Hash32};
use types::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};

/// log2 of BLAKE3's own 1 KiB chunks in one of ours.
const CHUNK_LOG: u8 = 8;
const BLOCK: BlockSize = BlockSize::from_chunk_log(CHUNK_LOG);
const PAIR_BYTES: u64 = 64;

/// Largest encoding of a chunk: its bytes, and one hash pair per level of the largest tree.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "a constant far below 2^32"
)]
pub const MAX_ENCODED_CHUNK_BYTES: usize =
    (BLOB_CHUNK_BYTES + PAIR_BYTES * levels(MAX_BLOB_BYTES / BLOB_CHUNK_BYTES) as u64) as usize;

const _: () = {
    assert!(
        BLOB_CHUNK_BYTES == 1_024 << CHUNK_LOG,
        "the block size is the protocol's chunk"
    );
    assert!(
        MAX_ENCODED_CHUNK_BYTES < types::limits::MAX_FRAME_BYTES,
        "a chunk fits a frame"
    );
};

/// Levels of inner nodes above `chunks` leaves.
const fn levels(chunks: u64) -> u32 {
    chunks.next_power_of_two().trailing_zeros()
}

/// Why an encoded chunk is not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The blob is larger than any job may name.
    #[error("a blob of {length} bytes, at most {MAX_BLOB_BYTES} are allowed")]
    TooLarge {
        /// The length that the id names.
        length: u64,
    },
    /// The blob has no such chunk.
    #[error("chunk {n} of a blob that has {count}")]
    NoSuchChunk {
        /// Number of the chunk asked for.
        n: u32,
        /// Number of chunks of the blob.
        count: u32,
    },
    /// The encoding cannot have this length.
    #[error("chunk {n} is encoded in {expected} bytes, {found} were given")]
    WrongLength {
        /// Number of the chunk.
        n: u32,
        /// The only possible length, in bytes.
        expected: u64,
        /// The length given, in bytes.
        found: usize,
    },
    /// The bytes or their proof do not lead to the blob's hash.
    #[error("chunk {n} does not belong to blob {hash} of this length")]
    WrongHash {
        /// Number of the chunk.
        n: u32,
        /// Hash of the blob.
        hash: Hash32,
    },
    /// The blob's bytes could not be read while encoding.
    #[error("chunk {n} cannot be read: {kind}")]
    Unreadable {
        /// Number of the chunk.
        n: u32,
        /// The kind of the system's error.
        kind: std::io::ErrorKind,
    },
    /// All chunks were right and yet the whole is not the blob: the named length is wrong.
    #[error("the assembled bytes are not blob {hash} of {length} bytes")]
    WrongWhole {
        /// Hash of the blob.
        hash: Hash32,
        /// Length that the id names, in bytes.
        length: u64,
    },
}

/// How many chunks a blob has; an empty one has a single empty chunk.
#[must_use]
pub fn chunk_count(id: BlobId) -> u32 {
    u32::try_from(id.length.div_ceil(BLOB_CHUNK_BYTES).max(1)).unwrap_or(u32::MAX)
}

/// Number of bytes in chunk `n`, if there is one.
#[must_use]
pub fn chunk_length(id: BlobId, n: u32) -> Option<u64> {
    (n < chunk_count(id))
        .then(|| (id.length - u64::from(n) * BLOB_CHUNK_BYTES).min(BLOB_CHUNK_BYTES))
}

/// Length of the only valid encoding of chunk `n`, if there is such a chunk.
#[must_use]
pub fn encoded_length(id: BlobId, n: u32) -> Option<u64> {
    // In a tree over `count` leaves the left part is the largest power of two below `count`.
    let (mut count, mut position, mut pairs) = (chunk_count(id), n, 0);
    while count > 1 {
        let left = 1 << (count - 1).ilog2();
        if position < left {
            count = left;
        } else {
            (position, count) = (position - left, count - left);
        }
        pairs += 1;
    }
    Some(chunk_length(id, n)? + PAIR_BYTES * pairs)
}

fn ranges(id: BlobId, n: u32) -> ChunkRanges {
    let chunk = |n: u64| ChunkNum(n << CHUNK_LOG);
    if n + 1 == chunk_count(id) {
        ChunkRanges::from(chunk(u64::from(n))..)
    } else {
        ChunkRanges::from(chunk(u64::from(n))..chunk(u64::from(n) + 1))
    }
}

fn checked(id: BlobId, n: u32) -> Result<(), ChunkError> {
    if !id.is_allowed() {
        return Err(ChunkError::TooLarge { length: id.length });
    }
    let count = chunk_count(id);
    if n >= count {
        Err(ChunkError::NoSuchChunk { n, count })
    } else {
        Ok(())
    }
}

/// Verifies an encoded chunk and gives its bytes.
///
/// The bytes are at `n x 256 KiB` of a blob with this hash. That the blob has this *length* is shown only by the last
/// chunk: whoever assembles a blob must have all chunks, and checks the whole (see [`Assembler`]).
pub fn verify_chunk(id: BlobId, n: u32, encoded: &[u8]) -> Result<Vec<u8>, ChunkError> {
    checked(id, n)?;
    let expected = encoded_length(id, n).expect("the chunk exists");
    if u64::try_from(encoded.len()) != Ok(expected) {
        return Err(ChunkError::WrongLength {
            n,
            expected,
            found: encoded.len(),
        });
    }
    let (tree, ranges) = (BaoTree::new(id.length, BLOCK), ranges(id, n));
    let mut rest = encoded;
    let mut bytes = None;
    for item in DecodeResponseIter::new(id.hash.0.into(), tree, &mut rest, &ranges) {
        match item.map_err(|_| ChunkError::WrongHash { n, hash: id.hash })? {
            BaoContentItem::Parent(_) => {}
            BaoContentItem::Leaf(leaf) => bytes = Some(leaf.data),
        }
    }
    match bytes {
        Some(bytes) if rest.is_empty() => Ok(bytes.into()),
        _ => Err(ChunkError::WrongHash { n, hash: id.hash }),
    }
}

/// The hash tree of a blob: what is needed beside the bytes to encode chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoder(PreOrderMemOutboard);

impl Encoder {
    /// Tree of chunk hashes over the whole blob `bytes`, and with it the blob's id.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("a length fits 64 bits");
        Self::of_reader(bytes, length).expect("memory holds as many bytes as it says")
    }

    /// Hashes exactly `length` bytes of a reader.
    pub fn of_reader(reader: impl Read, length: u64) -> std::io::Result<Self> {
        let tree = BaoTree::new(length, BLOCK);
        let size = usize::try_from(tree.outboard_size()).map_err(std::io::Error::other)?;
        let mut board = PreOrderMemOutboard {
            root: [0; 32].into(),
            tree,
            data: vec![0; size],
        };
        board.root = outboard(reader, tree, &mut board)?;
        Ok(Self(board))
    }

    /// The blob that was hashed.
    #[must_use]
    pub fn id(&self) -> BlobId {
        BlobId {
            hash: Hash32(*self.0.root.as_bytes()),
            length: self.0.tree.size(),
        }
    }

    /// Encodes chunk `n` of the blob whose bytes `data` gives; the bytes are verified on the way.
    pub fn encode(&self, data: impl ReadAt, n: u32) -> Result<Vec<u8>, ChunkError> {
        let id = self.id();
        checked(id, n)?;
        let mut encoded = Vec::new();
        match encode_ranges_validated(data, &self.0, &ranges(id, n), &mut encoded) {
            Ok(()) => Ok(encoded),
            Err(EncodeError::Io(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Err(ChunkError::Unreadable {
                    n,
                    kind: error.kind(),
                })
            }
            Err(_) => Err(ChunkError::WrongHash { n, hash: id.hash }),
        }
    }

    /// The inner nodes' hash pairs, for a file.
    pub(crate) fn pairs(&self) -> &[u8] {
        &self.0.data
    }

    /// The tree from a file's hash pairs; nothing if their number is wrong. Wrong hashes show when a chunk is encoded.
    pub(crate) fn from_pairs(id: BlobId, pairs: Vec<u8>) -> Option<Self> {
        let tree = BaoTree::new(id.length, BLOCK);
        (u64::try_from(pairs.len()) == Ok(tree.outboard_size())).then(|| {
            Self(PreOrderMemOutboard {
                root: id.hash.0.into(),
                tree,
                data: pairs,
            })
        })
    }
}

/// Puts a blob together in memory from its chunks, in order, and checks the whole at the end.
#[derive(Debug, Clone)]
pub struct Assembler {
    id: BlobId,
    next: u32,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Starts with nothing. Memory grows as verified chunks come in, never by the length that the id names.
    pub fn new(id: BlobId) -> Result<Self, ChunkError> {
        checked(id, 0)?;
        Ok(Self {
            id,
            next: 0,
            bytes: Vec::new(),
        })
    }

    /// The next chunk to fetch; nothing if all are there.
    #[must_use]
    pub fn wanted(&self) -> Option<u32> {
        (self.next < chunk_count(self.id)).then_some(self.next)
    }

    /// Takes the wanted chunk.
    pub fn push(&mut self, encoded: &[u8]) -> Result<(), ChunkError> {
        let bytes = verify_chunk(self.id, self.next, encoded)?;
        self.bytes.extend_from_slice(&bytes);
        self.next += 1;
        Ok(())
    }

    /// The blob, if all chunks are there and the whole has the named hash and length.
    pub fn finish(self) -> Result<Vec<u8>, ChunkError> {
        if BlobId::of(&self.bytes) == self.id {
            Ok(self.bytes)
        } else {
            Err(ChunkError::WrongWhole {
                hash: self.id.hash,
                length: self.id.length,
            })
        }
    }
}

#[cfg(test)]
mod tests;
