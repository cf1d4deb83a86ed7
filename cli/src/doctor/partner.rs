//! What commonly goes wrong with a partner.

use std::path::Path;

use keys::keyfile::{self, KeyKind};
use partner::config::{CONFIG_FILE, Config};
use partner::journal;
use rpc::Client;
use types::genesis::Genesis;
use types::hash::Address;
use types::words::counted;

use super::machine;
use super::validator::of_failure;
use crate::check::Check;
use crate::config;
use crate::failure::CommandFailure;
use crate::ui::now_ms;

/// A clock that is behind a final block by more is wrong, in milliseconds.
const CLOCK_MS: u64 = 500;

/// Every check of a partner, in the order in which one rests on another.
pub async fn checks(dir: &Path) -> Vec<Check> {
    let mut checks = vec![
        machine::key_folder(dir, true),
        machine::disk(dir, machine::age_ms(dir)),
    ];
    let config: Config = match config::load(&dir.join(CONFIG_FILE), []) {
        Ok(config) => config,
        Err(failure) => {
            checks.push(of_failure("configuration", &failure));
            return checks;
        }
    };
    checks.push(match config.check() {
        Ok(()) => Check::fine("configuration", dir.join(CONFIG_FILE).display().to_string()),
        Err(error) => Check::wrong(
            "configuration",
            error.to_string(),
            error.hint().unwrap_or("correct the key"),
        ),
    });
    let account = keyfile::read_public(&dir.join(&config.account_key), KeyKind::Account);
    let vrf = keyfile::read_vrf_public(&dir.join(&config.vrf_key)).map(|key| key.to_string());
    let shown = account.as_ref().map(ToString::to_string);
    for read in [
        shown.map_err(CommandFailure::of_key_file),
        vrf.map_err(|error| CommandFailure::of_key_file(&error)),
    ] {
        checks.push(match read {
            Ok(public) => Check::fine("key", public),
            Err(failure) => of_failure("key", &failure),
        });
    }
    let paths = [&config.account_key, &config.vrf_key].map(|path| dir.join(path));
    checks.extend(machine::key_files(&paths, dir));
    let inspected = journal::inspect(&dir.join("journal"));
    let runs = inspected.as_ref().is_ok_and(|status| status.in_use);
    checks.push(machine::metrics(&config.metrics, runs));
    checks.push(match inspected {
        Ok(status) => {
            let daemon = if status.in_use {
                "the daemon runs"
            } else {
                "the daemon is stopped"
            };
            let commitments = counted(status.commitments.len(), "commitment");
            Check::fine("journal", format!("{daemon}; {commitments} on disk"))
        }
        Err(error) => Check::wrong("journal", error.to_string(), error.hint()),
    });
    let genesis = match crate::node::read_genesis(&dir.join(&config.genesis)) {
        Ok(genesis) => genesis,
        Err(failure) => {
            checks.push(of_failure("genesis", &failure));
            return checks;
        }
    };
    checks.push(match config.check_endpoints(&genesis) {
        Ok(()) => Check::fine("endpoints", counted(config.endpoints.len(), "endpoint")),
        Err(error) => Check::wrong(
            "endpoints",
            error.to_string(),
            error.hint().unwrap_or_default(),
        ),
    });
    let own = account.ok().map(|key| key.address());
    for url in &config.endpoints {
        checks.extend(endpoint(url, &genesis, own).await);
    }
    checks
}

/// Whether an endpoint serves this chain, stands where it should, and how the clock stands beside it.
async fn endpoint(url: &str, genesis: &Genesis, own: Option<Address>) -> Vec<Check> {
    let name = "endpoint";
    let asked = match Client::new(url) {
        Ok(client) => client.status().await.map(|status| (client, status)),
        Err(error) => Err(error),
    };
    let (client, status) = match asked {
        Ok(answer) => answer,
        Err(error) => return vec![Check::wrong(name, error.to_string(), error.hint())],
    };
    if status.chain_id != genesis.chain_id() {
        let found = format!(
            "{url} serves the chain {}, the genesis is of {}",
            status.chain_id,
            genesis.chain_id()
        );
        return vec![Check::wrong(
            name,
            found,
            "give an endpoint of this chain, or the genesis of that one",
        )];
    }
    let found = format!("{url} answers, at height {}", status.height);
    let mut checks = vec![match &status.stalled {
        Some(reason) => Check::doubtful(
            name,
            format!("{found}: {reason}"),
            "give a further endpoint, of another operator",
        ),
        None if status.catching_up => Check::doubtful(
            name,
            format!("{found}, and is catching up"),
            "give a further endpoint",
        ),
        None => Check::fine(name, found),
    }];
    let behind = status.block_time.0.saturating_sub(now_ms());
    if behind > CLOCK_MS {
        checks.push(Check::wrong(
            "clock",
            format!("{behind} ms behind the newest block of {url}"),
            "keep it by NTP: systemctl status systemd-timesyncd, or chronyc tracking",
        ));
    }
    if let Some(own) = own {
        checks.push(match client.partner(own).await {
            Ok(view) => Check::fine(
                "registered",
                format!(
                    "as {}, with a bond of {} SQUARE",
                    view.profile.name, view.bond
                ),
            ),
            Err(error) if error.is_not_found() => Check::doubtful(
                "registered",
                format!("{own} is not registered yet"),
                "gridproof partner start does that; it needs SQUARE for bond and fees",
            ),
            Err(error) => Check::doubtful("registered", error.to_string(), error.hint()),
        });
    }
    checks
}
