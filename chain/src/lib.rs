//! A chain on one machine, whoever orders its blocks: transaction pools, building, executing and committing of blocks,
//! the blob book, a validator's duties, and the API's back end.
//!
//! [`Chain`] decides and is pure; a host with an ordering of its own drives it (see [`core`]). [`block`] is one block's
//! life. [`worker`], [`blob_tasks`], [`referee_tasks`] and [`backend`] perform what the chain asks of its machine, [`contain`] so that no panic
//! spreads. What this crate leaves
//! out, and must never name: consensus and the network between validators.

pub mod alarm;
pub mod arrival;
pub mod backend;
pub mod blob_book;
pub mod blob_tasks;
pub mod block;
mod caught;
pub mod clock;
pub mod contain;
pub mod core;
mod duty;
pub mod effect;
pub mod error;
pub mod event;
mod fetch_time;
#[cfg(test)]
mod fuzz;
pub mod gossip;
pub mod meters;
mod parent;
mod pools;
pub mod quarantine;
mod referee;
pub mod referee_tasks;
mod resend;
mod schedule;
pub mod setup;
pub mod state_meters;
pub mod state_sync;
mod tip_state;
mod verifier;
mod work;
pub mod worker;

pub use alarm::Alarm;
pub use arrival::{Arrival, Arrivals, Origin, Ticket};
pub use blob_book::{BlobRequest, Retention};
pub use block::{
    BuildRequest, BuildTicket, Building, BuildingFault, Built, Done, Executed, Execution, Outrun,
    Work,
};
pub use core::Chain;
pub use effect::{Destination, Effect};
pub use error::{ExecutionError, Fatal, Invalid, WorkKind};
pub use event::{Event, Submission};
pub use gossip::{BlobMessage, ChunkRequest, Gossip, PoolMessage};
pub use parent::Parent;
pub use referee::RefereeTask;
pub use schedule::RefusedVersion;
pub use setup::{OwnValidator, Setup};
