//! The part of the world that performs effects: through the gate of the log, whose syncs take time, and up to the point
//! at which a host is to crash.

use chain::Destination;
use consensus::{Halt, Message};
use node::core::gate::DEFERRED_MS;
use node::core::{Effect, Frame, FrameChannel, StopReason};
use node::serve;

use super::{Happening, World};
use crate::host::SyncBegin;
use crate::judge::Violation;
use crate::scenario::{CrashPoint, HostId};

/// Longest time that a sync of a log takes, in milliseconds.
const LONGEST_SYNC_MS: u64 = 12;

impl World {
    pub(super) fn perform(&mut self, host: HostId, effects: Vec<Effect>) -> Result<(), Violation> {
        for effect in effects {
            let (now, sync) = self.hosts[host].pass(effect);
            if let Some(begin) = sync {
                let at = match begin {
                    SyncBegin::Now => self.now_ms + self.random.range(0, LONGEST_SYNC_MS),
                    SyncBegin::Deferred => self.now_ms + DEFERRED_MS,
                };
                let life = self.hosts[host].life;
                self.later(at, Happening::Sync { host, life });
            }
            if let Some(effect) = now
                && self.perform_or_crash(host, effect)?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A sync of a host's log ends, and what waited for it is performed.
    pub(super) fn synced(&mut self, host: HostId) -> Result<(), Violation> {
        if self.hosts[host].fuse == Some(CrashPoint::Sync) {
            // The power goes between write and sync: what was written may be there or not.
            self.hosts[host].stop_before_sync();
            let _ = self.hosts[host].sync();
            self.crash(host);
            return Ok(());
        }
        if self.hosts[host].is_honest() {
            self.judge.writes(self.hosts[host].unsynced())?;
        }
        let ready = match self.hosts[host].sync() {
            Ok(ready) => ready,
            Err(why) => return self.stopped(host, why),
        };
        for effect in ready {
            if self.perform_or_crash(host, effect)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Performs an effect, unless the host is to crash before it. True if it crashed before or after it.
    fn perform_or_crash(&mut self, host: HostId, effect: Effect) -> Result<bool, Violation> {
        match &mut self.hosts[host].fuse {
            Some(CrashPoint::Effects(0)) => {
                self.crash(host);
                return Ok(true);
            }
            Some(CrashPoint::Effects(left)) => *left -= 1,
            Some(CrashPoint::Vote | CrashPoint::Sync) | None => {}
        }
        let ends = self.hosts[host].fuse == Some(CrashPoint::Vote) && binds_its_sender(&effect);
        self.perform_one(host, effect)?;
        if ends {
            self.crash(host);
        }
        Ok(ends || !self.hosts[host].is_up())
    }

    fn perform_one(&mut self, host: HostId, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Persist(_) => unreachable!("the gate takes records"),
            Effect::Release(view) => {
                if let Err(why) = self.hosts[host].release(view) {
                    return self.stopped(host, why);
                }
            }
            Effect::Send { to, frame, .. } => self.send(host, to, &frame)?,
            Effect::Work(work) => {
                let takes_ms = self.random.range(0, self.scenario.execution_ms);
                let at = self.hosts[host].queue(self.now_ms, *work, takes_ms);
                let life = self.hosts[host].life;
                self.later(at, Happening::Work { host, life });
            }
            Effect::Serve { to, request } => {
                let answer = serve::answer(&self.hosts[host].store, request);
                let bytes = match answer {
                    Ok(Some(message)) => {
                        let frame = Frame::consensus(&message);
                        self.send(host, Destination::One(to), &frame)?;
                        frame.bytes.len()
                    }
                    Ok(None) => 0,
                    Err(error) => return self.stopped(host, error.to_string()),
                };
                let life = self.hosts[host].life;
                let served = Happening::Served {
                    host,
                    life,
                    to,
                    bytes,
                };
                self.later(self.now_ms + 1, served);
            }
            Effect::SetTimer(at) => {
                let life = self.hosts[host].life;
                self.hosts[host].timer = Some(at);
                self.later(
                    self.hosts[host].due_ms(at),
                    Happening::Wake {
                        host,
                        life,
                        at_ms: at.0,
                    },
                );
            }
            Effect::Report { by, fault } => self.accused(host, by, &fault)?,
            Effect::Stop(StopReason::Consensus(Halt::ForeignVote { .. }))
                if self.may_lack_own_votes(host) =>
            {
                self.restart_soon(host);
            }
            Effect::Stop(stop) => return self.stopped(host, stop.to_string()),
            Effect::Blob(request) => self.blob(host, request),
            Effect::Referee(task) => self.referee(host, &task)?,
            Effect::Alarm(alarm) => return self.stopped(host, alarm.to_string()),
            // The node takes nothing of whom it bans; that the connection is closed changes nothing here.
            Effect::Ban { .. } | Effect::Answer { .. } | Effect::Quarantine(_) => {}
        }
        Ok(())
    }
}

/// True if the effect sends a vote or proposal, which binds its sender from then on.
fn binds_its_sender(effect: &Effect) -> bool {
    let Effect::Send { frame, .. } = effect else {
        return false;
    };
    frame.channel == FrameChannel::Consensus
        && matches!(
            Message::from_bytes(&frame.bytes),
            Ok(Message::Vote(_) | Message::Proposal(_))
        )
}
