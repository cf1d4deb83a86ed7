//! A node that starts from the state of others instead of executing every block.
//!
//! It is given a header that is to be trusted: whoever orders blocks says so. The header names its parent, the root of
//! the state after that parent and the root of its receipts, so that everything else can come from anybody: the block, its
//! parent with receipts, and the state, piece by piece. What came is a store that ends in the parent, on which the block
//! is executed like any other.
//!
//! [`request`] is what nodes ask of each other, [`plan`] decides whom to ask for what, [`fetch`] does it, and [`replay`]
//! is the last step. What this leaves out: which header, and when the new store takes the old one's place.

pub mod fetch;
pub mod plan;
pub mod replay;
pub mod request;

#[cfg(test)]
mod tests;
