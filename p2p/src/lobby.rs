//! Which incoming connections may wait until their peer has shown something, and which must go when others come. Pure.
//!
//! A lobby has two halves: one for connections from addresses that records or the configuration name, one for all
//! others, so that no number of strangers touches the former. When a half is full, of the address prefix that has most
//! in it the one that has waited for longest goes: whoever floods takes room from itself, also where all share one
//! address as on a devnet, since an honest peer needs but a moment. Nobody waits for longer than the patience.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The network that one owner usually has: /24 of IPv4, /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressPrefix(IpAddr);

impl AddressPrefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                IpAddr::from([a, b, c, 0])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
            }
        })
    }
}

/// A connection's number in a lobby; later ones are higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LobbyTicket(u64);

/// One half of a lobby.
#[derive(Debug, Default)]
struct LobbyHalf {
    by_prefix: BTreeMap<AddressPrefix, BTreeSet<LobbyTicket>>,
    total: usize,
}

impl LobbyHalf {
    fn insert(&mut self, prefix: AddressPrefix, ticket: LobbyTicket) {
        self.total += 1;
        self.by_prefix.entry(prefix).or_default().insert(ticket);
    }

    fn remove(&mut self, prefix: AddressPrefix, ticket: LobbyTicket) {
        if let Some(tickets) = self.by_prefix.get_mut(&prefix)
            && tickets.remove(&ticket)
        {
            self.total -= 1;
            if tickets.is_empty() {
                self.by_prefix.remove(&prefix);
            }
        }
    }

    /// The oldest of the prefix that has most.
    fn to_go(&self) -> Option<LobbyTicket> {
        let most = self
            .by_prefix
            .values()
            .max_by_key(|tickets| tickets.len())?;
        most.first().copied()
    }
}

#[derive(Debug, Clone, Copy)]
struct LobbyEntry {
    prefix: AddressPrefix,
    is_known: bool,
    since: Instant,
}

/// The connections that wait.
#[derive(Debug)]
pub(crate) struct Lobby {
    max_of_half: usize,
    patience: Duration,
    next: u64,
    waiting: BTreeMap<LobbyTicket, LobbyEntry>,
    known: LobbyHalf,
    others: LobbyHalf,
}

impl Lobby {
    /// At most `max` wait, each for at most `patience`.
    pub(crate) fn new(max: usize, patience: Duration) -> Self {
        Self {
            max_of_half: (max / 2).max(1),
            patience,
            next: 0,
            waiting: BTreeMap::new(),
            known: LobbyHalf::default(),
            others: LobbyHalf::default(),
        }
    }

    fn half(&mut self, is_known: bool) -> &mut LobbyHalf {
        if is_known {
            &mut self.known
        } else {
            &mut self.others
        }
    }

    /// A connection comes in; gives its ticket, and that of the one which goes for it.
    pub(crate) fn enter(
        &mut self,
        from: IpAddr,
        is_known: bool,
        now: Instant,
    ) -> (LobbyTicket, Option<LobbyTicket>) {
        let (ticket, prefix) = (LobbyTicket(self.next), AddressPrefix::of(from));
        self.next += 1;
        let max = self.max_of_half;
        let half = self.half(is_known);
        let gone = half.to_go().filter(|_| half.total >= max);
        if let Some(gone) = gone {
            self.leave(gone);
        }
        self.half(is_known).insert(prefix, ticket);
        let since = now;
        let entered = LobbyEntry {
            prefix,
            is_known,
            since,
        };
        self.waiting.insert(ticket, entered);
        (ticket, gone)
    }

    /// A connection waits no more: it has shown what it is, it has ended, or it was told to go.
    pub(crate) fn leave(&mut self, ticket: LobbyTicket) {
        if let Some(LobbyEntry {
            prefix, is_known, ..
        }) = self.waiting.remove(&ticket)
        {
            self.half(is_known).remove(prefix, ticket);
        }
    }

    /// The connections that have waited for too long; they wait no more.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<LobbyTicket> {
        let patience = self.patience;
        let is_late = |waiting: &LobbyEntry| now.duration_since(waiting.since) >= patience;
        // Tickets are in the order of their times.
        let late = self
            .waiting
            .iter()
            .take_while(|(_, waiting)| is_late(waiting));
        let late: Vec<_> = late.map(|(ticket, _)| *ticket).collect();
        for ticket in &late {
            self.leave(*ticket);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn lobby(max: usize) -> (Lobby, Instant) {
        (Lobby::new(max, PATIENCE), Instant::now())
    }

    fn ip(a: u8, d: u8) -> IpAddr {
        IpAddr::from([a, 0, 0, d])
    }

    #[test]
    fn a_flood_of_one_prefix_takes_room_from_itself_only() {
        let (mut lobby, now) = lobby(8);
        let (honest, gone) = lobby.enter(ip(9, 1), false, now);
        assert_eq!(gone, None);
        let mut entered = Vec::new();
        for n in 0..200 {
            let (ticket, gone) = lobby.enter(ip(7, n), false, now);
            assert_ne!(gone, Some(honest));
            // Three places are left beside the honest one; then the oldest goes.
            assert_eq!(gone, usize::from(n).checked_sub(3).map(|old| entered[old]));
            entered.push(ticket);
        }
        assert_eq!(lobby.waiting.len(), 4);
    }

    #[test]
    fn from_one_address_the_oldest_goes_first() {
        let (mut lobby, now) = lobby(8);
        let (honest, _) = lobby.enter(ip(7, 1), false, now);
        let gone: Vec<_> = (0..4)
            .map(|_| lobby.enter(ip(7, 1), false, now).1)
            .collect();
        assert_eq!(gone, [None, None, None, Some(honest)]);
    }

    #[test]
    fn strangers_leave_the_half_of_those_who_are_known() {
        let (mut lobby, now) = lobby(8);
        let known: Vec<_> = (0..4).map(|n| lobby.enter(ip(1, n), true, now).0).collect();
        for n in 0..100 {
            let (_, gone) = lobby.enter(ip(n, 1), false, now);
            assert!(gone.is_none_or(|gone| !known.contains(&gone)));
        }
        let (_, gone) = lobby.enter(ip(1, 9), true, now);
        assert_eq!(gone, Some(known[0]));
    }

    #[test]
    fn nobody_waits_longer_than_the_patience_and_room_is_given_back() {
        let (mut lobby, now) = lobby(8);
        let (first, _) = lobby.enter(ip(1, 1), false, now);
        let (second, _) = lobby.enter(ip(2, 1), true, now + PATIENCE / 2);
        let (third, _) = lobby.enter(ip(3, 1), false, now + PATIENCE / 2);
        lobby.leave(third);
        lobby.leave(third);
        assert_eq!(lobby.late(now + PATIENCE), [first]);
        assert_eq!(lobby.late(now + PATIENCE * 2), [second]);
        assert!(lobby.waiting.is_empty() && lobby.known.total == 0 && lobby.others.total == 0);
        assert!(lobby.known.by_prefix.is_empty() && lobby.others.by_prefix.is_empty());
    }
}
