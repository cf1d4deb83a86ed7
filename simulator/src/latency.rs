//! How fast a committee around the world is final: replicas with an empty application in virtual time, with what
//! cryptography, the disk and the network cost.
//!
//! The model. A validator handles one event after the other; each takes what its signatures cost ([`Costs`]). What must
//! be on disk first leaves when the log, on a thread of its own, has synced it. A frame waits for its sender's bandwidth,
//! then takes half the published round trip, and up to a twentieth more. Blocks are filled with transfers. Only times are
//! modelled: signatures of validators are made and verified for real, and who falls behind is served from the others'
//! stores ([`chain`]).
//!
//! What it leaves out: losses, TCP, and the cost of transactions beyond one figure for building and one for execution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::{
    CommittedTip, Config, Effect, Event, Message, Recipients, Replica, Request, Restored, Timing,
    Verdict,
};
use types::block::Block;
use types::committee::{Committee, Validator};
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::{SecretKey, VrfPublicKey};
use types::number::{Epoch, Height, Stake, Timestamp};
use types::params::Params;
use types::testing::empty_block;
use types::time::{Monotonic, Now};
use types::vote::Statement;

use crate::genesis::BEGIN_UNIX_MS;
use crate::random::SeededRandom;

mod chain;
pub mod regions;

use chain::CommittedChain;

const CHAIN: ChainId = ChainId(Hash32([6; 32]));

/// What things cost, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Reading a frame and handling it.
    pub frame_us: u64,
    /// Making a signature.
    pub sign_us: u64,
    /// Verifying a signature alone.
    pub verify_us: u64,
    /// Verifying a signature among those of a quorum.
    pub verify_batched_us: u64,
    /// Syncing the log.
    pub sync_us: u64,
    /// Building a block.
    pub build_us: u64,
    /// Executing a block.
    pub execute_us: u64,
    /// Sending a byte, in nanoseconds.
    pub byte_ns: u64,
}

impl Costs {
    /// One core of 2024, a data centre's SSD, 1 Gbit/s, blocks that are almost empty.
    #[must_use]
    pub fn typical() -> Self {
        Self {
            frame_us: 5,
            sign_us: 20,
            verify_us: 45,
            verify_batched_us: 20,
            sync_us: 1_000,
            build_us: 1_000,
            execute_us: 1_000,
            byte_ns: 8,
        }
    }
}

/// What decides a measurement of finality: equal runs give equal figures.
#[derive(Debug, Clone, Copy)]
pub struct LatencyRun {
    /// The seed of the delays.
    pub seed: u64,
    /// Number of validators, all with the same stake, spread over the regions in turn.
    pub validators: usize,
    /// Bytes of the transfers in each block, about.
    pub block_bytes: usize,
    /// What things cost.
    pub costs: Costs,
    /// Blocks that everybody must see final.
    pub blocks: u64,
}

/// What a run measured.
#[derive(Debug, Clone)]
pub struct LatencyReport {
    /// From a proposal's leaving to its finalization, at each validator and for each directly final block, ascending, in
    /// microseconds.
    pub final_us: Vec<u64>,
    /// Virtual time of the run, in microseconds.
    pub virtual_us: u64,
    /// Height that was reached.
    pub height: u64,
    /// View that was reached: as many more than the height were lost.
    pub view: u64,
}

impl LatencyReport {
    /// The latency that `percent` of all are not above, in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, percent: usize) -> u64 {
        let last = self.final_us.len().saturating_sub(1);
        let at = last * percent / 100;
        self.final_us.get(at).map_or(0, |us| us.div_ceil(1_000))
    }
}

#[derive(Debug, Clone)]
enum PendingItem {
    Deliver { from: usize, message: Arc<Message> },
    Timer(Monotonic),
    Answer(Box<Event>),
}

struct Member {
    replica: Replica,
    id: ValidatorId,
    /// Until when it handles earlier events, syncs its log, and sends, in microseconds.
    busy_us: u64,
    disk_us: u64,
    sending_us: u64,
    timer: Option<Monotonic>,
    known: BTreeSet<Statement>,
}

/// The committee and what is under way.
struct LatencyWorld {
    run: LatencyRun,
    random: SeededRandom,
    now_us: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), (usize, PendingItem)>,
    members: Vec<Member>,
    chain: CommittedChain,
    proposed: BTreeMap<BlockId, u64>,
    final_us: Vec<u64>,
}

/// Runs until everybody has seen that many blocks final, or for ten minutes of virtual time.
#[must_use]
pub fn run(run: LatencyRun) -> LatencyReport {
    let mut world = LatencyWorld::new(run);
    let limit = 600_000_000;
    while world.height() < run.blocks && world.now_us < limit {
        let Some(((at, _), (member, item))) = world.queue.pop_first() else {
            break;
        };
        world.now_us = at;
        let free = world.members[member].busy_us;
        if free > at {
            world.schedule(free, member, item);
        } else {
            world.handle(member, item);
        }
    }
    world.final_us.sort_unstable();
    LatencyReport {
        virtual_us: world.now_us,
        height: world.height(),
        view: world.members[0].replica.view().0,
        final_us: world.final_us,
    }
}

fn genesis() -> Block {
    empty_block(
        CHAIN,
        BlockId::default(),
        Height::ZERO,
        Timestamp(BEGIN_UNIX_MS),
        ValidatorId::default(),
    )
}

fn members(count: usize) -> (Committee, Vec<SecretKey>) {
    let mut keys: Vec<SecretKey> = (0..count)
        .map(|number| {
            let mut seed = [3; 32];
            seed[..8].copy_from_slice(&u64::try_from(number).unwrap_or(0).to_le_bytes());
            SecretKey::from_bytes(&seed)
        })
        .collect();
    keys.sort_by_key(SecretKey::public);
    let validator = |key: &SecretKey| Validator {
        key: key.public(),
        vrf_key: VrfPublicKey::default(),
        node_key: key.public(),
        stake: Stake(1),
    };
    let committee = Committee::new(keys.iter().map(validator).collect());
    (committee.expect("distinct keys"), keys)
}

impl LatencyWorld {
    fn new(run: LatencyRun) -> Self {
        let (committee, keys) = members(run.validators);
        let mut world = Self {
            run,
            random: SeededRandom::new(run.seed),
            now_us: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            members: Vec::new(),
            chain: CommittedChain::new(run.block_bytes),
            proposed: BTreeMap::new(),
            final_us: Vec::new(),
        };
        let genesis = genesis();
        let mut first = Vec::new();
        for key in keys {
            let timing = Timing::new(&Params::devnet());
            let term = (CHAIN, Epoch::FIRST);
            let config = Config::new(term.0, term.1, committee.clone(), key, genesis.id(), timing);
            let config = config.expect("a member");
            let restored = Restored {
                tip: CommittedTip {
                    id: genesis.id(),
                    height: Height::ZERO,
                    timestamp: genesis.header.timestamp,
                },
                finalization: None,
                records: Vec::new(),
            };
            let id = config.id();
            let started = Replica::start(config, Hash32([9; 32]), now(0), restored);
            let (replica, effects) = started.expect("a fresh start");
            world.members.push(Member {
                replica,
                id,
                busy_us: 0,
                disk_us: 0,
                sending_us: 0,
                timer: None,
                known: BTreeSet::new(),
            });
            first.push(effects);
        }
        for (member, effects) in first.into_iter().enumerate() {
            world.perform(member, 0, effects.into_iter().collect());
            world.schedule(
                1,
                member,
                PendingItem::Answer(Box::new(Event::Urgent(true))),
            );
        }
        world
    }

    fn height(&self) -> u64 {
        let heights = self
            .members
            .iter()
            .map(|member| member.replica.tip().height.0);
        heights.min().unwrap_or(0)
    }

    fn schedule(&mut self, at_us: u64, member: usize, item: PendingItem) {
        self.sequence += 1;
        self.queue.insert((at_us, self.sequence), (member, item));
    }

    fn handle(&mut self, member: usize, item: PendingItem) {
        let now = now(self.now_us);
        let mut cost = self.run.costs.frame_us;
        let effects = match item {
            PendingItem::Timer(at) => {
                if self.members[member].timer != Some(at) {
                    return;
                }
                self.members[member].timer = None;
                self.members[member].replica.step(now, Event::Timer)
            }
            PendingItem::Answer(event) => self.members[member].replica.step(now, *event),
            PendingItem::Deliver { from, message } => {
                cost += self.verification_us(member, &message);
                let from = self.members[from].id;
                let message = message.as_ref().clone();
                self.members[member].replica.receive(now, from, message)
            }
        };
        let effects: Vec<Effect> = effects.into_iter().collect();
        cost += self.signing_us(&effects);
        self.members[member].busy_us = self.now_us + cost;
        self.perform(member, self.now_us + cost, effects);
    }

    /// What the signatures in a message cost its reader: a vote its share of a batch, a certificate all of its signers
    /// unless it is known.
    fn verification_us(&mut self, member: usize, message: &Message) -> u64 {
        let costs = self.run.costs;
        let known = &mut self.members[member].known;
        let mut certificate_us = |certificate: &types::vote::Certificate| {
            let signers = u64::try_from(certificate.signers.len()).unwrap_or(0);
            let is_new = known.insert(certificate.statement);
            u64::from(is_new) * signers * costs.verify_batched_us
        };
        match message {
            Message::Vote(_) => costs.verify_batched_us,
            Message::Certificate(certificate) => certificate_us(certificate),
            Message::Proposal(proposal) => {
                2 * costs.verify_us + proposal.certificates().map(certificate_us).sum::<u64>()
            }
            Message::Certificates(certificates) => certificates.iter().map(certificate_us).sum(),
            Message::Range(range) => certificate_us(&range.certificate),
            Message::Evidence(_) => 2 * costs.verify_us,
            Message::Request(_) | Message::Block(_) | Message::VoteRecovery { .. } => 0,
        }
    }

    fn signing_us(&self, effects: &[Effect]) -> u64 {
        let signatures = effects.iter().map(|effect| match effect {
            Effect::Send {
                message: Message::Vote(_),
                ..
            } => 1,
            Effect::Send {
                message: Message::Proposal(_),
                ..
            } => 2,
            _ => 0,
        });
        signatures.sum::<u64>() * self.run.costs.sign_us
    }

    fn perform(&mut self, member: usize, at_us: u64, effects: Vec<Effect>) {
        let costs = self.run.costs;
        let mut at_us = at_us;
        for effect in effects {
            match effect {
                Effect::Persist(_) => {
                    let begin = self.members[member].disk_us.max(at_us);
                    self.members[member].disk_us = begin + costs.sync_us;
                    at_us = begin + costs.sync_us;
                }
                Effect::Send { to, message } => self.send(member, at_us, &to, message),
                Effect::SetTimer(at) => {
                    self.members[member].timer = Some(at);
                    self.schedule(
                        (at.0 * 1_000).max(self.now_us),
                        member,
                        PendingItem::Timer(at),
                    );
                }
                Effect::Execute(block) => {
                    let event = Event::Executed {
                        block: block.id(),
                        verdict: Verdict::Valid { urgent: true },
                    };
                    self.schedule(
                        at_us + costs.execute_us,
                        member,
                        PendingItem::Answer(Box::new(event)),
                    );
                }
                Effect::Propose {
                    view,
                    parent,
                    height,
                    timestamp,
                } => {
                    let proposer = self.members[member].id;
                    let empty = empty_block(CHAIN, parent, height, timestamp, proposer);
                    let block = self.chain.filled(empty);
                    let event = Event::Proposed { view, block };
                    self.schedule(
                        at_us + costs.build_us,
                        member,
                        PendingItem::Answer(Box::new(event)),
                    );
                }
                Effect::Commit {
                    block,
                    finalization,
                } => {
                    let proposed = self.proposed.get(&block.id());
                    let proposed = proposed.filter(|_| finalization.is_some());
                    let took = proposed.map(|proposed| at_us.saturating_sub(*proposed));
                    self.final_us.extend(took);
                    self.chain.commit(&block, finalization);
                }
                Effect::Serve { to, request } => self.serve(member, at_us, to, request),
                Effect::Report { .. } | Effect::Ban { .. } | Effect::Stop(_) => {}
            }
        }
    }

    fn serve(&mut self, member: usize, at_us: u64, to: ValidatorId, request: Request) {
        let tip = self.members[member].replica.tip().height;
        let answer = self.chain.answer(tip, request);
        let bytes = answer.as_ref().map_or(0, Message::encoded_bytes);
        if let Some(message) = answer {
            self.send(member, at_us, &Recipients::One(to), message);
        }
        let effects = self.members[member].replica.served(now(at_us), to, bytes);
        self.perform(member, at_us, effects.into_iter().collect());
    }

    fn send(&mut self, from: usize, at_us: u64, to: &Recipients, message: Message) {
        let bytes = u64::try_from(message.encoded_bytes()).unwrap_or(u64::MAX);
        if let Message::Proposal(proposal) = &message {
            self.proposed.entry(proposal.block.id()).or_insert(at_us);
        }
        let message = Arc::new(message);
        let sends_us = bytes * self.run.costs.byte_ns / 1_000;
        // Not always in the same order, as it would be the same ones that wait.
        let first = self.random.index(self.members.len());
        for other in 0..self.members.len() {
            let other = (first + other) % self.members.len();
            let is_for = match to {
                Recipients::All => true,
                Recipients::One(one) => *one == self.members[other].id,
                Recipients::Some(some) => some.contains(&self.members[other].id),
            };
            if other == from || !is_for {
                continue;
            }
            let begin = self.members[from].sending_us.max(at_us);
            let sent = begin + sends_us;
            self.members[from].sending_us = sent;
            let way = regions::one_way_us(from, other);
            let arrives = sent + way + self.random.range(0, way / 20 + 1);
            let message = Arc::clone(&message);
            self.schedule(arrives, other, PendingItem::Deliver { from, message });
        }
    }
}

fn now(us: u64) -> Now {
    Now {
        monotonic: Monotonic(us / 1_000),
        unix: Timestamp(BEGIN_UNIX_MS + us / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_validators_around_the_world_are_final_within_three_delays_and_the_costs() {
        let run = LatencyRun {
            seed: 1,
            validators: 7,
            block_bytes: 0,
            costs: Costs::typical(),
            blocks: 8,
        };
        let report = super::run(run);
        assert!(report.height >= 8, "{report:?}");
        let slowest = 3 * regions::one_way_us(6, 5) / 1_000;
        assert!(
            report.quantile_ms(50) < slowest + 20,
            "{}",
            report.quantile_ms(50)
        );
        assert!(report.quantile_ms(50) > 60, "{}", report.quantile_ms(50));
    }
}
