//! A devnet of real processes for one test, and the command line that a person would use on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gridproof_testnet::devnet::plan::Options;
use gridproof_testnet::devnet::process::{signal, wait_until};
use gridproof_testnet::devnet::{Devnet, Role};
use rustix::process::Signal;
use serde_json::Value;

/// One devnet at a time: nine processes are enough for two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The binary that `scripts/test` built.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("GRIDPROOF_BIN").expect("GRIDPROOF_BIN names the binary; scripts/test sets it");
    PathBuf::from(path)
}

/// What a command printed.
#[derive(Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output as JSON, or null.
    pub json: Value,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The JSON of a command that succeeded.
    #[track_caller]
    pub fn success(self) -> Value {
        assert_eq!(self.code, 0, "{}\n{}", self.stderr, self.json);
        self.json
    }

    /// The error's code of a command that ended with an exit code.
    #[track_caller]
    pub fn failure(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stderr, self.json);
        assert!(self.stderr.contains("hint:"), "an error says what to do: {}", self.stderr);
        self.json["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Runs gridproof with `--json`.
pub fn gridproof(arguments: &[&str]) -> Output {
    let output = Command::new(binary()).args(arguments).arg("--json").stdin(Stdio::null()).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A devnet that stops when the test ends, however it ends.
pub struct Net {
    /// Its processes.
    pub devnet: Devnet,
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Net {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in &self.devnet.manifest.processes {
                let log = std::fs::read_to_string(process.log()).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().take(12).collect();
                eprintln!("--- {}", process.name);
                lines.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
        self.devnet.stop();
    }
}

impl Net {
    /// Makes and starts a devnet; returns when every validator has a final block.
    pub fn up(base_port: u16, partners: u16) -> Self {
        Self::up_with(base_port, partners, |_| Vec::new())
    }

    /// The same, with variables for the environment of some partners, by name.
    pub fn up_with(base_port: u16, partners: u16, environment: impl Fn(&str) -> Vec<(String, String)>) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let options = Options { validators: 4, partners, base_port };
        let devnet = Devnet::create(&dir.path().join("net"), &options).unwrap();
        let mut net = Self { devnet, dir, _alone: alone };
        for process in &mut net.devnet.manifest.processes {
            let environment = environment(&process.name);
            process.start(&binary(), &environment).unwrap();
        }
        net.devnet.save().unwrap();
        net.wait("the first final block", 60, |net| net.heights().iter().all(|height| height.is_some_and(|h| h > 0)));
        net
    }

    /// Waits for a condition, or fails naming it.
    #[track_caller]
    pub fn wait(&self, what: &str, seconds: u64, mut condition: impl FnMut(&Self) -> bool) {
        assert!(wait_until(Duration::from_secs(seconds), || condition(self)), "no {what} within {seconds} s");
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// RPC address of a validator.
    pub fn rpc(&self, validator: usize) -> &str {
        &self.devnet.manifest.rpc[validator]
    }

    /// The customer's key file.
    pub fn customer(&self) -> &str {
        self.devnet.manifest.customer_key.to_str().unwrap()
    }

    /// The status of a validator, if it answers.
    pub fn status(&self, validator: usize) -> Option<Value> {
        let output = gridproof(&["node", "status", "--rpc", self.rpc(validator)]);
        (output.code == 0).then_some(output.json)
    }

    /// The final heights of all validators.
    pub fn heights(&self) -> Vec<Option<u64>> {
        (0..self.devnet.manifest.rpc.len()).map(|i| self.status(i)?["height"].as_u64()).collect()
    }

    /// Kills a process as a power cut would.
    pub fn kill(&mut self, name: &str) {
        let process = self.devnet.process_mut(name).unwrap();
        signal(process.pid, Signal::KILL);
        let process = process.clone();
        assert!(wait_until(Duration::from_secs(10), || !process.is_running()), "{name} does not die");
    }

    /// Starts a process again.
    pub fn restart(&mut self, name: &str) {
        self.devnet.process_mut(name).unwrap().start(&binary(), &[]).unwrap();
        self.devnet.save().unwrap();
    }

    /// The names of the processes of a role.
    pub fn names(&self, role: Role) -> Vec<String> {
        let processes = self.devnet.manifest.processes.iter();
        processes.filter(|process| process.role == role).map(|process| process.name.clone()).collect()
    }

    /// The partner process of an address.
    pub fn partner_of(&self, address: &str) -> String {
        let found = self.names(Role::Partner).into_iter().find(|name| {
            let key = self.devnet.root().join(name).join("keys/account.key");
            gridproof(&["wallet", "show", "--key", key.to_str().unwrap()]).success()["address"] == address
        });
        found.unwrap_or_else(|| panic!("no partner has the address {address}"))
    }

    /// Starts a job in the background.
    pub fn spawn_job(&self, spec: &Path, out: &Path) -> Child {
        Command::new(binary())
            .args(["job", "run", spec.to_str().unwrap(), "--rpc", self.rpc(0), "--key", self.customer(), "--json"])
            .args(["--genesis", self.devnet.genesis().to_str().unwrap(), "--out", out.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a job to its end.
    pub fn run_job(&self, spec: &Path, out: &Path) -> Output {
        finish(self.spawn_job(spec, out))
    }
}

/// Waits for a job that runs in the background.
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
    let programs = std::env::var("GRIDPROOF_TEST_PROGRAMS").expect("scripts/test sets GRIDPROOF_TEST_PROGRAMS");
    std::fs::copy(Path::new(&programs).join("histogram.wasm"), folder.join("histogram.wasm")).unwrap();
    let numbers: Vec<_> = (0..5_000u32).map(|i| (f64::from(i * 7919 % 10_007) / 10_007.0).to_string()).collect();
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
