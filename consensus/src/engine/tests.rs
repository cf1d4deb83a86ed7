//! One engine under a hand-driven world: stakes 4, 3, 3, 3, so that any three of the four decide.

use std::sync::{Arc, LazyLock};

use types::committee::Committee;
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::SecretKey;
use types::number::{Epoch, Height, Timestamp, ValidatorIndex, View};
use types::params::Params;
use types::testing::empty_block;
use types::vote::{Certificate, Statement, Subject, Vote};

use super::Engine;
use crate::collector::fixtures::committee;
use crate::config::{Config, Timing};
use crate::effect::Effect;
use crate::input::{CommittedTip, Event, Restored, Verdict};
use crate::log::Record;
use crate::message::Message;
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

mod catch_up;
mod edges;
mod knowing;
mod lagging;
mod leading;
mod refusals;
mod reserved;
mod restart;
mod signing;
mod silence;
mod slow;
mod voting;

const CHAIN: ChainId = ChainId(Hash32([9; 32]));
const EPOCH: Epoch = Epoch::FIRST;
const START: u64 = 1_000_000;
/// The committee of every test: its keys take long to make.
static MEMBERS: LazyLock<Committee> = LazyLock::new(|| committee(&[4, 3, 3, 3]).0);

/// An engine, the time, and everything that it did.
struct World {
    engine: Engine,
    config: Config,
    keys: Vec<SecretKey>,
    time: u64,
    /// Effects in order, since they were last taken.
    effects: Vec<Effect>,
    /// Every record that was persisted, in order.
    disk: Vec<Record>,
}

/// The id of the member at a position.
fn id(position: ValidatorIndex) -> ValidatorId {
    MEMBERS.id(position).unwrap()
}

/// The position of the member with an id.
fn position(id: ValidatorId) -> ValidatorIndex {
    MEMBERS.index_of(&id).unwrap()
}

fn genesis() -> WholeBlock {
    block(BlockId::default(), 0, START, ValidatorIndex(0))
}

fn block(parent: BlockId, height: u64, timestamp: u64, proposer: ValidatorIndex) -> WholeBlock {
    let (height, timestamp) = (Height(height), Timestamp(timestamp));
    let block = empty_block(CHAIN, parent, height, timestamp, id(proposer));
    WholeBlock::new(block).expect("its root is its body's")
}

fn config(me: usize) -> (Config, Vec<SecretKey>) {
    let (committee, keys) = committee(&[4, 3, 3, 3]);
    let mut timing = Timing::new(&Params::devnet());
    timing.pace_ms = 100;
    (
        Config::new(
            CHAIN,
            EPOCH,
            committee,
            keys[me].clone(),
            genesis().id(),
            timing,
        )
        .unwrap(),
        keys,
    )
}

fn restored(records: Vec<Record>) -> Restored {
    let genesis = genesis();
    let tip = CommittedTip {
        id: genesis.id(),
        height: Height(0),
        timestamp: genesis.header.timestamp,
    };
    Restored {
        tip,
        finalization: None,
        records,
    }
}

/// The block that the engine asks for: its view, parent, height and timestamp.
fn asked(effects: &[Effect]) -> Option<(View, BlockId, Height, Timestamp)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Propose {
            view,
            parent,
            height,
            timestamp,
        } => Some((*view, *parent, *height, *timestamp)),
        _ => None,
    })
}

impl World {
    /// An engine that may vote: the vote recovery was answered.
    fn new(me: usize) -> Self {
        Self::with(config(me).0)
    }

    fn with(config: Config) -> Self {
        let mut world = Self::restarted(config, restored(Vec::new()), START);
        world.answer_vote_recovery(&[]);
        world
    }

    /// An engine just started.
    fn restarted(config: Config, restored: Restored, time: u64) -> Self {
        let keys = committee(&[4, 3, 3, 3]).1;
        let now = Now {
            monotonic: Monotonic(time),
            unix: Timestamp(time),
        };
        let disk = restored.records.clone();
        let (engine, effects) = Engine::start(Arc::new(config.clone()), now, restored).unwrap();
        let mut world = Self {
            engine,
            config,
            keys,
            time,
            effects: Vec::new(),
            disk,
        };
        world.collect(effects);
        world
    }

    /// The same validator after a crash that kept what was synced.
    fn restart(&self) -> Self {
        Self::restarted(
            self.config.clone(),
            restored(self.disk.clone()),
            self.time + 10,
        )
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.time),
            unix: Timestamp(self.time),
        }
    }

    fn collect(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            if let Effect::Persist(records) = &effect {
                self.disk.extend(records.iter().cloned());
            }
            self.effects.push(effect);
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        let effects = self.engine.step(now, event);
        self.collect(effects);
    }

    fn answer_vote_recovery(&mut self, votes: &[Vote]) {
        let session = self.time;
        for from in 0..4 {
            let votes = votes.to_vec();
            self.step(Event::VoteRecovery {
                from: ValidatorIndex(from),
                session,
                votes,
                ended: None,
            });
        }
        self.take();
    }

    /// Lets time pass and fires the timer that is due then.
    fn pass(&mut self, milliseconds: u64) {
        self.time += milliseconds;
        self.step(Event::Timer);
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn statement(view: u64, subject: Subject) -> Statement {
        Statement {
            epoch: EPOCH,
            view: View(view),
            subject,
        }
    }

    fn certificate(&self, view: u64, subject: Subject) -> Certificate {
        let statement = Self::statement(view, subject);
        let signer = |index: u16| {
            Vote::sign(
                statement,
                ValidatorIndex(index),
                &self.keys[usize::from(index)],
                CHAIN,
            )
        };
        Certificate::from_votes(statement, &[signer(0), signer(1), signer(2)])
    }

    fn notarization(&self, view: u64, parent_view: u64, block: &WholeBlock) -> Certificate {
        self.certificate(
            view,
            Subject::Notarize {
                parent_view: View(parent_view),
                block: block.id(),
            },
        )
    }

    fn nullification(&self, view: u64) -> Certificate {
        self.certificate(view, Subject::Nullify)
    }

    fn finalization(&self, view: u64, block: &WholeBlock) -> Certificate {
        self.certificate(view, Subject::Finalize { block: block.id() })
    }

    fn certify(&mut self, certificate: Certificate) {
        self.step(Event::Certificate(certificate));
    }

    /// A block by the leader of a view.
    fn block(&mut self, view: u64, parent: &WholeBlock) -> WholeBlock {
        let leader = self.engine.leader(View(view));
        block(
            parent.id(),
            parent.header.height.0 + 1,
            parent.header.timestamp.0 + 1,
            leader,
        )
    }

    /// The leader's proposal arrives.
    fn propose(&mut self, view: u64, parent_view: u64, block: &WholeBlock) {
        self.step(Event::Proposal {
            view: View(view),
            parent_view: View(parent_view),
            block: Some(block.clone()),
        });
    }

    fn executed(&mut self, block: &WholeBlock, verdict: Verdict) {
        self.step(Event::Executed {
            block: block.id(),
            verdict,
        });
    }

    /// Proposal, execution and notarization of a block in a view.
    fn certified(&mut self, view: u64, parent_view: u64, parent: &WholeBlock) -> WholeBlock {
        let block = self.block(view, parent);
        self.propose(view, parent_view, &block);
        self.executed(&block, Verdict::Valid { urgent: false });
        self.certify(self.notarization(view, parent_view, &block));
        block
    }

    /// The first view from `from` on that is led by somebody else than we, or by us.
    fn view_led(&mut self, from: u64, by_us: bool) -> u64 {
        let me = self.config.me;
        (from..from + 256)
            .find(|view| (self.engine.leader(View(*view)) == me) == by_us)
            .expect("everybody leads")
    }

    /// Enters a view by a nullification of the one before.
    fn enter(&mut self, view: u64) {
        if view > 1 {
            for before in 1..view {
                self.certify(self.nullification(before));
            }
        }
        assert_eq!(self.engine.view(), View(view));
        self.take();
    }

    /// A world in a view that somebody else leads, with all views before it nullified.
    fn following() -> (Self, u64) {
        let mut world = Self::new(3);
        let view = world.view_led(1, false);
        world.enter(view);
        (world, view)
    }

    /// A world in a view that we lead.
    fn leading() -> (Self, u64) {
        let mut world = Self::new(0);
        let view = world.view_led(2, true);
        world.enter(view);
        (world, view)
    }
}

/// The votes that are cast: written and sent.
fn votes(effects: &[Effect]) -> Vec<Statement> {
    let records = effects.iter().filter_map(|effect| {
        if let Effect::Persist(records) = effect {
            Some(records)
        } else {
            None
        }
    });
    let written = |record: &Record| {
        if let Record::Vote(vote) = record {
            Some(vote.statement)
        } else {
            None
        }
    };
    let cast: Vec<Statement> = records.flatten().filter_map(written).collect();
    let all_sent = cast
        .iter()
        .all(|statement| sent(effects).contains(statement));
    assert!(all_sent, "what is written is sent");
    cast
}

/// The votes that are sent, for the first time or again.
fn sent(effects: &[Effect]) -> Vec<Statement> {
    let statement = |message: &Message| {
        if let Message::Vote(vote) = message {
            Some(vote.statement)
        } else {
            None
        }
    };
    messages(effects).filter_map(statement).collect()
}

fn messages(effects: &[Effect]) -> impl Iterator<Item = &Message> {
    effects.iter().filter_map(|effect| {
        if let Effect::Send { message, .. } = effect {
            Some(message)
        } else {
            None
        }
    })
}

fn notarize(view: u64, parent_view: u64, block: &WholeBlock) -> Statement {
    World::statement(
        view,
        Subject::Notarize {
            parent_view: View(parent_view),
            block: block.id(),
        },
    )
}

fn nullify(view: u64) -> Statement {
    World::statement(view, Subject::Nullify)
}

fn finalize(view: u64, block: &WholeBlock) -> Statement {
    World::statement(view, Subject::Finalize { block: block.id() })
}

fn commits(effects: &[Effect]) -> Vec<BlockId> {
    let id = |effect: &Effect| {
        if let Effect::Commit { block, .. } = effect {
            Some(block.id())
        } else {
            None
        }
    };
    effects.iter().filter_map(id).collect()
}

/// True if something is written, and before anything leaves.
fn written_first(effects: &[Effect]) -> bool {
    let persist = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Persist(_)));
    let leaves = |effect: &Effect| matches!(effect, Effect::Send { .. } | Effect::Commit { .. });
    let first = effects.iter().position(leaves);
    persist.is_some() && (first.is_none() || persist < first)
}
