//! Starting the network: checks, sockets, the node's own record, then the loop.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use libp2p::identity::{Keypair, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use types::key::{PublicKey, SecretKey};
use types::signer::Signer;

use super::{NetworkLoop, RecordSigner};
use crate::behaviour::{self, Behaviour, BehaviourEvent, IncomingRules};
use crate::config::Config;
use crate::dialer::Dialer;
use crate::error::P2pError;
use crate::events::{self, Events};
use crate::handle::Handle;
use crate::incoming::KnownAddresses;
use crate::names::{self, ResolvedNames, names_of};
use crate::record::is_dialable;
use crate::registry::Registry;
use crate::shared::SharedState;

/// Maximum stream requests, and maximum records, that wait for the loop.
const MAX_WAITING: usize = 256;
/// Time for the sockets to listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

type Event = SwarmEvent<BehaviourEvent>;

/// Listens, then connects to the committee and stays connected until the last handle is dropped or
/// [`Handle::shutdown`] is called. Needs a tokio runtime.
pub async fn start(config: Config) -> Result<(Handle, Events), P2pError> {
    let own = own_id(&config)?;
    let limits = config.limits;
    let committee = config.committee.clone();
    let registry = Registry::new(config.chain_id, committee, own, limits.record_every)?;
    check_addresses(&config)?;
    let keypair = identity(&config.node_key)?;
    let shared = Arc::new(SharedState::new(limits.read_rate));
    let known = KnownAddresses::default();
    let (wanted_names, to_resolve) = watch::channel(names_of(config.bootstrap.iter()));
    let (found, names) = watch::channel(ResolvedNames::default());
    known.set(config.bootstrap.iter());
    let incoming = IncomingRules {
        known: known.clone(),
        shared: Arc::clone(&shared),
    };
    let mut swarm = behaviour::build(&config, &keypair, incoming)?;
    let early = listen(&mut swarm, &config.listen).await?;
    swarm.behaviour_mut().streams.set_known(registry.known());

    let (events, receiver) = events::queue(config.committee.ids());
    let (streams, wanted) = mpsc::channel(MAX_WAITING);
    let (records, records_receiver) = mpsc::channel(MAX_WAITING);
    let (stop, stopped) = watch::channel(false);
    let now = Instant::now();
    let mut network = NetworkLoop {
        swarm,
        signer: own.and_then(|(validator, _)| {
            Some(RecordSigner {
                validator,
                key: config.validator.clone()?,
                node_key: config.node_key.clone(),
                chain: config.chain_id,
                external: config.external.clone(),
                name: config.name.clone(),
                sequence: first_sequence(),
                is_due: false,
            })
        }),
        own_record: None,
        registry,
        dialer: Dialer::new(&config.bootstrap, limits.redial_min, limits.redial_max, now),
        bootstrap: config.bootstrap,
        known,
        wanted_names,
        names,
        greetings: BTreeMap::new(),
        warnings: BTreeMap::new(),
        peers: BTreeMap::new(),
        limits,
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        events,
        pending: VecDeque::new(),
        streams: streams.clone(),
        records,
    };
    network.tasks.spawn(names::resolve(to_resolve, found));
    network.on_addresses();
    for event in early {
        network.on_swarm(event);
    }
    let task = tokio::spawn(network.run(wanted, records_receiver, stopped));
    Ok((
        Handle::new(shared, streams, limits.request_timeout, stop, task),
        receiver,
    ))
}

/// The id and node key of this node, if it is a validator's.
fn own_id(config: &Config) -> Result<Option<(types::hash::ValidatorId, PublicKey)>, P2pError> {
    let Some(key) = config.validator.as_ref().map(Signer::public) else {
        return Ok(None);
    };
    if key == config.node_key.public() {
        return Err(P2pError::SameKeys);
    }
    let member = config
        .committee
        .validator(&key.validator_id())
        .ok_or(P2pError::NotInCommittee(key))?;
    Ok(Some((member.id(), config.node_key.public())))
}

fn identity(key: &SecretKey) -> Result<Keypair, P2pError> {
    let secret = ed25519::SecretKey::try_from_bytes(&mut key.to_bytes()[..]);
    let secret = secret.map_err(|error| P2pError::NodeKey {
        key: key.public(),
        error,
    })?;
    Ok(Keypair::from(ed25519::Keypair::from(secret)))
}

fn check_addresses(config: &Config) -> Result<(), P2pError> {
    if let Some(bad) = config
        .listen
        .iter()
        .find(|address| socket_address(address).is_none())
    {
        return Err(P2pError::ListenAddress(bad.clone()));
    }
    let dialed = config
        .bootstrap
        .iter()
        .map(crate::dialer::without_peer)
        .chain(config.external.iter().cloned());
    match dialed.into_iter().find(|address| !is_dialable(address)) {
        Some(bad) => Err(P2pError::DialAddress(bad)),
        None => Ok(()),
    }
}

/// The sequence of the first record: the clock, which is ahead of every earlier life's unless it was set back, and
/// then peers say so.
#[expect(
    clippy::disallowed_methods,
    reason = "records of later lives must have a higher sequence"
)]
fn first_sequence() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
}

/// The socket address of `/ip4/<address>/tcp/<port>` or its IPv6 form.
fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (Some(Protocol::Tcp(port)), None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Listens on every address and waits until it does; gives what else happened meanwhile.
async fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: &[Multiaddr],
) -> Result<Vec<Event>, P2pError> {
    let mut waiting = Vec::new();
    for address in addresses {
        // The transport shares ports with other processes of the same user, silently: a plain bind does not.
        if let Some(socket) = socket_address(address).filter(|socket| socket.port() != 0) {
            TcpListener::bind(socket).map_err(|error| P2pError::Listen {
                address: address.clone(),
                error,
            })?;
        }
        let listener = swarm.listen_on(address.clone());
        let listener = listener.map_err(|error| P2pError::ListenTransport {
            address: address.clone(),
            error,
        })?;
        waiting.push(listener);
    }
    let all = async {
        let mut others = Vec::new();
        while !waiting.is_empty() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    waiting.retain(|listener| *listener != listener_id);
                }
                other => others.push(other),
            }
        }
        others
    };
    let listening = tokio::time::timeout(LISTEN_TIMEOUT, all).await;
    listening.map_err(|_| P2pError::ListenTimeout {
        address: addresses.first().cloned().unwrap_or_else(Multiaddr::empty),
    })
}
