//! What is read of the network when somebody looks at the metrics.

use std::collections::BTreeSet;

use chain::backend::ChainBackend;
use metrics::{Catalogue, Counter, Gauge, Labelled};
use p2p::{Channel, Handle};
use types::hash::ValidatorId;

/// Connections, traffic and counts of what was refused.
pub(super) struct NetworkMetrics {
    traffic: TrafficMetrics,
    events: Labelled<Counter>,
    members: MemberMetrics,
}

impl NetworkMetrics {
    pub(super) fn register(all: &mut Catalogue) -> Self {
        Self {
            traffic: TrafficMetrics::register(all),
            events: all.counters(
                "gridproof_p2p_events_total",
                &["event"],
                "What the network refused, dropped or closed, by the name of the count.",
            ),
            members: MemberMetrics::register(all),
        }
    }

    pub(super) fn refresh(&self, backend: &ChainBackend, network: &Handle) {
        self.traffic.refresh(network);
        for (name, count) in network.counters().named() {
            self.events.of(&[name]).set(count);
        }
        self.members.refresh(backend, network);
    }
}

/// Frames and bytes by channel.
struct TrafficMetrics {
    sent_frames: Labelled<Counter>,
    sent_bytes: Labelled<Counter>,
    received_frames: Labelled<Counter>,
    received_bytes: Labelled<Counter>,
}

impl TrafficMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            sent_frames: all.counters(
                "gridproof_p2p_sent_frames_total",
                &["channel"],
                "Frames given to the queues of peers, those that were dropped there included.",
            ),
            sent_bytes: all.counters(
                "gridproof_p2p_sent_bytes_total",
                &["channel"],
                "Bytes of the frames given to the queues of peers.",
            ),
            received_frames: all.counters(
                "gridproof_p2p_received_frames_total",
                &["channel"],
                "Frames that came from validators.",
            ),
            received_bytes: all.counters(
                "gridproof_p2p_received_bytes_total",
                &["channel"],
                "Bytes of the frames that came from validators.",
            ),
        }
    }

    fn refresh(&self, network: &Handle) {
        for channel in Channel::ALL {
            let name = match channel {
                Channel::Consensus => "consensus",
                Channel::Transactions => "transactions",
                Channel::Blobs => "blobs",
            };
            let traffic = network.traffic(channel);
            self.sent_frames.of(&[name]).set(traffic.sent_frames);
            self.sent_bytes.of(&[name]).set(traffic.sent_bytes);
            self.received_frames
                .of(&[name])
                .set(traffic.received_frames);
            self.received_bytes.of(&[name]).set(traffic.received_bytes);
        }
    }
}

/// The members of the committee.
struct MemberMetrics {
    info: Labelled<Gauge>,
    stake: Labelled<Gauge>,
    connected: Labelled<Gauge>,
}

impl MemberMetrics {
    fn register(all: &mut Catalogue) -> Self {
        Self {
            info: all.gauges(
                "gridproof_validator_info",
                &["validator", "name", "own"],
                "Always 1; the labels say what a validator calls itself, and whether it is this one.",
            ),
            stake: all.gauges(
                "gridproof_validator_stake",
                &["validator"],
                "Stake of a validator.",
            ),
            connected: all.gauges(
                "gridproof_p2p_connected",
                &["validator"],
                "1 while a validator is connected to this one, which is connected to itself.",
            ),
        }
    }

    fn refresh(&self, backend: &ChainBackend, network: &Handle) {
        let peers: BTreeSet<ValidatorId> = network.peers().into_iter().collect();
        let committee = &backend.rules.committee;
        // A name that changed leaves nothing behind.
        self.info.clear();
        for id in committee.ids() {
            let is_own = backend.validator == Some(*id);
            let (label, name) = (id.to_string(), network.name(id));
            let own = if is_own { "true" } else { "false" };
            self.info.of(&[&label, name.as_str(), own]).set(1);
            let stake = committee.validator(id).map_or(0, |member| member.stake.0);
            self.stake.of(&[&label]).set(stake);
            self.connected
                .of(&[&label])
                .set_bool(is_own || peers.contains(id));
        }
    }
}
