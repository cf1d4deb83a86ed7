//! What a partner tells its operator.

use types::number::{Amount, EngineClass, Height};

use crate::assignment::Assignment;
use crate::room::{ByteCount, FreeRoom};

/// What an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// The chain holds another commitment under this account than the one on this disk.
    #[error(
        "{0}: the chain holds another commitment than this disk; was the account used elsewhere, or the disk put back to an older state?"
    )]
    ForeignCommitment(Assignment),
    /// The account cannot pay the bond.
    #[error(
        "the bond is {bond} of {target}, and the account's {balance} cannot fill it up (hint: send SQUARE to it)"
    )]
    BondShort {
        /// Bond on record, in base units.
        bond: Amount,
        /// What it should be.
        target: Amount,
        /// What the account holds.
        balance: Amount,
    },
    /// The account cannot pay many more fees.
    #[error(
        "the account holds {balance} and the reserve is {reserve}: without money for fees nothing can be committed or opened, which costs the bond (hint: send SQUARE to it)"
    )]
    BalanceLow {
        /// What the account holds.
        balance: Amount,
        /// What should stay on it.
        reserve: Amount,
    },
    /// A job was declined whose tasks may take longer than they may take here.
    #[error(
        "{assignment}: declined, a task may take {task_ms} ms and task_wall_ms is {wall_ms} (hint: a higher one saves the penalty)"
    )]
    TooLong {
        /// Assignment that it is about.
        assignment: Assignment,
        /// What a task may take by the network's rules.
        task_ms: u64,
        /// What it may take here.
        wall_ms: u64,
    },
    /// A job was declined for which this machine lacks room.
    #[error(
        "{assignment}: declined, it may take {} of disk and {} of memory, and {} and {} are free here (hint: make room, or lower offer.places)",
        need.disk(), need.memory(), room.disk(), room.memory()
    )]
    NoRoom {
        /// Assignment that it is about.
        assignment: Assignment,
        /// What it may take.
        need: FreeRoom,
        /// What is free.
        room: FreeRoom,
    },
    /// A job was declined whose inputs or results are larger than what is kept of a job here.
    #[error(
        "{assignment}: declined, it may take {} of disk and blob_quota_bytes is {} (hint: raise it, if the disk has the room)",
        ByteCount(*needed), ByteCount(*quota)
    )]
    OverQuota {
        /// Assignment that it is about.
        assignment: Assignment,
        /// Bytes of its inputs or of its results, whichever are more.
        needed: u64,
        /// The limit for each of the two, in bytes.
        quota: u64,
    },
    /// An assignment of a class that this build does not run: a primary declines it, a verifier cannot do it.
    #[error(
        "{assignment}: this build does not run engine class {class} (hint: install a newer gridproof)"
    )]
    ClassLacking {
        /// Assignment that it is about.
        assignment: Assignment,
        /// Class of its workload.
        class: EngineClass,
    },
    /// The network takes jobs of a class that this build does not run, or will.
    #[error(
        "jobs of engine class {class} are taken from height {from} on, and this build does not run it (hint: install a newer gridproof)"
    )]
    ClassUnknown {
        /// Number of the class.
        class: EngineClass,
        /// The first height that takes jobs of it.
        from: Height,
    },
    /// The network has no class that this build runs: nothing is registered.
    #[error("the network has no engine class that this build runs: it is not registered")]
    NoClass,
    /// An assignment's tasks gave no result.
    #[error("{assignment}: no result in execution {execution}: {reason}")]
    NoResult {
        /// Assignment that it is about.
        assignment: Assignment,
        /// Which try, from 1.
        execution: u32,
        /// Message of the executor, for the operator; nothing is decided by it.
        reason: String,
    },
    /// An assignment is over.
    #[error("{0} is over")]
    Over(Assignment),
}
