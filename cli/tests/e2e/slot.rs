//! The ports of one test's devnet: free, and held against the tests of other checkouts on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use testnet::devnet::ports;

/// One devnet at a time: nine processes are enough for two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Slots lie here: below the ports from which connections go out.
const FIRST: u16 = 10_000;
/// How many slots there are.
const COUNT: u16 = 1_300;
/// Ports of a slot. The last is not used but held, so that no two tests take the same slot.
const SIZE: u16 = 16;

/// A range of free ports.
pub struct Slot {
    base_port: u16,
    _guard: TcpListener,
    _alone: MutexGuard<'static, ()>,
}

impl Slot {
    /// Waits for its turn, then takes the first free slot from a place on that differs between test runs.
    pub fn take() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
        let found = (start..COUNT).chain(0..start).find_map(|slot| {
            let base_port = FIRST + slot * SIZE;
            let guard = TcpListener::bind((Ipv4Addr::LOCALHOST, base_port + SIZE - 1)).ok()?;
            ports::check(base_port..base_port + SIZE - 1).ok()?;
            Some((base_port, guard))
        });
        let (base_port, guard) = found.expect("some ports are free");
        Self {
            base_port,
            _guard: guard,
            _alone: alone,
        }
    }

    /// The first port of the devnet.
    pub fn base_port(&self) -> u16 {
        self.base_port
    }
}
