//! The messages that AvalancheGo and a VM exchange, field by field as the host numbers them: the wire format of protocol
//! 45 and 46, which is the same. Written by hand, only what is used; an unknown field is skipped by the decoder, as
//! protobuf wants it.

pub mod db;
pub mod http;
pub mod metrics;
pub mod runtime;
pub mod sender;
pub mod vm;
pub mod warp;

/// A call or an answer without content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Empty {}

/// The protocols of the host that this build speaks, lowest first. The host takes its own alone; the wire format of all
/// of these is the same, so the number is chosen when the plugin is installed.
pub const PROTOCOLS: [u32; 2] = [45, 46];

/// The protocol that is spoken unless another one was chosen: that of AvalancheGo v1.14.2.
pub const DEFAULT_PROTOCOL: u32 = 45;
