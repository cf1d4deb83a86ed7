//! Who takes part, for people: the list that HTTP shows, and the words for a chain that stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chain::RefusedVersion;
use chain::backend::{LastProposalView, LastVoteView, ValidatorList, ValidatorView, label};
use p2p::PeerCard;
use types::hash::ValidatorId;
use types::number::{Height, Timestamp};
use types::words::counted;

use super::versions::refused_words;
use crate::core::attendance::{Attendance, ChainStandstill};

/// What connections tell of the validators.
#[derive(Debug, Default)]
pub(super) struct ConnectedPeers {
    pub(super) peers: BTreeSet<ValidatorId>,
    pub(super) cards: BTreeMap<ValidatorId, PeerCard>,
}

impl ConnectedPeers {
    pub(super) fn of(network: &p2p::Handle) -> Self {
        Self {
            peers: network.peers().into_iter().collect(),
            cards: network.cards(),
        }
    }

    fn label(&self, id: &ValidatorId) -> String {
        let name = self.cards.get(id).map(|card| card.name.as_str());
        label(name.unwrap_or_default(), id)
    }
}

/// The committee with what was seen of each member.
pub(super) fn list(
    attendance: &Attendance,
    own: ValidatorId,
    connected: &ConnectedPeers,
    height: Height,
    since: Timestamp,
) -> ValidatorList {
    let members = attendance.members().map(|(id, presence)| {
        let card = connected.cards.get(&id).cloned().unwrap_or_default();
        let member = attendance.committee().validator(&id);
        ValidatorView {
            id,
            name: Some(card.name.to_string()).filter(|name| !name.is_empty()),
            stake: member.map(|member| member.stake).unwrap_or_default(),
            own: id == own,
            connected: id == own || connected.peers.contains(&id),
            last_vote: presence
                .voted
                .map(|(view, at)| LastVoteView { view, at: at.unix }),
            last_proposal: presence.proposed.map(|(height, at)| LastProposalView {
                height,
                at: at.unix,
            }),
            missed: presence.missed,
            addresses: card.addresses.iter().map(ToString::to_string).collect(),
        }
    });
    let mut validators: Vec<_> = members.collect();
    validators.sort_by_key(|view| (std::cmp::Reverse(view.stake), view.id));
    ValidatorList {
        height,
        since,
        validators,
    }
}

/// Why no block comes, as far as it can be seen from here.
pub(super) fn reason(
    standstill: &ChainStandstill,
    attendance: &Attendance,
    connected: &ConnectedPeers,
    is_voting: bool,
    refused: &BTreeMap<ValidatorId, RefusedVersion>,
) -> String {
    let mut text = format!("no block for {} s", standstill.for_ms / 1_000);
    let (silent, members) = (
        standstill.silent.len(),
        attendance.committee().members().len(),
    );
    if silent > 0 {
        let stake = attendance
            .committee()
            .stake_of_ids(&standstill.silent.iter().copied().collect());
        let total = attendance.committee().thresholds().total;
        let names: Vec<_> = standstill
            .silent
            .iter()
            .map(|id| connected.label(id))
            .collect();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            ": of {silent} of {}, with {} of {} stake, nothing is heard: {}",
            counted(members, "validator"),
            stake.0,
            total.0,
            names.join(", ")
        );
    }
    if !is_voting {
        text += "; this validator does not vote before enough others have told it what it signed";
    } else if standstill.quorum_is_heard {
        text += "; a quorum is heard all the same: see the log for what fails";
    }
    text += &refused_words(refused, |id| connected.label(id));
    text
}

/// How far this clock is from those of the other leaders.
pub(super) fn clock_words(ahead_ms: i64) -> String {
    let (distance, side) = (ahead_ms.unsigned_abs(), ahead_ms < 0);
    let side = if side { "behind" } else { "ahead of" };
    format!("{distance} ms {side} the other validators' clocks")
}

#[cfg(test)]
mod tests;
