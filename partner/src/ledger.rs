//! What a partner earned, lost and paid, read off proven states.
//!
//! Each proven state is compared with the one before: who was bound to a job and is not any more, how the account and
//! the bond changed meanwhile. Amounts are the chain's own; which job one belongs to follows from what the job was to pay.
//! Where that is not clear the amount stands without a job. It is for the operator: nothing is decided by it.

mod cause;
mod file;
mod share;

use serde::{Deserialize, Serialize};
use types::hash::{Address, JobId};
use types::job::{JobRecord, Stage};
use types::number::{Amount, Attempt, ChainTime, Epoch, Height, Nonce, Timestamp};
use types::words::counted;

use crate::assignment::AssignmentRole;
use crate::core::ProvenState;

pub use cause::{DutyPhase, LossCause};
pub use file::{LEDGER_FILE, Ledger, LedgerBook};
pub use share::AwaitedShare;

/// A duty that binds the partner, and what it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedDuty {
    /// The job.
    pub job: JobId,
    /// Its attempt, counted from 0.
    pub attempt: Attempt,
    /// What the partner is in it.
    pub role: AssignmentRole,
    /// What it is paid if all goes well.
    pub pay: Amount,
    /// Height at which its end was seen, while the account is known as of an older one only; none while it lasts.
    #[serde(default)]
    pub ended: Option<Height>,
    /// How far it is.
    #[serde(default)]
    pub phase: DutyPhase,
    /// Chain time at which what it awaits is over.
    #[serde(default)]
    pub until: Option<ChainTime>,
    /// Verdicts of referees on the job so far.
    #[serde(default)]
    pub verdicts: u16,
    /// True while referees vote.
    #[serde(default)]
    pub disputed: bool,
    /// Reports so far that the job cannot be run.
    #[serde(default)]
    pub reports: usize,
    /// True where only a bond is at stake: in a challenge of a settled job, and of a verifier of an earlier attempt.
    #[serde(default)]
    pub pays_nothing: bool,
    /// Once it ended: why it cost something, if it did.
    #[serde(default)]
    pub cause: Option<LossCause>,
}

impl BookedDuty {
    /// The duty that a job's record binds an account to, if it does.
    fn of(record: &JobRecord, own: &Address) -> Option<Self> {
        let stage = &record.stage;
        let mut earlier = record.earlier.verifiers.iter();
        let earlier = earlier.find(|verifier| verifier.partner == *own);
        let verifier = stage.verifier(own).or(earlier);
        let (role, pay) = match stage.primary() {
            Some(primary) if primary.partner == *own => (AssignmentRole::Primary, primary.price),
            _ if verifier.is_some() => (AssignmentRole::Verifier, record.policy.verifier_fee),
            _ => return None,
        };
        let is_earlier = role == AssignmentRole::Verifier && stage.verifier(own).is_none();
        // A job that had settled is paid already, and so is who verified an earlier attempt.
        let pays_nothing = record.settlement.is_some() || is_earlier;
        Some(Self {
            job: record.id,
            attempt: if is_earlier {
                record.earlier.attempt
            } else {
                record.attempt
            },
            role,
            pay: if pays_nothing { Amount::ZERO } else { pay },
            ended: None,
            phase: match role {
                AssignmentRole::Primary => DutyPhase::of_primary(stage),
                AssignmentRole::Verifier => DutyPhase::of_verifier(stage, verifier?),
            },
            until: record.deadline,
            verdicts: record.verdicts,
            disputed: matches!(stage, Stage::Disputed(_)),
            reports: record.unrunnable_reports.len(),
            pays_nothing,
            cause: None,
        })
    }

    /// True if referees have come to a verdict since; of a job that is not live any more, if they voted.
    fn has_verdict(&self, after: Option<&JobRecord>) -> bool {
        match after {
            Some(job) => job.verdicts > self.verdicts,
            None => self.disputed,
        }
    }
}

/// What of a proven state the ledger looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedState {
    /// Height of the state.
    pub height: Height,
    /// Timestamp of the block that names it.
    pub time: Timestamp,
    /// Balance of the account.
    pub balance: Amount,
    /// Charged transactions of the account so far.
    pub nonce: Nonce,
    /// Bond on record.
    pub bond: Amount,
    /// Bond on its way back to the account, all together.
    pub unbonding: Amount,
    /// Ask and places on record; none before the partner is registered.
    pub offer: Option<(Amount, u16)>,
    /// What binds it, by job.
    pub duties: Vec<BookedDuty>,
    /// Chain time, or a little more.
    #[serde(default)]
    pub chain_time: ChainTime,
    /// Shares of verdicts that are still to be paid out.
    #[serde(default)]
    pub shares: Vec<AwaitedShare>,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Timestamp of the block at which it was seen, in milliseconds since the Unix epoch.
    pub time: Timestamp,
    /// Height of that block.
    pub height: Height,
    /// The job that it is about; none for fees, for money that came from elsewhere, and where several jobs ended at once.
    pub job: Option<JobId>,
    /// What the partner was in the job.
    pub role: Option<AssignmentRole>,
    /// Paid for work, in SQUARE.
    pub earned: Amount,
    /// Taken from the bond, in SQUARE.
    pub lost: Amount,
    /// Why, as far as states tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<LossCause>,
    /// Paid for transactions, in SQUARE.
    pub fees: Amount,
    /// Came to the account from elsewhere, in SQUARE: transfers, shares of verdicts, penalties that were paid back.
    pub received: Amount,
    /// True if what was received came when a share of a verdict was due.
    #[serde(default)]
    pub share_of_verdict: bool,
}

/// Sums over all entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerTotals {
    /// Timestamp at which the ledger begins.
    pub since: Timestamp,
    /// Paid for work, in SQUARE.
    pub earned: Amount,
    /// Taken from the bond, in SQUARE.
    pub lost: Amount,
    /// Paid for transactions, in SQUARE.
    pub fees: Amount,
    /// Came to the account from elsewhere, in SQUARE.
    pub received: Amount,
    /// Duties that were paid.
    pub paid: u64,
    /// Duties that ended without pay.
    pub unpaid: u64,
}

impl LedgerTotals {
    fn add(&mut self, entry: &LedgerEntry) {
        let sum = |a: Amount, b: Amount| a.checked_add(b).unwrap_or(a);
        self.earned = sum(self.earned, entry.earned);
        self.lost = sum(self.lost, entry.lost);
        self.fees = sum(self.fees, entry.fees);
        self.received = sum(self.received, entry.received);
        if entry.role.is_some() {
            let count = if entry.earned == Amount::ZERO {
                &mut self.unpaid
            } else {
                &mut self.paid
            };
            *count = count.saturating_add(1);
        }
    }
}

impl BookedState {
    /// What of a proven state concerns the account `own`.
    #[must_use]
    pub fn of(proven: &ProvenState, own: &Address) -> Self {
        let jobs = proven.jobs.values();
        let duties = jobs.filter_map(|record| BookedDuty::of(record, own));
        let (chain_time, at) = proven.clock;
        // Chain time never gains on the timestamps of blocks.
        let gone_ms = proven.time.0.saturating_sub(at.0);
        let partner = proven.partner.as_ref();
        let unbonding = partner.map(|partner| {
            let all = partner.unbonding.iter().map(|unbonding| unbonding.amount);
            Amount::sum(all).unwrap_or_default()
        });
        Self {
            height: proven.height,
            time: proven.time,
            balance: proven.account.balance,
            nonce: proven.account.nonce,
            bond: partner.map(|partner| partner.bond).unwrap_or_default(),
            unbonding: unbonding.unwrap_or_default(),
            offer: partner.map(|partner| (partner.profile.ask, partner.profile.places)),
            duties: duties.collect(),
            chain_time: ChainTime(chain_time.0.saturating_add(gone_ms)),
            shares: Vec::new(),
        }
    }

    /// Says of each duty that has ended since why it cost something, if it did.
    fn judge(&mut self, after: &Self, proven: &ProvenState, own: &Address) {
        let mut ended: Vec<_> = self.duties.iter_mut().collect();
        ended.retain(|duty| duty.ended.is_none() && !after.holds(duty));
        for duty in ended {
            let job = proven.jobs.get(&duty.job);
            duty.cause = LossCause::of(duty, job, own, after.chain_time);
        }
    }

    /// Keeps duties of the state before that have ended since, as of `newest`, if their pay or penalty need not show in this
    /// state yet: jobs may be known as of a newer height than the account. Money that moved ends the wait.
    fn keep_ending(&mut self, before: &Self, newest: Height) {
        let money_is_same = (before.balance, before.bond, before.unbonding)
            == (self.balance, self.bond, self.unbonding);
        if !money_is_same {
            return;
        }
        for duty in &before.duties {
            let ended = duty.ended.unwrap_or(newest);
            if !self.holds(duty) && self.height < ended {
                let ended = Some(ended);
                self.duties.push(BookedDuty { ended, ..*duty });
            }
        }
    }

    fn holds(&self, duty: &BookedDuty) -> bool {
        self.duties.iter().any(|other| {
            (other.job, other.attempt, other.role, other.pays_nothing)
                == (duty.job, duty.attempt, duty.role, duty.pays_nothing)
        })
    }
}

/// What came in and what went between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    fees: Amount,
    came: Amount,
    lost: Amount,
}

/// Without a charged transaction of its own an account only grows, and a bond only shrinks by penalties. With one, money
/// moves between them, and only what both hold together tells what came or went.
fn moved(before: &BookedState, after: &BookedState, fee: Amount) -> Moved {
    let sent = after.nonce.0.saturating_sub(before.nonce.0);
    if sent == 0 {
        let paid_out = before.unbonding.saturating_sub(after.unbonding);
        let grown = after.balance.saturating_sub(before.balance);
        return Moved {
            fees: Amount::ZERO,
            came: grown.saturating_sub(paid_out),
            lost: before.bond.saturating_sub(after.bond),
        };
    }
    let fees = fee.checked_mul(u128::from(sent)).unwrap_or_default();
    let all = |state: &BookedState| {
        let held = [state.balance, state.bond, state.unbonding];
        Amount::sum(held).unwrap_or_default()
    };
    let then = all(before).saturating_sub(fees);
    let missing = then.saturating_sub(all(after));
    // A long transaction costs more than the least; a penalty is many times that.
    let (dearer, lost) = if missing <= fees {
        (missing, Amount::ZERO)
    } else {
        (Amount::ZERO, missing)
    };
    Moved {
        fees: fees.checked_add(dearer).unwrap_or(fees),
        came: all(after).saturating_sub(then),
        lost,
    }
}

/// What the ledger writes between two states, the older one first. `fee` is what a short transaction costs.
#[must_use]
pub fn entries(before: &BookedState, after: &BookedState, fee: Amount) -> Vec<LedgerEntry> {
    let Moved {
        fees,
        mut came,
        mut lost,
    } = moved(before, after, fee);
    let plain = LedgerEntry {
        time: after.time,
        height: after.height,
        ..LedgerEntry::default()
    };
    let over = before.duties.iter().filter(|duty| !after.holds(duty));
    let mut ended: Vec<_> = over
        .map(|duty| {
            let earned = came.min(duty.pay);
            came = came.saturating_sub(earned);
            let entry = LedgerEntry {
                job: Some(duty.job),
                role: Some(duty.role).filter(|_| !duty.pays_nothing),
                earned,
                ..plain.clone()
            };
            (duty, entry)
        })
        .collect();
    let unpaid = |(_, entry): &&mut (&BookedDuty, LedgerEntry)| entry.earned == Amount::ZERO;
    let mut candidates: Vec<_> = ended.iter_mut().filter(unpaid).collect();
    let mut causes = candidates.iter().map(|(duty, _)| duty.cause);
    let first = causes.next().flatten();
    let cause = first.filter(|_| lost != Amount::ZERO && causes.all(|other| other == first));
    if let [(_, only)] = &mut candidates[..] {
        (only.lost, only.cause) = (std::mem::take(&mut lost), cause);
    }
    let says = |(duty, entry): &(&BookedDuty, LedgerEntry)| {
        !duty.pays_nothing || entry.lost != Amount::ZERO
    };
    let ended = ended.into_iter().filter(says);
    let mut entries: Vec<_> = ended.map(|(_, entry)| entry).collect();
    if [fees, came, lost]
        .iter()
        .any(|amount| *amount != Amount::ZERO)
    {
        let shares = if came == Amount::ZERO {
            Vec::new()
        } else {
            share::due(before, after)
        };
        entries.push(LedgerEntry {
            fees,
            lost,
            cause: cause.filter(|_| lost != Amount::ZERO),
            received: came,
            share_of_verdict: !shares.is_empty(),
            job: match shares[..] {
                [only] => Some(only),
                _ => None,
            },
            ..plain
        });
    }
    entries
}

impl LedgerEntry {
    /// The entry in words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |amount: Amount, words: &str| {
            if amount != Amount::ZERO {
                parts.push(format!("{words} {amount} SQUARE"));
            }
        };
        part(self.earned, "earned");
        let received = if self.share_of_verdict {
            "received as a share of a verdict"
        } else {
            "received"
        };
        part(self.received, received);
        part(self.fees, "paid fees of");
        part(self.lost, "lost of the bond");
        let mut money = if parts.is_empty() {
            "earned nothing, lost nothing".to_owned()
        } else {
            parts.join(", ")
        };
        if let Some(cause) = self.cause {
            money = format!("{money}, since {}", cause.words());
        }
        match (self.role, self.job) {
            (Some(AssignmentRole::Primary), Some(job)) => format!("ran job {job}: {money}"),
            (Some(AssignmentRole::Verifier), Some(job)) => format!("verified job {job}: {money}"),
            (None, Some(job)) => format!("job {job}: {money}"),
            (_, None) => money,
        }
    }
}

/// What else the operator should know of the change from one state to the next: what of the partner is on record now, and
/// from which epoch on it counts.
#[must_use]
pub fn news(before: Option<&BookedState>, after: &BookedState, epoch: Epoch) -> Vec<String> {
    let mut news = Vec::new();
    let next = epoch.next();
    let offered = |(ask, places): (Amount, u16)| {
        let places = counted(places, "place");
        format!("asks {ask} SQUARE per million units of fuel, {places}")
    };
    let was = before.and_then(|before| before.offer);
    match (was, after.offer) {
        (None, Some(offer)) if before.is_some() => {
            news.push(format!(
                "registered: {}; counts from epoch {next} on",
                offered(offer)
            ));
        }
        (None, Some(offer)) => news.push(format!("is registered: {}", offered(offer))),
        (Some(was), Some(is)) if was != is => news.push(format!(
            "the new offer is registered: {}; counts from epoch {next} on",
            offered(is)
        )),
        _ => {}
    }
    if let Some(before) = before
        && after.bond > before.bond
    {
        let bond = after.bond;
        news.push(format!(
            "the bond is {bond} SQUARE; counts from epoch {next} on"
        ));
    }
    news
}

#[cfg(test)]
mod tests;
