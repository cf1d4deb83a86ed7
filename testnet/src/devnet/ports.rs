//! Whether a devnet's ports are free. Asked before anything is made or started: a process that finds its port taken
//! only ends, while whoever holds the port may answer in its place.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use super::process::wait_until;

/// A port that a devnet needs and cannot have.
#[derive(Debug, thiserror::Error)]
#[error("port {port} cannot be used: {source}")]
pub struct PortTaken {
    /// The port, on loopback.
    pub port: u16,
    /// The error of binding it.
    pub source: io::Error,
}

/// How long a port may be held by a program that is being started: until it is loaded, a child holds what its parent
/// had open, also a port that was bound for a moment by an earlier check.
const LOADING: Duration = Duration::from_millis(500);

/// Binds each port on loopback for a moment. Refuses with the first that is taken.
pub fn check(ports: impl IntoIterator<Item = u16>) -> Result<(), PortTaken> {
    for port in ports {
        let mut bound = Ok(());
        wait_until(LOADING, || {
            bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop);
            bound.is_ok()
        });
        bound.map_err(|source| PortTaken { port, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_that_is_taken_is_named() {
        // No other test takes a port of this range, and no connection goes out from one.
        let range = crate::temporary::PortRange::take().unwrap();
        let port = range.base_port();
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let refused = check([port]).unwrap_err();
        assert_eq!(
            (refused.port, refused.source.kind()),
            (port, io::ErrorKind::AddrInUse)
        );
        drop(holder);
        check([port]).unwrap();
    }
}
