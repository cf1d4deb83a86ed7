//! The configuration as a TOML document with a comment above every key.

use toml::Value;

use super::{Config, Offer};

/// What the file begins with.
const HEADER: &str = "\
# gridproof partner. Every key can be overridden by GRIDPROOF__KEY or GRIDPROOF_SECTION__KEY, and
# that by --set KEY=VALUE or --set SECTION.KEY=VALUE of `gridproof partner start`.

";

/// The file of a configuration, each key below its comment.
pub(super) fn commented(config: &Config) -> String {
    let mut file = CommentedToml(HEADER.to_owned());
    file.key(
        "RPC URLs of two or more validators, best of different operators. None of them is trusted.",
        "endpoints",
        &Value::Array(config.endpoints.iter().map(|url| text(url)).collect()),
    );
    file.key(
        "The chain's genesis: what every proof is checked against.",
        "genesis",
        &text(&config.genesis.to_string_lossy()),
    );
    file.key(
        "Key file of the account that signs, pays fees and owns the bond.",
        "account_key",
        &text(&config.account_key.to_string_lossy()),
    );
    file.key(
        "Key file of the VRF key that proves sortitions.",
        "vrf_key",
        &text(&config.vrf_key.to_string_lossy()),
    );
    file.key(
        "The bond to keep, in SQUARE; filled up from the account. Lower it before `gridproof partner unbond`.",
        "bond",
        &text(&config.bond.to_string()),
    );
    file.key(
        "What stays on the account for fees, in SQUARE.",
        "reserve",
        &text(&config.reserve.to_string()),
    );
    file.key(
        "Checks at the same time, at least 1. The places of the offer, for jobs as primary, are beside them.",
        "verification_places",
        &number(config.verification_places.into()),
    );
    file.key(
        "Pause between two reads of the chain, in milliseconds, 10 to 60000.",
        "poll_ms",
        &number(config.poll_ms),
    );
    file.key(
        "Maximum of jobs' inputs kept on disk, and of one job's results, in bytes.",
        "blob_quota_bytes",
        &number(config.blob_quota_bytes),
    );
    file.key(
        "Maximum time of one task on this machine, in milliseconds; jobs with longer ones are declined, at a cost.",
        "task_wall_ms",
        &number(config.task_wall_ms),
    );
    if let Some(worker) = &config.worker {
        file.key(
            "The program whose `worker` command runs tasks.",
            "worker",
            &text(&worker.to_string_lossy()),
        );
    }
    file.section(
        "What the partner offers; registered on chain when it changes, counts one epoch later.",
        "offer",
    );
    offer(&config.offer, &mut file);
    file.0
}

fn offer(offer: &Offer, file: &mut CommentedToml) {
    file.key("A name for people.", "name", &text(&offer.name));
    file.key(
        "Minimum price per million units of fuel, in SQUARE.",
        "ask",
        &text(&offer.ask.to_string()),
    );
    file.key(
        "Jobs that it runs as primary at the same time, at least 1.",
        "places",
        &number(offer.places.into()),
    );
    file.section(
        "What jobs may ask for: location, jurisdiction, hardware, energy source, ...",
        "offer.attributes",
    );
    for (key, attribute) in &offer.attributes {
        file.line(&text(key).to_string(), &text(attribute));
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A whole number; TOML's are signed.
fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A TOML document as it grows, in the order of the file.
struct CommentedToml(String);

impl CommentedToml {
    fn section(&mut self, comment: &str, name: &str) {
        self.0.extend(["\n# ", comment, "\n[", name, "]\n"]);
    }

    fn key(&mut self, comment: &str, key: &str, value: &Value) {
        self.0.extend(["# ", comment, "\n"]);
        self.line(key, value);
    }

    fn line(&mut self, key: &str, value: &Value) {
        self.0.extend([key, " = ", &value.to_string(), "\n"]);
    }
}
