//! A devnet for a measurement, stopped when it is dropped, and the CPU time of its processes.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rpc::client::Client;
use testnet::devnet::ProcessRole;
use testnet::temporary::TemporaryDevnet;
use types::key::SecretKey;

use crate::process::cpu_ms;

/// The binary that is measured: `GRIDPROOF_BIN`, or the one that cargo built beside this program.
pub fn binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("GRIDPROOF_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let binary = std::env::current_exe()?.with_file_name("gridproof");
    ensure!(
        binary.exists(),
        "there is no {}: build it with `cargo build --workspace --bins`, or name one in GRIDPROOF_BIN",
        binary.display()
    );
    Ok(binary)
}

/// A running devnet of four validators.
pub struct MeasuredNetwork {
    /// The devnet, which stops when this is dropped.
    pub net: TemporaryDevnet,
    /// Runs the asynchronous parts of a measurement.
    pub runtime: tokio::runtime::Runtime,
}

impl MeasuredNetwork {
    /// Starts a devnet with [`binary`].
    pub fn up(partners: u16) -> Result<Self> {
        let net = TemporaryDevnet::start(&binary()?, partners, |_| {
            vec![("GRIDPROOF_LOG".to_owned(), "warn".to_owned())]
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self { net, runtime })
    }

    /// A client of each validator.
    pub fn clients(&self) -> Result<Vec<Client>> {
        self.net
            .devnet
            .manifest
            .rpc
            .iter()
            .map(|url| Client::new(url).context("a devnet's own URL"))
            .collect()
    }

    /// Key of the funded account that pays for the measured transactions and jobs.
    pub fn customer(&self) -> Result<SecretKey> {
        let path = &self.net.devnet.manifest.customer_key;
        Ok(keys::keyfile::read_secret(
            path,
            keys::keyfile::KeyKind::Account,
            &keys::passphrase::Passphrases::none(),
        )?)
    }

    /// CPU time that the validators used so far, in milliseconds.
    pub fn validator_cpu_ms(&self) -> u64 {
        let validators = self
            .net
            .devnet
            .manifest
            .processes
            .iter()
            .filter(|process| process.role == ProcessRole::Validator);
        validators.map(|process| cpu_ms(process.pid)).sum()
    }
}
