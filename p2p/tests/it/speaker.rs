//! A peer that speaks the protocol with libp2p alone, so that it can break its rules.

use std::time::Duration;

use futures::prelude::*;
use libp2p::request_response::{Behaviour, Codec, Config, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use tokio::time::interval;
use types::key::SecretKey;

use crate::net::{CHAIN, eventually, within};

/// Writes raw bytes on a stream and waits for its end.
#[derive(Clone, Default)]
pub struct Raw {
    /// Goes on writing a zero byte now and then, until the other side ends the stream.
    pub dripping: bool,
}

impl Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> std::io::Result<()> {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(|_| ())
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()> {
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        if !self.dripping {
            return Ok(());
        }
        let mut tick = interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            stream.write_all(&[0]).await?;
            stream.flush().await?;
        }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Whoever does not answer pings is disconnected at once.
#[derive(NetworkBehaviour)]
pub struct Speaker {
    ping: ping::Behaviour,
    raw: Behaviour<Raw>,
}

pub struct Hostile {
    pub swarm: Swarm<Speaker>,
    target: PeerId,
}

impl Hostile {
    /// Connects with a node key; all it says goes to one protocol.
    pub async fn connect(key: &SecretKey, address: Multiaddr, protocol: &str) -> Self {
        Self::connect_with(Raw::default(), key, address, protocol).await
    }

    pub async fn connect_with(
        raw: Raw,
        key: &SecretKey,
        address: Multiaddr,
        protocol: &str,
    ) -> Self {
        let secret =
            libp2p::identity::ed25519::SecretKey::try_from_bytes(&mut key.to_bytes()[..]).unwrap();
        let keypair =
            libp2p::identity::Keypair::from(libp2p::identity::ed25519::Keypair::from(secret));
        let name =
            StreamProtocol::try_from_owned(format!("/gridproof/{CHAIN}/{protocol}/1")).unwrap();
        let patient = Config::default().with_request_timeout(Duration::from_mins(1));
        let raw = Behaviour::with_codec(raw, [(name, ProtocolSupport::Outbound)], patient);
        let behaviour = Speaker {
            ping: ping::Behaviour::default(),
            raw,
        };
        let mut swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default(),
                noise::Config::new,
                yamux::Config::default,
            )
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_mins(1)))
            .build();
        swarm.dial(address).unwrap();
        let target = within("the connection", async {
            loop {
                if let SwarmEvent::ConnectionEstablished { peer_id, .. } =
                    swarm.select_next_some().await
                {
                    return peer_id;
                }
            }
        })
        .await;
        Self { swarm, target }
    }

    pub fn say(&mut self, bytes: Vec<u8>) {
        self.swarm
            .behaviour_mut()
            .raw
            .send_request(&self.target, bytes);
    }

    /// Runs until the swarm says something that is waited for.
    pub async fn sees(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(&SwarmEvent<SpeakerEvent>) -> bool,
    ) {
        within(what, async {
            while !is_it(&self.swarm.select_next_some().await) {}
        })
        .await;
    }

    /// Runs until a condition holds.
    pub async fn until(mut self, what: &str, holds: impl FnMut() -> bool) -> Self {
        tokio::select! {
            () = eventually(what, holds) => {}
            () = async { loop { self.swarm.select_next_some().await; } } => {}
        }
        self
    }
}

pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}
