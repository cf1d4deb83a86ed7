//! Arguments, environment and random bytes; signals and sockets, which do not exist.

use super::abi::Errno;
use super::guest::offset;
use super::{Call, CallFailure};

fn length(bytes: &[u8]) -> Result<u32, Errno> {
    u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)
}

/// Writes texts one after the other to `buffer` and a pointer to each to `pointers`.
fn write_texts(
    call: &mut Call<'_>,
    texts: &[Vec<u8>],
    mut pointers: u32,
    mut buffer: u32,
) -> Result<(), CallFailure> {
    for text in texts {
        call.charge(u64::from(length(text)?) + 4)?;
        call.guest.write_u32(pointers, buffer)?;
        call.guest.write(buffer, text)?;
        pointers = offset(pointers, 4)?;
        buffer = offset(buffer, length(text)?)?;
    }
    Ok(())
}

fn write_sizes(
    call: &mut Call<'_>,
    texts: &[Vec<u8>],
    count: u32,
    bytes: u32,
) -> Result<(), CallFailure> {
    call.charge(8)?;
    let total = texts.iter().map(Vec::len).sum::<usize>();
    call.guest
        .write_u32(count, u32::try_from(texts.len()).map_err(|_| Errno::INVAL)?)?;
    call.guest
        .write_u32(bytes, u32::try_from(total).map_err(|_| Errno::INVAL)?)?;
    Ok(())
}

pub(super) fn args_get(call: &mut Call<'_>, pointers: u32, buffer: u32) -> Result<(), CallFailure> {
    let texts = std::mem::take(&mut call.host.arguments);
    let result = write_texts(call, &texts, pointers, buffer);
    call.host.arguments = texts;
    result
}

pub(super) fn args_sizes_get(
    call: &mut Call<'_>,
    count: u32,
    bytes: u32,
) -> Result<(), CallFailure> {
    let texts = std::mem::take(&mut call.host.arguments);
    let result = write_sizes(call, &texts, count, bytes);
    call.host.arguments = texts;
    result
}

pub(super) fn environ_get(
    call: &mut Call<'_>,
    pointers: u32,
    buffer: u32,
) -> Result<(), CallFailure> {
    let texts = std::mem::take(&mut call.host.environment);
    let result = write_texts(call, &texts, pointers, buffer);
    call.host.environment = texts;
    result
}

pub(super) fn environ_sizes_get(
    call: &mut Call<'_>,
    count: u32,
    bytes: u32,
) -> Result<(), CallFailure> {
    let texts = std::mem::take(&mut call.host.environment);
    let result = write_sizes(call, &texts, count, bytes);
    call.host.environment = texts;
    result
}

pub(super) fn random_get(call: &mut Call<'_>, buffer: u32, bytes: u32) -> Result<(), CallFailure> {
    call.charge(bytes.into())?;
    let target = call.guest.bytes_mut(buffer, bytes)?;
    call.host.random.fill(target);
    Ok(())
}

/// Signals do not exist.
pub(super) fn proc_raise(_call: &mut Call<'_>, _signal: u32) -> Result<(), CallFailure> {
    Err(Errno::NOSYS.into())
}

/// No descriptor is ever a socket.
fn no_socket(call: &Call<'_>, fd: u32) -> Result<(), CallFailure> {
    call.host.descriptors.find(fd)?;
    Err(Errno::NOTSOCK.into())
}

pub(super) fn sock_accept(
    call: &mut Call<'_>,
    fd: u32,
    _flags: u32,
    _out: u32,
) -> Result<(), CallFailure> {
    no_socket(call, fd)
}

pub(super) fn sock_recv(
    call: &mut Call<'_>,
    fd: u32,
    _list: u32,
    _count: u32,
    _flags: u32,
    _length: u32,
    _out_flags: u32,
) -> Result<(), CallFailure> {
    no_socket(call, fd)
}

pub(super) fn sock_send(
    call: &mut Call<'_>,
    fd: u32,
    _list: u32,
    _count: u32,
    _flags: u32,
    _length: u32,
) -> Result<(), CallFailure> {
    no_socket(call, fd)
}

pub(super) fn sock_shutdown(call: &mut Call<'_>, fd: u32, _how: u32) -> Result<(), CallFailure> {
    no_socket(call, fd)
}
