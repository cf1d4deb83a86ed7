//! The rules of jobs that an action can break, one variant each.

use types::job::ChainFlaw;
use types::number::{Amount, Attempt, ChainTime, EngineClass, Fuel, Height, TaskIndex};
use types::sortition::SortitionError;

/// The rule of jobs that an action broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A count or a size outside its limits.
    #[error("{what}: {found} where {min} to {max} are allowed")]
    OutOfLimits {
        /// Name of the field in the spec.
        what: &'static str,
        /// Value in the spec.
        found: u128,
        /// Minimum value allowed.
        min: u128,
        /// Maximum value allowed.
        max: u128,
    },
    /// An engine class that the network does not have.
    #[error("engine class {0} is not one of this network")]
    UnknownClass(EngineClass),
    /// The network takes jobs of the class at later heights only.
    #[error(
        "jobs of engine class {class} are taken from height {from} on, this is height {height}"
    )]
    ClassNotYetOpen {
        /// Class of the workload.
        class: EngineClass,
        /// Height of the block that was to take the job.
        height: Height,
        /// The first height of the class.
        from: Height,
    },
    /// The network takes no jobs of the class any more.
    #[error(
        "jobs of engine class {class} were taken below height {until} only, this is height {height}"
    )]
    ClassClosed {
        /// Class of the workload.
        class: EngineClass,
        /// Height of the block that was to take the job.
        height: Height,
        /// The first height without jobs of the class.
        until: Height,
    },
    /// A list that must be sorted and without repeats is not.
    #[error("{what} must be sorted and without repeats; {item:?} is out of place")]
    NotSorted {
        /// Name of the list in the spec.
        what: &'static str,
        /// The first item out of place.
        item: String,
    },
    /// A path that is not where it must lie, or not in its plain form.
    #[error("{path:?} is not a plain path {place}")]
    BadPath {
        /// Path in the spec.
        path: String,
        /// Where it must lie.
        place: &'static str,
    },
    /// Two files at one path, or one file below another.
    #[error("{0:?} is also the path of another file, or lies below one")]
    PathTaken(String),
    /// A name of an output that cannot be a file's name, or is one that results use.
    #[error(
        "{0:?} cannot name an output: it is empty, holds a slash, or is stdout, stderr, . or .."
    )]
    BadOutputName(String),
    /// An environment key that is empty, holds an equals sign or is set by the network.
    #[error("{0:?} cannot be an environment key: it is empty, holds '=' or is set by the network")]
    BadEnvironmentKey(String),
    /// The loss from one wrong task is above that from all, or nothing while that is something.
    #[error(
        "the loss from one wrong task is {task} SQUARE: it must be above zero and at most the value at risk {value}"
    )]
    BadTaskValue {
        /// V1: loss of the customer from one wrong task, in base units.
        task: Amount,
        /// V: value at risk of the whole job, in base units.
        value: Amount,
    },
    /// The tasks hand a state on and the spec is no chain.
    #[error(transparent)]
    BadChain(ChainFlaw),
    /// States are handed on and the tasks are independent.
    #[error("the tasks of this job hand no state on")]
    NoState,
    /// The primary named its states before.
    #[error("the states of this attempt are handed on already")]
    AlreadyHandedOn,
    /// The list of states is empty or too long.
    #[error("the list of states has 1 to {limit} bytes")]
    BadStates {
        /// Maximum length of the list, in bytes.
        limit: usize,
    },
    /// The primary of a chain commits before a quorum holds its states.
    #[error("the commitment is taken once a quorum of validators holds the states")]
    StatesAwaited,
    /// The amounts together do not fit 128 bits.
    #[error("the amounts of this job together overflow")]
    Overflow,
    /// As many jobs are live as may be.
    #[error("{0} jobs are live, which is the limit; try again when some have ended")]
    TooManyJobs(usize),
    /// As many jobs of the customer are live as may be.
    #[error(
        "{0} jobs of this customer are live, which is the limit; try again when some have ended"
    )]
    TooManyJobsOfCustomer(u16),
    /// Validators promise to store no more than live jobs hold already.
    #[error(
        "the inputs take {needed} bytes and there is room for {left}; try again when some jobs have ended"
    )]
    NoRoom {
        /// Bytes of module, stdin and inputs.
        needed: u64,
        /// Bytes that live jobs do not hold.
        left: u64,
    },
    /// The job would wait longer for a place than it may.
    #[error(
        "a job waits about {expected_ms} ms for a place now and this one waits at most {patience_ms} ms; let it wait longer \
         or try again in {again_ms} ms"
    )]
    QueueTooLong {
        /// Time until a place is free for it, in milliseconds.
        expected_ms: u64,
        /// The longest that it may wait, in milliseconds.
        patience_ms: u64,
        /// Time after which it would be taken if no other came, in milliseconds.
        again_ms: u64,
    },
    /// The snapshot has no partner of the class.
    #[error("no partner runs engine class {0} in this epoch")]
    NoPartnerOfClass(EngineClass),
    /// No partner has the attributes asked for.
    #[error("none of the {partners} partners has the attributes that the constraints ask for")]
    ConstraintsUnmet {
        /// Partners of the class.
        partners: usize,
    },
    /// Every partner that fits asks for more.
    #[error(
        "the price cap is {cap} SQUARE; the lowest price that a partner asks for all tasks is {lowest}"
    )]
    PriceTooLow {
        /// Price cap of the job, in base units.
        cap: Amount,
        /// The lowest price asked.
        lowest: Amount,
    },
    /// The price cap is below what the class's floor makes of the fuel.
    #[error("the price cap is {cap} SQUARE; for this fuel it must be at least {floor}")]
    PriceBelowFloor {
        /// Price cap of the job, in base units.
        cap: Amount,
        /// Minimum price cap for this fuel, in base units.
        floor: Amount,
    },
    /// Partners that can lock the verifier's bond hold too little of the class's bond.
    #[error(
        "partners that can lock a verifier's bond of {bond} SQUARE hold a third of the class's bond or less"
    )]
    TooFewCanVerify {
        /// Bond that a verifier would have to lock, in base units.
        bond: Amount,
    },
    /// No partner can lock the bond that the value at risk calls for.
    #[error(
        "the value at risk calls for a locked bond of at least {needed} SQUARE; partners can lock up to {best}"
    )]
    BondTooSmall {
        /// The minimum bond that would do.
        needed: Amount,
        /// The maximum bond that a partner that fits can lock for one job.
        best: Amount,
    },
    /// No bond, however large, would cover the value at risk.
    #[error("no bond could cover the value at risk")]
    BondBoundless,
    /// A confidence that no number of checks reaches.
    #[error(
        "a confidence of {found} parts per million is beyond what sortition reaches: at most {max} is possible"
    )]
    ConfidenceTooHigh {
        /// As asked, in parts per million.
        found: u32,
        /// Maximum confidence that can be reached, in parts per million.
        max: u32,
    },
    /// So few tasks per verifier that the minimum of checks takes too many verifiers.
    #[error("{found} tasks per verifier are too few to check this job: at least {min} are needed")]
    TooFewTasksPerVerifier {
        /// k: tasks per verifier as asked.
        found: u32,
        /// Minimum k with which the checks suffice.
        min: u32,
    },
    /// More verifiers are demanded than there are partners.
    #[error(
        "{needed} verifiers are demanded; partners of this engine class beside the primary: {available}"
    )]
    NotEnoughVerifiers {
        /// How many there are.
        available: usize,
        /// How many are demanded.
        needed: u16,
    },
    /// The job is not in state.
    #[error("no such job")]
    UnknownJob,
    /// The job is not in a stage that allows this.
    #[error("the job is {stage}, which does not allow this")]
    WrongStage {
        /// Stage of the job.
        stage: &'static str,
    },
    /// Only who pays for a job may cancel it.
    #[error("the sender is not the customer of this job")]
    NotCustomer,
    /// A job whose primary has revealed: whoever is wrong answers for it, whatever the customer wants.
    #[error("the job is {stage}: it can be cancelled only until its primary reveals the results")]
    TooLateToCancel {
        /// Stage of the job.
        stage: &'static str,
    },
    /// The action is for another attempt.
    #[error("this is for attempt {given}, the job is at attempt {current}")]
    WrongAttempt {
        /// Attempt that the action names.
        given: Attempt,
        /// Attempt that the job is at.
        current: Attempt,
    },
    /// The receipt of a job that settled long ago.
    #[error("the receipt could be challenged until chain time {until}")]
    AuditOver {
        /// Chain time at which it ended.
        until: ChainTime,
    },
    /// The receipt was challenged as often as it may be.
    #[error("this receipt was challenged {0} times, which is the limit")]
    TooManyChallenges(u16),
    /// As many settled jobs are challenged as may be, beside as many live ones.
    #[error(
        "{0} jobs are live, which is the limit also for challenges; try again when some have ended"
    )]
    NoRoomToChallenge(usize),
    /// A primary that challenges its own result.
    #[error("the sender is the primary of the result that it challenges")]
    OwnResult,
    /// The sender does not challenge the job.
    #[error("the sender is not who challenges this job")]
    NotChallenger,
    /// Only the primary may do this.
    #[error("the sender is not the primary of this attempt")]
    NotPrimary,
    /// The primary must acknowledge first.
    #[error("the assignment is not acknowledged")]
    NotAcknowledged,
    /// The primary acknowledged before.
    #[error("the assignment is acknowledged already")]
    AlreadyAcknowledged,
    /// A renewal out of its order.
    #[error("this is renewal {given} of the duty, the next is {next}")]
    WrongRenewal {
        /// Number of the renewal.
        given: u32,
        /// Number that the next one must have.
        next: u32,
    },
    /// A renewal that comes too soon after the one before.
    #[error("the duty was renewed just now; it may be renewed again in {again_ms} ms")]
    RenewedTooSoon {
        /// Chain time until it may, in milliseconds.
        again_ms: u64,
    },
    /// The partner announced before.
    #[error("the sender is a verifier of this attempt already")]
    AlreadyVerifier,
    /// Sortition does not make the sender a verifier.
    #[error(transparent)]
    Sortition(#[from] SortitionError),
    /// As many verifiers are bound to the attempt as may be.
    #[error("{0} verifiers are bound to this attempt, which is the limit")]
    TooManyVerifiers(usize),
    /// The sender is no verifier.
    #[error("the sender is not a verifier of this attempt")]
    NotVerifier,
    /// The sender committed before.
    #[error("a commitment was made already")]
    AlreadyCommitted,
    /// The sender revealed before.
    #[error("the commitment was revealed already")]
    AlreadyRevealed,
    /// A verifier that opens before the primary has revealed.
    #[error("the primary has not revealed yet")]
    PrimaryNotRevealed,
    /// A verifier that claims to differ and found the same leaf as the primary.
    #[error("the leaf of task {0} is the primary's")]
    NoDivergence(TaskIndex),
    /// Root and salt are not those that the sender committed to.
    #[error("root and salt are not those that the sender committed to")]
    WrongCommitment,
    /// The opening does not show exactly the drawn tasks with leaves that lead to the root.
    #[error("the opening does not show exactly the drawn tasks, with leaves that lead to its root")]
    Inconsistent,
    /// The primary's opening names no list of outcomes of an allowed size, or a verifier's names one.
    #[error(
        "the primary's opening names a list of outcomes of at most {limit} bytes, a verifier's names none"
    )]
    BadOutcomes {
        /// Maximum length of the list of outcomes, in bytes.
        limit: usize,
    },
    /// A statement on inputs that are not as long as the job's.
    #[error("the statement is on {found} bytes of inputs, the job has {expected}")]
    WrongBytes {
        /// Bytes in the statement.
        found: u64,
        /// Bytes of module, stdin and inputs of the job.
        expected: u64,
    },
    /// A statement on inputs that counts fuel, or on results that took more than the job allows.
    #[error("the statement counts {found} fuel, where at most {limit} can be used")]
    WrongFuel {
        /// Fuel in the statement.
        found: Fuel,
        /// Maximum fuel of all tasks together; zero for inputs.
        limit: Fuel,
    },
    /// The vote is for another ballot.
    #[error("this vote is for ballot {given}, the dispute is at ballot {current}")]
    WrongBallot {
        /// Ballot that the vote names.
        given: u16,
        /// Ballot of the dispute.
        current: u16,
    },
    /// Only members of the ballot's committee vote.
    #[error("the sender is no referee of this dispute")]
    NotReferee,
    /// The ballot is not at this kind of vote, or has it already.
    #[error("the ballot does not wait for this vote")]
    VoteNotAwaited,
    /// Referees could not agree on a result of the program.
    #[error(
        "since height {since} no job may run this program under engine class {class}: referees found different results"
    )]
    ProgramBanned {
        /// Class of the workload.
        class: EngineClass,
        /// Height of the block that banned the program.
        since: Height,
    },
}

impl JobError {
    /// The stable short name that a receipt carries.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfLimits { .. } => "out_of_limits",
            Self::UnknownClass(_) => "unknown_class",
            Self::ClassNotYetOpen { .. } => "class_not_yet_open",
            Self::ClassClosed { .. } => "class_closed",
            Self::NotSorted { .. } => "not_sorted",
            Self::BadPath { .. } => "bad_path",
            Self::BadChain(_) => "bad_chain",
            Self::NoState => "no_state",
            Self::AlreadyHandedOn => "already_handed_on",
            Self::BadStates { .. } => "bad_states",
            Self::StatesAwaited => "states_awaited",
            Self::PathTaken(_) => "path_taken",
            Self::BadOutputName(_) => "bad_output_name",
            Self::BadEnvironmentKey(_) => "bad_environment_key",
            Self::BadTaskValue { .. } => "bad_task_value",
            Self::Overflow => "overflow",
            Self::TooManyJobs(_) => "too_many_jobs",
            Self::TooManyJobsOfCustomer(_) => "too_many_jobs_of_customer",
            Self::NoRoom { .. } => "no_room",
            Self::QueueTooLong { .. } => "queue_too_long",
            Self::NoPartnerOfClass(_) => "no_partner_of_class",
            Self::ConstraintsUnmet { .. } => "constraints_unmet",
            Self::PriceTooLow { .. } => "price_too_low",
            Self::PriceBelowFloor { .. } => "price_below_floor",
            Self::TooFewCanVerify { .. } => "too_few_can_verify",
            Self::BondTooSmall { .. } => "bond_too_small",
            Self::BondBoundless => "bond_boundless",
            Self::ConfidenceTooHigh { .. } => "confidence_too_high",
            Self::TooFewTasksPerVerifier { .. } => "too_few_tasks_per_verifier",
            Self::NotEnoughVerifiers { .. } => "not_enough_verifiers",
            Self::UnknownJob => "unknown_job",
            Self::WrongStage { .. } => "wrong_stage",
            Self::NotCustomer => "not_customer",
            Self::TooLateToCancel { .. } => "too_late_to_cancel",
            Self::WrongAttempt { .. } => "wrong_attempt",
            Self::AuditOver { .. } => "audit_over",
            Self::TooManyChallenges(_) => "too_many_challenges",
            Self::NoRoomToChallenge(_) => "no_room_to_challenge",
            Self::OwnResult => "own_result",
            Self::NotChallenger => "not_challenger",
            Self::NotPrimary => "not_primary",
            Self::NotAcknowledged => "not_acknowledged",
            Self::AlreadyAcknowledged => "already_acknowledged",
            Self::WrongRenewal { .. } => "wrong_renewal",
            Self::RenewedTooSoon { .. } => "renewed_too_soon",
            Self::AlreadyVerifier => "already_verifier",
            Self::Sortition(SortitionError::BeaconAwaited(_)) => "sortition_not_open",
            Self::Sortition(SortitionError::OwnWork) => "own_work",
            Self::Sortition(SortitionError::NotInSnapshot) => "not_in_snapshot",
            Self::Sortition(SortitionError::BadProof) => "bad_proof",
            Self::Sortition(SortitionError::NotDrawn) => "not_drawn",
            Self::TooManyVerifiers(_) => "too_many_verifiers",
            Self::NotVerifier => "not_verifier",
            Self::AlreadyCommitted => "already_committed",
            Self::AlreadyRevealed => "already_revealed",
            Self::PrimaryNotRevealed => "primary_not_revealed",
            Self::NoDivergence(_) => "no_divergence",
            Self::WrongCommitment => "wrong_commitment",
            Self::Inconsistent => "inconsistent_opening",
            Self::BadOutcomes { .. } => "bad_outcomes",
            Self::WrongBytes { .. } => "wrong_bytes",
            Self::WrongFuel { .. } => "wrong_fuel",
            Self::WrongBallot { .. } => "wrong_ballot",
            Self::NotReferee => "not_referee",
            Self::VoteNotAwaited => "vote_not_awaited",
            Self::ProgramBanned { .. } => "program_banned",
        }
    }
}
