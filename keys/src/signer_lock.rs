//! One signer for one key on one machine: a lock that a process holds for as long as it lives.
//!
//! Two processes that sign with one validator key contradict each other sooner or later, each with a clean log of its
//! own. A lock on the directory does not see a copy of the directory; this one goes by the public key. It is an
//! abstract socket's name, so the system takes it back when the process ends, however it ends, and there is no file
//! that could be left over. What it leaves out: other machines, and other network namespaces of this one.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use types::key::PublicKey;

/// Why a process may not sign with a key.
#[derive(Debug, thiserror::Error)]
pub enum SignerLockError {
    /// Another process on this machine signs with it.
    #[error("another process on this machine signs with the key {0}")]
    Held(PublicKey),
    /// The system does not say.
    #[error("cannot tell whether another process signs with the key {key}: {source}")]
    Unknown {
        /// Public half of the key.
        key: PublicKey,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to sign with a key, until it is dropped or the process ends.
#[derive(Debug)]
pub struct SignerLock(#[expect(dead_code, reason = "holds the name")] UnixListener);

impl SignerLock {
    /// Takes the right to sign with the secret of this public key.
    pub fn take(key: &PublicKey) -> Result<Self, SignerLockError> {
        let name = format!("gridproof signer {key}");
        let listener = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixListener::bind_addr(&address));
        listener.map(Self).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => SignerLockError::Held(*key),
            _ => SignerLockError::Unknown { key: *key, source },
        })
    }
}

#[cfg(test)]
mod tests {
    use types::key::SecretKey;

    use super::*;

    #[test]
    fn a_key_has_one_signer_until_its_lock_is_dropped() {
        let [one, other] = [(); 2].map(|()| SecretKey::generate().unwrap().public());
        let lock = SignerLock::take(&one).unwrap();
        let second = SignerLock::take(&one).unwrap_err();
        assert!(matches!(second, SignerLockError::Held(key) if key == one));
        assert!(SignerLock::take(&other).is_ok());
        drop(lock);
        assert!(SignerLock::take(&one).is_ok());
    }
}
