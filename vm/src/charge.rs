//! Whether a transaction can be charged: its form, its signature, its time, its nonce, its fee. A block with one that
//! cannot is invalid as a whole; the mempool keeps such transactions out by the same rules.

use types::codec::encode;
use types::hash::{ChainId, TransactionId};
use types::key::{KeyError, verify_batch};
use types::limits::{MAX_TRANSACTION_BYTES, MAX_VALIDITY_HEIGHTS};
use types::number::{Amount, Height, Nonce};
use types::transaction::{SignedTransaction, Transaction};

use crate::{Account, Rules};

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
    /// Below the minimum fee.
    #[error("the fee is {found} SQUARE, the minimum is {minimum}")]
    FeeTooLow {
        /// Fee in the transaction, in base units.
        found: Amount,
        /// Minimum fee of the parameters, in base units.
        minimum: Amount,
    },
    /// The account cannot pay the fee.
    #[error("the account holds {balance} SQUARE, the fee is {fee}")]
    CannotPay {
        /// What the account holds.
        balance: Amount,
        /// Fee of the transaction, in base units.
        fee: Amount,
    },
}

/// A transaction whose form and signature were checked for one chain, with what was computed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    signed: SignedTransaction,
    id: TransactionId,
    bytes: usize,
}

impl Verified {
    /// Checks size, chain and signature.
    pub fn new(rules: &Rules, signed: SignedTransaction) -> Result<Self, ChargeError> {
        let bytes = check_form(rules, &signed)?;
        signed.verify()?;
        let id = signed.id();
        Ok(Self { signed, id, bytes })
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
    Ok(found)
}

/// Verifies all signatures, at once if the rules hold a secret for it; names the first that does not verify.
pub(crate) fn check_signatures(
    rules: &Rules,
    signed: &[SignedTransaction],
) -> Result<(), (usize, ChargeError)> {
    if let Some(secret) = rules.batch_secret() {
        let items: Vec<_> = signed.iter().map(SignedTransaction::signed).collect();
        // A key is looked at when it is first used; later uses are of the same key, since the address is its hash.
        let first_uses = signed
            .iter()
            .filter(|signed| signed.transaction().nonce == Nonce::ZERO);
        let strong = first_uses
            .map(|signed| signed.transaction().sender.check_strong())
            .all(|result| result.is_ok());
        if strong && verify_batch(&items, secret) {
            return Ok(());
        }
    }
    signed
        .iter()
        .enumerate()
        .try_for_each(|(at, signed)| signed.verify().map_err(|error| (at, error.into())))
}

/// Checks what does not depend on the account: expiry at the height of inclusion, and the minimum fee.
pub(crate) fn check_terms(
    rules: &Rules,
    transaction: &Transaction,
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
    let (found, minimum) = (transaction.fee, rules.params.min_fee);
    if found < minimum {
        Err(ChargeError::FeeTooLow { found, minimum })
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
