//! Whole nodes with their real shells: disk, sockets and HTTP, all in this process over loopback.

extern crate gridproof_node as node;

mod loopback;
