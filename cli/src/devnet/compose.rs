//! `gridproof devnet compose`: a docker-compose.yml for a devnet of any size. The repository's own is what it writes
//! for four validators and five partners.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use testnet::devnet::plan::{self, CONTAINER_METRICS_PORT, CONTAINER_RPC_PORT, DevnetOptions};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

const HEAD: &str = include_str!("compose/head.yml");
const TAIL: &str = include_str!("compose/tail.yml");

/// Writes the file, or prints it.
pub fn write(options: &DevnetOptions, out: Option<&Path>, ui: Ui) -> Result<(), CommandFailure> {
    plan::ports(options).map_err(|error| {
        CommandFailure::new(ExitKind::BadInput, "devnet", format!("{error:#}"))
            .hint("1 to 64 validators, at most 64 partners, ports between 1024 and 65534")
    })?;
    let text = file(options);
    let Some(path) = out else {
        ui.result(&json!({ "compose": text }), text.trim_end());
        return Ok(());
    };
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| {
        CommandFailure::new(
            ExitKind::BadInput,
            "out",
            format!("cannot write {}: {error}", path.display()),
        )
        .hint("give a file that does not exist yet; docker-compose -f takes any name")
    })?;
    ui.result(&json!({ "path": path }), &done(path));
    Ok(())
}

/// What is said of a file that is written: how it is started, beside a devnet of the same folder.
fn done(path: &Path) -> String {
    let start = match (path.file_name(), path.file_stem()) {
        (Some(name), Some(stem)) if name != "docker-compose.yml" => {
            let project = stem.to_string_lossy().to_lowercase();
            format!("docker-compose -p {project} -f {}", path.display())
        }
        _ => "docker-compose".to_owned(),
    };
    format!("{} is written: {start} up --detach", path.display())
}

/// The whole file.
fn file(options: &DevnetOptions) -> String {
    let DevnetOptions {
        validators,
        partners,
        base_port,
    } = *options;
    let mut text = HEAD
        .replace("VALIDATORS", &validators.to_string())
        .replace("PARTNERS", &partners.to_string())
        .replace("BASE_PORT", &base_port.to_string())
        .replace("FIRST_RPC", &(base_port + 1).to_string());
    for index in 0..validators {
        let port = base_port + 2 * index + 1;
        let _ = write!(
            text,
            "
  validator-{index}:
    <<: *process
    command: node start --dir /devnet/validator-{index}
    ports: [\"127.0.0.1:{port}:{CONTAINER_RPC_PORT}\"]
    healthcheck: *validator-health
"
        );
    }
    for index in 0..partners {
        let _ = write!(
            text,
            "
  partner-{index}:
    <<: *process
    command: partner start --dir /devnet/partner-{index}
    healthcheck:
      <<: *partner-health
      test: [\"CMD\", \"gridproof\", \"partner\", \"status\", \"--dir\", \"/devnet/partner-{index}\"]
"
        );
    }
    text.push_str(TAIL);
    text
}

/// What Prometheus scrapes of such a devnet, in the form of its `file_sd_configs`.
pub fn targets(options: &DevnetOptions) -> Value {
    let of = |role: &str, count: u16| -> Vec<Value> {
        let each = (0..count).map(|index| format!("{role}-{index}"));
        each.map(|name| {
            json!({
                "targets": [format!("{name}:{CONTAINER_METRICS_PORT}")],
                "labels": { "instance": name, "role": role },
            })
        })
        .collect()
    };
    let mut all = of("validator", options.validators);
    all.extend(of("partner", options.partners));
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_file_is_what_the_command_writes() {
        let written = include_str!("../../../docker-compose.yml");
        let options = DevnetOptions {
            validators: 4,
            partners: 5,
            base_port: 26_600,
        };
        assert_eq!(
            written,
            file(&options),
            "gridproof devnet compose > docker-compose.yml"
        );
    }

    #[test]
    fn a_file_of_another_name_is_started_by_that_name_with_volumes_of_its_own() {
        let said = done(Path::new("/net/seven.yml"));
        let start = "docker-compose -p seven -f /net/seven.yml up --detach";
        assert_eq!(said, format!("/net/seven.yml is written: {start}"));
        let said = done(Path::new("docker-compose.yml"));
        assert_eq!(
            said,
            "docker-compose.yml is written: docker-compose up --detach"
        );
    }

    #[test]
    fn what_the_file_mounts_is_in_the_repository_and_in_the_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let package = std::fs::read_to_string(root.join("scripts/package")).unwrap();
        let mounts: Vec<_> = TAIL.split("- ./").skip(1).collect();
        assert_eq!(mounts.len(), 3);
        for mount in mounts {
            let path = mount.split(':').next().unwrap();
            assert!(root.join(path).is_dir(), "{path}");
            let copied: Vec<_> = path.split('/').take(2).collect();
            assert!(package.contains(&copied.join("/")), "{path}");
        }
    }

    #[test]
    fn every_process_is_a_service_and_a_target_once() {
        let options = DevnetOptions {
            validators: 7,
            partners: 2,
            base_port: 30_000,
        };
        let text = file(&options);
        let targets = targets(&options);
        assert_eq!(targets.as_array().unwrap().len(), 9);
        for target in targets.as_array().unwrap() {
            let name = target["labels"]["instance"].as_str().unwrap();
            assert_eq!(text.matches(&format!("\n  {name}:\n")).count(), 1, "{name}");
        }
        assert!(text.contains("127.0.0.1:30013:26601"), "{text}");
    }
}
