//! Which version of the protocol is in force at which height: what genesis fixes, and what the operators of a running network
//! have agreed on since.
//!
//! No block decides about it. Two nodes with different schedules refuse each other's blocks from the first height on at which
//! they differ, so that at most one of the two kinds goes on.

use crate::block::Header;
use crate::limits::MAX_PROTOCOL_VERSIONS;
use crate::number::{Height, ProtocolVersion};
use crate::params::{NEWEST_PROTOCOL_VERSION, Params, UnknownProtocolVersion, VersionStart};

/// From which heights on which versions of the protocol are in force: the first from height 0, then ascending in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSchedule(Vec<VersionStart>);

/// Upgrades that do not fit what genesis fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// More starts than there may be, those of genesis included.
    #[error(
        "protocol.upgrades and genesis hold {found} versions together, at most {MAX_PROTOCOL_VERSIONS} are allowed"
    )]
    TooMany {
        /// Starts of genesis and of the upgrades.
        found: usize,
    },
    /// An upgrade that does not start above the version before it, in height and number.
    #[error(
        "protocol.upgrades: version {} from height {} on must be above version {} from height {} on, in both",
        .upgrade.version, .upgrade.height, .before.version, .before.height
    )]
    NotAscending {
        /// The upgrade.
        upgrade: VersionStart,
        /// The version before it, of genesis or of an upgrade.
        before: VersionStart,
    },
}

/// A final block follows another version than the schedule says of its height: this node and the network have two
/// different schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the final block of height {height} follows protocol version {found}, the schedule of this node says {expected}: the network \
     has another schedule"
)]
pub struct OtherSchedule {
    /// Height of the block.
    pub height: Height,
    /// The version in its header.
    pub found: ProtocolVersion,
    /// The version of its height by this node's schedule.
    pub expected: ProtocolVersion,
}

/// What the version in a final block's header says against going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// This build lacks the version.
    #[error(transparent)]
    Unknown(#[from] UnknownProtocolVersion),
    /// This node has another schedule.
    #[error(transparent)]
    Schedule(#[from] OtherSchedule),
}

impl VersionSchedule {
    /// The versions that genesis fixes, without those that operators agreed on since.
    #[must_use]
    pub fn of_genesis(params: &Params) -> Self {
        Self(params.protocol_versions.clone())
    }

    /// With versions that the operators agreed on after genesis, each above the one before it in height and number.
    pub fn with_upgrades(mut self, upgrades: &[VersionStart]) -> Result<Self, UpgradeError> {
        let found = self.0.len().saturating_add(upgrades.len());
        if found > MAX_PROTOCOL_VERSIONS {
            return Err(UpgradeError::TooMany { found });
        }
        for upgrade in upgrades {
            if let Some(before) = self.0.last()
                && (upgrade.height <= before.height || upgrade.version <= before.version)
            {
                let (upgrade, before) = (*upgrade, *before);
                return Err(UpgradeError::NotAscending { upgrade, before });
            }
            self.0.push(*upgrade);
        }
        Ok(self)
    }

    /// Every version with its first height, ascending.
    #[must_use]
    pub fn starts(&self) -> &[VersionStart] {
        &self.0
    }

    /// The version in force at a height, whether this build knows it or not.
    #[must_use]
    pub fn version(&self, height: Height) -> ProtocolVersion {
        let started = self.0.iter().take_while(|start| start.height <= height);
        let last = started.last();
        last.map_or(ProtocolVersion::ZERO, |start| start.version)
    }

    /// The version in force at a height, if this build can judge blocks of it.
    pub fn known_version(&self, height: Height) -> Result<ProtocolVersion, UnknownProtocolVersion> {
        known(self.version(height), height)
    }

    /// The next version that comes into force above a height.
    #[must_use]
    pub fn next_after(&self, height: Height) -> Option<VersionStart> {
        self.0.iter().find(|start| start.height > height).copied()
    }

    /// Checks the version of a header that is final. What a header that nobody finalized says must stop no node.
    pub fn check_final(&self, header: &Header) -> Result<(), VersionError> {
        let (height, found) = (header.height, header.protocol_version);
        let expected = self.version(height);
        known(found, height)?;
        if found != expected {
            return Err(OtherSchedule {
                height,
                found,
                expected,
            }
            .into());
        }
        Ok(())
    }
}

/// Gives the version of a height back, if this build knows it.
pub fn known(
    version: ProtocolVersion,
    height: Height,
) -> Result<ProtocolVersion, UnknownProtocolVersion> {
    if version == ProtocolVersion::ZERO || version > NEWEST_PROTOCOL_VERSION {
        return Err(UnknownProtocolVersion { version, height });
    }
    Ok(version)
}

#[cfg(test)]
mod tests;
