//! Why a network does not start.

use libp2p::Multiaddr;
use types::key::PublicKey;

use crate::registry::RegistryError;

/// Why a network does not start.
#[derive(Debug, thiserror::Error)]
pub enum P2pError {
    /// The validator key is not in the committee.
    #[error(
        "the validator key {0} is no member of the committee: is this the right key file and genesis?"
    )]
    NotInCommittee(PublicKey),
    /// The node key is the validator key.
    #[error("the node key must be a key of its own, not the validator key")]
    SameKeys,
    /// Genesis' node keys are not usable.
    #[error("genesis: {0}")]
    Genesis(#[from] RegistryError),
    /// The node key is not a usable libp2p identity.
    #[error("the node key {key} is not usable: {error}")]
    NodeKey {
        /// The key's public half.
        key: PublicKey,
        /// libp2p's reason for refusing the key.
        error: libp2p::identity::DecodingError,
    },
    /// The address is not an IP address with a TCP port.
    #[error("{0} is not an address to listen on: expected such as /ip4/127.0.0.1/tcp/26600")]
    ListenAddress(Multiaddr),
    /// The address is not an IP address or a host name with a TCP port that others can dial.
    #[error(
        "{0} is not an address to dial: expected such as /ip4/10.0.0.3/tcp/26600 or /dns4/validator.example/tcp/26600"
    )]
    DialAddress(Multiaddr),
    /// The address is taken or is not this machine's.
    #[error("cannot listen on {address}: {}", listen_words(error))]
    Listen {
        /// The address of the configuration.
        address: Multiaddr,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// The transport does not take the address.
    #[error("cannot listen on {address}: {error}")]
    ListenTransport {
        /// The address of the configuration.
        address: Multiaddr,
        /// libp2p's reason for refusing the address.
        error: libp2p::TransportError<std::io::Error>,
    },
    /// The system gave no address in time.
    #[error("cannot listen on {address}: the system gave no address in time")]
    ListenTimeout {
        /// The first address of the configuration.
        address: Multiaddr,
    },
    /// The encryption of connections cannot be set up.
    #[error("connections cannot be encrypted: {0}")]
    Noise(#[from] libp2p::noise::Error),
}

fn listen_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another process uses that port".to_owned(),
        _ => error.to_string(),
    }
}
