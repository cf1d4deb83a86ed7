//! A signer in a process of its own: a node that is broken into loses no key, and two nodes with one key cannot contradict each other.
//!
//! [`server`] holds the key and what was signed with it ([`guard`], [`past_file`]); [`client`] is what a node asks through. The socket
//! is local; who may open it is a matter of the folder that it lies in.

pub mod client;
pub mod guard;
mod past_file;
mod protocol;
pub mod server;
#[cfg(test)]
mod tests;

pub use past_file::SignedPastError;
