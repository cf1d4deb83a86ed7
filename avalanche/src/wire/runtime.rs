//! `vm.runtime.Runtime`: the service by which a plugin that was just started tells the host where it listens.

/// The method that the plugin calls once.
pub const INITIALIZE: &str = "/vm.runtime.Runtime/Initialize";

/// Tells the host that the plugin listens.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Announcement {
    /// Protocol that the plugin speaks; the host ends it if it is not its own.
    #[prost(uint32, tag = "1")]
    pub protocol_version: u32,
    /// Where the plugin serves [`super::vm`], as `127.0.0.1:PORT`.
    #[prost(string, tag = "2")]
    pub addr: String,
}
