//! A committee and nodes of it, for the tests.

use std::time::Duration;

use gridproof_p2p as p2p;
use p2p::{Channel, Config, Counters, Events, Handle, Limits, Multiaddr, PeerEvent};
use tokio::time::{interval, timeout};
use types::committee::{Committee, Validator};
use types::hash::{ChainId, Hash32, ValidatorId};
use types::key::{SecretKey, VrfPublicKey};
use types::number::Stake;

/// Longest time that anything may take.
pub const DEADLINE: Duration = Duration::from_secs(30);
pub const CHAIN: ChainId = ChainId(Hash32([7; 32]));

/// Waits for a future with the deadline.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}

/// Waits for a condition with the deadline.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let mut tick = interval(Duration::from_millis(5));
    within(what, async {
        while !holds() {
            tick.tick().await;
        }
    })
    .await;
}

/// The keys of a committee in the order of its members.
pub struct Keys {
    pub validators: Vec<SecretKey>,
    pub nodes: Vec<SecretKey>,
}

impl Keys {
    pub fn new(members: u8) -> Self {
        let mut validators = validator_keys();
        validators.truncate(usize::from(members));
        let nodes = (1..=members)
            .map(|seed| SecretKey::from_bytes(&[seed + 100; 32]))
            .collect();
        Self { validators, nodes }
    }

    pub fn committee(&self) -> Committee {
        let member = |(key, node): (&SecretKey, &SecretKey)| Validator {
            key: key.public(),
            vrf_key: VrfPublicKey::default(),
            node_key: node.public(),
            stake: Stake(1),
        };
        Committee::new(
            self.validators
                .iter()
                .zip(&self.nodes)
                .map(member)
                .collect(),
        )
        .unwrap()
    }

    /// The configuration of a member, listening on a free port of loopback.
    pub fn config(&self, index: usize, bootstrap: &[Multiaddr]) -> Config {
        Config {
            node_key: self.nodes[index].clone(),
            validator: Some(self.validators[index].clone().into()),
            chain_id: CHAIN,
            committee: self.committee(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap: bootstrap.to_vec(),
            external: vec![],
            name: types::codec::Text::new("tested").unwrap(),
            limits: Limits::default(),
        }
    }

    /// The configuration of a node without a validator's key.
    pub fn stranger(&self, seed: u8, bootstrap: &[Multiaddr]) -> Config {
        let mut config = self.config(0, bootstrap);
        (config.node_key, config.validator) = (SecretKey::from_bytes(&[seed; 32]), None);
        config
    }

    pub async fn start(&self, index: usize, bootstrap: &[Multiaddr]) -> Node {
        Node::start(self.config(index, bootstrap)).await
    }
}

/// A network on this machine with what it told its owner.
pub struct Node {
    pub handle: Handle,
    pub events: Events,
}

impl Node {
    pub async fn start(config: Config) -> Self {
        let (handle, events) = p2p::start(config).await.unwrap();
        Self { handle, events }
    }

    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.handle.listen_addresses()
    }

    pub fn counters(&self) -> Counters {
        self.handle.counters()
    }

    /// Waits until exactly these are connected.
    pub async fn connected_to(&self, peers: &[usize]) {
        let mut peers: Vec<_> = peers.iter().map(|peer| id(*peer)).collect();
        peers.sort();
        eventually(&format!("a connection to {peers:?}"), || {
            self.handle.peers() == peers
        })
        .await;
    }

    /// The next event that `pick` picks; others are dropped.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(PeerEvent) -> Option<T>) -> T {
        within(what, async {
            loop {
                let event = self.events.recv().await.expect("the network ended");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    pub async fn next_frame(&mut self) -> (ValidatorId, Channel, Vec<u8>) {
        self.next("a frame", |event| match event {
            PeerEvent::Frame {
                from,
                channel,
                bytes,
            } => Some((from, channel, bytes.to_vec())),
            _ => None,
        })
        .await
    }
}

/// The keys that committees take their first ones from, in the order of committees.
fn validator_keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=8)
        .map(|seed| SecretKey::from_bytes(&[seed; 32]))
        .collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// The id of the member at a position, whatever the committee's size.
pub fn id(position: usize) -> ValidatorId {
    validator_keys()[position].public().validator_id()
}

/// The socket address of `/ip4/../tcp/..`.
pub fn socket_address(address: &Multiaddr) -> String {
    let text = address.to_string();
    let parts: Vec<_> = text.split('/').collect();
    format!("{}:{}", parts[2], parts[4])
}
