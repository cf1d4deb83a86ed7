//! `warp.Signer` of the host, and the requests for signatures that nodes send each other (ACP-118).

/// Signs a message of this chain with the node's BLS key.
pub const SIGN: &str = "/warp.Signer/Sign";

/// Asks the host for a signature; it signs only for the network and the chain that it runs us for.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SignMessage {
    /// Number of the network.
    #[prost(uint32, tag = "1")]
    pub network_id: u32,
    /// Id of the chain, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub source_chain_id: Vec<u8>,
    /// What the chain says.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
}

/// The host's signature.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MessageSigned {
    /// Compressed BLS signature, 96 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub signature: Vec<u8>,
}

/// A node wants a message signed: the body of an app request of handler 2.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SignatureRequest {
    /// The message without signatures.
    #[prost(bytes = "vec", tag = "1")]
    pub message: Vec<u8>,
    /// Why it should be signed; nothing is needed here.
    #[prost(bytes = "vec", tag = "2")]
    pub justification: Vec<u8>,
}

/// The answer: a signature.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SignatureResponse {
    /// Compressed BLS signature, 96 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub signature: Vec<u8>,
}
