//! The schedule of dials: each address list has a pause that doubles until its peer has proved to be a validator's.
//! Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

/// Maximum dials that one look at the clock starts.
const MAX_DIALS_AT_ONCE: usize = 16;

/// A peer or an address that should be connected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DialTarget {
    /// An address from the configuration, whoever answers there.
    Bootstrap(Multiaddr),
    /// A validator's peer, at the addresses of its record.
    Peer(PeerId),
}

#[derive(Debug)]
struct DialSchedule {
    addresses: Vec<Multiaddr>,
    /// Who is there: known from the start, or learned from the last connection.
    peer: Option<PeerId>,
    /// Time of the next dial.
    next: Instant,
    /// Pauses after the next dials.
    pauses: ExponentialBackoff,
    in_flight: Option<ConnectionId>,
}

/// A dial to be started now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) target: DialTarget,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// When each committee member that is not connected is dialled next.
#[derive(Debug)]
pub(crate) struct Dialer {
    targets: BTreeMap<DialTarget, DialSchedule>,
    min: Duration,
    backoff: ExponentialBuilder,
}

/// An address without its `/p2p` end.
pub(crate) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|part| !matches!(part, Protocol::P2p(_)))
        .collect()
}

impl Dialer {
    pub(crate) fn new(bootstrap: &[Multiaddr], min: Duration, max: Duration, now: Instant) -> Self {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(min)
            .with_max_delay(max)
            .without_max_times();
        let target = |address: &Multiaddr| {
            let peer = address.iter().find_map(|part| {
                if let Protocol::P2p(peer) = part {
                    Some(peer)
                } else {
                    None
                }
            });
            let state = DialSchedule {
                addresses: vec![address.clone()],
                peer,
                next: now,
                pauses: backoff.build(),
                in_flight: None,
            };
            (DialTarget::Bootstrap(without_peer(address)), state)
        };
        Self {
            targets: bootstrap.iter().map(target).collect(),
            min,
            backoff,
        }
    }

    /// A validator's peer is to be connected at these addresses, first after `delay`.
    pub(crate) fn add_peer(
        &mut self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        now: Instant,
        delay: Duration,
    ) {
        let backoff = self.backoff;
        let fresh = || DialSchedule {
            addresses: vec![],
            peer: Some(peer),
            next: now + delay,
            pauses: backoff.build(),
            in_flight: None,
        };
        let target = self
            .targets
            .entry(DialTarget::Peer(peer))
            .or_insert_with(fresh);
        if target.addresses != addresses {
            target.addresses = addresses;
            target.next = now + delay;
            target.pauses = backoff.build();
        }
    }

    /// A peer is no validator's any more.
    pub(crate) fn remove_peer(&mut self, peer: PeerId) {
        self.targets.remove(&DialTarget::Peer(peer));
    }

    /// An address turned out to be our own.
    pub(crate) fn remove_address(&mut self, address: &Multiaddr) {
        self.targets
            .remove(&DialTarget::Bootstrap(without_peer(address)));
    }

    /// The dials to start now. The next dial of each target comes after its pause, which doubles.
    pub(crate) fn due(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<Dial> {
        let mut due = Vec::new();
        for (target, state) in &mut self.targets {
            let idle = state.in_flight.is_none() && !state.addresses.is_empty();
            let absent = !state.peer.is_some_and(|peer| connected(&peer));
            if idle && absent && state.next <= now && due.len() < MAX_DIALS_AT_ONCE {
                state.next = now + state.pauses.next().unwrap_or(self.min);
                due.push(Dial {
                    target: target.clone(),
                    addresses: state.addresses.clone(),
                });
            }
        }
        due
    }

    /// A dial is under way.
    pub(crate) fn started(&mut self, target: &DialTarget, connection: ConnectionId) {
        if let Some(state) = self.targets.get_mut(target) {
            state.in_flight = Some(connection);
        }
    }

    /// A dial failed: the next one waits longer.
    pub(crate) fn failed(&mut self, connection: ConnectionId) {
        for state in self
            .targets
            .values_mut()
            .filter(|state| state.in_flight == Some(connection))
        {
            state.in_flight = None;
        }
    }

    /// A peer is connected, maybe by a dial of ours.
    pub(crate) fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        for state in self.targets.values_mut() {
            if state.in_flight == Some(connection) {
                (state.in_flight, state.peer) = (None, Some(peer));
            }
        }
    }

    /// A peer proved to be a validator's: the pauses to it start anew when it is lost.
    pub(crate) fn proved(&mut self, peer: PeerId) {
        for state in self
            .targets
            .values_mut()
            .filter(|state| state.peer == Some(peer))
        {
            state.pauses = self.backoff.build();
        }
    }

    /// A peer is gone: it is dialed again after the shortest pause, unless a longer one is running.
    pub(crate) fn lost(&mut self, peer: PeerId, now: Instant) {
        for state in self
            .targets
            .values_mut()
            .filter(|state| state.peer == Some(peer))
        {
            state.next = state.next.max(now + self.min);
        }
    }
}

#[cfg(test)]
mod tests;
