//! `gridproof job cancel`: what cannot be cancelled any more is refused before a fee is paid for the refusal.

use std::time::Duration;

use keys::keyfile::KeyKind;
use keys::source::KeySource;
use rpc::Client;
use rpc::model::{JobFailure, JobView};
use serde_json::json;
use types::hash::JobId;
use types::transaction::Action;

use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{self, SigningTerms, failure};
use crate::ui::Ui;

/// How long the transaction may take to become final.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Cancels a job of the key's account and says how it ended.
pub async fn cancel(
    client: &Client,
    job: JobId,
    key: &KeySource,
    terms: SigningTerms,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let key = key.read_secret(KeyKind::Account, &ui.passphrases())?;
    let view = client.job(job).await.map_err(failure)?;
    if view.customer != key.public().address() {
        let message = format!(
            "job {job} belongs to the account {}, the key's is {}",
            view.customer,
            key.public().address()
        );
        return Err(
            CommandFailure::new(ExitKind::Refused, "not_customer", message)
                .hint("give the key of the account that submitted it"),
        );
    }
    if !view.live {
        return Err(over(&view));
    }
    let action = Action::CancelJob { job };
    let progress = ui.spinner("cancelling");
    let sent = submit::send(client, &key, action, terms, TIMEOUT).await;
    progress.finish();
    let sent = sent.map_err(|error| too_late(error, job).about(job))?;
    let after = client.job(job).await.map_err(failure)?;
    let text = format!(
        "job {job} is cancelled in block {} (fee {} burned)\nburned for storage, fees and rent: {} SQUARE; who had worked is paid, \
         the rest is back on {}",
        sent.height, sent.fee, after.burned, after.customer
    );
    let object = json!({
        "job": job, "stage": after.stage, "failure": after.failure, "burned": after.burned,
        "id": sent.id, "height": sent.height, "fee": sent.fee,
    });
    ui.result(&object, &text);
    Ok(())
}

/// A job that ended by itself, or was cancelled before.
fn over(view: &JobView) -> CommandFailure {
    let hint = match view.failure {
        None => "gridproof job fetch gets its results",
        Some(JobFailure::Cancelled) => "there is nothing left to do: what was not used came back",
        Some(_) => "there is nothing left to do: gridproof job status says why it failed",
    };
    let message = format!("job {} is {} already", view.id, view.stage);
    CommandFailure::new(ExitKind::Refused, "too_late_to_cancel", message)
        .hint(hint)
        .about(view.id)
}

/// What to do about a job that has gone too far.
fn too_late(failure: CommandFailure, job: JobId) -> CommandFailure {
    if failure.code != "too_late_to_cancel" {
        return failure;
    }
    failure.hint(format!(
        "its results are there and only compared and stored: gridproof job wait {job}, it is over soon"
    ))
}
