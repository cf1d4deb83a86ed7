//! What a verdict of referees means: who forfeits its bond, who is paid out of it, and how the job goes on.
//!
//! Whoever claimed another leaf loses all that it locked. The money leaves the bond at once, is held in the verdict's
//! record while it may be appealed against, and is then paid out by the end hook.

use std::collections::{BTreeMap, BTreeSet};

use types::account::LockReason;
use types::hash::{Address, Hash32, JobId, ValidatorId};
use types::job::{
    FailureReason, JobVerdict, Parties, Revealing, Share, Stage, Verifier, VerifierOpening,
};
use types::limits::MAX_VERDICTS_PER_BLOCK;
use types::number::{Amount, TaskIndex};
use types::state_key::{DueQueue, StateKey};

use super::ballot::{Dispute, dispute_next};
use super::earlier;
use super::escrow::pay_referees;
use super::job::conclude;
use super::parties::{forfeit, lock_reasons, punish};
use super::penalty::{Breach, CUSTOMER_PERCENT, HONEST_PERCENT};
use super::pending::next_attempt;
use super::price::referee_fee;
use super::record::Job;
use super::standing;
use crate::{Abort, Context, Corruption, due};

/// A verdict as the queue of verdicts has it: the job, and the number of the verdict.
type DueVerdict = (JobId, u16);

/// The leaf on which a quorum of referees agrees.
pub(super) struct VerdictOfReferees {
    /// Number of the ballot.
    pub number: u16,
    pub task: TaskIndex,
    pub leaf: Hash32,
    pub referees: BTreeSet<ValidatorId>,
}

/// What a verifier said of the task, beside a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// It claimed the verdict's leaf.
    Right,
    /// It claimed another one.
    Wrong,
    /// It opened, and said nothing of this task.
    Neither,
    /// It did not open.
    Silent,
}

fn side_of(verifier: &Verifier, primarys: Option<Hash32>, verdict: &VerdictOfReferees) -> Side {
    let claimed = match verifier.opening {
        None => return Side::Silent,
        Some(VerifierOpening::Differed { task, leaf }) => (task == verdict.task).then_some(leaf),
        Some(VerifierOpening::Agreed { .. }) => {
            let ran = verifier.tasks.contains(&verdict.task);
            primarys.filter(|_| ran)
        }
    };
    match claimed {
        None => Side::Neither,
        Some(leaf) if leaf == verdict.leaf => Side::Right,
        Some(_) => Side::Wrong,
    }
}

/// Takes everybody that committed out of a dispute, with its side and the reason for which it locks its bond.
fn take_sides(
    job: &mut Job,
    parties: &mut Parties,
    primarys: Option<Hash32>,
    verdict: &VerdictOfReferees,
) -> Vec<(Side, LockReason, Verifier)> {
    let (of_verifier, of_earlier) = (lock_reasons(job).1, earlier::reason(job));
    let own = parties.verifiers.drain(..).map(|one| (of_verifier, one));
    let before = job.earlier.verifiers.drain(..);
    own.chain(before.map(|one| (of_earlier, one)))
        .map(|(reason, one)| (side_of(&one, primarys, verdict), reason, one))
        .collect()
}

/// Puts a verdict into effect.
// Rules C65, C67.
pub(super) fn apply(
    context: &mut Context<'_>,
    mut job: Job,
    mut dispute: Dispute,
    verdict: &VerdictOfReferees,
) -> Result<(), Abort> {
    let primary = dispute.parties.primary;
    let leaves = dispute.opening.leaves_of(&[verdict.task]);
    let primarys = leaves.and_then(|leaves| leaves.first().map(|(_, leaf)| *leaf));
    let is_right = primarys == Some(verdict.leaf);
    let (of_primary, of_earlier) = (lock_reasons(&job).0, earlier::reason(&job));
    let sides = take_sides(&mut job, &mut dispute.parties, primarys, verdict);
    let mut payees = Payees::new(context, &job, verdict);
    let mut forfeits = Vec::new();
    if is_right {
        payees.winners.push(primary.partner);
    } else {
        let breach = Breach::PrimaryWrong;
        forfeits.push(forfeit_refuted(
            context,
            &primary.partner,
            of_primary,
            primary.bond,
            breach,
        )?);
    }
    for (side, reason, verifier) in sides {
        match side {
            Side::Wrong => {
                let (partner, breach) = (verifier.partner, Breach::VerifierWrong);
                forfeits.push(forfeit_refuted(
                    context,
                    &partner,
                    reason,
                    verifier.bond,
                    breach,
                )?);
                job.excluded.push(partner);
                continue;
            }
            Side::Right => payees.winners.push(verifier.partner),
            Side::Neither | Side::Silent => {}
        }
        if side == Side::Silent && !is_right {
            // The job does not come back to its openings.
            let breach = Breach::VerifierUnopened;
            punish(context, &verifier.partner, reason, verifier.bond, breach)?;
            continue;
        }
        if reason == of_earlier {
            job.earlier.verifiers.push(verifier);
            continue;
        }
        if !is_right {
            // The escrow for verification pays the next attempt's verifiers.
            payees.workers.push(verifier.partner);
        }
        dispute.parties.verifiers.push(verifier);
    }
    if forfeits.is_empty() {
        // Nobody was wrong, and nobody differed: the escrow pays for what was tried.
        pay_referees(context, &mut job, &verdict.referees)?;
    }
    record(
        context,
        &mut job,
        &dispute.parties,
        verdict,
        &forfeits,
        &payees,
    )?;
    go_on(context, job, dispute, verdict.number, is_right)
}

/// The job after a verdict: settled or revoked, if it had settled; else the next dispute, the end of the openings, or another attempt.
// Rule C65.
fn go_on(
    context: &mut Context<'_>,
    mut job: Job,
    dispute: Dispute,
    number: u16,
    is_right: bool,
) -> Result<(), Abort> {
    if job.settlement.is_some() {
        return standing::judged(context, job, &dispute.parties, is_right);
    }
    let claims = [dispute.parties.next_claim(), job.earlier.next_claim()];
    if is_right && let Some(task) = claims.into_iter().flatten().next() {
        return dispute_next(context, job, dispute, number.saturating_add(1), task);
    }
    let revealing = Revealing {
        parties: dispute.parties,
        opening: Some(dispute.opening),
        unverified: dispute.unverified,
        spot: None,
        tried: is_right,
    };
    if is_right {
        return conclude(context, job, revealing);
    }
    earlier::release(context, &mut job)?;
    let left = Stage::Revealing(revealing);
    next_attempt(context, job, &left, FailureReason::Refuted)
}

/// Takes what a refuted party locked.
fn forfeit_refuted(
    context: &mut Context<'_>,
    partner: &Address,
    reason: LockReason,
    locked: Amount,
    breach: Breach,
) -> Result<Share, Abort> {
    let amount = forfeit(context, partner, reason, locked, breach)?;
    Ok(Share {
        account: *partner,
        amount,
    })
}

/// Who is paid out of forfeited bonds.
struct Payees {
    referees: Vec<Address>,
    referee_fee: Amount,
    /// Verifiers whose fee nobody else pays.
    workers: Vec<Address>,
    verifier_fee: Amount,
    /// Whoever claimed the verdict's leaf.
    winners: Vec<Address>,
    customer: Address,
}

impl Payees {
    fn new(context: &mut Context<'_>, job: &Job, verdict: &VerdictOfReferees) -> Self {
        context.changed = true;
        Self {
            referees: verdict.referees.iter().map(|id| id.0).collect(),
            referee_fee: referee_fee(&job.policy),
            workers: Vec::new(),
            verifier_fee: job.policy.verifier_fee,
            winners: Vec::new(),
            customer: job.customer,
        }
    }

    /// Divides what was forfeited; gives the shares and the rest, which is burned. `paid` is what the job cost its customer.
    // Rule C67.
    fn split(&self, total: Amount, paid: Amount) -> (Vec<Share>, Amount) {
        let mut pot = Pot {
            left: total.0,
            shares: BTreeMap::new(),
        };
        for referee in &self.referees {
            pot.pay(referee, self.referee_fee.0);
        }
        for worker in &self.workers {
            pot.pay(worker, self.verifier_fee.0);
        }
        let winners = u128::try_from(self.winners.len()).unwrap_or(u128::MAX);
        let each = pot.left / 100 * HONEST_PERCENT / winners.max(1);
        for winner in &self.winners {
            pot.pay(winner, each);
        }
        let most = total.0 / 100 * CUSTOMER_PERCENT;
        pot.pay(&self.customer, paid.0.min(most));
        let share = |(account, amount)| Share {
            account,
            amount: Amount(amount),
        };
        let shares = pot.shares.into_iter().map(share);
        (shares.collect(), Amount(pot.left))
    }
}

/// Forfeited money that is being divided.
struct Pot {
    left: u128,
    shares: BTreeMap<Address, u128>,
}

impl Pot {
    /// Pays up to `most`, as far as the money reaches.
    fn pay(&mut self, account: &Address, most: u128) {
        let amount = most.min(self.left);
        self.left -= amount;
        if amount > 0 {
            // The sum of all shares is at most what was there.
            *self.shares.entry(*account).or_default() += amount;
        }
    }
}

/// Writes the verdict down with the money that it moves.
fn record(
    context: &mut Context<'_>,
    job: &mut Job,
    parties: &Parties,
    verdict: &VerdictOfReferees,
    forfeits: &[Share],
    payees: &Payees,
) -> Result<(), Abort> {
    let total = Amount::sum(forfeits.iter().map(|share| share.amount));
    let total = total.ok_or(Corruption::JobAmountOverflow(job.id))?;
    let paid = Amount(parties.primary.price.0.saturating_add(job.burned.0));
    let (shares, burned) = payees.split(total, paid);
    let number = job.verdicts;
    job.verdicts = number.saturating_add(1);
    let window_ms = context.rules.params.compute.appeal_window_ms;
    let at = context.chain_time.saturating_add(window_ms);
    let due = due::insert::<DueVerdict>(context, DueQueue::Verdicts, at, (job.id, number))?;
    let record = JobVerdict {
        attempt: job.attempt,
        task: verdict.task,
        leaf: verdict.leaf,
        primary: parties.primary.partner,
        height: context.height,
        forfeits: forfeits.to_vec(),
        shares,
        burned,
        due,
        paid: false,
    };
    context
        .overlay
        .put(StateKey::Verdict(job.id, number), &record);
    Ok(())
}

/// End hook: pays out the verdicts that can no longer be appealed against.
// Rule C67.
pub(super) fn pay_verdicts(context: &mut Context<'_>) -> Result<(), Abort> {
    let all = due::due::<DueVerdict>(
        context,
        DueQueue::Verdicts,
        MAX_VERDICTS_PER_BLOCK,
        |_, _| true,
    )?;
    for (at, (job, number)) in all {
        due::remove(context, DueQueue::Verdicts, at, (job, number))?;
        let key = StateKey::Verdict(job, number);
        let missing = Corruption::NoVerdict { job, number };
        let mut verdict: JobVerdict = context.overlay.get(&key)?.ok_or(missing)?;
        for share in &verdict.shares {
            context.credit(&share.account, share.amount)?;
        }
        context.burn(verdict.burned)?;
        verdict.paid = true;
        context.overlay.put(key, &verdict);
    }
    Ok(())
}
