//! The signer: holds a validator's key and what it signed, and answers over a unix socket.
//!
//! What a signature says is on disk, synced under its name, before it leaves. One connection signs at a time; another one is told so
//! until the first is closed. After a failed write nothing is signed any more: nobody knows what the disk holds then.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use types::codec::{Bounded, Text};
use types::key::SecretKey;
use types::signer::SigningRequest;

use super::past_file::{PastFile, SignedPastError};
use super::protocol::{
    CLAIM_TIMEOUT, MAX_REASON_BYTES, SignerAnswer, SignerQuestion, receive, send,
};
use crate::signer_lock::{SignerLock, SignerLockError};

/// Most connections at the same time.
const MAX_CONNECTIONS: usize = 8;
/// Time for a node to take an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a signer does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SignerServerError {
    /// What was signed cannot be read or kept.
    #[error(transparent)]
    Past(#[from] SignedPastError),
    /// Another process signs with the key.
    #[error(transparent)]
    Lock(#[from] SignerLockError),
    /// The folder of the socket is for everybody.
    #[error("folder {path} has mode {mode:03o}: others could ask for signatures")]
    TooOpen {
        /// Path of the folder.
        path: PathBuf,
        /// Permission bits of the folder.
        mode: u32,
    },
    /// The socket cannot be made, or nobody can connect any more.
    #[error("socket {path}: {source}")]
    Socket {
        /// Path of the socket.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// A signer that listens.
#[derive(Debug)]
pub struct SignerServer {
    listener: UnixListener,
    path: PathBuf,
    desk: Arc<SigningDesk>,
    failure: mpsc::Receiver<SignedPastError>,
    _lock: SignerLock,
}

/// What all connections share.
#[derive(Debug)]
struct SigningDesk {
    key: SecretKey,
    state: Mutex<DeskState>,
    /// Told when the connection that signs is closed.
    left: Condvar,
    /// Told once, when what was signed cannot be kept.
    failed: mpsc::Sender<SignedPastError>,
}

#[derive(Debug)]
struct DeskState {
    file: PastFile,
    /// The connection that signs.
    holder: Option<u64>,
    broken: bool,
}

/// Makes the file of what a key signed, which has signed nothing yet: once in its life.
pub fn init(past: &Path, key: &SecretKey) -> Result<(), SignerServerError> {
    PastFile::init(past, key.public())?;
    Ok(())
}

impl SignerServer {
    /// Reads what the key signed and listens at `path`, in a folder that others than owner and group cannot enter.
    pub fn open(key: SecretKey, past: &Path, path: &Path) -> Result<Self, SignerServerError> {
        let socket = |source| SignerServerError::Socket {
            path: path.into(),
            source,
        };
        let lock = SignerLock::take(&key.public())?;
        let file = PastFile::open(past, key.public())?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mode = std::fs::metadata(folder).map_err(socket)?.mode() & 0o777;
        if mode & 0o007 != 0 {
            let path = folder.into();
            return Err(SignerServerError::TooOpen { path, mode });
        }
        // The lock says that nobody listens there for this key; a socket that answers is another key's.
        if UnixStream::connect(path).is_err()
            && path.symlink_metadata().is_ok_and(|about| is_socket(&about))
        {
            std::fs::remove_file(path).map_err(socket)?;
        }
        let listener = UnixListener::bind(path).map_err(socket)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(socket)?;
        let (failed, failure) = mpsc::channel();
        let state = Mutex::new(DeskState {
            file,
            holder: None,
            broken: false,
        });
        Ok(Self {
            listener,
            path: path.into(),
            desk: Arc::new(SigningDesk {
                key,
                state,
                left: Condvar::new(),
                failed,
            }),
            failure,
            _lock: lock,
        })
    }

    /// Answers until what was signed cannot be kept.
    pub fn run(self) -> SignerServerError {
        let (desk, listener) = (Arc::clone(&self.desk), self.listener);
        let accepting = std::thread::Builder::new().name("signer".to_owned());
        let accepting = accepting.spawn(move || accept(&listener, &desk));
        if let Err(source) = accepting {
            let path = self.path;
            return SignerServerError::Socket { path, source };
        }
        // The desk keeps its end: there is an answer only after a failure.
        match self.failure.recv() {
            Ok(error) => error.into(),
            Err(_) => SignerServerError::Socket {
                path: self.path,
                source: io::ErrorKind::BrokenPipe.into(),
            },
        }
    }
}

fn is_socket(about: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&about.file_type())
}

fn accept(listener: &UnixListener, desk: &Arc<SigningDesk>) {
    let open = Arc::new(AtomicUsize::new(0));
    let next = AtomicU64::new(0);
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // No descriptors, for instance: those that are open may end.
            std::thread::yield_now();
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (desk, counted) = (Arc::clone(desk), Arc::clone(&open));
        let served = std::thread::Builder::new().spawn(move || {
            // However it ended, the connection is over.
            let _ = serve(stream, number, &desk);
            desk.leave(number);
            counted.fetch_sub(1, Ordering::Relaxed);
        });
        if served.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve(mut stream: UnixStream, number: u64, desk: &SigningDesk) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    loop {
        let answer = match receive(&mut stream)? {
            SignerQuestion::Key => SignerAnswer::Key(desk.key.public()),
            SignerQuestion::Sign(requests) if requests.is_empty() => desk.claim(number),
            SignerQuestion::Sign(requests) => desk.sign(number, &requests),
        };
        send(&mut stream, &answer)?;
    }
}

fn refused(reason: &str) -> SignerAnswer {
    let reason: String = reason.chars().take(MAX_REASON_BYTES / 4).collect();
    SignerAnswer::Refused(Text::new(&reason).unwrap_or_default())
}

impl SigningDesk {
    fn state(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, number: u64) {
        let mut state = self.state();
        if state.holder == Some(number) {
            state.holder = None;
            self.left.notify_all();
        }
    }

    /// Makes a connection the one that signs, once the one before has gone.
    fn claim(&self, number: u64) -> SignerAnswer {
        let is_taken = |state: &mut DeskState| state.holder.is_some_and(|holder| holder != number);
        let waited = self
            .left
            .wait_timeout_while(self.state(), CLAIM_TIMEOUT, is_taken);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return SignerAnswer::Taken;
        }
        state.holder = Some(number);
        SignerAnswer::Signed(Bounded::default())
    }

    /// Signs all requests or none.
    fn sign(&self, number: u64, requests: &[SigningRequest]) -> SignerAnswer {
        let mut state = self.state();
        if state.broken {
            return refused("the signer cannot keep what it signs");
        }
        if *state.holder.get_or_insert(number) != number {
            return refused("another node signs with this key");
        }
        let own = self.key.public();
        let (mut past, mut changed) = (state.file.past.clone(), false);
        for request in requests {
            match past.allow(request, &own) {
                Ok(has_changed) => changed |= has_changed,
                Err(refusal) => return refused(&refusal.to_string()),
            }
        }
        if changed && let Err(error) = state.file.keep(past) {
            state.broken = true;
            let answer = refused(&error.to_string());
            // Whoever waits for it has gone only if the process ends.
            let _ = self.failed.send(error);
            return answer;
        }
        let hashes = requests.iter().map(SigningRequest::signing_hash);
        let signatures = hashes.map(|hash| self.key.sign(&hash)).collect();
        match Bounded::new(signatures) {
            Ok(signatures) => SignerAnswer::Signed(signatures),
            Err(_) => refused("too many requests"),
        }
    }
}
