//! The part of the world in which things go wrong: crashes, restarts and partitions.

use std::collections::BTreeSet;

use chain::Event;

use crate::judge::Violation;
use crate::scenario::{CrashPoint, HostId, InjectedFault};

use super::{Happening, World};

/// Time until a host that stopped by itself is started again.
const CARELESS_RESTART_MS: u64 = 100;

impl World {
    pub(super) fn fault(&mut self, fault: InjectedFault) -> Result<(), Violation> {
        if let Some(print) = self.options.print {
            print(&format!("{:>7} ms  {fault:?}", self.now_ms));
        }
        match fault {
            InjectedFault::Crash { host, at } => {
                if self.hosts[host].is_up() {
                    self.hosts[host].fuse = Some(at);
                }
            }
            InjectedFault::CutLog { host, bytes } => self.hosts[host].cut_log(bytes),
            InjectedFault::LoseLog { host } => self.hosts[host].lose_log(),
            InjectedFault::Restart(host) => {
                if self.hosts[host].fuse != Some(CrashPoint::Vote) {
                    self.hosts[host].fuse = None;
                }
                self.start(host)?;
            }
            InjectedFault::CrashAll => (0..self.hosts.len()).for_each(|host| self.crash(host)),
            InjectedFault::RestartAll => {
                for host in 0..self.hosts.len() {
                    self.hosts[host].fuse = None;
                    self.start(host)?;
                }
            }
            InjectedFault::Partition(groups) => self.network.split(groups),
            InjectedFault::Heal => self.network.heal(),
        }
        if self.now_ms >= self.scenario.calm_at_ms {
            self.network.lose(self.scenario.loss_after);
        }
        Ok(())
    }

    /// True if votes with a host's key may come back to it that it does not know of: its log was cut, or it lies and runs
    /// twice. It stops then, as it must.
    pub(super) fn may_lack_own_votes(&self, host: HostId) -> bool {
        !self.hosts[host].is_honest() || self.hosts[host].was_cut
    }

    /// Stops a host as its node wants it, and starts it again as a careless operator does.
    pub(super) fn restart_soon(&mut self, host: HostId) {
        self.crash(host);
        let at = self.now_ms + CARELESS_RESTART_MS;
        self.later(at, Happening::Fault(InjectedFault::Restart(host)));
    }

    pub(super) fn crash(&mut self, host: HostId) {
        let torn = if self.random.chance(500) {
            self.random.index(200)
        } else {
            0
        };
        self.note("crash", host, &[]);
        self.hosts[host].crash(torn);
    }

    pub(super) fn start(&mut self, host: HostId) -> Result<(), Violation> {
        if self.hosts[host].is_up() {
            return Ok(());
        }
        self.note("start", host, &[]);
        let effects = match self.hosts[host].start(self.now_ms) {
            Ok(effects) => effects,
            Err(why) => return self.stopped(host, why),
        };
        self.perform(host, effects)?;
        let own = self.hosts[host].member;
        let others: BTreeSet<_> = (0..self.members.len())
            .filter(|member| *member != own)
            .map(|member| self.ids[member])
            .collect();
        self.chain_event(host, Event::Peers(others))
    }
}
