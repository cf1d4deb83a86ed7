//! Validators in the shapes of the interface.

use serde::{Deserialize, Serialize};
use types::hash::ValidatorId;
use types::number::{Height, Stake, Timestamp, View};

/// The committee as one node has seen it: `GET /v1/validators`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorList {
    /// Height of the newest final block.
    pub height: Height,
    /// When the node began to look, in milliseconds since the Unix epoch: what was before is not in the list.
    pub since: Timestamp,
    /// The members of the committee, by descending stake, then by id.
    pub validators: Vec<ValidatorView>,
}

/// One validator as a node has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorView {
    /// Address of its key.
    pub id: ValidatorId,
    /// What its operator calls it (`p2p.name`); absent without a name. Nobody checks it: two may say the same.
    pub name: Option<String>,
    /// Its voting power, in units of stake.
    pub stake: Stake,
    /// True for the node that answers.
    pub own: bool,
    /// True if the node that answers has a connection to it.
    pub connected: bool,
    /// Its latest vote or proposal that came here; absent if none did.
    pub last_vote: Option<LastVoteView>,
    /// The newest final block that it proposed, if it became final since the node started.
    pub last_proposal: Option<LastProposalView>,
    /// Views that it led and that ended without a block, as far as the node has seen them.
    pub missed: u64,
    /// Where it listens, as it says itself, best first.
    pub addresses: Vec<String>,
}

/// A vote that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVoteView {
    /// View that it is about.
    pub view: View,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: Timestamp,
}

/// A block that became final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastProposalView {
    /// Height of the block.
    pub height: Height,
    /// When the node had it in its store, in milliseconds since the Unix epoch.
    pub at: Timestamp,
}

impl ValidatorView {
    /// Its name, if it has one, and the beginning of its id: a name alone proves nothing.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.name.as_deref().unwrap_or_default(), &self.id)
    }
}

/// A validator for people: its name with the first eight digits of its id, or the id without a name.
#[must_use]
pub fn label(name: &str, id: &ValidatorId) -> String {
    let id = id.to_string();
    if name.is_empty() {
        return id;
    }
    let short: String = id.chars().take(8).collect();
    format!("{name} ({short})")
}

#[cfg(test)]
mod tests {
    use types::hash::Address;

    use super::*;

    #[test]
    fn a_name_stands_with_the_beginning_of_the_id_and_never_alone() {
        let id = ValidatorId(Address([0xab; 20]));
        assert_eq!(label("zurich", &id), "zurich (abababab)");
        assert_eq!(label("", &id), id.to_string());
    }
}
