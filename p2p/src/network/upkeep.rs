//! The loop's look at the clock: connections that do not answer, strangers that do not prove themselves, dials.

use std::time::Instant;

use libp2p::PeerId;
use libp2p::swarm::dial_opts::DialOpts;

use super::NetworkLoop;
use crate::dialer::DialTarget;
use crate::peers::{Peer, PeerConnection};

/// Pings without an answer after which a connection is given up. The ping protocol's own verdict comes late: it
/// forgives its first failure and then waits for a new stream.
const MISSED_PINGS: u32 = 3;

impl NetworkLoop {
    pub(super) fn on_tick(&mut self, now: Instant) {
        self.end_the_silent(now);
        self.end_strangers(now);
        self.end_banned(now);
        self.greet_waiting(now);
        self.announce_due(now);
        self.dial(now);
    }

    /// Gives up the connections that have not answered a ping for long.
    fn end_the_silent(&mut self, now: Instant) {
        let time_limit = self.limits.ping_interval * MISSED_PINGS;
        let silent =
            |connection: &&PeerConnection| now.duration_since(connection.alive) > time_limit;
        let each = self.peers.iter();
        let silent: Vec<_> = each
            .flat_map(|(peer, known)| {
                known
                    .connections
                    .iter()
                    .filter(silent)
                    .map(|connection| (*peer, connection.id))
            })
            .collect();
        for (peer, connection) in silent {
            self.give_up(peer, connection);
        }
    }

    /// Disconnects the peers that did not show in time that they are a validator's.
    fn end_strangers(&mut self, now: Instant) {
        let late = |known: &Peer| {
            known.validator.is_none()
                && now.duration_since(known.since) > self.limits.handshake_timeout
        };
        let strangers: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, known)| late(known))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in strangers {
            tracing::debug!(%peer, "the peer did not show that it is a validator's");
            self.shared.counters.strangers_closed.add(1);
            self.disconnect(peer);
        }
    }

    /// Disconnects the validators that the node has banned.
    pub(super) fn end_banned(&mut self, now: Instant) {
        let is_banned = |known: &Peer| {
            let validator = known.validator.as_ref();
            validator.is_some_and(|validator| self.shared.is_banned(validator, now))
        };
        let banned: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, known)| is_banned(known))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in banned {
            tracing::debug!(%peer, "the validator is banned");
            self.shared.counters.bans_enforced.add(1);
            self.disconnect(peer);
        }
    }

    fn dial(&mut self, now: Instant) {
        let is_banned = |peer: &PeerId| {
            let validator = self.registry.validator_of(peer);
            validator.is_some_and(|validator| self.shared.is_banned(&validator, now))
        };
        let is_left_alone = |peer: &PeerId| self.peers.contains_key(peer) || is_banned(peer);
        let due = self.dialer.due(now, is_left_alone);
        for due in due {
            let options = match &due.target {
                DialTarget::Bootstrap(_) => {
                    // None while its host name is unknown: it is looked for again after the pause.
                    let found = self.names.borrow().expand(&due.addresses);
                    let Some(address) = found.into_iter().next() else {
                        continue;
                    };
                    DialOpts::unknown_peer_id()
                        .address(address)
                        .allocate_new_port()
                        .build()
                }
                DialTarget::Peer(peer) => DialOpts::peer_id(*peer)
                    .addresses(due.addresses)
                    .allocate_new_port()
                    .build(),
            };
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => self.dialer.started(&due.target, connection),
                Err(error) => self.on_dial_error(connection, &error),
            }
        }
    }
}
