//! What a node is set up for: its own keys, and the committee and parameters that state names.

use types::chain_record::ChainRecord;
use types::codec::{decode, encode};
use types::state_key::StateKey;

use super::*;

#[test]
fn keys_that_are_not_those_of_genesis_are_refused() {
    let genesis = genesis(2);
    assert!(matches!(
        NodeSetup::new(&genesis, key(9), vrf(1), Hash32::ZERO),
        Err(SetupError::Keys(_))
    ));
    assert!(matches!(
        NodeSetup::new(&genesis, key(1), vrf(2), Hash32::ZERO),
        Err(SetupError::VrfKey)
    ));
}

/// A store of a chain of two whose committee is another one since epoch 3, and its parameters since epoch 2.
fn later_store(genesis: &Genesis, committee: &types::committee::Committee) -> MemoryStore {
    let mut writes = vm::genesis_writes(genesis).unwrap();
    let bytes = writes[&StateKey::Chain].clone().unwrap();
    let mut record: ChainRecord = decode(&bytes, bytes.len()).unwrap();
    (record.committee_since, record.params_since) = (Epoch(3), Epoch(2));
    let mut params = genesis.params.clone();
    params.idle_target_ms *= 2;
    writes.insert(StateKey::Chain, Some(encode(&record)));
    writes.insert(StateKey::Committee(Epoch(3)), Some(encode(committee)));
    writes.insert(StateKey::Params(Epoch(2)), Some(encode(&params)));
    MemoryStore::new(genesis, writes).unwrap()
}

#[test]
fn committee_and_parameters_are_those_of_the_state() {
    let (two, three) = (genesis(2), genesis(3));
    let committee = three.committee().unwrap();
    let store = later_store(&two, &committee);
    let of_genesis = NodeSetup::new(&two, key(1), vrf(1), Hash32::ZERO).unwrap();
    let engine = of_genesis.consensus.clone();
    let setup = of_genesis.in_force(&store).unwrap();
    assert_eq!(setup.consensus.epoch, Epoch(3));
    assert_eq!(setup.consensus.committee, committee);
    assert_eq!(setup.consensus.genesis, engine.genesis);
    assert_ne!(setup.consensus.timing, engine.timing);
    assert_eq!(setup.log_identity().epoch, Epoch(3));
    assert_eq!(setup.chain.rules.params_since, Epoch(2));
    // The committee of genesis is not changed by a state that names it.
    let first = MemoryStore::new(&two, vm::genesis_writes(&two).unwrap()).unwrap();
    let setup = NodeSetup::new(&two, key(1), vrf(1), Hash32::ZERO).unwrap();
    assert_eq!(setup.in_force(&first).unwrap().consensus, engine);
}

#[test]
fn who_is_no_member_any_more_is_refused_as_is_a_setup_for_another_term() {
    let two = genesis(2);
    let alone = genesis(1).committee().unwrap();
    let store = later_store(&two, &alone);
    let gone = NodeSetup::new(&two, key(2), vrf(2), Hash32::ZERO).unwrap();
    assert!(matches!(gone.in_force(&store), Err(SetupError::Keys(_))));
    let now = Now::default();
    let stays = NodeSetup::new(&two, key(1), vrf(1), Hash32::ZERO).unwrap();
    let started = Node::start(stays, now, &store, Vec::new(), BTreeSet::new());
    let expected = (Epoch(3), Epoch::FIRST);
    assert!(matches!(
        started,
        Err(SetupError::OtherCommittee { state, engine }) if (state, engine) == expected
    ));
}
