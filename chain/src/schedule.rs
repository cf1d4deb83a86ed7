//! The schedule of protocol versions beside what the chain says: the blocks in the store, and blocks that were refused for
//! their version.

use std::collections::BTreeMap;

use state::ChainStore;
use types::block::Header;
use types::hash::ValidatorId;
use types::limits::MAX_COMMITTEE;
use types::number::{Height, ProtocolVersion};
use types::versions::VersionSchedule;
use vm::BlockError;

use crate::error::{Fatal, Invalid};

/// Checks the versions of the blocks around each start of a version, and of the newest one, as far as they are kept: who
/// changes the schedule of heights that are decided follows another chain. Then the version of the next block must be known.
pub(crate) fn check_decided(
    versions: &VersionSchedule,
    store: &impl ChainStore,
) -> Result<(), Fatal> {
    let tip = store.tip().height;
    let heights = versions.starts().iter().flat_map(|start| {
        let before = start.height.checked_sub(1);
        before.into_iter().chain([start.height])
    });
    for height in heights.filter(|height| *height < tip).chain([tip]) {
        if let Some(header) = store.header_at(height)? {
            versions.check_final(&header).map_err(vm::Abort::from)?;
        }
    }
    versions
        .known_version(tip.next())
        .map_err(vm::Abort::from)?;
    Ok(())
}

/// A validator whose newest block was refused for its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedVersion {
    /// Height of the block.
    pub height: Height,
    /// The version in its header.
    pub found: ProtocolVersion,
    /// The version of its height by this node's schedule.
    pub expected: ProtocolVersion,
}

/// Blocks that were refused for their version, above the newest decided one: for people who wonder why no block comes.
#[derive(Debug, Default)]
pub(crate) struct RefusedVersions(BTreeMap<ValidatorId, RefusedVersion>);

impl RefusedVersions {
    /// Takes note of a block that is invalid.
    pub fn note(&mut self, header: &Header, cause: &Invalid) {
        let Invalid::Rule(BlockError::ProtocolVersion { found, expected }) = *cause else {
            return;
        };
        let (height, proposer) = (header.height, header.proposer);
        // Who proposes is checked by consensus; one that is not known here is not worth its room.
        if self.0.len() < MAX_COMMITTEE || self.0.contains_key(&proposer) {
            let refused = RefusedVersion {
                height,
                found,
                expected,
            };
            self.0.insert(proposer, refused);
        }
    }

    /// A block is decided: what was refused up to its height matters no more.
    pub fn decided(&mut self, height: Height) {
        self.0.retain(|_, refused| refused.height > height);
    }

    pub fn all(&self) -> &BTreeMap<ValidatorId, RefusedVersion> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
