//! The part of the world in which frames leave a host: what a liar sends instead, who gets it, and when.

use chain::Destination;
use consensus::Message;
use node::core::{Frame, FrameChannel};
use types::number::ValidatorIndex;

use crate::judge::Violation;
use crate::liar::Lie;
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
        let mut lie = Lie::Nothing;
        if let Some(message) = &message {
            self.liar.hear(message);
            if self.hosts[from].is_liar {
                let index = ValidatorIndex(u16::try_from(member).expect("a small committee"));
                lie = self.liar.instead_of(
                    message,
                    index,
                    &self.keys[member].validator,
                    &mut self.random,
                );
            } else {
                self.judge.says(member, message)?;
            }
        }
        let frame = match &lie {
            Lie::Nothing => frame,
            Lie::Instead(other) => other,
            Lie::Silence => return Ok(()),
        };
        let targets: Vec<usize> = match to {
            Destination::One(target) => vec![self.member_of(target)],
            Destination::All { except } => (0..self.members.len())
                .filter(|target| except != Some(self.ids[*target]))
                .collect(),
        };
        let id = self.ids[member];
        for target in targets.into_iter().filter(|target| *target != member) {
            let Some(host) = self.route(from, target) else {
                continue;
            };
            self.frames += 1;
            for delay in self.network.carry(from, host) {
                self.later(
                    self.now_ms + delay,
                    Happening::Arrive {
                        host,
                        from: id,
                        frame: frame.clone(),
                    },
                );
            }
        }
        Ok(())
    }

    /// The host that a member's frames reach from a host: of a liar the one that shows this side its face.
    pub(super) fn route(&self, from: HostId, member: usize) -> Option<HostId> {
        let side = self.network.side(from);
        let hosts = self.members.get(member)?;
        let lies = self.hosts[from].is_liar || hosts.len() > 1;
        hosts
            .iter()
            .copied()
            .find(|host| !lies || self.network.side(*host) == side)
    }
}
