//! Whether a transaction can be charged: its form, its signature, its time, its nonce, its fee. A block with one that
//! cannot is invalid as a whole; the mempool keeps such transactions out by the same rules. A party's step in a job is not
//! charged to its sender: it must succeed instead, or it cannot be in a block.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::codec::encode;
use types::gas::least_fee;
use types::hash::{ChainId, TransactionId};
use types::key::{KeyCache, KeyError, verify_batch, verify_each};
use types::limits::{MAX_TRANSACTION_BYTES, MAX_VALIDITY_HEIGHTS};
use types::number::{Amount, Height, Nonce};
use types::transaction::{SignedTransaction, Transaction, TransactionDigest};

use crate::{Account, ActionError, Rules};

/// Why a transaction cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// Larger than any transaction may be.
    #[error("the transaction takes {found} bytes, at most {limit} are allowed")]
    TooLong {
        /// Encoded length of the transaction, in bytes.
        found: usize,
        /// Maximum length, in bytes.
        limit: usize,
    },
    /// The transaction is for another chain.
    #[error("the transaction is for chain {found}, this is {expected}")]
    WrongChain {
        /// Chain in the transaction.
        found: ChainId,
        /// Chain whose rules are applied.
        expected: ChainId,
    },
    /// Not signed by its sender, or with a weak key.
    #[error("the signature is not valid: {0}")]
    Signature(#[from] KeyError),
    /// Its time is over.
    #[error("the transaction was valid until height {valid_until}, the block has {height}")]
    Expired {
        /// Last height at which the transaction is valid.
        valid_until: Height,
        /// Height of the block.
        height: Height,
    },
    /// Valid for longer than the chain remembers.
    #[error(
        "the transaction is valid until height {valid_until}, at height {height} at most {limit} is allowed"
    )]
    ValidTooLong {
        /// Last height at which the transaction is valid.
        valid_until: Height,
        /// Height of the block.
        height: Height,
        /// The largest value allowed.
        limit: Height,
    },
    /// Not the sender's next.
    #[error("the nonce is {found}, the account's next is {expected}")]
    Nonce {
        /// Nonce in the transaction.
        found: Nonce,
        /// What the account is at.
        expected: Nonce,
    },
    /// Below what its gas and bytes ask for.
    #[error("the fee is {found} SQUARE, for its gas and bytes at least {asked} is asked")]
    FeeTooLow {
        /// Fee in the transaction, in base units.
        found: Amount,
        /// The least fee of that transaction, in base units.
        asked: Amount,
    },
    /// A party's step with a nonce or a fee, of which it has none.
    #[error("a step of a job has no nonce and no fee; this one has {nonce} and {fee} SQUARE")]
    ChargedStep {
        /// Nonce in the transaction.
        nonce: Nonce,
        /// Fee in the transaction, in base units.
        fee: Amount,
    },
    /// A party's step that its job does not take.
    #[error("the job does not take this step: {0}")]
    Step(Box<ActionError>),
    /// The account cannot pay the fee.
    #[error("the account holds {balance} SQUARE, the fee is {fee}")]
    CannotPay {
        /// What the account holds.
        balance: Amount,
        /// Fee of the transaction, in base units.
        fee: Amount,
    },
}

/// A transaction whose form was checked for one chain, with what was computed on the way. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    signed: Arc<SignedTransaction>,
    digest: TransactionDigest,
}

impl Unverified {
    /// Checks size and chain.
    pub fn new(rules: &Rules, signed: SignedTransaction) -> Result<Self, ChargeError> {
        let digest = signed.digest();
        check_length_and_chain(rules, &signed, digest.bytes)?;
        let signed = Arc::new(signed);
        Ok(Self { signed, digest })
    }

    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        self.signed.transaction()
    }

    /// Name of the transaction, as receipts and the mempool know it.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.digest.id
    }

    /// Its encoded length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.digest.bytes
    }
}

/// A transaction whose form and signature were checked for one chain, with what was computed on the way. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    signed: Arc<SignedTransaction>,
    id: TransactionId,
    bytes: usize,
}

impl From<Unverified> for Verified {
    /// For those whose signature was verified just now.
    fn from(Unverified { signed, digest }: Unverified) -> Self {
        let (id, bytes) = (digest.id, digest.bytes);
        Self { signed, id, bytes }
    }
}

impl Verified {
    /// Checks size, chain and signature.
    pub fn new(rules: &Rules, signed: SignedTransaction) -> Result<Self, ChargeError> {
        Self::verify(Unverified::new(rules, signed)?)
    }

    /// Checks the signature.
    pub fn verify(unverified: Unverified) -> Result<Self, ChargeError> {
        let signed = &unverified.digest.signed;
        signed.key.check_strong()?;
        signed.key.verify(&signed.message, &signed.signature)?;
        Ok(unverified.into())
    }

    /// Checks the signatures of all, together if the rules hold a secret for it; gives the verdicts in their places.
    pub fn each(
        rules: &Rules,
        keys: &mut KeyCache,
        all: Vec<Unverified>,
    ) -> Vec<Result<Self, ChargeError>> {
        let Some(secret) = rules.batch_secret() else {
            return all.into_iter().map(Self::verify).collect();
        };
        let signed: Vec<_> = all.iter().map(|one| one.digest.signed).collect();
        let verdicts = verify_each(&signed, keys, secret);
        all.into_iter()
            .zip(verdicts)
            .map(|(one, verdict)| Ok(verdict.map(|()| one.into())?))
            .collect()
    }

    /// The transaction without its signature.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        self.signed.transaction()
    }

    /// The transaction with its signature.
    #[must_use]
    pub fn signed(&self) -> &SignedTransaction {
        &self.signed
    }

    /// Id of the transaction, which no signature enters.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Encoded length of the transaction, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Checks size and chain; gives the encoded length.
pub(crate) fn check_form(rules: &Rules, signed: &SignedTransaction) -> Result<usize, ChargeError> {
    let found = encode(signed).len();
    check_length_and_chain(rules, signed, found)?;
    Ok(found)
}

fn check_length_and_chain(
    rules: &Rules,
    signed: &SignedTransaction,
    found: usize,
) -> Result<(), ChargeError> {
    if found > MAX_TRANSACTION_BYTES {
        return Err(ChargeError::TooLong {
            found,
            limit: MAX_TRANSACTION_BYTES,
        });
    }
    if signed.transaction().chain_id != rules.chain_id {
        return Err(ChargeError::WrongChain {
            found: signed.transaction().chain_id,
            expected: rules.chain_id,
        });
    }
    Ok(())
}

/// Verifies all signatures but those at the positions that are `known` to be valid, at once if the rules hold a secret
/// for it; names the first that does not verify.
pub(crate) fn check_signatures(
    rules: &Rules,
    signed: &[SignedTransaction],
    known: &BTreeSet<usize>,
) -> Result<(), (usize, ChargeError)> {
    let unknown = || {
        signed
            .iter()
            .enumerate()
            .filter(|(at, _)| !known.contains(at))
    };
    if let Some(secret) = rules.batch_secret() {
        let items: Vec<_> = unknown().map(|(_, signed)| signed.signed()).collect();
        // A key is looked at when it is first used; later uses are of the same key, since the address is its hash.
        let first_uses = unknown().filter(|(_, signed)| signed.transaction().nonce == Nonce::ZERO);
        let strong = first_uses
            .map(|(_, signed)| signed.transaction().sender.check_strong())
            .all(|result| result.is_ok());
        if strong && (items.is_empty() || verify_batch(&items, secret)) {
            return Ok(());
        }
    }
    unknown().try_for_each(|(at, signed)| signed.verify().map_err(|error| (at, error.into())))
}

/// Checks what does not depend on the account: expiry at the height of inclusion, and the fee of a transaction that takes so
/// many bytes.
// Rule C76.
pub(crate) fn check_terms(
    rules: &Rules,
    transaction: &Transaction,
    bytes: usize,
    height: Height,
) -> Result<(), ChargeError> {
    let limit = height.saturating_add(MAX_VALIDITY_HEIGHTS);
    if transaction.valid_until < height {
        return Err(ChargeError::Expired {
            valid_until: transaction.valid_until,
            height,
        });
    }
    if transaction.valid_until > limit {
        return Err(ChargeError::ValidTooLong {
            valid_until: transaction.valid_until,
            height,
            limit,
        });
    }
    if transaction.action.is_step() {
        let (nonce, fee) = (transaction.nonce, transaction.fee);
        return if (nonce, fee) == (Nonce::ZERO, Amount::ZERO) {
            Ok(())
        } else {
            Err(ChargeError::ChargedStep { nonce, fee })
        };
    }
    let found = transaction.fee;
    let asked = least_fee(rules.params.min_fee, bytes, &transaction.action);
    if found < asked {
        Err(ChargeError::FeeTooLow { found, asked })
    } else {
        Ok(())
    }
}

/// The account after it was charged: fee taken, nonce counted.
pub(crate) fn charged(
    account: &Account,
    transaction: &Transaction,
) -> Result<Account, ChargeError> {
    if transaction.nonce != account.nonce {
        return Err(ChargeError::Nonce {
            found: transaction.nonce,
            expected: account.nonce,
        });
    }
    let (balance, fee) = (account.balance, transaction.fee);
    let left = balance
        .checked_sub(fee)
        .ok_or(ChargeError::CannotPay { balance, fee })?;
    Ok(Account {
        balance: left,
        nonce: account.nonce.next(),
    })
}
