//! The process: it listens, tells the host where and which protocol it speaks, and serves until it is told to end.
//!
//! The host gives it 5 seconds for that, and an environment that holds [`ENGINE_ADDRESS`] and little else. SIGINT is
//! ignored always, SIGTERM until the host has called `Shutdown`: a terminal's signals reach plugins too, and the host
//! must be the one that ends them. Standard output and error stay open, since the host takes their end for ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::grpc::HostConnection;
use crate::service::{self, VmService};
use crate::wire::runtime::{Announcement, INITIALIZE};
use crate::wire::{DEFAULT_PROTOCOL, Empty, PROTOCOLS};

/// The variable by which the host tells a plugin where its runtime service listens. Who has it is a plugin.
pub const ENGINE_ADDRESS: &str = "AVALANCHE_VM_RUNTIME_ENGINE_ADDR";
/// Within what the host wants to be told.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Bytes of a stream, and of the connection, that may be on their way: blocks are some hundred kilobytes.
const WINDOW_BYTES: u32 = 8 << 20;

/// Why the plugin ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No port or no signal handler.
    #[error("the system refuses: {0}")]
    Io(#[from] std::io::Error),
    /// The host's runtime service does not answer.
    #[error("AvalancheGo does not answer at {address}: {source}")]
    Dial {
        /// Where it should.
        address: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// The host refuses the handshake.
    #[error(
        "AvalancheGo refuses a plugin of protocol {protocol}: {source}; install the plugin again for this node's version"
    )]
    Refused {
        /// The protocol that was offered.
        protocol: u32,
        /// What the host says.
        source: Box<tonic::Status>,
    },
    /// Serving ended.
    #[error("serving the VM: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The file that chooses the protocol says something else than a number of one.
    #[error("{path} must hold {} or {}, it holds {found:?}", PROTOCOLS[0], PROTOCOLS[1])]
    Protocol {
        /// Path of the file.
        path: PathBuf,
        /// Its content.
        found: String,
    },
}

/// The file beside an installed plugin that chooses its protocol. The host drops what follows the last dot of a name, and
/// passes over the file if nothing is left; another dot in here would stop the node. Without the file
/// [`DEFAULT_PROTOCOL`] is spoken.
#[must_use]
pub fn protocol_file(plugin: &Path) -> PathBuf {
    let name = plugin.file_name().unwrap_or_default().to_string_lossy();
    plugin.with_file_name(format!(".{name}-protocol"))
}

/// The protocol that the installed plugin at this path speaks.
pub fn protocol_of(plugin: &Path) -> Result<u32, PluginError> {
    let path = protocol_file(plugin);
    let found = match std::fs::read_to_string(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(DEFAULT_PROTOCOL),
        Err(error) => return Err(error.into()),
    };
    match found.trim().parse() {
        Ok(protocol) if PROTOCOLS.contains(&protocol) => Ok(protocol),
        _ => Err(PluginError::Protocol { path, found }),
    }
}

/// Runs the plugin for the host whose runtime service is at `engine`, until the host ends it.
pub async fn run(engine: &str, protocol: u32) -> Result<(), PluginError> {
    let (interrupt, terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let addr = socket.local_addr()?.to_string();
    let vm = VmService::new(addr.clone());
    let ended = end(vm.clone(), interrupt, terminate);
    let server = Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .tcp_nodelay(true)
        .serve_with_incoming_shutdown(
            service::dispatcher(vm),
            TcpIncoming::from(socket).with_nodelay(Some(true)),
            ended,
        );
    // The host calls as soon as it was told: it must be served meanwhile.
    let announced = announce(engine, protocol, addr);
    tokio::pin!(server);
    tokio::select! {
        early = &mut server => return Ok(early?),
        told = announced => told?,
    }
    Ok(server.await?)
}

async fn announce(engine: &str, protocol: u32, addr: String) -> Result<(), PluginError> {
    let host = HostConnection::dial(engine, HANDSHAKE_TIME)
        .await
        .map_err(|source| PluginError::Dial {
            address: engine.to_owned(),
            source,
        })?;
    let announcement = Announcement {
        protocol_version: protocol,
        addr,
    };
    let told: Result<Empty, _> = host.call(INITIALIZE, announcement).await;
    told.map(|_| ()).map_err(|source| PluginError::Refused {
        protocol,
        source: Box::new(source),
    })
}

/// Comes back once the host has called `Shutdown` and sent SIGTERM.
async fn end(vm: VmService, mut interrupt: Signal, mut terminate: Signal) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("SIGINT is ignored: AvalancheGo ends its plugins"),
            _ = terminate.recv() => {
                if vm.may_end() {
                    return;
                }
                tracing::info!("SIGTERM is ignored before AvalancheGo has called Shutdown");
            }
        }
    }
}
