//! Counts of frames, records and connections, mostly of those that were refused or lost, for metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start of the network.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, shared between tasks.
        #[derive(Debug, Default)]
        pub(crate) struct SharedCounters {
            $(pub(crate) $name: Count,)*
        }

        impl SharedCounters {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Frames that were dropped because a peer read too slowly.
    frames_dropped,
    /// Frames announced longer than their channel admits; the stream was closed.
    frames_oversize,
    /// Times that a peer was over its budget and read from later.
    reads_paused,
    /// Connections closed because the node had banned their validator.
    bans_enforced,
    /// Streams that a peer opened without being allowed to.
    streams_refused,
    /// Valid records that were newer than what was known.
    records_accepted,
    /// Records that were not valid; the connection was closed.
    records_refused,
    /// Valid records for a node that is bound to another validator; they were dropped.
    records_taken,
    /// Valid records that were not newer than what is known.
    records_stale,
    /// Connections that did not become a validator's in time.
    strangers_closed,
    /// Connections refused by a limit.
    connections_denied,
    /// Incoming connections that made room for newer ones before they had shown what they are.
    lobby_evictions,
    /// Valid records that came too soon after others of their validator.
    records_paced,
    /// Handshakes that failed or took too long, and sockets that said nothing in time.
    handshakes_failed,
}

/// A count that only grows, shared by all tasks.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
