//! A devnet for a measurement, stopped when it is dropped, and the CPU time of its processes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rpc::client::Client;
use testnet::devnet::plan::Options;
use testnet::devnet::process::wait_until;
use testnet::devnet::{Devnet, Role, ready};
use types::key::SecretKey;

/// A running devnet in a temporary folder.
pub struct Network {
    /// Its processes.
    pub devnet: Devnet,
    /// Runs the asynchronous parts of a measurement.
    pub runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.devnet.stop();
    }
}

impl Network {
    /// Starts a devnet with the binary that `GRIDPROOF_BIN` names.
    pub fn up(partners: u16, base_port: u16) -> Result<Self> {
        let binary = PathBuf::from(
            std::env::var_os("GRIDPROOF_BIN").context("GRIDPROOF_BIN names the binary")?,
        );
        let folder = tempfile::tempdir()?;
        let options = Options {
            validators: 4,
            partners,
            base_port,
        };
        let devnet = Devnet::create(&folder.path().join("net"), &options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut network = Self {
            devnet,
            runtime,
            _folder: folder,
        };
        network.devnet.start(&binary, |_| {
            vec![("GRIDPROOF_LOG".to_owned(), "warn".to_owned())]
        })?;
        let mut refusal = None;
        let ready = wait_until(Duration::from_mins(1), || {
            match network
                .runtime
                .block_on(ready::heights(&network.devnet.manifest))
            {
                Ok(heights) => heights
                    .iter()
                    .all(|height| height.is_some_and(|height| height.0 > 2)),
                Err(error) => {
                    refusal = Some(error);
                    true
                }
            }
        });
        if let Some(error) = refusal {
            return Err(error);
        }
        ensure!(ready, "the devnet does not start");
        Ok(network)
    }

    /// A client of each validator.
    pub fn clients(&self) -> Result<Vec<Client>> {
        self.devnet
            .manifest
            .rpc
            .iter()
            .map(|url| Client::new(url).context("a devnet's own URL"))
            .collect()
    }

    /// The customer's key.
    pub fn customer(&self) -> Result<SecretKey> {
        let path = &self.devnet.manifest.customer_key;
        Ok(keys::keyfile::read_secret(
            path,
            keys::keyfile::KeyKind::Account,
        )?)
    }

    /// CPU time that the validators used so far, in milliseconds.
    pub fn validator_cpu_ms(&self) -> u64 {
        let validators = self
            .devnet
            .manifest
            .processes
            .iter()
            .filter(|process| process.role == Role::Validator);
        validators.map(|process| cpu_ms(process.pid)).sum()
    }
}

/// User and system time of a process (fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms).
fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) * 10
}
