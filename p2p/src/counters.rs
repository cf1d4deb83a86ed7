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
                Counters { $($name: self.$name.read(),)* }
            }
        }

        impl Counters {
            /// Every count with its name, in the order of the fields.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
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

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What passed on one channel since the start of the network. Requests and their answers count as of the blobs' channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelTraffic {
    /// Frames given to the queues of peers, those that were dropped there included.
    pub sent_frames: u64,
    /// Bytes of these.
    pub sent_bytes: u64,
    /// Frames that came from validators.
    pub received_frames: u64,
    /// Bytes of these.
    pub received_bytes: u64,
}

/// The same, shared between tasks.
#[derive(Debug, Default)]
pub(crate) struct TrafficCounts {
    sent_frames: Count,
    sent_bytes: Count,
    received_frames: Count,
    received_bytes: Count,
}

impl TrafficCounts {
    /// A frame of so many bytes was given to a peer's queue.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_frames.add(1);
        self.sent_bytes
            .add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A frame of so many bytes came.
    pub(crate) fn received(&self, bytes: usize) {
        self.received_frames.add(1);
        self.received_bytes
            .add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> ChannelTraffic {
        ChannelTraffic {
            sent_frames: self.sent_frames.read(),
            sent_bytes: self.sent_bytes.read(),
            received_frames: self.received_frames.read(),
            received_bytes: self.received_bytes.read(),
        }
    }
}
