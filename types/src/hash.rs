//! Hashes and the identifiers made of them. Every hash is BLAKE3 in key-derivation mode with a context string of
//! its own (BLAKE3 paper, section 2.3), so that no two kinds of value can share one.

use std::fmt;
use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::encode;
use crate::limits::{ADDRESS_BYTES, HASH_BYTES, MAX_BLOB_BYTES};

/// What a hash is taken of: a BLAKE3 derivation context.
#[derive(Clone, Copy)]
pub struct Domain {
    context: &'static str,
    /// Hash of the context, taken once: most hashes are of one block, and it would cost another.
    key: &'static LazyLock<ContextKey>,
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.context == other.context
    }
}

impl Eq for Domain {}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Domain").field(&self.context).finish()
    }
}

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Domain {
            $($(#[$doc])* pub const $name: Self = {
                const CONTEXT: &str = concat!("gridproof v1 ", $text);
                static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(CONTEXT));
                Self { context: CONTEXT, key: &KEY }
            };)*
            /// Every domain, so that a test can show that no two share a context.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

domains! {
    /// A chain id from genesis and host chain id.
    CHAIN = "chain id";
    /// An account address from a public key.
    ADDRESS = "account address";
    /// A block id from its header.
    BLOCK = "block id";
    /// A transaction id from its unsigned bytes.
    TRANSACTION = "transaction id";
    /// A system transaction's subject, for the once-only rule.
    SYSTEM = "system transaction id";
    /// A job id from the transaction that submits it.
    JOB = "job id";
    /// A lock on a bond, from its reason.
    LOCK = "lock id";
    /// The hash of a committee, which headers announce.
    COMMITTEE = "committee hash";
    /// The position of a state key in the tree.
    STATE_KEY = "state key";
    /// A state value in the tree.
    STATE_VALUE = "state value";
    /// An inner node of the state tree.
    STATE_NODE = "state node";
    /// A leaf of the state tree.
    STATE_LEAF = "state leaf";
    /// A leaf of a Merkle list.
    MERKLE_LEAF = "merkle leaf";
    /// An inner node of a Merkle list.
    MERKLE_NODE = "merkle node";
    /// The root of a Merkle list, over its length.
    MERKLE_ROOT = "merkle root";
    /// What is signed for a transaction.
    SIGN_TRANSACTION = "sign transaction";
    /// What is signed for a proposal.
    SIGN_PROPOSE = "sign propose";
    /// What is signed for a block of a subnet.
    SIGN_BLOCK = "sign block";
    /// What is signed for a notarize vote.
    SIGN_NOTARIZE = "sign notarize";
    /// What is signed for a nullify vote.
    SIGN_NULLIFY = "sign nullify";
    /// What is signed for a finalize vote.
    SIGN_FINALIZE = "sign finalize";
    /// What is signed for a stored statement.
    SIGN_STORED = "sign stored";
    /// What is signed for an owner's entry of a genesis.
    SIGN_GENESIS_ENTRY = "sign genesis entry";
    /// What is signed for a peer record.
    SIGN_PEER = "sign peer record";
    /// What is signed to ask for one's own latest votes.
    SIGN_VOTE_RECOVERY = "sign vote recovery";
    /// What is signed for a request to a node's HTTP interface.
    SIGN_REQUEST = "sign request";
    /// The body of a signed request.
    REQUEST_BODY = "request body";
    /// The workload of a job.
    WORKLOAD = "workload";
    /// The inputs of a job's tasks.
    INPUTS = "job inputs";
    /// The leaf of a task's outcome.
    LEAF = "task leaf";
    /// The blinding of a leaf.
    BLIND = "leaf blind";
    /// A leaf under its blinding, as it stands in a result's tree.
    BLINDED = "blinded leaf";
    /// A commitment to a result root (rule C4).
    COMMITMENT = "commitment";
    /// A program under an engine class.
    PROGRAM = "program";
    /// A referee's commitment to what it found at a task.
    REFEREE_VOTE = "referee vote";
    /// What a program held at a drawn point of a task.
    WITNESS = "witness";
    /// The salt of a referee's vote, from a signature that it shows nobody.
    REFEREE_SALT = "referee salt";
    /// What a partner's VRF is run over to find whether it audits a settled job.
    AUDIT = "audit";
    /// What a challenger blinds its commitment with.
    CHALLENGE_SALT = "challenge salt";
    /// The seed of an epoch.
    EPOCH_SEED = "epoch seed";
    /// The value of a beacon step.
    BEACON = "beacon";
    /// The message of a beacon output.
    BEACON_INPUT = "beacon input";
    /// The message of a sortition.
    SORTITION = "sortition";
    /// The tasks drawn by a sortition output.
    DRAWN_TASKS = "drawn tasks";
    /// A draw from the beacon.
    DRAW = "beacon draw";
    /// Leader slots of a window of views.
    LEADERS = "leader order";
    /// A permutation of stake-weighted slots.
    ORDER = "slot order";
    /// The contributors of the beacon.
    CONTRIBUTORS = "beacon contributors";
    /// The random bytes of a task.
    TASK_RANDOM = "task random";
    /// The receipt of a transaction, as a leaf of the receipt root.
    RECEIPT = "transaction receipt";
    /// A record of a log, chained over the one before.
    LOG_RECORD = "log record";
}

/// A BLAKE3 hash of 32 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Hash32(pub [u8; HASH_BYTES]);

impl Hash32 {
    /// The hash of all zeros: "nothing" where the protocol says so.
    pub const ZERO: Self = Self([0; HASH_BYTES]);

    /// Hash of the concatenation of fixed-length `parts` in a domain. Variable lengths belong in [`Hash32::of`].
    #[must_use]
    pub fn of_parts(domain: Domain, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(domain.key);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Hash of a value's canonical encoding in a domain.
    #[must_use]
    pub fn of<T: BorshSerialize + ?Sized>(domain: Domain, value: &T) -> Self {
        Self::of_parts(domain, &[&encode(value)])
    }

    /// The first eight bytes as a little-endian number, for draws.
    #[must_use]
    pub fn low_u64(&self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().expect("eight of 32 bytes"))
    }
}

macro_rules! hex_text {
    ($name:ident, $bytes:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0.as_ref()))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "{}({})",
                    stringify!($name),
                    hex::encode(&AsRef::<[u8]>::as_ref(&self.0)[..4])
                )
            }
        }
        impl std::str::FromStr for $name {
            type Err = crate::codec::CodecError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != 2 * $bytes || text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(crate::codec::CodecError::NotHex { digits: 2 * $bytes });
                }
                let mut bytes = [0u8; $bytes];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| crate::codec::CodecError::NotHex { digits: 2 * $bytes })?;
                Ok(Self(bytes.into()))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as Deserialize>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_text;

hex_text!(Hash32, HASH_BYTES);

impl AsRef<[u8]> for Hash32 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; HASH_BYTES]> for Hash32 {
    fn from(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }
}

macro_rules! hash_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub Hash32);
        hex_text!($name, HASH_BYTES);
        impl From<[u8; HASH_BYTES]> for $name {
            fn from(bytes: [u8; HASH_BYTES]) -> Self {
                Self(Hash32(bytes))
            }
        }
    )*};
}

hash_id! {
    /// Names a chain: hash of its genesis and of the host chain's id (zero on its own L1).
    ChainId;
    /// Names a block: hash of its header.
    BlockId;
    /// Names a transaction: hash of its unsigned bytes.
    TransactionId;
    /// Names a job: hash of the id of the transaction that submitted it.
    JobId;
    /// Hash of the workload of a job: what is computed, whoever pays.
    WorkloadId;
}

/// A 20-byte account address, one space for native and EVM accounts.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Address(pub [u8; ADDRESS_BYTES]);
hex_text!(Address, ADDRESS_BYTES);

impl AsRef<[u8]> for Address {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; ADDRESS_BYTES]> for Address {
    fn from(bytes: [u8; ADDRESS_BYTES]) -> Self {
        Self(bytes)
    }
}

/// Names a validator for good: the account of the key with which it first took office. A validator is known by its id
/// in state, in headers and statements, among peers and in the API. Its position in a committee
/// ([`crate::number::ValidatorIndex`]) means something in the certificates of that committee only.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct ValidatorId(pub Address);
hex_text!(ValidatorId, ADDRESS_BYTES);

impl AsRef<[u8]> for ValidatorId {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl ValidatorId {
    /// The lowest id in the order of ids; no validator has it.
    pub const ZERO: Self = Self(Address([0; ADDRESS_BYTES]));

    /// The account that fees, penalties and rewards of the validator concern.
    #[must_use]
    pub fn account(&self) -> Address {
        self.0
    }
}

/// Names bytes: their plain BLAKE3 hash and their length.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Debug,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct BlobId {
    /// BLAKE3 hash of the bytes (unkeyed, no domain: the hash of `b3sum`).
    pub hash: Hash32,
    /// Length of the blob, in bytes.
    pub length: u64,
}

impl fmt::Display for BlobId {
    /// For people: the hash in hexadecimal and the length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.hash, self.length)
    }
}

impl BlobId {
    /// The id of the blob that consists of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("a length fits 64 bits");
        Self {
            hash: Hash32(*blake3::hash(bytes).as_bytes()),
            length,
        }
    }

    /// True if the length is one that a job may name.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.length <= MAX_BLOB_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_distinct() {
        let mut texts: Vec<_> = Domain::ALL.iter().map(|domain| domain.context).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Domain::ALL.len());
    }

    /// The key of a context is taken once, and is BLAKE3's own.
    #[test]
    fn a_hash_is_derived_from_its_context() {
        for domain in Domain::ALL {
            for length in [0usize, 1, 64, 65, 2_000] {
                let (whole, half) = (vec![7; length], length / 2);
                let expected = blake3::derive_key(domain.context, &whole);
                let found = Hash32::of_parts(*domain, &[&whole[..half], &whole[half..]]);
                assert_eq!(found, Hash32(expected), "{domain:?} of {length} bytes");
            }
        }
        assert_ne!(Domain::STATE_LEAF, Domain::STATE_NODE);
    }

    #[test]
    fn hex_is_canonical() {
        let hash = BlobId::of(b"abc").hash;
        assert_eq!(hash.to_string().parse::<Hash32>().unwrap(), hash);
        assert!(hash.to_string().to_uppercase().parse::<Hash32>().is_err());
        assert!("00".parse::<Hash32>().is_err());
    }
}
