//! A schedule beside stores whose blocks follow it, or another one, and the blocks that were refused.

use std::sync::Arc;

use state::{DecidedState, Decision, Durability, MemoryStore, Undecided, Writes, compute_diff};
use types::block::{Block, Body};
use types::number::Timestamp;
use types::params::{NEWEST_PROTOCOL_VERSION, Params, UnknownProtocolVersion, VersionStart};
use types::testing;
use types::versions::OtherSchedule;
use vm::Abort;

use super::*;

/// The version that every block has which is not asked for another one.
const FIRST: ProtocolVersion = ProtocolVersion(1);
/// A version that this build lacks.
const NEWER: ProtocolVersion = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);

/// A store whose blocks from height 1 on have these versions.
fn store(versions: &[ProtocolVersion]) -> MemoryStore {
    let genesis = testing::genesis(&[1]);
    let store = MemoryStore::new(&genesis, Writes::new()).unwrap();
    for version in versions {
        let tip = store.tip();
        let parent = store.header_at(tip.height).unwrap().unwrap();
        let header = Header {
            protocol_version: *version,
            height: tip.height.next(),
            parent: tip.block,
            timestamp: parent.timestamp.next(),
            parent_state_root: tip.root,
            ..parent
        };
        let body = Body::default();
        let block = Block { header, body };
        let view = Undecided::new(tip).view(&store, tip.block).unwrap();
        let diff = compute_diff(&view, block.id(), Writes::new()).unwrap();
        let decision = Decision {
            block: block.into(),
            diff: Arc::new(diff),
            receipts: Vec::new(),
            finality: None,
            proposer: None,
        };
        store.commit(&decision, Durability::Synced).unwrap();
    }
    store
}

/// What a start says on such a store of a schedule in which [`NEWER`] begins at a height, or never.
fn check(versions: &[ProtocolVersion], start: Option<u64>) -> Result<(), Abort> {
    let start = start.map(|height| VersionStart {
        height: Height(height),
        version: NEWER,
    });
    let schedule = VersionSchedule::of_genesis(&Params::devnet());
    let schedule = schedule.with_upgrades(start.as_slice()).unwrap();
    match check_decided(&schedule, &store(versions)) {
        Ok(()) => Ok(()),
        Err(Fatal::State(abort)) => Err(abort),
        Err(fatal) => panic!("{fatal}"),
    }
}

/// True if the first block that is found wanting is of that height, and this program lacks its version.
fn is_unknown(found: &Result<(), Abort>, height: u64) -> bool {
    let (version, height) = (NEWER, Height(height));
    matches!(found, Err(Abort::Version(unknown)) if *unknown == UnknownProtocolVersion { version, height })
}

fn is_other_schedule(found: &Result<(), Abort>, height: u64) -> bool {
    let expected = OtherSchedule {
        height: Height(height),
        found: FIRST,
        expected: NEWER,
    };
    matches!(found, Err(Abort::Schedule(other)) if *other == expected)
}

#[test]
fn decided_blocks_have_the_versions_that_the_schedule_gives_to_their_heights() {
    let plain = [FIRST; 6];
    assert!(check(&plain, None).is_ok());
    for start in [3, 5, 6] {
        let found = check(&plain, Some(start));
        assert!(is_other_schedule(&found, start), "{start}: {found:?}");
    }
    // Blocks that began with it earlier: the last of the version before tells it first.
    let early = [FIRST, FIRST, NEWER, NEWER, NEWER, NEWER];
    let found = check(&early, Some(5));
    assert!(is_unknown(&found, 4), "{found:?}");
    // Of heights at which no version begins the newest block alone is read.
    let found = check(&[FIRST, FIRST, NEWER], None);
    assert!(is_unknown(&found, 3), "{found:?}");
}

#[test]
fn the_version_of_the_next_block_is_known() {
    assert!(check(&[FIRST; 3], Some(5)).is_ok());
    let found = check(&[FIRST; 3], Some(4));
    assert!(is_unknown(&found, 4), "{found:?}");
}

/// A header of a validator with a number, and why it was refused.
fn refused(proposer: u16, height: u64) -> (Header, Invalid) {
    let [low, high] = proposer.to_le_bytes();
    let mut address = types::hash::Address::default();
    (address.0[0], address.0[1]) = (low, high);
    let genesis = testing::genesis(&[1]);
    let (chain, parent) = (genesis.chain_id(), types::hash::BlockId::default());
    let proposer = ValidatorId(address);
    let block = testing::empty_block(chain, parent, Height(height), Timestamp(9), proposer);
    let cause = BlockError::ProtocolVersion {
        found: NEWER,
        expected: FIRST,
    };
    (block.header, Invalid::Rule(cause))
}

#[test]
fn the_newest_refused_block_of_each_validator_is_kept_until_its_height_is_decided() {
    let mut all = RefusedVersions::default();
    for (proposer, height) in [(1, 7), (2, 8), (1, 9)] {
        let (header, cause) = refused(proposer, height);
        all.note(&header, &cause);
    }
    let (header, _) = refused(3, 9);
    let gas = BlockError::Height {
        found: Height(9),
        parent: Height(9),
    };
    all.note(&header, &Invalid::Rule(gas));
    let heights = |all: &RefusedVersions| {
        all.all()
            .values()
            .map(|one| one.height.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(heights(&all), [9, 8], "for their version alone");
    all.decided(Height(7));
    assert_eq!(heights(&all), [9, 8]);
    all.decided(Height(8));
    assert_eq!(heights(&all), [9]);
    all.decided(Height(9));
    assert!(all.all().is_empty());
}

#[test]
fn no_more_are_kept_than_a_committee_has_members() {
    let mut all = RefusedVersions::default();
    let members = u16::try_from(MAX_COMMITTEE).unwrap();
    for proposer in 0..=members {
        let (header, cause) = refused(proposer, 7);
        all.note(&header, &cause);
    }
    assert_eq!(all.all().len(), MAX_COMMITTEE);
    let (header, cause) = refused(0, 8);
    all.note(&header, &cause);
    assert_eq!(all.all()[&header.proposer].height, Height(8), "a known one");
}
