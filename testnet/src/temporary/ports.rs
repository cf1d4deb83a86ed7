//! The ports of one temporary devnet: free, and held against every other test on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::devnet::ports;

/// One temporary devnet of a process at a time: nine processes are enough for two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The lowest port of the first range: all ranges lie below the ports from which connections go out.
const FIRST_PORT: u16 = 10_000;
/// How many ranges there are.
const RANGES: u16 = 650;
/// Ports of a range. The last one is not used but held, so that no two tests take the same range.
const RANGE_PORTS: u16 = 32;

/// A range of 31 free ports, which belongs to its owner until it is dropped.
#[derive(Debug)]
pub struct PortRange {
    base_port: u16,
    _guard: TcpListener,
    _alone: MutexGuard<'static, ()>,
}

impl PortRange {
    /// Waits until this process has no other range, then takes the first free one, from a start on that differs
    /// between processes. Fails if none of the 650 ranges is free.
    pub fn take() -> Result<Self> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let start = u16::try_from(std::process::id() % u32::from(RANGES))?;
        let found = (start..RANGES).chain(0..start).find_map(|range| {
            let base_port = FIRST_PORT + range * RANGE_PORTS;
            let guard =
                TcpListener::bind((Ipv4Addr::LOCALHOST, base_port + RANGE_PORTS - 1)).ok()?;
            ports::check(base_port..base_port + RANGE_PORTS - 1).ok()?;
            Some((base_port, guard))
        });
        let (base_port, guard) = found.context("no 32 free ports in a row from 10000 on")?;
        Ok(Self {
            base_port,
            _guard: guard,
            _alone: alone,
        })
    }

    /// The first port of the range.
    #[must_use]
    pub fn base_port(&self) -> u16 {
        self.base_port
    }
}
