//! The state machine: (state after the parent, block) gives (writes, receipts). Pure and deterministic.
//!
//! A block is executed in this order, which is the protocol:
//!
//! 1. the header is checked against its parent, the body against the header;
//! 2. the beacon moves: by the output in the body, or by a skip;
//! 3. stored statements of validators;
//! 4. transactions, in the body's order: each is charged, then acts; an action that fails is reverted, its fee stays;
//! 5. jobs whose draw or deadline has come move on ([`compute::end_block`]), unbondings whose period is over are paid;
//! 6. on the last block of an epoch: the snapshot of partners for the next one, the seed of the one after.
//!
//! Begin and end (2, 5, 6) are total: nothing in a block makes them fail. An [`Abort`] is no verdict of the rules on a block;
//! it means that state cannot be read, which stops the node, or contradicts itself, which the block may have brought about.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

pub mod action;
pub mod beacon;
pub mod build;
pub mod chain;
pub mod charge;
pub mod compute;
pub mod context;
pub mod draws;
pub mod due;
pub mod error;
pub mod gas;
pub mod genesis;
pub mod mempool;
pub mod partner;
pub mod query;
mod record;
pub mod rules;
mod run;
pub mod system_pool;
mod transfer;

pub use beacon::{Beacon, BeaconDuty};
pub use build::{BuiltBody, build};
pub use chain::{BlockError, ExecutedBlock, execute, execute_known};
pub use charge::{ChargeError, Unverified, Verified};
pub use context::Context;
pub use error::{Abort, ActionError, Corruption};
pub use genesis::{GenesisStateError, genesis_writes};
pub use mempool::{Inserted, Mempool, MempoolError, MempoolLimits};
pub use query::Wanted;
pub use record::chain_record;
pub use rules::Rules;
pub use run::SystemError;
pub use system_pool::{SystemPool, SystemPoolError};
pub use types::account::{Account, Partner};
pub use types::chain_record::ChainRecord;
pub use types::snapshot::{EpochPartner, PartnerPage, PartnerSnapshot};
