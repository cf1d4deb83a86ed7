//! Signer and node over a real socket, in one process.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use types::codec::Bounded;
use types::hash::{BlockId, ChainId, Hash32};
use types::key::SecretKey;
use types::number::{Epoch, View};
use types::signer::{Signer, SigningRequest};
use types::vote::{Statement, Subject};

use super::client::{RemoteSignerError, public_key, remote_signer};
use super::protocol::{SignerAnswer, SignerQuestion, receive, send};
use super::server::{SignerServer, SignerServerError, init};

struct SignerFolder {
    folder: tempfile::TempDir,
    key: SecretKey,
}

impl SignerFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let place = Self {
            folder,
            key: SecretKey::generate().unwrap(),
        };
        init(&place.past(), &place.key).unwrap();
        place
    }

    fn past(&self) -> PathBuf {
        self.folder.path().join("signed")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("signer.sock")
    }

    fn start(&self) -> Signer {
        self.start_at(&self.socket());
        remote_signer(&self.socket()).unwrap()
    }

    fn start_at(&self, socket: &Path) {
        let server = SignerServer::open(self.key.clone(), &self.past(), socket).unwrap();
        std::thread::spawn(move || server.run());
    }
}

fn vote(subject: Subject) -> SigningRequest {
    SigningRequest::Vote {
        chain: ChainId::default(),
        statement: Statement {
            epoch: Epoch(1),
            view: View(4),
            subject,
        },
    }
}

fn finalize(n: u8) -> SigningRequest {
    vote(Subject::Finalize {
        block: BlockId(Hash32([n; 32])),
    })
}

#[test]
fn a_signer_gives_the_signatures_of_its_key_and_no_contradicting_one() {
    let place = SignerFolder::new();
    let remote = place.start();
    assert_eq!(remote.public(), place.key.public());
    assert!(remote.key().is_none());
    let local = Signer::new(place.key.clone());
    let request = finalize(1);
    assert_eq!(remote.sign(request.clone()), local.sign(request.clone()));
    assert_eq!(remote.sign(vote(Subject::Nullify)), None);
    let trouble = remote.trouble().unwrap();
    assert!(
        trouble.contains("a block of view 4 was finalized"),
        "{trouble}"
    );
    // All or nothing, and nothing of a refused batch is remembered.
    assert_eq!(remote.sign_all([finalize(1), finalize(2)]), None);
    assert!(remote.sign(request).is_some() && remote.trouble().is_none());
}

#[test]
fn of_two_nodes_one_signs_until_it_goes() {
    let place = SignerFolder::new();
    let first = place.start();
    // Before the first one has signed anything.
    let taken = remote_signer(&place.socket()).unwrap_err();
    assert!(matches!(taken, RemoteSignerError::Taken(_)), "{taken}");
    assert!(first.sign(finalize(1)).is_some());
    let mut stranger = UnixStream::connect(place.socket()).unwrap();
    let question = SignerQuestion::Sign(Bounded::new(vec![finalize(1)]).unwrap());
    send(&mut stranger, &question).unwrap();
    let SignerAnswer::Refused(reason) = receive(&mut stranger).unwrap() else {
        panic!("it signs for two")
    };
    let reason = reason.to_string();
    assert!(reason.contains("another node signs"), "{reason}");
    assert_eq!(public_key(&place.socket()).unwrap(), place.key.public());
    drop(first);
    // The signer hears of it on a thread of its own, and who asks waits for that.
    let second = remote_signer(&place.socket()).unwrap();
    assert!(second.sign(finalize(1)).is_some());
    assert_eq!(
        second.sign(finalize(2)),
        None,
        "what the first one signed counts"
    );
}

#[test]
fn a_signer_without_its_past_or_in_an_open_folder_does_not_start() {
    let place = SignerFolder::new();
    let open = |past: &Path, socket: &Path| SignerServer::open(place.key.clone(), past, socket);
    std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(
        open(&place.past(), &place.socket()),
        Err(SignerServerError::TooOpen { mode: 0o755, .. })
    ));
    std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let gone = open(&place.folder.path().join("gone"), &place.socket());
    assert!(matches!(gone, Err(SignerServerError::Past(_))));
    let running = open(&place.past(), &place.socket()).unwrap();
    let second = open(&place.past(), &place.folder.path().join("other.sock"));
    assert!(matches!(second, Err(SignerServerError::Lock(_))));
    drop(running);
    // A socket that nobody listens at is taken over.
    assert!(open(&place.past(), &place.socket()).is_ok());
}

#[test]
fn a_signer_that_hangs_is_not_asked_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("hangs.sock");
    let key = SecretKey::generate().unwrap();
    let (listener, public) = (UnixListener::bind(&socket).unwrap(), key.public());
    // Says its key to whoever connects and lets it sign, then reads and answers nothing; counts who connects.
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let question: SignerQuestion = receive(&mut stream).unwrap();
            assert_eq!(question, SignerQuestion::Key);
            send(&mut stream, &SignerAnswer::Key(public)).unwrap();
            let claim: SignerQuestion = receive(&mut stream).unwrap();
            assert_eq!(claim, SignerQuestion::Sign(Bounded::default()));
            send(&mut stream, &SignerAnswer::Signed(Bounded::default())).unwrap();
            kept.push(stream);
        }
    });
    let remote = remote_signer(&socket).unwrap();
    for _ in 0..3 {
        assert_eq!(remote.sign(finalize(1)), None);
        assert!(remote.trouble().unwrap().contains("no answer within 2 s"));
    }
    let found = connections.load(Ordering::SeqCst);
    assert_eq!(
        found, 1,
        "it was asked once, over the connection that was open"
    );
}
