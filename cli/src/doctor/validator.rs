//! What commonly goes wrong with a validator.

use std::net::SocketAddr;
use std::path::Path;

use keys::keyfile::{self, KeyFileError, KeyKind};
use keys::signer::client;
use node::config::{Config, Layout};
use rpc::Client;
use rpc::model::Status;
use types::genesis::Genesis;
use types::key::PublicKey;
use types::params::NEWEST_PROTOCOL_VERSION;
use types::words::counted;

use super::machine;
use crate::check::Check;
use crate::config;
use crate::failure::CommandFailure;
use crate::ui::now_ms;

/// A clock that differs by more from the others' makes a validator miss its views, in milliseconds.
const CLOCK_MS: u64 = 200;

/// Every check of a validator, in the order in which one rests on another.
pub async fn checks(dir: &Path, database: bool) -> Vec<Check> {
    let layout = Layout::new(dir);
    let config: Result<Config, _> = config::load(&layout.config(), []);
    let address = config
        .as_ref()
        .ok()
        .and_then(|config| config.keys.signer.as_ref());
    let signer = address.map(|address| address.path(dir));
    let (found, own) = own_key(&layout, signer.as_deref());
    let mut checks = vec![machine::key_folder(&dir.join("keys"), false), found];
    checks.push(key(
        keyfile::read_public(&layout.node_key(), KeyKind::Node).map(|key| key.to_string())
    ));
    checks.push(key(
        keyfile::read_vrf_public(&layout.vrf_key()).map(|key| key.to_string())
    ));
    let mut paths = vec![layout.node_key(), layout.vrf_key()];
    if signer.is_none() {
        paths.push(layout.validator_key());
    }
    checks.extend(machine::key_files(&paths, dir));
    let genesis = crate::node::read_genesis(&layout.genesis());
    checks.push(match &genesis {
        Ok(genesis) => own_member(own, genesis),
        Err(failure) => of_failure("genesis", failure),
    });
    checks.push(vote_log(&layout));
    // Who joined late, or was restored, has grown for less long than the chain.
    let chain = genesis
        .ok()
        .map(|genesis| now_ms().saturating_sub(genesis.time.0));
    let age = chain.into_iter().chain(machine::age_ms(&layout.db())).min();
    checks.push(machine::disk(dir, age));
    let config = match config {
        Ok(config) => config,
        Err(failure) => {
            checks.push(of_failure("configuration", &failure));
            return checks;
        }
    };
    checks.push(Check::fine(
        "configuration",
        layout.config().display().to_string(),
    ));
    let status = status(config.rpc.listen).await;
    checks.extend(of_listen(&config));
    checks.push(machine::metrics(&config.metrics, status.is_some()));
    let Some(status) = status else {
        checks.extend(of_stopped(dir, &config, database));
        return checks;
    };
    let found = format!("runs, at height {}", status.height);
    checks.push(Check::fine("daemon", found));
    checks.push(of_peers(&status));
    checks.extend(of_bootstrap(&status, &config));
    checks.extend(of_chain(&status));
    checks.extend(of_versions(&status));
    if database {
        let why = "the validator runs: stop it to have its database read";
        checks.push(Check::skipped("database", why));
    }
    checks
}

/// What can be seen of a validator that is stopped.
fn of_stopped(dir: &Path, config: &Config, database: bool) -> Vec<Check> {
    let why = "is stopped, or does not answer at rpc.listen";
    let mut checks = vec![
        Check::skipped("daemon", why),
        Check::skipped(
            "clock",
            "compared with the others' blocks while the validator runs",
        ),
        machine::port("rpc_port", "rpc.listen", config.rpc.listen),
    ];
    let listen = config.p2p.listen.iter().filter_map(|text| socket(text));
    checks.extend(listen.map(|address| machine::port("p2p_port", "p2p.listen", address)));
    checks.push(read_database(dir, config, database));
    checks
}

fn key(read: Result<String, KeyFileError>) -> Check {
    match read {
        Ok(public) => Check::fine("key", public),
        Err(error) => of_failure("key", &CommandFailure::of_key_file(&error)),
    }
}

/// A failure of a command as a finding.
pub fn of_failure(name: &'static str, failure: &CommandFailure) -> Check {
    let hint = failure.hint.clone().unwrap_or_default();
    Check::wrong(name, failure.message.clone(), hint)
}

/// The validator's public key, of its file or as its signer says it, with what was found. A signer that serves the node answers others, too.
fn own_key(layout: &Layout, signer: Option<&Path>) -> (Check, Option<PublicKey>) {
    let Some(socket) = signer else {
        let read = keyfile::read_public(&layout.validator_key(), KeyKind::Validator);
        let own = read.as_ref().ok().copied();
        return (key(read.map(|public| public.to_string())), own);
    };
    match client::public_key(socket) {
        Ok(public) => {
            let found = format!("{public}, at {}", socket.display());
            (Check::fine("signer", found), Some(public))
        }
        Err(error) => {
            let hint =
                "start gridproof signer, or look at its log; without it the node votes nothing";
            (Check::wrong("signer", error.to_string(), hint), None)
        }
    }
}

fn own_member(own: Option<PublicKey>, genesis: &Genesis) -> Check {
    let found = format!(
        "{}, chain {}, {}",
        genesis.name.as_str(),
        genesis.chain_id(),
        counted(genesis.validators.len(), "validator")
    );
    if own.is_some_and(|own| genesis.validators.iter().any(|member| member.key == own)) {
        return Check::fine("genesis", found);
    }
    Check::doubtful(
        "genesis",
        format!("{found}; this validator's key is none of theirs"),
        "it follows the chain and votes only if a later committee has its key; else check that keys and genesis belong together",
    )
}

fn vote_log(layout: &Layout) -> Check {
    let path = layout.log();
    if path.is_dir() {
        return Check::fine("vote_log", path.display().to_string());
    }
    Check::wrong(
        "vote_log",
        format!("{} is missing", path.display()),
        "a new validator: gridproof node init; one that has voted must not start without it: docs/operate/validator.md, lost disk",
    )
}

/// Where a node stands, if it answers.
async fn status(listen: SocketAddr) -> Option<Status> {
    let url = format!("http://{}", machine::from_here(listen));
    Client::new(&url).ok()?.status().await.ok()
}

fn of_peers(status: &Status) -> Check {
    let others = status.committee_size.saturating_sub(1);
    let found = format!(
        "{} of {others} other validators are connected",
        status.peers
    );
    match status.peers {
        0 if others > 0 => Check::wrong(
            "peers",
            found,
            "is p2p.listen reachable from outside, and does p2p.bootstrap name a validator that runs? docs/operate/validator.md lists the ports",
        ),
        peers if peers < others / 2 => Check::doubtful(
            "peers",
            found,
            "gridproof node validators shows which are missing and where they should be",
        ),
        _ => Check::fine("peers", found),
    }
}

fn of_bootstrap(status: &Status, config: &Config) -> Option<Check> {
    (config.p2p.bootstrap.is_empty() && status.committee_size > 1).then(|| {
        Check::doubtful(
            "bootstrap",
            "p2p.bootstrap is empty",
            "name two or more validators, so that it finds the network after a restart",
        )
    })
}

/// A validator that only its own machine can reach, among others that are elsewhere.
fn of_listen(config: &Config) -> Option<Check> {
    let is_local = |text: &String| socket(text).is_some_and(|address| address.ip().is_loopback());
    let p2p = &config.p2p;
    let apart = p2p.listen.iter().all(is_local) && !p2p.bootstrap.iter().all(is_local);
    apart.then(|| {
        Check::wrong(
            "p2p_listen",
            format!("p2p.listen is {}, which no other machine reaches", p2p.listen.join(", ")),
            "listen at /ip4/0.0.0.0/tcp/26600 or an address of this machine, and give p2p.external where the others find it",
        )
    })
}

/// The clock beside the others', the chain, and what the program found wrong with itself.
fn of_chain(status: &Status) -> Vec<Check> {
    let clock = match status.clock_ahead_ms {
        None => Check::skipped("clock", "not compared with the others' blocks yet"),
        Some(ahead) if ahead.unsigned_abs() > CLOCK_MS => Check::wrong(
            "clock",
            format!("{ahead} ms ahead of the others'"),
            "keep it by NTP: systemctl status systemd-timesyncd, or chronyc tracking",
        ),
        Some(ahead) => Check::fine("clock", format!("{ahead} ms ahead of the others'")),
    };
    let chain = match &status.stalled {
        Some(reason) => {
            let hint = "see the log of this node, and ask the other operators";
            Check::wrong("chain", reason.clone(), hint)
        }
        None if status.catching_up => Check::doubtful(
            "chain",
            "is catching up",
            "wait; the log says how far it is",
        ),
        None => Check::fine("chain", format!("grows, at height {}", status.height)),
    };
    let alarms = status.alarms.iter().map(|alarm| {
        let hint = "a fault of the program that was contained: report it";
        Check::wrong("alarm", alarm.clone(), hint)
    });
    [clock, chain].into_iter().chain(alarms).collect()
}

fn of_versions(status: &Status) -> Vec<Check> {
    let (own, newest) = (env!("CARGO_PKG_VERSION"), NEWEST_PROTOCOL_VERSION);
    let mut checks = Vec::new();
    if status.version != own {
        let found = format!(
            "the daemon is gridproof {}, this program {own}",
            status.version
        );
        let hint = "restart the daemon if it was upgraded";
        checks.push(Check::doubtful("build", found, hint));
    }
    if status.protocol_version > newest {
        let version = status.protocol_version;
        let found = format!("version {version} is in force, this build knows up to {newest}");
        checks.push(Check::wrong("protocol", found, "install a newer gridproof"));
    }
    checks.extend(status.next_version.map(|next| {
        let found = format!("version {} from height {} on", next.version, next.height);
        if next.known {
            return Check::fine("upgrade", format!("{found}, which the daemon knows"));
        }
        let found = format!("{found}, which the daemon does not know: it stops there");
        Check::wrong(
            "upgrade",
            found,
            "install a newer gridproof before that height",
        )
    }));
    checks
}

fn read_database(dir: &Path, config: &Config, wanted: bool) -> Check {
    if !wanted {
        return Check::skipped(
            "database",
            "not read; --database reads all of it under its checksums",
        );
    }
    if !Layout::new(dir).db().is_dir() {
        return Check::skipped("database", "there is none: the validator has not run yet");
    }
    match node::audit(dir, config) {
        Ok(audit) => Check::fine(
            "database",
            format!(
                "{}, {}: read under their checksums, and the state has the root that the blocks say",
                counted(audit.blocks, "block"),
                counted(audit.values, "value")
            ),
        ),
        Err(error) => Check::wrong("database", error.to_string(), error.hint()),
    }
}

/// The socket of a multiaddress such as `/ip4/127.0.0.1/tcp/26600`.
fn socket(multiaddress: &str) -> Option<SocketAddr> {
    let parts: Vec<_> = multiaddress.split('/').collect();
    let ["", "ip4" | "ip6", ip, "tcp", port, ..] = parts[..] else {
        return None;
    };
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_multiaddress_is_found() {
        let of = |text| socket(text).map(|address| address.to_string());
        assert_eq!(
            of("/ip4/127.0.0.1/tcp/26600").as_deref(),
            Some("127.0.0.1:26600")
        );
        assert_eq!(of("/ip6/::1/tcp/1/p2p/x").as_deref(), Some("[::1]:1"));
        for other in ["", "/dns4/a/tcp/1", "/ip4/127.0.0.1/udp/1", "/ip4/x/tcp/1"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn who_listens_on_its_own_machine_alone_is_told_unless_the_others_are_there() {
        let found = |listen: &str, bootstrap: &str| {
            let mut config = Config::default();
            config.p2p.listen = vec![listen.to_owned()];
            config.p2p.bootstrap = vec![bootstrap.to_owned()];
            of_listen(&config).is_some()
        };
        let (here, there) = ("/ip4/127.0.0.1/tcp/26600", "/dns4/basel.example/tcp/26600");
        assert!(found(here, there));
        assert!(!found(here, here));
        assert!(!found("/ip4/0.0.0.0/tcp/26600", there));
    }
}
