//! Submitting a job: what would be refused is refused here, with what to do; then the transaction, then the inputs.

use std::fs::File;
use std::time::Duration;

use rpc::Client;
use rpc::model::Estimate;
use types::hash::JobId;
use types::key::SecretKey;
use types::number::Amount;
use types::transaction::Action;

use super::input::{LocalFile, Prepared};
use crate::failure::{ExitKind, Failure};
use crate::submit::{self, failure};
use crate::ui::{Progress, Ui};

/// How long the transaction may take to become final.
const PATIENCE: Duration = Duration::from_mins(1);
/// Exclusions that pass by themselves: the partner is busy now.
const PASSING: [&str; 2] = ["capacity", "locked"];

/// Submits a job and uploads what the node lacks of its inputs. Gives the job's id.
pub async fn submit(client: &Client, key: &SecretKey, prepared: &Prepared, ui: Ui) -> Result<JobId, Failure> {
    let estimate = client.estimate(&prepared.spec).await.map_err(failure)?;
    if let Some(refused) = refusal(&estimate) {
        return Err(refused);
    }
    prepared.check_held(client).await?;
    check_balance(client, key, &estimate).await?;
    let action = Action::SubmitJob { spec: Box::new(prepared.spec.clone()) };
    let signed = submit::sign(client, key, action).await?;
    let job = signed.transaction.job_id();
    let progress = ui.spinner("submitting");
    let sent = async {
        client.submit(&signed).await.map_err(failure)?;
        submit::finished(client, signed.id(), PATIENCE).await
    };
    let sent = sent.await;
    progress.finish();
    sent.map_err(|error| with_hint(error, None))?;
    upload(client, job, &prepared.files, ui).await?;
    Ok(job)
}

/// Why a job would not go, as an estimate tells: it would be refused, or nobody could ever run it.
pub fn refusal(estimate: &Estimate) -> Option<Failure> {
    if let Some(refused) = &estimate.refusal {
        let failure =
            Failure::new(ExitKind::Refused, &refused.code, format!("the job would be refused: {}", refused.message));
        return Some(with_hint(failure, Some(estimate)));
    }
    let waits = estimate.exclusions.iter().any(|exclusion| PASSING.contains(&exclusion.code.as_str()));
    if !estimate.eligible.is_empty() || waits {
        return None;
    }
    let reasons: Vec<_> =
        estimate.exclusions.iter().map(|exclusion| format!("{} {}", exclusion.partners, exclusion.reason)).collect();
    let why = if reasons.is_empty() { "there are none".to_owned() } else { reasons.join(", ") };
    let failure = Failure::new(ExitKind::Refused, "no_partner", format!("no partner could run the job: {why}"));
    Some(failure.hint("raise payment.price, lower verification.value_at_risk, or relax constraints.attributes"))
}

/// Says what to do about a refusal.
fn with_hint(failure: Failure, estimate: Option<&Estimate>) -> Failure {
    let code = failure.code.clone();
    let hint = match code.as_str() {
        "price_too_low" => "raise payment.price in the spec, or lower resources.weight".to_owned(),
        "bond_too_small" => "lower verification.value_at_risk below what partners' bonds cover, raise \
                             verification.verifiers or verification.tasks, or wait for partners with larger bonds"
            .to_owned(),
        "confidence_too_high" => "lower verification.confidence".to_owned(),
        "bond_boundless" => "lower verification.value_at_risk, or let verification.tasks be all".to_owned(),
        "constraints_unmet" => "relax constraints.attributes; GET /v1/partners shows what partners offer".to_owned(),
        "not_enough_verifiers" => "lower verification.verifiers, or wait until more partners have joined".to_owned(),
        "too_few_tasks_per_verifier" => "raise verification.tasks, or set it to all".to_owned(),
        "no_partner_of_class" => "wait until a partner has joined (it counts one epoch after its bond)".to_owned(),
        "out_of_limits" => "lower that value in the spec; docs/job-spec.md lists all limits".to_owned(),
        "too_many_jobs" => return failure.hint("try again when some jobs have ended").retryable(),
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

async fn check_balance(client: &Client, key: &SecretKey, estimate: &Estimate) -> Result<(), Failure> {
    let Some(total) = estimate.total else { return Ok(()) };
    let address = key.public().address();
    let balance = client.account(address).await.map_err(failure)?.balance;
    let fee = client.status().await.map_err(failure)?.minimum_fee;
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
    Err(Failure::new(ExitKind::Refused, "insufficient_balance", message).hint(hint))
}

/// Uploads what the node lacks.
async fn upload(client: &Client, job: JobId, files: &[LocalFile], ui: Ui) -> Result<(), Failure> {
    let total = files.iter().map(|file| file.encoder.id().length).sum();
    let progress = ui.bytes(total, "uploading inputs");
    let mut result = Ok(());
    for file in files {
        result = upload_file(client, job, file, &progress).await;
        if result.is_err() {
            break;
        }
    }
    progress.finish();
    result.map_err(|failure| {
        let hint = format!("the job is {job}; it fails and is refunded if its inputs do not arrive in time");
        if failure.hint.is_none() { failure.hint(hint) } else { failure }
    })
}

async fn upload_file(client: &Client, job: JobId, file: &LocalFile, progress: &Progress) -> Result<(), Failure> {
    let id = file.encoder.id();
    let chunks = blobs::chunk_count(id);
    let known = match client.blob(id).await {
        Ok(status) => status.complete,
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(failure(error)),
    };
    if known {
        progress.advance(id.length);
        return Ok(());
    }
    let data = File::open(&file.path)?;
    for chunk in 0..chunks {
        let encoded = file.encoder.encode(&data, chunk).map_err(|error| {
            let message = format!("{} changed while it was uploaded: {error}", file.path.display());
            Failure::new(ExitKind::BadInput, "input_changed", message).hint("leave it alone and submit again")
        })?;
        let status = client.put_blob_chunk(job, id, u64::from(chunk), encoded).await.map_err(failure)?;
        progress.advance(blobs::chunk_length(id, chunk).unwrap_or(0));
        if status.complete {
            progress.advance((chunk + 1..chunks).filter_map(|rest| blobs::chunk_length(id, rest)).sum());
            break;
        }
    }
    Ok(())
}
