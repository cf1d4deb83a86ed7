//! The chain under a host with an ordering of its own: no consensus, no network.

use std::collections::VecDeque;

use state::MemoryStore;
use types::genesis::Genesis;
use types::hash::{Hash32, TransactionId};
use types::number::{Height, Timestamp};
use types::testing::numbered::{
    CUSTOMER, GENESIS_MS as BEGIN, genesis, key, transfer as transfer_of, vrf_key as vrf,
};
use types::transaction::{SignedTransaction, SystemMessage};

use super::*;
use crate::Retention;
use crate::arrival::Ticket;
use crate::block::{BuildTicket, Building, Execution, Work};
use crate::error::ExecutionError;
use crate::event::Submission;
use crate::gossip::PoolMessage;
use crate::setup::OwnValidator;

mod history;
mod life;
mod panic;
mod pool;
mod versions;

/// The validator whose chain it is.
fn own() -> ValidatorId {
    ValidatorId(key(1).public().address())
}

/// A transfer of the customer.
fn transfer(genesis: &Genesis, nonce: u64) -> SignedTransaction {
    transfer_of(genesis, CUSTOMER, nonce)
}

/// A host that orders blocks as a test says, with a store in memory.
struct Host {
    genesis: Genesis,
    chain: Chain,
    store: MemoryStore,
    now_ms: u64,
    /// Every effect that is not work.
    seen: Vec<Effect>,
    work: VecDeque<Work>,
}

impl Host {
    /// The first of `members` validators.
    fn of(members: u8) -> Self {
        let genesis = genesis(members);
        let store = MemoryStore::new(&genesis, vm::genesis_writes(&genesis).unwrap()).unwrap();
        let rules = Rules::new(&genesis).unwrap();
        let setup = Setup {
            rules: Arc::new(rules),
            own: Some(OwnValidator {
                id: own(),
                signer: key(1).into(),
                vrf_key: vrf(1),
            }),
            retention: Retention {
                results_ms: 1_000,
                quota_bytes: 1 << 30,
            },
            mempool: vm::MempoolLimits::default(),
            quarantined: BTreeSet::new(),
        };
        let now = Now {
            monotonic: Monotonic(0),
            unix: Timestamp(BEGIN),
        };
        let chain = Chain::start(setup, now, &store, BTreeSet::new()).unwrap();
        let mut host = Self {
            genesis,
            chain,
            store,
            now_ms: 0,
            seen: Vec::new(),
            work: VecDeque::new(),
        };
        host.settle();
        host
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.now_ms),
            unix: Timestamp(BEGIN + self.now_ms),
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Work(work) => self.work.push_back(*work),
                other => self.seen.push(other),
            }
        }
    }

    fn settle(&mut self) {
        let effects = self.chain.settle(self.now(), &self.store);
        self.perform(effects);
    }

    fn step(&mut self, event: Event) {
        let effects = self.chain.step(self.now(), &self.store, event);
        self.perform(effects);
        self.settle();
    }

    fn submit(&mut self, transaction: SignedTransaction) {
        self.submit_all(vec![transaction]);
    }

    /// Submits transactions together, and has their signatures verified.
    fn submit_all(&mut self, transactions: Vec<SignedTransaction>) {
        let ticket = Ticket(7);
        self.step(Event::Submit(vec![Submission {
            ticket,
            transactions,
        }]));
        self.verify();
    }

    /// Has all signatures verified that are to be.
    fn verify(&mut self) {
        let is_verification = |work: &mut Work| matches!(work, Work::Verify(_));
        let rules = self.chain.rules().clone();
        while let Some(at) = self.work.iter_mut().position(is_verification) {
            let work = self.work.remove(at).expect("it was found there");
            let done = work.perform(&rules, &self.store);
            self.step(Event::Done(done.unwrap()));
        }
    }

    fn work_off(&mut self) {
        while let Some(work) = self.work.pop_front() {
            let done = work.perform(&self.chain.rules().clone(), &self.store);
            self.step(Event::Done(done.unwrap()));
        }
    }

    /// Lets time pass from wake to wake; no block is built meanwhile.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now_ms + milliseconds;
        while let Some(at) = self.chain.next_wake().filter(|at| at.0 <= end) {
            self.now_ms = self.now_ms.max(at.0);
            self.settle();
            assert!(
                self.chain.next_wake().is_none_or(|next| next > at),
                "it asks to be woken for nothing"
            );
        }
        self.now_ms = end;
    }

    /// A block on `parent`, proposed by ourselves.
    fn build(&mut self, parent: BlockId, timestamp: Timestamp) -> WholeBlock {
        let request = BuildRequest {
            ticket: BuildTicket(timestamp.0),
            parent,
            timestamp,
            proposer: own(),
        };
        let effects = self.chain.build(&self.store, request);
        self.perform(effects);
        self.work_off();
        let is_built = |effect: &Effect| matches!(effect, Effect::Built { .. });
        let built = self.seen.iter().rposition(is_built);
        let built = built.map(|at| self.seen.remove(at));
        let Some(Effect::Built { ticket, block }) = built else {
            panic!("a block: {:?}", self.seen)
        };
        assert_eq!(ticket, request.ticket);
        block
    }

    /// Whether the chain finds a block valid.
    fn execute(&mut self, block: &WholeBlock) -> bool {
        let effects = self.chain.execute(block.clone());
        self.perform(effects);
        self.work_off();
        let verdict = self.seen.iter().rev().find_map(|effect| match effect {
            Effect::Valid { block: id, .. } if *id == block.id() => Some(true),
            Effect::Invalid { block: id } if *id == block.id() => Some(false),
            _ => None,
        });
        verdict.expect("a verdict")
    }

    fn decide(&mut self, block: BlockId) {
        let effects = self.chain.decide(&block, None, None);
        self.perform(effects);
        self.work_off();
    }

    /// Builds, executes and decides a block on the newest one.
    fn grow(&mut self) -> WholeBlock {
        self.now_ms += 500;
        let parent = self.chain.tip().id;
        let block = self.build(parent, Timestamp(BEGIN + self.now_ms));
        assert!(self.execute(&block));
        self.decide(block.id());
        block
    }

    fn stops(&self) -> Vec<&Fatal> {
        let all = self.seen.iter();
        all.filter_map(|effect| match effect {
            Effect::Stop(fatal) => Some(fatal),
            _ => None,
        })
        .collect()
    }
}
