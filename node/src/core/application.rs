//! The one place where consensus meets the chain: what consensus asks about blocks becomes the chain's orders, and what
//! the chain finds becomes events of consensus.
//!
//! | consensus                 | chain                                       |
//! |---------------------------|---------------------------------------------|
//! | `Effect::Propose`         | `Chain::build`                              |
//! | `Event::Proposed`         | `Effect::Built`                             |
//! | `Effect::Execute`         | `Chain::execute`                            |
//! | `Event::Executed`         | `Effect::Valid`, `Effect::Invalid`          |
//! | `Effect::Commit`          | `Chain::decide`                             |
//! | `Record`s may be released | `Effect::Committed`, durable                |
//! | `Event::Urgent`           | `Effect::Urgent`                            |

use std::collections::VecDeque;

use chain::{BuildRequest, BuildTicket, Destination, Fatal};
use consensus::message::Promise;
use consensus::{Fault, Halt, Verdict};
use state::DecidedState;
use types::hash::BlockId;
use types::number::View;
use types::time::Now;
use vm::Abort;

use super::{Effect, Frame, Node, StopReason, said_in};

impl Node {
    /// Gives consensus an event and performs what follows.
    pub(super) fn consensus(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        event: consensus::Event,
        out: &mut Vec<Effect>,
    ) {
        self.follow(now, state, VecDeque::from([event]), out);
    }

    /// Performs effects of consensus in their order; what can be answered at once is answered after them.
    pub(super) fn perform(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: consensus::Effects,
        out: &mut Vec<Effect>,
    ) {
        let mut answers = VecDeque::new();
        self.obey_consensus(now, state, effects, &mut answers, out);
        self.follow(now, state, answers, out);
    }

    /// Performs effects of the chain in their order, and what consensus makes of them after that.
    pub(super) fn obey(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: Vec<chain::Effect>,
        out: &mut Vec<Effect>,
    ) {
        let mut answers = VecDeque::new();
        self.obey_chain(now, state, effects, &mut answers, out);
        self.follow(now, state, answers, out);
    }

    fn follow(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        mut events: VecDeque<consensus::Event>,
        out: &mut Vec<Effect>,
    ) {
        while let Some(event) = events.pop_front() {
            if self.stopped {
                return;
            }
            let effects = self.replica.step(now, event);
            self.obey_consensus(now, state, effects, &mut events, out);
        }
    }

    fn obey_consensus(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: consensus::Effects,
        answers: &mut VecDeque<consensus::Event>,
        out: &mut Vec<Effect>,
    ) {
        for effect in effects {
            let orders = match effect {
                consensus::Effect::Propose {
                    view,
                    parent,
                    timestamp,
                    ..
                } => {
                    let request = BuildRequest {
                        ticket: BuildTicket(view.0),
                        parent,
                        timestamp,
                        proposer: self.own,
                    };
                    self.chain.build(state, request)
                }
                consensus::Effect::Execute(block) => self.chain.execute(block),
                consensus::Effect::Commit {
                    block,
                    finalization,
                } => self.chain.decide(&block.id(), finalization, None),
                consensus::Effect::Persist(records) => {
                    self.certificates.logged(now.monotonic, &records);
                    out.push(Effect::Persist(records));
                    continue;
                }
                consensus::Effect::Send { to, message } => {
                    if let Some(view) = said_in(&message) {
                        self.attendance.voted(now, self.own, view);
                    }
                    self.send(&to, &message, out);
                    continue;
                }
                consensus::Effect::Serve { to, request } => {
                    out.push(Effect::Serve { to, request });
                    continue;
                }
                consensus::Effect::SetTimer(at) => {
                    self.timers.consensus = Some(at);
                    continue;
                }
                consensus::Effect::Report { by, fault } => {
                    out.push(Effect::Report { by, fault });
                    continue;
                }
                consensus::Effect::Ban { validator, for_ms } => {
                    out.push(Effect::Ban { validator, for_ms });
                    continue;
                }
                consensus::Effect::Stop(halt) => {
                    return self.stop(self.reason(halt), out);
                }
            };
            self.obey_chain(now, state, orders, answers, out);
            if self.stopped {
                return;
            }
        }
    }

    fn obey_chain(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        effects: Vec<chain::Effect>,
        answers: &mut VecDeque<consensus::Event>,
        out: &mut Vec<Effect>,
    ) {
        for effect in effects {
            match effect {
                chain::Effect::Built { ticket, block } => {
                    let view = View(ticket.0);
                    answers.push_back(consensus::Event::Proposed { view, block });
                }
                chain::Effect::Valid { block, urgent } => {
                    let verdict = Verdict::Valid { urgent };
                    answers.push_back(consensus::Event::Executed { block, verdict });
                }
                chain::Effect::Invalid { block } => {
                    let verdict = Verdict::Invalid;
                    answers.push_back(consensus::Event::Executed { block, verdict });
                }
                chain::Effect::Urgent(urgent) => {
                    answers.push_back(consensus::Event::Urgent(urgent));
                }
                chain::Effect::Committed { decision, synced } => {
                    self.attendance.decided(now, &decision.block.header);
                    let finalized = decision
                        .finality
                        .as_ref()
                        .map(|certificate| certificate.statement.view);
                    self.stored_view = finalized.or(self.stored_view);
                    // What says that the log before was lost stays until the others have confirmed a view.
                    if synced && !self.replica.awaits_confirmation() {
                        out.extend(self.stored_view.map(Effect::Release));
                    }
                }
                chain::Effect::Work(work) => out.push(Effect::Work(work)),
                chain::Effect::Send { to, message } => out.push(Effect::Send {
                    to,
                    frame: Frame::gossip(&message),
                    promise: Promise::Nothing,
                }),
                chain::Effect::Answer { ticket, results } => {
                    out.push(Effect::Answer { ticket, results });
                }
                chain::Effect::Forged(by) => {
                    let effects = self.replica.blame(now, by, Fault::BadTransactions);
                    self.obey_consensus(now, state, effects, answers, out);
                }
                chain::Effect::Quarantine(block) => out.push(Effect::Quarantine(block)),
                chain::Effect::Alarm(alarm) => out.push(Effect::Alarm(alarm)),
                chain::Effect::Blob(request) => out.push(Effect::Blob(request)),
                chain::Effect::Referee(task) => out.push(Effect::Referee(task)),
                chain::Effect::Stop(fatal) => return self.stop(fatal.into(), out),
            }
        }
    }

    /// A final block that fails here is another thing if the fault is known to be this program's.
    fn reason(&self, halt: Halt) -> StopReason {
        match halt {
            Halt::Diverged { block, .. } if self.chain.is_quarantined(&block) => {
                Fatal::FinalQuarantined(block).into()
            }
            Halt::Diverged { block, .. } => self.other_version(&block).unwrap_or(halt.into()),
            halt => halt.into(),
        }
    }

    /// Why a final block is invalid here, if its version says it: another program or another schedule is no diverged state.
    fn other_version(&self, block: &BlockId) -> Option<StopReason> {
        let header = self.replica.engine().header(block)?;
        let checked = self.rules().versions.check_final(header);
        checked
            .err()
            .map(|error| Fatal::from(Abort::from(error)).into())
    }

    fn send(
        &self,
        to: &consensus::Recipients,
        message: &consensus::Message,
        out: &mut Vec<Effect>,
    ) {
        let frame = Frame::consensus(message);
        let promise = message.promise(self.replica.position());
        let one = |to, frame| Effect::Send {
            to: Destination::One(to),
            frame,
            promise: promise.clone(),
        };
        match to {
            consensus::Recipients::All => out.push(Effect::Send {
                to: Destination::All { except: None },
                frame,
                promise,
            }),
            consensus::Recipients::One(peer) => out.push(one(*peer, frame)),
            consensus::Recipients::Some(peers) => {
                for peer in peers {
                    out.push(one(*peer, frame.clone()));
                }
            }
        }
    }
}
