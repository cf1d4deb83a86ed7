//! The part of the world in which frames leave a host: what a liar sends instead, who gets it, and when.

use chain::Destination;
use consensus::Message;
use node::core::{Frame, FrameChannel};
use types::number::ValidatorIndex;

use crate::judge::Violation;
use crate::liar::LiarVoice;
use crate::scenario::HostId;

use super::{Happening, World};

impl World {
    pub(super) fn send(
        &mut self,
        from: HostId,
        to: Destination,
        frame: &Frame,
    ) -> Result<(), Violation> {
        let member = self.hosts[from].member;
        let message = match frame.channel {
            FrameChannel::Consensus => Message::from_bytes(&frame.bytes).ok(),
            FrameChannel::Pool | FrameChannel::Blobs => None,
        };
        let mut lie = None;
        if let Some(message) = &message {
            self.liars.hear(message);
            if let Some(kind) = self.hosts[from].liar {
                let mut liar = LiarVoice {
                    kind,
                    index: ValidatorIndex(u16::try_from(member).expect("a small committee")),
                    key: &self.keys[member].validator,
                    members: self.members.len(),
                    random: &mut self.random,
                };
                lie = Some(self.liars.instead_of(message, frame, &mut liar));
            } else {
                let binds = matches!(message, Message::Vote(_) | Message::Proposal(_));
                if binds && !self.hosts[from].is_on_disk(message) {
                    return Err(Violation::Unsynced { host: from });
                }
                self.judge.says(member, message)?;
            }
        }
        let mut targets: Vec<usize> = match to {
            Destination::One(target) => vec![self.member_of(target)],
            Destination::All { except } => (0..self.members.len())
                .filter(|target| except != Some(self.ids[*target]))
                .collect(),
        };
        targets.retain(|target| *target != member);
        let Some(lie) = lie else {
            self.carry(from, &targets, frame, 0);
            return Ok(());
        };
        if let Some(only) = &lie.only {
            targets.retain(|target| only.contains(target));
        }
        for frame in lie.frame.iter().chain(&lie.extra) {
            self.carry(from, &targets, frame, lie.late_ms);
        }
        Ok(())
    }

    /// Puts a frame on its way to each target.
    fn carry(&mut self, from: HostId, targets: &[usize], frame: &Frame, late_ms: u64) {
        let id = self.ids[self.hosts[from].member];
        for target in targets {
            let Some(host) = self.route(from, *target) else {
                continue;
            };
            self.frames += 1;
            let now_ms = self.now_ms + late_ms;
            for delay in self.network.carry(now_ms, from, host, frame.bytes.len()) {
                self.later(
                    now_ms + delay,
                    Happening::Arrive {
                        host,
                        from: id,
                        frame: frame.clone(),
                    },
                );
            }
        }
    }

    /// The host that a member's frames reach from a host: of a liar the one that shows this side its face.
    pub(super) fn route(&self, from: HostId, member: usize) -> Option<HostId> {
        let side = self.network.side(from);
        let hosts = self.members.get(member)?;
        let own = self.hosts[from].member;
        let is_twin = hosts.len() > 1 || self.members[own].len() > 1;
        hosts
            .iter()
            .copied()
            .find(|host| !is_twin || self.network.side(*host) == side)
    }
}
