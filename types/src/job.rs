//! A job on chain: its record, its stages with their payloads, and the receipt that stays when it is settled.
//!
//! What a customer asks for is in [`crate::spec`]; it is re-exported here. It stands in state under a key of its own,
//! written once, so that what moves a job on reads and writes a small record.

mod dispute;
mod duty;
mod parties;
mod receipt;
mod record;
mod stage;
mod terms;

pub use crate::spec::{
    Argument, CLASS_WASM_V2, Constraints, FUEL_PER_MODULE_BYTE, GuestPath, Input, JobSpec, Name,
    Output, PartnerProfile, RESERVED_ENVIRONMENT_PREFIX, TaskLimits, TaskSet, TaskSetError,
    Verification, Workload, is_environment_key, is_input_target, is_output_path, is_state_path,
};
pub use crate::task_state::{
    ChainFlaw, STATE_FOLDER, StateOutputs, TaskState, TaskStates, state_bytes,
};
pub use dispute::{
    AwaitedVote, Ballot, BallotPhase, JobVerdict, Share, VerifierOpening, VoteContext,
    vote_commitment,
};
pub use duty::{Duties, Renewals};
pub use parties::{EarlierVerifiers, Parties, Primary, UnrunnableReport, Verifier};
pub use receipt::{JobReceipt, ReceiptVerifier, Revocation};
pub use record::{Escrow, HandedOn, JobRecord, JobRent, Policy, Settlement, StageEntry};
pub use stage::{
    Announcing, Appointing, Assigned, Awaited, Challenged, Disputed, Failed, FailureReason,
    Pending, PrimaryOpening, Revealing, SortitionBeacon, Stage, Storing, Verifying,
};
pub use terms::JobTerms;
