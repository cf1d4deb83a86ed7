//! Partners of a temporary devnet that cheat: in which ways, and what it brought each of them. For measurements.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rpc::model::JobView;
use serde::Serialize;
use types::attestation::{Outcome, Outcomes};
use types::codec::decode;
use types::hash::{Address, BlobId};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::Amount;

use crate::devnet::Devnet;
use crate::devnet::plan::DevnetOptions;
use crate::temporary::TemporaryDevnet;

/// A way to cheat.
#[derive(Debug, PartialEq, Eq)]
pub struct CheatKind {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The fault of the cheats, see `testnet-peer`.
    pub fault: &'static str,
    /// Where the primary of a single job must be, so that it shows; partners stand in three sites in turn.
    pub location: &'static str,
    /// The numbers of the two cheats of a single job.
    pub cheats: [usize; 2],
    /// True if it shows only in a chain of tasks.
    pub is_chain: bool,
}

const SION: &str = "sion";
const NANTERRE: &str = "nanterre";

/// The ways to cheat.
pub const KINDS: [CheatKind; 11] = [
    CheatKind {
        name: "wrong-primary",
        about: "two of the three partners that may be primary flip a byte of what they found",
        fault: "flip-byte",
        location: SION,
        cheats: [0, 3],
        is_chain: false,
    },
    CheatKind {
        name: "wrong-verifier",
        about: "two verifiers flip a byte of what they found",
        fault: "flip-byte",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    CheatKind {
        name: "silent-primary",
        about: "both partners that may be primary take the job and never commit",
        fault: "silent-primary",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    CheatKind {
        name: "mute-primary",
        about: "both partners that may be primary commit and never reveal",
        fault: "withhold-opening",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    CheatKind {
        name: "unopened-verifier",
        about: "two verifiers commit and never open",
        fault: "unopened-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    CheatKind {
        name: "silent-verifier",
        about: "two verifiers announce themselves and never commit",
        fault: "silent-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    CheatKind {
        name: "deaf-primary",
        about: "both partners that may be primary never take the job",
        fault: "deaf-primary",
        location: NANTERRE,
        cheats: [2, 5],
        is_chain: false,
    },
    CheatKind {
        name: "hidden-verifier",
        about: "two partners that sortition selects do not announce themselves",
        fault: "hidden-verifier",
        location: NANTERRE,
        cheats: [0, 3],
        is_chain: false,
    },
    CheatKind {
        name: "wrong-state",
        about: "two of the three partners that may be primary hand on another state than a task of a chain left",
        fault: "flip-state",
        location: SION,
        cheats: [0, 3],
        is_chain: true,
    },
    CheatKind {
        name: "broken-link",
        about: "the same two hand on another state than the one that their own result of the task names",
        fault: "broken-link",
        location: SION,
        cheats: [0, 3],
        is_chain: true,
    },
    CheatKind {
        name: "wrong-list",
        about: "the same two hand on a list of states that lacks one",
        fault: "wrong-list",
        location: SION,
        cheats: [0, 3],
        is_chain: true,
    },
];

/// The way to cheat of a name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static CheatKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Balance and bond of each partner.
pub type Money = Vec<(Amount, Amount)>;

/// What a partner had before and has after.
#[derive(Debug, Clone, Serialize)]
pub struct PartnerMoney {
    /// Name of its process.
    pub name: String,
    /// True if it does not cheat.
    pub honest: bool,
    /// How it cheats, if it does.
    pub cheats: Option<&'static str>,
    /// True if its process was killed.
    pub killed: bool,
    /// Its bond when the network started.
    pub bond_before: Amount,
    /// Its bond at the end.
    pub bond_after: Amount,
    /// By how much its account grew, with a sign if it shrank.
    pub earned: String,
}

/// Starts a devnet of four validators and some partners, each with the fault that `fault` says. No partner fills up its bond again, so
/// that what a bond lost can be seen.
pub fn start(
    peer: &Path,
    partners: usize,
    fault: impl Fn(usize) -> Option<&'static str>,
) -> Result<TemporaryDevnet> {
    let mut network = TemporaryDevnet::make(|root, base_port| {
        let options = DevnetOptions {
            validators: 4,
            partners: u16::try_from(partners)?,
            base_port,
        };
        let devnet = Devnet::create(root, &options)?;
        (0..partners).try_for_each(|partner| never_fill_up(root, partner))?;
        Ok(devnet)
    })?;
    network.run(peer, |name| {
        let number = name.strip_prefix("partner-").and_then(|n| n.parse().ok());
        let variable = |fault: &str| ("TESTNET_FAULT".to_owned(), fault.to_owned());
        number.and_then(&fault).map(variable).into_iter().collect()
    })?;
    Ok(network)
}

/// Has a partner leave its bond as it is: a daemon fills up what its bond has lost.
fn never_fill_up(root: &Path, partner: usize) -> Result<()> {
    let file = root.join(format!("partner-{partner}/partner.toml"));
    let text = std::fs::read_to_string(&file)?;
    let (before, after) = ("\nbond = \"10000\"", "\nbond = \"100\"");
    ensure!(text.contains(before), "no bond in {}", file.display());
    Ok(std::fs::write(&file, text.replace(before, after))?)
}

fn address_of(network: &TemporaryDevnet, partner: usize) -> Result<Address> {
    let name = format!("partner-{partner}");
    let key = network.devnet.root().join(name).join("keys/account.key");
    Ok(keyfile::read_public(&key, KeyKind::Account)?.address())
}

/// The name of the partner with an address, among so many.
pub fn name_of(network: &TemporaryDevnet, address: Address, partners: usize) -> Result<String> {
    for partner in 0..partners {
        if address_of(network, partner)? == address {
            return Ok(format!("partner-{partner}"));
        }
    }
    anyhow::bail!("{address} is no partner of the network")
}

/// Balance and bond of each of so many partners now.
pub fn money(network: &TemporaryDevnet, client: &Client, partners: usize) -> Result<Money> {
    let of = |partner| {
        let address = address_of(network, partner)?;
        network.block_on(async {
            let account = client.account(address).await?;
            let bond = client.partner(address).await?.bond;
            Ok((account.balance, bond))
        })
    };
    (0..partners).map(of).collect()
}

/// What each partner won or lost, where `cheats` says how one cheats, by its number.
pub fn compare(
    before: &Money,
    after: &Money,
    cheats: impl Fn(usize) -> Option<&'static str>,
) -> Vec<PartnerMoney> {
    let pairs = before.iter().zip(after).enumerate();
    let money = pairs.map(|(n, (before, after))| {
        let (sign, amount) = match after.0.checked_sub(before.0) {
            Some(earned) => ("", earned),
            None => ("-", before.0.saturating_sub(after.0)),
        };
        PartnerMoney {
            name: format!("partner-{n}"),
            honest: cheats(n).is_none(),
            cheats: cheats(n),
            killed: false,
            bond_before: before.1,
            bond_after: after.1,
            earned: format!("{sign}{amount}"),
        }
    });
    money.collect()
}

/// True if a job stands settled with another result than that of a program whose standard output is empty and which writes no file.
pub async fn is_wrong(client: &Client, job: &JobView) -> Result<bool> {
    let Some(receipt) = job.receipt.as_ref().filter(|_| job.stage == "settled") else {
        return Ok(false);
    };
    let list = receipt.outcomes;
    let bytes = client.blob_chunk(list, 0).await?;
    let content = blobs::verify_chunk(list, 0, &bytes).context("the list of outcomes")?;
    let outcomes: Outcomes = decode(&content, MAX_OUTCOMES_BYTES)?;
    let empty = BlobId::of(b"");
    let wrote = |outcome: &Outcome| outcome.outputs.iter().any(Option::is_some);
    let mut all = outcomes.0.iter();
    Ok(all.any(|outcome| outcome.stdout != empty || wrote(outcome)))
}

/// What went wrong in a network of cheats, in words: each wrong result that stands, and each honest partner that lives and lost bond.
#[must_use]
pub fn faults(wrong_results: usize, partners: &[PartnerMoney]) -> Vec<String> {
    let stands = (wrong_results > 0).then(|| format!("wrong results stand: {wrong_results}"));
    let lost = partners
        .iter()
        .filter(|one| one.honest && !one.killed && one.bond_after < one.bond_before);
    let lost = lost.map(|one| {
        let (name, before, after) = (&one.name, one.bond_before, one.bond_after);
        format!("{name} is honest and its bond fell from {before} to {after} SQUARE")
    });
    stands.into_iter().chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three partners the first cheats and the second was killed; their bonds of 10 are these afterwards.
    fn after(bonds: [u128; 3]) -> Vec<PartnerMoney> {
        let before = vec![(Amount(5), Amount(10)); 3];
        let after = bonds.map(|bond| (Amount(bond), Amount(bond))).to_vec();
        let mut all = compare(&before, &after, |n| (n == 0).then_some("wrong-primary"));
        all[1].killed = true;
        all
    }

    #[test]
    fn only_an_honest_partner_that_lives_must_keep_its_bond() {
        assert_eq!(faults(0, &after([10, 10, 10])), Vec::<String>::new());
        assert_eq!(faults(0, &after([0, 9, 11])), Vec::<String>::new());
        let [fault] = &faults(0, &after([10, 10, 9]))[..] else {
            panic!("one fault")
        };
        assert!(fault.starts_with("partner-2 is honest"), "{fault}");
    }

    #[test]
    fn no_wrong_result_may_stand() {
        assert_eq!(faults(1, &after([0, 10, 10])), ["wrong results stand: 1"]);
        assert_eq!(faults(2, &after([0, 0, 0])).len(), 2);
    }

    #[test]
    fn what_a_partner_earned_has_a_sign() {
        let earned = after([0, 5, 7]).into_iter().map(|one| one.earned);
        let expected = [(5, "-"), (0, ""), (2, "")];
        let expected = expected.map(|(amount, sign)| format!("{sign}{}", Amount(amount)));
        assert!(earned.eq(expected));
    }

    #[test]
    fn a_report_says_of_each_partner_whether_it_is_honest() {
        let all = after([10, 10, 10]);
        let honest = serde_json::to_value(&all).unwrap();
        let honest = honest.as_array().unwrap().iter().map(|one| &one["honest"]);
        assert!(honest.eq([false, true, true].map(serde_json::Value::from).iter()));
    }

    #[test]
    fn kinds_are_found_by_their_names_and_differ() {
        for one in &KINDS {
            assert_eq!(kind(one.name), Some(one));
        }
        assert_eq!(kind("honest"), None);
    }
}
