//! The validators' network: libp2p over TCP with noise and yamux, bounded frames by channel.
//!
//! Decides nothing about what it carries. What it promises:
//!
//! - A frame said to be from a validator came over a connection whose node key that validator bound to itself, by
//!   genesis or by a signed record with a higher sequence ([`record`]). Nobody else can send a frame at all.
//! - Frames of one validator on one channel arrive in the order in which they were sent. Frames may be lost: when a
//!   connection breaks, and when a peer reads too slowly and the oldest waiting ones make room (counted).
//! - Every queue, frame, stream and connection is bounded, and lengths are checked before anything is allocated.
//! - One validator that floods takes no room of another in the queue towards the node, and is read at a bounded rate.
//! - Connections that come to nothing keep nobody out: they wait in a bounded place, half of which is for addresses that
//!   records or the configuration name, and who floods takes room from itself. Memory, connections and records that
//!   one validator makes too often are refused; want of memory refuses strangers only.
//! - Nothing is taken of a validator that the node has banned, over any connection, until the ban ends.
//! - A frame that is broadcast is held once, however many peers it is for.
//! - Whether a record is taken may depend on what came before it; such a refusal never costs a relay its connection.
//!
//! What it leaves out: transactions are not deduplicated here. A frame is handed on to nobody but the receiver;
//! flooding a transaction once is the node's decision, which knows what its mempool already holds.

mod behaviour;
mod budget;
mod channel;
mod config;
mod counters;
mod dialer;
mod error;
mod events;
mod frame;
mod frame_queue;
mod handle;
mod incoming;
mod link;
mod lobby;
mod muxer;
mod names;
mod network;
mod pace;
mod peers;
pub mod record;
mod registry;
mod shared;
mod streams;

pub use channel::Channel;
pub use config::{Config, Limits, ReadRate};
pub use counters::{ChannelTraffic, Counters};
pub use error::P2pError;
pub use events::{Events, PeerEvent};
pub use handle::{Handle, RequestError, SendError};
pub use libp2p::Multiaddr;
pub use libp2p::multiaddr::Error as MultiaddrError;
pub use network::start;
pub use registry::RegistryError;
pub use shared::PeerCard;
pub use streams::OpenError;
