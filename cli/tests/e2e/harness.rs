//! A devnet of real processes for one test, and the command line that a person would use on it.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keys::keyfile::{self, KeyKind};
use rpc::client::Client;
use rustix::process::Signal;
use serde_json::Value;
use testnet::devnet::process::{signal, wait_until};
use testnet::devnet::{Devnet, ProcessRole};
use testnet::temporary::TemporaryDevnet;
use types::hash::Address;

/// The binary under test, which cargo builds before it runs these tests.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gridproof"))
}

/// What a command printed.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output as JSON, or null.
    pub json: Value,
    /// All of standard error, as text.
    pub stderr: String,
}

impl Output {
    /// The JSON of a command that succeeded.
    #[track_caller]
    pub fn success(self) -> Value {
        assert_eq!(self.code, 0, "{}\n{}", self.stderr, self.json);
        self.json
    }

    /// Checks how a command failed: its exit code, the error's code, a part of the message and a part of the hint.
    #[track_caller]
    pub fn fails(&self, exit: i32, code: &str, message: &str, hint: &str) {
        let error = &self.json["error"];
        let shown = format!("exit code {}\n{}\n{}", self.code, self.stderr, self.json);
        assert_eq!(self.code, exit, "{shown}");
        assert_eq!(error["code"], code, "{shown}");
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "no {message:?} in the message: {shown}"
        );
        assert!(
            error["hint"].as_str().unwrap_or_default().contains(hint),
            "no {hint:?} in the hint: {shown}"
        );
        assert!(
            self.stderr.contains(" hint: "),
            "people are told what to do, too: {shown}"
        );
    }
}

/// Runs gridproof with `--json`.
#[track_caller]
pub fn gridproof(arguments: &[&str]) -> Output {
    finish(spawn(arguments))
}

/// Starts gridproof with `--json` in the background.
pub fn spawn(arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(arguments)
        .arg("--json")
        // Not into the record of whoever runs the tests.
        .env(
            "GRIDPROOF_JOBS",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("jobs.jsonl"),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A devnet that stops when the test ends, however it ends.
pub struct Net(TemporaryDevnet);

impl Deref for Net {
    type Target = TemporaryDevnet;

    fn deref(&self) -> &TemporaryDevnet {
        &self.0
    }
}

impl DerefMut for Net {
    fn deref_mut(&mut self) -> &mut TemporaryDevnet {
        &mut self.0
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words(12));
        }
    }
}

impl Net {
    /// Makes and starts a devnet; returns when every validator has a final block.
    pub fn up(partners: u16) -> Self {
        Self(TemporaryDevnet::start(binary(), partners, |_| Vec::new()).unwrap())
    }

    /// A devnet that runs already.
    pub fn of(devnet: TemporaryDevnet) -> Self {
        Self(devnet)
    }

    /// Makes and starts a devnet as a person does: `gridproof devnet up --detach`.
    pub fn up_by_command(partners: u16) -> Self {
        let mut output = None;
        let made = TemporaryDevnet::make(|root, base_port| {
            let (partners, base_port) = (partners.to_string(), base_port.to_string());
            let up = [
                "devnet",
                "up",
                "--validators",
                "4",
                "--partners",
                &partners,
                "--base-port",
                &base_port,
                "--detach",
            ];
            output = Some(gridproof(&[&up[..], &["--dir", text(root)]].concat()));
            Ok(Devnet::open(root)?.expect("a manifest, whatever happened"))
        });
        let net = Self(made.unwrap());
        let printed = output.unwrap().success();
        assert_eq!(
            printed,
            serde_json::to_value(&net.devnet.manifest).unwrap(),
            "the manifest is what is printed"
        );
        net
    }

    /// Waits for a condition, or fails naming it.
    #[track_caller]
    pub fn wait(&self, what: &str, seconds: u64, mut condition: impl FnMut(&Self) -> bool) {
        assert!(
            wait_until(Duration::from_secs(seconds), || condition(self)),
            "no {what} within {seconds} s"
        );
    }

    /// The customer's key file.
    pub fn customer(&self) -> &str {
        self.devnet.manifest.customer_key.to_str().unwrap()
    }

    /// Client of the HTTP interface of the validator with this number.
    pub fn client(&self, validator: usize) -> Client {
        self.0.client(validator).unwrap()
    }

    /// The final heights of all validators.
    pub fn heights(&self) -> Vec<Option<u64>> {
        let heights = self.0.heights().unwrap();
        heights
            .into_iter()
            .map(|height| height.map(|height| height.0))
            .collect()
    }

    /// Kills a process as a power cut would.
    pub fn kill(&mut self, name: &str) {
        self.signal(name, Signal::KILL);
        let process = self.devnet.process_mut(name).unwrap().clone();
        assert!(
            wait_until(Duration::from_secs(10), || !process.is_running()),
            "{name} does not die"
        );
    }

    /// Sends a signal to a process.
    pub fn signal(&mut self, name: &str, what: Signal) {
        signal(self.devnet.process_mut(name).unwrap().pid, what);
    }

    /// Starts a process again.
    pub fn restart(&mut self, name: &str) {
        self.devnet
            .process_mut(name)
            .unwrap()
            .start(binary(), &[])
            .unwrap();
        self.devnet.save().unwrap();
    }

    /// Starts a process anew as a person does: `gridproof devnet restart`. It stops with the test like the others.
    pub fn restart_by_command(&mut self, name: &str) {
        let dir = text(self.devnet.root()).to_owned();
        let restarted = gridproof(&["devnet", "restart", name, "--dir", &dir]).success();
        let pid = u32::try_from(restarted["pid"].as_u64().unwrap()).unwrap();
        self.devnet.process_mut(name).unwrap().pid = pid;
    }

    /// The partner process of an address.
    pub fn partner_of(&self, address: Address) -> String {
        let found = self.names(ProcessRole::Partner).into_iter().find(|name| {
            let key = self.devnet.root().join(name).join("keys/account.key");
            keyfile::read_public(&key, KeyKind::Account)
                .unwrap()
                .address()
                == address
        });
        found.unwrap_or_else(|| panic!("no partner has the address {address}"))
    }

    /// Starts a job in the background.
    pub fn spawn_job(&self, spec: &Path, out: &Path) -> Child {
        let genesis = self.devnet.genesis();
        let job = [
            "job",
            "run",
            text(spec),
            "--rpc",
            self.rpc(0),
            "--key",
            self.customer(),
        ];
        spawn(&[&job[..], &["--genesis", text(&genesis), "--out", text(out)]].concat())
    }

    /// Runs a job to its end.
    #[track_caller]
    pub fn run_job(&self, spec: &Path, out: &Path) -> Output {
        finish(self.spawn_job(spec, out))
    }
}

/// Waits for the end of a command that runs in the background.
pub fn finish(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Writes a job over the histogram program into a folder and returns its spec.
pub fn histogram(folder: &Path, tasks: u32, verifiers: u32) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let module = types::testing::program_path(env!("CARGO_TARGET_TMPDIR"), "histogram");
    std::fs::copy(module, folder.join("histogram.wasm")).unwrap();
    let numbers: Vec<_> = (0..5_000u32)
        .map(|i| (f64::from(i * 7919 % 10_007) / 10_007.0).to_string())
        .collect();
    std::fs::write(folder.join("data.txt"), numbers.join("\n")).unwrap();
    let spec = folder.join("job.yaml");
    let text = format!(
        "version: gridproof/v1\nname: e2e\nengine: {{type: wasm, params: {{module: histogram.wasm}}}}\n\
         inputs: [{{source: data.txt, target: /in/data}}]\noutputs: [{{name: hist, path: /out/hist.csv}}]\n\
         tasks: {{array: {tasks}}}\nverification: {{verifiers: {verifiers}, tasks: all}}\n"
    );
    std::fs::write(&spec, text).unwrap();
    spec
}
