//! What a validator's key signs, and who holds the key: this process, or another one that guards it.
//!
//! A request says what is to be signed, not only its hash, so that a guard can refuse what contradicts what it signed before.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::{BlockId, ChainId, Domain, Hash32};
use crate::job::VoteContext;
use crate::key::{PublicKey, SecretKey, Signature, signing_hash};
use crate::number::{Epoch, View};
use crate::stored::StoredStatement;
use crate::transaction::Transaction;
use crate::vote::{Proposal, Statement};

/// Most bytes of a peer record that is signed.
pub const MAX_SIGNED_RECORD_BYTES: usize = 2_048;

/// Something that a validator's key signs.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SigningRequest {
    /// A vote of consensus.
    Vote {
        /// The chain that is voted on.
        chain: ChainId,
        /// What the vote says.
        statement: Statement,
    },
    /// A leader's proposal; the vote that it carries is a request of its own.
    Proposal {
        /// The chain that grows.
        chain: ChainId,
        /// The term of office.
        epoch: Epoch,
        /// The view that is led.
        view: View,
        /// The view of the block that is built on.
        parent_view: View,
        /// Id of the block that is proposed.
        block: BlockId,
    },
    /// That this validator holds a job's inputs or results.
    Stored {
        /// The chain of the job.
        chain: ChainId,
        /// What is held.
        statement: StoredStatement,
    },
    /// The secret of a referee's vote: a signature that nobody else can make.
    RefereeSalt(VoteContext),
    /// A referee's step in a job. No other transaction is a validator's.
    Transaction(Box<Transaction>),
    /// Where the node is found: the canonical bytes of a peer record, which begin with the validator's public key.
    PeerRecord {
        /// The chain of the network.
        chain: ChainId,
        /// The record.
        record: Bounded<u8, MAX_SIGNED_RECORD_BYTES>,
    },
}

impl SigningRequest {
    /// The hash that is signed.
    #[must_use]
    pub fn signing_hash(&self) -> Hash32 {
        match self {
            Self::Vote { chain, statement } => statement.signing_hash(*chain),
            Self::Proposal {
                chain,
                epoch,
                view,
                parent_view,
                block,
            } => Proposal::signing_hash(*epoch, *view, *parent_view, *block, *chain),
            Self::Stored { chain, statement } => statement.signing_hash(*chain),
            Self::RefereeSalt(context) => {
                signing_hash(Domain::REFEREE_SALT, context.chain, context)
            }
            Self::Transaction(transaction) => transaction.signing_hash(),
            Self::PeerRecord { chain, record } => {
                Hash32::of_parts(Domain::SIGN_PEER, &[&chain.0.0, record])
            }
        }
    }
}

/// Whoever holds a validator's key for this process.
pub trait KeyGuard: fmt::Debug + Send + Sync {
    /// Signatures on all requests, which verify; nothing if one of them is refused or the holder is away. May take as long as a disk
    /// needs to sync.
    fn sign(&self, requests: &[SigningRequest]) -> Option<Vec<Signature>>;

    /// Why there was no signature the last time, for people.
    fn trouble(&self) -> Option<String>;
}

/// A validator's key, here or with a guard. Equal and hashed by its public half.
#[derive(Debug, Clone)]
pub struct Signer {
    public: PublicKey,
    holder: KeyHolder,
}

#[derive(Debug, Clone)]
enum KeyHolder {
    Here(Box<SecretKey>),
    Guard(Arc<dyn KeyGuard>),
}

impl Signer {
    /// A signer that holds the key in this process.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self {
            public: key.public(),
            holder: KeyHolder::Here(Box::new(key)),
        }
    }

    /// A signer that asks a guard, which has the key with this public half.
    #[must_use]
    pub fn guarded(public: PublicKey, guard: Arc<dyn KeyGuard>) -> Self {
        let holder = KeyHolder::Guard(guard);
        Self { public, holder }
    }

    /// The public half of the key, which the committee lists.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The key itself, if it is in this process.
    #[must_use]
    pub fn key(&self) -> Option<&SecretKey> {
        match &self.holder {
            KeyHolder::Here(key) => Some(key),
            KeyHolder::Guard(_) => None,
        }
    }

    /// A signature; nothing if a guard refuses it or is away. The same request may be made again later.
    #[must_use]
    pub fn sign(&self, request: SigningRequest) -> Option<Signature> {
        self.sign_all([request]).map(|[signature]| signature)
    }

    /// Signatures on all of some requests, or nothing.
    #[must_use]
    pub fn sign_all<const N: usize>(
        &self,
        requests: [SigningRequest; N],
    ) -> Option<[Signature; N]> {
        match &self.holder {
            KeyHolder::Here(key) => Some(requests.map(|request| key.sign(&request.signing_hash()))),
            KeyHolder::Guard(guard) => guard.sign(&requests)?.try_into().ok(),
        }
    }

    /// Why there was no signature the last time, for people; nothing while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.holder {
            KeyHolder::Here(_) => None,
            KeyHolder::Guard(guard) => guard.trouble(),
        }
    }
}

impl From<SecretKey> for Signer {
    fn from(key: SecretKey) -> Self {
        Self::new(key)
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for Signer {}

impl Hash for Signer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.public.hash(state);
    }
}
