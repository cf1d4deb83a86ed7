//! Versions of the protocol that the operators of a running network agreed on.

use serde::{Deserialize, Serialize};
use types::params::VersionStart;

/// What this node follows beyond genesis.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtocolConfig {
    /// Versions with their first heights, above those of genesis and ascending; the same on all validators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<VersionStart>,
}
