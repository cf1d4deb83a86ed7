//! `gridproof partner status`: what is on record, what it earned, what it owes, and what this machine lacks.

use std::collections::BTreeMap;
use std::path::Path;

use executor::cage::CageReport;
use executor::class::{ENGINE_VERSION, KNOWN, TARGET};
use partner::PartnerError;
use partner::config::Config;
use partner::journal::{self, JournalStatus};
use partner::ledger::{LedgerBook, LedgerEntry};
use rpc::model::{LockView, PartnerView};
use serde_json::{Value, json};
use types::number::{Amount, ChainTime};
use types::words::counted;

use super::{connect, look, stopped};
use crate::date;
use crate::failure::CommandFailure;
use crate::node::class_lines;
use crate::node::validators::aligned;
use crate::submit::failure;
use crate::ui::{Ui, now_ms};

/// Days of the ledger that are shown.
const DAYS: usize = 7;
/// Entries of the ledger that are shown.
const ENTRIES: usize = 10;

/// Shows a partner's status.
pub async fn status(dir: &Path, ui: Ui) -> Result<(), CommandFailure> {
    let (config, address) = look(dir)?;
    let client = connect(&config, ui)?;
    let account = client.account(address).await.map_err(failure)?;
    let registered = match client.partner(address).await {
        Ok(view) => Some(view),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(failure(error)),
    };
    // Read beside the daemon, if it runs: inspecting the journal neither stops it nor keeps it from starting.
    let JournalStatus {
        in_use: running,
        commitments,
    } = journal::inspect(&dir.join("journal")).map_err(|error| stopped(&error.into()))?;
    let commitments = commitments.len();
    let mut lines = vec![
        format!("partner    {address}"),
        format!("daemon     {}", if running { "runs" } else { "is stopped" }),
        format!(
            "account    {} SQUARE, {}",
            account.balance,
            counted(account.nonce.0, "transaction")
        ),
    ];
    let differs = registered
        .as_ref()
        .map(|view| differences(&config, view))
        .unwrap_or_default();
    match &registered {
        None => lines.push("registered no: it registers when it is started".to_owned()),
        Some(view) => lines.extend(on_record(view, &config)),
    }
    lines.extend(differs.iter().map(|line| format!("file       {line}")));
    let (ledger, ledger_lines) = ledger(dir);
    lines.extend(ledger_lines);
    if let Some(view) = &registered {
        lines.extend(duty_lines(view, client.url()));
        lines.extend(lock_lines(view, now_ms()));
    }
    let chain = client.status().await.map_err(failure)?;
    lines.extend(class_lines(&chain));
    lines.push(format!(
        "engine     wasmtime {ENGINE_VERSION}, compiles for {TARGET} without a processor's extensions"
    ));
    let cage = partner::inspect_cage(dir, &config);
    lines.extend(cage_lines(&cage));
    if commitments > 0 {
        let until = if running {
            "until their jobs end"
        } else {
            "on this disk: start the daemon before their deadlines"
        };
        lines.push(format!(
            "to reveal  {} {until}",
            counted(commitments, "commitment")
        ));
    }
    let object = json!({
        "address": address, "daemon_runs": running, "balance": account.balance, "partner": registered,
        "source": client.url(), "proven": false,
        "differs_from_file": differs, "ledger": ledger, "commitments": commitments, "classes": chain.classes,
        "engine": { "version": ENGINE_VERSION, "target": TARGET, "classes": KNOWN }, "cage": cage_object(&cage),
    });
    ui.result(&object, &lines.join("\n"));
    Ok(())
}

fn on_record(view: &PartnerView, config: &Config) -> [String; 4] {
    let epoch_bond = view
        .epoch_bond
        .map_or_else(|| "not in this epoch".to_owned(), |bond| bond.to_string());
    [
        format!(
            "registered as {}, asks {} SQUARE per million units of fuel",
            view.profile.name, view.profile.ask
        ),
        format!(
            "bond       {} SQUARE, {} locked, {} free, target {}",
            view.bond, view.locked, view.free, config.bond
        ),
        format!("epoch bond {epoch_bond}"),
        format!(
            "running    {} of {} as primary, {}{}",
            view.running,
            counted(view.profile.places, "job"),
            counted(view.verifying, "check"),
            if view.profile.places == 0 {
                " (paused: gridproof partner resume)"
            } else {
                ""
            }
        ),
    ]
}

/// Where the file says something else than what is on record.
fn differences(config: &Config, view: &PartnerView) -> Vec<String> {
    let (offer, profile) = (&config.offer, &view.profile);
    let attributes = |pairs: Vec<(String, String)>| {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let on_file = offer.attributes.clone().into_iter().collect();
    let on_chain = profile.attributes.iter();
    let on_chain = on_chain.map(|(name, value)| (name.to_string(), value.to_string()));
    let pairs = [
        ("offer.name", offer.name.clone(), profile.name.to_string()),
        ("offer.ask", offer.ask.to_string(), profile.ask.to_string()),
        (
            "offer.places",
            offer.places.to_string(),
            profile.places.to_string(),
        ),
        (
            "offer.attributes",
            attributes(on_file),
            attributes(on_chain.collect()),
        ),
    ];
    let differing = pairs.into_iter().filter(|(_, file, chain)| file != chain);
    differing
        .map(|(key, file, chain)| {
            format!("{key} is {file} in partner.toml and {chain} on record: the daemon registers it when it starts anew or is sent SIGHUP")
        })
        .collect()
}

/// What the ledger says, as JSON and in lines.
fn ledger(dir: &Path) -> (Value, Vec<String>) {
    let book = match LedgerBook::read(dir) {
        Ok(Some(book)) => book,
        Ok(None) => {
            return (
                Value::Null,
                vec!["earned     nothing is known yet: the daemon keeps the ledger".to_owned()],
            );
        }
        Err(error) => {
            return (
                Value::Null,
                vec![format!("earned     the ledger cannot be read: {error}")],
            );
        }
    };
    let totals = book.totals;
    let entries = LedgerBook::entries(dir);
    let days = by_day(&entries);
    let mut lines = vec![format!(
        "earned     {} SQUARE for {} duties, {} unpaid; lost {}, fees {}, received {}; since the daemon's first look, {}: what was before is not counted",
        totals.earned,
        totals.paid,
        totals.unpaid,
        totals.lost,
        totals.fees,
        totals.received,
        date::minute(totals.since.0)
    )];
    for (day, [earned, lost, fees]) in days.iter().rev().take(DAYS) {
        lines.push(format!(
            "{day} earned {earned} SQUARE, lost {lost}, fees {fees}"
        ));
    }
    let latest: Vec<_> = entries.iter().rev().take(ENTRIES).collect();
    for entry in &latest {
        lines.push(format!(
            "           {}: {}",
            date::minute(entry.time.0),
            entry.words()
        ));
    }
    let days: Vec<_> = days
        .iter()
        .map(|(day, [earned, lost, fees])| json!({ "day": day, "earned": earned, "lost": lost, "fees": fees }))
        .collect();
    (
        json!({ "totals": totals, "days": days, "latest": latest }),
        lines,
    )
}

/// Earned, lost and fees of each day of which entries are kept.
fn by_day(entries: &[LedgerEntry]) -> BTreeMap<String, [Amount; 3]> {
    let mut days: BTreeMap<String, [Amount; 3]> = BTreeMap::new();
    for entry in entries {
        let sums = days.entry(date::day(entry.time.0)).or_default();
        for (sum, amount) in sums.iter_mut().zip([entry.earned, entry.lost, entry.fees]) {
            *sum = sum.checked_add(amount).unwrap_or(*sum);
        }
    }
    days
}

/// Chain time that is left, in words.
fn left(now: ChainTime, until: ChainTime) -> String {
    let seconds = until.0.saturating_sub(now.0) / 1_000;
    match seconds {
        0..=119 => format!("in {seconds} s"),
        120..=7_199 => format!("in {} min", seconds / 60),
        7_200..=172_799 => format!("in {} h", seconds / 3_600),
        _ => format!("in {} days", seconds / 86_400),
    }
}

/// The duties as a table, and whose word it is: the daemon itself acts on proven state alone.
fn duty_lines(view: &PartnerView, source: &str) -> Vec<String> {
    let header = [
        "job",
        "role",
        "stage",
        "awaits",
        "deadline",
        "locked",
        "a miss costs",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let none = || "-".to_owned();
    for lock in &view.locks {
        let (Some(job), Some(duty)) = (lock.job, &lock.duty) else {
            continue;
        };
        rows.push([
            job.to_string(),
            lock.reason.clone(),
            duty.stage.clone(),
            duty.awaits.clone().unwrap_or_else(none),
            duty.deadline
                .map_or_else(none, |until| left(view.chain_time, until)),
            lock.amount.to_string(),
            duty.miss_costs.map_or_else(none, |costs| costs.to_string()),
        ]);
    }
    let word = format!("as {source} says, without proof");
    if rows.len() == 1 {
        return vec![format!("duties     none, {word}")];
    }
    let table = aligned(&rows);
    let lines = table.lines().map(|line| format!("  {line}"));
    std::iter::once(format!("duties     {word}"))
        .chain(lines)
        .collect()
}

/// Locks that no job's duty shows, and bond on its way back.
fn lock_lines(view: &PartnerView, now_ms: u64) -> Vec<String> {
    let at = |until: ChainTime| {
        let ms = until.0.saturating_sub(view.chain_time.0);
        date::minute(now_ms.saturating_add(ms))
    };
    let words = |lock: &LockView| match (lock.job, lock.until) {
        (_, Some(until)) => format!(
            "locked     {} SQUARE until the results of settled jobs cannot be contradicted any more, about {}",
            lock.amount,
            at(until)
        ),
        (Some(job), None) => format!(
            "locked     {} SQUARE as {} of job {job}, until it ends",
            lock.amount, lock.reason
        ),
        (None, None) => format!("locked     {} SQUARE: {}", lock.amount, lock.reason),
    };
    let locks = view
        .locks
        .iter()
        .filter(|lock| lock.duty.is_none())
        .map(words);
    let unbonding = view.unbonding.iter().map(|unbonding| {
        let date = at(unbonding.deadline);
        format!(
            "unbonding  {} SQUARE, paid about {date}, at chain time {} ms",
            unbonding.amount, unbonding.deadline
        )
    });
    locks.chain(unbonding).collect()
}

/// What a status says of the cage.
fn cage_lines(cage: &Result<CageReport, PartnerError>) -> Vec<String> {
    let report = match cage {
        Ok(report) => report,
        Err(error) => return vec![format!("cage       {error}")],
    };
    let held: Vec<_> = report
        .layers()
        .filter(|(_, state)| state.gap().is_none())
        .map(|(layer, _)| layer.name())
        .collect();
    let mut lines = vec![format!("cage       held: {}", held.join(", "))];
    for (layer, state) in report.layers() {
        if let Some(gap) = state.gap() {
            lines.push(format!(
                "           {} {}: {gap}",
                state.name(),
                layer.name()
            ));
        }
    }
    lines
}

fn cage_object(cage: &Result<CageReport, PartnerError>) -> Value {
    let report = match cage {
        Ok(report) => report,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let layers = report.layers().map(|(layer, state)| {
        json!({
            "layer": layer.name(),
            "state": state.name(),
            "reason": state.gap().map(|gap| gap.to_string()),
        })
    });
    json!({ "layers": layers.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use partner::assignment::AssignmentRole;
    use types::hash::{Hash32, JobId};
    use types::number::{SQUARE, Timestamp};

    use super::*;

    #[test]
    fn a_day_sums_its_entries() {
        let entry = |day: u64, earned: u128| LedgerEntry {
            time: Timestamp(day * 86_400_000 + 5),
            earned: Amount(earned * SQUARE.0),
            role: Some(AssignmentRole::Primary),
            job: Some(JobId(Hash32::ZERO)),
            ..LedgerEntry::default()
        };
        let days = by_day(&[entry(0, 1), entry(0, 2), entry(1, 4)]);
        let earned: Vec<_> = days
            .iter()
            .map(|(day, sums)| (day.as_str(), sums[0].0 / SQUARE.0))
            .collect();
        assert_eq!(earned, [("1970-01-01", 3), ("1970-01-02", 4)]);
    }

    #[test]
    fn time_left_is_told_in_one_unit() {
        let cases = [
            (0, "in 0 s"),
            (119_000, "in 119 s"),
            (120_000, "in 2 min"),
            (7_200_000, "in 2 h"),
            (180_000_000, "in 2 days"),
        ];
        for (ms, words) in cases {
            assert_eq!(left(ChainTime(10), ChainTime(10 + ms)), words);
        }
        assert_eq!(left(ChainTime(10), ChainTime(0)), "in 0 s");
    }
}
