//! gridproof as a custom VM of an Avalanche subnet: the process that AvalancheGo starts and speaks gRPC with.
//!
//! AvalancheGo orders the blocks (Snowman), this crate makes, checks and keeps them. [`plugin`] is the process: the
//! handshake, the signals, the end. [`service`] answers the calls. [`wire`] is what goes over the wire. What this crate
//! leaves out, and must never name: consensus and the network between validators of gridproof's own L1.

pub mod grpc;
pub mod plugin;
mod service;
pub mod wire;

pub use plugin::{ENGINE_ADDRESS, PluginError};
