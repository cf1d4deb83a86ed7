//! The core's own rules, driven event by event.

use std::collections::VecDeque;

use consensus::log::Record;
use state::{ChainStore, MemoryStore};
use types::codec::Bounded;
use types::hash::{BlockId, TransactionId};
use types::number::{Amount, Height, Timestamp};
use types::testing::numbered::{
    CUSTOMER, GENESIS_MS as BEGIN, genesis, key, transfer as transfer_of, vrf_key as vrf,
};
use types::transaction::SignedTransaction;
use types::vote::Subject;

use super::*;
use chain::{BuildRequest, BuildTicket, Building, Destination, Done, Submission, Ticket, Work};

mod deep;
mod forged;
mod forget;
mod lost;
mod panic;
mod serve;
mod setup;
mod versions;

/// A transfer of the customer.
fn transfer(genesis: &Genesis, nonce: u64) -> SignedTransaction {
    transfer_of(genesis, CUSTOMER, nonce)
}

/// The validators' ids, in the order of the committee.
fn ids(genesis: &Genesis) -> Vec<ValidatorId> {
    genesis.committee().unwrap().ids().to_vec()
}

/// The answer to a piece of work.
fn done(done: Done) -> Event {
    Event::Chain(chain::Event::Done(done))
}

/// A validator with a store in memory, whose effects are performed at once.
struct Host {
    genesis: Genesis,
    setup: NodeSetup,
    node: Node,
    store: MemoryStore,
    now_ms: u64,
    timer: Option<Monotonic>,
    /// Everything that was to be written to the log.
    log: Vec<Record>,
    /// Every effect that was not performed here: frames, answers, stops.
    seen: Vec<Effect>,
    work: VecDeque<Work>,
    /// Votes and proposals that left.
    words: usize,
}

impl Host {
    /// The first of `members` validators.
    fn of(members: u8) -> Self {
        Self::member(1, members)
    }

    /// The one of `members` validators whose keys have this number.
    fn member(number: u8, members: u8) -> Self {
        let genesis = genesis(members);
        let store = MemoryStore::new(&genesis, vm::genesis_writes(&genesis).unwrap()).unwrap();
        let mut setup =
            NodeSetup::new(&genesis, key(number), vrf(number), Hash32([3; 32])).unwrap();
        setup.chain.retention.results_ms = 1_000;
        Self::start(genesis, setup, store, 0, Vec::new())
    }

    fn start(
        genesis: Genesis,
        setup: NodeSetup,
        store: MemoryStore,
        now_ms: u64,
        log: Vec<Record>,
    ) -> Self {
        let now = Now {
            monotonic: Monotonic(now_ms),
            unix: Timestamp(BEGIN + now_ms),
        };
        let (node, effects) =
            Node::start(setup.clone(), now, &store, log.clone(), BTreeSet::new()).unwrap();
        let (seen, work) = (Vec::new(), VecDeque::new());
        let mut host = Self {
            genesis,
            setup,
            node,
            store,
            now_ms,
            timer: None,
            log,
            seen,
            work,
            words: 0,
        };
        host.perform(effects);
        host
    }

    fn restart(self) -> Self {
        Self::start(
            self.genesis,
            self.setup,
            self.store,
            self.now_ms + 1,
            self.log,
        )
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
                Effect::Persist(records) => self.log.extend(records),
                Effect::Work(work) => self.work.push_back(*work),
                Effect::SetTimer(at) => self.timer = Some(at),
                other => {
                    self.check_word(&other);
                    self.seen.push(other);
                }
            }
        }
    }

    /// What a vote or a proposal says must be in the log before it leaves.
    fn check_word(&mut self, effect: &Effect) {
        let Effect::Send { frame, .. } = effect else {
            return;
        };
        let said = match consensus::Message::from_bytes(&frame.bytes) {
            Ok(consensus::Message::Vote(vote)) => vote.statement,
            Ok(consensus::Message::Proposal(proposal)) => proposal.notarize_statement(),
            _ => return,
        };
        let written = self.log.iter().any(|record| match record {
            Record::Vote(vote) => vote.statement == said,
            Record::Proposal(proposal) => proposal.notarize_statement() == said,
            _ => false,
        });
        assert!(written, "{said:?} left before it was written");
        self.words += 1;
    }

    fn step(&mut self, event: Event) {
        let effects = self.node.step(self.now(), &self.store, event);
        self.perform(effects);
    }

    fn work_off(&mut self) {
        while let Some(work) = self.work.pop_front() {
            let event = work
                .perform(self.node.rules().clone().as_ref(), &self.store)
                .unwrap();
            self.step(done(event));
        }
    }

    /// Lets time pass from timer to timer.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now_ms + milliseconds;
        self.work_off();
        while let Some(at) = self.timer.filter(|at| at.0 <= end) {
            self.now_ms = self.now_ms.max(at.0);
            self.timer = None;
            self.step(Event::Timer);
            self.work_off();
        }
        self.now_ms = end;
    }

    fn submit(&mut self, transaction: SignedTransaction) {
        self.step(Event::Chain(chain::Event::Submit(vec![Submission {
            ticket: Ticket(7),
            transactions: vec![transaction],
        }])));
    }

    fn height(&self) -> u64 {
        self.store.tip().height.0
    }

    fn stops(&self) -> Vec<String> {
        let stop = |effect: &Effect| match effect {
            Effect::Stop(stop) => Some(stop.to_string()),
            _ => None,
        };
        self.seen.iter().filter_map(stop).collect()
    }
}

#[test]
fn a_validator_alone_decides_blocks_with_transfers_and_its_beacon_outputs() {
    let mut host = Host::of(1);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    host.submit(transaction);
    host.pass(5_000);
    assert!(host.height() > 5, "height {}", host.height());
    assert!(host.store.transaction(&id).unwrap().is_some());
    let beacon = vm::Beacon::read(&host.store).unwrap();
    assert!(
        beacon.step.0 + 2 >= host.height(),
        "an output in nearly every block, not only {}",
        beacon.step
    );
    assert_eq!(host.stops(), [""; 0]);
}

#[test]
fn an_urgent_transaction_does_not_wait_for_the_idle_target() {
    let mut host = Host::of(1);
    host.pass(4_000);
    let transaction = transfer(&host.genesis, 0);
    let id = transaction.id();
    // Right after a block, the next one is due after the idle target of 500 ms; an urgent one after 100 ms.
    let height = host.height();
    while host.height() == height {
        host.pass(10);
    }
    host.submit(transaction);
    host.pass(250);
    assert!(host.store.transaction(&id).unwrap().is_some());
}

#[test]
fn no_vote_leaves_before_it_was_given_to_the_log() {
    let mut host = Host::of(4);
    for _ in 0..10 {
        answer_vote_recovery(&mut host);
        host.pass(1_000);
    }
    assert!(host.words > 0, "votes to look at");
}

/// The others say that they hold no vote of ours.
fn answer_vote_recovery(host: &mut Host) {
    let own = host.node.id();
    for effect in std::mem::take(&mut host.seen) {
        let Effect::Send { frame, .. } = effect else {
            continue;
        };
        let Ok(consensus::Message::Request(consensus::Request::VoteRecovery { session })) =
            consensus::Message::from_bytes(&frame.bytes)
        else {
            continue;
        };
        for peer in ids(&host.genesis).into_iter().filter(|peer| *peer != own) {
            let answer = consensus::Message::VoteRecovery {
                session,
                votes: Bounded::default(),
                entry: None,
            };
            host.step(Event::Frame {
                from: peer,
                frame: Frame::consensus(&answer),
            });
        }
    }
}

#[test]
fn what_was_not_synced_is_executed_again_from_the_log_to_the_same_root() {
    let mut host = Host::of(1);
    host.submit(transfer(&host.genesis, 0));
    host.pass(5_000);
    let (height, before) = (host.height(), host.store.tip());
    host.store.crash().unwrap();
    assert!(host.height() < height, "the store lost blocks");
    let mut host = host.restart();
    host.work_off();
    assert_eq!(host.store.root_at(before.height), Ok(before.root));
    host.pass(3_000);
    assert!(host.height() > height, "and goes on");
    assert_eq!(host.stops(), [""; 0]);
}

#[test]
fn a_durable_commit_releases_the_log_and_others_do_not() {
    let mut host = Host::of(1);
    host.pass(7_000);
    let heights = host.height();
    assert!(
        (8..16).contains(&heights),
        "below the first durable one: {heights}"
    );
    assert!(
        !host
            .seen
            .iter()
            .any(|effect| matches!(effect, Effect::Release(_)))
    );
    host.pass(7_000);
    assert!(
        host.seen
            .iter()
            .any(|effect| matches!(effect, Effect::Release(_)))
    );
}

#[test]
fn a_final_block_that_is_invalid_here_is_a_diverged_state() {
    let mut ahead = Host::of(1);
    ahead.submit(transfer(&ahead.genesis, 0));
    ahead.pass(3_000);
    // The same chain, but this node's memory of the customer's money is wrong.
    let mut wrong = ahead.genesis.clone();
    wrong
        .accounts
        .iter_mut()
        .for_each(|account| account.balance = Amount(7));
    let store = MemoryStore::new(&ahead.genesis, vm::genesis_writes(&wrong).unwrap());
    let log = ahead.log.clone();
    let mut host = Host::start(
        ahead.genesis,
        ahead.setup,
        store.unwrap(),
        ahead.now_ms,
        log,
    );
    host.pass(1_000);
    assert!(
        host.stops()[0].contains("state diverged"),
        "{:?}",
        host.stops()
    );
    assert_eq!(host.height(), 0, "nothing wrong was written");
}

#[test]
fn blocks_ranges_and_nothing_else_are_served_from_the_store() {
    let mut host = Host::of(1);
    host.pass(6_000);
    let height = host.height();
    let Ok(Some(consensus::Message::Range(range))) =
        crate::serve::answer(&host.store, consensus::Request::Range(Height(2)))
    else {
        panic!("a range")
    };
    assert_eq!(range.blocks.first().unwrap().header.height, Height(2));
    let last = range.blocks.last().unwrap();
    assert_eq!(
        last.header.height,
        Height(height),
        "every block of this chain is directly final"
    );
    assert_eq!(
        range.certificate.statement.subject,
        Subject::Finalize { block: last.id() }
    );
    let id = last.id();
    assert!(matches!(
        crate::serve::answer(&host.store, consensus::Request::Block(id)),
        Ok(Some(consensus::Message::Block(block))) if block.id() == id
    ));
    let above = consensus::Request::Range(Height(height + 1));
    assert_eq!(crate::serve::answer(&host.store, above), Ok(None));
}

#[test]
fn a_crash_loses_nothing_below_the_last_durable_block() {
    let mut host = Host::of(1);
    host.pass(14_000);
    let before = host.height();
    host.store.crash().unwrap();
    assert!(
        host.height() >= 16 && host.height() <= before,
        "up to the last durable block nothing is lost"
    );
}
