//! Words about versions of the protocol, for operators: blocks that are refused for theirs, and what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chain::RefusedVersion;
use state::DecidedState as _;
use types::hash::ValidatorId;
use types::number::Height;
use types::params::{NEWEST_PROTOCOL_VERSION, VersionStart};
use types::time::Monotonic;

use super::Shell;

/// Time between two lines about the version that comes, in milliseconds.
const VERSION_EVERY_MS: u64 = 3_600_000;

impl Shell {
    /// Says once an hour which version of the protocol comes.
    pub(super) fn look_at_version(&mut self, now: Monotonic) {
        let tip = self.store.tip().height;
        let Some(next) = self.node.rules().versions.next_after(tip) else {
            return;
        };
        if now >= self.warnings.version {
            self.warnings.version = now.after(VERSION_EVERY_MS);
            match coming(next, tip) {
                (words, true) => tracing::warn!("{words}"),
                (words, false) => tracing::info!("{words}"),
            }
        }
    }
}

/// Whose blocks are refused here for their version, and what that means; empty if nobody's are.
pub(super) fn refused_words(
    refused: &BTreeMap<ValidatorId, RefusedVersion>,
    name: impl Fn(&ValidatorId) -> String,
) -> String {
    let mut text = String::new();
    let kinds: BTreeSet<_> = refused
        .values()
        .map(|kind| (kind.found, kind.expected))
        .collect();
    for (found, expected) in kinds {
        let of_kind = refused
            .iter()
            .filter(|(_, one)| (one.found, one.expected) == (found, expected));
        let names: Vec<_> = of_kind.clone().map(|(id, _)| name(id)).collect();
        let height = of_kind.map(|(_, one)| one.height).max().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "; at height {height} blocks of protocol version {found} come from {}, this node's schedule says {expected}: compare \
             protocol.upgrades with the other operators",
            names.join(", ")
        );
    }
    text
}

/// What an operator must know of the next version; the flag is true if this program lacks it.
pub(super) fn coming(next: VersionStart, tip: Height) -> (String, bool) {
    let blocks = next.height.0.saturating_sub(tip.0);
    let VersionStart { height, version } = next;
    let is_lacking = version > NEWEST_PROTOCOL_VERSION;
    let end = if is_lacking {
        "this program does not know it and stops there: install a newer one before"
    } else {
        "this program knows it"
    };
    (
        format!(
            "protocol version {version} is in force from height {height} on, in {blocks} blocks; {end}"
        ),
        is_lacking,
    )
}

#[cfg(test)]
mod tests {
    use types::hash::Address;
    use types::number::ProtocolVersion;

    use super::*;

    #[test]
    fn who_follows_another_schedule_is_named() {
        let (first, second) = (ValidatorId(Address([1; 20])), ValidatorId(Address([2; 20])));
        let kind = |height, found| RefusedVersion {
            height: Height(height),
            found: ProtocolVersion(found),
            expected: ProtocolVersion(1),
        };
        let name = |id: &ValidatorId| format!("v{}", id.0.0[0]);
        let words = refused_words(&[(first, kind(9, 2)), (second, kind(10, 2))].into(), name);
        assert_eq!(
            words,
            "; at height 10 blocks of protocol version 2 come from v1, v2, this node's schedule says 1: compare \
             protocol.upgrades with the other operators"
        );
        let words = refused_words(&[(first, kind(9, 2)), (second, kind(9, 3))].into(), name);
        assert_eq!(words.matches("compare").count(), 2, "{words}");
        assert_eq!(refused_words(&BTreeMap::new(), name), "");
    }

    #[test]
    fn a_version_that_this_program_lacks_is_said_to_stop_it() {
        let start = |version| VersionStart {
            height: Height(30),
            version,
        };
        let (words, is_lacking) = coming(start(NEWEST_PROTOCOL_VERSION), Height(10));
        assert!(words.contains("in 20 blocks") && !is_lacking, "{words}");
        let newer = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);
        let (words, is_lacking) = coming(start(newer), Height(10));
        assert!(
            words.contains("install a newer one") && is_lacking,
            "{words}"
        );
    }
}
