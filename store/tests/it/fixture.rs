//! Chains to put into stores: blocks with a transfer each, receipts, some finalizations, and a comparison of two
//! stores in everything that they answer.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use gridproof_store::{ChainStore, DecidedState, Decision, KeptHistory, StateError};
use state::tree::{NodeKey, StateNode, TreeNodes};
use state::{Branch, Diff, Tip, Writes, compute_diff};
use types::block::{Block, Body, Header};
use types::codec::{Bounded, Text};
use types::genesis::Genesis;
use types::hash::{Address, Domain, Hash32};
use types::key::{PublicKey, Signature};
use types::number::{Amount, Epoch, Height, Nonce, View};
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
pub use types::testing::seeded;
use types::transaction::{
    Action, Failure, NativeTransaction, SignedTransaction, Transaction, TransactionReceipt,
};
use types::vote::{Certificate, Statement, Subject};

/// Keys that the chains write to.
pub const KEYS: u8 = 6;

/// Every block, and the state of the newest heights.
pub const FULL: KeptHistory = KeptHistory {
    state: Some(64),
    blocks: None,
    transactions: None,
};

/// The seed of a test that draws, printed.
pub fn seed() -> u64 {
    let given = std::env::var("GRIDPROOF_TEST_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("replay with GRIDPROOF_TEST_SEED={seed}");
    seed
}

/// The `n`th number drawn from a seed.
pub fn random_number(seed: u64, n: u64) -> u64 {
    Hash32::of(Domain::DRAW, &(seed, n)).low_u64()
}

pub fn genesis(name: &str) -> Genesis {
    Genesis {
        name: Text::new(name).unwrap(),
        ..types::testing::genesis(&[1])
    }
}

pub fn genesis_writes() -> Writes {
    writes(&[(0, Some(7)), (1, Some(8))])
}

pub fn key(n: u8) -> StateKey {
    StateKey::Account(Address([n; 20]))
}

pub fn writes(entries: &[(u8, Option<u8>)]) -> Writes {
    entries
        .iter()
        .map(|(n, value)| (key(*n), value.map(|v| vec![v; usize::from(v)])))
        .collect()
}

/// The customer of every job in the chains.
pub fn customer() -> Address {
    PublicKey([3; 32]).address()
}

/// The action of the block above a height: a job above every third, else a transfer.
fn action(parent: Height, salt: u64) -> Action {
    if parent.0 % 3 == 1 {
        let workload = types::testing::workload(b"module", 1);
        return Action::SubmitJob {
            spec: Box::new(types::testing::job_spec(workload)),
        };
    }
    Action::Transfer {
        to: Address([1; 20]),
        amount: Amount(u128::from(salt)),
    }
}

/// A child block with one transaction; `salt` tells siblings apart.
pub fn block(parent: &Header, parent_root: Hash32, salt: u64) -> Block {
    let transaction = Transaction {
        chain_id: parent.chain_id,
        sender: PublicKey([3; 32]),
        nonce: Nonce(parent.height.0),
        valid_until: Height(salt),
        fee: Amount(1),
        action: action(parent.height, salt),
    };
    // Stores do not verify signatures.
    let signed = SignedTransaction::Native(NativeTransaction {
        transaction,
        signature: Signature([0; 64]),
    });
    let body = Body {
        transactions: Bounded::new(vec![signed]).unwrap(),
        ..Body::default()
    };
    let header = Header {
        height: parent.height.next(),
        parent: parent.id(),
        timestamp: parent.timestamp.saturating_add(1 + salt),
        transaction_root: body.root(),
        parent_state_root: parent_root,
        ..parent.clone()
    };
    Block { header, body }
}

/// The decision of a block; every third height gets a certificate (which stores do not verify).
pub fn decision(block: Block, diff: Arc<Diff>) -> Decision {
    let subject = Subject::Finalize { block: block.id() };
    let statement = Statement {
        epoch: Epoch::FIRST,
        view: View(block.header.height.0),
        subject,
    };
    let finality = block
        .header
        .height
        .0
        .is_multiple_of(3)
        .then(|| Certificate::from_votes(statement, &[]));
    // As where blocks travel with their proposers' signatures; each second height has one.
    let proposer = block.header.height.0.is_multiple_of(2);
    let signature = ProposerSignature {
        key: PublicKey([7; 32]),
        signature: Signature([7; 64]),
    };
    // Each fifth height refuses what its transaction asks for.
    let failure = block.header.height.0.is_multiple_of(5).then(|| Failure {
        code: "refused".to_owned(),
        message: "refused".to_owned(),
    });
    let receipt = |tx: &SignedTransaction| TransactionReceipt {
        id: tx.id(),
        fee: tx.transaction().fee,
        failure: failure.clone(),
    };
    let receipts = block.body.transactions.iter().map(receipt).collect();
    Decision {
        block: Arc::new(block),
        diff,
        receipts,
        finality,
        proposer: proposer.then_some(signature),
    }
}

/// The decision that comes next in a chain without forks, and depends on the height alone.
pub fn linear(store: &dyn ChainStore) -> Decision {
    let Tip { height, root, .. } = store.tip();
    let parent = store.header_at(height).unwrap().unwrap();
    let n = u8::try_from(height.0 % 251).unwrap();
    let entries = [
        (n % KEYS, Some(n)),
        ((n + 2) % KEYS, (n % 5 > 0).then_some(n / 2)),
    ];
    let block = block(&parent, root, height.0);
    let diff = compute_diff(
        &Branch::decided(store.tip()).over(&Base(store)).unwrap(),
        block.id(),
        writes(&entries),
    )
    .unwrap();
    decision(block, Arc::new(diff))
}

/// A chain store as decided state.
struct Base<'a>(&'a dyn ChainStore);

impl state::StateRead for Base<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.read(key)
    }
}

impl TreeNodes for Base<'_> {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.0.node(key)
    }
}

impl DecidedState for Base<'_> {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        self.0.snapshot()
    }
    fn tip(&self) -> Tip {
        self.0.tip()
    }
    fn oldest(&self) -> Height {
        self.0.oldest()
    }
    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.0.root_at(height)
    }
    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.read_at(height, key)
    }
}

/// Asserts that two stores give the same answer to everything.
pub fn same(a: &dyn ChainStore, b: &dyn ChainStore) {
    assert_eq!((a.tip(), a.oldest()), (b.tip(), b.oldest()));
    let (oldest, tip) = (a.oldest().0, a.tip().height.0);
    for n in 0..=KEYS {
        assert_eq!(a.read(&key(n)), b.read(&key(n)));
        assert_eq!(a.value_proof(&key(n)), b.value_proof(&key(n)));
    }
    for height in (oldest.saturating_sub(2)..=tip + 1).map(Height) {
        assert_eq!(a.root_at(height), b.root_at(height));
        assert_eq!(
            a.root_at(height).is_ok(),
            height.0 >= oldest && height.0 <= tip
        );
        for n in 0..=KEYS {
            assert_eq!(a.read_at(height, &key(n)), b.read_at(height, &key(n)));
            assert_eq!(a.prove(height, &key(n)), b.prove(height, &key(n)));
        }
    }
    for height in (0..=tip + 1).map(Height) {
        let block = a.block_at(height).unwrap();
        assert_eq!(block, b.block_at(height).unwrap());
        assert_eq!(block.is_some(), height.0 <= tip);
        assert_eq!(a.receipts_at(height), b.receipts_at(height));
        assert_eq!(a.certificate_from(height), b.certificate_from(height));
        assert_eq!(a.proposer_at(height), b.proposer_at(height));
        assert_eq!(a.finality_proof(height), b.finality_proof(height));
        let id = block.as_ref().map_or_else(Default::default, Block::id);
        assert_eq!(
            (a.block(&id), a.height_of(&id)),
            (b.block(&id), b.height_of(&id))
        );
        for tx in block.iter().flat_map(|block| &block.body.transactions) {
            assert_eq!(a.transaction(&tx.id()), Ok(Some((height, 0))));
            assert_eq!(b.transaction(&tx.id()), Ok(Some((height, 0))));
        }
    }
    assert_eq!(a.newest_certificate(), b.newest_certificate());
    for limit in [1, 3, usize::MAX] {
        let jobs = a.jobs_of(&customer(), limit).unwrap();
        assert_eq!(b.jobs_of(&customer(), limit), Ok(jobs.clone()));
        assert!(jobs.len() <= limit && jobs.is_sorted_by(|one, next| one.0 > next.0));
        let taken = (1..=tip).filter(|height| height % 3 == 2 && height % 5 > 0);
        assert_eq!(jobs.len(), taken.count().min(limit));
    }
    assert_eq!(a.jobs_of(&Address([1; 20]), 9), Ok(Vec::new()));
    let nothing = types::hash::TransactionId(Hash32::of(Domain::TRANSACTION, &0u8));
    assert_eq!(
        (a.transaction(&nothing), b.transaction(&nothing)),
        (Ok(None), Ok(None))
    );
}
