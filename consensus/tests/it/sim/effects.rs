//! What a replica asks for, done in virtual time: its log and store, its timers, and the network between replicas.

use consensus::log::Record;
use consensus::{Effect, Event, Halt, Message, Range, Recipients, Request, Verdict};
use types::block::Block;
use types::hash::ValidatorId;
use types::number::{Amount, Height, ValidatorIndex};

use super::{Item, Sim, Violation, block};

impl Sim {
    pub(super) fn perform(&mut self, node: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        let count = u64::try_from(effects.len()).unwrap();
        let crash = self.random.below(10_000) < self.options.crash_per_10_000;
        let mut left = if crash {
            self.random.below(count.max(1))
        } else {
            u64::MAX
        };
        for effect in effects {
            if left == 0 {
                if let (Effect::Persist(records), Some(log)) = (&effect, &mut self.nodes[node].log)
                {
                    // The power goes between write and sync.
                    log.storage_mut().fail_syncs_after(0);
                    log.append(records).expect_err("the sync fails");
                }
                let away = 200 + self.random.below(4_000);
                self.crash(node, away);
                return Ok(());
            }
            left -= 1;
            if self.nodes[node].replica.is_none() {
                return Ok(());
            }
            if let Effect::Commit {
                finalization: None, ..
            } = &effect
            {
                self.persist(node, &[])?;
            }
            if !self.is_twin(node) {
                self.audit.check(node, &effect, &self.nodes[node])?;
            }
            self.perform_one(node, effect)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each effect")]
    fn perform_one(&mut self, node: usize, effect: Effect) -> Result<(), Violation> {
        let quick = self.now + self.random.below(5);
        match effect {
            Effect::Persist(records) => self.persist(node, &records)?,
            Effect::Send { to, message } => self.send(node, &to, &message),
            Effect::SetTimer(at) => {
                self.nodes[node].timer = Some(at);
                self.schedule(at.0.max(self.now), node, Item::Timer);
            }
            Effect::Execute(block) => {
                let state = &self.nodes[node];
                let parent = block.header.parent;
                if parent != state.store.tip().id && !state.executed.contains(&parent) {
                    return Err(format!(
                        "node {node} executes {} before its parent",
                        block.id()
                    ));
                }
                let urgent = self.options.urgent;
                let event = Event::Executed {
                    block: block.id(),
                    verdict: Verdict::Valid { urgent },
                };
                self.schedule(quick, node, Item::Answer(Box::new(event)));
            }
            Effect::Propose {
                view,
                parent,
                height,
                timestamp,
            } => {
                let mut made = block(
                    parent,
                    height.0,
                    timestamp.0,
                    self.id(self.nodes[node].index),
                );
                // The second half of a twin builds another block.
                made.header.base_fee = Amount(1 + u128::from(node >= self.options.stakes.len()));
                let block = types::whole::WholeBlock::new(made).expect("whole");
                self.schedule(
                    quick,
                    node,
                    Item::Answer(Box::new(Event::Proposed { view, block })),
                );
            }
            Effect::Commit {
                block,
                finalization,
            } => {
                let sync = self.random.below(4) == 0;
                let proposed = self
                    .proposed
                    .get(&block.id())
                    .filter(|_| finalization.is_some());
                self.latencies
                    .extend(proposed.map(|proposed| self.now - proposed));
                let state = &mut self.nodes[node];
                state
                    .store
                    .commit(block.block().as_ref().clone(), finalization)?;
                if sync {
                    state.store.sync();
                    let view = state
                        .store
                        .finality()
                        .filter(|_| state.store.is_proven())
                        .map(|c| c.statement.view);
                    if let (Some(log), Some(view)) = (&mut state.log, view) {
                        log.release(view).map_err(|error| error.to_string())?;
                    }
                }
            }
            Effect::Serve { to, request } => self.serve(node, to, request),
            Effect::Report { by, fault } => {
                let twins = self.options.twins.iter();
                let twins: Vec<_> = twins.map(|twin| self.id(ValidatorIndex(*twin))).collect();
                self.audit.reported(node, by, &fault, &twins)?;
            }
            // The faults that led to it were judged one by one.
            Effect::Ban { .. } => {}
            Effect::Stop(Halt::ForeignVote { .. }) if self.is_twin(node) => self.turn_off(node),
            Effect::Stop(halt) => return Err(format!("node {node} stops: {halt}")),
        }
        Ok(())
    }

    fn persist(&mut self, node: usize, records: &[Record]) -> Result<(), Violation> {
        let log = self.nodes[node].log.as_mut().expect("runs");
        if !records.is_empty() && !records.iter().any(Record::binds) {
            log.defer(records.to_vec());
            self.audit.deferred(node, records);
            return Ok(());
        }
        log.append(records).map_err(|error| error.to_string())?;
        self.audit.persisted(node, records);
        Ok(())
    }

    fn serve(&mut self, node: usize, to: ValidatorId, request: Request) {
        let store = &self.nodes[node].store;
        let message = match request {
            Request::Block(id) => store.block(id).map(|block| Message::Block(Box::new(block))),
            Request::Range(from) => {
                let stale = self.options.stale.contains(&self.nodes[node].index.0);
                let from = if stale { Height(1) } else { from };
                let blocks = store.blocks_from(from).map(Ok::<Block, Violation>);
                let range = Range::pack(blocks, |height| Ok(store.finality_above(height)))
                    .expect("no disk to fail");
                range.map(|range| Message::Range(Box::new(range)))
            }
            _ => None,
        };
        let bytes = message.as_ref().map_or(0, Message::encoded_bytes);
        if let Some(message) = message {
            self.send(node, &Recipients::One(to), &message);
        }
        let at = self.now + self.random.below(5);
        self.schedule(at, node, Item::Served { to, bytes });
    }

    fn send(&mut self, node: usize, to: &Recipients, message: &Message) {
        let bytes = message.to_bytes();
        if let Message::Proposal(proposal) = message {
            self.proposed.entry(proposal.block.id()).or_insert(self.now);
        }
        let from = self.nodes[node].index.0;
        for other in 0..self.nodes.len() {
            let index = self.nodes[other].index;
            let addressed = match to {
                Recipients::All => true,
                Recipients::One(one) => *one == self.id(index),
                Recipients::Some(some) => some.contains(&self.id(index)),
            };
            let passes = self.sides[node] == self.sides[other]
                && (self.filter)(self.now, node, other, message);
            if !addressed || index.0 == from || !passes {
                continue;
            }
            let copies = 1 + u64::from(self.random.below(100) < self.options.duplicate_percent);
            for _ in 0..copies {
                if self.random.below(100) >= self.options.loss_percent {
                    let delay =
                        self.options.min_delay_ms + self.random.below(self.options.max_delay_ms);
                    let at = self.now + delay;
                    self.schedule(
                        at,
                        other,
                        Item::Deliver {
                            from,
                            bytes: bytes.clone(),
                        },
                    );
                }
            }
        }
    }
}
