//! Every layer but the filter of system calls: what is set, and how a machine's refusal is told apart from a fault.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpid, getsid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

use super::{CageGrants, LayerGap, LayerState};

/// Threads that a worker may have: its own two, the engine's, and room.
const MAX_THREADS: u64 = 32;

/// Addresses beside the private memory: the engine reserves far more than it uses. Tables for so many take at most 128
/// MiB.
const ADDRESS_ROOM: u64 = 64 << 30;

/// Largest file, and most descriptors, where the engine keeps memory images in files.
const IMAGE_BYTES: u64 = 1 << 30;
const IMAGE_FILES: u64 = 128;

/// Sets a limit that nothing in the process can raise again, unless it is root with its capabilities.
fn limit(resource: Resource, max: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(max),
            maximum: Some(max),
        },
    )?)
}

fn refused(error: Errno) -> LayerState {
    LayerState::Missing(LayerGap::Refused {
        errno: error.raw_os_error(),
    })
}

/// A session of its own; the parent's death is the process' own.
pub(super) fn session() -> io::Result<LayerState> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    match setsid() {
        Ok(_) => {}
        // It leads a session already.
        Err(Errno::PERM) if getsid(None)? == getpid() => {}
        Err(error) => return Ok(refused(error)),
    }
    Ok(LayerState::Held)
}

pub(super) fn undumpable() -> io::Result<LayerState> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(LayerState::Held)
}

pub(super) fn namespaces() -> LayerState {
    let flags =
        UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    #[expect(
        deprecated,
        reason = "the function that replaces it is unsafe for the sake of a flag that is not given here"
    )]
    match rustix::thread::unshare(flags) {
        Ok(()) => LayerState::Held,
        Err(error) => refused(error),
    }
}

/// The system counts the threads of a user, on the whole machine or within a user namespace. A small limit needs the
/// latter.
pub(super) fn threads(has_namespace: bool, is_root: bool) -> io::Result<LayerState> {
    if !has_namespace {
        return Ok(LayerState::Missing(LayerGap::NoNamespace));
    }
    limit(Resource::Nproc, MAX_THREADS)?;
    Ok(if is_root {
        LayerState::Partly(LayerGap::Root)
    } else {
        LayerState::Held
    })
}

pub(super) fn capabilities() -> io::Result<LayerState> {
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(LayerState::Held)
}

/// Without a filter of system calls the engine keeps images of memories in files that have no name, and needs room for
/// them.
pub(super) fn limits(grants: CageGrants, has_filter: bool) -> io::Result<LayerState> {
    limit(Resource::Data, grants.data_bytes)?;
    let addresses = grants.data_bytes.saturating_add(ADDRESS_ROOM);
    limit(Resource::As, addresses)?;
    limit(Resource::Cpu, grants.cpu_seconds)?;
    for resource in [Resource::Core, Resource::Memlock, Resource::Msgqueue] {
        limit(resource, 0)?;
    }
    // Pipes that are open are no files; what is open stays open.
    limit(Resource::Fsize, if has_filter { 0 } else { IMAGE_BYTES })?;
    limit(Resource::Nofile, if has_filter { 0 } else { IMAGE_FILES })?;
    Ok(if has_filter {
        LayerState::Held
    } else {
        LayerState::Partly(LayerGap::NoFilter)
    })
}

pub(super) fn landlock() -> LayerState {
    let enforce = || -> Result<_, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V7))?
            .handle_access(AccessNet::from_all(ABI::V7))?
            .scope(Scope::from_all(ABI::V7))?
            .create()?
            .restrict_self()
    };
    let status = match enforce() {
        Ok(status) => status,
        Err(error) => {
            let errno = std::error::Error::source(&error)
                .and_then(|source| source.source())
                .and_then(|source| source.downcast_ref::<io::Error>())
                .and_then(io::Error::raw_os_error);
            return LayerState::Missing(
                errno.map_or(LayerGap::NotBuilt, |errno| LayerGap::Refused { errno }),
            );
        }
    };
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => LayerState::Held,
        (_, LandlockStatus::NotImplemented) => LayerState::Missing(LayerGap::NotBuilt),
        (_, LandlockStatus::NotEnabled) => LayerState::Missing(LayerGap::SwitchedOff),
        (state, LandlockStatus::Available { effective_abi, .. }) => {
            let version = version(effective_abi);
            if state == RulesetStatus::NotEnforced {
                LayerState::Missing(LayerGap::Older { version })
            } else {
                LayerState::Partly(LayerGap::Older { version })
            }
        }
    }
}

/// The number of a version of Landlock's interface.
fn version(abi: ABI) -> u32 {
    [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6]
        .into_iter()
        .zip(1..)
        .find(|(known, _)| abi <= *known)
        .map_or(7, |(_, number)| number)
}
