//! The need for blocks, as a host in memory sees it: two blocks for a transfer, whatever the host asks meanwhile.

use std::collections::VecDeque;

use chain::{Event as ChainEvent, OwnValidator, Retention, Setup, Submission, Ticket, Work};
use state::MemoryStore;
use types::genesis::Genesis;
use types::testing::numbered::{CUSTOMER, GENESIS_MS, genesis, key, transfer, vrf_key};
use types::time::Monotonic;

use super::*;

/// A host with a validator's chain, and a store in memory.
struct Host {
    genesis: Genesis,
    subnet: Subnet,
    store: MemoryStore,
    now_ms: u64,
    next_call: u64,
    work: VecDeque<Work>,
    answers: BTreeMap<CallId, Result<CallReply, Refusal>>,
    wanted: bool,
    timer: Option<Monotonic>,
    /// Blocks that are to be put on record.
    to_record: Vec<BlockId>,
    /// Whether the record can be written; nothing is answered if it hangs.
    record: Option<bool>,
}

impl Host {
    fn new() -> Self {
        let genesis = genesis(1);
        let store = MemoryStore::new(&genesis, vm::genesis_writes(&genesis).unwrap()).unwrap();
        let setup = Setup {
            rules: Arc::new(Rules::new(&genesis).unwrap()),
            own: Some(OwnValidator {
                id: key(1).public().validator_id(),
                signer: key(1).into(),
                vrf_key: vrf_key(1),
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
            unix: Timestamp(GENESIS_MS),
        };
        let (subnet, effects) = Subnet::start(setup, now, &store, BTreeSet::new()).unwrap();
        let mut host = Self {
            genesis,
            subnet,
            store,
            now_ms: 0,
            next_call: 0,
            work: VecDeque::new(),
            answers: BTreeMap::new(),
            wanted: false,
            timer: None,
            to_record: Vec::new(),
            record: Some(true),
        };
        host.perform(effects);
        host.call(HostCall::SetPhase(Phase::Normal)).unwrap();
        host
    }

    /// Takes an event and works off all that follows from it.
    fn step(&mut self, event: Event) {
        let now = Now {
            monotonic: Monotonic(self.now_ms),
            unix: Timestamp(GENESIS_MS + self.now_ms),
        };
        let effects = self.subnet.step(now, &self.store, event);
        self.perform(effects);
        while let Some(work) = self.work.pop_front() {
            let rules = self.subnet.rules().clone();
            let done = work.perform(&rules, &self.store).unwrap();
            self.step(Event::Chain(ChainEvent::Done(done)));
        }
        if let Some(written) = self.record {
            while let Some(block) = self.to_record.pop() {
                self.step(Event::Recorded { block, written });
            }
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Work(work) => self.work.push_back(*work),
                Effect::Answer { call, reply } => {
                    self.answers.insert(call, reply);
                }
                Effect::Record { block, .. } => self.to_record.push(block),
                Effect::Wanted(wanted) => self.wanted = wanted,
                Effect::SetTimer(at) => self.timer = Some(at),
                Effect::Stop(fatal) => panic!("{fatal}"),
                _ => {}
            }
        }
    }

    fn call(&mut self, call: HostCall) -> Result<CallReply, Refusal> {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.step(Event::Call { id, call });
        self.answers.remove(&id).expect("each call is answered")
    }

    /// Lets time pass, from timer to timer.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now_ms + milliseconds;
        while let Some(at) = self.timer.filter(|at| at.0 <= end) {
            self.now_ms = self.now_ms.max(at.0);
            self.timer = None;
            self.step(Event::Timer);
        }
        self.now_ms = end;
    }

    fn submit(&mut self, nonce: u64) {
        let submission = Submission {
            ticket: Ticket(7),
            transactions: vec![transfer(&self.genesis, CUSTOMER, nonce)],
        };
        self.step(Event::Chain(ChainEvent::Submit(vec![submission])));
    }

    fn build(&mut self) -> SignedBlock {
        assert!(self.wanted, "a block is built only when one is wanted");
        self.now_ms += 5;
        match self.call(HostCall::Build) {
            Ok(CallReply::Built(block)) => *block,
            other => panic!("a block: {other:?}"),
        }
    }

    fn verify(&mut self, block: &SignedBlock) {
        let call = HostCall::Verify(Box::new(block.clone()));
        assert!(matches!(self.call(call), Ok(CallReply::Verified(_))));
    }

    fn prefer(&mut self, block: &SignedBlock) {
        let call = HostCall::Prefer(block.block().id());
        self.call(call).unwrap();
    }

    fn accept(&mut self, block: &SignedBlock) {
        let call = HostCall::Accept(block.block().id());
        self.call(call).unwrap();
    }

    /// Builds a block and has it accepted.
    fn next(&mut self) -> SignedBlock {
        let block = self.build();
        self.verify(&block);
        self.prefer(&block);
        self.accept(&block);
        block
    }

    /// A chain whose first block is there.
    fn begun() -> Self {
        let mut host = Self::new();
        host.next();
        assert!(!host.wanted, "an idle chain makes no blocks");
        host
    }
}

fn transactions(block: &SignedBlock) -> usize {
    block.block().body.transactions.len()
}

#[test]
fn the_first_block_is_wanted_though_nothing_waits() {
    let mut host = Host::new();
    assert!(host.wanted, "without it nothing can be proven");
    assert_eq!(transactions(&host.build()), 0);
    let mut host = Host::begun();
    host.pass(60_000);
    assert!(!host.wanted);
}

/// What waits in the pool stays there until its block is accepted: that is no need for another one.
#[test]
fn what_an_undecided_block_holds_is_no_reason_for_another() {
    let mut host = Host::begun();
    host.submit(0);
    let first = host.build();
    assert_eq!(transactions(&first), 1);
    host.verify(&first);
    host.prefer(&first);
    let second = host.build();
    assert_eq!(transactions(&second), 0, "it shows the state of the first");
    host.verify(&second);
    host.prefer(&second);
    for _ in 0..50 {
        host.pass(100);
        assert!(!host.wanted, "the transfer has a block already");
    }
    // Another one is noticed within a moment, whatever is undecided.
    host.submit(1);
    host.pass(100);
    assert_eq!(transactions(&host.build()), 1);
    host.accept(&first);
    host.accept(&second);
    assert_eq!(host.subnet.height(), Height(3));
}

/// The host asks for the next block before it prefers the one that it was given.
#[test]
fn no_second_block_is_built_on_a_parent_before_the_first_one_is_preferred() {
    let mut host = Host::begun();
    host.submit(0);
    let first = host.build();
    assert!(!host.wanted, "it has one");
    assert_eq!(host.call(HostCall::Build), Err(Refusal::NothingToBuild));
    host.verify(&first);
    assert_eq!(host.call(HostCall::Build), Err(Refusal::NothingToBuild));
    host.prefer(&first);
    assert!(host.wanted, "the block after one that changed something");
    // A block that the host has lost is built again after a while.
    let lost = host.build();
    host.pass(900);
    assert!(!host.wanted);
    host.pass(200);
    let again = host.build();
    let parent = |block: &SignedBlock| block.block().header.parent;
    assert_eq!(parent(&again), parent(&lost));
}

/// A process may be killed at any moment: what is in the store without a record is taken back at the next start, so
/// nobody may have been told of it.
#[test]
fn a_block_is_committed_once_it_is_on_the_hosts_record() {
    let mut host = Host::begun();
    host.submit(0);
    let block = host.build();
    host.verify(&block);
    host.prefer(&block);
    let (id, accept) = (block.block().id(), HostCall::Accept(block.block().id()));

    host.record = None;
    let call = CallId(host.next_call);
    host.step(Event::Call {
        id: call,
        call: accept.clone(),
    });
    assert_eq!(host.to_record, [id]);
    assert_eq!(host.store.tip().height, Height(1), "nobody sees it yet");
    assert!(!host.answers.contains_key(&call));

    // The host's database is gone: the block stays undecided, and can be accepted later.
    host.record = Some(false);
    host.step(Event::Timer);
    assert_eq!(host.answers.remove(&call), Some(Err(Refusal::Stopped)));
    assert_eq!(host.store.tip().height, Height(1));

    host.record = Some(true);
    assert_eq!(host.call(accept), Ok(CallReply::Done));
    assert_eq!(host.store.tip().height, Height(2));
}
