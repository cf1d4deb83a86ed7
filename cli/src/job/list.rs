//! `gridproof job list`: an account's jobs, or everybody's.

use clap::Args;
use keys::keyfile::KeyKind;
use keys::source::KeySource;
use rpc::Client;
use rpc::model::{JobList, JobSummary};
use serde_json::json;
use types::hash::Address;

use super::report::reason;
use crate::failure::CommandFailure;
use crate::submit::failure;
use crate::ui::Ui;

/// Digits of an id in a table; they nearly always name the job.
const SHOWN_DIGITS: usize = 12;

/// Whose jobs, and which of them.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Jobs of this account. Without it and --key everybody's are listed.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "key")]
    customer: Option<Address>,
    /// Jobs of this key's account: a key file, env:NAME or fd:NUMBER.
    #[arg(long, value_name = "KEY")]
    key: Option<KeySource>,
    /// Only jobs that are under way.
    #[arg(long, conflicts_with = "ended")]
    live: bool,
    /// Only jobs that ended.
    #[arg(long)]
    ended: bool,
}

/// Lists jobs, oldest first.
pub async fn list(client: &Client, args: &ListArgs, ui: Ui) -> Result<(), CommandFailure> {
    let key = args.key.as_ref();
    let key = key.map(|key| key.read_public(KeyKind::Account));
    let customer = key.transpose()?.map(|key| key.address());
    let listed = match customer.or(args.customer) {
        Some(customer) => {
            let live = (args.live != args.ended).then_some(args.live);
            client.jobs_of(customer, live).await
        }
        None => client.jobs(!args.ended).await,
    };
    let listed = listed.map_err(failure)?;
    ui.result(&json!(listed), &table(&listed));
    Ok(())
}

fn table(listed: &JobList) -> String {
    if listed.jobs.is_empty() {
        return format!("no jobs, as of block {}", listed.height);
    }
    let mut lines = vec![format!(
        "{:<SHOWN_DIGITS$}  {:<24}  {:<11}  {:>5}  {:>14}  {}",
        "job", "submitted", "stage", "tasks", "price cap", "name"
    )];
    lines.extend(listed.jobs.iter().map(line));
    lines.join("\n")
}

fn line(job: &JobSummary) -> String {
    let id: String = job.id.to_string().chars().take(SHOWN_DIGITS).collect();
    let why = job
        .failure
        .map_or(String::new(), |why| format!(": {}", reason(why)));
    format!(
        "{id:<SHOWN_DIGITS$}  {:<24}  {:<11}  {:>5}  {:>14}  {}{why}",
        crate::date::second(job.submitted),
        job.stage,
        job.tasks,
        job.price_cap.to_string(),
        job.name,
    )
}
