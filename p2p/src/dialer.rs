//! When to dial what: each address list has a pause that doubles until a connection is made. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

/// Most dials that one look gives.
const MAX_DIALS_AT_ONCE: usize = 16;

/// Something to be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// An address from the configuration, whoever answers there.
    Bootstrap(Multiaddr),
    /// A validator's peer, at the addresses of its record.
    Peer(PeerId),
}

#[derive(Debug)]
struct State {
    addresses: Vec<Multiaddr>,
    /// Who is there: known from the start, or learned from the last connection.
    peer: Option<PeerId>,
    next: Instant,
    pause: Duration,
    in_flight: Option<ConnectionId>,
}

/// A dial that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) target: Target,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// The schedule.
#[derive(Debug)]
pub(crate) struct Dialer {
    targets: BTreeMap<Target, State>,
    min: Duration,
    max: Duration,
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
        let target = |address: &Multiaddr| {
            let peer = address.iter().find_map(|part| {
                if let Protocol::P2p(peer) = part {
                    Some(peer)
                } else {
                    None
                }
            });
            let state = State {
                addresses: vec![address.clone()],
                peer,
                next: now,
                pause: min,
                in_flight: None,
            };
            (Target::Bootstrap(without_peer(address)), state)
        };
        Self {
            targets: bootstrap.iter().map(target).collect(),
            min,
            max,
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
        let min = self.min;
        let fresh = || State {
            addresses: vec![],
            peer: Some(peer),
            next: now + delay,
            pause: min,
            in_flight: None,
        };
        let state = self.targets.entry(Target::Peer(peer)).or_insert_with(fresh);
        if state.addresses != addresses {
            (state.addresses, state.next, state.pause) = (addresses, now + delay, min);
        }
    }

    /// A peer is no validator's any more.
    pub(crate) fn remove_peer(&mut self, peer: PeerId) {
        self.targets.remove(&Target::Peer(peer));
    }

    /// An address turned out to be our own.
    pub(crate) fn remove_address(&mut self, address: &Multiaddr) {
        self.targets
            .remove(&Target::Bootstrap(without_peer(address)));
    }

    /// What is to be dialed now. The next try of each comes after its pause, which doubles.
    pub(crate) fn due(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<Due> {
        let (mut due, max) = (Vec::new(), self.max);
        for (target, state) in &mut self.targets {
            let idle = state.in_flight.is_none() && !state.addresses.is_empty();
            let absent = !state.peer.is_some_and(|peer| connected(&peer));
            if idle && absent && state.next <= now && due.len() < MAX_DIALS_AT_ONCE {
                state.next = now + state.pause;
                state.pause = (state.pause * 2).min(max);
                due.push(Due {
                    target: target.clone(),
                    addresses: state.addresses.clone(),
                });
            }
        }
        due
    }

    /// A dial is under way.
    pub(crate) fn started(&mut self, target: &Target, connection: ConnectionId) {
        if let Some(state) = self.targets.get_mut(target) {
            state.in_flight = Some(connection);
        }
    }

    /// A dial failed.
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
            state.pause = self.min;
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
