//! What a worker takes from itself before the first byte of a job is parsed: layer by layer, and which of them this
//! machine gives.
//!
//! [`restrict`] cannot be undone. It promises that a layer it calls held is held by the whole process from then on, if
//! the process has one thread when it calls. It opens no file itself and needs none to be open but what the caller
//! goes on using. Layers overlap on purpose: where a machine lacks one, another still stands.
//!
//! Left out: what the parent does (empty environment, time, killing the group), see [`crate::worker`].

mod layers;
mod syscalls;

use std::collections::BTreeSet;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::Bounded;

/// Most layers that a report may name.
const MAX_LAYERS: usize = 16;

/// One kind of restriction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum CageLayer {
    /// No new file, socket or other descriptor, no byte to a file, no core, no message queue, and the memory and
    /// processor time that the job needs (`RLIMIT_*`).
    Limits,
    /// A session and process group of its own, so that it has no terminal and is killed with all that it started.
    Session,
    /// Not dumpable: no process of the same user may trace it or read its memory.
    Undumpable,
    /// User, network, IPC and host name namespaces of its own: no network, no shared memory of others.
    Namespaces,
    /// A small number of threads (`RLIMIT_NPROC` within the user namespace).
    Threads,
    /// No capability, also where the partner runs as root.
    Capabilities,
    /// Landlock: no path, no TCP port, no signal and no abstract socket to the outside.
    Landlock,
    /// seccomp: every system call kills the process but those that running a module needs.
    Seccomp,
}

impl CageLayer {
    /// All layers, in the order in which they are entered.
    pub const ALL: [Self; 8] = [
        Self::Session,
        Self::Undumpable,
        Self::Namespaces,
        Self::Threads,
        Self::Capabilities,
        // It takes a descriptor, of which the limits leave none.
        Self::Landlock,
        Self::Limits,
        Self::Seccomp,
    ];

    /// Short name, for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Session => "session",
            Self::Undumpable => "undumpable",
            Self::Namespaces => "namespaces",
            Self::Threads => "threads",
            Self::Capabilities => "capabilities",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }
}

/// Why a layer is not held, or not as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum LayerGap {
    /// The caller did not ask for it.
    #[error("not asked for")]
    NotAsked,
    /// The kernel was built without it.
    #[error("this kernel was built without it")]
    NotBuilt,
    /// The kernel has it, and it was not switched on at boot.
    #[error("this kernel has it switched off (the boot parameter lsm= does not name it)")]
    SwitchedOff,
    /// The kernel holds a part of it only, because it is older.
    #[error("this kernel knows version {version} of it and holds a part only")]
    Older {
        /// Version of the interface that the kernel has.
        version: u32,
    },
    /// The system refused it.
    #[error("the system refused it: {}", io::Error::from_raw_os_error(*errno))]
    Refused {
        /// Error number of the system.
        errno: i32,
    },
    /// It rests on namespaces, which are not held.
    #[error("it counts within a user namespace, and there is none")]
    NoNamespace,
    /// Without a filter of system calls the engine needs room for files without a name.
    #[error("without seccomp the engine needs files without a name: 128 descriptors, 1 GiB each")]
    NoFilter,
    /// The system does not count the threads of root.
    #[error("the system does not hold root to it; run the partner as a user of its own")]
    Root,
    /// It is written for another kind of processor.
    #[error("it is written for x86-64 machines")]
    Processor,
}

/// Whether a layer is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LayerState {
    /// It is held as a whole.
    Held,
    /// A part of it is held.
    Partly(LayerGap),
    /// Nothing of it is held.
    Missing(LayerGap),
}

impl LayerState {
    /// Short name, for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Partly(_) => "partly",
            Self::Missing(_) => "missing",
        }
    }

    /// Why it is not held as a whole; `None` if it is.
    #[must_use]
    pub fn gap(self) -> Option<LayerGap> {
        match self {
            Self::Held => None,
            Self::Partly(gap) | Self::Missing(gap) => Some(gap),
        }
    }
}

/// What [`restrict`] achieved.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CageReport {
    layers: Bounded<(CageLayer, LayerState), MAX_LAYERS>,
}

impl CageReport {
    /// Every layer with its state, in the order of [`CageLayer::ALL`].
    pub fn layers(&self) -> impl Iterator<Item = (CageLayer, LayerState)> + '_ {
        CageLayer::ALL
            .into_iter()
            .map(|layer| (layer, self.state(layer)))
    }

    /// The state of one layer. A layer that the report does not name is missing.
    #[must_use]
    pub fn state(&self, layer: CageLayer) -> LayerState {
        self.layers
            .iter()
            .find(|(named, _)| *named == layer)
            .map_or(LayerState::Missing(LayerGap::NotAsked), |(_, state)| *state)
    }
}

/// Hides the memory of this process from others of its user, and from cores: for one that holds keys.
pub fn undumpable() -> io::Result<()> {
    layers::undumpable().map(|_| ())
}

/// What a job is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CageGrants {
    /// Private memory, in bytes.
    pub data_bytes: u64,
    /// Processor time of the process, in seconds.
    pub cpu_seconds: u64,
}

/// Enters the given layers, in the order of [`CageLayer::ALL`], and says which of them are held. To be called while the
/// process has one thread. An error means that a limit that every machine has was refused: the process must end.
pub fn restrict(layers: &BTreeSet<CageLayer>, grants: CageGrants) -> io::Result<CageReport> {
    // Within a user namespace that maps no user, everybody is nobody.
    let is_root = rustix::process::getuid().is_root();
    // The limits must know whether there will be a filter.
    let filter = if layers.contains(&CageLayer::Seccomp) {
        syscalls::answer_absent()
    } else {
        LayerState::Missing(LayerGap::NotAsked)
    };
    let has_filter = filter == LayerState::Held;
    let mut states: Vec<(CageLayer, LayerState)> = Vec::new();
    for layer in CageLayer::ALL {
        let has_namespace = states.contains(&(CageLayer::Namespaces, LayerState::Held));
        let state = if layers.contains(&layer) {
            match layer {
                CageLayer::Session => layers::session()?,
                CageLayer::Undumpable => layers::undumpable()?,
                CageLayer::Namespaces => layers::namespaces(),
                CageLayer::Threads => layers::threads(has_namespace, is_root)?,
                CageLayer::Capabilities => layers::capabilities()?,
                CageLayer::Limits => layers::limits(grants, has_filter)?,
                CageLayer::Landlock => layers::landlock(),
                CageLayer::Seccomp if has_filter => syscalls::allow_listed(),
                CageLayer::Seccomp => filter,
            }
        } else {
            LayerState::Missing(LayerGap::NotAsked)
        };
        states.push((layer, state));
    }
    Ok(CageReport {
        layers: Bounded::new(states).map_err(io::Error::other)?,
    })
}
