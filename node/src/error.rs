//! Why a node does not start or stops by itself, and the kinds of it, which follow what an operator must do.

use std::io;
use std::path::PathBuf;

use chain::Fatal;
use chain::worker::WorkerError;
use consensus::log::{LogError, StorageError};
use consensus::{EvidenceBookError, Halt, StartError};
use keys::keyfile::KeyFileError;
use keys::signer::client::RemoteSignerError;
use keys::signer_lock::SignerLockError;
use rpc_server::ServerError;
use state::{ErrorClass, StateError};
use store::StoreError;
use types::genesis::GenesisError;
use types::key::KeyError;
use types::versions::UpgradeError;
use vm::Abort;

use crate::core::{SetupError, StopReason};
use chain::quarantine::QuarantineError;

/// Why a node stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The signer that holds the validator's key is not to be had.
    #[error(transparent)]
    RemoteSigner(#[from] RemoteSignerError),
    /// Another process may not sign with the validator's key.
    #[error(transparent)]
    Signer(#[from] SignerLockError),
    /// There is no vote log and no chain: the directory was not made, or not to its end.
    #[error(
        "{0} does not exist: `gridproof node init --genesis ...` did not run here, or not to its end"
    )]
    NotInitialised(PathBuf),
    /// The vote log is gone from a directory in which a validator has run.
    #[error(
        "the vote log {} is gone, but this validator has run: {} is there",
        log.display(),
        db.display()
    )]
    VoteLogGone {
        /// Where the log should be.
        log: PathBuf,
        /// The store that is there.
        db: PathBuf,
    },
    /// The vote log cannot be used.
    #[error(transparent)]
    VoteLog(#[from] LogError),
    /// The system gives no thread for the vote log.
    #[error("no thread for the vote log: {0}")]
    LogThread(io::Error),
    /// The system gives no thread for the loop.
    #[error("no thread for the loop: {0}")]
    LoopThread(io::Error),
    /// The system gives no threads for HTTP.
    #[error("no threads for HTTP: {0}")]
    HttpThreads(io::Error),
    /// The disk is too slow for the vote log.
    #[error("the vote log cannot keep up: {0} groups of records wait for the disk")]
    LogBehind(usize),
    /// The vote log's thread has ended.
    #[error("the vote log's thread has ended")]
    LogEnded,
    /// The vote log's directory cannot be used.
    #[error(transparent)]
    VoteLogDirectory(#[from] StorageError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration of the store breaks a rule.
    #[error(transparent)]
    StoreConfig(#[from] crate::config::StoreConfigError),
    /// The store of blobs cannot be used.
    #[error(transparent)]
    Blobs(#[from] blobs::BlobStoreError),
    /// The genesis file cannot be read.
    #[error("{}: {source}", path.display())]
    GenesisFile {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The genesis file holds no valid genesis.
    #[error("{}: {source}", path.display())]
    Genesis {
        /// Path of the file.
        path: PathBuf,
        /// The rule it breaks.
        source: GenesisError,
    },
    /// The genesis gives no state.
    #[error(transparent)]
    GenesisState(#[from] vm::GenesisStateError),
    /// Genesis, keys, log and store do not fit.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The upgrades in the configuration do not fit the genesis.
    #[error(transparent)]
    Upgrades(#[from] UpgradeError),
    /// An address in the configuration is no multiaddress.
    #[error("p2p.{key}: {text:?} is no multiaddress: {source}")]
    Address {
        /// The key below `p2p`.
        key: &'static str,
        /// The text in the configuration.
        text: String,
        /// The rule of multiaddresses that the text breaks.
        source: p2p::MultiaddrError,
    },
    /// The network does not start.
    #[error("p2p: {0}")]
    Network(#[from] p2p::P2pError),
    /// The HTTP server does not start.
    #[error("rpc.listen: {0}")]
    Rpc(#[from] ServerError),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(KeyError),
    /// The file of blocks on which execution failed cannot be used.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// Evidence against other validators cannot be kept or read.
    #[error(transparent)]
    Evidence(#[from] EvidenceBookError),
    /// Execution cannot keep up, or its thread is gone.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The core stopped: going on could only do harm.
    #[error(transparent)]
    Stop(#[from] StopReason),
}

/// What an operator must do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeErrorKind {
    /// Mend a key file.
    Key,
    /// Start the signer: the node can be started again once it is there.
    SignerAway,
    /// Leave one of two processes with one validator key off.
    SecondSigner,
    /// Find out who else voted with the validator key, or why the vote log lacks a vote.
    ForeignVote,
    /// The directory holds no validator; `init` makes one.
    NotInitialised,
    /// Bring the vote log back, or leave the validator off.
    VoteLog,
    /// Keep everything for an analysis: state contradicts the chain.
    Diverged,
    /// Install a build that knows the chain's protocol version.
    UnknownVersion,
    /// Give this node the schedule of protocol versions that the network follows.
    OtherSchedule,
    /// Mend a directory or a disk.
    Storage,
    /// Mend configuration, genesis or keys.
    Config,
    /// Read the log.
    Other,
}

impl NodeError {
    /// The kind, by the error's type alone.
    #[must_use]
    pub fn kind(&self) -> NodeErrorKind {
        match self {
            Self::Signer(_) | Self::RemoteSigner(RemoteSignerError::Taken(_)) => {
                NodeErrorKind::SecondSigner
            }
            Self::RemoteSigner(RemoteSignerError::Away { .. }) => NodeErrorKind::SignerAway,
            Self::Key(_) | Self::RemoteSigner(_) => NodeErrorKind::Key,
            Self::NotInitialised(_) => NodeErrorKind::NotInitialised,
            Self::VoteLogGone { .. } => NodeErrorKind::VoteLog,
            Self::VoteLog(error) => of_log(error),
            Self::VoteLogDirectory(_)
            | Self::Blobs(_)
            | Self::LogBehind(_)
            | Self::Quarantine(_)
            | Self::Evidence(_) => NodeErrorKind::Storage,
            Self::Store(StoreError::State(error)) => of_state(error),
            Self::Store(StoreError::InUse(_) | StoreError::Directory { .. }) => {
                NodeErrorKind::Storage
            }
            Self::Setup(error) => of_setup(error),
            Self::Store(_)
            | Self::StoreConfig(_)
            | Self::GenesisFile { .. }
            | Self::Genesis { .. }
            | Self::GenesisState(_)
            | Self::Upgrades(_)
            | Self::Address { .. }
            | Self::Network(_)
            | Self::Rpc(_) => NodeErrorKind::Config,
            Self::Randomness(_)
            | Self::Worker(_)
            | Self::LogThread(_)
            | Self::LoopThread(_)
            | Self::HttpThreads(_)
            | Self::LogEnded => NodeErrorKind::Other,
            Self::Stop(StopReason::Chain(fatal)) => of_fatal(fatal),
            Self::Stop(StopReason::Consensus(Halt::ForeignVote { .. })) => {
                NodeErrorKind::ForeignVote
            }
            Self::Stop(StopReason::Consensus(_)) => NodeErrorKind::Diverged,
        }
    }

    /// What an operator can do about it, one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Rpc(ServerError::Listen { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                return "stop that process, or give another port: rpc.listen of node.toml, or --rpc-listen";
            }
            Self::Network(p2p::P2pError::Listen { error, .. })
                if error.kind() == io::ErrorKind::AddrInUse =>
            {
                return "stop that process, or give another port: p2p.listen of node.toml, or --p2p-listen";
            }
            _ => {}
        }
        if matches!(self, Self::RemoteSigner(_)) && self.kind() == NodeErrorKind::Key {
            return "give the socket of gridproof signer as keys.signer of node.toml, and look at the signer's log";
        }
        match self.kind() {
            NodeErrorKind::Key => "key files are made by `node init`; keep them with mode 0600",
            NodeErrorKind::SignerAway => {
                "start gridproof signer first, at the socket that keys.signer of node.toml names; then start the node again"
            }
            NodeErrorKind::SecondSigner => {
                "run one process with this key and leave every other off, here and on other machines: two contradict \
                 each other, which can cost the stake"
            }
            NodeErrorKind::ForeignVote => {
                "find the other machine that has this key and leave its process off for good; then start one: it asks its \
                 peers what was signed and votes only above that. If there is no other, the vote log is not as the last run \
                 left it: bring it back"
            }
            NodeErrorKind::NotInitialised => {
                "run `gridproof node init` again with the same arguments: it completes what is there"
            }
            NodeErrorKind::VoteLog => {
                "bring the vote log back as the last run left it, or make a new directory with `gridproof node restore` from a \
                 backup: with a new log of another kind it could contradict what it signed, which can cost the stake"
            }
            NodeErrorKind::Diverged => {
                "keep the directory for an analysis and do not delete the vote log; restart once: if it stops again, \
                 this version does not follow the chain's rules"
            }
            NodeErrorKind::UnknownVersion => {
                "install a build that knows this version, with the version in protocol.upgrades if genesis lacks it, and start it on \
                 the same directory: nothing is lost"
            }
            NodeErrorKind::OtherSchedule => {
                "ask the other operators for their protocol.upgrades, write the same into node.toml, and start it again: nothing \
                 is lost"
            }
            NodeErrorKind::Storage => {
                "stop what else uses this directory, make room on the disk, or make it writable, then start it again: nothing \
                 that was promised is lost"
            }
            NodeErrorKind::Config => {
                "compare node.toml, genesis.bin and the keys with what `node init` made"
            }
            NodeErrorKind::Other => "the log above says more",
        }
    }
}

/// A log that is not as it was written is no fault of the disk that a restart mends: votes may be missing.
fn of_log(error: &LogError) -> NodeErrorKind {
    match error {
        LogError::Storage(_) | LogError::Failed => NodeErrorKind::Storage,
        LogError::OtherChain { .. }
        | LogError::OtherValidator { .. }
        | LogError::LaterEpoch { .. } => NodeErrorKind::Config,
        LogError::TooLong(_) => NodeErrorKind::Other,
        _ => NodeErrorKind::VoteLog,
    }
}

fn of_state(error: &StateError) -> NodeErrorKind {
    match error.class() {
        ErrorClass::DiskFull | ErrorClass::Storage | ErrorClass::Damaged => NodeErrorKind::Storage,
        ErrorClass::Diverged | ErrorClass::NotAvailable => NodeErrorKind::Diverged,
    }
}

fn of_fatal(fatal: &Fatal) -> NodeErrorKind {
    match fatal {
        Fatal::State(Abort::State(error)) => of_state(error),
        Fatal::State(Abort::Version(_)) => NodeErrorKind::UnknownVersion,
        Fatal::State(Abort::Schedule(_)) => NodeErrorKind::OtherSchedule,
        _ => NodeErrorKind::Diverged,
    }
}

fn of_setup(error: &SetupError) -> NodeErrorKind {
    match error {
        SetupError::State(error) => of_state(error),
        SetupError::Chain(fatal) => of_fatal(fatal),
        SetupError::Consensus(StartError::Conflict(_)) => NodeErrorKind::Diverged,
        SetupError::Consensus(_) => NodeErrorKind::VoteLog,
        SetupError::Committee(_)
        | SetupError::Keys(_)
        | SetupError::VrfKey
        | SetupError::OtherCommittee { .. } => NodeErrorKind::Config,
    }
}

impl From<StateError> for NodeError {
    fn from(error: StateError) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests {
    use consensus::log::{Log, LogStorage, MemoryStorage};
    use types::hash::{ChainId, Hash32};
    use types::key::SecretKey;
    use types::number::{Epoch, View};

    use super::*;

    fn damaged() -> LogError {
        let identity = consensus::log::Identity {
            chain: ChainId(Hash32([1; 32])),
            validator: SecretKey::from_bytes(&[1; 32]).public(),
            epoch: Epoch::FIRST,
        };
        let mut log = Log::init(MemoryStorage::new(), identity).unwrap();
        log.append(&[consensus::log::Record::Floor(View(1))])
            .unwrap();
        log.append(&[consensus::log::Record::Floor(View(2))])
            .unwrap();
        let mut disk = log.into_storage();
        let first = disk.segments().unwrap()[0];
        let bytes = disk.bytes_mut(first).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        disk.sync(first).unwrap();
        Log::open(disk, identity).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_port_that_is_taken_is_called_so_with_the_key_to_change() {
        let taken = || io::Error::from(io::ErrorKind::AddrInUse);
        let address = "127.0.0.1:26601".parse().unwrap();
        let source = taken();
        let rpc = NodeError::from(ServerError::Listen { address, source });
        let address = "/ip4/127.0.0.1/tcp/26600".parse().unwrap();
        let error = taken();
        let p2p = NodeError::from(p2p::P2pError::Listen { address, error });
        for (error, key) in [(rpc, "rpc.listen"), (p2p, "p2p.listen")] {
            assert!(
                error
                    .to_string()
                    .ends_with("another process uses that port"),
                "{error}"
            );
            assert!(error.hint().contains(key), "{}", error.hint());
        }
    }

    #[test]
    fn a_damaged_vote_log_is_no_storage_fault() {
        let error = NodeError::from(damaged());
        assert!(matches!(&error, NodeError::VoteLog(_)), "{error}");
        assert_eq!(error.kind(), NodeErrorKind::VoteLog, "{error}");
        assert!(error.hint().contains("bring the vote log back"));
        let contradiction = SetupError::Consensus(StartError::Contradiction(View(3)));
        assert_eq!(
            NodeError::from(contradiction).kind(),
            NodeErrorKind::VoteLog
        );
        assert_eq!(
            NodeError::from(LogError::Failed).kind(),
            NodeErrorKind::Storage
        );
    }
}
