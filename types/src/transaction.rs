//! Transactions: what an account asks for, and what validators say for free.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::attestation::{Contradiction, Divergence, Opening, RefereeFinding};
use crate::codec::encode;
use crate::hash::{Address, BlobId, ChainId, Domain, Hash32, JobId, TransactionId};
use crate::key::{KeyError, PublicKey, SecretKey, Signature, Signed, VrfProof, signing_hash};
use crate::merkle::merkle_root;
use crate::number::{Amount, Attempt, BeaconStep, Height, Nonce};
use crate::spec::{JobSpec, PartnerProfile};
use crate::stored::{SignedStatement, StoredCertificate};

/// The envelope's kind and the signature, in bytes.
pub(crate) const ENVELOPE_BYTES: usize = 1 + 64;

/// An account's request, without its signature. Its id is the hash of these bytes.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// The chain it is for.
    pub chain_id: ChainId,
    /// The key of the sending account.
    pub sender: PublicKey,
    /// Number of transactions that the account sent before, steps of jobs not counted. Zero for such a step.
    pub nonce: Nonce,
    /// Last height at which it may be included.
    pub valid_until: Height,
    /// Fee in base units, at least [`crate::gas::least_fee`]; burned when included, whether the action succeeds or not. Zero for
    /// a step of a job, which the job's escrow pays for.
    pub fee: Amount,
    /// What the sender asks the chain to do.
    pub action: Action,
}

/// What a transaction does. One file per action in `vm`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Moves money from the sender's account to another one.
    Transfer {
        /// The account that receives.
        to: Address,
        /// Amount in base units; zero is allowed.
        amount: Amount,
    },
    /// Registers the sender as a partner or changes its profile; draws see it from the next epoch on.
    RegisterPartner {
        /// The whole new profile.
        profile: PartnerProfile,
    },
    /// Moves money into the sender's bond; draws see it from the next epoch on.
    Bond {
        /// Amount in base units, above zero.
        amount: Amount,
    },
    /// Moves free bond out; it is paid to the account after the unbonding period.
    Unbond {
        /// Amount in base units, above zero.
        amount: Amount,
    },
    /// Submits a job and locks its escrow.
    SubmitJob {
        /// The job as its customer wants it.
        spec: Box<JobSpec>,
    },
    /// Ends a live job of the sender's: who has worked is paid, the rest is refunded.
    CancelJob {
        /// The job that its customer does not want any more.
        job: JobId,
    },
    /// A partner says that the result of a settled job is wrong, and commits to another one of one task.
    ChallengeJob {
        /// The job whose receipt it challenges.
        job: JobId,
        /// Hash over root and salt, see [`crate::attestation::commitment`].
        commitment: Hash32,
    },
    /// A partner's step in a live job. It is in a block only if it succeeds; it uses no nonce and no money of its sender's, so
    /// that it waits behind nothing else.
    Job(JobAction),
}

/// A step of a party to a live job.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobAction {
    /// The job that the step is for.
    pub job: JobId,
    /// The attempt that the step is for; in another one it is refused.
    pub attempt: Attempt,
    /// Step of the party in that attempt.
    pub step: JobStep,
}

/// What a party to a job can do. The stage and the sender decide whether it may.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum JobStep {
    /// The drawn primary takes the job.
    Acknowledge,
    /// The drawn primary does not take the job, or gives it up.
    Decline {
        /// True if the module cannot be run within its deadline or at all, rather than by this partner now.
        unrunnable: bool,
    },
    /// The primary of a chain names the states that its tasks left, so that validators can fetch them before it commits.
    HandOn {
        /// The list of states, see [`crate::task_state::TaskStates`].
        states: BlobId,
    },
    /// The primary, or a bound verifier, commits to its result.
    Commit {
        /// Hash over result root and salt, see [`crate::attestation::commitment`].
        commitment: Hash32,
    },
    /// The primary, or a bound verifier, still works on its tasks.
    Renew {
        /// How often it said so before in this duty, see [`crate::job::Renewals`].
        number: u32,
    },
    /// A bound verifier found no result of its tasks, which it does not commit to.
    NoResult,
    /// A partner that sortition drew binds itself to verify.
    Announce {
        /// VRF proof over [`crate::sortition::Sortition::input`], which shows that the sender is selected.
        proof: VrfProof,
    },
    /// The primary reveals what it committed to.
    Reveal {
        /// Root, salt, and the leaves of every drawn task.
        opening: Box<Opening>,
    },
    /// A verifier that found what the primary revealed opens its commitment.
    Agree {
        /// The salt that blinds its leaves: with the primary's leaves it gives the commitment.
        salt: Hash32,
    },
    /// A referee commits to what it found for the task in dispute.
    Vote {
        /// Number of the ballot in the attempt.
        ballot: u16,
        /// Hash over leaf, witness and salt, see [`crate::job::vote_commitment`].
        commitment: Hash32,
    },
    /// A referee opens its vote.
    OpenVote {
        /// Number of the ballot in the attempt.
        ballot: u16,
        /// The leaf that it found, and the witness that it ran the task.
        found: RefereeFinding,
        /// The salt of its commitment.
        salt: Hash32,
    },
    /// Whoever challenges a settled job shows what it found at one task, and what the primary claimed there.
    Contradict {
        /// Both leaves, each with its path.
        contradiction: Box<Contradiction>,
    },
    /// A verifier that found something else opens its commitment at one task.
    Differ {
        /// What it found there.
        divergence: Box<Divergence>,
    },
}

impl Action {
    /// True for a step of a job, which has neither nonce nor fee.
    #[must_use]
    pub fn is_step(&self) -> bool {
        matches!(self, Self::Job(_))
    }

    /// The action's name, as it is shown; a party's step has a name of its own.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::RegisterPartner { .. } => "register_partner",
            Self::Bond { .. } => "bond",
            Self::Unbond { .. } => "unbond",
            Self::SubmitJob { .. } => "submit_job",
            Self::CancelJob { .. } => "cancel_job",
            Self::ChallengeJob { .. } => "challenge_job",
            Self::Job(action) => action.step.name(),
        }
    }
}

impl JobStep {
    /// The action that takes this step in an attempt of a job.
    #[must_use]
    pub fn of(self, job: JobId, attempt: Attempt) -> Action {
        Action::Job(JobAction {
            job,
            attempt,
            step: self,
        })
    }

    /// The step's name, as it is shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Decline { .. } => "decline",
            Self::HandOn { .. } => "hand_on",
            Self::Commit { .. } => "commit",
            Self::Renew { .. } => "renew",
            Self::NoResult => "no_result",
            Self::Announce { .. } => "announce",
            Self::Reveal { .. } => "reveal",
            Self::Agree { .. } => "agree",
            Self::Differ { .. } => "differ",
            Self::Contradict { .. } => "contradict",
            Self::Vote { .. } => "vote",
            Self::OpenVote { .. } => "open_vote",
        }
    }
}

impl Transaction {
    /// The id: a hash of the unsigned bytes.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(Hash32::of(Domain::TRANSACTION, self))
    }

    /// The id of the job that this transaction submits, if it submits one.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId(Hash32::of(Domain::JOB, &self.id()))
    }

    /// Signs it with the key of its sender.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(&self.signing_hash());
        self.with_signature(signature)
    }

    /// With a signature that the key of its sender made.
    #[must_use]
    pub fn with_signature(self, signature: Signature) -> SignedTransaction {
        SignedTransaction::Native(NativeTransaction {
            transaction: self,
            signature,
        })
    }

    pub(crate) fn signing_hash(&self) -> Hash32 {
        signing_hash(Domain::SIGN_TRANSACTION, self.chain_id, self)
    }
}

/// A transaction with the proof that its sender asked for it. An envelope: each kind says by whom and how it is signed.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SignedTransaction {
    /// Signed with the key of a gridproof account.
    Native(NativeTransaction),
}

/// What is computed of a signed transaction from one encoding of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionDigest {
    /// Name of the transaction: a hash of it without its signature.
    pub id: TransactionId,
    /// Key, message and signature that are to be verified.
    pub signed: Signed,
    /// Its encoded length with the envelope, in bytes.
    pub bytes: usize,
}

/// A transaction with a signature by its sender's key.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NativeTransaction {
    /// Transaction that the signature covers.
    pub transaction: Transaction,
    /// Signature by `transaction.sender` in the domain `SIGN_TRANSACTION`.
    pub signature: Signature,
}

impl SignedTransaction {
    /// The transaction in the envelope.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        match self {
            Self::Native(native) => &native.transaction,
        }
    }

    /// The transaction without its envelope.
    #[must_use]
    pub fn into_transaction(self) -> Transaction {
        match self {
            Self::Native(native) => native.transaction,
        }
    }

    /// The id; the signature is no part of it.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.transaction().id()
    }

    /// Key, message and signature that are to be verified.
    #[must_use]
    pub fn signed(&self) -> Signed {
        match self {
            Self::Native(native) => Signed {
                key: native.transaction.sender,
                message: native.transaction.signing_hash(),
                signature: native.signature,
            },
        }
    }

    /// Id, length, and what is to be verified, from one encoding.
    #[must_use]
    pub fn digest(&self) -> TransactionDigest {
        match self {
            Self::Native(native) => {
                let (transaction, signature) = (&native.transaction, native.signature);
                let encoded = encode(transaction);
                let message = &[&transaction.chain_id.0.0, encoded.as_slice()];
                let message = Hash32::of_parts(Domain::SIGN_TRANSACTION, message);
                TransactionDigest {
                    id: TransactionId(Hash32::of_parts(Domain::TRANSACTION, &[&encoded])),
                    signed: Signed {
                        key: transaction.sender,
                        message,
                        signature,
                    },
                    bytes: ENVELOPE_BYTES + encoded.len(),
                }
            }
        }
    }

    /// Verifies the signature under ZIP-215 and that the key is a strong one.
    pub fn verify(&self) -> Result<(), KeyError> {
        let signed = self.signed();
        signed.key.check_strong()?;
        signed.key.verify(&signed.message, &signed.signature)
    }
}

/// What validators say in a block: free, and taken once per subject.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SystemTransaction {
    /// A quorum holds a job's inputs or results.
    Stored(StoredCertificate),
    /// The next output of the random beacon, by its contributor.
    Beacon {
        /// The step that the output is of.
        step: BeaconStep,
        /// The contributor's proof over [`crate::attestation::beacon_input`].
        proof: VrfProof,
    },
}

/// What one validator says to the others, on its way to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SystemMessage {
    /// The validator holds a job's inputs or results.
    Stored(SignedStatement),
    /// The next output of the random beacon, as it will be in the block.
    Beacon {
        /// The step that the output is of.
        step: BeaconStep,
        /// The contributor's proof over [`crate::attestation::beacon_input`].
        proof: VrfProof,
    },
}

/// How a transaction ended, under its receipt root.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionReceipt {
    /// Id of the transaction.
    pub id: TransactionId,
    /// Fee that was burned, in base units.
    pub fee: Amount,
    /// The rule that the action broke, which was then reverted; `None` if it succeeded.
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

/// The rule that an action broke.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Failure {
    /// A stable short name, such as `insufficient_balance`.
    pub code: String,
    /// One sentence with the values that broke the rule.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_says_what_the_parts_say() {
        let key = SecretKey::from_bytes(&[3; 32]);
        let transaction = Transaction {
            chain_id: ChainId(Hash32([7; 32])),
            sender: key.public(),
            nonce: Nonce(4),
            valid_until: Height(100),
            fee: Amount(9),
            action: Action::Transfer {
                to: Address([1; 20]),
                amount: Amount(5),
            },
        };
        let signed = transaction.sign(&key);
        let digest = signed.digest();
        assert_eq!(digest.id, signed.id());
        assert_eq!(digest.signed, signed.signed());
        assert_eq!(digest.bytes, encode(&signed).len());
    }
}
