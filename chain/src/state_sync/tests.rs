//! A state is fetched from a store with blocks, past a node that lies about each thing in turn.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use state::subtree::Subtree;
use state::tree::NodePath;
use state::{Branch, ChainStore, DecidedState};
use store::{StagedStore, Store, StoreSettings};
use tokio::sync::watch;
use types::block::{Block, Header};
use types::codec::{Bounded, decode, encode};
use types::genesis::Genesis;
use types::hash::{Hash32, ValidatorId};
use types::number::{Height, Timestamp};
use types::signed_block::SignedBlock;
use types::testing::numbered::{CUSTOMER, GENESIS_MS, genesis, key, transfer};
use types::testing::validator_id;
use types::transaction::TransactionReceipt;
use types::whole::WholeBlock;
use vm::{Rules, Unverified, Verified};

use super::fetch::{FetchedBlocks, fetch};
use super::plan::ASKED_OF_ONE;
use super::replay::{ReplayError, replay};
use super::request::{self, MAX_SYNC_ANSWER_BYTES, NoAnswer, SyncRequest};
use crate::blob_tasks::{AskError, ChunkSource};
use crate::block::{BuildRequest, BuildTicket, Building};
use crate::clock::Clock;
use crate::parent::Parent;

/// The block whose header is trusted; the source is two heights above it.
const TARGET: Height = Height(4);
const BELOW: Height = Height(3);

fn liar() -> ValidatorId {
    validator_id(1)
}

fn honest() -> ValidatorId {
    validator_id(2)
}

/// A store with a transfer in each block.
fn source(directory: &Path, genesis: &Genesis) -> Store {
    let rules = Rules::new(genesis).unwrap();
    let store = Store::open(directory, genesis, vm::genesis_writes(genesis).unwrap()).unwrap();
    for nonce in 0..TARGET.0 + 2 {
        let unverified = Unverified::new(&rules, transfer(genesis, CUSTOMER, nonce)).unwrap();
        let building = Building {
            request: BuildRequest {
                ticket: BuildTicket(nonce),
                parent: store.tip().block,
                timestamp: Timestamp(GENESIS_MS + 500 * (nonce + 1)),
                proposer: key(1).public().validator_id(),
            },
            parent: Parent::restore(&store).unwrap(),
            branch: Branch::decided(store.tip()),
            system: Vec::new(),
            candidates: vec![Verified::verify(unverified).unwrap()],
        };
        let block = building.run(&rules, &store).unwrap().block;
        assert_eq!(block.body.transactions.len(), 1);
        replay(&store, &rules, &SignedBlock::sign(block, &key(1))).unwrap();
    }
    store
}

/// What a node says instead of the right answer; none if that is what it says.
type Lie = Arc<dyn Fn(SyncRequest, &Store) -> Option<Vec<u8>> + Send + Sync>;

/// Two nodes with the source's store. The second one connects once the first has lied.
#[derive(Clone)]
struct Nodes {
    store: Store,
    lie: Lie,
    connected: Arc<watch::Sender<BTreeSet<ValidatorId>>>,
    /// Requests to the liar, and whether they were lied about.
    asked: Arc<Mutex<Vec<bool>>>,
}

impl ChunkSource for Nodes {
    async fn ask(&self, from: ValidatorId, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let asked: SyncRequest = decode(&request, 64).unwrap();
        if from == liar() {
            let lie = (self.lie)(asked, &self.store);
            self.asked.lock().unwrap().push(lie.is_some());
            if let Some(lie) = lie {
                self.connected.send_modify(|nodes| {
                    nodes.insert(honest());
                });
                return Ok(lie);
            }
        }
        request::answer(&self.store, &request)
            .map_err(|refused: NoAnswer| AskError::Refused(Box::new(refused)))
    }
}

fn staged(directory: &Path, genesis: &Genesis, target: &Header) -> StagedStore {
    let chain = genesis.chain_id();
    StagedStore::begin(directory, chain, target, &StoreSettings::default()).unwrap()
}

/// Fetches the state below the target past a lie.
async fn fetched(source: &Store, staged: &StagedStore, lie: Lie) -> FetchedBlocks {
    let nodes = Nodes {
        store: source.clone(),
        lie,
        connected: Arc::new(watch::channel(BTreeSet::from([liar()])).0),
        asked: Arc::default(),
    };
    let connected = nodes.connected.subscribe();
    let fetched = fetch(staged, &nodes, connected, Clock::start()).await;
    let asked = nodes.asked.lock().unwrap();
    let before = asked.iter().take_while(|lied| !**lied).count();
    assert!(before < asked.len(), "it lied");
    // One that was under way with the lie.
    assert!(asked.len() - before <= ASKED_OF_ONE, "{asked:?}");
    fetched.unwrap()
}

/// Lies about requests that are like one.
fn about(
    is_like: impl Fn(SyncRequest) -> bool + Send + Sync + 'static,
    lie: impl Fn(&Store) -> Vec<u8> + Send + Sync + 'static,
) -> Lie {
    Arc::new(move |request, store| is_like(request).then(|| lie(store)))
}

fn is_state(request: SyncRequest) -> bool {
    matches!(request, SyncRequest::Subtree { .. })
}

fn answer(store: &Store, request: SyncRequest) -> Vec<u8> {
    request::answer(store, &encode(&request)).unwrap()
}

fn root_piece(store: &Store, height: Height) -> Vec<u8> {
    let path = NodePath::ROOT;
    answer(store, SyncRequest::Subtree { height, path })
}

/// The right values, but for one.
fn changed_value(store: &Store) -> Vec<u8> {
    let piece = store.subtree(BELOW, &NodePath::ROOT).unwrap().unwrap();
    let Subtree::Values(values) = piece else {
        panic!("a small state is one piece")
    };
    let mut values = values.into_inner();
    let mut value = values[0].1.clone().into_inner();
    value[0] ^= 1;
    values[0].1 = Bounded::new(value).unwrap();
    encode(&Subtree::Values(Bounded::new(values).unwrap()))
}

fn lies() -> Vec<(&'static str, Lie)> {
    let is_block = |height| move |asked| asked == SyncRequest::Block(height);
    let is_receipts = |asked| asked == SyncRequest::Receipts(BELOW);
    let block = |height| move |store: &Store| answer(store, SyncRequest::Block(height));
    let no_receipts = |_: &Store| encode(&Vec::<TransactionReceipt>::new());
    let other_receipts = |store: &Store| answer(store, SyncRequest::Receipts(Height(1)));
    let long = |_: &Store| vec![0; MAX_SYNC_ANSWER_BYTES + 1];
    vec![
        ("another block", about(is_block(TARGET), block(BELOW))),
        ("another parent", about(is_block(BELOW), block(TARGET))),
        ("no block", about(is_block(TARGET), |_| Vec::new())),
        ("no receipts", about(is_receipts, no_receipts)),
        ("others' receipts", about(is_receipts, other_receipts)),
        (
            "another state",
            about(is_state, |store| root_piece(store, TARGET)),
        ),
        ("a changed value", about(is_state, changed_value)),
        ("no node", about(is_state, |_| vec![1, 0, 0, 0, 0])),
        ("too much", about(is_state, long)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_anything_is_noticed_and_the_right_thing_comes_from_another() {
    let (theirs, genesis) = (tempfile::tempdir().unwrap(), genesis(1));
    let (source, rules) = (
        source(theirs.path(), &genesis),
        Rules::new(&genesis).unwrap(),
    );
    let target = source.header_at(TARGET).unwrap().unwrap();
    for (name, lie) in lies() {
        println!("{name}");
        let ours = tempfile::tempdir().unwrap();
        let staged = staged(ours.path(), &genesis, &target);
        let fetched = fetched(&source, &staged, lie).await;
        staged.finish(&fetched.parent.unwrap()).unwrap();
        let writes = vm::genesis_writes(&genesis).unwrap();
        let store = Store::open(ours.path(), &genesis, writes).unwrap();
        assert_eq!(store.tip().height, BELOW);
        replay(&store, &rules, &fetched.block).unwrap();
        assert_eq!(store.tip().block, target.id());
        let root = source.root_at(TARGET).unwrap();
        assert_eq!(store.tip().root, root);
        // The blocks above follow.
        for height in TARGET.0 + 1..=source.tip().height.0 {
            let bytes = answer(&source, SyncRequest::Block(Height(height)));
            let block = SignedBlock::from_bytes(&bytes).unwrap();
            replay(&store, &rules, &block).unwrap();
        }
        assert_eq!(store.tip(), source.tip());
        store.audit().unwrap();
    }
}

/// A trusted header that says something else of its parent than what came is no block of this chain.
#[test]
fn a_block_that_names_another_state_is_not_executed() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), genesis(1));
    let rules = Rules::new(&genesis).unwrap();
    let writes = vm::genesis_writes(&genesis).unwrap();
    let source = source(folder.path(), &genesis);
    let block = source.block_at(TARGET).unwrap().unwrap();
    let ours = tempfile::tempdir().unwrap();
    let store = Store::open(ours.path(), &genesis, writes).unwrap();
    for height in 1..=BELOW.0 {
        let bytes = answer(&source, SyncRequest::Block(Height(height)));
        replay(&store, &rules, &SignedBlock::from_bytes(&bytes).unwrap()).unwrap();
    }
    let change: [fn(&mut Header); 3] = [
        |header| header.parent_state_root = Hash32([7; 32]),
        |header| header.parent_receipt_root = Hash32([7; 32]),
        |header| header.parent_gas_used.0 += 1,
    ];
    for change in change {
        let Block { mut header, body } = block.clone();
        change(&mut header);
        let forged = SignedBlock::sign(WholeBlock::new(Block { header, body }).unwrap(), &key(1));
        let refused = replay(&store, &rules, &forged);
        assert!(
            matches!(refused, Err(ReplayError::Invalid(_))),
            "{refused:?}"
        );
        assert_eq!(store.tip().height, BELOW);
    }
}

/// Requests that are none, and things that are not here, are refused; none is an error of the store.
#[test]
fn what_is_not_here_is_refused() {
    let (folder, genesis) = (tempfile::tempdir().unwrap(), genesis(1));
    let store = source(folder.path(), &genesis);
    let (none, far) = (Height(u64::MAX), NodePath::of_nibbles(&[5; 64]).unwrap());
    for request in [
        SyncRequest::Block(none),
        SyncRequest::Receipts(none),
        SyncRequest::Subtree {
            height: none,
            path: NodePath::ROOT,
        },
        SyncRequest::Subtree {
            height: BELOW,
            path: far,
        },
    ] {
        let refused = request::answer(&store, &encode(&request));
        assert!(matches!(refused, Err(NoAnswer::NotHere)), "{refused:?}");
    }
    for bytes in [vec![], vec![3], vec![0; 8], vec![2; 80]] {
        let refused = request::answer(&store, &bytes);
        assert!(matches!(refused, Err(NoAnswer::Undecodable)), "{refused:?}");
    }
}
