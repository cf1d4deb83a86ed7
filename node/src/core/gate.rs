//! The one place that keeps a validator's word: no vote of ours leaves, and no block is committed, before every record that the core
//! gave until then is on disk and synced, and no proposal before what reserves its view.
//!
//! A host passes each effect through the gate. Records are appended to the vote log wherever the host likes, in the
//! order of their numbers; once a number is synced the host tells the gate, which gives back what waited for it, in
//! order. A group in which no record binds may be written with the next: nothing waits for it but the commit of a block
//! that does not bring its finalization. A proposal in a view that is reserved waits for the reservation alone, and for the votes of ours
//! that it brings. Everything else promises nothing and waits for no disk: execution, requests,
//! certificates without us, bodies, gossip. What it leaves out: the log itself, and what a failed sync means (the host
//! stops, and what waits is lost with it).

use std::collections::{BTreeMap, VecDeque};

use chain::Work;
use consensus::log::Record;
use consensus::message::Promise;
use types::number::View;
use types::vote::Statement;

use super::Effect;

/// How long records that do not bind may wait, in milliseconds: views follow each other faster while there is work, and bring a vote each.
pub const DEFERRED_MS: u64 = 20;

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
    /// Append these records with the next, or after [`DEFERRED_MS`]; they are synced as the others.
    Defer(RecordGroup, Vec<Record>),
    /// Nothing: it comes back once what it rests on is synced.
    Waits,
}

/// What waits for the log.
#[derive(Debug, Default)]
pub struct LogGate {
    given: RecordGroup,
    /// The last one that holds a record that binds.
    binding: RecordGroup,
    synced: RecordGroup,
    /// What the last commit waited for: commits keep their order.
    commits_after: RecordGroup,
    /// The views whose proposals are still to come, each with the group that reserves it.
    reserved: BTreeMap<View, RecordGroup>,
    /// Our votes that are not on disk, each with its group.
    votes: Vec<(Statement, RecordGroup)>,
    /// Each with the group that it waits for.
    waiting: VecDeque<(RecordGroup, Effect)>,
}

impl LogGate {
    /// Judges an effect; effects come in the order in which the core gave them.
    pub fn pass(&mut self, effect: Effect) -> GateVerdict {
        if let Effect::Persist(records) = effect {
            self.given.0 += 1;
            self.note(&records);
            if !records.iter().any(Record::binds) {
                return GateVerdict::Defer(self.given, records);
            }
            self.binding = self.given;
            return GateVerdict::Append(self.given, records);
        }
        let group = self.rests_on(&effect).unwrap_or_default();
        if group <= self.synced {
            return GateVerdict::Perform(effect);
        }
        self.waiting.push_back((group, effect));
        GateVerdict::Waits
    }

    /// Remembers what a proposal may rest on.
    fn note(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Reserved(view) => drop(self.reserved.insert(*view, self.given)),
                Record::Vote(vote) => self.votes.push((vote.statement, self.given)),
                Record::Proposal(proposal) => {
                    let statement = proposal.notarize_statement();
                    self.votes.push((statement, self.given));
                }
                _ => {}
            }
        }
    }

    /// The group that a message waits for, if it waits for any.
    fn keeps(&mut self, promise: &Promise) -> Option<RecordGroup> {
        let (view, carries) = match promise {
            Promise::Nothing => return None,
            Promise::Vote => return Some(self.binding),
            Promise::Proposal { view, carries } => (view, carries),
        };
        self.reserved = self.reserved.split_off(view);
        let Some(reserved) = self.reserved.get(view) else {
            return Some(self.binding);
        };
        let brought = self.votes.iter().filter(|(said, _)| carries.contains(said));
        brought.map(|(_, group)| *group).chain([*reserved]).max()
    }

    /// The group that an effect waits for, if it waits for any.
    fn rests_on(&mut self, effect: &Effect) -> Option<RecordGroup> {
        match effect {
            Effect::Send { promise, .. } => self.keeps(promise),
            Effect::Work(work) => match &**work {
                Work::Commit { decision, .. } => {
                    Some(self.commits_after(decision.finality.is_some()))
                }
                Work::Execute(_) | Work::Build(_) | Work::Verify(_) => None,
            },
            Effect::Persist(_) | Effect::Stop(_) => Some(self.given),
            Effect::Release(_)
            | Effect::Serve { .. }
            | Effect::Answer { .. }
            | Effect::Quarantine(_)
            | Effect::Alarm(_)
            | Effect::Blob(_)
            | Effect::Referee(_)
            | Effect::SetTimer(_)
            | Effect::Report { .. }
            | Effect::Ban { .. } => None,
        }
    }

    /// What the next commit waits for. One that brings its finalization proves itself; the finalization of another may
    /// be one that was deferred, without which the store would hold a block that nothing proves.
    pub fn commits_after(&mut self, brings_finalization: bool) -> RecordGroup {
        let own = if brings_finalization {
            self.binding
        } else {
            self.given
        };
        self.commits_after = self.commits_after.max(own);
        self.commits_after
    }

    /// All groups up to this one are on disk and synced. Gives what may be performed now, in order.
    pub fn synced(&mut self, group: RecordGroup) -> Vec<Effect> {
        assert!(
            group <= self.given,
            "what was not given cannot be on the disk"
        );
        self.synced = self.synced.max(group);
        self.votes.retain(|(_, group)| *group > self.synced);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (ready, waits): (VecDeque<_>, VecDeque<_>) =
            waiting.partition(|(group, _)| *group <= self.synced);
        self.waiting = waits;
        ready.into_iter().map(|(_, effect)| effect).collect()
    }
}

#[cfg(test)]
mod tests {
    use chain::Destination;
    use types::hash::{BlockId, ChainId, Hash32};
    use types::number::{Epoch, ValidatorIndex};
    use types::testing;
    use types::vote::{Subject, Vote};

    use super::super::wire::{Frame, FrameChannel};
    use super::*;

    fn frame(number: u8, promises: bool) -> Effect {
        let promise = if promises {
            Promise::Vote
        } else {
            Promise::Nothing
        };
        promised(number, promise)
    }

    fn promised(number: u8, promise: Promise) -> Effect {
        Effect::Send {
            to: Destination::All { except: None },
            frame: Frame {
                channel: FrameChannel::Consensus,
                bytes: vec![number].into(),
            },
            promise,
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
            GateVerdict::Append(..) | GateVerdict::Defer(..) | GateVerdict::Waits => None,
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

    fn nullify(view: u64) -> Vote {
        let signature = types::key::Signature([0; 64]);
        let subject = Subject::Nullify;
        let statement = Statement {
            epoch: Epoch(1),
            view: View(view),
            subject,
        };
        Vote {
            statement,
            signer: ValidatorIndex(0),
            signature,
        }
    }

    fn proposal(number: u8, view: u64, carries: &[Vote]) -> Effect {
        let carries = carries.iter().map(|vote| vote.statement).collect();
        let view = View(view);
        promised(number, Promise::Proposal { view, carries })
    }

    fn votes_and_reserves(view: u64) -> Effect {
        let vote = Record::Vote(nullify(view - 1));
        Effect::Persist(vec![vote, Record::Reserved(View(view))])
    }

    #[test]
    fn a_proposal_waits_for_its_reservation_and_for_no_later_record() {
        let mut gate = LogGate::default();
        let begins = vec![votes_and_reserves(5), proposal(1, 5, &[]), persist()];
        assert_eq!(pass(&mut gate, begins), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(1))), [1]);
        let again = vec![persist(), proposal(2, 5, &[]), frame(3, true)];
        assert_eq!(pass(&mut gate, again), [2], "said again, as it is");
        let next = vec![votes_and_reserves(6), proposal(4, 6, &[])];
        assert_eq!(pass(&mut gate, next), [0u8; 0], "led twice in a row");
        assert_eq!(numbers(gate.synced(RecordGroup(4))), [3, 4]);
    }

    #[test]
    fn a_proposal_waits_for_the_votes_of_ours_that_it_brings() {
        let mut gate = LogGate::default();
        pass(&mut gate, vec![votes_and_reserves(5)]);
        gate.synced(RecordGroup(1));
        let late = Effect::Persist(vec![Record::Vote(nullify(3))]);
        let brings = vec![late, persist(), proposal(1, 5, &[nullify(3), nullify(4)])];
        assert_eq!(pass(&mut gate, brings), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [1]);
        let kept = vec![proposal(2, 5, &[nullify(3), nullify(4)])];
        assert_eq!(pass(&mut gate, kept), [2], "they are on disk");
    }

    #[test]
    fn a_proposal_waits_for_the_one_before_it_that_it_builds_on() {
        let mut gate = LogGate::default();
        pass(&mut gate, vec![votes_and_reserves(6)]);
        gate.synced(RecordGroup(1));
        let block = types::testing::empty_block(
            ChainId(Hash32([1; 32])),
            BlockId::default(),
            types::number::Height(1),
            types::number::Timestamp(1),
            types::testing::validator_id(0),
        );
        let before = types::vote::Proposal {
            epoch: Epoch(1),
            view: View(5),
            parent_view: View(0),
            block,
            parent_certificate: None,
            nullifications: types::codec::Bounded::default(),
            signature: types::key::Signature([0; 64]),
            notarize: types::key::Signature([0; 64]),
        };
        let own = Vote {
            statement: before.notarize_statement(),
            ..nullify(5)
        };
        let written = Effect::Persist(vec![Record::Proposal(Box::new(before))]);
        assert_eq!(
            pass(&mut gate, vec![written, proposal(1, 6, &[own])]),
            [0u8; 0]
        );
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [1]);
    }

    #[test]
    fn a_proposal_in_a_view_that_is_not_reserved_waits_as_a_vote_does() {
        let mut gate = LogGate::default();
        pass(&mut gate, vec![votes_and_reserves(5)]);
        gate.synced(RecordGroup(1));
        let other = vec![persist(), proposal(1, 4, &[]), proposal(2, 6, &[])];
        assert_eq!(pass(&mut gate, other), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [1, 2]);
    }

    fn finalization() -> Effect {
        let block = BlockId(Hash32([1; 32]));
        let subject = Subject::Finalize { block };
        let certificate = testing::certificate(ChainId(Hash32([1; 32])), subject, &[]);
        Effect::Persist(vec![Record::Certificate(certificate)])
    }

    #[test]
    fn a_promise_waits_for_no_record_that_does_not_bind() {
        let mut gate = LogGate::default();
        let all = vec![finalization(), frame(1, true), persist(), finalization()];
        assert_eq!(pass(&mut gate, all), [1]);
        assert_eq!(pass(&mut gate, vec![frame(2, true)]), [0u8; 0]);
        assert_eq!(numbers(gate.synced(RecordGroup(2))), [2]);
        assert_eq!(pass(&mut gate, vec![frame(3, true)]), [3]);
    }

    #[test]
    fn a_commit_without_its_finalization_waits_for_that_of_another() {
        let mut gate = LogGate::default();
        pass(&mut gate, vec![persist(), finalization()]);
        assert_eq!(gate.commits_after(true), RecordGroup(1));
        assert_eq!(gate.commits_after(false), RecordGroup(2));
        assert_eq!(gate.commits_after(true), RecordGroup(2), "in their order");
        pass(&mut gate, vec![persist()]);
        assert_eq!(gate.commits_after(true), RecordGroup(3));
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
