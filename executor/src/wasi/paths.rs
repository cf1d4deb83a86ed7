//! Calls on paths, which are relative to a directory that is open.

use super::abi::{Errno, FileType, fd_flags, open_flags, rights};
use super::descriptors::{Descriptor, DescriptorTarget};
use super::files::{set_times, write_stat};
use super::tree::ResolvedPath;
use super::{Call, CallFailure};

/// Fuel per byte of a path.
const PER_PATH_BYTE: u64 = 4;
/// Fuel per name in a path: each is looked up in its directory.
const PER_NAME: u64 = 64;
/// Fuel per directory above the target of a rename: each is looked at.
const PER_ANCESTOR: u64 = 64;

/// Where a path leads from an open directory.
fn resolve(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<ResolvedPath, CallFailure> {
    let from = call.host.descriptors.node(fd, Errno::NOTDIR)?;
    call.host.tree.entries(from)?;
    call.charge(PER_PATH_BYTE * u64::from(length))?;
    let names = call
        .guest
        .bytes(path, length)?
        .split(|byte| *byte == b'/')
        .count();
    call.charge(PER_NAME.saturating_mul(u64::try_from(names).unwrap_or(u64::MAX)))?;
    Ok(call
        .host
        .tree
        .resolve(from, call.guest.text(path, length)?)?)
}

/// As [`resolve`], from a directory whose descriptor has the right: one that was given up is gone.
fn resolve_with(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
    right: u64,
) -> Result<ResolvedPath, CallFailure> {
    let resolved = resolve(call, fd, path, length)?;
    call.host.descriptors.with_rights(fd, right)?;
    Ok(resolved)
}

/// Where `path_open` is to look and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) fd: u32,
    pub(super) path: u32,
    pub(super) length: u32,
    pub(super) flags: u32,
    pub(super) rights: u64,
    pub(super) inheriting: u64,
    pub(super) fd_flags: u32,
    pub(super) out: u32,
}

pub(super) fn path_open(call: &mut Call<'_>, open: Open) -> Result<(), CallFailure> {
    let has = |flag: u32| open.flags & flag != 0;
    let makes_directory = has(open_flags::CREATE) && has(open_flags::DIRECTORY);
    if open.flags & !open_flags::ALL != 0 || open.fd_flags & !fd_flags::ALL != 0 || makes_directory
    {
        return Err(Errno::INVAL.into());
    }
    let resolved = resolve(call, open.fd, open.path, open.length)?;
    let directory = call.host.descriptors.find(open.fd)?;
    let (held, inherited) = (directory.rights, directory.inheriting);
    if has(open_flags::TRUNCATE) && held & rights::PATH_FILESTAT_SET_SIZE == 0 {
        return Err(Errno::NOTCAPABLE.into());
    }
    let (mut base, inheriting) = (open.rights & inherited, open.inheriting & inherited);
    let now = call.now_ns();
    let node = match resolved.node {
        Some(_) if has(open_flags::CREATE) && has(open_flags::EXCLUSIVE) => {
            return Err(Errno::EXIST.into());
        }
        Some(node) => node,
        None if has(open_flags::CREATE) && held & rights::PATH_CREATE_FILE == 0 => {
            return Err(Errno::NOTCAPABLE.into());
        }
        None if has(open_flags::CREATE) => call.host.tree.create(&resolved, false, now)?,
        None => return Err(Errno::NOENT.into()),
    };
    let found = call.host.tree.node(node)?;
    let writes = base & rights::FD_WRITE != 0 || has(open_flags::TRUNCATE);
    if found.file_type() == FileType::DIRECTORY {
        if writes {
            return Err(Errno::ISDIR.into());
        }
        base &= rights::DIRECTORY;
    } else if resolved.wants_directory || has(open_flags::DIRECTORY) {
        return Err(Errno::NOTDIR.into());
    } else if !found.is_writable() {
        if writes {
            return Err(Errno::ROFS.into());
        }
        base &= !rights::CHANGES;
    }
    let flags = open.fd_flags;
    let descriptor = Descriptor {
        flags,
        ..Descriptor::new(DescriptorTarget::Node(node), base, inheriting)
    };
    let fd = call.host.descriptors.insert(descriptor)?;
    call.host.tree.hold(node);
    if has(open_flags::TRUNCATE) {
        call.host.tree.resize(node, 0, now)?;
    }
    Ok(call.guest.write_u32(open.out, fd)?)
}

pub(super) fn path_create_directory(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<(), CallFailure> {
    let resolved = resolve_with(call, fd, path, length, rights::PATH_CREATE_DIRECTORY)?;
    let now = call.now_ns();
    call.host.tree.create(&resolved, true, now)?;
    Ok(())
}

pub(super) fn path_remove_directory(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<(), CallFailure> {
    let resolved = resolve_with(call, fd, path, length, rights::PATH_REMOVE_DIRECTORY)?;
    let now = call.now_ns();
    Ok(call.host.tree.remove(&resolved, true, now)?)
}

pub(super) fn path_unlink_file(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<(), CallFailure> {
    let resolved = resolve_with(call, fd, path, length, rights::PATH_UNLINK_FILE)?;
    let now = call.now_ns();
    Ok(call.host.tree.remove(&resolved, false, now)?)
}

pub(super) fn path_rename(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
    to_fd: u32,
    to_path: u32,
    to_length: u32,
) -> Result<(), CallFailure> {
    let from = resolve_with(call, fd, path, length, rights::PATH_RENAME_SOURCE)?;
    let to = resolve_with(call, to_fd, to_path, to_length, rights::PATH_RENAME_TARGET)?;
    let depth = u64::try_from(call.host.tree.ancestors(to.parent).count()).unwrap_or(u64::MAX);
    call.charge(PER_ANCESTOR.saturating_mul(depth))?;
    let now = call.now_ns();
    Ok(call.host.tree.rename(&from, &to, now)?)
}

pub(super) fn path_filestat_get(
    call: &mut Call<'_>,
    fd: u32,
    _lookup: u32,
    path: u32,
    length: u32,
    out: u32,
) -> Result<(), CallFailure> {
    let node = existing(call, fd, path, length)?;
    write_stat(call, Some(node), out)
}

pub(super) fn path_filestat_set_times(
    call: &mut Call<'_>,
    fd: u32,
    path: (u32, u32),
    times: (u64, u64),
    flags: u32,
) -> Result<(), CallFailure> {
    let node = existing(call, fd, path.0, path.1)?;
    call.host
        .descriptors
        .with_rights(fd, rights::PATH_FILESTAT_SET_TIMES)?;
    set_times(call, node, times, flags)
}

/// What a path leads to.
fn existing(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<super::tree::NodeId, CallFailure> {
    let resolved = resolve(call, fd, path, length)?;
    let node = resolved.node.ok_or(Errno::NOENT)?;
    if resolved.wants_directory {
        call.host.tree.entries(node)?;
    }
    Ok(node)
}

/// There are no links, so nothing that exists can be read as one.
pub(super) fn path_readlink(
    call: &mut Call<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<(), CallFailure> {
    existing(call, fd, path, length)?;
    Err(Errno::INVAL.into())
}

/// Links cannot be made.
pub(super) fn no_link(call: &mut Call<'_>, fd: u32) -> Result<(), CallFailure> {
    call.host.descriptors.find(fd)?;
    Err(Errno::NOTSUP.into())
}
