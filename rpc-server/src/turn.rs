//! Whose turn it is on a connection: what the layers tell the server about it while they serve a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use std::collections::BTreeMap;
use tokio::task::AbortHandle;
use types::hash::Address;

use crate::connections::{ConnectionBook, ConnectionNumber, Entry, Holder};

/// The open connections of a server and the tasks that serve them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OpenConnections(Arc<Mutex<Served>>);

#[derive(Debug)]
struct Served {
    book: ConnectionBook,
    tasks: BTreeMap<ConnectionNumber, AbortHandle>,
}

impl Served {
    /// Drops a connection with what it holds.
    fn end(&mut self, number: ConnectionNumber) {
        self.book.closed(number);
        if let Some(task) = self.tasks.remove(&number) {
            task.abort();
        }
    }
}

impl OpenConnections {
    pub(crate) fn new(book: ConnectionBook) -> Self {
        let tasks = BTreeMap::new();
        Self(Arc::new(Mutex::new(Served { book, tasks })))
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be done about the next connection.
    pub(crate) fn entry(&self) -> Entry {
        self.served().book.entry(Instant::now())
    }

    /// A connection was accepted. What it owes counts until the turn is dropped.
    pub(crate) fn opened(&self, holder: Holder) -> Turn {
        let mut served = self.served();
        let now = Instant::now();
        if let Entry::InPlaceOf(number) = served.book.entry(now) {
            served.book.make_room(number, now);
            served.end(number);
        }
        let number = served.book.opened(holder, now);
        Turn(Arc::new(TurnOf {
            connections: self.clone(),
            number,
        }))
    }

    /// The task that serves a connection, to be ended when it must make room.
    pub(crate) fn served_by(&self, turn: &Turn, task: AbortHandle) {
        let mut served = self.served();
        served.tasks.insert(turn.0.number, task);
    }
}

#[derive(Debug)]
struct TurnOf {
    connections: OpenConnections,
    number: ConnectionNumber,
}

impl Drop for TurnOf {
    fn drop(&mut self) {
        let mut served = self.connections.served();
        served.book.closed(self.number);
        served.tasks.remove(&self.number);
    }
}

/// Whose turn it is on one connection. Cheap to clone; the last one that is dropped closes the account.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<TurnOf>);

impl Turn {
    /// A request is whole: the node owes an answer, until what this gives is dropped.
    pub(crate) fn node_owes(&self) -> WholeRequest {
        self.0.connections.served().book.node_owes(self.0.number);
        WholeRequest(self.clone())
    }

    /// An answer is made: the client owes the taking of it and the next request, unless the node owes another.
    pub(crate) fn client_owes(&self) {
        let mut served = self.0.connections.served();
        served.book.client_owes(self.0.number, Instant::now());
    }

    /// The client on this connection has shown that it is a party.
    pub(crate) fn belongs_to(&self, party: Address) {
        let mut served = self.0.connections.served();
        if let Some(ended) = served.book.belongs_to(self.0.number, party) {
            served.end(ended);
        }
    }
}

/// A whole request that the node has not answered.
#[derive(Debug)]
pub(crate) struct WholeRequest(Turn);

impl Drop for WholeRequest {
    fn drop(&mut self) {
        let turn = &self.0.0;
        let mut served = turn.connections.served();
        served.book.answered(turn.number, Instant::now());
    }
}
