//! State keys as the path of a proof names them: a kind, and for most kinds one argument.
//!
//! `account/{address}`, `job/{id}`, `epoch-seed/{epoch}`, `chain`, ... The canonical bytes of a key never appear in a
//! path. Every key of the state has exactly one text.

use std::fmt;
use std::str::FromStr;

use types::limits::{LIVE_SHARDS, PARTNER_PAGES};
use types::number::{BeaconStep, ChainTime, Epoch};
use types::state_key::{DueQueue, StateKey};

/// A state key with its text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofKey(pub StateKey);

/// Why a text names no state key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofKeyError {
    /// There is no such kind of key.
    #[error("there is no kind of state key {kind:?}")]
    UnknownKind {
        /// The part before the first slash.
        kind: String,
    },
    /// The kind needs an argument after a slash.
    #[error("a key of the kind {kind} needs an argument: {kind}/{{...}}")]
    NoArgument {
        /// The kind asked for.
        kind: &'static str,
    },
    /// The kind takes no argument.
    #[error("a key of the kind {kind} takes no argument")]
    SpareArgument {
        /// The kind asked for.
        kind: &'static str,
    },
    /// The argument cannot be read.
    #[error("{argument:?} is no argument of the kind {kind}: {reason}")]
    BadArgument {
        /// The kind asked for.
        kind: &'static str,
        /// The part after the first slash.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ProofKey {
    type Err = ProofKeyError;

    fn from_str(text: &str) -> Result<Self, ProofKeyError> {
        let (kind, argument) = match text.split_once('/') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        Ok(Self(match kind {
            "account" => StateKey::Account(required("account", argument)?),
            "chain" => none("chain", argument, StateKey::Chain)?,
            "committee" => StateKey::Committee(Epoch(number("committee", argument)?)),
            "params" => StateKey::Params(Epoch(number("params", argument)?)),
            "beacon" => none("beacon", argument, StateKey::Beacon)?,
            "beacon-at" => StateKey::BeaconAt(BeaconStep(number("beacon-at", argument)?)),
            "epoch-seed" => StateKey::EpochSeed(Epoch(number("epoch-seed", argument)?)),
            "partner" => StateKey::Partner(required("partner", argument)?),
            "partner-index" => none("partner-index", argument, StateKey::PartnerIndex)?,
            "partner-snapshot" => {
                StateKey::PartnerSnapshot(Epoch(number("partner-snapshot", argument)?))
            }
            "job" => StateKey::Job(required("job", argument)?),
            "job-spec" => StateKey::JobSpec(required("job-spec", argument)?),
            "live-index" => none("live-index", argument, StateKey::LiveIndex)?,
            "live-jobs" => StateKey::LiveJobs(shard(argument)?),
            "customer-jobs" => StateKey::CustomerJobs(required("customer-jobs", argument)?),
            "receipt" => StateKey::Receipt(required("receipt", argument)?),
            "revocation" => StateKey::Revocation(required("revocation", argument)?),
            "banned" => StateKey::Banned(required("banned", argument)?),
            "verdict" => verdict(argument)?,
            "unbondings" => StateKey::Unbondings(ChainTime(number("unbondings", argument)?)),
            "due-windows" => StateKey::Due(DueQueue::Windows, number("due-windows", argument)?),
            "due-ended" => StateKey::Due(DueQueue::Ended, number("due-ended", argument)?),
            "due-locks" => StateKey::Due(DueQueue::Locks, number("due-locks", argument)?),
            "due-verdicts" => StateKey::Due(DueQueue::Verdicts, number("due-verdicts", argument)?),
            "due-places" => StateKey::Due(DueQueue::Places, number("due-places", argument)?),
            "draws" => StateKey::Draws(BeaconStep(number("draws", argument)?)),
            "partner-page" => partner_page(argument)?,
            other => {
                let kind = other.chars().take(80).collect();
                return Err(ProofKeyError::UnknownKind { kind });
            }
        }))
    }
}

/// The argument of a kind that needs one.
fn required<T: FromStr<Err: fmt::Display>>(
    kind: &'static str,
    argument: Option<&str>,
) -> Result<T, ProofKeyError> {
    let argument = argument.ok_or(ProofKeyError::NoArgument { kind })?;
    argument
        .parse()
        .map_err(|error: T::Err| ProofKeyError::BadArgument {
            kind,
            argument: argument.chars().take(80).collect(),
            reason: error.to_string(),
        })
}

/// The number of a kind that needs one, in its only decimal form.
fn number(kind: &'static str, argument: Option<&str>) -> Result<u64, ProofKeyError> {
    let number: u64 = required(kind, argument)?;
    let argument = argument.unwrap_or_default();
    if number.to_string() != argument {
        return Err(ProofKeyError::BadArgument {
            kind,
            argument: argument.chars().take(80).collect(),
            reason: format!("write {number}"),
        });
    }
    Ok(number)
}

/// A verdict on a job: the job's id, a slash, and the verdict's number.
fn verdict(argument: Option<&str>) -> Result<StateKey, ProofKeyError> {
    let kind = "verdict";
    let text = argument.ok_or(ProofKeyError::NoArgument { kind })?;
    let (job, last) = text.split_once('/').unwrap_or((text, ""));
    let found = number(kind, Some(last))?;
    let bad = |_| ProofKeyError::BadArgument {
        kind,
        argument: last.chars().take(80).collect(),
        reason: format!("there are at most {} verdicts", u16::MAX),
    };
    let found = u16::try_from(found).map_err(bad)?;
    Ok(StateKey::Verdict(required(kind, Some(job))?, found))
}

/// A page of partners: its number, a slash, and the first epoch that sees it so.
fn partner_page(argument: Option<&str>) -> Result<StateKey, ProofKeyError> {
    let kind = "partner-page";
    let text = argument.ok_or(ProofKeyError::NoArgument { kind })?;
    let (page, since) = text.split_once('/').unwrap_or((text, ""));
    let found = number(kind, Some(page))?;
    let page = u8::try_from(found).ok();
    let page = page.filter(|page| usize::from(*page) < PARTNER_PAGES);
    let page = page.ok_or_else(|| ProofKeyError::BadArgument {
        kind,
        argument: found.to_string(),
        reason: format!("there are {PARTNER_PAGES} pages"),
    })?;
    Ok(StateKey::PartnerPage(
        page,
        Epoch(number(kind, Some(since))?),
    ))
}

/// The number of a shard of live jobs.
fn shard(argument: Option<&str>) -> Result<u8, ProofKeyError> {
    let number = number("live-jobs", argument)?;
    let shard = u8::try_from(number).ok();
    let known = shard.filter(|shard| usize::from(*shard) < LIVE_SHARDS);
    known.ok_or_else(|| ProofKeyError::BadArgument {
        kind: "live-jobs",
        argument: number.to_string(),
        reason: format!("there are {LIVE_SHARDS} shards"),
    })
}

/// The key of a kind that has only one.
fn none(
    kind: &'static str,
    argument: Option<&str>,
    key: StateKey,
) -> Result<StateKey, ProofKeyError> {
    match argument {
        None => Ok(key),
        Some(_) => Err(ProofKeyError::SpareArgument { kind }),
    }
}

#[cfg(test)]
mod tests {
    use types::hash::{Address, Hash32, JobId};

    use super::*;

    /// One key of each kind. The match has no wildcard: a new kind does not compile until it stands here.
    fn all() -> Vec<StateKey> {
        let (address, job) = (Address([0xa1; 20]), JobId(Hash32([5; 32])));
        let keys = vec![
            StateKey::Account(address),
            StateKey::Chain,
            StateKey::Committee(Epoch(1)),
            StateKey::Params(Epoch(1)),
            StateKey::Beacon,
            StateKey::BeaconAt(BeaconStep(7)),
            StateKey::EpochSeed(Epoch(2)),
            StateKey::Partner(address),
            StateKey::PartnerIndex,
            StateKey::PartnerSnapshot(Epoch(u64::MAX)),
            StateKey::Job(job),
            StateKey::JobSpec(job),
            StateKey::LiveIndex,
            StateKey::LiveJobs(63),
            StateKey::CustomerJobs(address),
            StateKey::Receipt(job),
            StateKey::Revocation(job),
            StateKey::Unbondings(ChainTime(60_000)),
            StateKey::Due(DueQueue::Windows, 9),
            StateKey::Due(DueQueue::Ended, u64::MAX),
            StateKey::Due(DueQueue::Locks, 1),
            StateKey::Due(DueQueue::Verdicts, 2),
            StateKey::Banned(Hash32([8; 32])),
            StateKey::Verdict(job, 3),
            StateKey::Due(DueQueue::Places, 2),
            StateKey::Draws(BeaconStep(8)),
            StateKey::PartnerPage(63, Epoch(7)),
        ];
        let kinds: std::collections::BTreeSet<_> = keys.iter().map(kind).collect();
        assert_eq!(kinds.len(), keys.len());
        assert_eq!(
            kinds.last().copied(),
            Some(kinds.len() - 1),
            "one is missing"
        );
        keys
    }

    fn kind(key: &StateKey) -> usize {
        match key {
            StateKey::Account(_) => 0,
            StateKey::Chain => 1,
            StateKey::Beacon => 2,
            StateKey::BeaconAt(_) => 3,
            StateKey::EpochSeed(_) => 4,
            StateKey::Partner(_) => 5,
            StateKey::PartnerIndex => 6,
            StateKey::PartnerSnapshot(_) => 7,
            StateKey::Job(_) => 8,
            StateKey::LiveIndex => 9,
            StateKey::LiveJobs(_) => 16,
            StateKey::CustomerJobs(_) => 17,
            StateKey::Draws(_) => 18,
            StateKey::Due(DueQueue::Ended, _) => 19,
            StateKey::Due(DueQueue::Locks, _) => 20,
            StateKey::Due(DueQueue::Verdicts, _) => 21,
            StateKey::Banned(..) => 22,
            StateKey::Verdict(..) => 23,
            StateKey::Due(DueQueue::Places, _) => 24,
            StateKey::Receipt(_) => 10,
            StateKey::Revocation(_) => 25,
            StateKey::PartnerPage(..) => 26,
            StateKey::Unbondings(_) => 11,
            StateKey::Due(DueQueue::Windows, _) => 12,
            StateKey::Committee(_) => 13,
            StateKey::Params(_) => 14,
            StateKey::JobSpec(_) => 15,
        }
    }

    #[test]
    fn every_kind_of_key_survives_its_text() {
        for key in all() {
            let text = ProofKey(key).to_string();
            assert_eq!(text.parse::<ProofKey>(), Ok(ProofKey(key)), "{text}");
        }
    }

    #[test]
    fn other_texts_name_no_key_and_say_why() {
        for (text, expected) in [
            ("", "there is no kind"),
            ("Account/00", "there is no kind"),
            ("accounts", "there is no kind"),
            ("account", "needs an argument"),
            ("account/", "is no argument"),
            ("account/12", "is no argument"),
            ("account/A1", "is no argument"),
            ("epoch-seed/-1", "is no argument"),
            ("epoch-seed/1/2", "is no argument"),
            ("chain/", "takes no argument"),
            ("live-index/1", "takes no argument"),
            ("live-jobs", "needs an argument"),
            ("live-jobs/64", "there are 64 shards"),
        ] {
            let error = text.parse::<ProofKey>().unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_has_one_text() {
        for text in ["epoch-seed/+1", "epoch-seed/01", "beacon-at/0x1"] {
            assert!(text.parse::<ProofKey>().is_err(), "{text}");
        }
    }
}
