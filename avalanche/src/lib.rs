//! gridproof as a custom VM of an Avalanche subnet: the process that AvalancheGo starts and speaks gRPC with.
//!
//! AvalancheGo orders the blocks (Snowman), this crate makes, checks and keeps them. [`plugin`] is the process: the
//! handshake, the signals, the end. [`service`] answers the calls, [`core`] decides what the answers are, [`shell`] performs
//! what the core asks for, [`start`] puts them together. [`record`] keeps our store from getting ahead of the host,
//! [`finality`] makes the certificates that Snowman does not give, [`signing`] and [`signatures`] the
//! signatures of the subnet's validators over the state. [`wire`] is what goes over the wire. What this crate
//! leaves out, and must never name: consensus and the network between validators of gridproof's own L1.

pub mod config;
pub mod core;
pub mod effect;
pub mod finality;
pub mod grpc;
pub mod message;
pub mod network;
pub mod pace;
pub mod places;
pub mod plugin;
pub mod record;
pub mod report;
pub mod service;
pub mod shell;
pub mod signatures;
pub mod signing;
pub mod start;
pub mod sync;
pub mod times;
pub mod wire;

pub use plugin::{ENGINE_ADDRESS, PluginError};
