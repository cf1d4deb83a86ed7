//! The way in: an incoming connection costs the swarm nothing before its peer has spoken, and its handshakes have a
//! bounded place and time.
//!
//! Two lobbies ([`crate::lobby`]) stand one behind the other. In the first wait sockets on which no byte has come yet:
//! whoever dials speaks first, so a peer leaves it at once, however far away it is, and a silent socket costs a
//! descriptor and nothing else. In the second wait the handshakes. Whoever must go is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::{AbortHandle, Abortable, BoxFuture, FutureExt as _, Ready, ready};
use futures::stream::{FuturesUnordered, StreamExt as _};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::tcp::tokio::TcpStream;
use tokio::io::ReadBuf;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::lobby::{Lobby, LobbyTicket};
use crate::shared::SharedState;

/// Connections that one look takes from the system before it looks at what they say.
const MAX_ACCEPTED_AT_ONCE: usize = 64;
/// Time between two looks for connections that have waited for too long.
const LATE_TICK: Duration = Duration::from_millis(100);

/// The IP addresses that records and the configuration name.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownAddresses(Arc<Mutex<BTreeSet<IpAddr>>>);

impl KnownAddresses {
    /// These from now on.
    pub(crate) fn set<'a>(&self, addresses: impl Iterator<Item = &'a Multiaddr>) {
        let known = addresses.filter_map(ip_of).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn contains(&self, address: &IpAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(address)
    }
}

/// The IP address of a multiaddress, in its IPv4 form if it has one.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

/// A lobby and the ends of those who wait in it. Cheap to clone.
#[derive(Debug, Clone)]
struct Doorkeeper {
    waiting: Arc<Mutex<WaitingConnections>>,
    known: KnownAddresses,
    shared: Arc<SharedState>,
}

#[derive(Debug)]
struct WaitingConnections {
    lobby: Lobby,
    ends: BTreeMap<LobbyTicket, AbortHandle>,
}

/// A place in a lobby, given back when it is dropped.
#[derive(Debug)]
struct LobbyPlace {
    doorkeeper: Doorkeeper,
    ticket: LobbyTicket,
}

impl Drop for LobbyPlace {
    fn drop(&mut self) {
        let mut waiting = self.doorkeeper.waiting();
        waiting.lobby.leave(self.ticket);
        waiting.ends.remove(&self.ticket);
    }
}

impl Doorkeeper {
    fn new(lobby: Lobby, known: KnownAddresses, shared: Arc<SharedState>) -> Self {
        let ends = BTreeMap::new();
        Self {
            waiting: Arc::new(Mutex::new(WaitingConnections { lobby, ends })),
            known,
            shared,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingConnections> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until it is done, or until another takes its place.
    fn admit<T>(
        &self,
        from: &Multiaddr,
        wait: impl Future<Output = T> + Send + 'static,
    ) -> Abortable<BoxFuture<'static, T>> {
        let from = ip_of(from).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let is_known = self.known.contains(&from);
        let (end, registration) = AbortHandle::new_pair();
        let mut waiting = self.waiting();
        let (ticket, gone) = waiting.lobby.enter(from, is_known, Instant::now());
        if let Some(end) = gone.and_then(|gone| waiting.ends.remove(&gone)) {
            self.shared.counters.lobby_evictions.add(1);
            end.abort();
        }
        waiting.ends.insert(ticket, end);
        let place = LobbyPlace {
            doorkeeper: self.clone(),
            ticket,
        };
        let held = async move {
            let _place = place;
            wait.await
        };
        Abortable::new(held.boxed(), registration)
    }

    /// Ends those who have waited for too long.
    fn end_late(&self) {
        let mut waiting = self.waiting();
        for ticket in waiting.lobby.late(Instant::now()) {
            if let Some(end) = waiting.ends.remove(&ticket) {
                self.shared.counters.handshakes_failed.add(1);
                end.abort();
            }
        }
    }
}

/// A lobby whose late connections are ended by whoever polls it.
struct TimedLobby {
    doorkeeper: Doorkeeper,
    late: Interval,
}

impl TimedLobby {
    /// At most `max` connections wait, each for at most `patience`. Needs a tokio runtime.
    fn new(
        (max, patience): (usize, Duration),
        known: KnownAddresses,
        shared: Arc<SharedState>,
    ) -> Self {
        let mut late = interval(LATE_TICK);
        late.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let doorkeeper = Doorkeeper::new(Lobby::new(max, patience), known, shared);
        Self { doorkeeper, late }
    }

    /// Ends those who have waited for too long, and wakes the task when to look again.
    fn poll_late(&mut self, cx: &mut Context<'_>) {
        while self.late.poll_tick(cx).is_ready() {
            self.doorkeeper.end_late();
        }
    }
}

/// A socket whose peer has spoken.
struct Spoken {
    listener_id: ListenerId,
    local_addr: Multiaddr,
    send_back_addr: Multiaddr,
    stream: TcpStream,
}

/// Waits for the first byte, which stays in the socket.
async fn first_word(spoken: Spoken) -> io::Result<Spoken> {
    let mut byte = [0];
    let peek = |cx: &mut Context<'_>| spoken.stream.0.poll_peek(cx, &mut ReadBuf::new(&mut byte));
    match futures::future::poll_fn(peek).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(spoken),
    }
}

/// A TCP transport that hands on a connection once its peer has spoken.
pub(crate) struct SpeakingFirst<T> {
    inner: T,
    lobby: TimedLobby,
    silent: FuturesUnordered<Abortable<BoxFuture<'static, io::Result<Spoken>>>>,
}

impl<T> SpeakingFirst<T> {
    /// At most so many silent connections wait, each for at most so long. Needs a tokio runtime.
    pub(crate) fn new(
        inner: T,
        bounds: (usize, Duration),
        known: KnownAddresses,
        shared: Arc<SharedState>,
    ) -> Self {
        Self {
            inner,
            lobby: TimedLobby::new(bounds, known, shared),
            silent: FuturesUnordered::new(),
        }
    }
}

impl<T> SpeakingFirst<T>
where
    T: Transport<
            Output = TcpStream,
            Error = io::Error,
            ListenerUpgrade = Ready<io::Result<TcpStream>>,
        >,
{
    /// Takes what the system has accepted into the lobby; an event that is no connection is handed on.
    fn accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Ready<io::Result<TcpStream>>, io::Error>>
    where
        T: Unpin,
    {
        for _ in 0..MAX_ACCEPTED_AT_ONCE {
            match futures::ready!(Pin::new(&mut self.inner).poll(cx)) {
                TransportEvent::Incoming {
                    listener_id,
                    upgrade,
                    local_addr,
                    send_back_addr,
                } => {
                    let Some(Ok(stream)) = upgrade.now_or_never() else {
                        continue;
                    };
                    let from = send_back_addr.clone();
                    let spoken = Spoken {
                        listener_id,
                        local_addr,
                        send_back_addr,
                        stream,
                    };
                    let waiting = self.lobby.doorkeeper.admit(&from, first_word(spoken));
                    self.silent.push(waiting);
                }
                other => return Poll::Ready(other),
            }
        }
        // There may be more: after what these have to say.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> Transport for SpeakingFirst<T>
where
    T: Transport<
            Output = TcpStream,
            Error = io::Error,
            ListenerUpgrade = Ready<io::Result<TcpStream>>,
        > + Unpin,
{
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<TcpStream>>;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        at: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, at)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        to: Multiaddr,
        options: DialOpts,
    ) -> Result<T::Dial, TransportError<io::Error>> {
        self.inner.dial(to, options)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let this = self.get_mut();
        this.lobby.poll_late(cx);
        if let Poll::Ready(event) = this.accept(cx) {
            return Poll::Ready(event);
        }
        loop {
            match futures::ready!(this.silent.poll_next_unpin(cx)) {
                Some(Ok(Ok(spoken))) => {
                    return Poll::Ready(TransportEvent::Incoming {
                        listener_id: spoken.listener_id,
                        upgrade: ready(Ok(spoken.stream)),
                        local_addr: spoken.local_addr,
                        send_back_addr: spoken.send_back_addr,
                    });
                }
                // Broken off, or told to go.
                Some(_) => {}
                // What is accepted later wakes the transport below.
                None => return Poll::Pending,
            }
        }
    }
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// Another connection needed its place, or its time was over.
    #[error("the handshake took too long, or made room for another")]
    MadeRoom,
    /// It failed by itself.
    #[error("the handshake failed: {0}")]
    Failed(#[source] io::Error),
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        Self::other(error)
    }
}

/// A transport whose incoming handshakes wait in a lobby.
pub(crate) struct BoundedHandshakes<T> {
    inner: T,
    lobby: TimedLobby,
}

impl<T> BoundedHandshakes<T> {
    /// At most so many handshakes are under way, each for at most so long. Needs a tokio runtime.
    pub(crate) fn new(
        inner: T,
        bounds: (usize, Duration),
        known: KnownAddresses,
        shared: Arc<SharedState>,
    ) -> Self {
        Self {
            inner,
            lobby: TimedLobby::new(bounds, known, shared),
        }
    }
}

impl<T> Transport for BoundedHandshakes<T>
where
    T: Transport<Error = io::Error, ListenerUpgrade: Send + 'static, Output: Send + 'static>
        + Unpin,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<T::Output>>;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        at: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, at)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        to: Multiaddr,
        options: DialOpts,
    ) -> Result<T::Dial, TransportError<io::Error>> {
        self.inner.dial(to, options)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let this = self.get_mut();
        this.lobby.poll_late(cx);
        let event = futures::ready!(Pin::new(&mut this.inner).poll(cx));
        Poll::Ready(match event {
            TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr,
                send_back_addr,
            } => {
                let handshake = this.lobby.doorkeeper.admit(&send_back_addr, upgrade);
                let upgrade = async move {
                    let ended = handshake.await.map_err(|_| HandshakeError::MadeRoom)?;
                    Ok(ended.map_err(HandshakeError::Failed)?)
                };
                TransportEvent::Incoming {
                    listener_id,
                    upgrade: upgrade.boxed(),
                    local_addr,
                    send_back_addr,
                }
            }
            // No upgrade is in it.
            other => other.map_upgrade(|_| ready(Err(io::ErrorKind::Other.into())).boxed()),
        })
    }
}
