//! A devnet in a temporary folder, on ports of its own, which stops when it is dropped: for tests and measurements.

mod ports;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rpc::client::Client;
use types::number::Height;

use crate::devnet::plan::DevnetOptions;
use crate::devnet::process::wait_until;
use crate::devnet::{Devnet, ProcessRole, ready};

pub use ports::PortRange;

/// How long a devnet may take to its first final block.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A devnet of four validators and some partners. Its processes are stopped and its folder is removed when it is
/// dropped.
#[derive(Debug)]
pub struct TemporaryDevnet {
    /// Folder, manifest and processes.
    pub devnet: Devnet,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    _ports: PortRange,
}

impl Drop for TemporaryDevnet {
    fn drop(&mut self) {
        self.devnet.stop();
    }
}

impl TemporaryDevnet {
    /// Makes keys, genesis and configuration with `make`, which gets the folder for them and the first port. No process
    /// is started here.
    pub fn make(make: impl FnOnce(&Path, u16) -> Result<Devnet>) -> Result<Self> {
        let (ports, folder) = (PortRange::take()?, tempfile::tempdir()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let devnet = make(&folder.path().join("net"), ports.base_port())?;
        Ok(Self {
            devnet,
            folder,
            runtime,
            _ports: ports,
        })
    }

    /// Makes a devnet of four validators and `partners` partners and starts it with `binary`; `environment` gives
    /// variables for each process by its name. Returns when every validator has a final block, and fails if that takes
    /// more than a minute.
    pub fn start(
        binary: &Path,
        partners: u16,
        environment: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Result<Self> {
        let mut network = Self::make(|root, base_port| {
            let options = DevnetOptions {
                validators: 4,
                partners,
                base_port,
            };
            Devnet::create(root, &options)
        })?;
        network.run(binary, environment)?;
        Ok(network)
    }

    /// Starts a devnet that was made, with `binary`, as [`TemporaryDevnet::start`] does.
    pub fn run(
        &mut self,
        binary: &Path,
        environment: impl Fn(&str) -> Vec<(String, String)>,
    ) -> Result<()> {
        self.devnet.start(binary, environment)?;
        let mut heights = Ok(Vec::new());
        let started = wait_until(START_TIMEOUT, || {
            heights = self.heights();
            heights.as_ref().map_or(true, |heights| {
                heights
                    .iter()
                    .all(|height| height.is_some_and(|height| height > Height::ZERO))
            })
        });
        let heights = heights?;
        ensure!(
            started,
            "no final block within a minute; heights are {heights:?}"
        );
        Ok(())
    }

    /// A folder for the owner's files, removed with the devnet.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// RPC address of a validator, by its number.
    #[must_use]
    pub fn rpc(&self, validator: usize) -> &str {
        &self.devnet.manifest.rpc[validator]
    }

    /// A client of a validator, by its number.
    pub fn client(&self, validator: usize) -> Result<Client> {
        Client::new(self.rpc(validator)).context("a devnet's own URL")
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The final heights of the validators, `None` for one that does not answer. Fails if another network answers.
    pub fn heights(&self) -> Result<Vec<Option<Height>>> {
        self.block_on(ready::heights(&self.devnet.manifest))
    }

    /// The names of the processes of a role, in order.
    #[must_use]
    pub fn names(&self, role: ProcessRole) -> Vec<String> {
        let processes = self.devnet.manifest.processes.iter();
        processes
            .filter(|process| process.role == role)
            .map(|process| process.name.clone())
            .collect()
    }

    /// The end of each process's output, for a failed test.
    #[must_use]
    pub fn last_words(&self, lines: usize) -> String {
        let processes = self.devnet.manifest.processes.iter();
        let ends = processes.map(|process| {
            let log = std::fs::read_to_string(process.log()).unwrap_or_default();
            let spoken = log.lines().rev().filter(|line| !is_of_backtrace(line));
            let mut end: Vec<_> = spoken.take(lines).collect();
            end.push("");
            end.reverse();
            format!("--- {}{}", process.name, end.join("\n"))
        });
        ends.collect::<Vec<_>>().join("\n")
    }
}

/// True for a line of a backtrace, such as `  12: core::ops::function` or `   at src/main.rs:1:2`: these push the panic's own out of sight.
fn is_of_backtrace(line: &str) -> bool {
    let text = line.trim_start();
    let is_frame = text
        .split_once(": ")
        .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    line.starts_with(' ') && (is_frame || text.starts_with("at "))
}
