//! What a genesis says, for people as tables and for programs as JSON.

use serde_json::{Value, json};
use types::genesis::Genesis;
use types::words::counted;

use crate::date;
use crate::node::validators::aligned;

/// A genesis as JSON and in words.
pub fn shown(genesis: &Genesis) -> (Value, String) {
    let supply = genesis.supply().unwrap_or_default();
    let thresholds = genesis.committee().map(|committee| committee.thresholds());
    let kind = if genesis.params.devnet {
        "a devnet"
    } else {
        "a network with the floors of rule and time"
    };
    let mut lines = vec![
        format!("network    {}, {kind}", genesis.name.as_str()),
        format!("chain      {}", genesis.chain_id()),
        format!("begins     {}", date::minute(genesis.time.0)),
        format!("supply     {supply} SQUARE"),
    ];
    if let Ok(thresholds) = &thresholds {
        lines.push(format!(
            "decides    {} of {} of the stake; up to {} may be faulty",
            thresholds.quorum, thresholds.total, thresholds.faulty
        ));
    }
    lines.push(counted(genesis.validators.len(), "validator"));
    let head = ["id", "stake", "key", "node key"].map(str::to_owned);
    let rows = genesis.validators.iter().map(|member| {
        [
            member.id().to_string(),
            member.stake.to_string(),
            member.key.to_string(),
            member.node_key.to_string(),
        ]
    });
    lines.push(aligned(
        &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
    ));
    lines.push(counted(genesis.partners.len(), "partner"));
    if !genesis.partners.is_empty() {
        let head = ["account", "name", "bond", "asks", "places"].map(str::to_owned);
        let rows = genesis.partners.iter().map(|partner| {
            [
                partner.address.to_string(),
                partner.profile.name.to_string(),
                partner.bond.to_string(),
                partner.profile.ask.to_string(),
                partner.profile.places.to_string(),
            ]
        });
        lines.push(aligned(
            &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
        ));
    }
    lines.push(counted(genesis.accounts.len(), "account"));
    let rows = genesis.accounts.iter().map(|account| {
        [
            account.address.to_string(),
            format!("{} SQUARE", account.balance),
        ]
    });
    lines.push(aligned(&rows.collect::<Vec<_>>()));
    let object = json!({ "chain_id": genesis.chain_id(), "supply": supply, "genesis": genesis });
    (object, lines.join("\n"))
}
