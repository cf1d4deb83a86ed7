//! A node's end of the connection to its signer.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use types::codec::Bounded;
use types::key::{PublicKey, Signature};
use types::signer::{KeyGuard, Signer, SigningRequest};

use super::protocol::{SignerAnswer, SignerQuestion, receive, send};

/// Time for one answer: a sync of a busy disk and more. Meanwhile the node's loop stands still.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Who gave no answer in time is left alone for so long, so that a signer that hangs takes a fifth of the loop's time at most.
const REST: Duration = ANSWER_TIMEOUT.saturating_mul(4);

/// Where a signer listens: `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignerAddress(PathBuf);

/// Why a text is no address of a signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected unix:PATH, such as unix:/run/gridproof/signer.sock")]
pub struct SignerAddressError;

impl FromStr for SignerAddress {
    type Err = SignerAddressError;

    fn from_str(text: &str) -> Result<Self, SignerAddressError> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self(path.into())),
            _ => Err(SignerAddressError),
        }
    }
}

impl TryFrom<String> for SignerAddress {
    type Error = SignerAddressError;

    fn try_from(text: String) -> Result<Self, SignerAddressError> {
        text.parse()
    }
}

impl From<SignerAddress> for String {
    fn from(address: SignerAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for SignerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.0.display())
    }
}

impl SignerAddress {
    /// The path of the socket, a relative one taken from a directory.
    #[must_use]
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }
}

/// Why a signer gives no signatures.
#[derive(Debug, thiserror::Error)]
pub enum RemoteSignerError {
    /// Nobody answers, or not in time.
    #[error("the signer at {path} is away: {source}")]
    Away {
        /// Path of its socket.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// It refuses.
    #[error("the signer at {path} refuses: {reason}")]
    Refused {
        /// Path of its socket.
        path: PathBuf,
        /// Its reason.
        reason: String,
    },
    /// Another node signs through it.
    #[error("another node signs through the signer at {0}")]
    Taken(PathBuf),
    /// It answers something else.
    #[error("the signer at {0} answers with something else than a signature")]
    Nonsense(PathBuf),
    /// It has another key.
    #[error("the signer at {path} has the key {found}, not {expected}")]
    OtherKey {
        /// Path of its socket.
        path: PathBuf,
        /// The key that it has.
        found: PublicKey,
        /// The key that it had.
        expected: PublicKey,
    },
}

/// A signer at a socket. Connects again by itself.
#[derive(Debug)]
struct RemoteSigner {
    path: PathBuf,
    public: PublicKey,
    stream: Mutex<Option<UnixStream>>,
    trouble: Mutex<Option<String>>,
    rests_until: Mutex<Option<Instant>>,
}

/// The key that a signer has; takes nothing from a node that signs through it.
pub fn public_key(path: &Path) -> Result<PublicKey, RemoteSignerError> {
    connect(path).map(|(_, key)| key)
}

/// The signer at a socket, which must be there now, and through which no other node may sign: a second one gets no signatures and
/// takes the connections to peers away from the first.
pub fn remote_signer(path: &Path) -> Result<Signer, RemoteSignerError> {
    let (mut stream, public) = connect(path)?;
    let claim = SignerQuestion::Sign(Bounded::default());
    match ask(&mut stream, &claim) {
        Ok(SignerAnswer::Signed(_)) => {}
        Ok(SignerAnswer::Taken) => return Err(RemoteSignerError::Taken(path.into())),
        Ok(_) => return Err(RemoteSignerError::Nonsense(path.into())),
        Err(source) => {
            let path = path.into();
            return Err(RemoteSignerError::Away { path, source });
        }
    }
    let remote = RemoteSigner {
        path: path.into(),
        public,
        stream: Mutex::new(Some(stream)),
        trouble: Mutex::new(None),
        rests_until: Mutex::new(None),
    };
    Ok(Signer::guarded(public, Arc::new(remote)))
}

fn connect(path: &Path) -> Result<(UnixStream, PublicKey), RemoteSignerError> {
    let away = |source| RemoteSignerError::Away {
        path: path.into(),
        source,
    };
    let mut stream = UnixStream::connect(path).map_err(away)?;
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(away)?;
    stream
        .set_write_timeout(Some(ANSWER_TIMEOUT))
        .map_err(away)?;
    match ask(&mut stream, &SignerQuestion::Key).map_err(away)? {
        SignerAnswer::Key(key) => Ok((stream, key)),
        _ => Err(RemoteSignerError::Nonsense(path.into())),
    }
}

fn ask(stream: &mut UnixStream, question: &SignerQuestion) -> io::Result<SignerAnswer> {
    let answer = send(stream, question).and_then(|()| receive(stream));
    answer.map_err(|error| match error.kind() {
        // What the system says of a timeout tells people nothing.
        io::ErrorKind::WouldBlock => late(),
        _ => error,
    })
}

fn late() -> io::Error {
    let text = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteSigner {
    /// The answer, unless the signer was too slow for the last question a short time ago.
    fn answer(&self, question: &SignerQuestion) -> Result<SignerAnswer, RemoteSignerError> {
        let mut rests_until = locked(&self.rests_until);
        if rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(self.away(late()));
        }
        let answer = self.ask_now(question);
        let is_late =
            matches!(&answer, Err(RemoteSignerError::Away { source, .. }) if is_late(source));
        *rests_until = is_late.then(|| Instant::now() + REST);
        answer
    }

    /// The answer over the connection that is open, or over a new one if the signer was started anew meanwhile.
    fn ask_now(&self, question: &SignerQuestion) -> Result<SignerAnswer, RemoteSignerError> {
        let mut kept = locked(&self.stream);
        if let Some(mut stream) = kept.take() {
            match ask(&mut stream, question) {
                Ok(answer) => {
                    *kept = Some(stream);
                    return Ok(answer);
                }
                // Who is slow is not asked twice at once.
                Err(source) if is_late(&source) => return Err(self.away(source)),
                Err(_) => {}
            }
        }
        let (mut stream, found) = connect(&self.path)?;
        if found != self.public {
            return Err(RemoteSignerError::OtherKey {
                path: self.path.clone(),
                found,
                expected: self.public,
            });
        }
        let answer = ask(&mut stream, question).map_err(|source| self.away(source))?;
        *kept = Some(stream);
        Ok(answer)
    }

    fn away(&self, source: io::Error) -> RemoteSignerError {
        RemoteSignerError::Away {
            path: self.path.clone(),
            source,
        }
    }

    fn try_sign(&self, requests: &[SigningRequest]) -> Result<Vec<Signature>, RemoteSignerError> {
        let nonsense = || RemoteSignerError::Nonsense(self.path.clone());
        let asked = Bounded::new(requests.to_vec()).map_err(|_| nonsense())?;
        match self.answer(&SignerQuestion::Sign(asked))? {
            SignerAnswer::Signed(signatures) => {
                let pairs = requests.iter().zip(signatures.iter());
                let verify = |(request, signature): (&SigningRequest, &Signature)| {
                    self.public.verify(&request.signing_hash(), signature)
                };
                let all = pairs.map(verify).all(|verified| verified.is_ok());
                if all && signatures.len() == requests.len() {
                    Ok(signatures.to_vec())
                } else {
                    Err(nonsense())
                }
            }
            SignerAnswer::Refused(reason) => Err(RemoteSignerError::Refused {
                path: self.path.clone(),
                reason: reason.to_string(),
            }),
            SignerAnswer::Taken => Err(RemoteSignerError::Taken(self.path.clone())),
            SignerAnswer::Key(_) => Err(nonsense()),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

impl KeyGuard for RemoteSigner {
    fn sign(&self, requests: &[SigningRequest]) -> Option<Vec<Signature>> {
        let signed = self.try_sign(requests);
        let mut trouble = locked(&self.trouble);
        match signed {
            Ok(signatures) => {
                if trouble.take().is_some() {
                    tracing::info!(signer = %self.path.display(), "the signer signs again");
                }
                Some(signatures)
            }
            Err(error) => {
                let reason = error.to_string();
                if trouble.as_ref() != Some(&reason) {
                    tracing::warn!("no signature, so no vote: {reason}");
                }
                *trouble = Some(reason);
                None
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }
}
