//! Whole nodes with their real shells: disk, sockets and HTTP, all in this process over loopback.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

extern crate gridproof_node as node;

mod backup;
mod loopback;
