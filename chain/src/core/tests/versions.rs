//! The chain beside versions of the protocol that its program or its schedule lacks.

use types::number::ProtocolVersion;
use types::params::{NEWEST_PROTOCOL_VERSION, VersionStart};
use types::versions::VersionSchedule;
use vm::{Abort, BlockError};

use super::*;
use crate::error::Invalid;

/// A version that this build lacks.
const NEWER: ProtocolVersion = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);

/// Rules in which [`NEWER`] begins at a height.
fn with_start(rules: &Rules, height: Height) -> Arc<Rules> {
    let start = VersionStart {
        height,
        version: NEWER,
    };
    let schedule = VersionSchedule::clone(&rules.versions).with_upgrades(&[start]);
    Arc::new(rules.clone().with_versions(schedule.unwrap()))
}

#[test]
fn a_chain_does_not_start_on_blocks_that_contradict_its_schedule() {
    let mut host = Host::of(1);
    for _ in 0..3 {
        host.grow();
    }
    let start = |height| {
        let mut setup = host.chain.setup.clone();
        setup.rules = with_start(&setup.rules, Height(height));
        Chain::start(setup, host.now(), &host.store, BTreeSet::new())
    };
    assert!(start(9).is_ok());
    let refused = start(2);
    assert!(
        matches!(&refused, Err(Fatal::State(Abort::Schedule(other))) if other.height == Height(2)),
        "{:?}",
        refused.err()
    );
}

#[test]
fn no_block_is_built_of_a_version_that_this_program_lacks() {
    let mut host = Host::of(1);
    host.grow();
    let tip = host.chain.tip().clone();
    host.chain.setup.rules = with_start(&host.chain.setup.rules, tip.header.height.next());
    let request = BuildRequest {
        ticket: BuildTicket(1),
        parent: tip.id,
        timestamp: Timestamp(BEGIN + 1_000),
        proposer: own(),
    };
    let effects = host.chain.build(&host.store, request);
    host.perform(effects);
    let work = host.work.pop_front().unwrap();
    let built = work.perform(&host.chain.rules().clone(), &host.store);
    assert!(
        matches!(&built, Err(Fatal::State(Abort::Version(unknown))) if unknown.version == NEWER),
        "{:?}",
        built.err()
    );
}

#[test]
fn a_block_that_was_refused_for_its_version_is_remembered_until_its_height_is_decided() {
    let mut host = Host::of(1);
    let parent = host.chain.tip().id;
    let built = host.build(parent, Timestamp(BEGIN + 500));
    let mut block = built.block().as_ref().clone();
    block.header.protocol_version = NEWER;
    let block = WholeBlock::new(block).unwrap();
    let height = block.header.height;
    assert!(!host.execute(&block));
    let remembered = host.chain.refused_versions()[&own()];
    assert_eq!((remembered.height, remembered.found), (height, NEWER));
    assert_eq!(remembered.expected, ProtocolVersion(1));
    assert_eq!(host.grow().header.height, height);
    assert!(host.chain.refused_versions().is_empty());
    assert!(host.stops().is_empty(), "a liar stops nobody");
    // What is refused for something else is not remembered as a version.
    let built = host.build(host.chain.tip().id, Timestamp(BEGIN + 2_000));
    let cause = BlockError::Height {
        found: Height(9),
        parent: Height(9),
    };
    let effects = host.chain.execute(built.clone());
    host.perform(effects);
    host.work.clear();
    host.step(Event::Done(Done::Executed {
        block: built.id(),
        result: Err(Invalid::Rule(cause)),
    }));
    assert!(host.chain.refused_versions().is_empty());
}
