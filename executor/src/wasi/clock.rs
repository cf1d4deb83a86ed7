//! Time, which is fuel, and waiting for it, which takes none.

use super::abi::{
    EVENT_BYTES, Errno, SUBSCRIPTION_ABSOLUTE, SUBSCRIPTION_BYTES, clocks, event_types,
};
use super::descriptors::DescriptorTarget;
use super::guest::offset;
use super::{Call, CallFailure};

/// Most subscriptions of one call.
const MAX_SUBSCRIPTIONS: u32 = 4_096;

/// What a clock shows.
fn read(call: &Call<'_>, clock: u32) -> Result<u64, Errno> {
    match clock {
        clocks::REALTIME => Ok(call.now_ns()),
        clocks::MONOTONIC => Ok(call.elapsed_ns()),
        clocks::PROCESS | clocks::THREAD => {
            Ok(call.elapsed_ns().saturating_sub(call.host.waited_ns))
        }
        _ => Err(Errno::INVAL),
    }
}

pub(super) fn clock_res_get(call: &mut Call<'_>, clock: u32, out: u32) -> Result<(), CallFailure> {
    read(call, clock)?;
    call.charge(8)?;
    Ok(call.guest.write_u64(out, 1)?)
}

pub(super) fn clock_time_get(
    call: &mut Call<'_>,
    clock: u32,
    _precision: u64,
    out: u32,
) -> Result<(), CallFailure> {
    call.charge(8)?;
    let now = read(call, clock)?;
    Ok(call.guest.write_u64(out, now)?)
}

/// What one subscription waits for.
#[derive(Debug, Clone, Copy)]
enum Wait {
    /// Until the task has run this long.
    Until(u64),
    /// Nothing: it is ready with these bytes to read or write.
    Ready(u64),
    /// Nothing: it is wrong.
    Wrong(Errno),
}

#[derive(Debug, Clone, Copy)]
struct Subscription {
    user: u64,
    kind: u8,
    wait: Wait,
}

/// When a clock subscription is due, in nanoseconds since the task began.
fn due(call: &Call<'_>, at: u32) -> Result<Wait, Errno> {
    let clock = call.guest.read_u32(offset(at, 16)?)?;
    let timeout = call.guest.read_u64(offset(at, 24)?)?;
    let flags = call.guest.read_u16(offset(at, 40)?)?;
    let now = match read(call, clock) {
        Ok(now) if clock <= clocks::MONOTONIC => now,
        _ => return Ok(Wait::Wrong(Errno::INVAL)),
    };
    let ahead = if flags & SUBSCRIPTION_ABSOLUTE == 0 {
        timeout
    } else {
        timeout.saturating_sub(now)
    };
    Ok(Wait::Until(call.elapsed_ns().saturating_add(ahead)))
}

fn readiness(call: &Call<'_>, fd: u32, kind: u8) -> Wait {
    let Ok(descriptor) = call.host.descriptors.find(fd) else {
        return Wait::Wrong(Errno::BADF);
    };
    match (descriptor.target, kind) {
        (DescriptorTarget::Stdin, event_types::FD_READ) => {
            let left = call.host.stdin.len() - call.host.stdin_position;
            Wait::Ready(u64::try_from(left).unwrap_or(u64::MAX))
        }
        (DescriptorTarget::Node(node), event_types::FD_READ) => {
            let size = call
                .host
                .tree
                .node(node)
                .map_or(0, super::tree::TreeNode::size);
            Wait::Ready(size.saturating_sub(descriptor.position))
        }
        _ => Wait::Ready(0),
    }
}

fn subscription(call: &Call<'_>, at: u32) -> Result<Subscription, Errno> {
    let user = call.guest.read_u64(at)?;
    let kind = call.guest.read_u8(offset(at, 8)?)?;
    let wait = match kind {
        event_types::CLOCK => due(call, at)?,
        event_types::FD_READ | event_types::FD_WRITE => {
            readiness(call, call.guest.read_u32(offset(at, 16)?)?, kind)
        }
        _ => return Err(Errno::INVAL),
    };
    Ok(Subscription { user, kind, wait })
}

fn write_event(call: &mut Call<'_>, at: u32, ready: &Subscription) -> Result<(), Errno> {
    let (error, bytes) = match ready.wait {
        Wait::Until(_) => (0, 0),
        Wait::Ready(bytes) => (0, bytes),
        Wait::Wrong(errno) => (errno.0, 0),
    };
    call.guest.bytes_mut(at, EVENT_BYTES)?.fill(0);
    call.guest.write_u64(at, ready.user)?;
    call.guest
        .write(offset(at, 8)?, &error.to_le_bytes()[..2])?;
    call.guest.write(offset(at, 10)?, &[ready.kind])?;
    call.guest.write_u64(offset(at, 16)?, bytes)
}

/// Files and streams are always ready. If only clocks are asked for, time advances to the earliest of them.
pub(super) fn poll_oneoff(
    call: &mut Call<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    out: u32,
) -> Result<(), CallFailure> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL.into());
    }
    call.charge(u64::from(count) * u64::from(SUBSCRIPTION_BYTES + EVENT_BYTES))?;
    call.guest
        .bytes(subscriptions, count * SUBSCRIPTION_BYTES)?;
    call.guest.bytes(events, count * EVENT_BYTES)?;
    let mut all = Vec::new();
    for position in 0..count {
        all.push(subscription(
            call,
            subscriptions + position * SUBSCRIPTION_BYTES,
        )?);
    }
    let earliest = all
        .iter()
        .map(|one| {
            if let Wait::Until(time) = one.wait {
                time
            } else {
                0
            }
        })
        .min()
        .unwrap_or(0);
    let now = call.elapsed_ns();
    if earliest > now {
        call.host.waited_ns = call.host.waited_ns.saturating_add(earliest - now);
    }
    let now = now.max(earliest);
    let ready = all
        .iter()
        .filter(|one| !matches!(one.wait, Wait::Until(time) if time > now));
    let mut number = 0;
    for one in ready {
        write_event(call, events + number * EVENT_BYTES, one)?;
        number += 1;
    }
    Ok(call.guest.write_u32(out, number)?)
}
