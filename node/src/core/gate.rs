//! The one place that keeps a validator's word: nothing that shows a signature of ours leaves, and no block is
//! committed, before every record that the core gave until then is on disk and synced.
//!
//! A host passes each effect through the gate. Records are appended to the vote log wherever the host likes, in the
//! order of their numbers; once a number is synced the host tells the gate, which gives back what waited for it, in
//! order. Everything else promises nothing and waits for no disk: execution, requests, certificates without us, bodies,
//! gossip. What it leaves out: the log itself, and what a failed sync means (the host stops, and what waits is lost with it).

use std::collections::VecDeque;

use chain::Work;
use consensus::log::Record;

use super::Effect;

/// The number of a group of records, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RecordGroup(pub u64);

/// What a host does with an effect.
#[derive(Debug)]
pub enum GateVerdict {
    /// Perform it now.
    Perform(Effect),
    /// Append these records and sync; then tell [`LogGate::synced`].
    Append(RecordGroup, Vec<Record>),
    /// Nothing: it comes back once what it rests on is synced.
    Waits,
}

/// What waits for the log.
#[derive(Debug, Default)]
pub struct LogGate {
    given: RecordGroup,
    synced: RecordGroup,
    /// Each with the last group that was given before it.
    waiting: VecDeque<(RecordGroup, Effect)>,
}

impl LogGate {
    /// Judges an effect; effects come in the order in which the core gave them.
    pub fn pass(&mut self, effect: Effect) -> GateVerdict {
        if let Effect::Persist(records) = effect {
            self.given.0 += 1;
            return GateVerdict::Append(self.given, records);
        }
        if self.given == self.synced || !rests_on_the_log(&effect) {
            return GateVerdict::Perform(effect);
        }
        self.waiting.push_back((self.given, effect));
        GateVerdict::Waits
    }

    /// All groups up to this one are on disk and synced. Gives what may be performed now, in order.
    pub fn synced(&mut self, group: RecordGroup) -> Vec<Effect> {
        assert!(
            group <= self.given,
            "what was not given cannot be on the disk"
        );
        self.synced = self.synced.max(group);
        let ready = |(group, _): &(RecordGroup, Effect)| *group <= self.synced;
        let count = self.waiting.iter().take_while(|entry| ready(entry)).count();
        self.waiting
            .drain(..count)
            .map(|(_, effect)| effect)
            .collect()
    }
}

fn rests_on_the_log(effect: &Effect) -> bool {
    match effect {
        Effect::Send { promises, .. } => *promises,
        Effect::Work(work) => matches!(**work, Work::Commit { .. }),
        Effect::Persist(_) | Effect::Stop(_) => true,
        Effect::Release(_)
        | Effect::Serve { .. }
        | Effect::Answer { .. }
        | Effect::Quarantine(_)
        | Effect::Alarm(_)
        | Effect::Blob(_)
        | Effect::Referee(_)
        | Effect::SetTimer(_)
        | Effect::Report { .. }
        | Effect::Ban { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use chain::Destination;
    use types::number::View;

    use super::super::wire::{Frame, FrameChannel};
    use super::*;

    fn frame(number: u8, promises: bool) -> Effect {
        Effect::Send {
            to: Destination::All { except: None },
            frame: Frame {
                channel: FrameChannel::Consensus,
                bytes: vec![number].into(),
            },
            promises,
        }
    }

    fn numbers(effects: impl IntoIterator<Item = Effect>) -> Vec<u8> {
        let number = |effect| match effect {
            Effect::Send { frame, .. } => Some(frame.bytes[0]),
            _ => None,
        };
        effects.into_iter().filter_map(number).collect()
    }

    /// Passes effects; gives the frames that leave at once.
    fn pass(gate: &mut LogGate, effects: Vec<Effect>) -> Vec<u8> {
        let leaves = |effect| match gate.pass(effect) {
            GateVerdict::Perform(effect) => Some(effect),
            GateVerdict::Append(..) | GateVerdict::Waits => None,
        };
        numbers(effects.into_iter().filter_map(leaves).collect::<Vec<_>>())
    }

    fn persist() -> Effect {
        Effect::Persist(vec![Record::Floor(View(1))])
    }

    #[test]
    fn a_promise_waits_for_every_record_given_before_it_and_nothing_else_waits() {
        let mut gate = LogGate::default();
        assert_eq!(
            pass(&mut gate, vec![frame(0, true)]),
            [0],
            "nothing was given"
        );
        let first = vec![persist(), frame(1, true), frame(2, false)];
        assert_eq!(pass(&mut gate, first), [2]);
        // A later step without records of its own: its promise may rest on the record before.
        assert_eq!(pass(&mut gate, vec![frame(3, true), frame(4, false)]), [4]);
        assert_eq!(pass(&mut gate, vec![persist(), frame(5, true)]), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(1))), [1, 3]);
        assert_eq!(pass(&mut gate, vec![frame(6, true)]), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [5, 6]);
        assert_eq!(pass(&mut gate, vec![frame(7, true)]), [7]);
    }

    #[test]
    fn one_sync_may_end_several_groups() {
        let mut gate = LogGate::default();
        pass(&mut gate, vec![persist(), frame(1, true)]);
        pass(&mut gate, vec![persist(), frame(2, true)]);
        pass(&mut gate, vec![persist(), frame(3, true)]);
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [1, 2]);
        assert_eq!(numbers(gate.synced(RecordGroup(3))), [3]);
    }
}
