//! `gridproof partner pause`, `resume` and `drain`: no new duties, new ones again, and none left.
//!
//! A mark in the partner's directory says that it is paused. A daemon that runs sees it and registers no places; where none runs
//! that is done here. A pause counts from the block on that holds it, so a drain is over once that is final, nothing of the bond is
//! locked for a live job, and no announcement from before can bind the partner any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use partner::PauseMark;
use partner::config::Config;
use partner::journal;
use partner::ledger::LedgerBook;
use rpc::Client;
use rpc::model::PartnerView;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};
use types::hash::{Address, JobId};
use types::job::PartnerProfile;
use types::key::SecretKey;
use types::transaction::Action;
use types::words::counted;

use super::{TIMEOUT, connect, look, open, stopped};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{self, failure};
use crate::trust::light_of;
use crate::ui::Ui;

/// What `gridproof partner drain --help` shows.
pub const DRAIN_HELP: &str = "Example:
  gridproof partner drain --dir ~/partner && kill PID

It pauses the partner and waits until nothing is left to do, while the daemon goes on with what it has begun. The last line says
since which block it is safe to stop. gridproof partner resume takes new duties again.";

/// Pause between two looks at the chain.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a daemon is waited for that has not seen yet what the chain says: it names its duties when it is stopped.
const DAEMON_PATIENCE: Duration = Duration::from_secs(10);

/// Which partner is drained, and how long that may take.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The partner's directory.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Give up after this many seconds; the partner stays paused (exit code 8).
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 86_400)]
    seconds: u64,
}

/// Pauses a partner, or lets it take duties again; returns once the chain has it.
pub async fn pause(dir: &Path, paused: bool, ui: Ui) -> Result<(), CommandFailure> {
    let view = change(dir, paused, ui).await?;
    let text = if paused {
        format!(
            "paused since block {}: no draw finds it; open: {}",
            view.height,
            open_duties(&view)
        )
    } else {
        format!(
            "resumed in block {} with {}; it is drawn from the next epoch on",
            view.height,
            counted(view.profile.places, "place")
        )
    };
    ui.result(&json!({ "paused": paused, "partner": view }), &text);
    Ok(())
}

/// Pauses a partner and waits until it has no duty.
pub async fn drain(what: &DrainArgs, ui: Ui) -> Result<(), CommandFailure> {
    let until = Instant::now() + Duration::from_secs(what.seconds);
    let view = change(&what.dir, true, ui).await?;
    let (config, _) = look(&what.dir)?;
    let client = connect(&config, ui)?;
    // An announcement from before the pause may still be on its way to one of these.
    let mut announcing = announcing_jobs(&client).await?;
    let address = view.address;
    let progress = ui.spinner("waiting until no duty is open");
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over_since = None;
    let ended = loop {
        tick.tick().await;
        let view = client.partner(address).await.map_err(failure)?;
        if !announcing.is_empty() {
            let now = announcing_jobs(&client).await?;
            announcing.retain(|job| now.contains(job));
        }
        let open = u32::from(view.running) + u32::from(view.verifying);
        if open == 0 && announcing.is_empty() && view.profile.places == 0 {
            let since = *over_since.get_or_insert_with(Instant::now);
            if has_seen_its_end(&what.dir) || since.elapsed() >= DAEMON_PATIENCE {
                break Ok(view);
            }
        }
        progress.message(&format!("open: {}", open_duties(&view)));
        if Instant::now() >= until {
            break Err(not_drained(&what.dir, &view));
        }
    };
    progress.finish();
    let view = ended?;
    let text = format!(
        "safe to stop at block {}: no duty is open, and none is drawn until gridproof partner resume",
        view.height
    );
    let object = json!({ "safe_to_stop": true, "height": view.height, "partner": view });
    ui.result(&object, &text);
    Ok(())
}

/// True if no daemon runs, or if the one that runs knows of no duty: its books are those of its last look at the chain.
fn has_seen_its_end(dir: &Path) -> bool {
    let runs = journal::inspect(&dir.join("journal")).is_ok_and(|status| status.in_use);
    let seen = || LedgerBook::read(dir).ok().flatten()?.seen;
    !runs || seen().is_none_or(|seen| seen.duties.is_empty())
}

fn open_duties(view: &PartnerView) -> String {
    let (jobs, checks) = (
        counted(view.running, "job"),
        counted(view.verifying, "check"),
    );
    format!("{jobs} as primary, {checks}")
}

fn not_drained(dir: &Path, view: &PartnerView) -> CommandFailure {
    let message = format!(
        "still open: {}; the partner stays paused",
        open_duties(view)
    );
    let runs = journal::inspect(&dir.join("journal")).is_ok_and(|status| status.in_use);
    let hint = if runs {
        "run the same command again, with a longer --timeout"
    } else {
        "the daemon is stopped, and only it can end them: gridproof partner start"
    };
    CommandFailure::new(ExitKind::TimedOut, "not_drained", message).hint(hint)
}

/// The live jobs that verifiers announce themselves for.
async fn announcing_jobs(client: &Client) -> Result<BTreeSet<JobId>, CommandFailure> {
    let list = client.jobs(true).await.map_err(failure)?;
    let announcing = list
        .jobs
        .into_iter()
        .filter(|job| job.stage == "announcing");
    Ok(announcing.map(|job| job.id).collect())
}

/// Sets the mark, and waits until the chain has what it says.
async fn change(dir: &Path, paused: bool, ui: Ui) -> Result<PartnerView, CommandFailure> {
    let (config, key) = open(dir, ui)?;
    let address = key.public().address();
    let client = connect(&config, ui)?;
    let registered = client.partner(address).await.map_err(|error| {
        let unknown = error.is_not_found();
        let failure = failure(error);
        if unknown {
            failure.hint("the partner is not registered yet: gridproof partner start does that")
        } else {
            failure
        }
    })?;
    PauseMark::of(dir).set(paused)?;
    if (registered.profile.places == 0) == paused {
        return Ok(registered);
    }
    let status = journal::inspect(&dir.join("journal")).map_err(|error| stopped(&error.into()))?;
    let progress = ui.spinner("waiting until it is final");
    let changed = async {
        if status.in_use {
            return registered_by_daemon(&client, address, paused).await;
        }
        register(dir, &client, &key, (&registered, &config), paused).await
    };
    let changed = changed.await;
    progress.finish();
    changed
}

/// Waits until the daemon has registered what the mark says.
async fn registered_by_daemon(
    client: &Client,
    address: Address,
    paused: bool,
) -> Result<PartnerView, CommandFailure> {
    let until = Instant::now() + TIMEOUT;
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let view = client.partner(address).await.map_err(failure)?;
        if (view.profile.places == 0) == paused {
            return Ok(view);
        }
        if Instant::now() >= until {
            let message = "the daemon runs and has not registered it yet";
            return Err(
                CommandFailure::new(ExitKind::TimedOut, "not_final", message)
                    .hint("its log says why: gridproof partner status shows balance and bond"),
            );
        }
    }
}

/// Registers the profile on record with other places.
async fn register(
    dir: &Path,
    client: &Client,
    key: &SecretKey,
    (registered, config): (&PartnerView, &Config),
    paused: bool,
) -> Result<PartnerView, CommandFailure> {
    let on_record = registered.profile.clone();
    let profile = PartnerProfile {
        name: on_record.name,
        classes: on_record.classes,
        vrf_key: on_record.vrf_key,
        ask: on_record.ask,
        places: if paused { 0 } else { config.offer.places },
        attributes: on_record.attributes,
    };
    let chain = light_of(&dir.join(&config.genesis))?.chain();
    let action = Action::RegisterPartner { profile };
    submit::send(client, key, action, Some(chain), TIMEOUT).await?;
    client
        .partner(key.public().address())
        .await
        .map_err(failure)
}
