//! Execution or building that panics: on a store that panics when one account is read, as a bug would that one
//! transaction meets.

use state::tree::{NodeKey, StateNode, TreeNodes};
use state::{Durability, KeptHeights, StateError, StateRead, Tip};
use types::block::Block;
use types::hash::{Address, JobId};
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;

use super::*;
use crate::contain;

/// The store of a test, but for one account.
struct Trapped {
    store: MemoryStore,
    account: Address,
}

impl StateRead for Trapped {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        assert!(
            *key != StateKey::Account(self.account),
            "a bug that one transaction meets"
        );
        self.store.read(key)
    }
}

impl TreeNodes for Trapped {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.store.node(key)
    }
}

impl DecidedState for Trapped {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        Ok(Box::new(Self {
            store: self.store.clone(),
            account: self.account,
        }))
    }

    fn tip(&self) -> Tip {
        self.store.tip()
    }

    fn oldest(&self) -> Height {
        self.store.oldest()
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.store.root_at(height)
    }

    fn read_at(&self, _: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.read(key)
    }
}

impl ChainStore for Trapped {
    fn commit(&self, _: &state::Decision, _: Durability) -> Result<(), StateError> {
        panic!("a bug in writing")
    }

    fn undo(&self) -> Result<Tip, StateError> {
        self.store.undo()
    }

    fn kept(&self) -> KeptHeights {
        self.store.kept()
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        self.store.block_at(height)
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        self.store.height_of(block)
    }

    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        self.store.receipts_at(height)
    }

    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        self.store.transaction(id)
    }

    fn jobs_of(
        &self,
        customer: &Address,
        limit: usize,
    ) -> Result<Vec<(Height, JobId)>, StateError> {
        self.store.jobs_of(customer, limit)
    }

    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError> {
        self.store.finalize(height, finality)
    }

    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError> {
        self.store.proposer_at(height)
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        self.store.certificate_from(height)
    }

    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        self.store.newest_certificate()
    }
}

/// The account that nobody can read, and who pays it.
fn poison(genesis: &Genesis, sender: u8, nonce: u64) -> SignedTransaction {
    let mut poison = transfer_of(genesis, sender, nonce).into_transaction();
    poison.action = types::transaction::Action::Transfer {
        to: POISONED,
        amount: types::number::Amount(5),
    };
    poison.sign(&key(sender))
}

const POISONED: Address = Address([0xab; 20]);

impl Host {
    fn trapped(&self) -> Trapped {
        Trapped {
            store: self.store.clone(),
            account: POISONED,
        }
    }

    /// Does all work on the store that panics.
    fn work_off_trapped(&mut self) {
        while let Some(work) = self.work.pop_front() {
            let event = contain::perform(work, &self.chain.rules().clone(), &self.trapped());
            self.step(event);
        }
    }

    fn alarms(&self) -> Vec<&Alarm> {
        let all = self.seen.iter();
        all.filter_map(|effect| match effect {
            Effect::Alarm(alarm) => Some(alarm),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_block_on_which_execution_panics_is_invalid_and_never_executed_again() {
    let mut host = Host::of(4);
    let below = host.grow().id();
    host.submit(poison(&host.genesis, 100, 0));
    host.work_off();
    let poisoned = host.build(below, Timestamp(BEGIN + 1_001));
    assert_eq!(poisoned.body.transactions.len(), 1);
    host.seen.clear();
    let effects = host.chain.execute(poisoned.clone());
    host.perform(effects);
    host.work_off_trapped();
    let id = poisoned.id();
    let about = |effect: &Effect| match effect {
        Effect::Invalid { block } | Effect::Quarantine(block) => *block == id,
        _ => false,
    };
    assert_eq!(host.seen.iter().filter(|effect| about(effect)).count(), 2);
    assert!(
        matches!(host.alarms()[..], [Alarm::Execution { block, .. }] if *block == id),
        "{:?}",
        host.alarms()
    );
    let again = host.chain.execute(poisoned.clone());
    assert!(
        matches!(again[..], [Effect::Invalid { block }] if block == id),
        "not even on a store on which it would succeed"
    );
    assert!(host.stops().is_empty());

    let mut setup = host.chain.setup.clone();
    assert!(setup.quarantined.remove(&id));
    let start = |setup| Chain::start(setup, host.now(), &host.store, BTreeSet::new()).unwrap();
    let without = start(setup.clone()).execute(poisoned.clone());
    assert!(matches!(without[..], [Effect::Work(_)]));
    setup.quarantined.insert(id);
    let with = start(setup).execute(poisoned);
    assert!(
        matches!(with[..], [Effect::Invalid { .. }]),
        "nor after a restart"
    );
}

#[test]
fn a_panic_in_building_costs_one_transaction_and_one_empty_block() {
    let mut host = Host::of(4);
    let below = host.grow().id();
    let (bad, behind) = (
        poison(&host.genesis, 2, 0),
        transfer_of(&host.genesis, 2, 1),
    );
    let others = [100, 1, 3].map(|sender| transfer_of(&host.genesis, sender, 0));
    for transaction in others.iter().chain([&bad, &behind]) {
        host.submit(transaction.clone());
    }
    host.work_off();
    host.seen.clear();
    let request = |n| BuildRequest {
        ticket: BuildTicket(n),
        parent: below,
        timestamp: Timestamp(BEGIN + 1_000 + n),
        proposer: own(),
    };
    let built = |host: &mut Host| {
        let effect = host
            .seen
            .pop_if(|effect| matches!(effect, Effect::Built { .. }));
        let Some(Effect::Built { block, .. }) = effect else {
            panic!("a block: {:?}", host.seen)
        };
        block
    };
    let effects = host.chain.build(&host.store, request(1));
    host.perform(effects);
    host.work_off_trapped();
    assert!(built(&mut host).body.transactions.is_empty());
    assert!(
        matches!(host.alarms()[..], [Alarm::Building { dropped, .. }] if *dropped == [bad.id()]),
        "{:?}",
        host.alarms()
    );
    assert!(host.chain.mempool().transaction(&bad.id()).is_none());
    let effects = host.chain.build(&host.store, request(2));
    host.perform(effects);
    host.work_off_trapped();
    assert_eq!(built(&mut host).body.transactions.len(), others.len());
    assert!(host.stops().is_empty());
}

#[test]
fn a_panic_in_a_commit_stops_the_chain() {
    let mut host = Host::of(1);
    let below = host.chain.tip().id;
    let block = host.build(below, Timestamp(BEGIN + 500));
    assert!(host.execute(&block));
    let effects = host.chain.decide(&block.id(), None, None);
    host.perform(effects);
    host.work_off_trapped();
    assert!(matches!(
        host.stops()[..],
        [Fatal::Panicked {
            work: crate::WorkKind::Commit(_),
            ..
        }]
    ));
}
