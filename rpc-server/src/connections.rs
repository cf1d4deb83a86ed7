//! Which connections are open, and which of them must make room for a newer one.
//!
//! A connection on which the node owes an answer stays. One whose client owes something (a head, the rest of a body,
//! the taking of an answer) stays as long as there is room, and for `min_turn` in any case: then, of the address that
//! has most of them, the one that has owed for longest ends. So whoever holds connections and says nothing takes them
//! from itself, and a client that speaks is served however many others do not.
//!
//! Connections of parties are counted apart and make room for each other only; a proxy's connections never end so.
//! The book is pure: `now` is an argument, and whoever asks it ends the connections that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use types::hash::Address;

use crate::caller::ClientAddress;

/// Windows of a turn, in each of which as small a part of all connections may have to make room.
const WINDOWS: u32 = 8;

/// A connection's number; later ones are higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionNumber(u64);

/// Who is at the other end, as far as room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Whoever is at an address.
    Stranger(ClientAddress),
    /// Who signed a request.
    Party(Address),
    /// A proxy of the operator, which bounds its own clients.
    Proxy,
}

/// What may be done about a connection that waits to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// There is room.
    Free,
    /// There is room once this connection has ended.
    InPlaceOf(ConnectionNumber),
    /// A connection may be ended from then on.
    At(Instant),
    /// The node owes an answer on every connection.
    Full,
}

#[derive(Debug)]
struct OpenConnection {
    holder: Holder,
    /// Since when its client owes something; nothing while the node does.
    owes: Option<Instant>,
    /// Requests that came whole and are not answered.
    whole: usize,
}

/// The open connections of a server.
#[derive(Debug)]
pub(crate) struct ConnectionBook {
    max: usize,
    max_of_party: usize,
    min_turn: Duration,
    /// When the current window began, and how many connections had to make room in it.
    window: Option<(Instant, usize)>,
    next: u64,
    open: BTreeMap<ConnectionNumber, OpenConnection>,
    /// Those whose clients owe something, the longest first.
    owing: BTreeMap<Holder, BTreeSet<(Instant, ConnectionNumber)>>,
    /// Connections of parties.
    of_parties: BTreeMap<Address, usize>,
    parties: usize,
}

impl ConnectionBook {
    /// At most `max` connections of strangers and proxies, and as many of parties, of which one has at most its share.
    pub(crate) fn new(max: usize, party_percent: u8, min_turn: Duration) -> Self {
        let share = max.saturating_mul(usize::from(party_percent.min(100))) / 100;
        Self {
            max,
            max_of_party: share.max(1),
            min_turn,
            window: None,
            next: 0,
            open: BTreeMap::new(),
            owing: BTreeMap::new(),
            of_parties: BTreeMap::new(),
            parties: 0,
        }
    }

    /// What may be done about the next connection, whoever makes it.
    pub(crate) fn entry(&self, now: Instant) -> Entry {
        if self.open.len() - self.parties < self.max {
            return Entry::Free;
        }
        let strangers = self.owing.iter();
        let strangers = strangers.filter(|(holder, _)| matches!(holder, Holder::Stranger(_)));
        // The first one of as many: the order of addresses, which is as good as any.
        let Some((_, most)) = strangers.rev().max_by_key(|(_, owing)| owing.len()) else {
            return Entry::Full;
        };
        let Some((since, number)) = most.first() else {
            return Entry::Full;
        };
        let at = self
            .window_end(now)
            .unwrap_or(now)
            .max(*since + self.min_turn);
        if at <= now {
            Entry::InPlaceOf(*number)
        } else {
            Entry::At(at)
        }
    }

    /// The end of the current window, if as many as may be have made room in it. After a halt of the whole machine all
    /// turns are over at once, also those of clients that have spoken and were not heard yet: they are heard first.
    fn window_end(&self, now: Instant) -> Option<Instant> {
        let (began, ended) = self.window?;
        let end = began + self.min_turn / WINDOWS;
        let most = self.max.div_ceil(usize::try_from(WINDOWS).unwrap_or(1));
        (now < end && ended >= most).then_some(end)
    }

    /// A connection makes room for another.
    pub(crate) fn make_room(&mut self, number: ConnectionNumber, now: Instant) {
        self.window = match self.window {
            Some((began, ended)) if now < began + self.min_turn / WINDOWS => {
                Some((began, ended + 1))
            }
            _ => Some((now, 1)),
        };
        self.closed(number);
    }

    /// A connection was accepted; its client owes a request.
    pub(crate) fn opened(&mut self, holder: Holder, now: Instant) -> ConnectionNumber {
        let number = ConnectionNumber(self.next);
        self.next += 1;
        let owes = Some(now);
        self.owing.entry(holder).or_default().insert((now, number));
        let connection = OpenConnection {
            holder,
            owes,
            whole: 0,
        };
        self.open.insert(number, connection);
        number
    }

    /// A request came whole: the node owes an answer on a connection.
    pub(crate) fn node_owes(&mut self, number: ConnectionNumber) {
        if let Some(connection) = self.open.get_mut(&number) {
            connection.whole += 1;
        }
        self.set_owing(number, None);
    }

    /// A whole request is answered, or given up by its client.
    pub(crate) fn answered(&mut self, number: ConnectionNumber, now: Instant) {
        if let Some(connection) = self.open.get_mut(&number) {
            connection.whole = connection.whole.saturating_sub(1);
        }
        self.client_owes(number, now);
    }

    /// A client owes something from now on: taking an answer, the next request. Not while the node owes as well.
    pub(crate) fn client_owes(&mut self, number: ConnectionNumber, now: Instant) {
        if self.open.get(&number).is_some_and(|open| open.whole == 0) {
            self.set_owing(number, Some(now));
        }
    }

    fn set_owing(&mut self, number: ConnectionNumber, owes: Option<Instant>) {
        let Some(connection) = self.open.get_mut(&number) else {
            return;
        };
        let (holder, before) = (connection.holder, connection.owes);
        connection.owes = owes;
        self.unlist(holder, before, number);
        if let Some(since) = owes {
            self.owing
                .entry(holder)
                .or_default()
                .insert((since, number));
        }
    }

    /// A stranger on a connection turned out to be a party. Gives the connection that makes room for it, if one must:
    /// the party's own that has owed for longest. Without room it stays a stranger's.
    pub(crate) fn belongs_to(
        &mut self,
        number: ConnectionNumber,
        party: Address,
    ) -> Option<ConnectionNumber> {
        let owes = match self.open.get(&number) {
            Some(OpenConnection {
                holder: Holder::Stranger(_),
                owes,
                ..
            }) => *owes,
            _ => return None,
        };
        let of_party = self.of_parties.get(&party).copied().unwrap_or_default();
        let mut ended = None;
        if of_party >= self.max_of_party || self.parties >= self.max {
            let own = self.owing.get(&Holder::Party(party));
            let (_, oldest) = *own.and_then(BTreeSet::first)?;
            self.closed(oldest);
            ended = Some(oldest);
        }
        self.set_owing(number, None);
        if let Some(connection) = self.open.get_mut(&number) {
            connection.holder = Holder::Party(party);
        }
        self.set_owing(number, owes);
        self.parties += 1;
        *self.of_parties.entry(party).or_default() += 1;
        ended
    }

    /// A connection has ended, or is being ended.
    pub(crate) fn closed(&mut self, number: ConnectionNumber) {
        let Some(OpenConnection { holder, owes, .. }) = self.open.remove(&number) else {
            return;
        };
        self.unlist(holder, owes, number);
        if let Holder::Party(party) = holder {
            self.parties -= 1;
            match self.of_parties.get_mut(&party) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.of_parties.remove(&party)),
            }
        }
    }

    fn unlist(&mut self, holder: Holder, since: Option<Instant>, number: ConnectionNumber) {
        if let (Some(since), Some(owing)) = (since, self.owing.get_mut(&holder)) {
            owing.remove(&(since, number));
            if owing.is_empty() {
                self.owing.remove(&holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(100);

    fn at(last: u8) -> Holder {
        Holder::Stranger(ClientAddress::new([10, 0, 0, last].into()))
    }

    /// A full book: two connections of the first address and one each of two others.
    fn full(start: Instant) -> (ConnectionBook, Vec<ConnectionNumber>) {
        let mut book = ConnectionBook::new(4, 50, TURN);
        let numbers = [2, 1, 1, 3].map(|address| {
            assert_eq!(book.entry(start), Entry::Free);
            book.opened(at(address), start)
        });
        (book, numbers.to_vec())
    }

    #[test]
    fn the_longest_owing_of_who_has_most_makes_room_after_its_turn() {
        let start = Instant::now();
        let (mut book, numbers) = full(start);
        assert_eq!(book.entry(start), Entry::At(start + TURN));
        assert_eq!(book.entry(start + TURN), Entry::InPlaceOf(numbers[1]));
        // An answer in progress is not ended, and then its client has a turn anew.
        book.node_owes(numbers[1]);
        book.opened(at(2), start + TURN);
        assert_eq!(book.entry(start + TURN), Entry::InPlaceOf(numbers[0]));
        book.answered(numbers[1], start + TURN);
        for number in numbers {
            book.node_owes(number);
        }
        assert_eq!(book.entry(start + TURN), Entry::At(start + TURN * 2));
    }

    #[test]
    fn a_connection_with_several_requests_is_the_clients_once_all_are_answered() {
        let start = Instant::now();
        let mut book = ConnectionBook::new(1, 50, TURN);
        let number = book.opened(at(1), start);
        book.node_owes(number);
        book.node_owes(number);
        book.answered(number, start);
        book.client_owes(number, start);
        assert_eq!(book.entry(start + TURN), Entry::Full);
        book.answered(number, start);
        assert_eq!(book.entry(start + TURN), Entry::InPlaceOf(number));
    }

    #[test]
    fn after_a_halt_only_a_part_makes_room_at_once() {
        let start = Instant::now();
        let mut book = ConnectionBook::new(16, 50, TURN);
        for _ in 0..16 {
            book.opened(at(1), start);
        }
        let later = start + TURN * 100;
        for _ in 0..2 {
            let Entry::InPlaceOf(number) = book.entry(later) else {
                panic!("its turn is over");
            };
            book.make_room(number, later);
            book.opened(at(1), later);
        }
        let next = later + TURN / WINDOWS;
        assert_eq!(book.entry(later), Entry::At(next));
        assert!(matches!(book.entry(next), Entry::InPlaceOf(_)));
    }

    #[test]
    fn a_node_that_owes_on_all_takes_no_more_and_a_proxy_stays() {
        let start = Instant::now();
        let mut book = ConnectionBook::new(2, 50, TURN);
        book.opened(Holder::Proxy, start);
        let other = book.opened(at(1), start);
        book.node_owes(other);
        assert_eq!(book.entry(start + TURN), Entry::Full);
        book.closed(other);
        assert_eq!(book.entry(start + TURN), Entry::Free);
    }

    #[test]
    fn parties_are_counted_apart_and_end_their_own_connections_only() {
        let start = Instant::now();
        let (mut book, numbers) = full(start);
        let party = Address([9; 20]);
        assert_eq!(book.belongs_to(numbers[0], party), None);
        assert_eq!(book.entry(start), Entry::Free);
        assert_eq!(book.belongs_to(numbers[1], party), None);
        // Half of four is its share, so the first one ends.
        assert_eq!(book.belongs_to(numbers[2], party), Some(numbers[0]));
        assert_eq!(book.entry(start), Entry::Free);
        // It owes nothing on the two that it has, so neither ends.
        book.node_owes(numbers[1]);
        book.node_owes(numbers[2]);
        assert_eq!(book.belongs_to(numbers[3], party), None);
        let later = book.opened(at(4), start);
        assert_ne!(book.entry(start + TURN), Entry::InPlaceOf(numbers[1]));
        for number in [numbers[1], numbers[2], numbers[3], later] {
            book.closed(number);
        }
        assert!(book.open.is_empty() && book.owing.is_empty() && book.of_parties.is_empty());
        assert_eq!(book.parties, 0);
    }
}
