//! Transactions: what an account asks for, and what validators say for free.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::attestation::Opening;
use crate::hash::{Address, ChainId, Domain, Hash32, JobId, TransactionId, ValidatorId};
use crate::job::{JobSpec, PartnerProfile};
use crate::key::{KeyError, PublicKey, SecretKey, Signature, Signed, VrfProof, signing_hash};
use crate::merkle::merkle_root;
use crate::number::{Amount, Attempt, BeaconStep, Height, Nonce};

/// An account's request, without its signature. Its id is the hash of these bytes.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// The chain it is for.
    pub chain_id: ChainId,
    /// The key of the sending account.
    pub sender: PublicKey,
    /// How many transactions the account sent before.
    pub nonce: Nonce,
    /// Last height at which it may be included.
    pub valid_until: Height,
    /// Burned when included, whether the action succeeds or not.
    pub fee: Amount,
    /// What is to be done.
    pub action: Action,
}

/// What a transaction does. One file per action in `vm`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Moves money.
    Transfer {
        /// To whom.
        to: Address,
        /// How much.
        amount: Amount,
    },
    /// Registers the sender as a partner or changes its profile; counts from the next epoch on.
    RegisterPartner {
        /// Keys, ask and attributes.
        profile: PartnerProfile,
    },
    /// Moves money into the sender's bond; counts from the next epoch on.
    Bond {
        /// How much.
        amount: Amount,
    },
    /// Moves free bond out; paid to the account after the unbonding period.
    Unbond {
        /// How much.
        amount: Amount,
    },
    /// Submits a job; the escrow is locked.
    SubmitJob {
        /// The job.
        spec: Box<JobSpec>,
    },
    /// The drawn primary takes the job.
    Acknowledge {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
    },
    /// The drawn primary does not take the job.
    Decline {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
        /// True if the module cannot be run within its deadline or at all, rather than by this partner now.
        unrunnable: bool,
    },
    /// The primary seals its result.
    Commit {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
        /// See [`crate::attestation::commitment`].
        commitment: Hash32,
    },
    /// A partner drawn by sortition binds itself to verify.
    Announce {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
        /// Proof over [`crate::attestation::sortition_input`].
        proof: VrfProof,
    },
    /// A verifier seals its claim.
    Claim {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
        /// See [`crate::attestation::commitment`].
        commitment: Hash32,
    },
    /// Primary or verifier opens what it sealed.
    Reveal {
        /// Which job.
        job: JobId,
        /// Which attempt of it.
        attempt: Attempt,
        /// Root, salt, leaves of every drawn task.
        opening: Box<Opening>,
    },
}

impl Transaction {
    /// The id: a hash of the unsigned bytes.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(Hash32::of(Domain::TRANSACTION, self))
    }

    /// The job that this transaction submits, if it does.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId(Hash32::of(Domain::JOB, &self.id()))
    }

    /// Signs it with the key of its sender.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(&signing_hash(
            Domain::SIGN_TRANSACTION,
            self.chain_id,
            &self,
        ));
        SignedTransaction {
            transaction: self,
            signature,
        }
    }
}

/// A transaction with its sender's signature.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTransaction {
    /// What is signed.
    pub transaction: Transaction,
    /// By the sender's key.
    pub signature: Signature,
}

impl SignedTransaction {
    /// The id; the signature is no part of it.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// What is to be verified.
    #[must_use]
    pub fn signed(&self) -> Signed {
        let tx = &self.transaction;
        let message = signing_hash(Domain::SIGN_TRANSACTION, tx.chain_id, tx);
        Signed {
            key: tx.sender,
            message,
            signature: self.signature,
        }
    }

    /// Verifies the signature under ZIP-215 and that the key is a strong one.
    pub fn verify(&self) -> Result<(), KeyError> {
        let signed = self.signed();
        signed.key.check_strong()?;
        signed.key.verify(&signed.message, &signed.signature)
    }
}

/// What of a job validators hold.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// The module, stdin and all inputs.
    Inputs,
    /// The list of outcomes, reproducing the opened result root, and everything it names.
    Results,
}

/// What a validator says for free, once per subject.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SystemTransaction {
    /// "I hold these blobs of this job."
    Stored {
        /// What is held.
        statement: StoredStatement,
        /// The validator that holds it; a member of the committee.
        validator: ValidatorId,
        /// Over the statement, in the domain `SIGN_STORED`.
        signature: Signature,
    },
    /// The next output of the random beacon, by its contributor.
    Beacon {
        /// Which step.
        step: BeaconStep,
        /// The contributor's proof over [`crate::attestation::beacon_input`].
        proof: VrfProof,
    },
}

/// The signed part of [`SystemTransaction::Stored`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct StoredStatement {
    /// Which job.
    pub job: JobId,
    /// Which attempt; inputs are stored once, under attempt 0.
    pub attempt: Attempt,
    /// What of it.
    pub holding: Holding,
}

impl StoredStatement {
    /// What a validator signs.
    #[must_use]
    pub fn signing_hash(&self, chain: ChainId) -> Hash32 {
        signing_hash(Domain::SIGN_STORED, chain, self)
    }
}

/// How a transaction ended, under its receipt root.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionReceipt {
    /// Which transaction.
    pub id: TransactionId,
    /// The fee that was burned.
    pub fee: Amount,
    /// Nothing, or the rule that the action broke; the action was then reverted.
    pub failure: Option<Failure>,
}

impl TransactionReceipt {
    /// What the receipt root covers: id, fee and the failure's code. The message is for people; its words may change
    /// without a change of the protocol.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        let code = self.failure.as_ref().map(|failure| failure.code.as_str());
        Hash32::of(Domain::RECEIPT, &(self.id, self.fee, code))
    }

    /// The receipt root of a block.
    #[must_use]
    pub fn root(receipts: &[Self]) -> Hash32 {
        merkle_root(&receipts.iter().map(Self::hash).collect::<Vec<_>>())
    }
}

/// Which rule an action broke.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// A stable short name, such as `insufficient_balance`.
    pub code: String,
    /// One sentence with the values that broke the rule.
    pub message: String,
}
