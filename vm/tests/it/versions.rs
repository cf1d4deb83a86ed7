//! Blocks of versions of the protocol: the schedule says which one a height has, and this build which ones it can judge.

use types::number::{Height, ProtocolVersion};
use types::params::{NEWEST_PROTOCOL_VERSION, VersionStart};
use vm::{Abort, BlockError};

use crate::fixture::Chain;

/// A version that this build lacks.
const NEWER: ProtocolVersion = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);

/// A chain of some blocks in which [`NEWER`] begins at a height.
fn chain(blocks: u64, start: u64) -> Chain {
    let mut chain = Chain::new();
    let start = VersionStart {
        height: Height(start),
        version: NEWER,
    };
    let schedule = chain.rules.versions.clone().with_upgrades(&[start]);
    chain.rules = chain.rules.clone().with_versions(schedule.unwrap());
    for _ in 0..blocks {
        chain.next(Vec::new());
    }
    chain
}

#[test]
fn a_block_has_the_version_that_the_schedule_gives_to_its_height() {
    let chain = chain(2, 9);
    let mut block = chain.block(Vec::new());
    assert!(chain.try_execute(&block).is_ok());
    for found in [NEWER, ProtocolVersion::ZERO] {
        block.header.protocol_version = found;
        let refused = BlockError::ProtocolVersion {
            found,
            expected: ProtocolVersion(1),
        };
        assert_eq!(chain.try_execute(&block), Err(refused));
    }
}

#[test]
fn a_block_of_a_scheduled_version_that_this_build_lacks_is_not_judged() {
    let chain = chain(2, 3);
    let block = chain.block(Vec::new());
    assert_eq!(block.header.protocol_version, NEWER);
    let found = chain.try_execute(&block);
    assert!(
        matches!(&found, Err(BlockError::Abort(Abort::Version(unknown))) if unknown.height == Height(3)),
        "{found:?}"
    );
}

/// Or a liar could stop every node whose operator has scheduled a version that a later program knows.
#[test]
fn a_height_that_a_header_claims_stops_nobody() {
    let chain = chain(2, 9);
    let mut block = chain.block(Vec::new());
    block.header.height = Height(9);
    let found = chain.try_execute(&block);
    let refused = BlockError::Height {
        found: Height(9),
        parent: Height(2),
    };
    assert_eq!(found, Err(refused));
}
