//! The part of the world in which things go wrong: crashes, restarts and partitions.

use std::collections::BTreeSet;

use chain::Event;

use crate::judge::Violation;
use crate::scenario::{CrashPoint, HostId, InjectedFault};

use super::World;

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
