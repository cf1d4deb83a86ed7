//! Submitting a job: what would be refused is refused here, with what to do; then the transaction, then the inputs.

use std::time::Duration;

use rpc::Client;
use rpc::model::{EstimateView, TransactionStatus};
use types::gas::with_least_fee;
use types::hash::JobId;
use types::job::{JobSpec, Workload};
use types::key::SecretKey;
use types::number::{Amount, Nonce, Timestamp};
use types::transaction::{Action, SignedTransaction, Transaction};

use super::book::{JobBook, SubmittedEntry, spec_hash};
use super::input::Prepared;
use super::interrupt::unless_interrupted;
use super::report;
use super::upload::upload;
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{self, SigningTerms, failure};
use crate::ui::Ui;

/// How long the transaction may take to become final.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Most earlier jobs of one spec that are asked for.
const MAX_ASKED: usize = 8;

/// What a customer allows.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The chain to sign for, and the fee to offer.
    pub signing: SigningTerms,
    /// The most that may be locked.
    pub max_cost: Option<Amount>,
    /// True if a second live job of the same spec is meant.
    pub again: bool,
    /// Where it is recorded.
    pub book: &'a JobBook,
}

/// Submits a job, for that chain alone if one is named, and uploads what the node lacks of its inputs. Gives the job's
/// id, which is shown as soon as money is locked for it and is in every later failure.
pub async fn submit(
    client: &Client,
    key: &SecretKey,
    terms: &Terms<'_>,
    prepared: &Prepared,
    ui: Ui,
) -> Result<JobId, CommandFailure> {
    let estimate = client.estimate(&prepared.spec).await.map_err(failure)?;
    if let Some(refused) = refusal(&estimate) {
        return Err(refused);
    }
    check_max_cost(&estimate, terms.max_cost)?;
    prepared.check_held(client).await?;
    let action = Action::SubmitJob {
        spec: Box::new(prepared.spec.clone()),
    };
    check_balance(client, key, &estimate, (&action, terms.signing.fee)).await?;
    if !terms.again {
        check_not_live(client, terms.book, key, prepared).await?;
    }
    ui.line(&report::cost_line(&estimate));
    let progress = ui.spinner("submitting");
    let sent = async {
        let keep = |signed: &SignedTransaction| record(terms.book, &prepared.spec, signed, ui);
        let signed = submit::hand_over(client, key, action, terms.signing, keep).await?;
        let job = signed.transaction().job_id();
        let sent = submit::finished(client, signed.id(), TIMEOUT).await;
        sent.map(|sent| (job, sent))
            .map_err(|error| unclear(error, job))
    };
    let sent = sent.await;
    progress.finish();
    let (job, sent) = sent.map_err(|error| with_hint(error, None))?;
    ui.line(&format!("job {job} is in block {}", sent.height));
    unless_interrupted(job, upload(client, job, &prepared.files, ui)).await?;
    Ok(job)
}

/// Records a job before its transaction is sent.
fn record(book: &JobBook, spec: &JobSpec, signed: &SignedTransaction, ui: Ui) {
    let transaction = signed.transaction();
    let entry = SubmittedEntry {
        job: transaction.job_id(),
        transaction: transaction.id(),
        chain: transaction.chain_id,
        customer: transaction.sender.address(),
        spec: spec_hash(spec),
        time: Timestamp(crate::ui::now_ms()),
    };
    if let Err(error) = book.add(&entry) {
        ui.line(&format!(
            "job {} is not in the local record: {error}",
            entry.job
        ));
    }
}

/// Refuses to pay for a job a second time while the first one, submitted from the same spec from here, is live or on its way.
async fn check_not_live(
    client: &Client,
    book: &JobBook,
    key: &SecretKey,
    prepared: &Prepared,
) -> Result<(), CommandFailure> {
    let chain = client.status().await.map_err(failure)?.chain_id;
    let customer = key.public().address();
    for entry in book
        .of_spec(chain, customer, &prepared.spec)
        .iter()
        .take(MAX_ASKED)
    {
        let is_live = match client.job(entry.job).await {
            Ok(view) => view.live,
            // It waits for a block; one that nobody knows has a nonce that the new one takes, so that only one can be paid.
            Err(_) => matches!(
                client.transaction(entry.transaction).await,
                Ok(TransactionStatus::Pending { .. })
            ),
        };
        if is_live {
            let job = entry.job;
            let message = format!(
                "job {job} was submitted from this spec at {} and is not over; nothing was submitted",
                crate::date::second(entry.time)
            );
            let hint = format!(
                "--resume {job} instead of --key goes on with it; --again pays for another one"
            );
            return Err(
                CommandFailure::new(ExitKind::Refused, "already_submitted", message)
                    .hint(hint)
                    .about(job),
            );
        }
    }
    Ok(())
}

/// A failure after which the job may exist: what the chain reverted does not.
fn unclear(failure: CommandFailure, job: JobId) -> CommandFailure {
    if failure.kind == ExitKind::Refused {
        return failure;
    }
    failure.about(job).hint(format!(
        "it may still become final: run the same command with --resume {job} and without --key"
    ))
}

/// Goes on with a job that was submitted from the same spec: uploads what the node lacks of its inputs.
pub async fn resume(
    client: &Client,
    job: JobId,
    prepared: &Prepared,
    ui: Ui,
) -> Result<JobId, CommandFailure> {
    let view = client.job(job).await.map_err(failure)?;
    let submitted = view.canonical_spec().ok().map(|spec| spec.workload);
    let is_same = submitted.is_some_and(|submitted| {
        // It keeps the class that was the newest when it was submitted.
        let class = submitted.class;
        let mine = Workload {
            class,
            ..prepared.spec.workload.clone()
        };
        submitted.id() == mine.id()
    });
    if !is_same {
        let message = format!(
            "job {job} was not submitted from this spec and these files: its workload is another"
        );
        return Err(
            CommandFailure::new(ExitKind::BadInput, "other_job", message).hint(
                "give the spec and the files as they were, or submit it as a new job with --key",
            ),
        );
    }
    ui.line(&format!("job {job} is {}", view.stage));
    // Past this stage validators hold its inputs.
    if view.takes_inputs() {
        unless_interrupted(job, upload(client, job, &prepared.files, ui)).await?;
    }
    Ok(job)
}

/// Why a job would not go, as an estimate tells: it would be refused, or nobody could ever run it.
pub fn refusal(estimate: &EstimateView) -> Option<CommandFailure> {
    if let Some(refused) = &estimate.refusal {
        let failure = CommandFailure::new(
            ExitKind::Refused,
            &refused.code,
            format!("the job would be refused: {}", refused.message),
        );
        return Some(with_hint(failure, Some(estimate)));
    }
    let waits = estimate
        .exclusions
        .iter()
        .any(|exclusion| exclusion.code.is_passing());
    if estimate.eligible > 0 || waits {
        return None;
    }
    let reasons: Vec<_> = estimate
        .exclusions
        .iter()
        .map(|exclusion| format!("{} {}", exclusion.partners, exclusion.reason))
        .collect();
    let why = if reasons.is_empty() {
        "there are none".to_owned()
    } else {
        reasons.join(", ")
    };
    let failure = CommandFailure::new(
        ExitKind::Refused,
        "no_partner",
        format!("no partner could run the job: {why}"),
    );
    Some(failure.hint(
        "raise payment.price, lower verification.value_at_risk, or relax constraints.attributes",
    ))
}

/// Says what to do about a refusal.
fn with_hint(failure: CommandFailure, estimate: Option<&EstimateView>) -> CommandFailure {
    let code = failure.code.clone();
    let hint = match code.as_str() {
        "price_too_low" | "price_below_floor" => {
            "raise payment.price in the spec, or lower resources.fuel".to_owned()
        }
        "bond_too_small" => "lower verification.value_at_risk below what partners' bonds cover, raise \
                             verification.verifiers or verification.tasks, or wait for partners with larger bonds"
            .to_owned(),
        "confidence_too_high" => "lower verification.confidence".to_owned(),
        "bond_boundless" => "lower verification.value_at_risk, or let verification.tasks be all".to_owned(),
        "constraints_unmet" => "relax constraints.attributes; GET /v1/partners shows what partners offer".to_owned(),
        "not_enough_verifiers" => "lower verification.verifiers, or wait until more partners have joined".to_owned(),
        "too_few_tasks_per_verifier" => "raise verification.tasks, or set it to all".to_owned(),
        "no_partner_of_class" => "wait until a partner has joined (it counts one epoch after its bond)".to_owned(),
        "unknown_class" | "class_closed" | "class_not_yet_open" => {
            "gridproof node status shows the network's engine classes; for a newer one install a newer gridproof"
                .to_owned()
        }
        "out_of_limits" => "bring that value of the spec within its limits; docs/job-spec.md lists them".to_owned(),
        "too_few_can_verify" => {
            "lower verification.value_at_risk, or raise verification.verifiers: each then locks less; or \
                                 wait for partners with larger bonds"
                .to_owned()
        }
        "too_many_jobs" | "too_many_jobs_of_customer" => {
            return failure.hint("try again when some jobs have ended");
        }
        "insufficient_balance" => {
            let total = estimate.and_then(|estimate| estimate.total);
            total.map_or_else(
                || "send SQUARE to the account that pays, or lower payment.price".to_owned(),
                |total| format!("the account that pays needs {total} SQUARE and the fee"),
            )
        }
        _ => return failure,
    };
    failure.hint(hint)
}

/// Refuses a job that would lock more than its customer allows.
fn check_max_cost(estimate: &EstimateView, max: Option<Amount>) -> Result<(), CommandFailure> {
    let Some((total, max)) = estimate.total.zip(max).filter(|(total, max)| total > max) else {
        return Ok(());
    };
    let message = format!(
        "the job would lock {total} SQUARE, more than --max-cost {max}; nothing was submitted"
    );
    Err(CommandFailure::new(ExitKind::Refused, "above_max_cost", message).hint(
        "gridproof job estimate shows what it is made of; lower payment.price or resources, or raise --max-cost",
    ))
}

async fn check_balance(
    client: &Client,
    key: &SecretKey,
    estimate: &EstimateView,
    (action, offered): (&Action, Option<Amount>),
) -> Result<(), CommandFailure> {
    let Some(total) = estimate.total else {
        return Ok(());
    };
    let address = key.public().address();
    let balance = client.account(address).await.map_err(failure)?.balance;
    let status = client.status().await.map_err(failure)?;
    let transaction = Transaction {
        chain_id: status.chain_id,
        sender: key.public(),
        nonce: Nonce::ZERO,
        valid_until: status.height,
        fee: offered.unwrap_or(Amount::ZERO),
        action: action.clone(),
    };
    let fee = with_least_fee(transaction, status.min_fee).fee;
    let needed = total.checked_add(fee).unwrap_or(Amount(u128::MAX));
    if balance >= needed {
        return Ok(());
    }
    let message = format!(
        "the balance is too low: the job locks {total} SQUARE and costs a fee of {fee}, the account {address} holds {balance}"
    );
    let hint = format!(
        "send {} SQUARE more to {address} (gridproof wallet send), or lower payment.price; what is not used is refunded",
        needed.saturating_sub(balance)
    );
    Err(CommandFailure::new(ExitKind::Refused, "insufficient_balance", message).hint(hint))
}

#[cfg(test)]
mod tests;
