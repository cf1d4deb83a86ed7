//! Decided blocks on disk: state, tree, blocks, certificates, receipts and their indices in one RocksDB.
//!
//! The only crate that names `rocksdb`. One block is one atomic batch, so that after a crash the store is at the end
//! of some decided block; blocks that were not synced are fetched and executed again. Nothing undecided is written.
//! Reads run over a snapshot and see whole blocks. The layout is in [`layout`], all of it.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod audit;
mod commit;
mod database;
mod engine_stats;
mod error;
mod generations;
mod history;
pub mod layout;
mod node_cache;
mod open;
mod prune;
mod read;
mod settings;
mod staged;
mod value_cache;

pub use audit::{Audit, FamilySize};
pub use database::Store;
pub use engine_stats::EngineStats;
pub use error::StoreError;
pub use history::{
    HistoryPreset, KeptHistory, LEAST_BLOCKS, MAX_PRUNED_BYTES, MAX_PRUNED_HEIGHTS,
    VALIDATOR_HEIGHTS,
};
pub use settings::{LEAST_MEMORY_BYTES, LEAST_OPEN_FILES, StoreSettings};
pub use staged::{StagedBlock, StagedStore};
pub use state::{ChainStore, DecidedState, Decision, Durability, StateError};
