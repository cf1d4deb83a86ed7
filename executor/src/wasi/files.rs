//! Calls on descriptors: reading, writing, seeking, and what is known about them.

use super::abi::{Errno, FileType, fd_flags, rights, time_flags};
use super::descriptors::{Descriptor, DescriptorTarget};
use super::guest::{MAX_SPANS, Span, offset};
use super::tree::{NodeId, NodeTimes};
use super::{Call, CallFailure};

/// Fuel per entry of a scatter list.
const PER_SPAN: u64 = 8;

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A scatter list, paid for before it is read.
fn spans(call: &mut Call<'_>, list: u32, count: u32) -> Result<(Vec<Span>, u64), CallFailure> {
    if count > MAX_SPANS {
        return Err(Errno::INVAL.into());
    }
    call.charge(PER_SPAN * u64::from(count))?;
    Ok(call.guest.spans(list, count)?)
}

/// Copies as much of `source` as the spans take and gives how much that was. The spans were checked.
fn scatter(guest: &mut super::Guest<'_>, spans: &[Span], mut source: &[u8]) -> Result<u32, Errno> {
    let mut moved = 0;
    for span in spans {
        let length = span
            .length
            .min(u32::try_from(source.len()).unwrap_or(u32::MAX));
        let target = guest.bytes_mut(span.at, length)?;
        let (now, later) = source.split_at(target.len());
        target.copy_from_slice(now);
        source = later;
        moved = length.saturating_add(moved);
    }
    Ok(moved)
}

/// Reads from a file's or a stream's position `at`, and pays for it.
fn read_at(
    call: &mut Call<'_>,
    target: DescriptorTarget,
    at: u64,
    list: u32,
    count: u32,
) -> Result<u32, CallFailure> {
    let (spans, wanted) = spans(call, list, count)?;
    let source: &[u8] = match target {
        DescriptorTarget::Stdin => &call.host.stdin,
        DescriptorTarget::Node(node) => call.host.tree.bytes(node)?,
        DescriptorTarget::Stdout | DescriptorTarget::Stderr => return Err(Errno::BADF.into()),
    };
    let start = usize::try_from(at).map_or(source.len(), |at| at.min(source.len()));
    let available = wide(source.len() - start).min(wanted).min(u32::MAX.into());
    call.charge(available)?;
    let source: &[u8] = match target {
        DescriptorTarget::Node(node) => call.host.tree.bytes(node)?,
        _ => &call.host.stdin,
    };
    let available = usize::try_from(available).map_err(|_| Errno::INVAL)?;
    Ok(scatter(
        &mut call.guest,
        &spans,
        &source[start..start + available],
    )?)
}

pub(super) fn fd_read(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    out: u32,
) -> Result<(), CallFailure> {
    let descriptor = call.host.descriptors.with_rights(fd, rights::FD_READ)?;
    let (target, position) = (descriptor.target, descriptor.position);
    let at = if target == DescriptorTarget::Stdin {
        wide(call.host.stdin_position)
    } else {
        position
    };
    let moved = read_at(call, target, at, list, count)?;
    call.guest.write_u32(out, moved)?;
    if target == DescriptorTarget::Stdin {
        let position = call
            .host
            .stdin_position
            .saturating_add(usize::try_from(moved).unwrap_or(usize::MAX));
        call.host.stdin_position = position.min(call.host.stdin.len());
    } else {
        call.host.descriptors.find_mut(fd)?.position = position.saturating_add(moved.into());
    }
    Ok(())
}

pub(super) fn fd_pread(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    at: u64,
    out: u32,
) -> Result<(), CallFailure> {
    let DescriptorTarget::Node(node) = call
        .host
        .descriptors
        .with_rights(fd, rights::FD_READ)?
        .target
    else {
        return Err(Errno::SPIPE.into());
    };
    let moved = read_at(call, DescriptorTarget::Node(node), at, list, count)?;
    Ok(call.guest.write_u32(out, moved)?)
}

/// Writes to a file from `at` on, and pays for it.
fn write_file(
    call: &mut Call<'_>,
    node: NodeId,
    at: u64,
    list: u32,
    count: u32,
) -> Result<u32, CallFailure> {
    let (spans, total) = spans(call, list, count)?;
    let total = total.min(u32::MAX.into());
    let end = at.checked_add(total).ok_or(Errno::NOSPC)?;
    let growth = if total == 0 {
        0
    } else {
        call.host.tree.growth(node, end)?
    };
    call.charge(growth.max(total))?;
    call.reserve_output(growth)?;
    if total == 0 {
        return Ok(0);
    }
    let now = call.now_ns();
    let mut target = call.host.tree.span_mut(node, at, total, now)?;
    for span in &spans {
        let source = call.guest.bytes(span.at, span.length)?;
        let length = source.len().min(target.len());
        let (here, later) = target.split_at_mut(length);
        here.copy_from_slice(&source[..length]);
        target = later;
    }
    Ok(u32::try_from(total).map_err(|_| Errno::INVAL)?)
}

/// Writes to standard output or error, and pays for it.
fn write_stream(
    call: &mut Call<'_>,
    target: DescriptorTarget,
    list: u32,
    count: u32,
) -> Result<u32, CallFailure> {
    let (spans, total) = spans(call, list, count)?;
    let moved = u32::try_from(total).map_err(|_| Errno::INVAL)?;
    call.charge(total)?;
    call.reserve_output(total)?;
    let stream = match target {
        DescriptorTarget::Stdout => &mut call.host.stdout,
        DescriptorTarget::Stderr => &mut call.host.stderr,
        _ => return Err(Errno::BADF.into()),
    };
    for span in &spans {
        stream.extend_from_slice(call.guest.bytes(span.at, span.length)?);
    }
    Ok(moved)
}

pub(super) fn fd_write(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    out: u32,
) -> Result<(), CallFailure> {
    let descriptor = call.host.descriptors.with_rights(fd, rights::FD_WRITE)?;
    let (target, position, flags) = (descriptor.target, descriptor.position, descriptor.flags);
    let DescriptorTarget::Node(node) = target else {
        let moved = write_stream(call, target, list, count)?;
        return Ok(call.guest.write_u32(out, moved)?);
    };
    let at = if flags & fd_flags::APPEND == 0 {
        position
    } else {
        wide(call.host.tree.bytes(node)?.len())
    };
    let moved = write_file(call, node, at, list, count)?;
    call.host.descriptors.find_mut(fd)?.position = at.saturating_add(moved.into());
    Ok(call.guest.write_u32(out, moved)?)
}

pub(super) fn fd_pwrite(
    call: &mut Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    at: u64,
    out: u32,
) -> Result<(), CallFailure> {
    let DescriptorTarget::Node(node) = call
        .host
        .descriptors
        .with_rights(fd, rights::FD_WRITE)?
        .target
    else {
        return Err(Errno::SPIPE.into());
    };
    let moved = write_file(call, node, at, list, count)?;
    Ok(call.guest.write_u32(out, moved)?)
}

pub(super) fn fd_seek(
    call: &mut Call<'_>,
    fd: u32,
    by: i64,
    whence: u32,
    out: u32,
) -> Result<(), CallFailure> {
    let node = call.host.descriptors.node(fd, Errno::SPIPE)?;
    call.host.descriptors.with_rights(fd, rights::FD_SEEK)?;
    let length = wide(call.host.tree.bytes(node)?.len());
    let base = match whence {
        0 => 0,
        1 => call.host.descriptors.find(fd)?.position,
        2 => length,
        _ => return Err(Errno::INVAL.into()),
    };
    let position = base
        .checked_add_signed(by)
        .filter(|at| i64::try_from(*at).is_ok())
        .ok_or(Errno::INVAL)?;
    call.host.descriptors.find_mut(fd)?.position = position;
    Ok(call.guest.write_u64(out, position)?)
}

pub(super) fn fd_tell(call: &mut Call<'_>, fd: u32, out: u32) -> Result<(), CallFailure> {
    call.host.descriptors.node(fd, Errno::SPIPE)?;
    let position = call
        .host
        .descriptors
        .with_rights(fd, rights::FD_TELL)?
        .position;
    Ok(call.guest.write_u64(out, position)?)
}

/// Gives up a descriptor that was taken out of the table.
fn forget(call: &mut Call<'_>, descriptor: &Descriptor) {
    if let DescriptorTarget::Node(node) = descriptor.target {
        call.host.tree.release(node);
    }
}

pub(super) fn fd_close(call: &mut Call<'_>, fd: u32) -> Result<(), CallFailure> {
    let descriptor = call.host.descriptors.remove(fd)?;
    forget(call, &descriptor);
    Ok(())
}

pub(super) fn fd_renumber(call: &mut Call<'_>, from: u32, to: u32) -> Result<(), CallFailure> {
    let replaced = call.host.descriptors.renumber(from, to)?;
    if from != to {
        forget(call, &replaced);
    }
    Ok(())
}

pub(super) fn fd_sync(call: &mut Call<'_>, fd: u32) -> Result<(), CallFailure> {
    call.host.descriptors.find(fd)?;
    Ok(())
}

pub(super) fn fd_advise(
    call: &mut Call<'_>,
    fd: u32,
    _at: u64,
    _length: u64,
    advice: u32,
) -> Result<(), CallFailure> {
    call.host.descriptors.node(fd, Errno::SPIPE)?;
    if advice <= 5 {
        Ok(())
    } else {
        Err(Errno::INVAL.into())
    }
}

/// Makes a file reach up to `end`, or exactly so if it is to be cut as well. Cutting may copy what stays, which is paid
/// for as growth is.
fn resize(
    call: &mut Call<'_>,
    fd: u32,
    right: u64,
    end: u64,
    cut: bool,
) -> Result<(), CallFailure> {
    let DescriptorTarget::Node(node) = call.host.descriptors.with_rights(fd, right)?.target else {
        return Err(Errno::INVAL.into());
    };
    let growth = call.host.tree.growth(node, end)?;
    let is_cut = cut && end < wide(call.host.tree.bytes(node)?.len());
    call.charge(if is_cut { end } else { growth })?;
    call.reserve_output(growth)?;
    let now = call.now_ns();
    if cut || growth > 0 {
        call.host.tree.resize(node, end, now)?;
    }
    Ok(())
}

pub(super) fn fd_allocate(
    call: &mut Call<'_>,
    fd: u32,
    at: u64,
    length: u64,
) -> Result<(), CallFailure> {
    let end = at
        .checked_add(length)
        .filter(|_| length > 0)
        .ok_or(Errno::INVAL)?;
    resize(call, fd, rights::FD_ALLOCATE, end, false)
}

pub(super) fn fd_filestat_set_size(
    call: &mut Call<'_>,
    fd: u32,
    size: u64,
) -> Result<(), CallFailure> {
    resize(call, fd, rights::FD_FILESTAT_SET_SIZE, size, true)
}

fn file_type(call: &Call<'_>, target: DescriptorTarget) -> Result<FileType, Errno> {
    match target {
        DescriptorTarget::Node(node) => Ok(call.host.tree.node(node)?.file_type()),
        _ => Ok(FileType::UNKNOWN),
    }
}

pub(super) fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, out: u32) -> Result<(), CallFailure> {
    call.charge(24)?;
    let descriptor = call.host.descriptors.find(fd)?;
    let (flags, base, inheriting) = (descriptor.flags, descriptor.rights, descriptor.inheriting);
    let kind = file_type(call, descriptor.target)?;
    call.guest.bytes_mut(out, 24)?.fill(0);
    call.guest.write(out, &[kind.0])?;
    call.guest
        .write(offset(out, 2)?, &flags.to_le_bytes()[..2])?;
    call.guest.write_u64(offset(out, 8)?, base)?;
    Ok(call.guest.write_u64(offset(out, 16)?, inheriting)?)
}

pub(super) fn fd_fdstat_set_flags(
    call: &mut Call<'_>,
    fd: u32,
    flags: u32,
) -> Result<(), CallFailure> {
    if flags & !fd_flags::ALL != 0 {
        return Err(Errno::INVAL.into());
    }
    call.host.descriptors.find_mut(fd)?.flags = flags;
    Ok(())
}

/// Rights can be given up, not gained.
pub(super) fn fd_fdstat_set_rights(
    call: &mut Call<'_>,
    fd: u32,
    base: u64,
    inherit: u64,
) -> Result<(), CallFailure> {
    let descriptor = call.host.descriptors.find_mut(fd)?;
    if base & !descriptor.rights != 0 || inherit & !descriptor.inheriting != 0 {
        return Err(Errno::NOTCAPABLE.into());
    }
    (descriptor.rights, descriptor.inheriting) = (base, inherit);
    Ok(())
}

/// Writes what is known about a node, or a stream.
pub(super) fn write_stat(
    call: &mut Call<'_>,
    node: Option<NodeId>,
    out: u32,
) -> Result<(), CallFailure> {
    call.charge(64)?;
    let (mut kind, mut links, mut size) = (FileType::UNKNOWN, 1, 0);
    let mut times = NodeTimes::all(call.host.clock_start_ns);
    if let Some(id) = node {
        let node = call.host.tree.node(id)?;
        (kind, links, size, times) = (node.file_type(), node.links(), node.size(), node.times);
    }
    let (device, number) = node.map_or((0, 0), |id| (1, id));
    call.guest.bytes_mut(out, 64)?.fill(0);
    call.guest.write(offset(out, 16)?, &[kind.0])?;
    let fields = [
        (0, device),
        (8, number),
        (24, links),
        (32, size),
        (40, times.accessed),
        (48, times.modified),
        (56, times.changed),
    ];
    for (at, value) in fields {
        call.guest.write_u64(offset(out, at)?, value)?;
    }
    Ok(())
}

pub(super) fn fd_filestat_get(call: &mut Call<'_>, fd: u32, out: u32) -> Result<(), CallFailure> {
    let node = match call.host.descriptors.find(fd)?.target {
        DescriptorTarget::Node(node) => Some(node),
        _ => None,
    };
    write_stat(call, node, out)
}

/// Sets a node's times of access and of modification, each if the flags name it, to what is given or to now.
pub(super) fn set_times(
    call: &mut Call<'_>,
    node: NodeId,
    (accessed, modified): (u64, u64),
    flags: u32,
) -> Result<(), CallFailure> {
    let now = call.now_ns();
    let time = |given: u64, set: u32, set_now: u32| match (flags & set != 0, flags & set_now != 0) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok(Some(given)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    };
    if flags > time_flags::ALL {
        return Err(Errno::INVAL.into());
    }
    let accessed = time(accessed, time_flags::ACCESS, time_flags::ACCESS_NOW)?;
    let modified = time(modified, time_flags::MODIFY, time_flags::MODIFY_NOW)?;
    if accessed.is_none() && modified.is_none() {
        return Ok(());
    }
    Ok(call.host.tree.touch(node, accessed, modified, now)?)
}

pub(super) fn fd_filestat_set_times(
    call: &mut Call<'_>,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<(), CallFailure> {
    let node = call.host.descriptors.node(fd, Errno::INVAL)?;
    call.host
        .descriptors
        .with_rights(fd, rights::FD_FILESTAT_SET_TIMES)?;
    set_times(call, node, (accessed, modified), flags)
}
