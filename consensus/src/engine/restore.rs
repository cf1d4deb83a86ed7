//! Starting (rule 14): what the log binds us to, and asking the peers whether the log lost anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::committee::ValidatorSet;
use types::number::{Stake, ValidatorIndex, View};
use types::vote::{Certificate, Statement, Subject, Vote};

use super::Engine;
use super::decide::Decided;
use super::gossip::{Offers, Standstill};
use super::pace::{LeaderRecords, Timers};
use super::round::{HeldProposal, Proposed};
use super::sources::BlockSources;
use crate::config::Config;
use crate::effect::{Effects, Recipients};
use crate::input::{Restored, StartError};
use crate::leader::Leaders;
use crate::log::Record;
use crate::message::{Message, Request};
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

/// Whether we may vote yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Voting {
    /// Peers are asked what we signed before.
    Asking {
        /// Tells this start from earlier ones.
        session: u64,
        /// Who answered, and ourselves unless the log is lost.
        answered: ValidatorSet,
        /// When those who did not are asked again.
        at: Monotonic,
        /// Where the log is lost: the highest view that an answer proves to be over.
        lost: Option<View>,
    },
    /// Q of the stake answered.
    Open,
}

impl Voting {
    pub(super) fn asks_at(&self) -> Option<Monotonic> {
        match self {
            Self::Asking { at, .. } => Some(*at),
            Self::Open => None,
        }
    }
}

impl Engine {
    /// Takes up where the log and the store end. The first effects ask the peers for our own latest votes.
    pub fn start(
        config: Arc<Config>,
        now: Now,
        restored: Restored,
    ) -> Result<(Self, Effects), StartError> {
        let (mut answered, lost) = (ValidatorSet::default(), is_lost(&restored.records));
        if !lost {
            answered.insert(config.me);
        } else if !config.committee.decides(stake_of_others(&config)) {
            return Err(StartError::NobodyConfirms);
        }
        let decided = Decided {
            view: View::ZERO,
            block: config.genesis,
            certificate: None,
            passed: 0,
            path: BTreeMap::new(),
            proofs: BTreeMap::new(),
            ahead: BTreeMap::new(),
        };
        let mut engine = Self {
            leaders: Leaders::new(config.chain, config.epoch, config.committee.clone()),
            view: View(1),
            entered: now.monotonic,
            entry: None,
            timers: Timers::default(),
            records: LeaderRecords::default(),
            decided,
            tip: restored.tip,
            tip_urgent: false,
            rounds: BTreeMap::new(),
            blocks: BTreeMap::new(),
            voting: Voting::Asking {
                session: now.unix.0,
                answered,
                at: now.monotonic,
                lost: lost.then_some(View::ZERO),
            },
            floor: View::ZERO,
            reserved: View::ZERO,
            unrecorded: BTreeSet::new(),
            asks: BTreeMap::new(),
            sources: BlockSources::default(),
            shown: BTreeMap::new(),
            standstill: Standstill::default(),
            offers: Offers::default(),
            urgent_since: None,
            unsigned_until: Monotonic::default(),
            halted: false,
            config,
        };
        engine.load(restored)?;
        engine.forget_voices(now);
        engine.begin(now);
        engine.standstill.reset(now, &engine.config.timing.clone());
        let mut out = Effects::default();
        engine.open_if_answered(&mut out);
        engine.advance(now, &mut out);
        Ok((engine, out))
    }

    fn load(&mut self, restored: Restored) -> Result<(), StartError> {
        let proven = restored
            .finalization
            .as_ref()
            .is_some_and(|certificate| finalises(certificate, restored.tip.id));
        let stored = restored
            .finalization
            .as_ref()
            .map_or(View::ZERO, |certificate| certificate.statement.view);
        restored
            .finalization
            .into_iter()
            .try_for_each(|certificate| self.load_certificate(certificate))?;
        for record in restored.records {
            self.load_record(record)?;
        }
        let above = self.decided.view > stored;
        if restored.tip.height.0 > 0 && !proven && !above {
            return Err(StartError::UnprovenTip(restored.tip.height));
        }
        let decided = self.decided.view;
        self.rounds = self.rounds.split_off(&decided.next());
        let proposed = |view: &View| {
            let round = self.rounds.get(view);
            round.is_some_and(|round| round.own.proposal.is_some())
        };
        self.unrecorded
            .retain(|view| *view > decided && !proposed(view));
        let last = self.rounds.iter().rev().find_map(|(view, round)| {
            let ended = round.notarization.is_some() || round.nullification.is_some();
            let voted = round.own.votes().next().is_some();
            ended.then(|| view.next()).or(voted.then_some(*view))
        });
        self.view = last.unwrap_or_default().max(decided.next());
        let before = self.view.saturating_sub(1);
        self.entry = match self.rounds.get(&before) {
            _ if before == decided => self.decided.certificate.clone(),
            Some(round) => round
                .notarization
                .clone()
                .or_else(|| round.nullification.clone()),
            None => None,
        };
        self.prune();
        Ok(())
    }

    fn load_record(&mut self, record: Record) -> Result<(), StartError> {
        let view = record.view();
        let contradiction = StartError::Contradiction(view);
        match record {
            Record::Lost => {}
            Record::Reserved(view) => {
                self.reserved = self.reserved.max(view);
                self.unrecorded.insert(view);
            }
            Record::Floor(floor) => self.floor = self.floor.max(floor),
            Record::Certificate(certificate) => self.load_certificate(certificate)?,
            Record::Conflict(view) => return Err(StartError::Conflict(view)),
            Record::Vote(vote) => self.load_vote(vote)?,
            Record::Block { block, .. } => {
                let block = WholeBlock::new(*block).ok_or(contradiction)?;
                self.hold_logged(&block);
            }
            Record::Proposal(proposal) => {
                let held = HeldProposal::from_proposal(&proposal).ok_or(contradiction)?;
                let vote = Vote {
                    statement: held.statement(),
                    signer: self.config.me,
                    signature: held.notarize,
                };
                self.load_vote(vote)?;
                self.hold_logged(&held.block);
                let round = self.round(view);
                round.proposal = Some(Proposed {
                    parent_view: held.parent_view,
                    block: held.block.id(),
                });
                round.own.proposal = Some(held);
            }
        }
        Ok(())
    }

    fn hold_logged(&mut self, block: &WholeBlock) {
        let id = block.id();
        self.hold(block);
        if let Some(held) = self.blocks.get_mut(&id) {
            held.logged = true;
        }
    }

    fn load_vote(&mut self, vote: Vote) -> Result<(), StartError> {
        let view = vote.statement.view;
        let own = &mut self.round(view).own;
        let slot = own.slot(&vote.statement.subject);
        let differs = slot.is_some_and(|known| known.statement != vote.statement);
        *slot = Some(vote);
        let both = own.nullify.is_some() && own.finalize.is_some();
        if differs || both {
            return Err(StartError::Contradiction(view));
        }
        Ok(())
    }

    fn load_certificate(&mut self, certificate: Certificate) -> Result<(), StartError> {
        let view = certificate.statement.view;
        match certificate.statement.subject {
            Subject::Notarize { .. } => {
                let round = self.round(view);
                round.notarization = Some(certificate);
                round.logged.notarization = true;
            }
            Subject::Nullify => {
                let round = self.round(view);
                round.nullification = Some(certificate);
                round.logged.nullification = true;
            }
            Subject::Finalize { block } => {
                if view == self.decided.view && block != self.decided.block {
                    return Err(StartError::Conflict(view));
                }
                self.decided.proofs.insert(block, certificate.clone());
                if view > self.decided.view {
                    (self.decided.view, self.decided.block) = (view, block);
                    self.decided.certificate = Some(certificate);
                }
            }
        }
        Ok(())
    }

    /// Asks those who have not answered for our latest votes.
    pub(super) fn ask_vote_recovery(&mut self, now: Now, out: &mut Effects) {
        let Voting::Asking {
            session,
            answered,
            at,
            ..
        } = &mut self.voting
        else {
            return;
        };
        if now.monotonic < *at {
            return;
        }
        *at = now.monotonic.after(self.config.timing.retry_ms);
        let silent = self.config.committee.indices();
        let to = silent
            .filter(|index| !answered.contains(*index))
            .map(|index| self.config.id_of(index))
            .collect();
        let message = Message::Request(Request::VoteRecovery { session: *session });
        out.send(Recipients::Some(to), message);
    }

    /// True if that validator's answer to the vote recovery of this start is waited for.
    pub(crate) fn awaits_vote_recovery(&self, from: ValidatorIndex, session: u64) -> bool {
        matches!(&self.voting, Voting::Asking { session: asked, answered, .. }
            if *asked == session && !answered.contains(from))
    }

    /// An answer to our vote recovery. A vote that the log lacks proves that the log was cut.
    ///
    /// A log that is lost whole is another matter: nobody may hold our last votes. An answer then counts only with proof
    /// of where its sender stands.
    pub(super) fn take_vote_recovery(
        &mut self,
        from: ValidatorIndex,
        session: u64,
        votes: &[Vote],
        ended: Option<View>,
        out: &mut Effects,
    ) {
        let was_lost = match &mut self.voting {
            Voting::Asking {
                session: asked,
                answered,
                lost,
                ..
            } if *asked == session => {
                match (lost.as_mut(), ended) {
                    (Some(_), None) => return,
                    (Some(highest), Some(ended)) => *highest = ended.max(*highest),
                    (None, _) => {}
                }
                answered.insert(from);
                lost.is_some()
            }
            _ => return,
        };
        for vote in votes {
            let view = vote.statement.view;
            let own = self.rounds.get(&view).map(|round| &round.own);
            let known =
                own.is_some_and(|own| own.votes().any(|own| own.statement == vote.statement));
            let known = known || self.may_be_unrecorded(&vote.statement);
            if view > self.decided.view && view > self.floor && !known {
                self.floor = view;
                if !was_lost {
                    out.records.push(Record::Floor(view));
                }
            }
        }
        self.open_if_answered(out);
    }

    /// True for a leader's vote that may have left with a proposal before either was written. It does not prove that the log was cut.
    pub(crate) fn may_be_unrecorded(&self, statement: &Statement) -> bool {
        matches!(statement.subject, Subject::Notarize { .. })
            && self.may_have_proposed(statement.view)
    }

    /// Opens voting once Q of the stake answered. After a log was lost, above every view in which we can have voted: for
    /// our last view v, Q signed in v - 1; one of those who answered is honest and among them. It entered v - 1 by a
    /// certificate of v - 2, or stands higher. If what it signed was a proposal in a reserved view, that certificate may have
    /// gone in a power cut: what stays is the certificate of v - 3, by which it entered the view of the vote that reserved v - 1.
    fn open_if_answered(&mut self, out: &mut Effects) {
        let Voting::Asking { answered, lost, .. } = &self.voting else {
            return;
        };
        let committee = &self.config.committee;
        if !committee.decides(committee.stake_of(answered)) {
            return;
        }
        if let Some(highest) = lost {
            self.floor = self.floor.max(highest.saturating_add(3));
            out.records.push(Record::Floor(self.floor));
        }
        self.voting = Voting::Open;
        self.repeat_proposal(out);
    }
}

/// True if the log took the place of a lost one and no vote, and no view confirmed by the others, is in it yet.
fn is_lost(records: &[Record]) -> bool {
    let since = |record: &Record| {
        matches!(
            record,
            Record::Floor(_) | Record::Vote(_) | Record::Proposal(_)
        )
    };
    records.contains(&Record::Lost) && !records.iter().any(since)
}

/// The stake of everybody else.
fn stake_of_others(config: &Config) -> Stake {
    let mut others = ValidatorSet::default();
    for index in config.committee.indices() {
        if index != config.me {
            others.insert(index);
        }
    }
    config.committee.stake_of(&others)
}

fn finalises(certificate: &Certificate, id: types::hash::BlockId) -> bool {
    certificate.statement.subject == Subject::Finalize { block: id }
}
