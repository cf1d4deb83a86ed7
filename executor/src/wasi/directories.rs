//! Listing directories, and the one directory that a task is given.

use std::sync::Arc;

use super::abi::{DIRENT_BYTES, Errno, FileType};
use super::descriptors::Listing;
use super::guest::offset;
use super::tree::{MAX_NODES, NodeId};
use super::{Call, CallFailure};

/// Fuel per entry for remembering what a directory holds.
const LISTED_ENTRY: u64 = 32;
/// Most entries that the listings of all descriptors remember together: a listing keeps names of files that are gone.
const MAX_LISTED: usize = 4 * MAX_NODES;
const ROOT_PATH: &[u8] = b"/";

fn preopened(call: &Call<'_>, fd: u32) -> Result<(), Errno> {
    if call.host.descriptors.find(fd)?.is_preopened {
        Ok(())
    } else {
        Err(Errno::BADF)
    }
}

pub(super) fn fd_prestat_get(call: &mut Call<'_>, fd: u32, out: u32) -> Result<(), CallFailure> {
    preopened(call, fd)?;
    call.charge(8)?;
    call.guest.write_u32(out, 0)?;
    Ok(call.guest.write_u32(offset(out, 4)?, 1)?)
}

pub(super) fn fd_prestat_dir_name(
    call: &mut Call<'_>,
    fd: u32,
    out: u32,
    length: u32,
) -> Result<(), CallFailure> {
    preopened(call, fd)?;
    if length < 1 {
        return Err(Errno::NAMETOOLONG.into());
    }
    call.charge(1)?;
    Ok(call.guest.write(out, ROOT_PATH)?)
}

/// What the directory holds: remembered from when its listing began, read again when it begins anew.
fn listing(
    call: &mut Call<'_>,
    fd: u32,
    node: NodeId,
    cookie: u64,
) -> Result<Listing, CallFailure> {
    if cookie > 0
        && let Some(listing) = &call.host.descriptors.find(fd)?.listing
    {
        return Ok(Arc::clone(listing));
    }
    let parent = call.host.tree.ancestors(node).nth(1).unwrap_or(node);
    let entries = call.host.tree.entries(node)?;
    let dots = [(Arc::from("."), node), (Arc::from(".."), parent)];
    let named = entries.iter().map(|(name, id)| (Arc::clone(name), *id));
    let listing: Listing = dots.into_iter().chain(named).collect();
    call.charge(LISTED_ENTRY.saturating_mul(u64::try_from(listing.len()).unwrap_or(u64::MAX)))?;
    if call
        .host
        .descriptors
        .listed(fd)
        .saturating_add(listing.len())
        > MAX_LISTED
    {
        return Err(Errno::NOMEM.into());
    }
    call.host.descriptors.find_mut(fd)?.listing = Some(Arc::clone(&listing));
    Ok(listing)
}

/// Writes entries from number `cookie` on, sorted by name; the last may be cut by the end of the buffer.
pub(super) fn fd_readdir(
    call: &mut Call<'_>,
    fd: u32,
    buffer: u32,
    length: u32,
    cookie: u64,
    out: u32,
) -> Result<(), CallFailure> {
    let node = call.host.descriptors.node(fd, Errno::NOTDIR)?;
    call.host.tree.entries(node)?;
    let listing = listing(call, fd, node, cookie)?;
    call.guest.bytes(buffer, length)?;
    let mut used = 0;
    let first = usize::try_from(cookie).map_or(listing.len(), |at| at.min(listing.len()));
    for (number, (name, id)) in listing.iter().enumerate().skip(first) {
        if used == length {
            break;
        }
        let next = u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
        let kind = call
            .host
            .tree
            .node(*id)
            .map_or(FileType::UNKNOWN, super::tree::TreeNode::file_type);
        let mut entry = [0; DIRENT_BYTES].to_vec();
        entry[0..8].copy_from_slice(&next.to_le_bytes());
        entry[8..16].copy_from_slice(&id.to_le_bytes());
        entry[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        entry[20] = kind.0;
        entry.extend_from_slice(name.as_bytes());
        let room = usize::try_from(length - used).unwrap_or(usize::MAX);
        entry.truncate(room);
        let moved = u32::try_from(entry.len()).map_err(|_| Errno::INVAL)?;
        call.charge(moved.into())?;
        call.guest.write(offset(buffer, used)?, &entry)?;
        used += moved;
    }
    Ok(call.guest.write_u32(out, used)?)
}
