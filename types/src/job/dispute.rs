//! A dispute: a verifier showed that it found something else than the primary at one task, and referees run it again.
//!
//! Referees are the validators of the committee in office when the dispute began. Each commits to the leaf that it found
//! and to a witness that it ran the task, and opens both when all have committed, so that no vote can be copied. A quorum
//! of stake on one leaf with one witness is the verdict.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::attestation::RefereeFinding;
use crate::hash::{Address, ChainId, Domain, Hash32, JobId, ValidatorId};
use crate::number::{Amount, Attempt, ChainTime, Epoch, Height, TaskIndex};

/// How a verifier opened its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum VerifierOpening {
    /// It found what the primary revealed.
    Agreed {
        /// The salt of its commitment.
        salt: Hash32,
    },
    /// It found something else at one task.
    Differed {
        /// The task whose results are compared.
        task: TaskIndex,
        /// The leaf that it found there.
        leaf: Hash32,
    },
}

/// A vote of referees on the leaf of one task.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ballot {
    /// Number of the ballot in its attempt, counted from 0. A vote is for one ballot.
    pub number: u16,
    /// The task that referees run.
    pub task: TaskIndex,
    /// The committee whose members vote, by the first epoch of its term.
    pub committee: Epoch,
    /// True if the ballot before it was on the same task and found no quorum.
    pub is_second: bool,
    /// Draws the fuel point of the witness that votes carry; zero while the ballot waits for its turn.
    pub witness_draw: Hash32,
    /// What the ballot awaits of the referees.
    pub phase: BallotPhase,
}

/// What a ballot awaits.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BallotPhase {
    /// As many disputes run as may; this one waits for its turn.
    Queued,
    /// Commitments of the referees, see [`vote_commitment`].
    Voting {
        /// Those that are here.
        committed: BTreeMap<ValidatorId, Hash32>,
    },
    /// Openings of the commitments.
    Opening {
        /// The commitments that are not open yet.
        committed: BTreeMap<ValidatorId, Hash32>,
        /// What those found that are.
        opened: BTreeMap<ValidatorId, RefereeFinding>,
    },
    /// There is a verdict; verifiers that have not opened still may.
    Decided {
        /// The leaf on which, with one witness, a quorum of stake agrees.
        leaf: Hash32,
        /// The referees that found it.
        referees: BTreeSet<ValidatorId>,
    },
}

/// What a ballot awaits from one referee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedVote {
    /// It must run the task and commit to what it finds.
    Commitment,
    /// It must open its commitment.
    Opening,
}

impl Ballot {
    /// What is awaited from a member of the committee.
    #[must_use]
    pub fn awaits(&self, referee: &ValidatorId) -> Option<AwaitedVote> {
        match &self.phase {
            BallotPhase::Voting { committed } if !committed.contains_key(referee) => {
                Some(AwaitedVote::Commitment)
            }
            BallotPhase::Opening { committed, .. } if committed.contains_key(referee) => {
                Some(AwaitedVote::Opening)
            }
            _ => None,
        }
    }

    /// True while the ballot takes one of the places of disputes that run at the same time.
    #[must_use]
    pub fn is_running(&self) -> bool {
        match self.phase {
            BallotPhase::Voting { .. } | BallotPhase::Opening { .. } => true,
            BallotPhase::Queued | BallotPhase::Decided { .. } => false,
        }
    }
}

/// What binds a referee's vote to its place and author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VoteContext {
    /// The chain that the job is on.
    pub chain: ChainId,
    /// The job in dispute.
    pub job: JobId,
    /// The attempt of that job.
    pub attempt: Attempt,
    /// Number of the ballot in that attempt.
    pub ballot: u16,
    /// The validator that votes.
    pub referee: ValidatorId,
}

/// The commitment of a referee to what it found.
// Rule C64.
#[must_use]
pub fn vote_commitment(context: &VoteContext, found: &RefereeFinding, salt: &Hash32) -> Hash32 {
    Hash32::of(Domain::REFEREE_VOTE, &(context, found, salt))
}

/// What referees found, and what follows for bonds; under `StateKey::Verdict`.
///
/// The forfeited bonds are held here, and paid out when the time to appeal is over.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobVerdict {
    /// The attempt whose results were in dispute.
    pub attempt: Attempt,
    /// The task whose results are compared.
    pub task: TaskIndex,
    /// The leaf on which a quorum of stake agreed.
    pub leaf: Hash32,
    /// The primary of the attempt.
    pub primary: Address,
    /// Height of the block in which it took effect.
    pub height: Height,
    /// Bonds that were forfeited, of those that claimed another leaf.
    pub forfeits: Vec<Share>,
    /// Who is paid out of them.
    pub shares: Vec<Share>,
    /// The rest, which is burned.
    pub burned: Amount,
    /// Chain time at which this is paid and burned.
    pub due: ChainTime,
    /// True once it is.
    pub paid: bool,
}

/// An account with an amount in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Share {
    /// Address of the account.
    pub account: Address,
    /// What it is paid, or loses.
    pub amount: Amount,
}
